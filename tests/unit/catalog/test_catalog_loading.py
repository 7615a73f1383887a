"""The shipped catalogue holds together, and one that does not is refused with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kodomo_platform.catalog import load_catalog, load_catalog_from
from kodomo_platform.catalog.loading import DIRECTORY, banned_kind
from kodomo_platform.errors import CatalogError

SPINE = {
    "resident.register": ("resident", True, ["resident_number"], None),
    "education.attendance": ("school", False, ["student_number", "month"], "month"),
    "education.counselling": ("school", False, ["student_number", "counselled_on", "topic"], "counselled_on"),
    "medical.flag": ("hospital", True, ["patient_number", "flagged_on", "flag"], "flagged_on"),
    "welfare.case": ("case", True, ["case_number"], "opened_on"),
}


def _copy(tmp_path: Path, find: str, replace: str, domain: str = "education") -> Path:
    """A catalogue of one domain's file with one thing changed."""
    text = (DIRECTORY / f"{domain}.yaml").read_text(encoding="utf-8")
    assert find in text
    (tmp_path / f"{domain}.yaml").write_text(text.replace(find, replace, 1), encoding="utf-8")
    return tmp_path


def test_the_catalogue_is_as_wide_as_asked() -> None:
    catalog = load_catalog()
    assert len(catalog.sources) >= 14
    assert len(catalog.items) >= 80
    assert {source.domain for source in catalog.sources.values()} == {
        "resident", "education", "childcare", "welfare", "health", "medical", "survey", "consent",
    }  # fmt: skip


@pytest.mark.parametrize("key", SPINE)
def test_the_spine_is_what_other_rooms_rely_on(key: str) -> None:
    source = load_catalog().sources[key]
    assert (source.id_system, source.is_identity, source.natural_key, source.event_date) == SPINE[key]
    assert source.raw_table == "raw_" + key.replace(".", "__")
    assert source.staging_table == "stg_" + key.replace(".", "__")


def test_items_that_point_at_a_person_are_never_an_input() -> None:
    for item in load_catalog().items.values():
        assert item.key == f"{item.source}.{item.name}"
        if item.identifier:
            assert item.banned_as_input, item.key


def test_every_item_names_its_own_reason() -> None:
    catalog = load_catalog()
    facts = [item for item in catalog.items.values() if not item.banned_as_input and not item.identifier]
    for source in catalog.sources.values():
        reasons = [item.necessity for item in source.items if item in facts]
        assert len(reasons) == len(set(reasons)), source.key


def test_outcomes_and_peoples_decisions_cannot_leak_into_a_score() -> None:
    items = load_catalog().items
    for name in ("theme", "result", "support_started_on", "override_reason", "result_before"):
        assert items[f"welfare.support.{name}"].banned_as_input


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("    event_date: month\n", "    event_date: mouth\n", "'mouth' is not an item"),
        ("    record_key: student_number\n", "    record_key: pupil_number\n", "'pupil_number' is not an item"),
        ("    natural_key: [student_number]\n", "    natural_key: [grade]\n", "must contain the record key"),
        ("      legal_basis: 学校教育法施行規則第25条（出席簿）\n", "", "`legal_basis` is missing"),
        ("label_ja: 遅刻日数", "label_ja: 欠席日数", "the label '欠席日数' is also that of 'absent_days'"),
        ("      late_days:\n", "      absent_days:\n", "stands here twice"),
        ("        type: month\n", "        type: moon\n", "unknown type"),
        ("          mental: {", "          Mental!: {", "a code is lower case"),
        ("          mental: {ja: 心の不調・相談,", "          mental: {ja: 体調不良,", "also that of 'illness'"),
        ("        ground: ii\n", "        ground: v\n", "beyond_purpose.ground"),
        ("        ground: ii\n", "        ground: i\n", "consent is needed"),
        ("      late_days:\n", "      nationality:\n", "nationality is never held"),
        ("label_ja: 遅刻日数", "label_ja: 国籍", "nationality is never held"),
        ("      late_days:\n", "      my_number:\n", "My Number is never held"),
        ("        maximum: 31\n", "        maximum: -1\n", "is above `maximum`"),
        ("        type: month\n", "        type: month\n        colour: red\n", "unknown field `colour`"),
        ("domain: education\n", "domain: weather\n", "unknown domain"),
        ("label_ja: 出欠\n", "label_ja: 学齢簿・在籍\n", "the label '学齢簿・在籍' is also that of"),
    ],
)
def test_a_fault_is_refused_with_file_and_line(tmp_path: Path, find: str, replace: str, message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog_from(_copy(tmp_path, find, replace))
    assert message in str(caught.value)
    assert re.search(r"education\.yaml:\d+: ", str(caught.value))


def test_the_line_is_that_of_the_fault(tmp_path: Path) -> None:
    directory = _copy(tmp_path, "        type: month\n", "        type: moon\n")
    lines = (directory / "education.yaml").read_text(encoding="utf-8").splitlines()
    with pytest.raises(CatalogError, match=f"education.yaml:{lines.index('        type: moon') + 1}: "):
        load_catalog_from(directory)


def test_an_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalogue files"):
        load_catalog_from(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("nationality", "nationality"), ("本人の信条", "religion"), ("race", "ethnicity"), ("trace_on", None)],
)
def test_banned_words(text: str, kind: str | None) -> None:
    assert banned_kind(text) == kind
