"""Find everything that is wrong with a municipality's file, each fault with its line.

Two passes that do not wait for each other: the shape (pydantic), and the references (catalogue, columns, codes, cron),
which read the plain data so that one wrong field hides nothing else. Nothing is opened but the file itself.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from kodomo_platform.catalog import Catalog, Source, load_catalog
from kodomo_platform.errors import Fault
from kodomo_platform.located_yaml import LocatedYaml, Path_, read_yaml
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.municipalities.presets import expand, preset_names, read_preset

_UNION_STEPS = re.compile(r"^(function-.*|literal\[.*|constrained-.*)$")
_WILD = re.compile(r"[^\x00-\x1f/\\:<>|\"\[\]{}]+")
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CRON_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))},
)

Found = Iterator[tuple[Path_, str]]


def check_digit(five_digits: str) -> str:
    """The sixth digit of a local-government code: weights 6,5,4,3,2; 11 minus the sum modulo 11; its last digit.

    Source: 総務省「全国地方公共団体コード仕様」. Raises `ValueError` unless given five ASCII digits.
    """
    if not re.fullmatch(r"[0-9]{5}", five_digits):
        raise ValueError("five digits expected")
    total = sum(int(digit) * weight for digit, weight in zip(five_digits, (6, 5, 4, 3, 2), strict=True))
    return str((11 - total % 11) % 10)


def check_file(path: Path) -> list[Fault]:
    """Every fault of the municipality's file at ``path``, in the order of its lines; empty if it can be used."""
    return examine(path)[1]


def examine(path: Path) -> tuple[Municipality | None, list[Fault]]:
    """The municipality in ``path`` if its shape allows, and every fault. Use it only if there is none."""
    located = read_yaml(path)
    faults = set(located.faults)
    municipality = None
    if isinstance(located.data, dict):
        written = located.data
        located.data = expand(written)
        municipality, shape = _shape_faults(located)
        faults |= shape
        faults |= {located.fault(where, message) for where, message in _preset_faults(written)}
        faults |= {located.fault(where, message) for where, message in _reference_faults(located.data, load_catalog())}
    elif not faults:
        faults.add(located.fault((), "expected a mapping with `code`, `name_ja`, `themes`, `sources`, …"))
    return municipality, sorted(faults, key=lambda fault: (fault.line or 0, fault.where, fault.message))


def unverified_presets(municipality: Municipality) -> list[tuple[str, str, str]]:
    """(source, preset, where its layout is from) of presets that nobody has compared with the official layout."""
    return [
        (source.source, source.preset, str(read_preset(source.preset)["layout"]))
        for source in municipality.sources
        if source.preset is not None and read_preset(source.preset)["status"] != "verified"
    ]


def _shape_faults(located: LocatedYaml) -> tuple[Municipality | None, set[Fault]]:
    try:
        return Municipality.model_validate(located.data), set()
    except ValidationError as error:
        faults = set()
        for problem in error.errors(include_url=False, include_input=False):
            where = tuple(step for step in problem["loc"] if not _UNION_STEPS.match(str(step)))
            if problem["type"] == "extra_forbidden":
                message = f"unknown key `{where[-1]}`"
            elif problem["type"] == "missing":
                message = f"`{where[-1]}` is missing"
            else:
                message = problem["msg"]
            faults.add(located.fault(where, message))
        return None, faults


def _mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(value, list):
        yield from ((number, one) for number, one in enumerate(value) if isinstance(one, dict))


def _preset_faults(data: dict[str, Any]) -> Found:
    for number, source in _mappings(data.get("sources")):
        name = source.get("preset")
        if name is None:
            continue
        if name not in preset_names():
            yield ("sources", number, "preset"), f"unknown preset; expected one of {', '.join(preset_names())}"
        elif (key := read_preset(name)["source"]) != source.get("source", key):
            yield ("sources", number, "source"), f"the preset is one of {key}"


