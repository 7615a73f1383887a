"""The table of rights, and what it means for one person."""

from __future__ import annotations

import pytest

from kodomo_platform.portal.rights import Actor, DeniedError, Grant, Permission, Scope, matrix
from kodomo_platform.portal.visibility import Parameters, reaches, relation

CODE = "112241"


def _actor(*roles: str, **more: object) -> Actor:
    grants = tuple(
        Grant(matrix().roles[role], CODE, frozenset({"1001"}), frozenset({("1001", "1-1組")})) for role in roles
    )
    return Actor(1, "x", CODE, grants, **more)  # type: ignore[arg-type]


def test_the_table_names_every_right_and_each_is_held_by_somebody() -> None:
    table = matrix()
    assert set(table.labels) == set(Permission)
    held = {permission for role in table.roles.values() for permission in role.may}
    assert held == set(Permission)
    assert all(ja and en for ja, en in table.labels.values())


def test_those_who_oversee_hold_or_analyse_see_no_child() -> None:
    children = {Permission.LIST_CHILDREN, Permission.VIEW_CHILD, Permission.SEARCH_CHILDREN, Permission.FIELD_IDENTITY}
    for key in ("overseer", "holder", "analyst", "administrator", "hospital", "resident_desk"):
        assert not children & matrix().roles[key].may, key


def test_nobody_who_manages_people_sees_children_and_nobody_who_asks_alone_approves() -> None:
    for role in matrix().roles.values():
        if Permission.MANAGE_PEOPLE in role.may:
            assert role.scope is Scope.NONE
    assert Permission.APPROVE_EXPORT not in matrix().roles["desk"].may


def test_a_right_is_asked_for_by_its_permission_alone() -> None:
    with pytest.raises(TypeError):
        _actor("desk").may("list_children")  # type: ignore[arg-type]
    with pytest.raises(DeniedError):
        _actor("hospital").require(Permission.LIST_CHILDREN)


def test_without_a_grant_nobody_is_reached() -> None:
    for actor in (Actor(1, "x", CODE), _actor("hospital"), Actor(1, "x", "172065", _actor("desk").grants)):
        assert reaches(actor, Permission.LIST_CHILDREN, Parameters()) == "false"


def test_a_school_role_without_a_school_reaches_nobody() -> None:
    actor = Actor(1, "x", CODE, (Grant(matrix().roles["school_head"], CODE),))
    assert reaches(actor, Permission.VIEW_CHILD, Parameters()) == "false"


def test_emergency_access_opens_a_child_and_no_list() -> None:
    actor = _actor("school_head", opened_by_emergency=frozenset({"c1"}))
    bound = Parameters()
    assert reaches(actor, Permission.LIST_CHILDREN, bound)
    assert "c1" not in str(bound.values)
    reaches(actor, Permission.VIEW_CHILD, bound)
    assert ["c1"] in bound.values.values()


def test_children_are_read_to_list_open_or_search_and_for_nothing_else() -> None:
    with pytest.raises(ValueError, match="list"):
        relation(_actor("desk"), Parameters(), permission=Permission.PRINT_FORMS, hide_records=False)
