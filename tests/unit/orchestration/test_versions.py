"""The code version changes with what decides an output, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kodomo_platform.orchestration.versions import hash_of

FILES = {
    "kodomo_platform/linkage/engine.py": "decides",
    "kodomo_platform/cleansing/fold_table.tsv": "decides",
    "kodomo_platform/scoring/features.yaml": "decides",
    "kodomo_platform/linkage/model/shipped.json": "decides",
    "dbt_project/models/marts/mart_child.sql": "decides",
    "dbt_project/macros/absence.sql": "decides",
    "expectations/mart_child.yaml": "decides",
    "uv.lock": "decides",
    "kodomo_platform/messages_ja.yaml": "shows",
    "kodomo_platform/cli/help_ja.yaml": "shows",
    "kodomo_platform/cli/scores.py": "shows",
    "kodomo_platform/portal/views.py": "shows",
    "kodomo_platform/scoring/outcome_report.ja.html.j2": "shows",
    "README.md": "shows",
    "dbt_project/target/manifest.json": "shows",
}


def _hash(root: Path) -> str:
    return hash_of(root / "kodomo_platform", root / "dbt_project", root / "expectations")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("before", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_changes_the_version_if_it_decides(project: Path, name: str) -> None:
    before = _hash(project)
    (project / name).write_text("after", encoding="utf-8")

    assert (_hash(project) != before) == (FILES[name] == "decides")


def test_a_renamed_file_and_bytes_moved_between_files_change_the_version(project: Path) -> None:
    before = _hash(project)
    (project / "dbt_project/models/marts/mart_child.sql").rename(project / "dbt_project/models/marts/mart_person.sql")
    renamed = _hash(project)
    (project / "dbt_project/macros/absence.sql").write_text("bef", encoding="utf-8")

    assert len({before, renamed, _hash(project)}) == 3