def _reference_faults(data: dict[str, Any], catalog: Catalog) -> Found:
    yield from _code_faults(data.get("code"))
    schedule = data.get("schedule")
    if isinstance(schedule, dict):
        if isinstance(schedule.get("cron"), str):
            for message in cron_faults(schedule["cron"]):
                yield ("schedule", "cron"), message
        if isinstance(schedule.get("timezone"), str) and not _is_timezone(schedule["timezone"]):
            yield ("schedule", "timezone"), "unknown time zone; expected an IANA name such as Asia/Tokyo"
    seen_themes: set[str] = set()
    for number, theme in _mappings(data.get("themes")):
        key = str(theme.get("key"))
        if key in seen_themes:
            yield ("themes", number, "key"), f"the theme '{key}' stands here twice"
        seen_themes.add(key)
    held: set[str] = set()
    patterns: dict[str, str] = {}
    for number, source in _mappings(data.get("sources")):
        path: Path_ = ("sources", number)
        key = str(source.get("source"))
        known = catalog.sources.get(key)
        if known is None and "source" in source:
            yield (
                (*path, "source"),
                f"unknown source '{key[:80]}'; expected one of the catalogue's: {_near(key, catalog)}",
            )
        if key in held:
            yield (*path, "source"), f"the source '{key}' stands here twice"
        held.add(key)
        yield from _source_faults(path, source, known)
        pattern = _file_of(source).get("pattern")
        if isinstance(pattern, str):
            if pattern in patterns:
                yield (*path, "file", "pattern"), f"the same files as '{patterns[pattern]}'"
            patterns[pattern] = key
    if isinstance(data.get("sources"), list) and "resident.register" not in held:
        yield ("sources",), "no `resident.register`: without the register nobody can be linked"
    yield from _consent_faults(data.get("consent"), held)
    for number, override in _mappings(data.get("quality_overrides")):
        table = str(override.get("table"))
        source_of = {s.raw_table: s for s in catalog.sources.values()}
        source_of |= {s.staging_table: s for s in catalog.sources.values()}
        if not table.startswith("mart_") and table not in source_of:
            yield ("quality_overrides", number, "table"), f"unknown table '{table[:80]}'"
        elif table in source_of and override.get("item") not in (None, *source_of[table].by_name):
            yield ("quality_overrides", number, "item"), f"not an item of {source_of[table].key}"
    yield from _governance_faults(data.get("governance"), catalog)
    for number, decision in _mappings(data.get("absence_decisions")):
        if "item" in decision and str(decision["item"]) not in catalog.items:
            yield ("absence_decisions", number, "item"), "unknown item; expected <domain>.<source>.<item>"
        if "theme" in decision and str(decision["theme"]) not in seen_themes:
            yield ("absence_decisions", number, "theme"), "not a theme of this municipality"


def _governance_faults(governance: Any, catalog: Catalog) -> Found:
    grounds = governance.get("grounds") if isinstance(governance, dict) else None
    if not isinstance(grounds, dict):
        return
    domains = {source.domain for source in catalog.sources.values()}
    for key, said in grounds.items():
        if key not in catalog.items and key not in catalog.sources and key not in domains:
            yield ("governance", "grounds", key), "unknown; expected a domain, a source or an item of the catalogue"
        if not isinstance(said, dict):
            continue
        first, last = said.get("period_from"), said.get("period_until")
        if isinstance(first, dt.date) and isinstance(last, dt.date) and last < first:
            yield ("governance", "grounds", key, "period_until"), "ends before it begins"
        conditions = ("temporary", "necessary_extent", "considerable_reason", "no_undue_harm")
        if said.get("kind") == "beyond_purpose" and (missing := [c for c in conditions if not said.get(c)]):
            yield (
                ("governance", "grounds", key),
                f"use beyond the purpose needs all four conditions; missing: {', '.join(missing)}",
            )


def _code_faults(code: Any) -> Found:
    if isinstance(code, bool) or not isinstance(code, str | int):
        return
    text = str(code)
    if not re.fullmatch(r"[0-9]{6}", text):
        yield ("code",), "not a municipality code; expected six digits (five and a check digit)"
    elif check_digit(text[:5]) != text[5]:
        yield ("code",), f"the check digit is wrong; expected {text[:5]}{check_digit(text[:5])}"


def _consent_faults(consent: Any, held: set[str]) -> Found:
    if not isinstance(consent, dict):
        return
    source = consent.get("source")
    if consent.get("rule") in ("opt_in", "opt_out") and source is None:
        yield ("consent",), "`source` is missing: which source holds the consents?"
    if source is not None and str(source) not in held:
        yield ("consent", "source"), "not among this municipality's sources"


def _near(key: str, catalog: Catalog) -> str:
    import difflib

    return ", ".join(difflib.get_close_matches(key, list(catalog.sources), n=3, cutoff=0.4) or list(catalog.sources))


def _file_of(source: dict[str, Any]) -> dict[str, Any]:
    file = source.get("file")
    return file if isinstance(file, dict) else {}


