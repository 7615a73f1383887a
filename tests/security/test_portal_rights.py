"""Who reaches what, generated from the list of addresses × methods × roles × schools × municipalities × children.

The expectation is worked out here from the table of rights and the town alone, never by the portal's own visibility.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import portal_town
from tests.portal_town import CHILDREN, CODE, HIDDEN, PEOPLE, SCHOOLS, THEME, quick_sign_in

from kodomo_platform.portal.rights import Permission, Scope, matrix  # isort: skip

#: pages of sign-in, which ask for no right of the table; each is named, so that a page without a right is noticed
OPEN = {
    "home", "alive", "language", "account_login", "account_logout", "account_reauthenticate", "account_change_password",
    "account_signup", "account_email", "account_reset_password", "account_set_password", "account_inactive",
    "account_email_verification_sent", "account_reset_password_done", "socialaccount_signup", "account_confirm_login_code",
    "mfa_index", "mfa_authenticate", "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp",
    "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes",
}  # fmt: skip
#: right of a page that is asked for a child, beside that of opening the child at all
OF_A_CHILD = {"child", "child_json", "decide", "note", "task", "emergency", "print_child"}


def _patterns(found: Any, before: str = "") -> Iterator[tuple[str, str, Any]]:
    for entry in found:
        route = before + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from _patterns(entry.url_patterns, route)
        else:
            yield entry.name or "", route, entry.callback


def pages() -> list[tuple[str, str, Permission]]:
    """Every address of the portal with its right."""
    from django.urls import get_resolver

    made = []
    for name, route, view in _patterns(get_resolver().url_patterns):
        permission = getattr(view, "permission", None)
        if permission is None:
            assert name in OPEN, f"{route} asks for no right"
        else:
            made.append((name, route, permission))
    assert len(made) > 40
    return made


def _address(route: str, child_id: str, pk: int) -> str:
    route = (
        route.replace("<slug:child_id>", child_id).replace("<slug:theme>", THEME).replace("<slug:pair_id>", "nopair")
    )
    return "/" + re.sub(r"<int:pk>", str(pk), route)


def _reaches(login: str, permission: Permission, child: portal_town.Child) -> bool:
    """Whether the table lets this person reach this child with this right."""
    role, more = PEOPLE[login]
    row = matrix().roles[role]
    if more.get("municipality", CODE) != CODE or permission not in row.may:
        return False
    if row.scope is Scope.MUNICIPALITY:
        return True
    if row.scope is Scope.SCHOOL:
        return child.school in more["schools"]
    if row.scope is Scope.CLASS:
        return (child.school, f"{child.grade}-{child.cls}") in more["classes"]
    return False


def _may(login: str, permission: Permission) -> bool:
    return permission in matrix().roles[PEOPLE[login][0]].may


def _try(
    clients: dict[str, Any], login: str, name: str, route: str, permission: Permission, method: str, child: Any, pk: int
) -> None:
    address = _address(route, child.child_id, pk)
    answer = clients[login].generic(method, address)
    label = f"{login} {method} {address} → {answer.status_code}"
    assert answer.status_code != 500, label
    of_a_child = name in OF_A_CHILD
    allowed = _may(login, permission)
    if name == "exports" and allowed:
        allowed = _may(login, Permission.ASK_EXPORT) or _may(login, Permission.APPROVE_EXPORT)
    if not allowed:
        assert answer.status_code in (403, 405), label
    elif of_a_child and not (_reaches(login, permission, child) and _reaches(login, Permission.VIEW_CHILD, child)):
        assert answer.status_code in (400, 403, 404, 405, 503), label
    elif (
        method == "GET"
        and name in ("child", "child_json", "children", "children_json", "today", "search")
        and login != "stranger"
    ):
        assert answer.status_code == 200, label
    body = answer.content.decode("utf-8", "replace")
    _nothing_hidden(login, body, label, child if of_a_child else None, ids=name != "oversight")


def _nothing_hidden(login: str, body: str, label: str, asked: Any, *, ids: bool) -> None:
    """No page holds a name, an address, a phone, a number or a sentence beyond what this person may see."""
    for other in CHILDREN:
        sees = _reaches(login, Permission.VIEW_CHILD, other)
        contact = sees and _reaches(login, Permission.FIELD_CONTACT, other)
        contact = contact and (other.child_id not in HIDDEN or bool(PEOPLE[login][1].get("sees_protected")))
        if not contact:
            assert f"秘密町{other.number}" not in body
            assert f"秘密町{int(other.number[2:])}番地" not in body, f"{label}: address of {other.child_id}"
            assert other.phone not in body, f"{label}: phone of {other.child_id}"
        if not sees and not (asked is not None and other.child_id == asked.child_id):
            # the overseer reads ids in the looks, and nothing else of a child
            assert not ids or other.child_id not in body, f"{label}: {other.child_id}"
            assert other.number not in body, label
    role = matrix().roles[PEOPLE[login][0]]
    if not role.reads_domain("welfare"):
        assert "福祉の記録" not in body, f"{label}: an item outside of the role"
    assert "<script>alert" not in body, label
    assert "<img src=x" not in body, label


def _cases() -> list[tuple[Any, ...]]:
    """All combinations: addresses × methods × people × children (the object's number runs along)."""
    children = [*CHILDREN[:30], CHILDREN[39]]
    made = []
    for (name, route, permission), login in itertools.product(pages(), PEOPLE):
        methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD") if "<" not in route else ("GET", "POST")
        objects = children if "child_id" in route else children[:2]
        made += [
            (login, name, route, permission, method, child, 1 + i)
            for method in methods
            for i, child in enumerate(objects)
        ]
    return made


@pytest.fixture
def clients(written_town: Path) -> dict[str, Any]:
    return {login: quick_sign_in(login) for login in PEOPLE}


def test_no_sampled_try_reaches_beyond_the_table(clients: dict[str, Any]) -> None:
    cases = _cases()
    chosen = random.Random(20261001).sample(cases, 600)
    for login, name, route, permission, method, child, pk in chosen:
        _try(clients, login, name, route, permission, method, child, pk)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_no_try_reaches_beyond_the_table(clients: dict[str, Any]) -> None:
    cases = _cases()
    assert len(cases) >= 10_000
    random.Random(1).shuffle(cases)
    for login, name, route, permission, method, child, pk in cases:
        _try(clients, login, name, route, permission, method, child, pk)


@pytest.mark.parametrize("login", sorted(PEOPLE))
def test_list_json_page_search_print_and_csv_show_the_same_children(clients: dict[str, Any], login: str) -> None:
    client = clients[login]
    if login == "stranger" or not _may(login, Permission.LIST_CHILDREN):
        answer = client.get("/children.json")
        assert answer.status_code in (403, 503)
        return
    expected = {child.child_id for child in CHILDREN if _reaches(login, Permission.LIST_CHILDREN, child)}
    listed: dict[str, Any] = {}
    for page in (1, 2):
        listed |= {row["child_id"]: row for row in client.get(f"/children.json?theme=&page={page}").json()["children"]}
    assert listed.keys() == expected
    for child in CHILDREN:
        body = client.get(f"/children/{child.child_id}/").content.decode()
        one = client.get(f"/children/{child.child_id}.json")
        assert (one.status_code == 200) == _reaches(login, Permission.VIEW_CHILD, child)
        if one.status_code != 200:
            continue
        hidden = listed[child.child_id]["address"] is None
        assert (one.json()["address"] is None) == hidden
        assert (f"秘密町{int(child.number[2:])}番地" in body) == (
            not hidden and child.child_id != CHILDREN[14].child_id
        )
        if _may(login, Permission.SEARCH_CHILDREN):
            found = client.post("/search/", {"text": child.number}).content.decode()
            assert child.child_id in found


def test_every_page_needs_both_factors(written_town: Path) -> None:
    from allauth.mfa.models import Authenticator
    from django.test import Client

    nobody = Client()
    half = quick_sign_in("desk")
    Authenticator.objects.filter(user__username="desk").delete()
    for _, route, _ in pages():
        address = _address(route, CHILDREN[0].child_id, 1)
        assert nobody.get(address).headers.get("Location", "").startswith("/sign-in/"), address
        assert half.get(address).headers.get("Location", "") == "/second-factor/totp/activate/", address


def test_a_role_that_ended_gives_nothing(written_town: Path) -> None:
    from kodomo_platform.portal.models import RoleAssignment
    from kodomo_platform.portal.people import end_role

    client = quick_sign_in("head")
    assert client.get("/children/").status_code == 200
    end_role(RoleAssignment.objects.get(person__user__username="head"), by="admin", reason="離任")
    assert client.get("/children/").status_code == 403


def test_a_school_head_is_of_one_school(clients: dict[str, Any]) -> None:
    rows = clients["head"].get("/children.json?theme=&school=" + SCHOOLS[1]).json()
    assert rows["total"] == 0
