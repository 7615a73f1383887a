"""Where things live, and that only one module asks the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kodomo_platform
from kodomo_platform.errors import ConfigurationError
from kodomo_platform.settings import get_settings, municipality_code


@pytest.mark.parametrize("code", ["../etc", "11224", "1122411", "11224a", "", "１１２２４１"])
def test_a_code_that_is_not_six_digits_never_becomes_a_path(home: Path, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        get_settings().warehouse(code)
    # the message shows an example of a good code, whose first five digits one of the bad ones is
    assert code in {"", "11224"} or code not in str(caught.value)


def test_a_code_is_a_file_below_home(home: Path) -> None:
    assert get_settings().warehouse(municipality_code("112241")) == home / "warehouse" / "112241.duckdb"


def test_only_settings_reads_kodomo_variables() -> None:
    package = Path(kodomo_platform.__file__).parent
    readers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"environ(\.get)?[\[(]\s*[\"']KODOMO_|getenv", path.read_text(encoding="utf-8"))
        and path.name not in {"settings.py", "definitions.py"}
    ]
    assert readers == []