def _source_faults(path: Path_, source: dict[str, Any], known: Source | None) -> Found:
    file = _file_of(source)
    yield from (((*path, "file", *where), message) for where, message in _file_faults(file))
    items: set[str] = set()
    places: dict[Any, str] = {}
    for part in ("columns", "ignored_columns"):
        for number, column in _mappings(source.get(part)):
            here: Path_ = (*path, part, number)
            name = str(column.get("item", "(ignored)"))
            if part == "columns" and "item" in column:
                if known is not None and name not in known.by_name:
                    yield (*here, "item"), f"unknown item '{name[:80]}'; {known.key} has {', '.join(known.by_name)}"
                if name in items:
                    yield (*here, "item"), f"the item '{name}' stands here twice"
                items.add(name)
            if part == "columns" and _is_made(column):
                yield from _made_faults(here, column, file, known)
            else:
                yield from _place_faults(here, column, file, places, name)
            item = None if known is None else known.by_name.get(name)
            if column.get("date_style") is not None and item is not None and item.type not in ("date", "month"):
                yield (*here, "date_style"), f"'{name}' is not a date"
    yield from _overlap_faults(path, source)
    months = source.get("months")
    if isinstance(months, dict):
        yield from _month_faults((*path, "months"), months, file, known, items)
    yield from _row_faults(path, source, file)
    if known is not None and isinstance(source.get("columns"), list):
        for name in known.natural_key:
            if name not in items:
                yield (*path, "columns"), f"no column for '{name}', part of the key of {known.key}"
        if known.key == "resident.register" and "birth_date" not in items:
            yield (*path, "columns"), "no column for 'birth_date': without it nobody is known to be a child"
    yield from _code_map_faults(path, source, known, items)
    yield from _zero_faults(path, source, known)
    yield from _unencodable_faults(path, source)


def _is_made(column: dict[str, Any]) -> bool:
    """Whether the item is no column of the file as it stands, but made of several or of none."""
    return any(column.get(key) is not None for key in ("columns", "constant", "from_file_name", "take"))


def _made_faults(here: Path_, column: dict[str, Any], file: dict[str, Any], known: Source | None) -> Found:
    ways = [key for key in ("columns", "constant", "from_file_name") if column.get(key) is not None]
    ways += [key for key in ("column", "position", "start") if column.get(key) is not None]
    for way in ways[1:]:
        yield (*here, way), f"an item comes from one place; `{ways[0]}` says another"
    several = column.get("columns")
    if several is not None and file.get("header", True) is False:
        yield (*here, "columns"), "several columns are found by their headers; this file has none"
    if isinstance(several, list) and len(several) > 1 and column.get("take") is None:
        yield (*here, "columns"), "`take` is missing: joined, joined_with_blank, first or date_parts"
    if column.get("take") is not None and several is None:
        yield (*here, "take"), "goes with `columns`"
    if isinstance(several, list) and column.get("take") == "date_parts" and len(several) not in (2, 3):
        yield (*here, "columns"), "a date has a column for its year, one for its month and one for its day"
    pattern = column.get("from_file_name")
    if isinstance(pattern, str) and pattern.count("{}") != 1:
        yield (*here, "from_file_name"), "expected a pair of braces once, where the value stands in the file's name"
    if column.get("constant") is not None and known is not None and known.natural_key == [str(column.get("item"))]:
        yield (*here, "constant"), f"'{known.natural_key[0]}' tells the records of {known.key} apart"


def _row_faults(path: Path_, source: dict[str, Any], file: dict[str, Any]) -> Found:
    headerless = file.get("header", True) is False
    for number, rule in _mappings(source.get("rows")):
        here: Path_ = (*path, "rows", number)
        if headerless:
            yield here, "a rule names columns by their headers; this file has none"
        decides = rule.get("column") is not None
        if decides == (rule.get("latest") is not None):
            yield here, "expected either `column` with `keep` or `drop`, or `latest` with `of`"
        elif decides and bool(rule.get("keep")) == bool(rule.get("drop")):
            yield here, "expected either `keep` or `drop`"
        elif not decides and not rule.get("of"):
            yield here, "`of` is missing: which columns tell one record's history from another's?"
    for number, column in _mappings(source.get("columns")):
        for key in ("unknown_flag", "unknown_text"):
            if column.get(key) is not None and headerless:
                yield (*path, "columns", number, key), "is found by its header; this file has none"


def _month_faults(
    here: Path_, months: dict[str, Any], file: dict[str, Any], known: Source | None, items: set[str]
) -> Found:
    if file.get("header", True) is False:
        yield here, "months' columns are found by their headers; this file has none"
    names = months.get("columns")
    made = {str(months.get("item", "month")), *(str(name) for name in (names if isinstance(names, dict) else {}))}
    for name in sorted(made):
        if known is not None and name not in known.by_name:
            yield here, f"unknown item '{name[:80]}' of {known.key}"
        elif name in items:
            yield here, f"the item '{name}' has a column of its own too"
    items |= made
    for name, header in (names if isinstance(names, dict) else {}).items():
        if isinstance(header, str) and header.count("{}") != 1:
            yield (*here, "columns", name), "expected a pair of braces once, where the month stands in the header"


