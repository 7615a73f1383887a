"""What cannot be recomputed: child ids, review decisions, approvals, loads, publications, the audit log.

A Django application stands behind it so that pipeline and portal share one set of models, migrations and
transactions. Rooms call the plain functions named here and get dataclasses; they never see the ORM. Importing this
package does not import Django: the first call does, and brings the database up to date.

What can be rebuilt from landing files (raw rows, features, scores) does not belong here.
"""

from __future__ import annotations

from kodomo_platform.operations.acts import Act, by_pipeline
from kodomo_platform.operations.approvals import (
    Approval,
    approve_model,
    approved_model,
    model_history,
    reject_model,
    retire_model,
)
from kodomo_platform.operations.auditing import (
    AuditEntry,
    AuditFault,
    AuditHead,
    AuditVerdict,
    audit,
    audit_log,
    erase_person,
)
from kodomo_platform.operations.auditing import head as audit_head
from kodomo_platform.operations.auditing import verify as audit_verify
from kodomo_platform.operations.children import (
    ChildEvent,
    ChildHistory,
    ChildRecord,
    IdState,
    NewChild,
    NewEvent,
    SaveReport,
    child_history,
    former_child_ids,
    id_state,
    installation_secret,
    known_child_ids,
    save_child_ids,
    undo_merge,
)
from kodomo_platform.operations.database import close, exists, migrate, transaction
from kodomo_platform.operations.erasure import close_receipt, count_child, forget_child
from kodomo_platform.operations.keeping import keep_rows, put_back
from kodomo_platform.operations.ledger import (
    Load,
    Publication,
    RegisteredMunicipality,
    loads,
    publications,
    record_load,
    record_publication,
    register_municipality,
    registered_municipalities,
)
from kodomo_platform.operations.register import (
    AnalysisDecision,
    GovernanceEvent,
    GovernanceRecord,
    analysis_decisions,
    change_record,
    decide_analysis,
    governance_record,
    governance_records,
    open_record,
)
from kodomo_platform.operations.reviews import (
    ReviewDecision,
    pair_id,
    review_decide,
    review_decisions,
    review_history,
    review_revoke,
)

__all__ = [
    "Act",
    "AnalysisDecision",
    "Approval",
    "AuditEntry",
    "AuditFault",
    "AuditHead",
    "AuditVerdict",
    "ChildEvent",
    "ChildHistory",
    "ChildRecord",
    "GovernanceEvent",
    "GovernanceRecord",
    "IdState",
    "Load",
    "NewChild",
    "NewEvent",
    "Publication",
    "RegisteredMunicipality",
    "ReviewDecision",
    "SaveReport",
    "analysis_decisions",
    "approve_model",
    "approved_model",
    "audit",
    "audit_head",
    "audit_log",
    "audit_verify",
    "by_pipeline",
    "change_record",
    "child_history",
    "close",
    "close_receipt",
    "count_child",
    "decide_analysis",
    "erase_person",
    "exists",
    "forget_child",
    "former_child_ids",
    "governance_record",
    "governance_records",
    "id_state",
    "installation_secret",
    "keep_rows",
    "known_child_ids",
    "loads",
    "migrate",
    "model_history",
    "open_record",
    "pair_id",
    "publications",
    "put_back",
    "record_load",
    "record_publication",
    "register_municipality",
    "registered_municipalities",
    "reject_model",
    "retire_model",
    "review_decide",
    "review_decisions",
    "review_history",
    "review_revoke",
    "save_child_ids",
    "transaction",
    "undo_merge",
]
