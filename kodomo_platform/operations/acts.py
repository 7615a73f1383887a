"""Who does something, why, and for which purpose: what every change to the operations database must say.

Also how such an act enters the audit log. The log's own rules (chain, verification, erasure) are `auditing`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from kodomo_platform.errors import OperationsError


@dataclass(frozen=True)
class Act:
    """One person's or process's reason to change or to look.

    Args:
        actor: account or office of who acts (``pipeline`` for a run), never a resident's name.
        reason: why, in words. It may touch on a person, so the audit log keeps it erasable.
        purpose: the purpose of use (利用目的) that the act serves; Act on the Protection of Personal Information,
            arts. 61 and 69. Never personal.
        run_id: run of the pipeline that acts, if one does.

    Raises:
        OperationsError: one of the three is missing.
    """

    actor: str
    reason: str
    purpose: str
    run_id: str = ""

    def __post_init__(self) -> None:
        if not self.actor.strip():
            raise OperationsError("a decision needs the name of who decides", action="give the name (--by)")
        if not self.reason.strip():
            raise OperationsError("a decision needs a reason", action="give the reason in words (--reason)")
        if not self.purpose.strip():
            raise OperationsError("an act needs the purpose it serves", action="give the purpose (--purpose)")


def by_pipeline(reason: str, run_id: str = "", *, purpose: str = "pipeline") -> Act:
    """An act of the pipeline itself, which no person decided."""
    return Act("pipeline", reason, purpose, run_id)
