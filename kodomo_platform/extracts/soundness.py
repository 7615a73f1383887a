"""Is a delivery what it should be: its key, what its columns hold, how much of it is there.

What a value means is staging's work; here only whether a column can be what its item is. Everything is judged on the
delivery as a whole, inside the transaction that loads it, and a fault is the fault of the column or part that is named.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import duckdb

from kodomo_platform.catalog import Item, Source
from kodomo_platform.errors import ExtractError
from kodomo_platform.municipalities import Municipality, SourceConfig

FEW_ROWS = 20
"""Below this a column says little about what it holds, and an extract may shrink as it likes."""
SAMPLE_ROWS = 2_000
SOME_VALUES = 5
FITTING_SHARE = 0.05
"""A column of which less than this can be read as its item is another column."""
KANA_SHARE = 0.9
MOST_CODES = 50
"""So many different values are no codes of a list."""

CONSTANT_ROWS = 50
"""So many records of one number, and of no other: nobody has a source of their own."""
SHARED_SHARE, SHARED_ROWS = 0.05, 10
"""Records of identity whose number belongs to several names: a few are slips of the holder, more a broken column."""
REPEATED_SHARE = 0.3
"""Events whose natural key another event has too, with other facts."""
CROWD, CROWD_ROWS = 100, 200
"""So many times the usual records of a number."""

REGISTER_LIMIT, EVENT_LIMIT = 5.0, 50.0
"""Percent that a full extract may lose: of a register and of events (a new school year begins with none)."""
NEW_SCHOOL_YEAR_LIMITS = {"education": 15.0, "childcare": 30.0}
"""Of rolls across 1 April: some leave before others enter."""

_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]|〓")
_KANJI = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA_ONLY = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\\s・ー゛゜-]+")
_DATE = re.compile(
    r"(?=(?:.*\d){2}|.*元)[\d\s/.,\-:+年月日時分秒頃度生元TZMTSHR明治大正昭和平成令西暦()（）月火水木金土曜推定春夏秋冬上中下旬からまでの間不詳]+"
)
_PHONE_SHAPE = re.compile(r"0\d{1,4}-\d{1,4}-\d{3,4}")
_NUMBER = re.compile(r"[+\-△▲]?[\d,]*\d(?:\.\d*)?\s*[^\d\s]{0,4}")
_POSTAL = re.compile(r"〒?\s*\d{3}-?\d{2,4}|\d{5,7}(?:\.0+)?")
_UNKNOWN = re.compile(r"不詳|不明|未詳|なし|無し?|-+|\*+|0+|9+")

_FITS: Mapping[str, Callable[[str], bool]] = {
    "id": lambda text: bool(_DIGIT.search(text)),
    "date": lambda text: bool(_DATE.fullmatch(text)) and not _PHONE_SHAPE.fullmatch(text),
    "month": lambda text: bool(_DATE.fullmatch(text)) and not _PHONE_SHAPE.fullmatch(text),
    "int": lambda text: bool(_NUMBER.fullmatch(text)),
    "decimal": lambda text: bool(_NUMBER.fullmatch(text)),
    "postal": lambda text: bool(_POSTAL.fullmatch(text)),
    "phone": lambda text: len(_DIGIT.findall(text)) >= 9 and not _KANJI.match(text),
    "address": lambda text: bool(_KANJI.search(text)),
    "kana": lambda text: not _KANJI.search(text),
    "name": lambda text: len(_LETTER.findall(text)) > len(_DIGIT.findall(text)),
}


@dataclass(frozen=True)
class Delivery:
    """One date's records of one source in ``raw``; ``where`` names its files."""

    con: duckdb.DuckDBPyConnection
    municipality: Municipality
    source: Source
    config: SourceConfig
    date: dt.date
    where: str

    def column(self, item: str) -> str:
        """An item's column as the municipality's file calls it, for a message."""
        return columns_of(self.config, [item])


