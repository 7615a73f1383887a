"""The register as each person may read it: the same hidden values in list, search, child page and household."""

from __future__ import annotations

from pathlib import Path

import pytest

from kodomo_platform.portal.people import actor_of
from kodomo_platform.portal.reading import Filters, Register, register_of
from kodomo_platform.portal.rights import Actor, DeniedError
from tests import portal_town
from tests.portal_town import CHILDREN, CODE, HIDDEN, PROTECTED, SCHOOLS, THEME


def _actor(login: str) -> Actor:
    from django.contrib.auth.models import User

    found = actor_of(User.objects.get(username=login))
    assert found is not None
    return found


@pytest.fixture
def register(town: Path) -> Register:
    return register_of(CODE)


def _everything(register: Register, actor: Actor, **more: bool) -> dict[str, dict[str, object]]:
    return {row["child_id"]: row for row in register.listed(actor, Filters(), size=None, **more).rows}


def test_a_head_sees_the_school_and_nobody_else(register: Register) -> None:
    seen = _everything(register, _actor("head"))
    assert seen.keys() == {child.child_id for child in CHILDREN if child.school == SCHOOLS[0]}
    assert register.child(_actor("head"), next(c.child_id for c in CHILDREN if c.school == SCHOOLS[1])) is None


def test_a_teacher_sees_the_class_and_no_score(register: Register) -> None:
    rows = register.listed(_actor("teacher"), Filters(theme=THEME), size=None).rows
    expected = {c.child_id for c in CHILDREN if c.school == SCHOOLS[0] and c.grade == 1 and c.cls == "1組"}
    assert {row["child_id"] for row in rows} == expected
    assert all(row["score"] is None and row["rank"] is None and row["band"] is None for row in rows)


def test_a_filter_by_what_is_hidden_finds_nobody(register: Register) -> None:
    assert register.listed(_actor("teacher"), Filters(theme=THEME, band="high")).total == 0
    assert register.listed(_actor("teacher"), Filters(theme=THEME, only="alert")).total == 0
    assert register.listed(_actor("desk"), Filters(theme=THEME, band="high")).total == 10


@pytest.mark.parametrize("login", ["desk", "head"])
def test_hidden_contact_is_hidden_wherever_the_child_is_read(register: Register, login: str) -> None:
    actor = _actor(login)
    listed = _everything(register, actor)
    for child in CHILDREN:
        if child.child_id not in listed:
            continue
        one = register.child(actor, child.child_id)
        found, _, _ = register.search(actor, child.number)
        home = [row for row in register.household(actor, child.household) if row["child_id"] == child.child_id]
        assert one is not None
        assert len(found) == 1
        assert len(home) == 1
        for row in (listed[child.child_id], one, found[0], home[0]):
            hidden = child.child_id in HIDDEN
            assert (row["address"] is None) == hidden, child
            assert (row["guardian_phone"] is None) == hidden
            assert row["contact_state"] == (
                "shown" if not hidden else "protected" if child.child_id in PROTECTED else "unknown_protection"
            )


def test_one_who_is_named_sees_protected_addresses(register: Register) -> None:
    rows = _everything(register, _actor("lead"))
    assert all(rows[child.child_id]["address"] == child.address for child in CHILDREN)


def test_a_town_may_hide_that_a_protected_child_exists(register: Register) -> None:
    actor = _actor("desk")
    rows = _everything(register, actor, hide_records=True)
    assert not PROTECTED & rows.keys()
    for child in CHILDREN:
        if child.child_id in PROTECTED:
            assert register.child(actor, child.child_id, hide_records=True) is None
            assert register.search(actor, child.number, hide_records=True)[2] == 0
            assert register.household(actor, child.household, hide_records=True) == []
    assert len(_everything(register, _actor("lead"), hide_records=True)) == len(CHILDREN)


@pytest.mark.parametrize(
    ("text", "understood", "names"),
    [
        ("高橋", "name", {"髙橋 さくら"}),
        ("渡辺", "name", {"渡邉 太郎", "渡辺 花子"}),
        ("渡邉", "name", {"渡邉 太郎", "渡辺 花子"}),
        ("山崎", "name", {"山﨑 梅"}),
        ("わたなべ", "kana", {"渡邉 太郎", "渡辺 花子"}),
        ("ﾜﾀﾅﾍﾞ ﾊﾅｺ", "kana", {"渡辺 花子"}),
        ("ハナコ", "kana", {"渡辺 花子"}),
    ],
)
def test_names_are_found_in_every_spelling(register: Register, text: str, understood: str, names: set[str]) -> None:
    rows, how, total = register.search(_actor("desk"), text)
    assert how == understood
    # the planted name stands in place of one of them
    assert {row["name"] for row in rows} - {portal_town.PLANTED} == names
    assert total == len(rows) > 0


@pytest.mark.parametrize("text", ["平成27年4月3日", "2015-04-03", "H27.4.3", "２０１５年４月３日"])
def test_a_birth_date_is_read_as_people_write_it(register: Register, text: str) -> None:
    rows, how, _ = register.search(_actor("desk"), text)
    assert how == "birth"
    assert [row["child_id"] for row in rows] == [CHILDREN[1].child_id]


@pytest.mark.parametrize("text", ["", "   ", "'; drop table child; --", "%", "_", "\x00", "😀", "a" * 500])
def test_odd_texts_find_nobody_and_break_nothing(register: Register, text: str) -> None:
    assert register.search(_actor("desk"), text)[2] == 0


def test_whoever_may_not_search_does_not(register: Register) -> None:
    for login in ("nurse", "analyst", "overseer", "ssw"):
        with pytest.raises(DeniedError):
            register.search(_actor(login), "高橋")


def test_the_count_is_the_list(register: Register) -> None:
    for filters in (
        Filters(),
        Filters(theme=THEME),
        Filters(school=SCHOOLS[0]),
        Filters(theme=THEME, only="undetermined"),
    ):
        whole = register.listed(_actor("desk"), filters, size=None)
        pages = [
            register.listed(_actor("desk"), Filters(**{**filters.__dict__, "page": n}), size=7) for n in range(1, 8)
        ]
        assert whole.total == len(whole.rows) == pages[0].total
        ids = [row["child_id"] for page in pages[: pages[0].pages] for row in page.rows]
        assert len(ids) == len(set(ids)) == whole.total


def test_a_snapshot_from_before_the_contract_gained_a_table_is_shown(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kodomo_platform.errors import Fault, NoSnapshotError
    from kodomo_platform.portal import reading

    def faults(*messages: str) -> None:
        reading.forget_open()
        monkeypatch.setattr(reading, "verify", lambda path: [Fault(path, None, "", message) for message in messages])

    faults("not in the manifest")
    assert register_of(CODE).themes == [THEME]
    faults("not in the manifest", "the file's bytes have changed")
    with pytest.raises(NoSnapshotError):
        register_of(CODE)
    reading.forget_open()
