"""Who may sign in, which roles they hold now, and what becomes of both: every change is written to the audit log."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from datetime import date

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.portal.models import Case, Emergency, Person, Referral, RoleAssignment
from kodomo_platform.portal.rights import Actor, Grant, Scope, matrix
from kodomo_platform.settings import municipality_code

_ALPHABET = string.ascii_letters + string.digits


def new_password() -> str:
    """Four groups of five characters: about 119 bits, and can be read from paper."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))


@dataclass(frozen=True)
class NewPerson:
    """What is told once, to the administrator alone."""

    login: str
    password: str
    totp_secret: str
    display_name: str
    roles: tuple[str, ...]


def create_person(
    login: str,
    municipality: str,
    display_name: str,
    *,
    office: str = "",
    role: str,
    schools: tuple[str, ...] = (),
    classes: tuple[tuple[str, str], ...] = (),
    ends_on: date | None = None,
    sees_protected: bool = False,
    with_second_factor: bool = True,
    by: str,
    reason: str,
) -> NewPerson:
    """A person with one role. The password and, if wanted, the secret of the second factor are given back once.

    Raises:
        ConfigurationError: the role is none, its scope lacks schools or classes, or the login is taken.
    """
    municipality_code(municipality)
    with transaction.atomic():
        if User.objects.filter(username=login).exists():
            raise ConfigurationError("this login is taken", where=login, action="choose another")
        password = new_password()
        user = User.objects.create_user(login, password=password)
        person = Person.objects.create(
            user=user,
            municipality=municipality,
            display_name=display_name,
            office=office,
            sees_protected=sees_protected,
            created_by=by,
        )
        assign_role(person, role, schools=schools, classes=classes, ends_on=ends_on, by=by, reason=reason)
        secret = ""
        if with_second_factor:
            from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
            from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

            secret = generate_totp_secret()
            TOTP.activate(user, secret)
            RecoveryCodes.activate(user)
        _written(by, "person created", login, municipality, reason)
    return NewPerson(login, password, secret, display_name, (role,))


def assign_role(
    person: Person,
    role: str,
    *,
    schools: tuple[str, ...] = (),
    classes: tuple[tuple[str, str], ...] = (),
    starts_on: date | None = None,
    ends_on: date | None = None,
    by: str,
    reason: str,
) -> RoleAssignment:
    """Give a role for a time. Nobody gives one to themselves."""
    table = matrix().roles
    if role not in table:
        raise ConfigurationError("no such role", where=role, expected=", ".join(table))
    scope = table[role].scope
    if scope is Scope.SCHOOL and not schools:
        raise ConfigurationError("this role needs a school", where=role, expected="at least one school code")
    if scope is Scope.CLASS and not classes:
        raise ConfigurationError("this role needs a class", where=role, expected="at least one school code and class")
    if not reason.strip():
        raise ConfigurationError("a role needs a reason", where=role, expected="why this person needs it")
    if by == person.user.username:
        raise ConfigurationError("nobody gives a role to themselves", where=role, action="ask another administrator")
    given = RoleAssignment.objects.create(
        person=person,
        role=role,
        schools=list(schools),
        classes=[list(pair) for pair in classes],
        starts_on=starts_on or timezone.localdate(),
        ends_on=ends_on,
        granted_by=by,
        reason=reason,
    )
    _written(by, "role given", f"{person.user.username}: {role}", person.municipality, reason)
    return given


def end_role(assignment: RoleAssignment, *, by: str, reason: str) -> None:
    """End a role today: from now on it gives nothing."""
    assignment.ends_on = timezone.localdate()
    assignment.starts_on = min(assignment.starts_on, assignment.ends_on)
    # the last day counts for a role that ends by itself; one that is taken away ends at once
    assignment.ends_on = assignment.ends_on - timezone.timedelta(days=1)
    assignment.save(update_fields=["ends_on", "starts_on"])
    _written(
        by,
        "role ended",
        f"{assignment.person.user.username}: {assignment.role}",
        assignment.person.municipality,
        reason,
    )


def _written(by: str, action: str, subject: str, municipality: str, reason: str) -> None:
    from kodomo_platform.portal.looks import written

    written(by, action, subject, reason, municipality)


def actor_of(user: User) -> Actor | None:
    """The person behind an account with the roles they hold today; None for an account without a person."""
    person = Person.objects.filter(user=user).select_related("user").first()
    if person is None or not user.is_active:
        return None
    today = timezone.localdate()
    table = matrix().roles
    grants = []
    for assignment in person.assignments.filter(starts_on__lte=today):
        if assignment.ends_on is not None and assignment.ends_on < today:
            continue
        role = table.get(assignment.role)
        if role is None:
            continue  # a role that the table no longer knows gives nothing
        grants.append(
            Grant(
                role,
                person.municipality,
                frozenset(assignment.schools),
                frozenset((str(school), str(name)) for school, name in assignment.classes),
            )
        )
    own: set[str] = set()
    if any(grant.role.scope is Scope.CASES for grant in grants):
        own = set(Case.objects.filter(owner=person).exclude(state="ended").values_list("child_id", flat=True))
        own |= set(
            Referral.objects.filter(to=person, state="accepted")
            .exclude(case__state="ended")
            .values_list("case__child_id", flat=True)
        )
    emergency = set(
        Emergency.objects.filter(person=person, until__gt=timezone.now()).values_list("child_id", flat=True)
    )
    return Actor(
        person.pk,
        user.username,
        person.municipality,
        tuple(grants),
        person.sees_protected,
        frozenset(own),
        frozenset(emergency),
    )
