"""Of a child's consent lines the newest decided one counts, and what cannot be read closes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import Municipality, load_municipality, write_configuration
from tests.integration.dbt_sql import build

AS_OF = dt.date(2026, 11, 1)
EVERYTHING = {"resident", "education", "childcare", "welfare", "health", "medical", "survey"}
ITEMS = (
    "consented_on", "valid_from", "valid_until", "withdrawn_on", "scope", "decision", "only_items", "only_themes",
    "given_by", "route", "evidence",
)  # fmt: skip
DATES = ITEMS[:4]


def town(**consent: Any) -> Municipality:
    """加賀市's file with another consent rule; by default opt-in for every domain."""
    pilot = load_municipality("172065")
    consent = {"rule": "opt_in", "applies_to": []} | consent
    return pilot.model_copy(update={"consent": pilot.consent.model_copy(update=consent)})


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("create schema staging")
    yield connection
    connection.close()


def ledger(
    con: duckdb.DuckDBPyConnection, lines: list[dict[str, Any]], municipality: Municipality | None = None
) -> None:
    """`stg_consent__record` with ``lines`` in their order, and what `lnk_consent` makes of them.

    A value of "?" stands for a text that cannot be read.
    """
    write_configuration(con, municipality or town(), load_catalog(), AS_OF)
    columns = ", ".join(f"{name} {'date' if name in DATES else 'varchar'}, {name}__status varchar" for name in ITEMS)
    con.execute(
        f"create or replace table staging.stg_consent__record (source_record_id varchar, {columns}, "
        "_extract_date date, _source_file_sha256 varchar, _row_number bigint)"
    )
    for number, line in enumerate(lines, start=1):
        cells: list[Any] = [line.get("child", "1")]
        for name in ITEMS:
            value = line.get(name)
            status = "unreadable" if value == "?" else "present" if value is not None else "not_applicable"
            cells += [None if value == "?" else value, line.get(f"{name}__status", status)]
        marks = ", ".join("?" * (len(cells) + 3))
        con.execute(f"insert into staging.stg_consent__record values ({marks})", [*cells, AS_OF, "f" * 64, number])
    build(con, "lnk_consent")


def state(con: duckdb.DuckDBPyConnection, child: str = "1") -> tuple[str, set[str]]:
    row = con.execute(
        "select state, open_domains from linkage.lnk_consent where source_record_id = ?", [child]
    ).fetchone()
    return ("no_line", set()) if row is None else (row[0], set(row[1]))


ALL = {"scope": "all", "consented_on": "2025-04-01"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([ALL], ("given", EVERYTHING)),
        # a withdrawal as a new line of the same scope, with its own day
        ([ALL, {"scope": "all", "consented_on": "2026-10-20", "withdrawn_on": "2026-10-20"}], ("withdrawn", set())),
        ([ALL, {"scope": "all", "withdrawn_on": "2026-10-20"}], ("withdrawn", set())),
        ([ALL, {"scope": "all", "consented_on": "2026-10-20", "decision": "withdrawn"}], ("withdrawn", set())),
        ([ALL, {"scope": "all", "consented_on": "2026-10-20", "decision": "refused"}], ("refused", set())),
        # entered above the consent that it ends: days decide, not places
        ([{"scope": "all", "withdrawn_on": "2026-10-20"}, ALL], ("withdrawn", set())),
        ([ALL | {"withdrawn_on": "2026-10-20"}], ("withdrawn", set())),
        ([ALL | {"withdrawn_on": "2026-11-01"}], ("withdrawn", set())),
        # dated ahead: not yet
        ([ALL | {"withdrawn_on": "2026-11-02"}], ("given", EVERYTHING)),
        # consent once more after a withdrawal
        ([ALL | {"withdrawn_on": "2026-05-01"}, {"scope": "all", "consented_on": "2026-06-01"}], ("given", EVERYTHING)),
        # withdrawn after the newer line was made, on the older line
        ([ALL | {"withdrawn_on": "2026-10-20"}, {"scope": "all", "consented_on": "2026-06-01"}], ("withdrawn", set())),
        # a newer narrower consent; on the same day the ledger's order
        ([ALL, {"scope": "education", "consented_on": "2026-10-01"}], ("given", {"resident", "education"})),
        ([ALL, {"scope": "education", "consented_on": "2025-04-01"}], ("given", {"resident", "education"})),
        ([{"scope": "education", "consented_on": "2025-04-01"}, ALL], ("given", EVERYTHING)),
        # one form, two lines
        (
            [{"scope": "education", "consented_on": "2025-04-01"}, {"scope": "health", "consented_on": "2025-04-01"}],
            ("given", {"resident", "education", "health"}),
        ),
        # childcare falls under welfare because the catalogue says so
        ([{"scope": "welfare", "consented_on": "2025-04-01"}], ("given", {"resident", "welfare", "childcare"})),
        # an earlier consent that ended does not live on in a newer one, nor the newer in the earlier
        ([ALL, {"scope": "all", "consented_on": "2026-04-01", "valid_until": "2026-10-31"}], ("ended", set())),
        ([ALL | {"valid_until": "2026-11-01"}], ("given", EVERYTHING)),
        ([ALL | {"valid_from": "2026-11-02"}], ("not_yet", set())),
        # decided in the future: not decided
        ([ALL, {"scope": "education", "consented_on": "2026-12-01"}], ("given", EVERYTHING)),
        # what cannot be read closes, whichever line it stands on
        ([ALL | {"withdrawn_on": "?"}], ("unreadable", set())),
        ([ALL | {"withdrawn_on": "?"}, {"scope": "all", "consented_on": "2026-06-01"}], ("unreadable", set())),
        ([ALL | {"decision": "?"}], ("unreadable", set())),
        ([ALL | {"valid_until": "?"}], ("ended", set())),
        ([ALL | {"valid_until": "?"}, {"scope": "all", "consented_on": "2026-06-01"}], ("given", EVERYTHING)),
        ([ALL | {"consented_on": "?"}], ("unreadable", set())),
        ([ALL, {"scope": "education", "consented_on": "?"}], ("unreadable", set())),
        ([ALL | {"scope": "?"}], ("unreadable", set())),
        ([ALL, {"scope": "?", "consented_on": "2026-06-01"}], ("unreadable", set())),
        # a line without any day is no decision
        ([{"scope": "all"}], ("no_line", set())),
        ([ALL, {"scope": "education", "consented_on__status": "blank"}], ("given", EVERYTHING)),
        # unless the ledger has no such column at all
        ([{"scope": "all", "consented_on__status": "not_held"}], ("given", EVERYTHING)),
    ],
)
def test_the_newest_decided_line_counts(
    con: duckdb.DuckDBPyConnection, lines: list[dict[str, Any]], expected: tuple[str, set[str]]
) -> None:
    ledger(con, lines)
    assert state(con) == expected


