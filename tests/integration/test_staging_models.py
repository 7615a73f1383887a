"""Staging on a real warehouse: dbt builds every source, also empty ones, and the registered functions agree with Python."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.cleansing import register
from kodomo_platform.cleansing.addresses import match_address
from kodomo_platform.cleansing.dates import read_date
from kodomo_platform.cleansing.kana import match_kana
from kodomo_platform.cleansing.names import match_name
from kodomo_platform.municipalities.configuration import days_ahead

PROJECT = Path(__file__).parents[2] / "dbt_project"

_CONFIGURATION = """
create table cfg.run (municipality varchar, as_of_date date);
create table cfg.as_of (as_of_date date, purpose varchar);
create table cfg.source (
    source varchar, domain varchar, name varchar, held boolean, system_start date, extract_kind varchar,
    id_system varchar, record_key varchar, is_identity boolean, event_date_item varchar, unknown_percent double
);
create table cfg.item (
    source varchar, item varchar, type varchar, held boolean, date_style varchar, era_codes varchar,
    blank_means varchar, identifier boolean, banned boolean, minimum double, maximum double, years_back integer,
    days_ahead integer
);
create table cfg.null_token (source varchar, item varchar, token varchar);
create table cfg.code_map (source varchar, item varchar, local_code varchar, code varchar);
insert into cfg.run values ('112241', '2026-10-01');
"""


def make_warehouse(path: Path) -> None:
    """A warehouse with every source's raw table, a few rows in two of them, health.home_visit not held."""
    catalog = load_catalog()
    with duckdb.connect(str(path)) as con:
        for schema in ("cfg", "raw", "ops", "staging", "linkage", "marts", "quality"):
            con.execute(f"create schema {schema}")
        con.execute(_CONFIGURATION)
        for key, source in catalog.sources.items():
            held = key != "health.home_visit"
            kind = "delta" if key == "education.attendance" else "full"
            con.execute(
                "insert into cfg.source values (?, ?, ?, ?, null, ?, ?, ?, ?, ?, 2)",
                [
                    *(key, source.domain, source.name, held, kind, source.id_system, source.record_key),
                    *(source.is_identity, source.event_date),
                ],
            )
            columns = []
            for item in source.items:
                columns.append(f'"{item.name}" varchar')
                con.execute(
                    "insert into cfg.item values (?, ?, ?, ?, 'wareki_kanji', 'jis', ?, false, false, ?, ?, ?, ?)",
                    [
                        *(key, item.name, item.type, held, item.blank_means),
                        *(item.minimum, item.maximum, source.years_back, days_ahead(item)),
                    ],
                )
                for place, code in enumerate(item.codes or {}, start=1):
                    con.execute("insert into cfg.code_map values (?, ?, ?, ?)", [key, item.name, str(place), code])
            con.execute(
                f"create table raw.{source.raw_table} ({', '.join(columns)}, _municipality varchar,"
                " _extract_date date, _source_file_sha256 varchar, _row_number bigint)"
            )
        con.execute("insert into cfg.null_token values ('education.enrolment', 'resident_number', '99999999')")
        con.execute("""
            insert into raw.raw_education__enrolment by name
            select * from (values
                ('1', '99999999', '渡邉　花', '平成27年5月1日', '１', 'a', 1),
                ('2', '２００', '斎藤 花', '令和4年頃', '9', 'a', 2),
                (null, '300', '名無 子', null, null, 'a', 3)
            ) as t (student_number, resident_number, name, birth_date, sex, _source_file_sha256, _row_number),
            (select date '2026-10-01' as _extract_date)
        """)
        con.execute("""
            insert into raw.raw_education__attendance by name
            select * from (values
                ('1', '令和8年4月', '1', date '2026-05-01', 'm', 1),
                ('1', '令和8年4月', '2', date '2026-06-01', 'n', 1),
                ('1', '令和8年5月', '0', date '2026-06-01', 'n', 2),
                ('1', '令和8年10月', '9', date '2026-11-01', 'o', 1)
            ) as t (student_number, month, absent_days, _extract_date, _source_file_sha256, _row_number)
        """)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("staging")
    path = folder / "112241.duckdb"
    make_warehouse(path)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "run", "--select", "staging", "--profiles-dir", "."),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--vars", json.dumps({"warehouse": str(path)})),
        ],
        cwd=PROJECT,
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    with duckdb.connect(str(path), read_only=True) as con:
        yield con


def test_every_source_is_staged(staged: duckdb.DuckDBPyConnection) -> None:
    tables = {
        name
        for (name,) in staged.execute("select table_name from duckdb_tables() where schema_name='staging'").fetchall()
    }
    assert tables == {source.staging_table for source in load_catalog().sources.values()} | {"cleansing_rules"}


def test_identity_models_share_their_columns(staged: duckdb.DuckDBPyConnection) -> None:
    tables = [source.staging_table for source in load_catalog().sources.values() if source.is_identity]
    rows = staged.execute("select table_name, column_name from duckdb_columns() where schema_name='staging'").fetchall()
    wanted = {
        "source_record_id", "name", "name_match", "surname_match", "given_match", "name_kana", "kana_match",
        "surname_kana_match", "given_kana_match", "alias_match", "former_surname_match", "name_has_gaiji", "sex",
        "birth_date", "birth_date__raw", "birth_date__precision", "birth_date__earliest", "birth_date__latest",
        "resident_number", "household_number", "postal_code", "address", "address_match", "address_town",
        "address_block", "address_building", "address_room", "phone_match", "guardian_match", "guardian_kana_match",
    }  # fmt: skip
    for table in tables:
        assert wanted <= {column for name, column in rows if name == table}, table


def test_enrolment_rows(staged: duckdb.DuckDBPyConnection) -> None:
    rows = staged.execute("""
        select source_record_id, resident_number, name_match, birth_date, birth_date__precision, sex, sex__status
        from staging.stg_education__enrolment order by _row_number
    """).fetchall()
    assert rows == [
        ("1", None, "渡辺花", dt.date(2015, 5, 1), "day", "male", "present"),
        ("2", "200", "斎藤花", None, "year", None, "unreadable"),
        ("~a-3", "300", "名無子", None, "unknown", None, "blank"),
    ]


def test_deltas_add_up_until_the_day(staged: duckdb.DuckDBPyConnection) -> None:
    rows = staged.execute("select month, absent_days from staging.stg_education__attendance order by month").fetchall()
    assert rows == [(dt.date(2026, 4, 1), 2), (dt.date(2026, 5, 1), 0)]


def test_functions_agree_with_their_reference() -> None:
    texts = ["渡邉　太郎", "MARIA SILVA", "〓{F040} 花", "", None, "戸田市新曽２丁目３－１", "令和4年5月頃"]
    with duckdb.connect() as con:
        register(con)
        register(con)
        for text in texts:
            row = con.execute(
                "select kodomo_name(?).match, kodomo_kana(?).match, kodomo_address(?).match,"
                " kodomo_uncertain_date(?, 'iso', 'jis').earliest",
                [text] * 4,
            ).fetchone()
            if text is None:
                assert row == (None, None, None, None)
            else:
                assert row == (
                    match_name(text).match,
                    match_kana(text).match,
                    match_address(text).match,
                    read_date(text, "iso", "jis").earliest,
                )
