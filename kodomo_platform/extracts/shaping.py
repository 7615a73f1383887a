"""From a file's columns to items where an item is no column as it stands: joined, taken apart, filtered, turned.

What can be said is what `municipalities.models` names (`Column.take`, `transform`, `RowFilter`, `MonthColumns` …): named
and tested changes, no free code. The readers deliver the columns; meaning (dates, codes, numbers) is staging's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.batches import Batch
from kodomo_platform.extracts.landing import LandedFile
from kodomo_platform.municipalities import Column, SourceConfig
from kodomo_platform.municipalities.models import MonthColumns, RowFilter

BESIDE = "@"
"""In front of a header: a column that is read beside the items, and becomes part of them here."""

_ROWS_PER_RECORD = 100
_BRACKETS = re.compile(r"[(（\[［【〔]([^)）\]］】〕]*)[)）\]］】〕]?")
_COLON = re.compile("[:：]")
_YEAR = re.compile(r"(?:(令和|平成|昭和|R|H|S)\s*)?([0-9]{1,4}|元)\s*年?度?")
_ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988, "昭和": 1925, "S": 1925}


def _before_brackets(text: str) -> str:
    return _BRACKETS.sub("", text).strip()


def _in_brackets(text: str) -> str:
    match = _BRACKETS.search(text)
    return match[1].strip() if match else ""


def _first_part(text: str) -> str:
    return (text.split() or [""])[0]


def _other_parts(text: str) -> str:
    return " ".join(text.split()[1:])


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", normalize("NFKC", text))


def _one_width(text: str) -> str:
    return normalize("NFKC", text).strip()


def _before_colon(text: str) -> str:
    return _COLON.split(text, maxsplit=1)[0].strip()


def _behind_colon(text: str) -> str:
    parts = _COLON.split(text, maxsplit=1)
    return parts[1].strip() if len(parts) == 2 else ""


TRANSFORMS: Mapping[str, Callable[[str], str]] = {
    "before_brackets": _before_brackets,
    "in_brackets": _in_brackets,
    "first_part": _first_part,
    "other_parts": _other_parts,
    "digits": _digits,
    "one_width": _one_width,
    "before_colon": _before_colon,
    "behind_colon": _behind_colon,
}
"""Name in a municipality's file → what it makes of a text. Each gives blank where it finds nothing."""


def physical(config: SourceConfig) -> SourceConfig:
    """The same source as its file has it: a column per item where the item is one, and the others beside them."""
    file = config.file
    if file.format == "oneroster":
        file = file.model_copy(update={"format": "csv", "encoding": "utf-8"})
    if config.is_plain:
        return config if file is config.file else config.model_copy(update={"file": file})
    columns: dict[str, Column] = {}
    for column in config.columns:
        if column.column is not None or column.position is not None or column.start is not None:
            place = {"column": column.column, "position": column.position, "start": column.start, "width": column.width}
            columns[column.item] = column.model_copy(update={**_PLAIN, **place})
    headers = [header for column in config.columns for header in column.headers if header != column.column]
    headers += [header for rule in config.rows for header in rule.headers]
    if config.months is not None:
        headers += config.months.headers() + ([config.months.school_year] if config.months.school_year else [])
    for header in dict.fromkeys(headers):
        columns[BESIDE + header] = Column(item=BESIDE + header, column=header)
    return config.model_copy(update={"file": file, "columns": list(columns.values()), "rows": [], "months": None})


_PLAIN: dict[str, Any] = {
    "columns": None, "take": None, "constant": None, "from_file_name": None, "transform": [], "values": {}, "add": 0,
    "unit": None, "decimal_comma": False, "unknown_flag": None, "unknown_text": None,
}  # fmt: skip


