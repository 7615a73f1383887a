"""From a file's header (or its positions) to the catalogue's items: what is taken, dropped, or missing.

A column without an entry in the catalogue ends here (house rule 2). A mapped column that the header lacks stops the
file: to read it as "not held" would hide data behind a renamed header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from kodomo_platform.errors import ExtractError

# headers under which systems write whose data a row is
_MUNICIPALITY_HEADERS = frozenset(
    {"市区町村コード", "市町村コード", "自治体コード", "団体コード", "地方公共団体コード", "全国地方公共団体コード"}
    | {"municipality_code", "municipality", "city_code"}
)
_LONGEST_HEADER_SHOWN = 40


@dataclass(frozen=True)
class DroppedColumn:
    """A column of the file that no item of the catalogue stands for; ``ordinal`` is 1-based."""

    ordinal: int
    header: str | None
    reason: str


@dataclass(frozen=True)
class ColumnPlan:
    """``wanted``: item → 0-based position; ``fields``: how many fields a record has; ``municipality_at``: position of
    a column that says whose data the row is."""

    fields: int
    wanted: dict[str, int]
    dropped: list[DroppedColumn]
    municipality_at: int | None


def folded(header: str) -> str:
    """A header's form for comparing: width, case and spaces do not count."""
    return "".join(normalize("NFKC", header).split()).lower()


def plan_by_header(header: Sequence[str], mapped: Mapping[str, str], where: str) -> ColumnPlan:
    """Match a file's header against ``mapped`` (item → column name).

    Raises ExtractError naming every mapped column that is missing, and every one that is there twice. Headers of the
    file are shown only if most of the mapped ones were found: otherwise the first row may be somebody's data.
    """
    seen = [folded(name) for name in header]
    count = Counter(seen)
    names = {item: folded(name) for item, name in mapped.items()}
    twice = [mapped[item] for item, name in names.items() if count[name] > 1]
    if twice:
        raise ExtractError(
            f"the header has these columns more than once: {', '.join(twice)}",
            where=where,
            expected="each mapped column once",
            action="ask the holder which of them is meant",
        )
    missing = [item for item, name in names.items() if not count[name]]
    if missing:
        raise _missing(header, mapped, names, missing, where)
    wanted = {item: seen.index(name) for item, name in names.items()}
    taken = set(wanted.values())
    dropped = [
        DroppedColumn(at + 1, name[:_LONGEST_HEADER_SHOWN], "not in the catalogue")
        for at, name in enumerate(header)
        if at not in taken
    ]
    return ColumnPlan(len(header), wanted, dropped, _municipality_column(seen))


def _municipality_column(seen: Sequence[str]) -> int | None:
    return next((at for at, name in enumerate(seen) if name in _MUNICIPALITY_HEADERS), None)


def _missing(
    header: Sequence[str], mapped: Mapping[str, str], names: Mapping[str, str], missing: list[str], where: str
) -> ExtractError:
    listed = ", ".join(f"{mapped[item]} ({item})" for item in missing)
    known = set(names.values())
    unknown = [name.strip()[:_LONGEST_HEADER_SHOWN] for name in header if name.strip() and folded(name) not in known]
    return ExtractError(
        f"the header lacks {len(missing)} of {len(mapped)} mapped columns: {listed}"
        + (
            f"; columns it has that are not mapped: {', '.join(unknown) or 'none'}"
            if 2 * len(missing) <= len(mapped)
            else f"; the first row has {len(header)} fields and may not be the header"
        ),
        where=where,
        expected="every mapped column, under the name that the municipality's file gives it",
        action="if a column was renamed, change `columns` (or `skip_rows`, `header`) in the municipality's file; "
        "if the source no longer holds it, remove it there",
    )


def plan_by_position(fields: int, mapped: Mapping[str, int], where: str) -> ColumnPlan:
    """Take columns by 1-based position from a file without a header whose records have ``fields`` fields."""
    beyond = [item for item, position in mapped.items() if position > fields]
    if beyond:
        raise ExtractError(
            f"records have {fields} fields; mapped beyond them: {', '.join(beyond)}",
            where=where,
            expected=f"at least {max(mapped.values())} fields",
            action="compare the file with `columns` in the municipality's file",
        )
    wanted = {item: position - 1 for item, position in mapped.items()}
    taken = set(wanted.values())
    dropped = [DroppedColumn(at + 1, None, "not in the catalogue") for at in range(fields) if at not in taken]
    return ColumnPlan(fields, wanted, dropped, None)
