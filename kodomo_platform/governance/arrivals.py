"""A new extract that brings back people who were taken out loses their records before it is read or archived."""

from __future__ import annotations

from dataclasses import dataclass

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog
from kodomo_platform.governance import source_files
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.policy.suppression import marked, suppressed


@dataclass(frozen=True)
class _Marked:
    """The numbers of one number system that were taken out, known by their hashes alone."""

    key: str
    system: str
    marks: frozenset[str]

    def __contains__(self, number: object) -> bool:
        return marked(self.key, self.system, str(number)) in self.marks


def clean(municipality: Municipality, source_key: str) -> int:
    """Take records of people who were taken out from the landed files of a source; how many.

    Raises:
        GovernanceError: a file cannot be read, so nobody can say whether it holds them.
    """
    marks = suppressed(municipality.code)
    if not marks:
        return 0
    system = load_catalog().sources[source_key].id_system
    gone = _Marked(operations.id_state(municipality.code).key, system, marks)
    removed = 0
    for path, config in list(source_files.landed_files(municipality)):
        if config.source != source_key:
            continue
        content, count = source_files.without(path, config, gone)
        if count:
            source_files.replace(path, content, named_by_hash=False)
            removed += count
    return removed
