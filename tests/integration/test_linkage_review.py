"""What reviewers get and give back: sheets, samples, decisions that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from openpyxl import load_workbook

from kodomo_platform import operations
from kodomo_platform.errors import LinkageError, OperationsError
from kodomo_platform.linkage.review import export_sheet, find, import_sheet, queue, waterfall
from kodomo_platform.linkage.sampling import _allocation, draw_sample, estimate
from tests.integration import linked_town as town

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
DECISION, BY, REASON, RECORD = "M", "N", "O", "H"
A, B, C = (town.REGISTER, "1"), (town.SCHOOL, "s1"), (town.HOSPITAL, "h1")


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    town.empty_town(con)
    rows = [
        row | ({} if row["source"] == town.REGISTER or place % 2 else {"resident_number": None, "address_block": None})
        for place, row in enumerate(town.people(120))
    ]
    # a number that somebody bears whom the register does not know: a question
    rows.append(town.identity(town.SCHOOL, "s1000", 1000, resident_number="000002"))
    town.write_identity(con, rows)
    town.link(con)
    yield con
    con.close()
    operations.close()


def fill(sheet: Path, change: Callable[[Any], None]) -> None:
    book = load_workbook(sheet)
    change(book.worksheets[0])
    book.save(sheet)
    book.close()


def judge(sheet: Path, decide: Callable[[tuple[str, str], tuple[str, str]], str | None]) -> None:
    def write(page: Any) -> None:
        for row in range(3, page.max_row + 1):
            left, right = ((page[f"{a}{row}"].value, page[f"{b}{row}"].value) for a, b in (("E", "F"), ("G", "H")))
            decision = decide(left, right)
            if decision:
                page[f"{DECISION}{row}"], page[f"{BY}{row}"], page[f"{REASON}{row}"] = decision, "甲", "原本を見た"

    fill(sheet, write)


def person(record: tuple[str, str]) -> str:
    return record[1].lstrip("sh").lstrip("0") or "0"


def test_a_sheet_shows_both_records_and_the_evidence_in_words(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sheet = tmp_path / "review.xlsx"
    assert export_sheet(con, town.CODE, sheet) == len(queue(con, town.CODE)) > 0
    page = load_workbook(sheet).worksheets[0]
    assert page["I3"].value.startswith("氏名：")
    assert "名（漢字・カナ）：" in page["K3"].value
    assert page.protection.sheet
    assert (page["H3"].protection.locked, page[f"{DECISION}3"].protection.locked) == (True, False)
    assert (page.page_setup.orientation, page.print_title_rows) == ("landscape", "$2:$2")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"M3": "たぶん", "N3": "甲", "O3": "理由"}, "row 3: the decision is neither"),
        ({"M3": "同じ"}, "row 3: a decision needs a name and a reason"),
        ({"I3": "氏名：別の名"}, "row 3: altered"),
        ({"L3": "０"}, "row 3: altered"),
        ({"A1": "something else"}, "no review sheet of this version"),
        ({"B1": "132071"}, "another municipality"),
    ],
)
def test_a_sheet_edited_wrongly_is_refused_whole(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, cells: dict[str, str], fault: str
) -> None:
    sheet = tmp_path / "review.xlsx"
    export_sheet(con, town.CODE, sheet)
    fill(sheet, lambda page: [page.__setitem__(cell, value) for cell, value in cells.items()])
    with pytest.raises(LinkageError, match=fault):
        import_sheet(town.CODE, sheet)
    assert operations.review_decisions(town.CODE) == []


def test_two_reviewers_do_not_overrule_each_other(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first, second = tmp_path / "first.xlsx", tmp_path / "second.xlsx"
    export_sheet(con, town.CODE, first)
    export_sheet(con, town.CODE, second)
    judge(first, lambda left, right: "別人")
    judge(second, lambda left, right: "同じ")
    asked = len(queue(con, town.CODE))
    assert import_sheet(town.CODE, first).taken == asked
    again = import_sheet(town.CODE, second)
    assert (again.taken, len(again.refused)) == (0, asked)
    assert {decision.decision for decision in operations.review_decisions(town.CODE)} == {"different"}
    town.link(con)
    assert queue(con, town.CODE) == []


def test_decisions_that_contradict_each_other_together_are_refused(home: Path) -> None:
    operations.review_decide(town.CODE, A, B, "same", operations.Act("甲", "確認", "linkage"))
    operations.review_decide(town.CODE, A, C, "different", operations.Act("甲", "確認", "linkage"))
    with pytest.raises(OperationsError, match="contradicts earlier ones"):
        operations.review_decide(town.CODE, B, C, "same", operations.Act("乙", "確認", "linkage"))
    operations.review_decide(town.CODE, B, C, "different", operations.Act("乙", "確認", "linkage"))
    other = (town.HOSPITAL, "h2")
    operations.review_decide(town.CODE, B, other, "same", operations.Act("乙", "確認", "linkage"))
    with pytest.raises(OperationsError, match="contradicts earlier ones"):
        operations.review_decide(town.CODE, A, other, "different", operations.Act("丙", "確認", "linkage"))
    operations.close()


def test_a_waterfall_adds_up_to_the_weight(con: duckdb.DuckDBPyConnection) -> None:
    (pair_id,) = con.execute(
        "select pair_id from linkage.lnk_edge where kind = 'probabilistic' order by pair_id limit 1"
    ).fetchone() or ("",)
    con.execute("insert into linkage.lnk_review_queue select * from linkage.lnk_edge where pair_id = ?", [pair_id])
    steps = waterfall(con, find(con, town.CODE, pair_id))
    assert sum(step[2] for step in steps[:-1]) == pytest.approx(steps[-1][2])
    assert steps[-1][0] == "合計"


def test_a_sample_judged_rightly_gives_the_true_shares(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sheet = tmp_path / "sample.xlsx"
    strata = draw_sample(con, town.CODE, sheet, size=120)
    assert {stratum.part for stratum in strata} >= {"linked", "queued"}
    page = load_workbook(sheet).worksheets[0]
    assert {page[f"B{row}"].value for row in range(3, page.max_row + 1)} == {"標本"}
    assert {page[f"C{row}"].value for row in range(3, page.max_row + 1)} == {None}

    judge(sheet, lambda left, right: "同じ" if person(left) == person(right) else "別人")
    found = estimate(town.CODE, sheet)
    assert found.precision == 1.0
    assert found.precision_ci95[0] < 1.0
    assert found.recall_ci95[0] <= found.recall <= found.recall_ci95[1]
    # the same sheet's decisions may be taken over
    assert import_sheet(town.CODE, sheet).taken == found.judged


def test_wrong_links_in_a_sample_lower_precision(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sheet = tmp_path / "sample.xlsx"
    draw_sample(con, town.CODE, sheet, size=120)
    judge(sheet, lambda left, right: "別人" if person(left) in {"3", "9", "15", "21", "27"} else "同じ")
    found = estimate(town.CODE, sheet)
    assert found.precision < 1.0
    assert found.precision_ci95[0] < found.precision < found.precision_ci95[1]


def test_the_same_seed_draws_the_same_pairs_and_another_draws_others(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    drawn = [draw_sample(con, town.CODE, tmp_path / "s.xlsx", size=120, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_sample_that_lost_rows_or_its_design_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sheet = tmp_path / "sample.xlsx"
    draw_sample(con, town.CODE, sheet, size=120)
    with pytest.raises(LinkageError, match="nothing in this sample was judged"):
        estimate(town.CODE, sheet)
    fill(sheet, lambda page: page.delete_rows(5))
    with pytest.raises(LinkageError, match="missing from the sheet"):
        estimate(town.CODE, sheet)
    book = load_workbook(sheet)
    book["標本設計"]["A2"] = book["標本設計"]["A2"].value.replace('"size": ', '"size": 9')
    book.save(sheet)
    book.close()
    with pytest.raises(LinkageError, match="design was altered"):
        estimate(town.CODE, sheet)
    export_sheet(con, town.CODE, sheet)
    with pytest.raises(LinkageError, match="no clerical sample"):
        estimate(town.CODE, sheet)
    with pytest.raises(LinkageError, match="too small"):
        draw_sample(con, town.CODE, sheet, size=5)


def test_a_sample_is_dealt_out_whole() -> None:
    assert _allocation({"a": 3, "b": 100, "c": 1000}, 203) == {"a": 3, "b": 100, "c": 100}
    assert _allocation({"a": 3, "b": 4}, 100) == {"a": 3, "b": 4}
