"""One odd record, of whatever kind, never stops a town: it is linked, asked about or alone, and no check is critical."""

from __future__ import annotations

import re
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.linkage.assignment import one_birth
from kodomo_platform.linkage.watch import CRITICAL, judge, read_metrics
from tests.integration.linked_town import HOSPITAL, REGISTER, SCHOOL, empty_town, identity, link, people, write_identity

# splink's SQL parser warns about its own accelerator when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")

PLACE = 6  # the child whom the odd record is like
TWIN = {"name_match": "佐藤蓮斗", "given_match": "蓮斗", "kana_match": "サトウレント", "given_kana_match": "レント"}
# what may be odd about a record: each alone, in each source
ODD: dict[str, dict[str, Any]] = {
    "other_year": {"birth_date": date(2009, 2, 3)},
    "year_for_unknown": {"birth_date": date(1900, 1, 1)},
    "born_tomorrow": {"birth_date": date(2100, 1, 1)},
    "era_slip": {"birth_date": date(1989, 5, 5)},
    "no_birth_date": {"birth_date": None},
    "other_sex": {"sex": "female"},
    "no_sex": {"sex": None},
    "other_number": {"resident_number": "000007"},
    "unknown_number": {"resident_number": "999999"},
    "own_number": {"resident_number": f"{PLACE:06d}"},
    "own_number_other_year": {"resident_number": f"{PLACE:06d}", "birth_date": date(2009, 2, 3)},
    "twin_name": TWIN,
    "twin_name_and_number": TWIN | {"resident_number": f"{PLACE:06d}"},
    "no_name": dict.fromkeys(("name_match", "surname_match", "given_match", "kana_match", "surname_kana_match", "given_kana_match")),
    "same_again": {},
    "elsewhere": {"address_town": "隣町", "address_block": "9-9-9", "phone_match": None},
    "nothing_but_a_name": {"birth_date": None, "sex": None, "address_town": None, "address_block": None, "phone_match": None},
}  # fmt: skip
_METRIC = Path(__file__).parents[2] / "dbt_project/models/linkage/lnk_metric.sql"


def town_with(con: duckdb.DuckDBPyConnection, source: str, odd: dict[str, Any]) -> None:
    """A linked town of 40 children with one record more, and its metrics."""
    empty_town(con)
    row = identity(source, "odd", PLACE, **odd)
    if source == REGISTER:
        row |= {"resident_number": "odd", "household_number": f"H{PLACE}"}
    write_identity(con, [*people(40), row])
    link(con)
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"linkage.\1", _METRIC.read_text(encoding="utf-8"))
    sql = sql.replace("{{ source('ops', 'child_id') }}", "ops.child_id")
    con.execute(f"create table linkage.lnk_metric as {sql}")


# every kind in a source without duplicates rules, and in turn in one of the two that have them
_CASES = [*product(ODD, (HOSPITAL,)), *((kind, (REGISTER, SCHOOL)[place % 2]) for place, kind in enumerate(ODD))]


@pytest.mark.parametrize(("kind", "source"), _CASES)
def test_one_odd_record_stops_nothing(home: Path, kind: str, source: str) -> None:
    with duckdb.connect() as con:
        town_with(con, source, ODD[kind])
        findings = judge(read_metrics(con))
        assert [finding.check for finding in findings if finding.outcome == CRITICAL] == []
        clusters = con.execute(
            "select list(i.birth_date) filter (where i.birth_date > date '1900-01-01' and c.match_method not in ('number', 'review')), "
            "count(*) filter (where c.source = 'resident.register') "
            "from linkage.lnk_cluster as c join linkage.lnk_identity as i using (source, source_record_id) "
            "where c.child_id is not null group by c.child_id"
        ).fetchall()
        assert all(one_birth(set(births or [])) for births, _ in clusters)
        assert all(registers <= 1 for _, registers in clusters)
        # nobody else lost a record over it
        (children,) = con.execute("select count(distinct child_id) from linkage.lnk_cluster").fetchone() or (0,)
        assert 40 <= children <= 41
