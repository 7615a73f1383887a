"""Runs started from the command line, through Dagster, so that they appear in its pages afterwards."""

import io
import re
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from kodomo_platform.errors import KodomoError, UsageError
from kodomo_platform.extracts.landing import extract_folders
from kodomo_platform.installation.processes import worker
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.orchestration.installation import dagster_instance_home
from kodomo_platform.orchestration.lost_runs import end_lost_runs
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.processes import LOCATION
from kodomo_platform.orchestration.tags import ASKED_BY, WORKER
from kodomo_platform.settings import get_settings

_OWN_ERROR = re.compile(r"^kodomo_platform\.errors\.\w+: ")
_JOBS = ("municipality_run", "training", "linkage_training", "scoring_and_publishing")


@dataclass(frozen=True)
class RunReport:
    """How one run ended."""

    run_id: str
    job: str
    municipality: str
    success: bool
    failed_steps: list[str] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    # table: what a critical check asked, and how many rows break it
    blocked_by: list[str] = field(default_factory=list)
    quality_report: str | None = None


def add_partition(code: str) -> bool:
    """Make ``code`` a partition of Dagster's; True if it was not one yet."""
    dagster_instance_home()
    with dg.DagsterInstance.get() as instance:
        if instance.has_dynamic_partition(str(MUNICIPALITIES.name), code):
            return False
        instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [code])
        return True


def _cause(error: object) -> str | None:
    """What a person should read of an error and its causes: our own words if there are any, else the innermost's.

    Wrappers of Dagster's say nothing, and what lies below one of our errors (a ZIP that is none) is said in it better.
    """
    message = None
    while error is not None:
        if getattr(error, "cls_name", None) == "DagsterAssetCheckFailedError":
            return None  # the checks themselves say what they found
        said = str(getattr(error, "message", None) or "").strip()
        if _OWN_ERROR.match(said):
            return _OWN_ERROR.sub("", said)
        message = said or message
        error = getattr(error, "cause", None)
    return message


def require_extract(code: str, as_of: date) -> None:
    """Refuse a date before the first extract at once: nothing could be seen from there.

    Raises UsageError that names the first possible date. Where nothing landed the run itself says so.
    """
    first = min(extract_folders(get_settings().landing, code), default=None)
    if first is not None and as_of < first:
        raise UsageError(
            "as_of is before the first extract",
            where=as_of.isoformat(),
            expected=f"{first.isoformat()} or later",
            action="give a later date, or put the older extracts into the landing folder",
        )


def own_cause(error: object) -> str:
    """What the platform itself says of a failure; of anything else only its kind, as its words may quote a value."""
    kind = ""
    while error is not None:
        message = str(getattr(error, "message", None) or "").strip()
        if _OWN_ERROR.match(message):
            return _OWN_ERROR.sub("", message)
        kind = str(getattr(error, "cls_name", None) or kind)
        error = getattr(error, "cause", None)
    return kind


