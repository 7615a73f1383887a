"""Which children, and which fields of them, a person may see: one answer for list, search, page, print, CSV and JSON.

`relation` writes it as SQL over the snapshot's tables; every reader of `reading` selects from it and from nothing else.
Protection measures (支援措置: an address hidden from a violent person) count for the whole household, because the
address is the same; where the register does not say whether there is one, they are taken to be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kodomo_platform.portal.rights import Actor, Permission, Scope

#: columns of each group of fields; what belongs to no group is seen by whoever sees the child
IDENTITY = ("name", "name_kana", "birth_date", "resident_number")
CONTACT = ("address", "postal_code", "guardian_name", "guardian_phone")
#: told to anyone who may see the child at all: where it learns, how old it is
FACTS = ("sex", "school_code", "grade", "class", "facility_code", "age_years", "is_resident", "last_seen_on")


@dataclass
class Parameters:
    """Values bound to a statement, each under a name of its own."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any) -> str:
        """Bind ``value``; returns the placeholder."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def reaches(actor: Actor, permission: Permission, bound: Parameters) -> str:
    """SQL condition over ``child``: those whom ``permission`` reaches for ``actor``. Nobody: ``false``."""
    conditions: list[str] = []
    for grant in actor.with_permission(permission):
        if grant.municipality != actor.municipality:
            continue
        scope = grant.role.scope
        if scope is Scope.MUNICIPALITY:
            conditions.append("true")
        elif scope is Scope.SCHOOL and grant.schools:
            conditions.append(f"list_contains({bound.add(sorted(grant.schools))}, school_code)")
        elif scope is Scope.CLASS and grant.classes:
            pairs = sorted(f"{school}|{name}" for school, name in grant.classes)
            # a missing grade must not turn the comparison into "unknown": it is false
            conditions.append(
                f"coalesce(list_contains({bound.add(pairs)}, school_code || '|' || grade || '-' || class), false)"
            )
        elif scope is Scope.CASES and actor.own_children:
            conditions.append(f"list_contains({bound.add(sorted(actor.own_children))}, child_id)")
    if "true" in conditions:
        return "true"
    listing = permission in (Permission.LIST_CHILDREN, Permission.SEARCH_CHILDREN)
    if actor.opened_by_emergency and not listing and actor.with_permission(permission):
        conditions.append(f"list_contains({bound.add(sorted(actor.opened_by_emergency))}, child_id)")
    return f"coalesce({' or '.join(conditions)}, false)" if conditions else "false"


def sees_protected(actor: Actor, bound: Parameters) -> str:
    """SQL condition over ``child``: those whose protected address this person may see: all if named by the
    municipality, else those opened by emergency access that still runs."""
    if actor.sees_protected:
        return "true"
    if actor.opened_by_emergency:
        return f"list_contains({bound.add(sorted(actor.opened_by_emergency))}, child_id)"
    return "false"


def relation(actor: Actor, bound: Parameters, *, permission: Permission, hide_records: bool) -> str:
    """A SELECT with one row per child that ``permission`` reaches, hidden fields as NULL beside why they are hidden.

    ``permission``: LIST_CHILDREN, VIEW_CHILD or SEARCH_CHILDREN. ``hide_records``: the municipality hides even the
    existence of a protected child from those who are not named.
    Columns: child_id, household_id, every field, ``protected`` and, per group, ``identity_shown`` and
    ``contact_state`` (shown · protected · unknown_protection · not_allowed).
    """
    if permission not in (Permission.LIST_CHILDREN, Permission.VIEW_CHILD, Permission.SEARCH_CHILDREN):
        raise ValueError("children are read to list, to open or to search")
    identity = reaches(actor, Permission.FIELD_IDENTITY, bound)
    contact = reaches(actor, Permission.FIELD_CONTACT, bound)
    score = reaches(actor, Permission.FIELD_SCORE, bound)
    why = reaches(actor, Permission.FIELD_REASONS, bound)
    named = sees_protected(actor, bound)
    state = (
        f"case when not ({contact}) then 'not_allowed' when {named} then 'shown' "
        "when protection = 'active' then 'protected' when protection = 'unknown' then 'unknown_protection' "
        "else 'shown' end"
    )
    columns = [
        "child_id",
        "household_id",
        *(f"case when {identity} then {name} end as {name}" for name in IDENTITY),
        *(f"case when ({state}) = 'shown' then {name} end as {name}" for name in CONTACT),
        *FACTS,
        f"{identity} as identity_shown",
        f"{state} as contact_state",
        f"{score} as score_shown",
        f"{why} as reasons_shown",
        "protection = 'active' as protected",
        *(f"case when {identity} then {key} end as {key}" for key in ("name_key", "kana_key")),
    ]
    reach = reaches(actor, permission, bound)
    hidden = f" and ({named} or protection != 'active')" if hide_records else ""
    return f"select {', '.join(columns)} from child where {reach}{hidden}"


def domains_read(actor: Actor) -> frozenset[str]:
    """Domains whose items this person may read in reasons and facts; ``*``: all."""
    read: set[str] = set()
    for grant in actor.with_permission(Permission.FIELD_REASONS):
        read |= grant.role.domains
    return frozenset(read)
