"""Sheets, consents, requests, holds and incidents: their states, their people, their days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from kodomo_platform import operations
from kodomo_platform.errors import GovernanceError, OperationsError
from kodomo_platform.governance import consents, incidents, inspection, requests, retention, sheets
from kodomo_platform.governance.consents import State
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act, NewChild
from kodomo_platform.policy import grounds

CODE = "172065"
DAY = dt.date(2026, 10, 1)
ITEM = "education.attendance.absent_days"


def act(actor: str = "office") -> Act:
    return Act(actor, "a test", "governance")


@pytest.fixture(autouse=True)
def known_child(home: Path) -> Iterator[None]:
    operations.save_child_ids(CODE, DAY, act(), [NewChild("c1", 1), NewChild("c2", 2)], [], [])
    yield
    operations.close()


# --- sheets -----------------------------------------------------------------------------------------------------------


def propose(key: str = "s1", kind: str = "law", **options: object) -> None:
    sheets.propose(
        load_municipality(CODE), key, [ITEM], act("author"), kind=kind, valid_from=dt.date(2026, 4, 1),
        valid_until=dt.date(2026, 12, 31), on=dt.date(2026, 4, 1), **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_sheet_needs_three_people_and_then_lives() -> None:
    propose()
    with pytest.raises(GovernanceError, match="one person"):
        sheets.review(CODE, "s1", act("author"), on=DAY)
    with pytest.raises(OperationsError, match="this step cannot be taken"):
        sheets.approve(CODE, "s1", act("third"), on=DAY)
    sheets.review(CODE, "s1", act("second"), on=DAY)
    with pytest.raises(GovernanceError, match="one person"):
        sheets.approve(CODE, "s1", act("second"), on=DAY)
    assert ITEM in grounds.closures(load_municipality(CODE), DAY)
    sheets.approve(CODE, "s1", act("third"), on=DAY)
    assert ITEM not in grounds.closures(load_municipality(CODE), DAY)
    report = sheets.check(load_municipality(CODE), dt.date(2026, 12, 20))
    assert [ending.days for ending in report.ending] == [11]
    sheets.withdraw(CODE, "s1", act("third"), on=dt.date(2026, 11, 1))
    assert grounds.closures(load_municipality(CODE), dt.date(2026, 11, 1))[ITEM].why is grounds.Why.WITHDRAWN
    assert operations.audit_verify().sound


def test_use_beyond_the_purpose_needs_its_four_conditions() -> None:
    texts = dict.fromkeys(sheets.CONDITIONS, "reason")
    with pytest.raises(GovernanceError, match="four conditions"):
        propose(kind="beyond_purpose", conditions=texts | {"temporary": " "})
    propose(kind="beyond_purpose", conditions=texts)
    with pytest.raises(GovernanceError, match="no such item"):
        sheets.propose(
            load_municipality(CODE), "s2", ["education.nothing"], act(), kind="law", valid_from=DAY, valid_until=DAY
        )


# --- consents ---------------------------------------------------------------------------------------------------------


def consent(
    key: str, state: State, giver: str = "guardian", on: dt.date = DAY, child: str = "c1", **options: object
) -> None:
    consents.record(
        CODE, key, child, state, act(), giver=giver, route="paper", evidence="file 12", on=on, **options,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("state", list(State))
def test_only_what_was_given_opens(state: State) -> None:
    consent("k", state)
    answer = consents.answer(CODE, "c1", "education", DAY)
    assert (answer.state, answer.opens, answer.ask) == (state, state is State.GIVEN, False)


def test_nobody_asked_is_not_refused() -> None:
    assert consents.answer(CODE, "c1", "education", DAY) == consents.Answer(State.UNANSWERED, (), ask=False)


def test_the_state_at_any_date() -> None:
    consent("k", State.GIVEN, valid_until=dt.date(2027, 3, 31))
    consents.change(CODE, "k", State.WITHDRAWN, act(), on=dt.date(2026, 12, 1))
    days = (DAY - dt.timedelta(1), DAY, dt.date(2026, 11, 30), dt.date(2026, 12, 1))
    said = [consents.answer(CODE, "c1", "education", day).state for day in days]
    assert said == [State.UNANSWERED, State.GIVEN, State.GIVEN, State.WITHDRAWN]
    with pytest.raises(OperationsError, match="this step cannot be taken"):
        consents.change(CODE, "k", State.WITHDRAWN, act(), on=DAY)


def test_a_consent_that_has_run_out_is_none_any_more() -> None:
    consent("k", State.GIVEN, valid_until=DAY)
    assert consents.answer(CODE, "c1", "education", DAY).opens
    assert consents.answer(CODE, "c1", "education", DAY + dt.timedelta(1)).state is State.UNANSWERED


def test_who_differs_is_asked_and_the_stricter_holds() -> None:
    consent("mother", State.GIVEN)
    consent("father", State.REFUSED, giver="second_guardian")
    answer = consents.answer(CODE, "c1", "education", DAY)
    assert (answer.state, answer.ask) == (State.REFUSED, True)
    consent("own", State.GIVEN, child="c2")
    consent("child", State.WITHDRAWN, giver="child", child="c2")
    assert consents.answer(CODE, "c2", "education", DAY).state is State.WITHDRAWN
    assert consents.to_ask(CODE, DAY) == ["c1", "c2"]


def test_the_newest_word_of_one_giver_counts_within_its_scope() -> None:
    consent("all", State.GIVEN, on=dt.date(2026, 4, 1))
    consent("narrow", State.REFUSED, on=dt.date(2026, 6, 1), scope=["welfare", ITEM])
    assert consents.answer(CODE, "c1", "welfare.case", DAY).state is State.REFUSED
    assert consents.answer(CODE, "c1", ITEM, DAY).state is State.REFUSED
    assert consents.answer(CODE, "c1", "education.attendance.late_days", DAY).state is State.GIVEN
    consent("theme", State.REFUSED, on=dt.date(2026, 7, 1), themes=["abuse"])
    assert consents.answer(CODE, "c1", "education", DAY, theme="abuse").state is State.REFUSED
    assert consents.answer(CODE, "c1", "education", DAY, theme="family_mind").state is State.GIVEN


def test_a_consent_of_nobody_about_nothing_is_refused() -> None:
    with pytest.raises(GovernanceError, match="not somebody"):
        consent("k", State.GIVEN, giver="neighbour")
    with pytest.raises(GovernanceError, match="what the catalogue knows"):
        consent("k", State.GIVEN, scope=["astrology"])
    with pytest.raises(OperationsError, match="no such child"):
        consent("k", State.GIVEN, child="c9")
    with pytest.raises(GovernanceError, match="evidence"):
        consents.record(CODE, "k", "c1", State.GIVEN, act(), giver="child", route="paper", evidence=" ", on=DAY)


# --- requests, holds, incidents ---------------------------------------------------------------------------------------


def test_a_request_is_due_in_thirty_days_and_extended_once() -> None:
    requests.receive(CODE, "r1", "correction", "c1", act(), received_on=DAY)
    requests.pass_to_holder(CODE, "r1", "school office", act(), on=DAY)
    assert [(d.request.key, d.days_left) for d in requests.due(CODE, DAY)] == [("r1", 30)]
    requests.extend(CODE, "r1", act(), on=DAY)
    assert [d.days_left for d in requests.due(CODE, dt.date(2026, 12, 1))] == [-1]
    with pytest.raises(GovernanceError, match="extended once"):
        requests.extend(CODE, "r1", act(), on=DAY)
    requests.decide(CODE, "r1", "granted", act(), on=DAY)
    assert requests.due(CODE, DAY) == []
    with pytest.raises(OperationsError, match="this step cannot be taken"):
        requests.decide(CODE, "r1", "refused", act(), on=DAY)


def test_a_request_for_nobody_or_for_too_long_is_refused() -> None:
    with pytest.raises(OperationsError, match="no such child"):
        requests.receive(CODE, "r", "stop_use", "c9", act(), received_on=DAY)
    with pytest.raises(GovernanceError, match="kind of request"):
        requests.receive(CODE, "r", "curiosity", "c1", act(), received_on=DAY)
    with pytest.raises(GovernanceError, match="30 days at most"):
        requests.receive(CODE, "r", "stop_use", "c1", act(), received_on=DAY, days=31)


def test_what_is_too_old_goes_unless_a_hold_keeps_it(home: Path) -> None:
    for day in ("2010-04-01", "2026-10-01"):
        folder = home / "landing" / CODE / day
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x")
    retention.hold(CODE, "h1", "c1", act(), on=DAY)
    assert [(d.path, d.kept_by) for d in retention.plan(CODE, DAY)] == [(f"landing/{CODE}/2010-04-01", "h1")]
    assert retention.carry_out(CODE, DAY, act())["deleted"] == []
    retention.end_hold(CODE, "h1", act(), on=DAY)
    certificate = retention.carry_out(CODE, DAY, act())
    assert [entry["path"] for entry in certificate["deleted"]] == [f"landing/{CODE}/2010-04-01"]
    assert not (home / "landing" / CODE / "2010-04-01").exists()
    assert (home / "landing" / CODE / "2026-10-01" / "a.csv").exists()
    assert retention.plan(CODE, DAY) == []


def test_an_incident_has_its_days_and_names_who_was_seen() -> None:
    record = incidents.report(CODE, "i1", act(), known_on=DAY, reason="special_care", what="a laptop was lost")
    assert (record.due_on, record.body["full_by"]) == (dt.date(2026, 10, 6), "2026-10-31")
    assert incidents.deadlines(DAY, "wrongful_purpose").full == dt.date(2026, 11, 30)
    record = incidents.step(CODE, "i1", "prompt_reported", act(), on=DAY)
    assert record.due_on == dt.date(2026, 10, 31)
    with pytest.raises(OperationsError):
        incidents.step(CODE, "i1", "closed", act(), on=DAY)
    operations.audit(Act("teacher", "why", "support"), "look", "page", municipality=CODE, person="c2")
    assert incidents.affected(CODE, actor="teacher") == ["c2"]
    with pytest.raises(GovernanceError, match="kind of incident"):
        incidents.report(CODE, "i2", act(), known_on=DAY, reason="bad luck", what="x")


def test_the_monthly_report_says_what_is_odd() -> None:
    for number in range(51):
        operations.audit(Act("curious", "why", "support"), "look", f"page {number}", municipality=CODE, person="c1")
    report = inspection.monthly(CODE, dt.datetime.now(dt.UTC).astimezone().date())
    assert report.by_actor == {"curious": 51}
    assert any("51件" in line for line in report.odd)
    assert report.chain_sound
    answers = {area: said for area, _, said in inspection.self_inspection(CODE, DAY)}
    assert answers["役割"] == "4つとも決まっている"
    assert answers["アクセス"] == ""  # only a person knows
