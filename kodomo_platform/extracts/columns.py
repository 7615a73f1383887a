"""From a file's header (or its positions) to the catalogue's items: what is taken, dropped, or missing.

A column without an entry in the catalogue ends here (house rule 2). A mapped column that the header lacks stops the
file: to read it as "not held" would hide data behind a renamed header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from kodomo_platform.errors import ExtractError

# headers under which systems write whose data a row is
_MUNICIPALITY_HEADERS = frozenset(
    {"市区町村コード", "市町村コード", "自治体コード", "団体コード", "地方公共団体コード", "全国地方公共団体コード"}
    | {"municipality_code", "municipality", "city_code"}
)
_LONGEST_HEADER_SHOWN = 40
_MOST_HEADERS_SHOWN = 5
# what a header that is shown to somebody must speak of: anything else may be somebody's data
_HEADER_WORD = re.compile(
    r"番号|コード|氏名|名称|名前|(?:学校|施設|園|世帯主|保護者|機関|病院|担任|町)名|カナ|かな|ふりがな|年月|日付|(?<=.)[日年月]$|日時|区分|種別|種類"
    r"|住所|郵便|電話|性別|続柄|世帯|学[年級校]|年齢|年度|組|国籍|在留|備考|摘要|メモ|理由|結果|状況|状態|有無|人数|件数|回数|日数|金額|フラグ"
    r"|所見|判定|内容|担当|本籍|宗教|通称|旧姓|旧氏|異動|履歴|更新|登録|作成|連番|項番|検索|名$"
    r"|(?:^|_|[a-z])(?:id|no|num|number|code|name|date|kana|sex|gender|birth|addr|address|tel|phone|zip|postal|flag|type|kind|note|memo|"
    r"year|month|day|class|grade|school|count|remarks?)(?:$|_|\d)"
)
_DATA = re.compile(
    r"[\d-]{7,}|\d{4}[/.年-]\d{1,2}[/.月-]\d{1,2}日?|[mtshr明大昭平令]\S{0,2}\d{1,2}[.年/]\d{1,2}[.月/]\d{1,2}日?|.{60,}"
)
_TOO_MUCH_DATA = 3


@dataclass(frozen=True)
class DroppedColumn:
    """A column of the file that no item of the catalogue stands for; ``ordinal`` is 1-based."""

    ordinal: int
    header: str | None
    reason: str


@dataclass(frozen=True)
class ColumnPlan:
    """``wanted``: item → 0-based position; ``fields``: how many fields a record has; ``municipality_at``: positions of
    columns that say whose data the row is; ``header``: as the file has it, None if it has none."""

    fields: int
    wanted: dict[str, int]
    dropped: list[DroppedColumn]
    municipality_at: tuple[int, ...] = ()
    header: tuple[str, ...] | None = None


# byte order marks, zero-width and directional marks, variation selectors: two headers that look the same are the same
_INVISIBLE = dict.fromkeys(
    [
        *range(8203, 8208),
        *range(8234, 8239),
        *range(8288, 8293),
        *range(65024, 65040),
        65279,
        173,
        6158,
        *range(9),
        *range(14, 32),
        127,
    ]
)


def folded(header: str) -> str:
    """A header's form for comparing: width, case, spaces, marks nobody sees and a spreadsheet's guard do not count."""
    text = "".join(normalize("NFKC", header.translate(_INVISIBLE)).split()).lower()
    return text[2:-1] if text.startswith('="') and text.endswith('"') else text


def looks_like_data(header: Sequence[str]) -> bool:
    """Whether a first row holds dates, long numbers or long texts: somebody's data, or a file without line ends."""
    return sum(_DATA.fullmatch(folded(name)) is not None for name in header) >= _TOO_MUCH_DATA


def shown(names: Sequence[str]) -> str:
    """A few of these headers for a message: only such as speak of what a column holds, never what may be somebody's data."""
    plain = [name.strip()[:_LONGEST_HEADER_SHOWN] for name in names if may_be_shown(name)]
    listed = ", ".join(plain[:_MOST_HEADERS_SHOWN])
    others = len(names) - len(plain[:_MOST_HEADERS_SHOWN])
    return f"{listed} (+{others})" if listed and others else listed or f"({others})"


def may_be_shown(name: str) -> bool:
    """Whether a header is short, has no long number and speaks of what a column holds."""
    text = folded(name)
    return (
        len(text) <= _LONGEST_HEADER_SHOWN
        and not re.search(r"\d{3,}|[@\ufdd0]", text)
        and _HEADER_WORD.search(text) is not None
    )


def plan_by_header(
    header: Sequence[str], mapped: Mapping[str, str], where: str, explained: Collection[str] = ()
) -> ColumnPlan:
    """Match a file's header against ``mapped`` (item → column name).

    ``explained``: other columns that the municipality's file says something of; none of them says whose data a row is.
    Raises ExtractError naming every mapped column that is missing, and every one that is there twice. Headers of the
    file are shown only as far as they look like headers: otherwise the first row may be somebody's data.
    """
    seen = [folded(name) for name in header]
    if looks_like_data(header):
        raise ExtractError(
            f"the first row has {len(header)} fields, and dates or long numbers among them: it is no header",
            where=where,
            expected="a header, and each record on a line of its own",
            action="if the file has no line ends, ask the holder to extract again; if it has no header, set `header: false` "
            "and positions in the municipality's file",
        )
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
        DroppedColumn(at + 1, name[:_LONGEST_HEADER_SHOWN] if _may_be_kept(name) else None, "not in the catalogue")
        for at, name in enumerate(header)
        if at not in taken
    ]
    known = {*names.values(), *(folded(name) for name in explained)}
    whose = tuple(at for at, name in enumerate(seen) if name in _MUNICIPALITY_HEADERS and name not in known)
    return ColumnPlan(len(header), wanted, dropped, whose, tuple(header))


def _may_be_kept(name: str) -> bool:
    return may_be_shown(name) or (len(name) <= 12 and not re.search(r"\d{3,}", folded(name)))


def _missing(
    header: Sequence[str], mapped: Mapping[str, str], names: Mapping[str, str], missing: list[str], where: str
) -> ExtractError:
    listed = ", ".join(f"{mapped[item]} ({item})" for item in missing)
    known = set(names.values())
    unknown = [name for name in header if name.strip() and folded(name) not in known]
    return ExtractError(
        f"the header lacks {len(missing)} of {len(mapped)} mapped columns: {listed}"
        + (
            f"; columns it has that are not mapped: {shown(unknown) if unknown else 'none'}"
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
    return ColumnPlan(fields, wanted, dropped)