def _file_faults(file: dict[str, Any]) -> Found:
    pattern = file.get("pattern")
    if isinstance(pattern, str):
        if "/" in pattern or "\\" in pattern or pattern.startswith("."):
            yield ("pattern",), "a file name, not a path: no folders, no leading dot"
        elif not _WILD.fullmatch(pattern):
            yield ("pattern",), "not a file pattern; expected a name with * and ? only"
        elif not (pattern.rpartition(".")[0] or pattern).strip("*?. "):
            yield ("pattern",), "matches every file; name what is this source's alone"
    kind = file.get("format")
    if kind == "oneroster":
        for field in ("encoding", "delimiter", "record_bytes", "sheet", "zip"):
            if file.get(field) is not None:
                yield (field,), "a OneRoster delivery has none"
    ending = pattern.rpartition(".")[2].lower() if isinstance(pattern, str) else ""
    if ending == "xls":
        yield ("pattern",), "an .xls workbook cannot be read; ask the holder for .xlsx or CSV"
    if ending == "zip" and file.get("zip") is None and kind not in (None, "oneroster"):
        yield ("pattern",), "the files are ZIP archives: say which file inside is meant (`zip`, `member`)"
    archive = file.get("zip")
    if isinstance(archive, dict) and isinstance(archive.get("member"), str):
        if "/" in archive["member"] or "\\" in archive["member"]:
            yield ("zip", "member"), "a file name, not a path: no folders"
        if ending not in ("zip", "*", ""):
            yield ("pattern",), "`zip` is given, but these files are no ZIP archives"
    if str(file.get("encoding")).lower().replace("_", "-") in ("euc-jp", "eucjp", "euc-jis-2004", "iso-2022-jp"):
        yield ("encoding",), "is not read; ask the holder for cp932 or utf-8, or have the file converted"
    if kind == "xlsx":
        for field in ("encoding", "delimiter", "record_bytes"):
            if file.get(field) is not None:
                yield (field,), "an XLSX file has none"
    elif kind in ("csv", "tsv", "fixed"):
        if file.get("encoding") is None:
            yield (), "`encoding` is missing; expected cp932, utf-8, utf-8-sig or utf-16"
        if file.get("sheet") is not None:
            yield ("sheet",), "only an XLSX file has sheets"
        if kind == "fixed" and file.get("header", True) is not False:
            yield (), "a fixed-width file has no header: set `header: false`"
        if kind == "fixed" and file.get("encoding") == "utf-16":
            yield ("encoding",), "fixed widths are bytes; expected cp932 or utf-8"
        if kind == "tsv" and file.get("delimiter") not in (None, "\t"):
            yield ("delimiter",), "a TSV file is delimited by tabs"


def _place_faults(
    here: Path_, column: dict[str, Any], file: dict[str, Any], places: dict[Any, str], name: str
) -> Found:
    fixed = file.get("format") == "fixed"
    header = file.get("header", True) is not False
    wanted = ("start", "width") if fixed else (("column",) if header else ("position",))
    for field in ("column", "position", "start", "width"):
        if field in wanted and column.get(field) is None:
            yield here, f"`{field}` is missing: how is '{name}' found in this file?"
        if field not in wanted and column.get(field) is not None:
            yield (*here, field), f"this file's columns are found by {' and '.join(wanted)}"
    if not fixed and column.get(wanted[0]) is not None:
        place = column[wanted[0]]
        if isinstance(place, str | int):
            if place in places:
                yield (*here, wanted[0]), f"the same column as '{places[place]}'"
            places[place] = name
            count = file.get("field_count")
            if wanted == ("position",) and isinstance(place, int) and isinstance(count, int) and place > count:
                yield (*here, "position"), f"beyond `field_count` {count}"


