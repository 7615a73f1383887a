"""A run compares only what is new or changed, and links as if it had compared everything."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kodomo_platform.linkage import link_records, load_known_ids
from kodomo_platform.linkage.engine import score_everyone
from kodomo_platform.linkage.likeness import LEAST_PEOPLE
from kodomo_platform.linkage.model import TERM_COLUMNS, load_model, splink_settings
from tests.integration import linked_town as town

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
Rows = dict[tuple[str, str], dict[str, Any]]


def edges(con: duckdb.DuckDBPyConnection, rows: Rows) -> list[dict[str, Any]]:
    town.write_identity(con, list(rows.values()))
    found: list[dict[str, Any]] = link_records(con).to_pylist()
    return found


def full(rows: Rows) -> list[dict[str, Any]]:
    """The same rows in a warehouse that has never seen any."""
    with duckdb.connect() as fresh:
        town.empty_town(fresh)
        load_known_ids(fresh, town.CODE)
        return edges(fresh, rows)


def counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select metric, value from linkage.lnk_run_count").fetchall())


def keyed(rows: list[dict[str, Any]]) -> Rows:
    """Without numbers: likeness decides."""
    return {
        (row["source"], row["source_record_id"]): row
        | {"resident_number": row["resident_number"] if row["source"] == town.REGISTER else None}
        for row in rows
    }


def hard(rows: Rows) -> Rows:
    """No address, so that the exact pass leaves everything to likeness."""
    return {
        key: row if row["source"] == town.REGISTER else row | {"address_town": None, "address_block": None}
        for key, row in rows.items()
    }


def test_only_what_is_new_or_changed_is_compared(con: duckdb.DuckDBPyConnection) -> None:
    rows = hard(keyed(town.people(60)))
    first = edges(con, rows)
    assert counts(con)["records_compared_before"] == 0
    assert edges(con, rows) == first
    assert counts(con)["records_compared_anew"] == 0
    moved = (town.HOSPITAL, "h3")
    rows[moved] = rows[moved] | {"phone_match": "0480000001"}
    rows[(town.HOSPITAL, "new")] = town.identity(town.HOSPITAL, "new", 7, address_block=None)
    del rows[(town.HOSPITAL, "h6")]
    again = edges(con, rows)
    assert counts(con)["records_compared_anew"] == 2
    assert again == full(rows)
    assert again != first


def test_a_model_of_other_weights_forgets_what_was_compared(con: duckdb.DuckDBPyConnection) -> None:
    from dataclasses import replace

    rows = hard(keyed(town.people(20)))
    edges(con, rows)
    link_records(con, replace(load_model(), sha256="0" * 64))
    assert counts(con)["records_compared_before"] == 0


def test_what_a_killed_run_left_is_not_believed(con: duckdb.DuckDBPyConnection) -> None:
    rows = hard(keyed(town.people(20)))
    before = edges(con, rows)
    con.execute("delete from linkage.lnk_memory_stamp; delete from linkage.lnk_pair_memory")
    assert edges(con, rows) == before


def test_weights_are_those_of_splink_with_today_s_frequencies(con: duckdb.DuckDBPyConnection) -> None:
    from splink import DuckDBAPI, Linker

    model = load_model()
    town.write_identity(con, list(hard(keyed(town.people(150))).values()))
    pairs = score_everyone(con, model, "linkage.lnk_identity", calibrated=False)
    con.execute(
        "create table compared as select *, not is_register as is_left, coalesce(surname_match, surname_kana_match) as "
        "surname_key from lnk_prepared"
    )
    con.execute("create table still as from compared where is_left")
    api = DuckDBAPI(con)
    left, right = api.register("still", dataset_display_name="l"), api.register("compared", dataset_display_name="r")
    linker = Linker(right, splink_settings(model, LEAST_PEOPLE), log_level=None, validate_settings=False)
    for column in TERM_COLUMNS:
        con.execute(
            # the usual frequency counts as many records more
            f"create table tf_of_{column} as select {column}, (count(*) + {LEAST_PEOPLE * model.usual_frequency(column)}) "
            f"/ (sum(count(*)) over () + {LEAST_PEOPLE}) as tf_{column} from compared where {column} is not null group by 1"
        )
        linker.table_management.register_term_frequency_lookup(api.register(f"tf_of_{column}"), column)
    scored = linker.inference.predict_between(left, right, threshold_match_probability=0.001, warning_mode="never")
    splink = {
        (a - 1, b - 1): (weight, probability)
        for a, b, weight, probability in con.execute(
            f"select rid_l, rid_r, match_weight, match_probability from {scored.physical_name}"
        ).fetchall()
    }
    ours = {(pair.left, pair.right): (pair.weight, pair.probability) for pair in pairs}
    assert len(ours) > 200
    assert ours.keys() == splink.keys()
    for key, (weight, probability) in ours.items():
        assert weight == pytest.approx(splink[key][0], abs=1e-9)
        assert probability == pytest.approx(splink[key][1], abs=1e-9)


# a delivery: records that arrive (place, source), change (place, what) and go; a day that passes; a decision
_arrive = st.tuples(
    st.just("arrive"), st.integers(0, 70), st.sampled_from([town.SCHOOL, town.HOSPITAL, "welfare.case", town.REGISTER])
)
_change = st.tuples(
    st.just("change"),
    st.integers(0, 200),
    st.sampled_from(
        [
            {"surname_match": "鈴木", "surname_kana_match": "スズキ"},
            {"given_match": "葵", "given_kana_match": "アオイ"},
            # near kanji, on one side or on both
            {"given_match": "凜", "name_match": "佐藤凜"},
            {"given_match": "凛", "name_match": "斉藤凛", "surname_match": "斉藤", "surname_kana_match": None},
            {"given_match": "凜", "name_match": "斎藤凜", "surname_match": "斎藤", "surname_kana_match": None},
            {"birth_date": date(2017, 7, 7), "birth_date__earliest": date(2017, 7, 7), "birth_date__latest": date(2017, 7, 7)},
            {"address_town": "本町1", "address_block": "1-1-1"},
            {"phone_match": "0480000000"},
            {"guardian_match": "佐藤一郎"},
            {"resident_number": "000003"},
            {"kana_match": None, "given_kana_match": None, "surname_kana_match": None},
        ]
    ),
)  # fmt: skip
_go = st.tuples(st.just("go"), st.integers(0, 200), st.none())
_pass = st.tuples(st.just("pass"), st.integers(1, 700), st.none())
_deliveries = st.lists(
    st.lists(st.one_of(_arrive, _change, _go, _pass), min_size=1, max_size=8), min_size=1, max_size=3
)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_deliveries)
def test_links_are_those_of_a_full_relink(con: duckdb.DuckDBPyConnection, deliveries: list[list[Any]]) -> None:
    for table in ("lnk_pair_memory", "lnk_record_memory", "lnk_memory_stamp"):
        con.execute(f"drop table if exists linkage.{table}")
    rows = hard(keyed(town.people(40)))
    day = town.AS_OF
    found = edges(con, rows)
    for delivery in deliveries:
        for kind, place, what in delivery:
            keys = sorted(rows)
            key = keys[place % len(keys)]
            if kind == "arrive":
                made = town.identity(what, f"x{len(rows)}-{place}", place, resident_number=None)
                rows |= {(what, made["source_record_id"]): made}
            elif kind == "change":
                rows[key] = rows[key] | what
            elif kind == "go" and len(rows) > 10:
                del rows[key]
            elif kind == "pass":
                day += timedelta(days=place)
        con.execute("update cfg.run set as_of_date = ?", [day])
        found = edges(con, rows)
    with duckdb.connect() as fresh:
        town.empty_town(fresh)
        load_known_ids(fresh, town.CODE)
        fresh.execute("update cfg.run set as_of_date = ?", [day])
        assert found == edges(fresh, rows)
