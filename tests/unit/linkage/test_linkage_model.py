"""The model file: what is accepted, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.identifiers import child_id_of
from kodomo_platform.linkage.model import SHIPPED, load_model, write_model


def test_the_shipped_model_loads() -> None:
    model = load_model()
    assert 0 < model.review < model.match < 1


def test_an_altered_model_is_refused(tmp_path: Path) -> None:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content["match"] = 0.5
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LinkageError, match="altered"):
        load_model(path)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "kodomo-linkage-model/0"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LinkageError):
        load_model(path)


def test_ids_are_opaque_and_differ_between_installations() -> None:
    ids = {child_id_of("ab" * 32, number) for number in range(1000)}
    assert len(ids) == 1000
    assert all(len(child) == 17 and child.startswith("c") for child in ids)
    assert child_id_of("cd" * 32, 1) not in ids


def test_importing_the_room_does_not_import_splink_or_django() -> None:
    code = "import sys, kodomo_platform.linkage; sys.exit(bool({'splink', 'django'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("key", "value"), [("match", 0.1), ("review", 0), ("match", "high"), ("margin_bits", None)])
def test_a_whole_model_with_impossible_numbers_is_refused(tmp_path: Path, key: str, value: object) -> None:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content[key] = value
    with pytest.raises(LinkageError, match="number"):
        write_model(tmp_path / "model.json", content)


def test_a_model_of_other_comparisons_is_refused(tmp_path: Path) -> None:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    del content["weights"]["sex"]
    with pytest.raises(LinkageError, match="does not fit"):
        write_model(tmp_path / "model.json", content)
