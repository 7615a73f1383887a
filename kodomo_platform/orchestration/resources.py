"""What a run is told at launch, and the lock that keeps two runs of one municipality apart."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Self

import dagster as dg

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import ConfigurationError, KodomoError
from kodomo_platform.municipalities import Municipality, load_municipality
from kodomo_platform.orchestration.landing_state import landed
from kodomo_platform.orchestration.tags import AS_OF, LANDED, NAME
from kodomo_platform.settings import get_settings, municipality_code

# The as-of date of the run that holds a municipality's lock in this process.
_FIXED: dict[str, date] = {}


class RunSettings(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What may be chosen when a run is launched. Every asset asks for it, and with it comes the municipality's lock."""

    as_of: str = ""
    """The date the run looks from (YYYY-MM-DD); empty: the latest extract date that has landed."""
    training: bool = False
    """Whether features for earlier dates are built too, for training."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Hold the municipality's lock as long as the process works on the run."""
        code = context.run.tags.get("dagster/partition") if context.run else None
        if context.run is None or code is None:
            yield self
            return
        with municipality_lock(code, f"run {context.run.run_id}"):
            self._tag(context, code)
            try:
                yield self
            finally:
                _FIXED.pop(code, None)

    def _tag(self, context: dg.InitResourceContext, code: str) -> None:
        """What people filter runs by, and what had landed when the run began; whoever started the run."""
        run, instance = context.run, context.instance
        if run is None or instance is None:
            return
        tags: dict[str, str] = {}
        # a fault in the municipality's file or folder is the first step's to report
        with suppress(KodomoError, OSError):
            municipality = load_municipality(code)
            tags[NAME] = municipality.name_ja
            if LANDED not in run.tags and (state := landed(code)):
                tags[LANDED] = state
            # fixed once: a file that lands while the run is at work must not move its later steps to another date. A step
            # in a process of its own finds the date that the first one wrote down
            stored = instance.get_run_by_id(run.run_id)
            noted = None if stored is None else stored.tags.get(AS_OF)
            as_of = date.fromisoformat(noted) if noted and not self.as_of else self.as_of_date(municipality)
            _FIXED[code] = as_of
            tags[AS_OF] = as_of.isoformat()
        with suppress(Exception):  # a tag is a convenience: no reason to lose a run
            instance.add_run_tags(run.run_id, tags)

    def as_of_date(self, municipality: Municipality) -> date:
        """The run's ``as_of_date``; raises `ConfigurationError` for text that is no date."""
        if self.as_of:
            try:
                return date.fromisoformat(self.as_of)
            except ValueError:
                raise ConfigurationError(
                    "as_of is not a date", where="run configuration", expected="YYYY-MM-DD, e.g. 2026-10-01"
                ) from None
        if municipality.code in _FIXED:
            return _FIXED[municipality.code]
        from kodomo_platform.extracts import complete_extract_dates

        dates = complete_extract_dates(municipality, get_settings().landing)
        if not dates:
            raise ConfigurationError(
                f"nothing complete has landed for municipality {municipality.code}",
                where=str(get_settings().landing / municipality.code),
                expected="a folder named by its extract date (YYYY-MM-DD) with the sources' files",
                action="put the extract there, or make a synthetic one with `kodomo synth`",
            )
        return max(dates)


@contextmanager
def municipality_lock(code: str, holder: str) -> Iterator[None]:
    """Hold the municipality's lock file; raises `KodomoError` at once if another run has it.

    An advisory lock of the operating system: it goes with the process, so a killed run leaves nothing to clean up.
    """
    folder = get_settings().locks
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{municipality_code(code)}.lock"
    with Path.open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise KodomoError(
                f"another run of municipality {code} is under way ({file.read().strip() or 'it has not said which'})",
                expected="one run of a municipality at a time",
                action="wait until it has ended, then start this one again",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{holder}, process {os.getpid()}")
        file.flush()
        yield


def partition_municipality(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Municipality:
    """The municipality whose partition this step works on, as far as its grounds let it be read today."""
    from kodomo_platform.policy.grounds import governed

    op_context = getattr(context, "op_execution_context", context)
    return governed(load_municipality(op_context.partition_key), date.today())


def catalogue_source_keys() -> list[str]:
    """Keys of every source of the catalogue, in its order."""
    return list(load_catalog().sources)
