"""Whether an item with many blanks enters the analysis of a theme: who decided it, when, and why.

A decision stands in the municipality's file (`absence_decisions`) or is recorded with ``kodomo quality decide`` in the
operations database; a file of decisions that an earlier version wrote is read too. The newest decision on an item and theme holds. `keep` writes what holds into
``quality.absence_decision`` of the warehouse, where the scoring room reads which items are left out; what leaving an item
out does to a model is measured there, not here.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import QualityError

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import AbsenceDecision, Municipality, QualityOverride


def decisions_file(code: str) -> Path:
    """Where an earlier version kept decisions recorded by command; still read, never written."""
    from kodomo_platform.settings import get_settings

    return get_settings().home / "decisions" / f"{code}.yaml"


def recorded(code: str) -> list[AbsenceDecision]:
    """Decisions recorded by command, oldest first. Raises `QualityError` when an earlier version's file was spoilt."""
    from kodomo_platform import operations
    from kodomo_platform.municipalities.models import AbsenceDecision

    kept = [
        AbsenceDecision.model_validate(
            {
                "item": decision.subject,
                "theme": decision.theme,
                "include": decision.include,
                "reason": decision.reason,
                "decided_by": decision.decided_by,
                "decided_on": decision.decided_on,
            }
        )
        for decision in operations.analysis_decisions(code, "absence")
    ]
    return [*_of_earlier_version(code), *kept]


def _of_earlier_version(code: str) -> list[AbsenceDecision]:
    import yaml
    from pydantic import ValidationError

    from kodomo_platform.municipalities.models import AbsenceDecision

    file = decisions_file(code)
    if not file.exists():
        return []
    try:
        listed = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        return [AbsenceDecision.model_validate(entry) for entry in listed]
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise QualityError(
            "the file of decisions cannot be read",
            where=str(file),
            expected="a list of item, theme, include, reason, decided_by, decided_on",
            action="mend or remove it; `kodomo quality decide` records decisions elsewhere now",
        ) from error


def effective(municipality: Municipality) -> list[AbsenceDecision]:
    """The decision that holds for each theme and item: the newest; of one day, the one recorded by command."""
    held: dict[tuple[str, str], AbsenceDecision] = {}
    for decision in sorted(
        [*municipality.absence_decisions, *recorded(municipality.code)], key=lambda one: one.decided_on
    ):
        held[(str(decision.theme), decision.item)] = decision
    return [held[key] for key in sorted(held)]


def excluded_items(municipality: Municipality, theme: str) -> frozenset[str]:
    """Items (full keys) that the municipality has decided to leave out of ``theme``."""
    return frozenset(d.item for d in effective(municipality) if d.theme == theme and not d.include)


def decide(
    municipality: Municipality,
    item: str,
    theme: str,
    include: bool,
    reason: str,
    by: str,
    on: dt.date | None = None,
) -> AbsenceDecision:
    """Record a decision; earlier ones stay in the file. Raises `QualityError` for an unknown item or theme, or no reason."""
    from kodomo_platform import operations
    from kodomo_platform.municipalities.models import AbsenceDecision

    if item not in load_catalog().items:
        raise QualityError("no such item in the catalogue", where=item, expected="<domain>.<source>.<item>")
    if theme not in municipality.by_theme:
        raise QualityError(
            "not a theme of this municipality", where=theme, expected="one of " + ", ".join(municipality.by_theme)
        )
    if not reason.strip() or not by.strip():
        raise QualityError(
            "a decision needs a reason and who decided",
            where=item,
            action="give both: they are shown beside the scores",
        )
    made = AbsenceDecision.model_validate(
        {
            "item": item,
            "theme": theme,
            "include": include,
            "reason": reason.strip(),
            "decided_by": by.strip(),
            "decided_on": on or dt.date.today(),
        }
    )
    operations.decide_analysis(
        municipality.code,
        "absence",
        item,
        operations.Act(by.strip(), reason.strip(), "quality"),
        decided_on=made.decided_on,
        theme=theme,
        include=include,
    )
    return made


def thresholds(code: str) -> list[QualityOverride]:
    """The newest threshold on record for each expectation (``schema.table:id``), oldest decision first."""
    from kodomo_platform import operations
    from kodomo_platform.municipalities.models import QualityOverride

    newest = {decision.subject: decision for decision in operations.analysis_decisions(code, "threshold")}
    return [
        QualityOverride(
            table=subject.partition(":")[0],
            item=None,
            expectation=subject.partition(":")[2],
            threshold=decision.threshold or 0.0,
            reason=f"{decision.reason} ({decision.decided_by}, {decision.decided_on})",
        )
        for subject, decision in newest.items()
    ]


def accept(code: str, expectation: str, percent: float, reason: str, by: str, on: dt.date | None = None) -> None:
    """Record which percent of faults an expectation (``schema.table:id``) accepts from the next run on.

    Raises:
        QualityError: no such expectation, or a percent that none can be.
    """
    from kodomo_platform import operations
    from kodomo_platform.municipalities.models import QualityOverride
    from kodomo_platform.quality.suites import check_override, threshold_fault

    if fault := threshold_fault(percent):
        raise QualityError(fault, where=expectation)
    table, _, name = expectation.partition(":")
    check_override(QualityOverride(table=table, item=None, expectation=name, threshold=percent, reason=reason or "-"))
    operations.decide_analysis(
        code,
        "threshold",
        expectation,
        operations.Act(by, reason, "quality"),
        decided_on=on or dt.date.today(),
        threshold=percent,
    )


def keep(con: duckdb.DuckDBPyConnection, municipality: Municipality) -> int:
    """Write what holds into ``quality.absence_decision``; how many decisions there are."""
    held = effective(municipality)
    con.execute("create schema if not exists quality")
    con.execute(
        "create or replace table quality.absence_decision "
        "(theme varchar, item varchar, include boolean, reason varchar, decided_by varchar, decided_on date)"
    )
    for decision in held:
        con.execute(
            "insert into quality.absence_decision values (?, ?, ?, ?, ?, ?)",
            [
                str(decision.theme),
                decision.item,
                decision.include,
                decision.reason,
                decision.decided_by,
                decision.decided_on,
            ],
        )
    return len(held)