class Shaper:
    """Makes a source's items of one file's columns.

    Raises ExtractError where the file's name holds no value that an item is to be taken from.
    """

    def __init__(self, config: SourceConfig, file: LandedFile) -> None:
        self.config = config
        self.file = file
        self.left_out: dict[str, int] = {}
        self._fixed = {
            column.item: column.constant if column.constant is not None else _in_name(column.from_file_name, file)
            for column in config.columns
            if column.constant is not None or column.from_file_name is not None
        }

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches with items for columns; records that the file's rules leave out are in no count."""
        if self.config.is_plain:
            yield from batches
            return
        latest = [rule for rule in self.config.rows if rule.latest]
        if latest:
            batches = self._latest(list(batches), latest)
        for batch in batches:
            yield self._shaped(self._filtered(batch))

    def _filtered(self, batch: Batch) -> Batch:
        for rule in self.config.rows:
            if rule.column is None or not len(batch.row_numbers):
                continue
            texts = pc.utf8_trim_whitespace(self._column(batch, rule.column))
            if rule.keep:
                mask = pc.is_in(texts, pa.array(rule.keep, pa.string()))
            else:
                mask = pc.invert(pc.is_in(texts, pa.array(rule.drop, pa.string())))
            batch = self._where(batch, mask.to_numpy(zero_copy_only=False), rule.column)
        return batch

    def _where(self, batch: Batch, keep: np.ndarray, column: str) -> Batch:
        gone = int(len(keep) - keep.sum())
        if not gone:
            return batch
        self.left_out[column] = self.left_out.get(column, 0) + gone
        mask = pa.array(keep)
        return replace(
            batch,
            columns={name: values.filter(mask) for name, values in batch.columns.items()},
            row_numbers=batch.row_numbers[keep],
            records=batch.records - gone,
        )

    def _column(self, batch: Batch, header: str) -> Any:
        """A column by its header, which may be an item's own."""
        if BESIDE + header in batch.columns:
            return batch.columns[BESIDE + header]
        return batch.columns[next(column.item for column in self.config.columns if column.column == header)]

    def _latest(self, batches: Sequence[Batch], rules: Sequence[RowFilter]) -> list[Batch]:
        """Of each record's history the entry with the highest number, over the whole file; equal ones: the last."""
        kept = [self._filtered(batch) for batch in batches]
        for rule in rules:
            assert rule.latest is not None
            best: dict[tuple[str, ...], tuple[float, int, int]] = {}
            for number, batch in enumerate(kept):
                if not len(batch.row_numbers):
                    continue
                keys = [pc.utf8_trim_whitespace(self._column(batch, name)).to_pylist() for name in rule.of]
                orders = self._column(batch, rule.latest).to_pylist()
                for at, order in enumerate(orders):
                    key = tuple(values[at] or "" for values in keys)
                    entry = (_order(order), number, at)
                    if key not in best or entry >= best[key]:
                        best[key] = entry
            chosen: dict[int, set[int]] = {}
            for _, number, at in best.values():
                chosen.setdefault(number, set()).add(at)
            for number, batch in enumerate(kept):
                keep = np.isin(np.arange(len(batch.row_numbers)), list(chosen.get(number, ())))
                kept[number] = self._where(batch, keep, rule.latest)
        return kept

    def _shaped(self, batch: Batch) -> Batch:
        count = len(batch.row_numbers)
        columns: dict[str, Any] = {
            name: values for name, values in batch.columns.items() if not name.startswith(BESIDE)
        }
        for column in self.config.columns:
            if column.is_plain or not count:
                continue
            if column.item in self._fixed:
                columns[column.item] = pa.array([self._fixed[column.item]] * count, pa.string())
                continue
            columns[column.item] = self._item(batch, column)
        shaped = replace(batch, columns=columns)
        return self._by_month(batch, shaped, self.config.months) if self.config.months is not None and count else shaped

    def _item(self, batch: Batch, column: Column) -> Any:
        if column.columns:
            texts = _taken([self._column(batch, header) for header in column.columns], column.take or "joined")
        else:
            texts = batch.columns[column.item]
        if column.unknown_text is not None:
            words = self._column(batch, column.unknown_text)
            uncertain = _is_filled(words)
            if column.unknown_flag is not None:
                uncertain = pc.and_(uncertain, _is_flag(self._column(batch, column.unknown_flag)))
            texts = pc.if_else(uncertain, words, texts)
        elif column.unknown_flag is not None:
            # an uncertain date of which no words are given: the value beside the flag is a deemed one
            texts = pc.if_else(_is_flag(self._column(batch, column.unknown_flag)), pa.scalar("不詳"), texts)
        return _each(texts, lambda text: _changed(text, column)) if _changes(column) else texts

    def _by_month(self, batch: Batch, shaped: Batch, months: MonthColumns) -> Batch:
        """A record per month whose cells are not all blank."""
        parts: list[dict[str, Any]] = []
        rows: list[np.ndarray] = []
        years = _school_years(self._column(batch, months.school_year)) if months.school_year else None
        own = self.file.extract_date.year - (self.file.extract_date.month < 4)
        for number, month in enumerate(months.of):
            cells = {
                item: self._column(batch, header.replace("{}", str(month))) for item, header in months.columns.items()
            }
            filled = np.zeros(len(batch.row_numbers), dtype=bool)
            for values in cells.values():
                filled |= _is_filled(values).to_numpy(zero_copy_only=False)
            mask = pa.array(filled)
            part = {name: values.filter(mask) for name, values in {**shaped.columns, **cells}.items()}
            named = [
                None if year is None else f"{year + (month < 4):04}-{month:02}"
                for year in (years or [own] * len(batch.row_numbers))
            ]
            part[months.item] = pa.array(named, pa.string()).filter(mask)
            parts.append(part)
            rows.append(batch.row_numbers[filled] * _ROWS_PER_RECORD + number + 1)
        together = {name: pa.chunked_array([_flat(part[name]) for part in parts], pa.string()) for name in parts[0]}
        numbers = np.concatenate(rows)
        records = batch.records - len(batch.row_numbers) + len(numbers)
        return replace(shaped, columns=together, row_numbers=numbers, records=records)


