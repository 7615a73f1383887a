"""Reading ``expectations/*.yaml``: what is checked, how strictly, why, and in which words it is told.

A suite with a slip (a column that no table has, a threshold that cannot be met, a misspelt expectation) is refused here
with its line, before anything runs. Writing the generated parts belongs to `generation`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kodomo_platform.catalog import Catalog, load_catalog
from kodomo_platform.errors import Fault, QualityError
from kodomo_platform.located_yaml import LocatedYaml, read_yaml
from kodomo_platform.quality.results import KINDS, SEVERITIES, Kind, Severity
from kodomo_platform.quality.tables import OPEN_TABLES, known_columns, source_of
from kodomo_platform.quality.vocabulary import VOCABULARY, argument_columns
from kodomo_platform.shipped import shipped_folder

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import QualityOverride

SUITES_DIR = shipped_folder("expectations")

# Arguments of every expectation that judge its counts: rows that may break it whatever their share is.
JUDGED_BY = frozenset({"spare"})
_SUITE_KEYS = {"table", "optional", "generated", "hand_written"}
_ENTRY_KEYS = {
    "id", "expect", "item", "arguments", "kind", "severity", "threshold", "why", "applies_when", "ja", "en",
}  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    """One expectation of one table. ``threshold``: percent of the rows in scope that may break it."""

    table: str
    id: str
    expect: str
    item: str | None
    arguments: Mapping[str, Any]
    kind: Kind
    severity: Severity
    threshold: float
    why: str
    applies_when: str
    ja: str
    en: str
    source: str | None
    generated: bool
    file: Path
    line: int | None

    @property
    def key(self) -> str:
        """``schema.table:id``, the same in every run and municipality."""
        return f"{self.table}:{self.id}"


@dataclass(frozen=True)
class Suite:
    """All expectations of one table. ``optional``: the table may be missing."""

    table: str
    source: str | None
    optional: bool
    expectations: tuple[Expectation, ...]
    file: Path


def load_suites(directory: Path | None = None, catalog: Catalog | None = None) -> dict[str, Suite]:
    """Every suite by its table. Raises `QualityError` naming the file and line of every fault."""
    if directory is None and catalog is None:
        return dict(_shipped())
    return _load(directory or SUITES_DIR, catalog or load_catalog())


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Suite]:
    return _load(SUITES_DIR, load_catalog())


def _load(directory: Path, catalog: Catalog) -> dict[str, Suite]:
    suites: dict[str, Suite] = {}
    faults: list[Fault] = []
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise QualityError("no suites", where=str(directory), action="run `kodomo quality generate`")
    for file in files:
        suite, found = read_suite(file, catalog)
        faults.extend(found)
        if suite is not None:
            if suite.table in suites:
                faults.append(Fault(file, 1, "table", f"a second suite for {suite.table}"))
            suites[suite.table] = suite
    if faults:
        raise QualityError(
            f"{len(faults)} fault(s) in the suites:\n" + "\n".join(f"  {fault}" for fault in faults),
            where=str(faults[0].file),
            action="correct the lines named; `kodomo quality generate` rewrites the generated parts",
        )
    return suites


def read_suite(file: Path, catalog: Catalog) -> tuple[Suite | None, list[Fault]]:
    """One suite and all that is wrong with it."""
    document = read_yaml(file)
    faults = list(document.faults)
    data = document.data
    if not isinstance(data, dict):
        return None, faults or [Fault(file, 1, "", "a suite is a mapping with `table` and expectations")]
    faults += [
        document.fault((key,), f"unknown key{_near(key, _SUITE_KEYS)}") for key in data if key not in _SUITE_KEYS
    ]
    table = str(data.get("table", ""))
    columns = known_columns(table, catalog)
    if columns is None:
        faults.append(document.fault(("table",), "no such table in the catalogue or between the rooms"))
        return None, faults
    source = source_of(table, catalog)
    entries: list[Expectation] = []
    for part in ("generated", "hand_written"):
        listed = data.get(part) or []
        if not isinstance(listed, list):
            faults.append(document.fault((part,), "expected a list of expectations"))
            continue
        for place, entry in enumerate(listed):
            found = _entry(document, (part, place), entry, table, columns, catalog, source.key if source else None)
            if isinstance(found, Expectation):
                entries.append(found)
            else:
                faults.extend(found)
    seen: set[str] = set()
    for expectation in entries:
        if expectation.id in seen:
            faults.append(Fault(file, expectation.line, "id", f"the id '{expectation.id}' stands here twice"))
        seen.add(expectation.id)
    suite = Suite(table, source.key if source else None, bool(data.get("optional", False)), tuple(entries), file)
    return suite, faults


def _near(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _entry(
    document: LocatedYaml,
    path: tuple[str | int, ...],
    entry: Any,
    table: str,
    columns: frozenset[str],
    catalog: Catalog,
    source: str | None,
) -> Expectation | list[Fault]:
    if not isinstance(entry, dict):
        return [document.fault(path, "expected a mapping")]
    faults = [
        document.fault((*path, key), f"unknown key{_near(key, _ENTRY_KEYS)}") for key in entry if key not in _ENTRY_KEYS
    ]
    for key in ("id", "expect", "kind", "severity", "threshold", "why", "ja", "en"):
        if entry.get(key) in (None, ""):
            faults.append(document.fault(path, f"'{key}' is missing"))
    if faults:
        return faults
    name, item = str(entry["expect"]), entry.get("item")
    arguments = entry.get("arguments") or {}
    word = VOCABULARY.get(name)
    if word is None:
        return [document.fault((*path, "expect"), f"no expectation has this name{_near(name, VOCABULARY)}")]
    if not isinstance(arguments, dict):
        return [document.fault((*path, "arguments"), "expected a mapping")]
    if word.needs_item and not item:
        faults.append(document.fault(path, f"{name} needs an 'item'"))
    for argument in arguments:
        if argument not in word.arguments and argument not in JUDGED_BY:
            faults.append(
                document.fault((*path, "arguments", argument), f"unknown argument{_near(argument, word.arguments)}")
            )
    for argument, needed in word.arguments.items():
        if needed and argument not in arguments:
            faults.append(document.fault((*path, "arguments"), f"{name} needs the argument '{argument}'"))
    if entry["kind"] not in KINDS:
        faults.append(document.fault((*path, "kind"), f"expected one of {', '.join(KINDS)}"))
    if entry["severity"] not in SEVERITIES:
        faults.append(document.fault((*path, "severity"), f"expected one of {', '.join(SEVERITIES)}"))
    fault = threshold_fault(entry["threshold"])
    if fault:
        faults.append(document.fault((*path, "threshold"), fault))
    low, high = arguments.get("minimum"), arguments.get("maximum")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        faults.append(document.fault((*path, "arguments"), "the minimum lies above the maximum: nothing can pass"))
    if table not in OPEN_TABLES:
        named = [str(item)] if item else []
        for column in [*named, *argument_columns(name, arguments)]:
            if column not in columns:
                faults.append(document.fault(path, f"{table} has no column '{column}'{_near(column, columns)}"))
    if name == "expect_rows_to_exist_in" and "table" in arguments and "columns" in arguments:
        there = known_columns(str(arguments["table"]), catalog)
        if there is None:
            faults.append(document.fault((*path, "arguments", "table"), "no such table"))
        else:
            faults += [
                document.fault((*path, "arguments", "columns"), f"{arguments['table']} has no column '{column}'")
                for column in arguments["columns"]
                if column not in there
            ]
    if faults:
        return faults
    return Expectation(
        table=table,
        id=str(entry["id"]),
        expect=name,
        item=str(item) if item else None,
        arguments=arguments,
        kind=cast("Kind", entry["kind"]),
        severity=cast("Severity", entry["severity"]),
        threshold=float(entry["threshold"]),
        why=str(entry["why"]),
        applies_when=str(entry.get("applies_when") or "always"),
        ja=str(entry["ja"]),
        en=str(entry["en"]),
        source=source,
        generated=path[0] == "generated",
        file=document.file,
        line=document.line(path),
    )


def threshold_fault(threshold: Any) -> str | None:
    """What is wrong with a threshold, or None. It is the percent of rows that may break the expectation."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        return "a threshold is a number of percent"
    if not 0 <= threshold < 100:
        return "impossible: a threshold is a percent from 0 to below 100 (at 100 nothing could ever fail)"
    return None


