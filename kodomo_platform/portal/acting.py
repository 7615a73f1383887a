"""Who, why and for what, as the operations room asks for it with every change."""

from __future__ import annotations

from typing import Any

from kodomo_platform import operations
from kodomo_platform.portal.desk import Desk


def act(desk: Desk, reason: str, purpose: str = "support") -> Any:
    """The person at the desk as the actor of a change."""
    return operations.Act(desk.actor.login, reason, purpose)
