"""Who may do what: the table in ``rights.yaml`` as types, and the person at the desk with the rights they hold now.

No child and no database here: which children a right reaches is `visibility`'s business, who holds which role is
`people`'s. A question asked in the wrong way raises instead of answering no (or yes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from kodomo_platform.errors import ConfigurationError, KodomoError

FILE = Path(__file__).with_name("rights.yaml")


class Permission(StrEnum):
    """One thing a person may do or see. The names are those of the table."""

    TODAY = "today"
    LIST_CHILDREN = "list_children"
    VIEW_CHILD = "view_child"
    SEARCH_CHILDREN = "search_children"
    FIELD_IDENTITY = "field_identity"
    FIELD_CONTACT = "field_contact"
    FIELD_SCORE = "field_score"
    FIELD_REASONS = "field_reasons"
    FIELD_NOTES = "field_notes"
    FIELD_ROWS = "field_rows"
    BREAK_GLASS = "break_glass"
    DECIDE_CASE = "decide_case"
    PLAN_CASE = "plan_case"
    APPROVE_PLAN = "approve_plan"
    ASSIGN_CASE = "assign_case"
    RECORD_CONTACT = "record_contact"
    END_CASE = "end_case"
    REFER_CASE = "refer_case"
    KEEP_TASKS = "keep_tasks"
    ENTER_FLAG = "enter_flag"
    RECEIVE_FLAGS = "receive_flags"
    REVIEW_LINKS = "review_links"
    PRINT_FORMS = "print_forms"
    ASK_EXPORT = "ask_export"
    APPROVE_EXPORT = "approve_export"
    VIEW_DASHBOARD = "view_dashboard"
    VIEW_ANALYSIS = "view_analysis"
    VIEW_QUALITY = "view_quality"
    UPLOAD_EXTRACT = "upload_extract"
    VIEW_LOOKS = "view_looks"
    VIEW_MATRIX = "view_matrix"
    VIEW_ALGORITHM = "view_algorithm"
    MANAGE_PEOPLE = "manage_people"
    KEEP_REQUESTS = "keep_requests"


class Scope(StrEnum):
    """How far a role reaches among the children of its municipality."""

    MUNICIPALITY = "municipality"
    SCHOOL = "school"
    CLASS = "class"
    CASES = "cases"
    NONE = "none"


@dataclass(frozen=True)
class Role:
    """One row of the table."""

    key: str
    ja: str
    en: str
    body_ja: str
    body_en: str
    scope: Scope
    domains: frozenset[str]
    may: frozenset[Permission]

    def reads_domain(self, domain: str) -> bool:
        """Whether items of ``domain`` (education, welfare, …) may be read."""
        return "*" in self.domains or domain in self.domains


class DeniedError(KodomoError):
    """The person may not do this. ``permission`` says what was missing."""

    def __init__(self, permission: Permission, where: str = "") -> None:
        super().__init__(
            "this is not among your rights",
            where=where or None,
            expected=f"the right {permission.value}",
            action="ask the administrator of people for the role, or open the page with the account that has it",
        )
        self.permission = permission


@dataclass(frozen=True)
class Grant:
    """A role held now: where, and for which schools or classes."""

    role: Role
    municipality: str
    schools: frozenset[str] = frozenset()
    #: (school_code, class) pairs
    classes: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Actor:
    """The person at the desk, as far as rights are concerned."""

    person: int
    login: str
    municipality: str
    grants: tuple[Grant, ...] = ()
    #: named by the municipality as one who may see protected addresses
    sees_protected: bool = False
    #: children whose case is assigned to them
    own_children: frozenset[str] = frozenset()
    #: children opened by emergency access that still runs
    opened_by_emergency: frozenset[str] = field(default_factory=frozenset)

    def may(self, permission: Permission) -> bool:
        """Whether any role held now carries ``permission``."""
        if not isinstance(permission, Permission):
            raise TypeError("a right is asked for by its Permission, never by its text")
        return any(permission in grant.role.may for grant in self.grants)

    def require(self, permission: Permission, where: str = "") -> None:
        """Raise `DeniedError` unless a role held now carries ``permission``."""
        if not self.may(permission):
            raise DeniedError(permission, where)

    def with_permission(self, permission: Permission) -> tuple[Grant, ...]:
        """The grants that carry ``permission``."""
        return tuple(grant for grant in self.grants if permission in grant.role.may)


@dataclass(frozen=True)
class Matrix:
    """The whole table, in its order."""

    roles: dict[str, Role]
    labels: dict[Permission, tuple[str, str]]
    fields: frozenset[Permission]


@lru_cache(maxsize=1)
def matrix() -> Matrix:
    """The table, checked: every right has a label and a role, every role only rights that exist.

    Raises:
        ConfigurationError: the file and the code differ.
    """
    import yaml

    table: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    names = {permission.value for permission in Permission}
    if set(table["permissions"]) != names:
        differing = ", ".join(sorted(set(table["permissions"]) ^ names))
        raise ConfigurationError(
            f"the table of rights and the program differ: {differing}", where=str(FILE), expected="the same rights"
        )
    roles = {}
    for key, row in table["roles"].items():
        unknown = set(row["may"]) - names
        if unknown:
            raise ConfigurationError(
                f"a role has rights that do not exist: {', '.join(sorted(unknown))}", where=f"{FILE.name}, {key}"
            )
        roles[key] = Role(
            key,
            row["ja"],
            row["en"],
            row["body"]["ja"],
            row["body"]["en"],
            Scope(row["scope"]),
            frozenset(row["domains"]),
            frozenset(Permission(name) for name in row["may"]),
        )
    labels = {Permission(name): (entry["ja"], entry["en"]) for name, entry in table["permissions"].items()}
    fields = frozenset(Permission(name) for name, entry in table["permissions"].items() if entry.get("kind") == "field")
    return Matrix(roles, labels, fields)