def execute(
    code: str,
    job: str = "municipality_run",
    as_of: date | None = None,
    *,
    quiet: bool = True,
    asked_by: str = "kodomo run",
) -> RunReport:
    """Run ``job`` for one municipality in this process and report how it ended. ``asked_by`` becomes a tag of the run.

    Raises `KodomoError` for an unknown municipality or while another run of it is under way.
    """
    municipality = load_municipality(code)
    dagster_instance_home()
    add_partition(municipality.code)
    from kodomo_platform.operations import migrate
    from kodomo_platform.orchestration.build import platform_definitions
    from kodomo_platform.orchestration.resources import municipality_lock

    if job not in _JOBS:
        raise UsageError(f"no job named {job!r}", expected=", ".join(_JOBS))
    if as_of is not None:
        require_extract(municipality.code, as_of)
    migrate()  # refuse a home whose database is lost before a run is recorded
    with municipality_lock(municipality.code, "kodomo run"):
        pass  # refuse before a run is recorded; the run itself holds the lock while it works
    settings: dict[str, object] = {"training": job == "training"}
    if as_of is not None:
        settings["as_of"] = as_of.isoformat()
    # dbt's own lines would drown what the command says; they are kept in Dagster's log of the step
    silence = redirect_stdout(io.StringIO()) if quiet else nullcontext()
    with dg.DagsterInstance.get() as instance, silence:
        end_lost_runs(instance)
        _bear_origin(instance, job)
        result = (
            platform_definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                partition_key=municipality.code,
                tags={WORKER: str(worker()), ASKED_BY: asked_by},
                run_config={
                    "resources": {"run_settings": {"config": settings}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL" if quiet else "INFO"}}},
                },
                raise_on_error=False,
            )
        )
        failures = [event for event in result.all_events if event.is_step_failure]
        evaluations = [
            event.asset_check_evaluation_data
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        ]
        failed = [item for item in evaluations if not item.passed]
        blocking = [item for item in failed if item.severity == dg.AssetCheckSeverity.ERROR]
        # every step's own, not the first one's alone: a delivery with three bad files is sent back once
        causes = [cause for event in failures if (cause := _cause(event.step_failure_data.error))]
        error = "\n".join(dict.fromkeys(causes)) or None
        if error is None and not result.success:
            for event in result.all_events:
                if event.event_type_value == "PIPELINE_FAILURE":
                    error = _cause(getattr(event.event_specific_data, "error", None))
        return RunReport(
            run_id=result.run_id,
            job=job,
            municipality=municipality.code,
            success=result.success and not blocking,
            failed_steps=sorted({str(event.step_key) for event in failures}),
            failed_checks=sorted(_name(item) for item in blocking),
            warnings=sorted(_name(item) for item in failed if item.severity != dg.AssetCheckSeverity.ERROR),
            error=error,
            blocked_by=list(
                dict.fromkeys(
                    line
                    for item in blocking
                    for line in (stated(item, "stopped_by") or stated(item, "blocked_by")).splitlines()
                )
            ),
            quality_report=next((path for item in blocking if (path := stated(item, "report"))), None),
        )


def _bear_origin(instance: dg.DagsterInstance, job: str) -> None:
    """Let the run that this process creates say which code location its job is of.

    Without it Dagster's pages list the run under no job, timeline or overview: running in this process knows no location.
    """
    origin = RemoteRepositoryOrigin(
        ManagedGrpcPythonEnvCodeLocationOrigin(
            LoadableTargetOrigin(executable_path=sys.executable, module_name="kodomo_platform.definitions"), LOCATION
        ),
        SINGLETON_REPOSITORY_NAME,
    ).get_job_origin(job)
    create = partial(instance.create_run_for_job, remote_job_origin=origin)
    instance.create_run_for_job = create  # type: ignore[method-assign]


def _name(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}"


def stated(evaluation: dg.AssetCheckEvaluation, key: str) -> str:
    """A text that a check left in its metadata; empty where it left none."""
    value = evaluation.metadata.get(key)
    return str(value.value) if value is not None and value.value else ""


def require_success(report: RunReport) -> RunReport:
    """The report if its run succeeded; else a `KodomoError` that says where it stopped."""
    if report.success:
        return report
    stopped = report.failed_steps + report.failed_checks or ["the run itself"]
    where = f"municipality {report.municipality}, run {report.run_id}: {', '.join(stopped)}"
    found = [*report.blocked_by, *([report.error] if report.error else [])]
    if report.blocked_by or not report.error:
        raise KodomoError(
            # the check first; where the run stopped says less to whoever has to mend an extract
            "\n".join(found) + f"\na blocking quality check failed; nothing was published\n{where}"
            if found
            else f"a blocking quality check failed; nothing was published\n{where}",
            expected="every critical check passes before anything is published",
            action=f"`kodomo quality show --municipality {report.municipality}` says how many rows, the correction sheets "
            f"which{f', and {report.quality_report} all of it' if report.quality_report else ''}; mend the extract and run "
            "again; the last good snapshot is still the current one",
        )
    # each cause says itself what was expected and what to do
    raise KodomoError(
        f"nothing was published; the last good snapshot is still the current one\n{report.error}", where=where
    )
