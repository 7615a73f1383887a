"""Faults of a source system, put into its texts, every one noted in the truth with row, item and kind.

A clean twin gets none. A row carries at most one fault put in here, so that each expectation can be judged alone; what a
system merely does not know (missing numbers, stale names) comes from `identity` and may coincide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.catalog import Item, Source
from kodomo_platform.municipalities import DateStyle, SourceConfig
from kodomo_platform.synthetic import writing
from kodomo_platform.synthetic.identity import half_width
from kodomo_platform.synthetic.names import FORMAL, GAIJI
from kodomo_platform.synthetic.population import check_digit
from kodomo_platform.synthetic.truth import Truth
from kodomo_platform.synthetic.world import Frame, World

Rows = npt.NDArray[np.int64]
Cells = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]

# Typical share of rows per kind: persons are typed by hand, facts mostly counted by machines.
_IDENTITY_SHARE = 0.0018
_FACT_SHARE = 0.0005
# Record-level faults stay far below the platform's default limit of 1 % rejects, even in the bad quality (5 kinds x 2.5).
_RECORD_SHARE = 0.0003
_SMALLEST = 100  # below so many rows a kind is not forced to appear

_FULL_DIGITS = str.maketrans("0123456789", "０１２３４５６７８９")
_VOICED = {c: chr(ord(c) - 1) + "゛" for c in "ガギグゲゴザジズゼゾダヂヅデドバビブベボ"} | {
    c: chr(ord(c) - 2) + "゜" for c in "パピプペポ"
}
_HALF_VOICED = {"ﾞ": "゛", "ﾟ": "゜"}
_COMMON_YEARS = (2015, 2017, 2018, 2019, 2021, 2022, 2023, 2025)


@dataclass
class Injection:
    """A source's texts after injection; ``line_edits`` are whole-record faults, applied to the joined lines."""

    text: dict[str, Any]
    person: Rows
    line_edits: list[tuple[Rows, Callable[[str], str]]] = field(default_factory=list)
    extra_columns: list[str] = field(default_factory=list)
    mixed_ends: bool = False

    def mend_lines(self, lines: Any) -> Any:
        """The joined records with the record-level faults applied."""
        for rows, edit in self.line_edits:
            lines = _replace(lines, rows, [edit(line) for line in lines.take(pa.array(rows)).to_pylist()])
        return lines


def _replace(text: Any, rows: Rows, values: Sequence[str]) -> Any:
    """``text`` with the cells at ``rows`` (ascending) replaced."""
    mask = np.zeros(len(text), dtype=bool)
    mask[rows] = True
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    return pc.replace_with_mask(text, pa.array(mask), pa.array(list(values), pa.string()))


def _separate(value: str, _row: int) -> str:
    """The first voiced mark becomes a character of its own (カ゛), as some exporters write it."""
    for at, character in enumerate(value):
        if character in _VOICED:
            return value[:at] + _VOICED[character] + value[at + 1 :]
        if character in _HALF_VOICED:
            return value[:at] + _HALF_VOICED[character] + value[at + 1 :]
    return value