def columns_of(config: SourceConfig, items: Iterable[str | None]) -> str:
    """The columns that hold these items, as the municipality's file calls them, for a message."""
    places = []
    for item in items:
        column = config.by_item.get(item or "")
        place = None if column is None else column.column or (column.position and f"#{column.position}")
        places.append(f"{place} ({item})" if place else str(item))
    return ", ".join(places)


# ------------------------------------------------------------------------------------------------ columns


def refuse_wrong_columns(delivery: Delivery) -> None:
    """Raise ExtractError for a column whose content cannot be what its item is, naming the column itself."""
    held = [item for item in delivery.source.items if item.name in delivery.config.by_item and item.type != "text"]
    values = _sampled(delivery, held)
    kana = {item.name: _share(values[item.name], lambda text: bool(_KANA_ONLY.fullmatch(text))) for item in held}
    for name_item, kana_item in _name_pairs(held):
        if (
            min(len(values[name_item]), len(values[kana_item])) >= SOME_VALUES
            and kana[name_item] > KANA_SHARE
            and _share(values[kana_item], _FITS["kana"]) < 1 - KANA_SHARE
        ):
            raise ExtractError(
                f"{delivery.column(name_item)} holds readings and {delivery.column(kana_item)} holds names: the two are "
                "swapped",
                where=delivery.where,
                expected="names in the one and kana in the other",
                action="ask the holder for the right headers, or swap the two columns in the municipality's file",
            )
    for item in held:
        found = values[item.name]
        fits = _fits(item, delivery.config)
        if item.type == "code" and len(found) <= MOST_CODES:
            continue  # local codes that nobody mapped yet are unreadable values, not another column
        if fits is None or len(found) < SOME_VALUES or sum(found.values()) < FEW_ROWS:
            continue
        share = _share(found, fits)
        if share < FITTING_SHARE:
            total = sum(found.values())
            raise ExtractError(
                f"{delivery.column(item.name)} does not hold what the item is: of {total} values looked at, "
                f"{round(share * total)} can be read as {item.type}",
                where=delivery.where,
                expected=f"{item.label_ja} ({item.type})",
                action="ask the holder whether columns were swapped, or correct `columns` and `code_maps` in the "
                "municipality's file",
            )


def _fits(item: Item, config: SourceConfig) -> Callable[[str], bool] | None:
    if item.type != "code":
        return _FITS.get(item.type)
    if not item.codes:
        return None
    known = {_plain(code) for code in (*item.codes, *config.code_maps.get(item.name, {}))}
    return lambda text: _plain(text) in known


def _plain(text: str) -> str:
    return normalize("NFKC", text).strip().lower()


