"""Papers come from what runs: they change with it, miss what nobody said, and have the same bytes twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from kodomo_platform import operations
from kodomo_platform.governance import papers
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act

CODE = "112241"
DAY = dt.date(2026, 10, 1)
ACT = Act("overseer", "a test", "accountability")


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Iterator[None]:
    yield
    operations.close()


def change(home: Path, **governance: object) -> None:
    """The town's own file, changed as an office would."""
    from kodomo_platform.municipalities import loading

    original = Path(loading.__file__).parent / f"{CODE}.yaml"
    yaml = YAML()  # YAML 1.2: a local code 1 or いいえ stays what it is
    data = yaml.load(original.read_text(encoding="utf-8"))
    data["governance"] = {**data["governance"], **governance}
    (home / "municipalities").mkdir(exist_ok=True)
    with (home / "municipalities" / f"{CODE}.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(data, stream)


def test_the_register_has_the_official_order_and_every_held_source() -> None:
    entries = papers.file_register(CODE, DAY)
    assert len(entries) == len(load_municipality(CODE).sources)
    assert all(tuple(entry) == papers.REGISTER_FIELDS for entry in entries)
    assert papers.to_csv(entries).startswith(b"\xef\xbb\xbf")


def test_what_only_a_town_can_say_is_missing_until_it_says_it(home: Path) -> None:
    before = papers.purpose_sheets(CODE, DAY)
    assert {sheet["取り扱う主体"] for sheet in before} == {papers.MISSING}
    assert {sheet["安全管理措置"] for sheet in before} == {papers.MISSING}
    change(home, grounds={"education": {"handler": "教育センター", "safety_measures": "施錠"}})
    after = papers.purpose_sheets(CODE, DAY)
    said = {sheet["項目"]: sheet["取り扱う主体"] for sheet in after}
    assert said["education.attendance.absent_days"] == "教育センター"
    assert said["resident.register.name"] == papers.MISSING


def test_a_published_register_that_differs_from_what_runs_is_reported(home: Path) -> None:
    assert papers.register_differences(CODE, DAY) is None
    papers.publish_register(CODE, ACT, DAY)
    assert papers.register_differences(CODE, DAY) == []
    change(home, grounds={"education.attendance.absent_days": {"legal_basis": "なし"}})
    differences = papers.register_differences(CODE, DAY)
    assert differences
    assert all("記録項目" in line or "利用目的" in line for line in differences)


def test_papers_have_the_same_bytes_twice_and_change_with_what_runs(home: Path, tmp_path: Path) -> None:
    def written(folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in papers.write(CODE, ACT, DAY, tmp_path / folder)}

    first = written("a")
    assert first == written("b")
    assert {"file_register.pdf", "notice.pdf", "pia.pdf", "algorithm.pdf", "evidence_pack.pdf"} <= first.keys()
    assert all(content.startswith(b"%PDF") for name, content in first.items() if name.endswith(".pdf"))
    change(home, contact="こども家庭課 048-000-0000")
    later = written("c")
    assert {name for name in first if first[name] != later[name]} >= {
        "notice.pdf",
        "algorithm.pdf",
        "file_register.csv",
    }


def test_the_notice_is_plain_with_readings_and_english() -> None:
    blocks = papers.notice(CODE, DAY)
    texts = " ".join(" ".join(block.get("text", [])) for block in blocks)
    assert "（ひと）" in texts
    assert "You may ask to see" in texts
    assert "子供" not in texts and "子ども" not in texts  # noqa: PT018