class _Injector:
    """Draws disjoint rows for one kind after the other and applies the change."""

    def __init__(
        self, world: World, source: Source, config: SourceConfig, frame: Frame, text: dict[str, Any],
        blanks: dict[str, Bools], day: date, truth: Truth,
    ) -> None:  # fmt: skip
        self.world = world
        self.source = source
        self.config = config
        self.frame = frame
        self.text = text
        self.blanks = blanks
        self.day = day
        self.truth = truth
        self.rows = len(frame)
        self.rng = world.rng(source.key, "faults", str(day))
        self.free = np.ones(self.rows, dtype=bool)
        for _item, mask, _kind in frame.blanked:
            self.free &= ~mask
        self.share = (_IDENTITY_SHARE if source.is_identity else _FACT_SHARE) * world.factor

    def pick(self, among: Bools | None = None, share: float | None = None, least: bool = True) -> Rows:
        """Free rows for one kind, ascending; they are no longer free then."""
        candidates = np.flatnonzero(self.free if among is None else self.free & among)
        wanted = int(self.rng.poisson((self.share if share is None else share) * self.rows))
        if least and self.rows >= _SMALLEST:
            wanted = max(wanted, 1)
        size = min(wanted, len(candidates) // 2)
        chosen = np.sort(self.rng.choice(candidates, size, replace=False)) if size else np.zeros(0, dtype=np.int64)
        self.free[chosen] = False
        return chosen.astype(np.int64)

    def has(self, item: str) -> bool:
        """Whether the file has the item."""
        return item in self.text

    def filled(self, item: str) -> Bools:
        """Rows whose cell holds something."""
        return ~self.blanks[item]

    def note(self, rows: Rows, item: str, kind: str) -> None:
        """Into the truth, 1-based."""
        self.truth.add_faults(self.source.key, self.day, rows + 1, item, kind)

    def cells(self, item: str, kind: str, change: Callable[[str, int], str], among: Bools | None = None) -> None:
        """Change one item's cells in some rows; rows that the change leaves alone are not noted."""
        if not self.has(item):
            return
        wanted = self.filled(item) if among is None else self.filled(item) & among
        rows = self.pick(wanted)
        if not len(rows):
            return
        before = self.text[item].take(pa.array(rows)).to_pylist()
        after = [change(value, row) for value, row in zip(before, rows.tolist(), strict=True)]
        differs = np.array([a != b for a, b in zip(before, after, strict=True)], dtype=bool)
        self.text[item] = _replace(self.text[item], rows, after)
        self.note(rows[differs], item, kind)

    # ---- identity

    def identity(self) -> None:
        """Names, kana, numbers, addresses, phones."""
        names = ("name", "name_kana")
        plain = self.has("name_kana")
        if plain and not self._kana_is_half():
            self.cells("name_kana", "half_width_kana", lambda v, _r: str(half_width(np.array([v], dtype=object))[0]))
        if plain:
            self.cells(
                "name_kana",
                "separate_voiced_mark",
                _separate,
                among=self._contains("name_kana", "ガギグゲゴザジズゼゾダデドバビブベボパピプペポﾞﾟ"),
            )
        if self.source.key != "resident.register":
            self.cells(
                "name",
                "variant_character",
                self._variant,
                among=self._contains("name", "".join(k for k in FORMAL if len(k) == 1)),
            )
            self._numbers()
            self.cells("birth_date", "day_month_swapped", self._swap_day, among=self._swappable())
            self.cells(
                "birth_date", "placeholder_birth_date", lambda _v, _r: self._date("birth_date", date(1900, 1, 1))
            )
        self.cells("guardian_phone", "full_width_digits", lambda v, _r: v.translate(_FULL_DIGITS))
        self.cells("postal_code", "full_width_digits", lambda v, _r: v.translate(_FULL_DIGITS))
        self.cells("address", "surrounding_spaces", lambda v, _r: f" {v}　")
        self.cells("name", "undeclared_null", lambda _v, _r: "不明")
        self.cells("address", "undeclared_null", lambda _v, _r: "住所不定")
        for item in ("class", "department", "address"):
            if self.has(item):
                self.cells(item, "formula_cell", lambda _v, _r: "=cmd()")
                break
        if all(self.has(item) for item in names) and self.config.file.format != "fixed":
            rows = self.pick(self.filled("name") & self.filled("name_kana"))
            if len(rows):
                name, kana = (self.text[item].take(pa.array(rows)).to_pylist() for item in names)
                self.text["name"] = _replace(self.text["name"], rows, kana)
                self.text["name_kana"] = _replace(self.text["name_kana"], rows, name)
                self.note(rows, "name", "swapped_columns")
                self.note(rows, "name_kana", "swapped_columns")
        if self.config.file.encoding == "cp932" and self.has("name"):
            hits = np.flatnonzero(self._contains("name", "".join(GAIJI.values())))
            self.note(hits, "name", "gaiji")

    def _kana_is_half(self) -> bool:
        from kodomo_platform.synthetic.identity import HABITS

        return HABITS[self.source.key].half_kana

    def _contains(self, item: str, characters: str) -> Bools:
        hit = pc.match_substring_regex(self.text[item], f"[{characters}]")
        return np.asarray(hit.to_numpy(zero_copy_only=False), dtype=bool)

    def _variant(self, value: str, row: int) -> str:
        for shown, forms in FORMAL.items():
            if shown in value:
                for form, _share in forms:
                    if form not in GAIJI or self.config.file.encoding != "cp932":
                        return value.replace(shown, form, 1)
        return value

    def _numbers(self) -> None:
        item = "resident_number"
        if not self.has(item) or self.source.record_key == item:
            return
        self.cells(item, "failed_check_digit", lambda v, _r: v[:-1] + str((int(v[-1]) + 3) % 10))
        self.cells(item, "full_width_digits", lambda v, _r: v.translate(_FULL_DIGITS))
        people = self.world.people
        everyone = people.resident_number
        # the number of somebody else who is not in this file (a slip), or who is (one number, two people)
        inside = set(self.frame.person.tolist())
        adults = np.flatnonzero(~people.child & people.in_register)
        self.cells(item, "wrong_number", lambda _v, r: str(everyone[adults[(r * 7919) % len(adults)]]))
        held = np.flatnonzero(self.filled(item) & self.free)
        if len(held) > 3 and inside:
            numbers = self.text[item].to_numpy(zero_copy_only=False)
            self.cells(
                item,
                "number_reused",
                lambda v, r: next(
                    (
                        str(numbers[held[(r * 31 + step * 17) % len(held)]])
                        for step in range(1, 20)
                        if self.frame.person[held[(r * 31 + step * 17) % len(held)]] != self.frame.person[r]
                    ),
                    v,
                ),
            )

    # ---- dates

    def _date(self, item: str, day: date) -> str:
        spec = self.source.by_name[item]
        return writing.write_date(day, self.config.dates_of(item), spec.type == "month")

    def _day_of(self, item: str, row: int) -> date | None:
        value = self.frame.columns[item][row].astype("datetime64[D]").astype(object)
        return value if isinstance(value, date) else None

    def _swappable(self) -> Bools:
        days = self.frame.columns["birth_date"]
        month = days.astype("datetime64[M]")
        number = (days - month.astype("datetime64[D]")).astype(int) + 1
        return np.asarray(~np.isnat(days) & (number <= 12) & (number != month.astype(int) % 12 + 1), dtype=bool)

    def _swap_day(self, value: str, row: int) -> str:
        day = self._day_of("birth_date", row)
        return value if day is None else self._date("birth_date", date(day.year, day.day, day.month))

    def _broken(self, item: str, row: int, month: str, day_text: str, era_year: int | None = None) -> str:
        """A date text with an impossible part, in the source's style."""
        style = self.config.dates_of(item)
        known = self._day_of(item, row) or date(2022, 12, 20)
        year = known.year if (month, day_text) != ("02", "29") else _COMMON_YEARS[row % len(_COMMON_YEARS)]
        shown = "" if self.source.by_name[item].type == "month" else day_text
        if style.style == "iso":
            return f"{year}-{month}" + (f"-{shown}" if shown else "")
        if style.style == "slash":
            return f"{year}/{month}" + (f"/{shown}" if shown else "")
        if style.style == "compact":
            return f"{year}{month}{shown}"
        if style.style == "excel_serial":
            return "-5"
        era = 5 if style.era_codes == "jis" else 9
        base, letter, kanji = (2018, "R", "令和") if year >= 2019 else (1988, "H", "平成")
        code = era if year >= 2019 else (4 if style.era_codes == "jis" else 7)
        in_era = era_year or year - base
        if era_year is not None:
            code, letter, kanji = era, "R", "令和"
        if style.style == "wareki_kanji":
            return f"{kanji}{in_era}年{int(month)}月" + (f"{int(shown)}日" if shown else "")
        if style.style == "wareki_dot":
            return f"{letter}{in_era}.{int(month)}" + (f".{int(shown)}" if shown else "")
        return f"{code}{in_era:02d}{month}{shown}"

    def dates(self) -> None:
        """Impossible, uncertain and future dates."""
        items = [i for i in self.source.items if self.has(i.name) and i.type in ("date", "month")]
        for spec in items:
            name = spec.name
            keyed = name in self.source.natural_key
            if self.config.dates_of(name).style == "excel_serial":
                self.cells(name, "impossible_serial", lambda _v, _r: "-5")
            elif not keyed or self.rows > 2000:
                self.cells(name, "month_13", lambda _v, r, n=name: self._broken(n, r, "13", "05"))  # type: ignore[misc]
                if spec.type == "date":
                    self.cells(name, "february_29", lambda _v, r, n=name: self._broken(n, r, "02", "29"))  # type: ignore[misc]
                if self.config.dates_of(name).style.startswith("wareki"):
                    self.cells(name, "era_year_99", lambda _v, r, n=name: self._broken(n, r, "04", "01", 99))  # type: ignore[misc]
            if spec.uncertain:
                self.cells(name, "uncertain_date", lambda _v, r, n=name: self._about(n, r))  # type: ignore[misc]
                self.cells(
                    name, "unknown_date", lambda _v, _r: "年月日不詳" if self.config.file.format != "fixed" else "不詳"
                )
        event = self.source.event_date
        if event and self.has(event) and self.source.by_name[event].type == "date":
            self.cells(event, "future_event", lambda _v, r: self._date(event, self.day + timedelta(days=40 + r % 300)))

    def _about(self, item: str, row: int) -> str:
        day = self._day_of(item, row) or date(2022, 1, 1)
        if self.config.file.format == "fixed":
            return "不詳"
        whole = writing.write_date(day, DateStyle(style="wareki_kanji"))
        year = whole.split("年")[0] + "年"
        return (year + "頃", year + "月日不詳", whole.split("月")[0] + "月日不詳")[row % 3]

    # ---- codes, numbers, plausibility

    def values(self) -> None:
        """Unknown codes, numbers that cannot be."""
        for spec in self.source.items:
            if not self.has(spec.name):
                continue
            if spec.type == "code":
                self.cells(spec.name, "unknown_code", lambda _v, _r: "ZZ")
            elif spec.type in ("int", "decimal") and spec.name not in self.source.natural_key:
                self._number(spec)
        rule: list[tuple[str, str, str, Callable[[str, int], str]]] = [
            ("education.attendance", "absent_days", "absent_exceeds_school_days",
             lambda _v, r: str(int(self.frame.columns["school_days"][r]) + 3)),
            ("childcare.attendance", "absent_days", "absent_exceeds_open_days",
             lambda _v, r: str(int(self.frame.columns["open_days"][r]) + 3)),
            ("education.assessment", "japanese_score", "score_over_100", lambda _v, r: f"{101 + r % 90}.0"),
            ("education.enrolment", "grade", "grade_age_mismatch",
             lambda v, _r: str(int(v) + 4 if int(v) <= 5 else int(v) - 4)),
            ("health.infant_checkup", "checked_on", "checkup_before_birth", self._before_birth),
            ("health.vaccination", "vaccinated_on", "vaccination_before_birth",
             lambda v, r: self._before_birth(v, r, "vaccinated_on")),
        ]  # fmt: skip
        for source, item, kind, change in rule:
            if self.source.key == source and self.has(item):
                self.cells(item, kind, change)

    def _before_birth(self, value: str, row: int, item: str = "checked_on") -> str:
        birth = self.world.people.birth[self.frame.person[row]].astype(object)
        return self._date(item, birth - timedelta(days=60 + row % 40))

    def _number(self, spec: Item) -> None:
        self.cells(spec.name, "negative_number", lambda v, _r: f"-{float(v):g}" if float(v) > 0 else "-1")
        self.cells(
            spec.name,
            "not_a_number",
            lambda v, _r: v.replace("1", "l").replace("0", "O") if set(v) & set("01") else "多数",
        )

    # ---- whole records

    def orphans(self) -> None:
        """Facts of a number that no register or list knows."""
        if self.source.is_identity or self.source.id_system not in ("resident", "school", "childcare"):
            return
        if self.source.key in ("resident.register", "consent.record"):
            return
        key = self.source.record_key
        rows = self.pick()
        if not len(rows):
            return
        width = len(str(self.frame.columns[key][0]))
        base = np.arange(len(rows), dtype=np.int64) + 1000 + len(self.source.key) * 100
        numbers = base * 10 + check_digit(base, width - 1)
        fresh = np.array([str(n).zfill(width) for n in numbers.tolist()], dtype=object)
        self.text[key] = _replace(self.text[key], rows, fresh.tolist())
        self.note(rows, key, "orphan_key")
        people = np.array([f"X-{self.source.key}-{n}" for n in fresh.tolist()], dtype=object)
        self.truth.add_record_rows(self.source.key, fresh, people, np.full(len(rows), "orphan", dtype=object))

    def appended(self) -> tuple[dict[str, Any], Rows]:
        """Duplicate and stale rows, pupils at two schools; they stand at the file's end."""
        text, person = self.text, self.frame.person
        blocks: list[tuple[Rows, str, str]] = [(self.pick(share=self.share * 1.5), "*", "duplicate_row")]
        stale_item = {
            "resident.register": "address",
            "education.attendance": "absent_days",
            "education.fees": "unpaid_yen",
            "childcare.attendance": "absent_days",
        }.get(self.source.key)
        if stale_item and self.has(stale_item):
            blocks.append((self.pick(self.filled(stale_item)), stale_item, "stale_row"))
        if self.source.key == "education.enrolment" and self.has("school_code"):
            blocks.append((self.pick(self.blanks.get("left_on")), "school_code", "two_schools"))
        start = self.rows
        for rows, item, kind in blocks:
            if not len(rows):
                continue
            copies = {name: values.take(pa.array(rows)) for name, values in self.text.items()}
            if kind == "stale_row":
                copies[item] = self._older(item, copies[item], rows)
                if "updated_on" in copies:
                    copies["updated_on"] = pa.array([self._older_date(row) for row in rows.tolist()], pa.string())
            if kind == "two_schools":
                numbers = self._second_numbers(len(rows))
                copies["student_number"] = pa.array(numbers, pa.string())
                copies[item] = pa.array(
                    [code[:1] + f"{(int(code[1:]) + 1) % 1000:03d}" for code in copies[item].to_pylist()], pa.string()
                )
                self.truth.add_record_rows(
                    self.source.key,
                    numbers,
                    self.world.people.person_id[person[rows]],
                    np.full(len(rows), "two_schools", dtype=object),
                )
            text = {name: pa.concat_arrays([_flat(values), _flat(copies[name])]) for name, values in text.items()}
            self.note(np.arange(start, start + len(rows), dtype=np.int64), item, kind)
            if kind == "two_schools":
                self.note(rows, item, kind)
            start += len(rows)
        every = np.concatenate([person, *(person[rows] for rows, _i, _k in blocks)])
        return text, every

    def _older(self, item: str, cells: Any, rows: Rows) -> Any:
        if item == "address":
            homes = self.world.homes
            from kodomo_platform.synthetic.places import write_addresses

            old = homes.address_old.take(self.world.people.household[self.frame.person[rows]])
            return pa.array(write_addresses(self.world.towns, old, "formal"), pa.string())
        return pa.array([str(max(int(v) - 1, 0) if int(v) else 1) for v in cells.to_pylist()], pa.string())

    def _older_date(self, row: int) -> str:
        day = self._day_of("updated_on", row) or date(2020, 4, 1)
        return self._date("updated_on", day - timedelta(days=400))

    def _second_numbers(self, size: int) -> Cells:
        base = np.arange(size, dtype=np.int64) + 77
        return np.array([str(n).zfill(8) for n in (base * 10 + check_digit(base, 7)).tolist()], dtype=object)

    def records(self, injection: Injection) -> None:
        """Records that cannot be split or decoded."""
        fixed = self.config.file.format == "fixed"
        quote = self.config.file.quote if writing.quotes_everything(self.config) else None
        mark = self.config.delimiter

        def put(character: str, last: bool) -> Callable[[str], str]:
            def edit(line: str) -> str:
                if fixed:
                    wide = 2 if character == writing.BAD_BYTES else 1
                    at = line.find("  ")  # the padding behind the first number
                    return line[:at] + character + line[at + wide :] if at >= 0 else line + character
                if character == writing.BAD_BYTES:
                    # in the record's number: a column outside the catalogue would be dropped, bytes and all
                    return line[:2] + character + line[2:]
                at = line.rfind(mark)
                if at < 0:
                    return line + character
                at = at + 1 + (1 if quote else 0) if last else at - (1 if quote else 0)
                return line[:at] + character + line[at:]

            return edit

        kinds: list[tuple[str, Callable[[str], str]]] = [
            ("short_row", (lambda s: s[: len(s) // 2]) if fixed else (lambda s: s[: s.rfind(mark)])),
            (
                "long_row",
                (lambda s: s + "  X") if fixed else (lambda s: s + mark + (f"{quote}X{quote}" if quote else "X")),
            ),
            ("undecodable_bytes", put(writing.BAD_BYTES, True)),
            ("truncated_character", put(writing.CUT_CHARACTER, False)),
            ("nul_byte", put(writing.NUL, True)),
        ]
        # never near the reject limit: one bad record of sixty would fail the whole extract, which is another test's matter
        budget = int(self.rows * 0.006)
        for kind, edit in kinds:
            rows = self.pick(share=_RECORD_SHARE * self.world.factor, least=self.rows >= 3000)[:budget]
            budget -= len(rows)
            if len(rows):
                injection.line_edits.append((rows, edit))
                self.note(rows, "*", kind)


def _flat(values: Any) -> Any:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def inject(
    world: World, source: Source, config: SourceConfig, frame: Frame, text: dict[str, Any],
    blanks: dict[str, Bools], day: date, truth: Truth,
) -> Injection:  # fmt: skip
    """Faults by the world's quality factor; row numbers in the truth count the file's records from 1."""
    if world.factor == 0 or not len(frame):
        return Injection(text, frame.person)
    work = _Injector(world, source, config, frame, {name: _flat(t) for name, t in text.items()}, blanks, day, truth)
    if source.is_identity:
        work.identity()
    work.dates()
    work.values()
    work.orphans()
    whole, person = work.appended()
    injection = Injection(whole, person)
    text_file = config.file.format != "xlsx"
    if text_file:
        work.records(injection)
        if source.key in ("education.enrolment", "welfare.child_benefit") and len(person) > 3:
            injection.mixed_ends = True
            work.truth.add_faults(source.key, day, np.array([0]), "*", "mixed_line_ends")
    if (
        config.file.header
        and config.file.format in ("csv", "tsv")
        and source.key in ("education.attendance", "resident.moves")
    ):
        injection.extra_columns = ["予備"]
        work.truth.add_faults(source.key, day, np.array([0]), "予備", "extra_column")
    return injection
