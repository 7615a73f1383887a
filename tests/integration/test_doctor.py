"""`kodomo doctor` tells what is not in order, repairs rights, and never fails over what it finds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.command_line import kodomo


def findings(home: Path, *arguments: str) -> dict[str, bool]:
    done = kodomo(home, "doctor", "--json", *arguments, check=False)
    rows = json.loads(done.stdout)
    assert done.returncode == (0 if all(row["well"] for row in rows) else 1)
    return {row["subject"]: row["well"] for row in rows}


def test_a_doctor_finds_what_is_wrong_and_repairs_rights(home: Path) -> None:
    before = findings(home, "--repair")
    assert before["rights"]
    assert before["database"]
    assert before["municipalities"]
    (home / "open").touch()
    (home / "open").chmod(0o644)
    (home / "municipalities").mkdir(mode=0o700)
    (home / "municipalities" / "343021.yaml").write_text("code: [", encoding="utf-8")
    (home / "operations.sqlite3").write_bytes(b"not a database, whatever its name may say" * 100)
    after = findings(home)
    assert (after["rights"], after["database"], after["municipalities"]) == (False, False, False)
    assert findings(home, "--repair")["rights"]
    assert (home / "open").stat().st_mode & 0o077 == 0
