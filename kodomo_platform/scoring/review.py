"""Champion against challenger, and the decision of a person: approve, reject, retire.

The decision itself is kept by `operations`; here the version is looked up in MLflow, its floor and its bytes are checked,
and the registry's aliases follow. No model approves itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from kodomo_platform import operations
from kodomo_platform.errors import ScoringError
from kodomo_platform.model_registry import follow, registered_versions
from kodomo_platform.scoring import artifacts
from kodomo_platform.scoring.additive import read_model
from kodomo_platform.scoring.evaluation import Group, judge_groups, pooled
from kodomo_platform.scoring.recording import registered_name
from kodomo_platform.scoring.themes import load_themes


@dataclass(frozen=True)
class Version:
    """One registered model version with what it measured."""

    municipality: str
    theme: str
    version: str
    candidate: str
    run_id: str
    artifact_sha256: str
    floor: str
    aliases: tuple[str, ...]
    metrics: dict[str, float]
    as_of_date: str

    @property
    def meets_floor(self) -> bool:
        return self.floor == "met"


def versions(code: str, theme: str) -> list[Version]:
    """All registered versions of one theme, newest first; none while nothing was trained.

    Raises ScoringError when MLflow cannot be reached: that is not the same as nothing trained.
    """
    try:
        found = registered_versions(registered_name(code, theme))
    except Exception as error:
        raise ScoringError(
            f"MLflow cannot be asked for the trained versions ({type(error).__name__})",
            where=f"municipality {code}, theme {theme}",
            action="start the MLflow server (kodomo ui) or mend KODOMO_MLFLOW_TRACKING_URI; scoring goes on meanwhile",
        ) from error
    return [
        Version(
            code,
            theme,
            row.version,
            row.tags.get("candidate", ""),
            row.run_id,
            row.tags.get("artifact_sha256", ""),
            row.tags.get("floor", ""),
            row.aliases,
            row.metrics,
            row.run_tags.get("as_of_date", ""),
        )
        for row in found
    ]


def _find(code: str, theme: str, version: str | None) -> Version:
    if theme not in load_themes():
        raise ScoringError(f"no theme named {theme}", expected=", ".join(sorted(load_themes())))
    found = versions(code, theme)
    for row in found:
        if row.version == version or (version is None and "challenger" in row.aliases):
            return row
    raise ScoringError(
        "no such model version" if version else "there is no challenger",
        where=f"municipality {code}, theme {theme}",
        expected=f"one of {', '.join(row.version for row in found)}" if found else "a trained version",
        action="train first, or see `kodomo model list`",
    )


def review(code: str, theme: str) -> tuple[Version | None, Version | None]:
    """(champion, challenger) of one theme; the champion is what `operations` says is approved."""
    approval = operations.approved_model(code, theme)
    found = versions(code, theme)
    champion = next((row for row in found if approval is not None and row.version == str(approval.version)), None)
    challenger = next((row for row in found if "challenger" in row.aliases and row != champion), None)
    return champion, challenger


@dataclass(frozen=True)
class Fairness:
    """How groups fare under the newest training of one theme, here and added up over the municipalities of this home.

    ``version``: the registered version that ``own`` is of, "" where its file is of no registered version. ``pooled`` is
    empty with one municipality; areas are never pooled.
    """

    version: str
    own: list[Group]
    pooled: list[Group]
    municipalities: list[str]


def fairness(code: str, theme: str) -> Fairness | None:
    """The groups of the newest training, or None while there is none: what one town cannot judge, several may."""
    sites = artifacts.kept_counts(theme)
    if code not in sites:
        return None
    own = sites[code]
    version = next((row.version for row in versions(code, theme) if row.artifact_sha256 == own.artifact_sha256), "")
    several = judge_groups(pooled([site.counts for site in sites.values()])) if len(sites) > 1 else []
    return Fairness(version, judge_groups(own.counts), several, sorted(sites))


def approve(
    code: str, theme: str, version: str | None = None, *, by: str, reason: str, below_floor: bool = False
) -> operations.Approval:
    """Approve one version (None: the challenger), after checking its floor and its bytes.

    Raises ScoringError below the floor unless ``below_floor`` (demonstrations only, and the record says so), and when
    the file is not the one that was trained.
    """
    row = _find(code, theme, version)
    if not row.meets_floor:
        if not below_floor:
            raise ScoringError(
                f"the model is below the floor that was fixed beforehand ({row.floor})",
                where=f"municipality {code}, theme {theme}, version {row.version}",
                action="do not let it go live; the criteria go on scoring alone",
            )
        reason = f"{reason} [below the floor: {row.floor}]"
    read_model(artifacts.model_path(code, theme, row.artifact_sha256), row.artifact_sha256)
    approval = operations.approve_model(
        code,
        theme,
        row.candidate,
        row.version,
        row.run_id,
        row.artifact_sha256,
        operations.Act(by, reason, "model approval"),
    )
    follow(registered_name(code, theme), "champion", row.version)
    return approval


def approve_challengers(code: str, *, by: str, reason: str) -> list[operations.Approval]:
    """For demonstrations: approve the challenger of every theme that has one, below the floor too, and say so."""
    return [
        approve(code, theme, row.version, by=by, reason=reason, below_floor=True)
        for theme in load_themes()
        for row in versions(code, theme)
        if "challenger" in row.aliases and not _is_approved(code, theme, row.version)
    ]


def _is_approved(code: str, theme: str, version: str) -> bool:
    approval = operations.approved_model(code, theme)
    return approval is not None and str(approval.version) == version


def reject(code: str, theme: str, version: str | None = None, *, by: str, reason: str) -> operations.Approval:
    """Record that one version was looked at and refused."""
    row = _find(code, theme, version)
    act = operations.Act(by, reason, "model approval")
    return operations.reject_model(code, theme, row.candidate, row.version, row.run_id, row.artifact_sha256, act)


def retire(code: str, theme: str, *, by: str, reason: str) -> operations.Approval:
    """Take the approved version out of use: from now on the criteria score alone."""
    approval = operations.retire_model(code, theme, operations.Act(by, reason, "model approval"))
    follow(registered_name(code, theme), "champion", None)
    return approval
