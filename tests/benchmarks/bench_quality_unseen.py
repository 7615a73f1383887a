"""Faults that stand on no list the suites were written from: how many of them are found.

They are put into the texts of a clean twin before its files are written, so they pass through the municipality's own
formats and encodings, the door and staging as an office's slips do. `CELLS` go into single rows, `COLUMNS` spoil a whole
column of a file (the truth then lists every row of it). Some cannot be seen by anyone who has the files alone (a value that
is wrong and plausible); they stay in the figure. Sizes: ``KODOMO_BENCH_CHILDREN`` (1000), ``KODOMO_BENCH_MUNICIPALITIES``
(112241,132071,401307), ``KODOMO_BENCH_SEED`` (1); ``KODOMO_BENCH_KEEP`` keeps the twins.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kodomo_platform.catalog import Source
from kodomo_platform.municipalities import SourceConfig
from kodomo_platform.quality.evaluation import evaluate_quality
from kodomo_platform.synthetic import generation, writing
from kodomo_platform.synthetic.faults import Injection
from kodomo_platform.synthetic.truth import Truth
from kodomo_platform.synthetic.world import Frame, World
from tests.benchmarks.bench_quality_detection import stage

FACTS = {"int", "decimal"}
ROWS_PER_FAULT = 4


@dataclass
class File:
    """One source's texts of one extract: what a fault may look at and change."""

    source: Source
    config: SourceConfig
    frame: Frame
    text: dict[str, list[str]]
    day: dt.date
    dice: random.Random

    def date(self, item: str, day: dt.date) -> str:
        return writing.write_date(day, self.config.dates_of(item), self.source.by_name[item].type == "month")

    def day_of(self, item: str, row: int) -> dt.date | None:
        value = self.frame.columns[item][row].astype("datetime64[D]").astype(object)
        return value if isinstance(value, dt.date) else None

    def other(self, item: str, row: int) -> str:
        """The same item of another row whose text differs."""
        values = self.text[item]
        for _ in range(40):
            value = values[self.dice.randrange(len(values))]
            if value.strip() and value != values[row]:
                return value
        return values[row]


Change = Callable[[File, str, int], "str | None"]


def _typed(*types: str) -> Callable[[File], list[str]]:
    return lambda file: [i.name for i in file.source.items if i.type in types and i.name in file.text]


def _named(*names: str) -> Callable[[File], list[str]]:
    return lambda file: [name for name in names if name in file.text]


def _in(source: str, *names: str) -> Callable[[File], list[str]]:
    return lambda file: [name for name in names if file.source.key == source and name in file.text]


def _years(years: int) -> Callable[[str], Change]:
    def made(item: str) -> Change:
        def change(file: File, _value: str, row: int) -> str | None:
            day = file.day_of(item, row)
            return None if day is None else file.date(item, day.replace(year=day.year + years, day=min(day.day, 28)))

        return change

    return made


def _days(days: int) -> Callable[[str], Change]:
    def made(item: str) -> Change:
        def change(file: File, _value: str, row: int) -> str | None:
            day = file.day_of(item, row)
            return None if day is None else file.date(item, day + dt.timedelta(days=days))

        return change

    return made


def _same(change: Change) -> Callable[[str], Change]:
    return lambda _item: change


def _scaled(factor: float) -> Callable[[str], Change]:
    return _same(lambda _f, v, _r: f"{float(v) * factor:g}" if float(v) > 0 else None)


def _other_style(item: str) -> Change:
    def change(file: File, _value: str, row: int) -> str | None:
        day = file.day_of(item, row)
        if day is None or file.source.by_name[item].type == "month":
            return None
        style = file.config.dates_of(item).style
        return f"{day.month:02d}/{day.day:02d}/{day.year}" if style != "slash" else f"{day.day}-{day.month}-{day.year}"

    return change


def _invalid_day(item: str) -> Change:
    def change(file: File, _value: str, row: int) -> str | None:
        day = file.day_of(item, row)
        if day is None or file.config.dates_of(item).style == "excel_serial":
            return None
        whole = file.date(item, dt.date(day.year, 1, 28))
        return {"slash": whole.replace("/01/28", "/02/30").replace("/1/28", "/2/30"), "iso": whole.replace("-01-28", "-02-30")}.get(
            file.config.dates_of(item).style, whole.replace("1月28日", "2月30日").replace(".1.28", ".2.30").replace("0128", "0230")
        )  # fmt: skip

    return change