def _overlap_faults(path: Path_, source: dict[str, Any]) -> Found:
    file = _file_of(source)
    if file.get("format") != "fixed":
        return
    spans: list[tuple[int, int, str, Path_]] = []
    for part in ("columns", "ignored_columns"):
        for number, column in _mappings(source.get(part)):
            start, width = column.get("start"), column.get("width")
            if isinstance(start, int) and isinstance(width, int) and not isinstance(start, bool):
                name = str(column.get("item", "(ignored)"))
                spans.append((start, start + width - 1, name, (*path, part, number)))
    spans.sort(key=lambda span: span[:2])
    reached, holder = 0, ""
    for start, end, name, here in spans:
        if start <= reached:
            yield here, f"bytes {start}-{end} of '{name}' overlap '{holder}', which ends at byte {reached}"
        if end > reached:
            reached, holder = end, name
        length = file.get("record_bytes")
        if isinstance(length, int) and end > length:
            yield here, f"'{name}' ends at byte {end}, beyond `record_bytes` {length}"


def _tokens(holder: dict[str, Any]) -> list[str]:
    tokens = holder.get("null_tokens")
    return [str(token).strip() for token in tokens] if isinstance(tokens, list) else []


def _zero_faults(path: Path_, source: dict[str, Any], known: Source | None) -> Found:
    """A source-wide null token 0 would turn true zeros (0 days absent) into blanks: house rule 4."""
    zeros = [token for token in _tokens(source) if re.fullmatch(r"0+(\.0+)?", token)]
    if known is None or not zeros:
        return
    for number, column in _mappings(source.get("columns")):
        item = known.by_name.get(str(column.get("item")))
        if item is None or item.type not in ("int", "decimal") or column.get("null_tokens") is not None:
            continue
        if item.minimum is None or item.minimum <= 0:
            yield (
                (*path, "columns", number),
                f"the source's null token '{zeros[0]}' would blank true zeros of '{item.name}'; "
                "give the column its own `null_tokens` (`[]` for none)",
            )


def _unencodable_faults(path: Path_, source: dict[str, Any]) -> Found:
    """Header texts that the declared encoding cannot hold would never be found."""
    encoding = _file_of(source).get("encoding")
    if encoding != "cp932":
        return
    for part in ("columns", "ignored_columns"):
        for number, column in _mappings(source.get(part)):
            title = column.get("column")
            if isinstance(title, str):
                try:
                    title.encode("cp932")
                except UnicodeEncodeError:
                    yield (*path, part, number, "column"), "holds a character that cp932 has not"


def _code_map_faults(path: Path_, source: dict[str, Any], known: Source | None, items: set[str]) -> Found:
    maps = source.get("code_maps")
    if not isinstance(maps, dict):
        return
    nulls = {
        str(column.get("item")): _tokens(column)
        for _, column in _mappings(source.get("columns"))
        if column.get("null_tokens") is not None
    }
    for name, codes in maps.items():
        here: Path_ = (*path, "code_maps", name)
        if known is None:
            continue
        if name not in known.by_name:
            yield here, f"unknown item '{name[:80]}' of {known.key}"
            continue
        expected = known.by_name[name].codes
        if expected is None:
            yield here, f"'{name}' has no code list"
            continue
        if name not in items:
            yield here, f"'{name}' has no column"
        for local, code in (codes if isinstance(codes, dict) else {}).items():
            if str(code) not in expected:
                yield (
                    (*here, local),
                    f"'{str(code)[:40]}' is not a code of the catalogue; expected {', '.join(expected)}",
                )
            elif local.strip() in expected and local.strip() != str(code):
                yield (*here, local), "a code of the catalogue always means itself; it cannot be mapped to another"
            if local.strip() in nulls.get(name, _tokens(source)):
                yield (*here, local), "is also a null token of this item: it cannot be both a code and a blank"


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except Exception:  # ZoneInfo raises half a dozen kinds for what is simply no name of a zone
        return False
    return True


def cron_faults(cron: str) -> list[str]:
    """What is wrong with a five-field cron expression; empty if nothing."""
    fields = cron.split()
    if len(fields) != 5:
        return [f"{len(fields)} cron fields; expected 5: minute hour day month weekday"]
    faults = []
    titles = ("minute", "hour", "day", "month", "weekday")
    for title, field, (low, high), names in zip(titles, fields, _CRON_RANGES, _CRON_NAMES, strict=True):
        for part in field.lower().split(","):
            body, slash, step = part.partition("/")
            first, dash, last = body.partition("-")
            ends = [str(names.get(end, end)) for end in ([first, last] if dash else [first])]
            good = body == "*" or all(re.fullmatch(r"[0-9]{1,2}", end) and low <= int(end) <= high for end in ends)
            if good and dash and body != "*":
                good = int(ends[0]) <= int(ends[1])
            if slash:
                good = good and bool(re.fullmatch(r"[0-9]{1,2}", step)) and int(step or 0) > 0
            if not good:
                faults.append(f"the cron field {title} is wrong; expected {low}-{high}, *, a list, a range or a step")
                break
    return faults