def _flat(values: Any) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _in_name(pattern: str | None, file: LandedFile) -> str:
    regex = "".join(
        {"{}": "(.+?)", "*": ".*", "?": "."}.get(part, re.escape(part))
        for part in re.split(r"(\{\}|\*|\?)", pattern or "")
    )
    match = re.fullmatch(regex, normalize("NFC", file.name))
    if match is None or not match[1].strip():
        raise ExtractError(
            "the file's name holds no value where the municipality's file expects one",
            where=file.where,
            expected=f"a name like {pattern}",
            action="ask the holder for the agreed name, or correct `from_file_name` in the municipality's file",
        )
    return normalize("NFKC", match[1]).strip()


def _order(text: str | None) -> float:
    digits = _digits(text or "")
    return float(digits) if digits else -1.0


def _is_filled(values: Any) -> Any:
    return pc.fill_null(pc.match_substring_regex(values, r"[^\s\x{3000}]"), False)


def _is_flag(values: Any) -> Any:
    return pc.fill_null(pc.match_substring_regex(values, r"[^\s0０\x{3000}]"), False)


def _taken(parts: Sequence[Any], take: str) -> Any:
    trimmed = [pc.fill_null(pc.utf8_trim_whitespace(_flat(part)), "") for part in parts]
    if take == "first":
        texts = trimmed[-1]
        for part in reversed(trimmed[:-1]):
            texts = pc.if_else(pc.equal(part, ""), texts, part)
        return texts
    if take == "date_parts":
        return pa.array(
            [_date(cells) for cells in zip(*(part.to_pylist() for part in trimmed), strict=True)], pa.string()
        )
    if take == "joined":
        return pc.binary_join_element_wise(*trimmed, "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.binary_join_element_wise(*trimmed, " "), " {2,}", " "))


def _date(cells: Sequence[str]) -> str:
    """Year, month and day in three cells as one date; blank if all are."""
    parts = [normalize("NFKC", cell).strip().rstrip("年月日") for cell in cells]
    if not any(parts):
        return ""
    year, month, day = (*parts, "", "")[:3]
    if re.fullmatch(r"[0-9]{4}", year) and month.isdecimal() and day.isdecimal():
        return f"{year}-{int(month):02}-{int(day):02}"
    return f"{year}年" + (f"{month}月" if month else "") + (f"{day}日" if day else "")


def _changes(column: Column) -> bool:
    return bool(column.transform or column.values or column.add or column.unit or column.decimal_comma)


def _changed(text: str, column: Column) -> str:
    for name in column.transform:
        text = TRANSFORMS[name](text)
    if column.values:
        text = column.values.get(text.strip(), text)
    if column.unit is not None:
        text = normalize("NFKC", text).strip().removesuffix(normalize("NFKC", column.unit)).strip()
    if column.decimal_comma and re.fullmatch(r"[+-]?[0-9.\s]*,[0-9]+", text.strip()):
        text = text.replace(".", "").replace(" ", "").replace(",", ".")
    if column.add and re.fullmatch(r"[+-]?[0-9]{1,9}", whole := normalize("NFKC", text).strip()):
        text = str(int(whole) + column.add)
    return text


def _each(values: Any, change: Callable[[str], str]) -> Any:
    """Change every distinct text once."""
    encoded = _flat(values).dictionary_encode()
    changed = pa.array([None if text is None else change(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return changed.take(encoded.indices)


def _school_years(values: Any) -> list[int | None]:
    years: list[int | None] = []
    for text in _flat(values).to_pylist():
        match = _YEAR.fullmatch(normalize("NFKC", text or "").strip())
        if match is None:
            years.append(None)
            continue
        number = 1 if match[2] == "元" else int(match[2])
        years.append(number + _ERAS[match[1]] if match[1] else number if number > 1900 else None)
    return years


__all__ = ["BESIDE", "TRANSFORMS", "Shaper", "physical"]