def test_consent_by_item_and_by_theme(con: duckdb.DuckDBPyConnection) -> None:
    ledger(
        con,
        [
            ALL | {"scope": "education", "only_items": "education.attendance.absent_days、welfare.case.severity"},
            ALL | {"child": "2", "only_themes": "family_mind, school_refusal"},
            ALL | {"child": "3", "only_items": "出欠"},
            ALL | {"child": "4", "only_items": "?"},
            ALL | {"child": "5", "only_themes": "?"},
        ],
    )
    rows = {
        row[0]: row[1:]
        for row in con.execute(
            "select source_record_id, open_domains, open_items, themes from linkage.lnk_consent"
        ).fetchall()
    }
    # an item outside the scope's domains is not opened by being named
    assert rows["1"] == (["resident"], ["education.attendance.absent_days"], None)
    assert set(rows["2"][0]) == EVERYTHING
    assert sorted(rows["2"][2]) == ["family_mind", "school_refusal"]
    assert rows["3"][0] == ["resident"]
    assert "education.attendance.late_days" in rows["3"][1]
    assert rows["4"][:2] == (["resident"], [])
    assert rows["5"][2] == [""]  # no theme has this name: none is open


@pytest.mark.parametrize(
    ("rule", "lines", "expected"),
    [
        ({"rule": "none"}, [ALL | {"withdrawn_on": "2026-01-01"}], None),
        ({"rule": "opt_out"}, [ALL | {"withdrawn_on": "2026-01-01"}], set()),
        ({"rule": "opt_out"}, [ALL | {"withdrawn_on": "?"}], set()),
        ({"rule": "opt_out"}, [ALL], EVERYTHING),
        ({"rule": "opt_in", "applies_to": ["survey"]}, [ALL | {"withdrawn_on": "2026-01-01"}], EVERYTHING - {"survey"}),
        ({"rule": "opt_out", "applies_to": ["survey"]}, [ALL | {"decision": "refused"}], EVERYTHING - {"survey"}),
    ],
)
def test_rule_and_domains_act(
    con: duckdb.DuckDBPyConnection, rule: dict[str, Any], lines: list[dict[str, Any]], expected: set[str] | None
) -> None:
    ledger(con, lines, town(**rule))
    row = con.execute("select open_domains from linkage.lnk_consent").fetchone()
    assert (None if row is None else set(row[0])) == expected
    # where all that is held rests on consent, so does being in the register
    (covered,) = con.execute("select covered from cfg.consent").fetchone() or ([],)
    assert ("resident" in covered) == (rule["rule"] != "none" and "applies_to" not in rule)
    (without,) = con.execute("select open_without from cfg.consent").fetchone() or ([],)
    assert set(without) == (EVERYTHING - set(covered) if rule["rule"] == "opt_in" else EVERYTHING)


def test_the_pilot_that_links_by_consent_has_no_register_without_it(con: duckdb.DuckDBPyConnection) -> None:
    write_configuration(con, load_municipality("172065"), load_catalog(), AS_OF)
    assert con.execute("select rule, list_contains(covered, 'resident') from cfg.consent").fetchone() == (
        "opt_in",
        True,
    )