def _name_pairs(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Items of names and of their kana (``guardian_name``, ``guardian_name_kana``)."""
    kana = {item.name for item in items if item.type == "kana"}
    return [(item.name, f"{item.name}_kana") for item in items if item.type == "name" and f"{item.name}_kana" in kana]


def _share(found: Mapping[str, int], fits: Callable[[str], bool]) -> float:
    total = sum(found.values())
    return sum(count for text, count in found.items() if fits(text)) / total if total else 1.0


def _sampled(delivery: Delivery, items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Item → value → rows, of about `SAMPLE_ROWS` rows all over the delivery; blanks and null tokens left out."""
    if not items:
        return {}
    table = f"raw.{delivery.source.raw_table}"
    counted = delivery.con.execute(f"select count(*) from {table} where _extract_date = ?", [delivery.date]).fetchone()
    step = max(1, (counted[0] if counted else 0) // SAMPLE_ROWS)
    columns = ", ".join(f'"{item.name}"' for item in items)
    rows = delivery.con.execute(
        f"select {columns} from {table} where _extract_date = ? and _row_number % {step} = 0", [delivery.date]
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for at, item in enumerate(items):
        tokens = {_plain(token) for token in delivery.config.null_tokens_of(item.name)}
        counts: dict[str, int] = {}
        for row in rows:
            if row[at] is not None:
                counts[row[at]] = counts.get(row[at], 0) + 1
        plain: dict[str, int] = {}
        for text, count in counts.items():
            text = normalize("NFKC", text).strip()
            if text and _plain(text) not in tokens and not _UNKNOWN.fullmatch(text):
                plain[text] = plain.get(text, 0) + count
        found[item.name] = plain
    return found


# ---------------------------------------------------------------------------------------------------- key


def refuse_broken_key(delivery: Delivery, before: dt.date | None) -> None:
    """Raise ExtractError for a key column that is no key any more: constant, rounded, shared by many, or crowded.

    ``before``: the date of the delivery that this one follows.
    """
    source, key = delivery.source, delivery.source.record_key
    if key not in delivery.config.by_item:
        return
    table = f"raw.{source.raw_table}"
    found = delivery.con.execute(
        f"""
        with keys as (
            select trim("{key}") as key, count(*) as records from {table}
            where _extract_date = ? and trim("{key}") <> '' group by 1
        )
        select
            coalesce(sum(records), 0)::bigint, count(*), coalesce(max(records), 0), coalesce(median(records), 0),
            coalesce(sum(records) filter (where length(key) > 15 and regexp_full_match(key, '[0-9]+')), 0)::bigint,
            coalesce(sum(records) filter (
                where regexp_full_match(key, '[0-9]+') and length(key) > 15
                and right(key, length(key) - 15) = repeat('0', (length(key) - 15)::bigint)
            ), 0)::bigint
        from keys
        """,
        [delivery.date],
    ).fetchone()
    assert found is not None
    records, keys, most, usual, long, rounded = found
    if long >= FEW_ROWS and rounded == long:
        raise _broken_key(
            delivery, f"all {long} numbers of more than 15 digits end in zeros: a spreadsheet rounded them"
        )
    is_person = source.is_identity and source.natural_key == [key]
    if keys == 1 and (records >= CONSTANT_ROWS or (is_person and records > 2 and _names_under_one_number(delivery))):
        raise _broken_key(delivery, f"all {records} records have the same number")
    if is_person:
        shared = _names_under_one_number(delivery)
        if shared >= SHARED_ROWS and shared > records * SHARED_SHARE:
            raise _broken_key(
                delivery, f"{shared} of {records} records share their number with a record of another name"
            )
        return
    if keys >= SOME_VALUES and most >= CROWD_ROWS and most >= CROWD * usual:
        raise _broken_key(delivery, f"one number has {most} of {records} records; others have about {usual:g}")
    if before is not None:
        _refuse_crowd(delivery, before)
    repeated = _repeated_keys(delivery)
    if repeated >= FEW_ROWS and repeated > records * REPEATED_SHARE:
        natural = columns_of(delivery.config, source.natural_key)
        raise _broken_key(
            delivery, f"{repeated} of {records} records have the key of another one and other facts (key: {natural})"
        )


def _broken_key(delivery: Delivery, what: str) -> ExtractError:
    key = delivery.column(delivery.source.record_key)
    return ExtractError(
        f"{key} is no key: {what}",
        where=delivery.where,
        expected="a number of its own for everybody, with every digit",
        action="ask the holder for the file as the system wrote it: opening and saving it in Excel rounds long numbers "
        "and eats zeros in front",
    )


def _names_under_one_number(delivery: Delivery) -> int:
    """Records whose number stands under another name, too (of identity; 0 where no name is held)."""
    key = delivery.source.record_key
    name = next((item.name for item in delivery.source.items if item.type in ("name", "kana")), None)
    if name is None or name not in delivery.config.by_item:
        return 0
    # of one person's former names the given name stays: only names without a common beginning or end are others
    found = delivery.con.execute(
        f"""
        with named as (
            select trim("{key}") as key, regexp_replace("{name}", '[\\s　]', '', 'g') as name, count(*) as records
            from raw.{delivery.source.raw_table}
            where _extract_date = ? and trim("{key}") <> '' and trim("{name}") <> '' group by all
        )
        select coalesce(sum(records), 0)::bigint from (
            select sum(records) as records from named group by key
            having count(*) > 1 and count(distinct right(name, 1)) > 1 and count(distinct left(name, 1)) > 1
        )
        """,
        [delivery.date],
    ).fetchone()
    assert found is not None
    shared = int(found[0])
    if shared:
        return shared
    # one number for a whole list: families share beginnings, so count the names themselves
    whole = delivery.con.execute(
        f"""
        select coalesce(sum(records), 0)::bigint from (
            select count(*) as records from raw.{delivery.source.raw_table}
            where _extract_date = ? and trim("{key}") <> '' group by trim("{key}") having count(distinct "{name}") > 2
        )
        """,
        [delivery.date],
    ).fetchone()
    assert whole is not None
    return int(whole[0])


def _refuse_crowd(delivery: Delivery, before: dt.date) -> None:
    key = delivery.source.record_key
    counted = f'select trim("{key}") as key, count(*) as records from raw.{delivery.source.raw_table}'
    found = delivery.con.execute(
        f"""
        select max(now.records), arg_max(former.records, now.records)
        from ({counted} where _extract_date = ? group by 1) as now
        inner join ({counted} where _extract_date = ? group by 1) as former using (key)
        where now.key <> '' and now.records >= {CROWD_ROWS} and now.records >= {CROWD} * former.records
        """,
        [delivery.date, before],
    ).fetchone()
    if found is not None and found[0] is not None:
        raise _broken_key(delivery, f"one number has {found[0]} records; in the last extract it had {found[1]}")


def _repeated_keys(delivery: Delivery) -> int:
    """Records beyond the first of their natural key that are no mere copies of it; 0 where the key is not all held."""
    natural = delivery.source.natural_key
    if not natural or any(name not in delivery.config.by_item for name in natural):
        return 0
    keys = ", ".join(f'trim("{name}")' for name in natural)
    every = ", ".join(f'trim("{item.name}")' for item in delivery.source.items if item.name in delivery.config.by_item)
    given = " and ".join(f"trim(\"{name}\") <> ''" for name in natural)
    found = delivery.con.execute(
        f"select count(distinct hash({every})) - count(distinct hash({keys})) from raw.{delivery.source.raw_table} "
        f"where _extract_date = ? and {given}",
        [delivery.date],
    ).fetchone()
    assert found is not None
    return int(found[0])


# ------------------------------------------------------------------------------------------------- volume


def shrink_limit(municipality: Municipality, source: Source, former: dt.date, date: dt.date) -> float:
    """Percent that a full extract may lose since ``former``: what the municipality says, else by the kind of source."""
    if municipality.shrink_limit_percent is not None:
        return municipality.shrink_limit_percent
    if not source.is_identity or source.event_date is not None:
        return EVENT_LIMIT
    is_new_year = former < dt.date(date.year, 4, 1) <= date or former.year < date.year
    return NEW_SCHOOL_YEAR_LIMITS.get(source.domain, REGISTER_LIMIT) if is_new_year else REGISTER_LIMIT


def is_shrunk(rows: int, former: int, limit: float) -> bool:
    """Whether fewer rows than the limit allows, by more than chance moves a small extract (three square roots)."""
    if former < FEW_ROWS:
        return False
    return rows < former * (1 - limit / 100) and former - rows > 3 * math.sqrt(former)


# -------------------------------------------------------------------------------------------------- parts

_DATES_IN_NAMES = re.compile(
    r"(?<!\d)20\d{2}[-_.年]?(?:0?[1-9]|1[0-2])(?:[-_.月]?(?:0[1-9]|[12]\d|3[01]|[1-9](?!\d)))?日?(?:[-_ ]?\d{6}|[-_ ]\d{4})?(?!\d)"
    r"|(?<![A-Za-z])[HR]\d{1,2}[-_.年]?\d{1,2}(?:[-_.月]?\d{1,2}日?)?(?!\d)|(?:令和|平成)(?:\d{1,2}|元)年(?:度|\d{1,2}月(?:\d{1,2}日)?)?"
    r"|(?<!\d)\d{1,2}月分?"
)


def part_name(file_name: str) -> str:
    """A part's name without the dates in it: what stays the same from one delivery to the next."""
    return _DATES_IN_NAMES.sub("#", normalize("NFKC", file_name)).lower()


def is_a_copy_by_name(file_name: str) -> bool:
    """Whether a file's name says that it is a copy (``… - コピー.csv``, ``…(1).csv``)."""
    return re.search(r"コピー|copy|\(\d{1,2}\)|（\d{1,2}）|再送", normalize("NFKC", file_name).lower()) is not None


def refuse_missing_parts(
    delivery: Delivery,
    now: Mapping[str, int],
    former: Mapping[str, int],
    former_date: dt.date,
    copies: Mapping[str, str],
) -> None:
    """Raise ExtractError for a part of the last delivery that this one lacks, or of which much is missing.

    ``now`` and ``former``: file name → rows; ``copies``: file that is byte for byte another one → that one.
    """
    parts = {part_name(name): (name, rows) for name, rows in now.items()}
    known = {part_name(name): (name, rows) for name, rows in former.items()}
    if len(known) < 2 or not parts.keys() & known.keys():
        return
    copied = {part_name(name): (name, original) for name, original in copies.items()}
    missing = [name for part, (name, rows) in known.items() if part not in parts and rows]
    if missing:
        copy, original = next((both for part, both in copied.items() if part in known), ("", ""))
        raise ExtractError(
            f"{len(missing)} of the {len(known)} parts of the last extract ({former_date.isoformat()}) did not arrive: "
            f"{', '.join(missing[:5])}" + (f"; {copy} is byte for byte the same as {original}" if copy else ""),
            where=delivery.where,
            expected="the same parts as in the last extract",
            action="ask the holder for the missing part; if it no longer exists (a school was closed), set "
            "`shrink_limit_percent: 100` in the municipality's file for one run",
        )
    limit = shrink_limit(delivery.municipality, delivery.source, former_date, delivery.date)
    limit = min(EVENT_LIMIT, 3 * limit) if limit < EVENT_LIMIT else limit
    for part, (name, rows) in parts.items():
        if part in known and is_shrunk(rows, known[part][1], limit):
            raise ExtractError(
                f"{name} has {rows} records; the same part of the last extract ({former_date.isoformat()}) had "
                f"{known[part][1]}",
                where=delivery.where,
                expected=f"a part not smaller than the last by more than {limit:g} %",
                action="ask the holder whether it is whole; if it is, raise `shrink_limit_percent` in the "
                "municipality's file",
            )


def refuse_missing_schools(delivery: Delivery, former_date: dt.date) -> None:
    """Raise ExtractError if a school or facility of the last delivery's rolls has nobody in this one."""
    for item in delivery.source.items:
        if not item.name.endswith("_code") or item.type == "postal" or item.identifier:
            continue
        if item.name not in delivery.config.by_item:
            continue
        counted = f'select trim("{item.name}") as code, count(*) as records from raw.{delivery.source.raw_table}'
        lost = delivery.con.execute(
            f"select former.code, former.records from ({counted} where _extract_date = ? group by 1) as former "
            f"anti join ({counted} where _extract_date = ? group by 1) as now using (code) "
            "where former.code <> '' and former.records >= 10 order by 1",
            [former_date, delivery.date],
        ).fetchall()
        if lost:
            listed = ", ".join(code if re.fullmatch(r"[0-9A-Za-z-]{1,13}", code) else "?" for code, _ in lost[:5])
            raise ExtractError(
                f"{len(lost)} codes in {delivery.column(item.name)} of the last extract ({former_date.isoformat()}, "
                f"{sum(records for _, records in lost)} records) are gone: {listed}",
                where=delivery.where,
                expected="every school and facility of the last extract",
                action="ask the holder for the missing part; if it no longer exists (a school was closed), set "
                "`shrink_limit_percent: 100` in the municipality's file for one run",
            )
