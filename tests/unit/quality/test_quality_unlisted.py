"""Slips that no twin puts in: what the suites make of them, and how a truth with kinds unknown here is measured."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.errors import UsageError
from kodomo_platform.quality import validate
from kodomo_platform.quality.evaluation import evaluate_quality

from .conftest import AS_OF, CODE, fill

PUPILS = "raw.raw_education__enrolment"
MONTHS = "raw.raw_education__attendance"


def pupils(n: int = 240) -> list[dict[str, str | None]]:
    return [
        {
            "student_number": f"{10_000_000 + i * 7}", "name": f"山田　{chr(0x4E00 + i)}子", "name_kana": f"ヤマダ　{'アイウエオ'[i % 5]}コ",
            "birth_date": f"2017/{1 + i % 12:02d}/{1 + i % 28:02d}", "sex": "男", "postal_code": f"335-00{i % 9 + 10}",
            "address": f"埼玉県戸田市新曽{i + 1}番地", "guardian_name": f"山田　{chr(0x4E00 + i)}一", "school_code": f"100{i % 3}",
            "guardian_phone": f"048-{441 + i}-{2090 + i}", "grade": "3", "class": "1", "enrolled_on": f"2024/04/{1 + i % 3:02d}",
        }
        for i in range(n)
    ]  # fmt: skip


def months(n: int = 240) -> list[dict[str, str | None]]:
    return [
        {
            "student_number": f"{10_000_000 + i % 30 * 7}", "month": f"2026/{1 + i // 30:02d}", "school_days": "20",
            "absent_days": str(i * 7 % 5), "late_days": str(i % 3), "early_leave_days": str(i % 2),
        }
        for i in range(n)
    ]  # fmt: skip


def failed(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    results = validate(con, CODE, [table], "r1", AS_OF, engine="sql", record=False)
    return {r.expectation_id.split(":", 1)[1]: r.unexpected for r in results if r.status in ("failed", "error")}


def test_a_sound_file_raises_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.enrolment", pupils())
    fill(warehouse, "education.attendance", months())
    assert {key for key in failed(warehouse, PUPILS) if not key.startswith(("resident_number", "left_on"))} == set()
    assert failed(warehouse, MONTHS) == {}


@pytest.mark.parametrize(
    ("item", "value", "expectation"),
    [
        ("student_number", "1O000007", "student_number.digits"),
        ("school_code", "9999", "school_code.rare"),
        ("postal_code", "900-0001", "postal_code.rare"),
        ("postal_code", "999-9999", "postal_code.filler"),
        ("address", "沖縄県那覇市泉崎1番地", "address.rare"),
        ("address", "埼玉県戸田市?曽1番地", "address.signs"),
        ("name", "山田", "name.parts"),
        ("guardian_name", "山", "guardian_name.short"),
        ("name", "テスト　太郎", "name.trial"),
        ("name_kana", "やまだ　はなこ", "name_kana.script"),
        ("guardian_phone", "090-0000-0000", "guardian_phone.dummy"),
        ("guardian_phone", "03-1234-5678", "guardian_phone.dummy"),
        ("birth_date", "2017/01/02 00:00:00", "birth_date.style"),
        ("birth_date", "平成29年1月2日", "birth_date.style"),
        ("sex", " 男 ", "sex.trimmed"),
        ("name", "undefined", "name.filler"),
    ],
)
def test_a_slip_in_one_cell(warehouse: duckdb.DuckDBPyConnection, item: str, value: str, expectation: str) -> None:
    rows = pupils()
    rows[17][item] = value
    fill(warehouse, "education.enrolment", rows)
    assert failed(warehouse, PUPILS).get(expectation) == 1


def test_a_column_sorted_by_itself_and_doubled_rows_that_differ(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = months()
    for row, value in zip(rows, sorted(str(row["absent_days"]) for row in rows), strict=True):
        row["absent_days"] = value
    rows.append({**rows[3], "late_days": "4"})
    fill(warehouse, "education.attendance", rows)
    found = failed(warehouse, MONTHS)
    # the row pasted at the end falls: a sorted column is told where nothing falls
    assert "absent_days.unsorted" not in found
    assert (found["duplicates"], found["duplicates.all"]) == (1, 2)
    warehouse.execute(f"delete from {MONTHS} where _row_number = 241")
    assert failed(warehouse, MONTHS) == {"absent_days.unsorted": 1}


def test_a_period_within_another_and_days_unlike_the_others(warehouse: duckdb.DuckDBPyConnection) -> None:
    meta = "date '2026-10-01' as _extract_date, 'f' as _source_file_sha256, i as _row_number"
    warehouse.execute(
        f"create table staging.stg_education__enrolment as select i::varchar as source_record_id, '1001' as school_code, "
        f"case when i < 2 then '70' else i::varchar end as resident_number, date '2024-04-01' + i::int as enrolled_on, "
        f"null::date as left_on, 'not_applicable' as left_on__status, {meta} from range(40) as r(i)"
    )
    warehouse.execute(
        f"create table staging.stg_education__attendance as select i::varchar as source_record_id, date '2026-05-01' as month, "
        f"case when i = 5 then 7 else 20 end as school_days, {meta} from range(40) as r(i)"
    )
    warehouse.execute("update cfg.item set held = true")
    assert failed(warehouse, "staging.stg_education__enrolment")["enrolled_on.apart"] == 1
    assert failed(warehouse, "staging.stg_education__attendance")["school_days.as_others"] == 1


def truth_of(folder: Path, lines: list[str]) -> Path:
    folder.mkdir()
    (folder / "faults.csv").write_text(
        "source,extract_date,row_number,item,kind\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )
    return folder


def test_kinds_of_any_name_are_measured(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = pupils()
    rows[4]["name"] = "テスト　太郎"
    for row in rows:
        row["birth_date"] = "2017/04/01"
    fill(warehouse, "education.enrolment", rows)
    warehouse.execute(
        "insert into raw.files values ('education.enrolment', ?, 'f.csv', 'f', 240, 240, 0, 'utf-8', now(), true)",
        [AS_OF],
    )
    file = tmp_path / "town.duckdb"
    warehouse.execute(f"attach '{file}' as town; copy from database memory to town; detach town")
    day = AS_OF.isoformat()
    lines = [f"education.enrolment,{day},5,education.enrolment.name,しらない種類"]
    lines += [f"education.enrolment,{day},{n},birth_date,one day for all" for n in range(1, 241)]
    lines += [f"education.enrolment,{day},9,class,nothing wrong to see"]
    found = evaluate_quality(CODE, truth_of(tmp_path / "truth", lines), warehouse=file)
    assert (found.kinds_found, found.kinds_total) == (2, 3)
    assert found.by_kind["しらない種類"] == {"total": 1, "found": 1}
    assert found.by_kind["one day for all"] == {"total": 240, "found": 240}
    assert found.row_recall == pytest.approx(241 / 242)


def test_a_spoilt_truth_is_refused_with_its_line(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    file = tmp_path / "town.duckdb"
    warehouse.execute(f"attach '{file}' as town; copy from database memory to town; detach town")
    folder = truth_of(tmp_path / "a", [f"education.enrolment,{dt.date.today()},five,name,x"])
    with pytest.raises(UsageError, match="line 2"):
        evaluate_quality(CODE, folder, warehouse=file)
    (folder / "faults.csv").write_text("source,row_number,item\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"lacks extract_date, kind"):
        evaluate_quality(CODE, folder, warehouse=file)