def _transposed(_file: File, value: str, _row: int) -> str | None:
    for at in range(len(value) - 2, 0, -1):
        if value[at] != value[at + 1] and value[at : at + 2].isdigit():
            return value[:at] + value[at + 1] + value[at] + value[at + 2 :]
    return None


def _swap_code(file: File, value: str, _row: int) -> str | None:
    pairs = {
        "男": "女",
        "女": "男",
        "1": "2",
        "2": "1",
        "M": "F",
        "F": "M",
        "男性": "女性",
        "女性": "男性",
        "男子": "女子",
        "女子": "男子",
    }
    return pairs.get(value)


# kind, items, change. None from a change: this row cannot have the fault.
CELLS: list[tuple[str, Callable[[File], list[str]], Callable[[str], Change]]] = [
    ("letter O for zero", _typed("id", "postal", "phone"), _same(lambda _f, v, _r: v.replace("0", "O", 1) if "0" in v else None)),
    ("digits transposed in a number", _named("resident_number", "student_number", "childcare_number"), _same(_transposed)),
    ("number with a remark", _typed("id"), _same(lambda _f, v, _r: v + "(仮)")),
    ("full-width digits", _typed("id", "int", "postal"), _same(lambda _f, v, _r: v.translate(str.maketrans("0123456789", "０１２３４５６７８９")))),
    ("name cut to one character", _named("name", "guardian_name"), _same(lambda _f, v, _r: v[:1])),
    ("surname alone", _named("name"), _same(lambda _f, v, _r: v.replace("　", " ").split(" ")[0] if " " in v.replace("　", " ") else None)),
    ("test record", _named("name"), _same(lambda _f, _v, _r: "テスト　太郎")),
    ("mojibake of UTF-8", _named("name", "address", "name_kana"), _same(lambda _f, v, _r: v[:2] + "縺励▽")),
    ("question mark for a character", _named("name", "address", "guardian_name"), _same(lambda _f, v, _r: v[:-1] + "?")),
    ("U+FFFD", _named("name", "address"), _same(lambda _f, v, _r: v[:-1] + "\ufffd")),
    ("name of somebody else", _named("name"), lambda item: lambda f, _v, r: f.other(item, r)),
    ("reading of somebody else", _named("name_kana"), lambda item: lambda f, _v, r: f.other(item, r)),
    ("reading in hiragana", _named("name_kana"), _same(lambda _f, v, _r: "".join(chr(ord(c) - 96) if "ァ" <= c <= "ヶ" else c for c in v))),
    ("reading in the name's place", _named("name"), lambda _i: lambda f, _v, r: f.text["name_kana"][r] if "name_kana" in f.text else None),
    ("Latin letters in the reading", _named("name_kana"), _same(lambda _f, _v, _r: "YAMADA HANAKO")),
    ("noise before and behind", _named("name", "address"), _same(lambda _f, v, _r: f"*{v}*")),
    ("blanks around a code or date", lambda f: [] if f.config.file.format == "fixed" else _typed("code", "date", "month")(f), _same(lambda _f, v, _r: f" {v} ")),
    ("dummy telephone", _typed("phone"), lambda _i: lambda _f, _v, r: ("000-0000-0000", "090-0000-0000", "03-1234-5678", "090-1234-5678")[r % 4]),
    ("telephone of letters", _typed("phone"), _same(lambda _f, _v, _r: "なし（携帯のみ）")),
    ("postal code of another region", _typed("postal"), _same(lambda _f, _v, _r: "900-0001")),
    ("postal code of nines", _typed("postal"), _same(lambda _f, _v, _r: "999-9999")),
    ("address cut off", _typed("address"), _same(lambda _f, v, _r: v[:5])),
    ("address of another prefecture", _named("address"), _same(lambda _f, _v, _r: "沖縄県那覇市泉崎1丁目2-3")),
    ("sex contradicts the register", lambda f: ["sex"] if "sex" in f.text and f.source.key != "resident.register" else [], _same(_swap_code)),
    ("code of another list", _typed("code"), _same(lambda _f, _v, _r: "99")),
    ("code written out with a slip", _typed("code"), _same(lambda _f, v, _r: v + "?")),
    ("birth one year off", _named("birth_date"), _years(1)),
    ("birth ten years off", _named("birth_date"), _years(10)),
    ("birth in the future", _named("birth_date"), lambda i: lambda f, _v, _r: f.date(i, f.day + dt.timedelta(days=200))),
    ("birth as 1900-01-01", _named("birth_date"), lambda i: lambda f, _v, _r: f.date(i, dt.date(1900, 1, 1)) if not f.config.dates_of(i).style.startswith("wareki") else "明治33年1月1日"),
    ("event one year ahead", lambda f: [f.source.event_date] if f.source.event_date in f.text and f.source.by_name[f.source.event_date].type == "date" else [], _years(1)),
    ("event decades ago", lambda f: [f.source.event_date] if f.source.event_date in f.text and f.source.by_name[f.source.event_date].type == "date" else [], _years(-30)),
    ("30 February", _typed("date"), _invalid_day),
    ("date in another order", _typed("date"), _other_style),
    ("date and time", _typed("date"), _same(lambda _f, v, _r: v + " 00:00:00")),
    ("end before its start", _named("left_on", "ended_on", "closed_on", "expires_on", "valid_until"), _years(-40)),
    ("end one day before its start", _in("welfare.case", "closed_on"), lambda i: lambda f, _v, r: f.date(i, f.day_of("opened_on", r) - dt.timedelta(days=1))),
    ("decimal comma", _typed("decimal"), _same(lambda _f, v, _r: v.replace(".", ",") if "." in v else None)),
    ("unit behind a number", _typed("int", "decimal"), _same(lambda _f, v, _r: v + "件")),
    ("number negative", _typed("int", "decimal"), _same(lambda _f, v, _r: f"-{v}" if float(v) else "-3")),
    ("number of a hundred", _typed("int", "decimal"), lambda i: _same(lambda _f, v, _r: f"{v}00" if float(v) > 0 else None)(i)),
    ("height in millimetres", _named("height_cm"), _scaled(10)),
    ("height in inches", _named("height_cm"), _scaled(0.3937)),
    ("weight in pounds", _named("weight_kg"), _scaled(2.2046)),
    ("height and weight in each other's place", _named("height_cm"), lambda _i: lambda f, _v, r: f.text["weight_kg"][r]),
    ("yen in thousands", _named("unpaid_yen"), _scaled(0.001)),
    ("grade zero", _in("education.enrolment", "grade"), _same(lambda _f, _v, _r: "0")),
    ("grade one off", _in("education.enrolment", "grade"), _same(lambda _f, v, _r: str(int(v) + 1) if int(v) < 9 else str(int(v) - 1))),
    ("grade ten", _in("education.enrolment", "grade"), _same(lambda _f, _v, _r: "10")),
    ("school that nobody has", _named("school_code", "facility_code"), _same(lambda _f, v, _r: v[:-2] + "97")),
    ("absent above the school's days", _in("education.attendance", "absent_days"), lambda _i: lambda f, _v, r: str(int(f.text["school_days"][r]) + 1)),
    ("days of school one third of the others'", _in("education.attendance", "school_days"), _same(lambda _f, v, _r: str(int(v) // 3 + 20 * (int(v) < 5)))),
    ("late more than the school's days", _in("education.attendance", "late_days"), lambda _i: lambda f, _v, r: str(int(f.text["school_days"][r]) + 2)),
    ("check-up's date at another age", _in("health.infant_checkup", "checked_on"), _years(2)),
    ("check-up of another age", _in("health.infant_checkup", "checkup"), lambda i: lambda f, _v, r: f.other(i, r)),
    ("result without a check-up", _in("health.infant_checkup", "checked_on"), _same(lambda _f, _v, _r: "")),
    ("weeks of pregnancy above 45", _named("gestational_weeks"), _same(lambda _f, _v, _r: "52")),
    ("mother is the child", _named("mother_number"), lambda _i: lambda f, _v, r: f.text["resident_number"][r]),
    ("answer off the scale", _named("mood", "sleep", "friends", "home"), _same(lambda _f, _v, _r: "6")),
    ("hours above the week", _named("care_hours"), _same(lambda _f, _v, _r: "200")),
    ("formula", _typed("name", "address", "text"), _same(lambda _f, _v, _r: "=HYPERLINK(\"x\")")),
    ("error of a spreadsheet", _typed("id", "int", "date", "name"), _same(lambda _f, _v, _r: "#REF!")),
    ("word for nothing", _typed("id", "date", "address", "name"), lambda _i: lambda _f, _v, r: ("NULL", "N/A", "未入力", "undefined")[r % 4]),
    ("guardian is the child", _named("guardian_name"), lambda _i: lambda f, _v, r: f.text["name"][r]),
    ("number of a household nobody has", _in("resident.register", "household_number"), _same(_transposed)),
    ("two heads of one household", _in("resident.register", "relationship"), lambda i: lambda f, v, r: next((t for t, c in zip(f.text[i], f.frame.columns[i], strict=True) if c == "head"), None) if f.frame.columns[i][r] == "spouse" else None),
    ("parent younger than twelve at birth", _in("resident.register", "birth_date"), lambda i: lambda f, _v, r: f.date(i, dt.date(f.day.year - 8, 5, 5)) if f.frame.columns["relationship"][r] in ("head", "spouse") else None),
    ("left without a reason", _in("resident.register", "left_reason"), _same(lambda _f, _v, _r: "")),
]  # fmt: skip


def _doubled(file: File, row: int, copy: dict[str, str]) -> str:
    """A second row of the same key with one other value."""
    names = [n for n in copy if n not in file.source.natural_key and n != file.source.record_key and copy[n].strip()]
    if not names:
        return "*"
    name = names[row % len(names)]
    copy[name] = file.other(name, row)
    return "*"


def _second_number(file: File, row: int, copy: dict[str, str]) -> str:
    """The same person under a second number (a branch number, a second registration)."""
    key = file.source.record_key
    copy[key] = (
        copy[key][:-2] + f"{(int(copy[key][-2:]) + 37) % 100:02d}" if copy[key][-2:].isdigit() else copy[key] + "-2"
    )
    return key


def _heading(file: File, row: int, copy: dict[str, str]) -> str:
    for name in copy:
        copy[name] = file.source.by_name[name].label_ja[:6]
    return "*"


def _total(file: File, row: int, copy: dict[str, str]) -> str:
    for name in copy:
        copy[name] = "合計" if name == file.source.record_key else ""
    return "*"


def _shifted(file: File, row: int, copy: dict[str, str]) -> str:
    names = [n for n in copy if n != file.source.record_key]
    for left, right in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
        copy[right] = copy[left]
    return "*"


# kind, whether the source can have it, what is made of a copy of a row (the item that the truth names)
ROWS: list[tuple[str, Callable[[File], bool], Callable[[File, int, dict[str, str]], str]]] = [
    ("row doubled with another value", lambda _f: True, _doubled),
    ("person under a second number", lambda f: f.source.is_identity and "name" in f.text, _second_number),
    ("heading inside the file", lambda f: f.config.file.format != "fixed", _heading),
    ("row of totals", lambda _f: True, _total),
    ("cells shifted by one column", lambda f: len(f.text) > 3 and f.config.file.format != "fixed", _shifted),
]  # fmt: skip


def _alike(values: list[str]) -> list[str]:
    first = next(v for v in values if v.strip())
    return [first if v.strip() else v for v in values]


# kind, source, item, what becomes of the column
COLUMNS: list[tuple[str, str, str, Callable[[list[str]], list[str]]]] = [
    ("column of one value", "education.enrolment", "birth_date", _alike),
    ("column moved by one row", "education.enrolment", "name", lambda v: [*v[1:], v[0]]),
    ("column sorted", "education.school_checkup", "height_cm", sorted),
    ("column sorted", "education.attendance", "absent_days", lambda v: sorted(v, key=lambda t: (len(t), t))),
    ("column blank", "education.fees", "unpaid_yen", lambda v: [""] * len(v)),
    ("column of one value", "welfare.child_benefit", "started_on", _alike),
    ("sexes the wrong way round", "childcare.enrolment", "sex", lambda v: [_swap_code(None, t, 0) or t for t in v]),  # type: ignore[arg-type]
    ("column moved by one row", "resident.register", "birth_date", lambda v: [*v[1:], v[0]]),
    ("column of another unit", "education.school_checkup", "weight_kg", lambda v: [f"{float(t) * 2.2046:.1f}" if t.strip() else t for t in v]),
    ("column of one value", "survey.wellbeing", "mood", _alike),
    ("column blank", "childcare.enrolment", "address", lambda v: [""] * len(v)),
    ("column moved by one row", "health.infant_checkup", "checked_on", lambda v: [*v[1:], v[0]]),
]  # fmt: skip


class Unseen:
    """Stands in for the twins' own injection: same place, other faults."""

    def __init__(self, columns: bool) -> None:
        self.columns = columns

    def __call__(
        self, world: World, source: Source, config: SourceConfig, frame: Frame, text: dict[str, Any],
        blanks: dict[str, Any], day: dt.date, truth: Truth,
    ) -> Injection:  # fmt: skip
        if len(frame) < 60:
            return Injection(text, frame.person)
        texts = {name: pa.array(values).to_pylist() if isinstance(values, list) else values.to_pylist() for name, values in text.items()}  # fmt: skip
        file = File(source, config, frame, texts, day, random.Random(f"{source.key}{world.seed}"))
        person = frame.person
        if self.columns:
            for kind, key, item, change in COLUMNS:
                if key == source.key and item in texts and any(v.strip() for v in texts[item]):
                    before = list(texts[item])
                    texts[item] = change(before)
                    rows = [n for n, (a, b) in enumerate(zip(before, texts[item], strict=True)) if a != b]
                    truth.add_faults(source.key, day, np.array(rows) + 1, item, kind)
        else:
            person = self._cells(file, truth, blanks)
        return Injection({name: pa.array(values, pa.string()) for name, values in texts.items()}, person)

    def _cells(self, file: File, truth: Truth, blanks: dict[str, Any]) -> Any:
        source, texts = file.source, file.text
        size = len(file.frame)
        free = list(range(size))
        file.dice.shuffle(free)
        used: set[int] = set()
        most = max(1, min(ROWS_PER_FAULT, size // 250))
        for kind, items, make in CELLS:
            for item in items(file):
                change, done = make(item), 0
                for row in free:
                    if done >= most or len(used) > size * 0.4:
                        break
                    if row in used or blanks[item][row] or not texts[item][row].strip():
                        continue
                    value = change(file, texts[item][row], row)
                    if value is None or value == texts[item][row]:
                        continue
                    try:
                        value.encode(file.config.file.encoding or "utf-8")
                    except UnicodeEncodeError:
                        continue
                    texts[item][row] = value
                    used.add(row)
                    done += 1
                    truth.add_faults(source.key, file.day, np.array([row + 1]), item, kind)
        people = file.frame.person.tolist()
        for kind, can, copy_of in ROWS:
            if not can(file):
                continue
            for row in [r for r in free if r not in used][:most]:
                copy = {name: values[row] for name, values in texts.items()}
                item = copy_of(file, row, copy)
                used.add(row)
                for name, value in copy.items():
                    texts[name].append(value)
                people.append(people[row])
                truth.add_faults(source.key, file.day, np.array([len(people)]), item, kind)
        return np.array(people, dtype=file.frame.person.dtype)


def run() -> list[dict[str, Any]]:
    """One row per municipality and way of spoiling."""
    children = int(os.environ.get("KODOMO_BENCH_CHILDREN", "1000"))
    seed = int(os.environ.get("KODOMO_BENCH_SEED", "1"))
    codes = os.environ.get("KODOMO_BENCH_MUNICIPALITIES", "112241,132071,401307").split(",")
    own = generation.inject
    rows: list[dict[str, Any]] = []
    kinds: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as temporary:
        base = Path(os.environ.get("KODOMO_BENCH_KEEP") or temporary)
        for code in codes:
            for columns in (False, True):
                folder = base / f"{code}_unseen_{'columns' if columns else 'cells'}_{children}_{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                generation.inject = Unseen(columns)  # type: ignore[assignment,attr-defined]
                try:
                    warehouse = stage(code, "clean", children, seed, folder, base / "target")
                finally:
                    generation.inject = own
                found = evaluate_quality(code, folder / "truth", warehouse=warehouse)
                (folder / "found.json").write_text(
                    json.dumps(found.as_dict(), indent=1, default=str, ensure_ascii=False)
                )
                for kind, counts in found.by_kind.items():
                    sums = kinds.setdefault(kind, [0, 0])
                    sums[0] += counts["total"]
                    sums[1] += counts["found"]
                rows.append(
                    {
                        "what": f"{code}: {'columns' if columns else 'cells'} of no list",
                        "kinds": f"{found.kinds_found}/{found.kinds_total}",
                        "faults": found.faults,
                        "recall": round(found.row_recall, 4),
                        "precision": round(found.row_precision, 4),
                        "false_alarms": found.false_alarms,
                    }
                )
                print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr)
    for kind, (total, hit) in sorted(kinds.items(), key=lambda entry: entry[1][1] / entry[1][0]):
        if hit < total:
            print(f"{hit / total:6.3f} {hit}/{total} {kind}", file=sys.stderr)
    return rows


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row, ensure_ascii=False))
