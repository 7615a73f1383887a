"""The four duties (guideline of 2022-12-20, chapter 4): a run whose duty is nobody's does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kodomo_platform.errors import PolicyError

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

ROLES_JA = {"oversight": "総括管理主体", "holding": "保有・管理主体", "analysis": "分析主体", "use": "活用主体"}


def require_roles(municipality: Municipality) -> None:
    """Refuse unless the town's file names an office for each of the four duties.

    Raises:
        PolicyError: naming the duties that are nobody's.
    """
    missing = list(ROLES_JA) if municipality.governance is None else municipality.governance.roles.missing
    if missing:
        raise PolicyError(
            f"these duties are nobody's: {', '.join(missing)}",
            where=f"municipality {municipality.code}, governance.roles",
            expected="an office for each of oversight, holding, analysis and use",
            action="name them in the municipality's file",
        )
