"""The pilots differ as the report says, and together cover every format the platform reads."""

from __future__ import annotations

import json

import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import ConfigurationError, MunicipalityError
from kodomo_platform.municipalities import Municipality, load_municipality, municipality_codes
from kodomo_platform.municipalities.schema import SHIPPED, json_schema, schema_text


@pytest.fixture
def pilots(home: object) -> list[Municipality]:
    return [load_municipality(code) for code in municipality_codes()]


def test_display_modes_and_consent(pilots: list[Municipality]) -> None:
    modes = {one.code: {theme.display_mode for theme in one.themes} for one in pilots}
    assert modes == {
        "112241": {"score"},
        "132071": {"ox"},
        "172065": {"alert"},
        "230006": {"alert"},
        "282022": {"alert"},
        "343021": {"score"},
        "401307": {"score"},
    }
    assert [one.code for one in pilots if one.consent.rule == "opt_in"] == ["172065"]
    assert len({one.schedule.cron for one in pilots}) == 7


def test_together_they_cover_every_format(pilots: list[Municipality]) -> None:
    files = [source.file for one in pilots for source in one.sources]
    assert {file.format for file in files} == {"csv", "tsv", "fixed", "xlsx"}
    assert {file.encoding for file in files} == {"cp932", "utf-8", "utf-8-sig", "utf-16", None}
    assert any(file.format == "csv" and not file.header for file in files)
    assert any(file.format == "xlsx" and file.skip_rows >= 2 for file in files)
    assert any(file.quote is None for file in files)
    styles = {(s.dates.style, s.dates.era_codes) for one in pilots for s in one.sources}
    assert {style for style, _ in styles} == {
        "iso", "slash", "compact", "wareki_kanji", "wareki_dot", "wareki_code", "excel_serial",
    }  # fmt: skip
    assert {("wareki_code", "jis"), ("wareki_code", "odd")} <= styles
    assert any(source.extract_kind == "delta" for one in pilots for source in one.sources)
    assert any(source.system_start for one in pilots for source in one.sources)


def test_each_has_what_its_outcomes_need(pilots: list[Municipality]) -> None:
    for one in pilots:
        assert {"resident.register", "welfare.support"} <= set(one.by_source), one.code
        needed = {"school_refusal": "education.attendance", "abuse": "welfare.case", "hospital_flag": "medical.flag"}
        for theme in one.themes:
            assert needed.get(theme.key, "resident.register") in one.by_source


def test_a_zero_count_is_never_a_null_token(pilots: list[Municipality]) -> None:
    catalog = load_catalog()
    for one in pilots:
        for source in one.sources:
            for item in catalog.sources[source.source].items:
                if item.type in ("int", "decimal") and (item.minimum or 0) == 0:
                    assert "0" not in source.null_tokens_of(item.name), (one.code, item.key)


def test_the_hospital_has_no_municipal_number(home: object) -> None:
    assert "resident_number" not in load_municipality("230006").by_source["medical.flag"].by_item


def test_unknown_codes(home: object) -> None:
    with pytest.raises(MunicipalityError, match="no municipality 999999"):
        load_municipality("999999")
    with pytest.raises(ConfigurationError):
        load_municipality("../etc")


def test_places_are_counted_from_zero_for_readers(home: object) -> None:
    fixed = load_municipality("132071").by_source["resident.register"]
    assert fixed.by_item["household_number"].byte_slice == slice(12, 24)
    assert fixed.record_bytes == 480
    plain = load_municipality("112241").by_source["resident.moves"]
    assert plain.by_item["event_on"].index == 1
    assert plain.field_count == 3


def test_the_shipped_schema_is_current() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == schema_text(), "write it anew with `kodomo municipality schema`"


def test_the_schema_completes_and_explains() -> None:
    schema = json_schema()
    assert "education.attendance" in schema["$defs"]["SourceConfig"]["properties"]["source"]["enum"]
    assert schema["$defs"]["FileFormat"]["properties"]["pattern"]["description"]
    assert json.loads(schema_text()) == schema
