"""Great Expectations by push-down on a warehouse's file: it counts what plain SQL counts, and never opens it twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, write_configuration
from kodomo_platform.quality import validate
from kodomo_platform.warehouse import connect, create_schemas

AS_OF = dt.date(2026, 10, 1)
CODE = "112241"
TABLES = ["raw.raw_education__fees", "raw.raw_education__school_checkup"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def file(home: object, tmp_path: Path) -> Path:
    path = tmp_path / "town.duckdb"
    con = connect(path)
    create_schemas(con)
    catalog = load_catalog()
    write_configuration(con, load_municipality(CODE), catalog, AS_OF)
    for table in TABLES:
        source = next(s for s in catalog.sources.values() if f"raw.{s.raw_table}" == table)
        items = ", ".join(f'"{item.name}" varchar' for item in source.items)
        con.execute(
            f"create table {table} ({items}, _municipality varchar, _extract_date date, _source_file_sha256 varchar, "
            "_row_number bigint)"
        )
        texts = ", ".join(
            {
                "date": "'令和8年4月' || (1 + i % 40) || '日'",
                "month": "'令和8年4月'",
                "id": "lpad(i::varchar, 8, '0')",
            }.get(item.type, "(i % 50)::varchar")
            for item in source.items
        )
        con.execute(
            f"insert into {table} select {texts}, '{CODE}', date '2026-10-01', repeat('a', 64), i "
            "from range(1, 500) as r(i)"
        )
    con.close()
    return path


def test_both_engines_count_the_same(file: Path) -> None:
    by_gx = validate(file, CODE, TABLES, "gx", AS_OF, engine="gx")
    by_sql = validate(file, CODE, TABLES, "sql", AS_OF, engine="sql")
    assert any(not result.passed for result in by_gx)
    assert not any(result.status == "error" for result in by_gx)
    compared = [(r.expectation_id, r.evaluated, r.unexpected, r.status) for r in by_gx]
    assert compared == [(r.expectation_id, r.evaluated, r.unexpected, r.status) for r in by_sql]


def test_runs_read_only_and_on_an_open_connection(file: Path) -> None:
    assert validate(file, CODE, TABLES, "r", AS_OF, record=False)
    con = duckdb.connect(str(file))
    assert validate(con, CODE, TABLES, "r", AS_OF)
    assert con.execute("select count(*) from quality.results").fetchone() != (0,)
    con.close()


def test_data_docs_are_read_without_a_network(file: Path, tmp_path: Path) -> None:
    from kodomo_platform.quality.data_docs import write_data_docs

    con = connect(file)
    results = validate(con, CODE, TABLES, "r1", AS_OF)
    con.close()
    index = write_data_docs(results, tmp_path / "docs")
    write_data_docs(results, tmp_path / "docs")  # a second time replaces the first
    pages = {page.name: page.read_text(encoding="utf-8") for page in index.parent.iterdir()}
    assert set(pages) == {"index.html", *(f"{table}.html" for table in TABLES)}
    for text in pages.values():
        assert "http://" not in text
        assert "https://" not in text
        assert "<script" not in text
        assert "<link" not in text
        assert 'src="//' not in text
    assert results[0].label_ja in pages[f"{TABLES[0]}.html"]
    assert sum(map(len, pages.values())) < 1_000_000
