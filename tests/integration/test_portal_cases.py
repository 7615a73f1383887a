"""A child's way through the four phases, and what happens when people, snapshots and the database get in each other's way."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kodomo_platform import operations
from tests.portal_town import CHILDREN, CODE, SCHOOLS, THEME, quick_sign_in

CHILD = CHILDREN[2].child_id  # of the head's school
SOON = (date.today() + timedelta(days=20)).isoformat()


def _case() -> Any:
    from kodomo_platform.portal.models import Case

    return Case.objects.get(child_id=CHILD, theme=THEME)


def _decide(client: Any, answer: str = "agree", reason: str = "面談で様子を確かめたい", revision: int = 0) -> Any:
    return client.post(f"/children/{CHILD}/{THEME}/decide/", {"answer": answer, "reason": reason, "revision": revision})


def _plan(client: Any, goals: str = "週に一度登校する", revision: int | None = None) -> Any:
    case = _case()
    return client.post(
        f"/cases/{case.pk}/plan/",
        {
            "goals": goals,
            "measures": "担任が家庭訪問",
            "review_on": SOON,
            "revision": case.revision if revision is None else revision,
        },
    )


def test_from_proposal_to_outcome(written_town: Path) -> None:
    head, desk, lead = quick_sign_in("head"), quick_sign_in("desk"), quick_sign_in("lead")
    assert _decide(head).status_code == 302
    assert _case().state == "agreed"
    assert _plan(head).status_code == 302
    assert _case().state == "planned"
    # nobody approves their own plan, and a head approves none
    assert head.post(f"/cases/{_case().pk}/approve/", {"revision": _case().revision}).status_code == 403
    assert lead.post(f"/cases/{_case().pk}/approve/", {"revision": _case().revision}).status_code == 302
    assert _case().state == "supporting"
    assert (
        desk.post(
            f"/cases/{_case().pk}/end/",
            {"outcome": "improved", "reason": "登校できている", "revision": _case().revision},
        ).status_code
        == 302
    )
    case = _case()
    assert (case.state, case.outcome) == ("ended", "improved")
    steps = [(step.before, step.after, step.by) for step in case.steps.order_by("pk")]
    assert steps == [
        ("proposed", "agreed", "head"), ("agreed", "planned", "head"), ("planned", "supporting", "lead"), ("supporting", "ended", "desk"),
    ]  # fmt: skip
    assert operations.verify_audit().sound if hasattr(operations, "verify_audit") else True


def test_an_own_plan_is_not_approved_by_its_author(written_town: Path) -> None:
    lead = quick_sign_in("lead")
    _decide(lead)
    _plan(lead)
    assert lead.post(f"/cases/{_case().pk}/approve/", {"revision": _case().revision}).status_code == 400
    assert _case().state == "planned"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("agree", ""), ("agree", "   "), ("maybe", "x"), ("agree", "x" * 5000), ("agree", "\x00\x01")],
)
def test_a_decision_without_answer_or_reason_opens_no_case(written_town: Path, answer: str, reason: str) -> None:
    from kodomo_platform.portal.models import Case

    assert _decide(quick_sign_in("desk"), answer, reason).status_code == 400
    assert Case.objects.count() == 0


def test_two_people_who_write_one_plan_lose_nothing(written_town: Path) -> None:
    desk, lead = quick_sign_in("desk"), quick_sign_in("lead")
    _decide(desk)
    read = _case().revision
    assert _plan(lead, "先に書いた目標", read).status_code == 302
    late = _plan(desk, "あとから書いた目標", read)
    body = late.content.decode()
    assert late.status_code == 409
    assert "先に書いた目標" in body
    assert "あとから書いた目標" in body
    assert [plan.goals for plan in _case().plans.all()] == ["先に書いた目標"]


def test_two_first_decisions_are_one_case(written_town: Path) -> None:
    from kodomo_platform.portal.models import Case

    assert _decide(quick_sign_in("desk")).status_code == 302
    assert _decide(quick_sign_in("lead"), "disagree").status_code == 409
    assert Case.objects.get().state == "agreed"


def test_a_disagreement_stays_and_may_be_reconsidered(written_town: Path) -> None:
    desk = quick_sign_in("desk")
    _decide(desk, "disagree", "転入直後の欠席で説明がつく")
    assert _case().state == "disagreed"
    _decide(desk, "agree", "欠席が続いている", _case().revision)
    assert _case().state == "agreed"


def test_a_case_given_to_a_social_worker_opens_the_child_and_its_end_closes_it(written_town: Path) -> None:
    from kodomo_platform.portal.models import Person

    lead, ssw = quick_sign_in("lead"), quick_sign_in("ssw")
    assert ssw.get(f"/children/{CHILD}/").status_code == 404
    _decide(lead)
    owner = Person.objects.get(user__username="ssw").pk
    assert lead.post(f"/cases/{_case().pk}/assign/", {"owner": owner, "revision": _case().revision}).status_code == 302
    assert ssw.get(f"/children/{CHILD}/").status_code == 200
    assert [row["child_id"] for row in ssw.get("/children.json?theme=").json()["children"]] == [CHILD]
    lead.post(f"/cases/{_case().pk}/end/", {"outcome": "no_need", "reason": "必要がない", "revision": _case().revision})
    assert ssw.get(f"/children/{CHILD}/").status_code == 404


def test_a_referral_opens_when_accepted_and_closes_when_revoked(written_town: Path) -> None:
    from kodomo_platform.portal.models import Person, Referral

    desk, ssw = quick_sign_in("desk"), quick_sign_in("ssw")
    _decide(desk)
    to = Person.objects.get(user__username="ssw").pk
    assert desk.post(f"/cases/{_case().pk}/refer/", {"to": to, "reason": "訪問をお願いしたい"}).status_code == 302
    row = Referral.objects.get()
    assert ssw.get(f"/children/{CHILD}/").status_code == 404
    assert ssw.post(f"/referrals/{row.pk}/", {"state": "accepted"}).status_code == 302
    assert ssw.get(f"/children/{CHILD}/").status_code == 200
    assert desk.post(f"/referrals/{row.pk}/", {"state": "revoked", "reason": "担当が変わった"}).status_code == 302
    assert ssw.get(f"/children/{CHILD}/").status_code == 404
    assert desk.post(f"/cases/{_case().pk}/refer/", {"to": 99999, "reason": "x"}).status_code == 400


def test_a_note_is_amended_and_never_overwritten(written_town: Path) -> None:
    from kodomo_platform.portal.models import Note

    desk, lead = quick_sign_in("desk"), quick_sign_in("lead")
    form = {"kind": "visit", "happened_on": "令和8年10月1日", "seen": "not_seen", "text": ""}
    assert desk.post(f"/children/{CHILD}/notes/", form).status_code == 302
    first = Note.objects.get()
    assert first.happened_on == date(2026, 10, 1)
    assert (
        desk.post(f"/children/{CHILD}/notes/", {**form, "text": "二度目に会えた", "amends": first.pk}).status_code
        == 302
    )
    assert desk.post(f"/children/{CHILD}/notes/", {**form, "text": "もう一度", "amends": first.pk}).status_code == 409
    assert Note.objects.count() == 2
    body = lead.get(f"/children/{CHILD}/").content.decode()
    assert "二度目に会えた" in body


@pytest.mark.parametrize("day", ["", "令和99年1月1日", "2026-02-30", "昨日", "9999-12-31", "1899-01-01", "<script>"])
def test_days_that_are_none_are_refused(written_town: Path, day: str) -> None:
    from kodomo_platform.portal.models import Note

    desk = quick_sign_in("desk")
    answer = desk.post(f"/children/{CHILD}/notes/", {"kind": "note", "happened_on": day, "text": "x"})
    assert answer.status_code == 400
    assert Note.objects.count() == 0


def test_every_look_is_in_the_portal_and_in_the_audit_log(written_town: Path) -> None:
    from kodomo_platform.portal.models import Look

    head = quick_sign_in("head")
    other = next(child for child in CHILDREN if child.school == SCHOOLS[1])
    head.get(f"/children/?theme={THEME}")
    head.get(f"/children/{CHILD}/")
    head.post("/search/", {"text": "高橋"})
    head.get(f"/children/{other.child_id}/")
    head.get("/people/")
    head.post(f"/children/{CHILD}/form/", {"purpose": "ケース会議"})
    looks = list(Look.objects.filter(login="head").order_by("pk").values_list("kind", "refused"))
    assert looks == [
        ("list", False),
        ("page", False),
        ("search", False),
        ("page", True),
        ("page", True),
        ("print", False),
    ]
    assert CHILD in set(
        Look.objects.get(login="head", kind="page", refused=False).looked_at.values_list("child_id", flat=True)
    )
    entries = [entry for entry in operations.audit_log(municipality=CODE) if entry.actor == "head"]
    assert len([entry for entry in entries if entry.action.startswith("portal look")]) == 6
    assert "高橋" not in str([(entry.subject, entry.action) for entry in entries])
    overseer = quick_sign_in("overseer")
    assert "head" in overseer.get("/oversight/").content.decode()


def test_emergency_access_shows_a_protected_address_for_a_time(written_town: Path) -> None:
    from django.utils import timezone

    from kodomo_platform.portal.models import Emergency

    desk, overseer = quick_sign_in("desk"), quick_sign_in("overseer")
    child = CHILDREN[4]
    assert child.address not in desk.get(f"/children/{child.child_id}/").content.decode()
    assert desk.post(f"/children/{child.child_id}/emergency/", {"reason": "短い"}).status_code == 400
    assert (
        desk.post(
            f"/children/{child.child_id}/emergency/", {"reason": "けがの通報があり、今すぐ訪問が必要"}
        ).status_code
        == 302
    )
    assert child.address in desk.get(f"/children/{child.child_id}/").content.decode()
    assert CHILDREN[11].address not in desk.get(f"/children/{CHILDREN[11].child_id}/").content.decode()
    assert "けがの通報" in overseer.get("/oversight/").content.decode()
    Emergency.objects.update(until=timezone.now())
    assert child.address not in desk.get(f"/children/{child.child_id}/").content.decode()


def test_a_flag_is_at_the_desk_at_once_linked_or_asked_about(written_town: Path) -> None:
    from kodomo_platform.portal.models import Flag

    nurse, desk = quick_sign_in("nurse"), quick_sign_in("desk")
    child = CHILDREN[2]
    born = (date(2015, 4, 2) + timedelta(days=2)).isoformat()
    form = {
        "kind": "injury",
        "severity": "3",
        "name": child.name,
        "name_kana": "わたなべ はなこ",
        "birth_date": born,
        "sex": "female",
        "form_id": "f1",
    }
    assert nurse.post("/flags/new/", form).status_code == 302
    assert nurse.post("/flags/new/", form).status_code == 302  # a second tap is the same flag
    flag = Flag.objects.get()
    assert (flag.state, flag.child_id) == ("linked", child.child_id)
    assert child.child_id in desk.get("/flags/").content.decode()
    # only the family name and the day: a person is asked
    assert nurse.post("/flags/new/", {**form, "name": "渡辺", "name_kana": "", "form_id": "f2"}).status_code == 302
    unclear = Flag.objects.get(form_id="f2")
    assert unclear.state == "open"
    assert child.child_id in [entry["child_id"] for entry in unclear.evidence]
    assert desk.get(f"/flags/{unclear.pk}/").status_code == 200
    assert desk.post(f"/flags/{unclear.pk}/", {"child_id": child.child_id}).status_code == 302
    assert Flag.objects.get(pk=unclear.pk).child_id == child.child_id
    # the hospital sees that it was seen, and nothing of the child
    body = nurse.get("/flags/new/").content.decode()
    assert child.child_id not in body
    assert child.number not in body
    assert nurse.get(f"/flags/{flag.pk}/").status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"name": "", "name_kana": ""},
        {"birth_date": "令和99年1月1日"},
        {"kind": "x"},
        {"severity": "9"},
        {"birth_date": "1950-01-01"},
        {"name": "あ" * 500},
        {"form_id": ""},
    ],
)
def test_a_flag_that_cannot_be_is_refused_and_what_was_typed_stays(written_town: Path, change: dict[str, str]) -> None:
    from kodomo_platform.portal.models import Flag

    form = {
        "kind": "injury",
        "severity": "3",
        "name": "渡辺 花子",
        "birth_date": "2015-04-04",
        "form_id": "f1",
        "text": "打った言葉",
    }
    answer = quick_sign_in("nurse").post("/flags/new/", form | change)
    assert answer.status_code == 400
    assert "打った言葉" in answer.content.decode()
    assert Flag.objects.count() == 0


def test_an_export_needs_somebody_else_and_counts(written_town: Path) -> None:
    from kodomo_platform.portal.models import Export

    desk, lead = quick_sign_in("desk"), quick_sign_in("lead")
    assert desk.post("/exports/", {"purpose": "", "theme": THEME}).status_code == 400
    assert desk.post("/exports/", {"purpose": "会議の資料", "theme": THEME, "contact": "1"}).status_code == 302
    row = Export.objects.get()
    assert desk.post(f"/exports/{row.pk}/file/").status_code == 404
    assert desk.post(f"/exports/{row.pk}/", {"answer": "approve"}).status_code == 403
    assert lead.post(f"/exports/{row.pk}/", {"answer": "approve"}).status_code == 302
    assert lead.post(f"/exports/{row.pk}/file/").status_code == 404  # it is not theirs
    content = desk.post(f"/exports/{row.pk}/file/").content.decode("utf-8-sig")
    assert content.count("\r\n") == len(CHILDREN) + 1
    assert CHILDREN[1].phone in content
    assert CHILDREN[4].phone not in content
    assert Export.objects.get().fetched == 1
    # what a spreadsheet would run is text
    from kodomo_platform.portal.views.exports import harmless

    assert [harmless(text) for text in ("=1+1", "@x", "-2", "+3", "a")] == ["'=1+1", "'@x", "'-2", "'+3", "a"]


def test_a_request_has_its_deadline_and_one_extension(written_town: Path) -> None:
    from kodomo_platform.portal.models import Request

    counter = quick_sign_in("counter")
    form = {
        "kind": "disclosure",
        "received_on": "2026-10-01",
        "claimant": "母",
        "identity": "運転免許証",
        "child_id": CHILD,
    }
    assert counter.post("/requests/", form).status_code == 302
    row = Request.objects.get()
    assert row.due_on == date(2026, 10, 31)
    assert (
        counter.post(f"/requests/{row.pk}/", {"state": "extended", "answer": "調査に時間を要する"}).status_code == 302
    )
    assert Request.objects.get().due_on == date(2026, 11, 30)
    assert counter.post(f"/requests/{row.pk}/", {"state": "extended", "answer": "もう一度"}).status_code == 400
    assert counter.post(f"/requests/{row.pk}/", {"state": "answered", "answer": "開示した"}).status_code == 302
    assert counter.post(f"/requests/{row.pk}/", {"state": "refused", "answer": "x"}).status_code == 400


def _upload(client: Any, name: str, content: bytes, **more: str) -> Any:
    file = io.BytesIO(content)
    file.name = name
    form = {"source": "resident.register", "extract_date": "2026-11-01", "reason": "誤記の修正", "file": file}
    return client.post("/quality/upload/", form | more)


def test_a_corrected_extract_lands_and_nothing_else_does(written_town: Path) -> None:
    from kodomo_platform.portal.models import Upload

    holder = quick_sign_in("holder")
    assert _upload(holder, "JUKI_20261101.csv", b"a,b\r\n").status_code == 302
    landed = written_town / "landing" / CODE / "2026-11-01" / "JUKI_20261101.csv"
    assert landed.read_bytes() == b"a,b\r\n"
    assert landed.stat().st_mode & 0o111 == 0
    _upload(holder, "JUKI_20261101.csv", b"a,c\r\n")
    assert landed.read_bytes() == b"a,b\r\n"  # what was delivered stays
    for name, content in (
        ("../../../etc/JUKI_x.csv", b"x"), ("JUKI_..\\..\\x.csv", b"x"), ("evil.exe", b"MZ"), ("other.csv", b"x"), ("JUKI_a.csv", b"PK\x03\x04"),
        ("JUKI_\x00.csv", b"x"), (".bashrc", b"x"), ("JUKI_a.csv.sh", b"x"),
    ):  # fmt: skip
        _upload(holder, name, content)
    outside = [path for path in written_town.rglob("*") if path.is_file() and path.suffix in (".exe", ".sh", ".bashrc")]
    assert outside == []
    assert all(row.state == "quarantined" for row in Upload.objects.filter(file_name__in=["evil.exe", "other.csv"]))
    for wrong in ({"source": "no.such"}, {"extract_date": "2999-01-01"}, {"extract_date": "../.."}, {"reason": ""}):
        assert _upload(holder, "JUKI_z.csv", b"x", **wrong).status_code == 400
    assert _upload(holder, "JUKI_z.csv", b"").status_code == 400
    assert _upload(quick_sign_in("desk"), "JUKI_z.csv", b"x").status_code == 403


def test_without_a_snapshot_there_is_a_page_that_says_so(written_town: Path) -> None:
    desk = quick_sign_in("desk")
    current = written_town / "published" / CODE / "current"
    target = current.readlink()
    current.unlink()
    assert desk.get("/children/").status_code == 503
    today = desk.get("/today/")
    assert today.status_code == 200
    assert "公開データを表示できません" in today.content.decode()
    assert _decide(desk).status_code in (409, 503)
    current.symlink_to(target)
    assert desk.get("/children/").status_code == 200


def test_a_changed_snapshot_is_not_shown(written_town: Path) -> None:
    from kodomo_platform.portal.reading import forget_open

    register = (written_town / "published" / CODE / "current").resolve() / "child_register.parquet"
    register.chmod(0o644)
    content = bytearray(register.read_bytes())
    content[len(content) // 2] ^= 1
    register.write_bytes(content)
    forget_open()
    assert quick_sign_in("desk").get("/children/").status_code == 503


def test_old_data_are_shown_with_a_banner_and_too_old_ones_decide_nothing(
    written_town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kodomo_platform.portal import desk as module

    client = quick_sign_in("desk")
    monkeypatch.setattr(module, "STALE_DAYS", -400)
    assert "日前のものです" in client.get("/children/").content.decode()
    monkeypatch.setattr(module, "TOO_OLD_DAYS", -400)
    assert _decide(client).status_code == 409


def test_a_database_that_is_away_is_a_page_that_says_so(written_town: Path) -> None:
    import sqlite3

    from django.db import connection

    desk = quick_sign_in("desk")
    desk.get("/today/")
    connection.close()
    connection.settings_dict["OPTIONS"]["timeout"] = 0.2
    holder = sqlite3.connect(written_town / "operations.sqlite3", isolation_level=None)
    holder.execute("begin exclusive")
    try:
        answer = _decide(desk)
    finally:
        holder.execute("rollback")
        holder.close()
        connection.close()
        connection.settings_dict["OPTIONS"]["timeout"] = 30
    assert answer.status_code == 503
    assert "書き込みは行われていません" in answer.content.decode()
    from kodomo_platform.portal.models import Case

    assert Case.objects.count() == 0
    assert _decide(desk).status_code == 302


def test_a_form_is_the_same_bytes_for_the_same_data_and_holds_no_markup(written_town: Path) -> None:
    import pikepdf

    from kodomo_platform.portal.models import Form

    lead = quick_sign_in("lead")
    answer = lead.post(f"/children/{CHILDREN[12].child_id}/form/", {"purpose": "会議"})
    assert answer.headers["Content-Type"] == "application/pdf"
    with pikepdf.open(io.BytesIO(answer.content)) as pdf:
        meta = pdf.open_metadata()
        assert meta.pdfa_status == "2B"
        assert len(pdf.pages) >= 1
        assert "/JavaScript" not in str(pdf.Root.keys())
    row = Form.objects.get()
    assert row.serial == 1
    import hashlib

    assert row.sha256 == hashlib.sha256(answer.content).hexdigest()
    for address in ("/forms/register/", f"/children/{CHILD}/form/"):
        assert lead.post(address, {"purpose": "会議", "theme": THEME}).status_code == 200
        assert lead.post(address, {"purpose": ""}).status_code == 400
    assert list(Form.objects.order_by("serial").values_list("serial", flat=True)) == [1, 2, 3]
    from datetime import UTC, datetime

    from kodomo_platform.portal.forms import render

    stamp = {"title": "個票", "town": "市", "secret": "s", "watermark": "w", "line": "l", "serial": "1"}
    data = {
        "facts": [["氏名", "髙﨑 𠮷田 #emph[x]"]],
        "protected": "",
        "themes": [],
        "notes": [],
        "remark": "r",
        "stamp": stamp,
    }
    at = datetime(2026, 10, 1, tzinfo=UTC)
    assert render("child", data, at=at) == render("child", data, at=at)