def with_overrides(expectations: Iterable[Expectation], overrides: Iterable[QualityOverride]) -> list[Expectation]:
    """``expectations`` with a municipality's own thresholds, its reason added to the note.

    An override names a table, an expectation and, if it is about one, an item. One that matches no suite is an error: a
    municipality must not believe in a rule that does not run.
    """
    answer = list(expectations)
    for override in overrides:
        check_override(override)
        answer = [
            replace(e, threshold=override.threshold, why=f"{e.why} [municipality: {override.reason}]")
            if _meant(e, override)
            else e
            for e in answer
        ]
    return answer


def _meant(expectation: Expectation, override: QualityOverride) -> bool:
    return (
        override.table in (expectation.table, expectation.table.split(".", 1)[1])
        and override.expectation in (expectation.expect, expectation.id)
        and override.item in (None, expectation.item)
    )


def check_override(override: QualityOverride) -> None:
    """Raise `QualityError` when no suite has the expectation that ``override`` is about."""
    known = [expectation for suite in load_suites().values() for expectation in suite.expectations]
    if not any(_meant(expectation, override) for expectation in known):
        near = _near(override.expectation, VOCABULARY) or _near(
            override.table, {e.table.split(".", 1)[1] for e in known}
        )
        raise QualityError(
            f"a threshold is overridden for an expectation that no suite has{near}",
            where=f"quality_overrides: {override.table}, {override.expectation}, {override.item or '(table)'}",
            expected="table, expectation and item as in expectations/*.yaml",
        )
