"""What the catalogue, a town's file and the recorded grounds say has its effect at the door."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.catalog.models import BeyondPurpose, Retention
from kodomo_platform.errors import PolicyError
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.municipalities.models import Governance, Grounds, Municipality, Roles
from kodomo_platform.operations import Act
from kodomo_platform.policy import duties, grounds, purposes
from kodomo_platform.policy.grounds import Why
from kodomo_platform.policy.purposes import Use

CODE = "112241"
ITEM = "education.attendance.absent_days"
DAY = dt.date(2026, 10, 1)
ACT = Act("overseer", "a test", "governance")


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Iterator[None]:
    yield
    operations.close()


def town(governance: Governance | None = None) -> Municipality:
    loaded = load_municipality(CODE)
    return loaded.model_copy(update={"governance": governance or loaded.governance})


def item(**changes: Any) -> Item:
    return load_catalog().items[ITEM].model_copy(update=changes)


def ended(text: str) -> BeyondPurpose:
    return BeyondPurpose(ground="iii", reasoning="why", period=text, approver="mayor")


def test_the_shipped_catalogue_is_open() -> None:
    for code in ("112241", "132071", "172065", "230006", "282022", "343021", "401307"):
        assert grounds.closures(load_municipality(code), DAY) == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"purpose": "広告配信"}, Why.PURPOSE),
        ({"legal_basis": "なし"}, Why.NO_BASIS),
        ({"legal_basis": "　"}, Why.NO_BASIS),
        ({"beyond_purpose": ended("2020年3月31日まで")}, Why.ENDED),
        ({"beyond_purpose": ended("令和２年３月３１日まで")}, Why.ENDED),
        ({"retention": Retention(data_class=3, years=0)}, Why.RETENTION),
        ({"consent_needed": True}, Why.CONSENT),
    ],
)
def test_what_the_catalogue_says_closes_the_item(changes: dict[str, Any], why: Why) -> None:
    shut = grounds.closures(town(), DAY, [item(**changes), load_catalog().items["education.attendance.late_days"]])
    assert {key: closed.why for key, closed in shut.items()} == {ITEM: why}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Grounds(purpose="広告配信"), Why.PURPOSE),
        (Grounds(legal_basis="なし"), Why.NO_BASIS),
        (Grounds(period_until=DAY - dt.timedelta(1)), Why.ENDED),
        (Grounds(period_from=DAY + dt.timedelta(1)), Why.NOT_BEGUN),
        (Grounds(retention_years=0), Why.RETENTION),
        (Grounds(consent_needed=True), Why.CONSENT),
    ],
)
@pytest.mark.parametrize("key", [ITEM, "education.attendance", "education"])
def test_what_a_town_says_of_an_item_its_source_or_domain_wins(said: Grounds, why: Why, key: str) -> None:
    shut = grounds.closures(town(Governance(grounds={key: said})), DAY, [item()])
    assert [closed.why for closed in shut.values()] == [why]


def test_the_closest_word_wins_field_by_field() -> None:
    said = Governance(
        grounds={"education": Grounds(legal_basis="なし", retention_years=0), ITEM: Grounds(legal_basis="法")}
    )
    assert [closed.why for closed in grounds.closures(town(said), DAY, [item()]).values()] == [Why.RETENTION]


def test_a_purpose_of_the_town_s_own_covers_what_it_says() -> None:
    own = Governance(purposes={"見守り": ["finding"]}, grounds={ITEM: Grounds(purpose="見守り")})
    assert grounds.closures(town(own), DAY, [item()]) == {}
    assert purposes.refused([ITEM], Use.SCORING, town(own)) == []
    assert purposes.refused([ITEM], Use.FORM, town(own)) == [ITEM]


def test_a_period_is_read_from_words() -> None:
    assert grounds.end_of_period("令和元年5月1日から2020/3/31まで") == dt.date(2020, 3, 31)
    assert grounds.end_of_period("連携事業の実施期間中。毎年度末に見直す") is None
    assert grounds.end_of_period("2025年2月29日まで") is None


def sheet(state: str, **period: dt.date) -> None:
    operations.open_record(
        CODE,
        "ground",
        f"sheet {state}",
        "draft",
        ACT,
        effective_on=dt.date(2026, 1, 1),
        body={"items": [ITEM]},
        **period,
    )
    if state != "draft":
        operations.change_record(
            CODE, "ground", f"sheet {state}", state, ACT, effective_on=dt.date(2026, 2, 1), seen=["draft"]
        )


@pytest.mark.parametrize(
    ("state", "why"),
    [("draft", Why.NOT_APPROVED), ("reviewed", Why.NOT_APPROVED), ("withdrawn", Why.WITHDRAWN), ("expired", Why.ENDED)],
)
def test_only_an_approved_sheet_opens(state: str, why: Why) -> None:
    sheet(state)
    assert [closed.why for closed in grounds.closures(town(), DAY, [item()]).values()] == [why]
    sheet("approved")  # one that lives is enough
    assert grounds.closures(town(), DAY, [item()]) == {}


def test_an_approved_sheet_lives_through_its_last_day_and_warns_before() -> None:
    sheet("approved", valid_until=DAY)
    assert grounds.closures(town(), DAY, [item()]) == {}
    (shut,) = grounds.closures(town(), DAY + dt.timedelta(1), [item()]).values()
    assert (shut.why, shut.since, shut.told_by) == (Why.ENDED, DAY, "sheet approved")
    assert [e.days for e in grounds.endings(town(), DAY - dt.timedelta(14))] == [14]
    assert grounds.endings(town(), DAY - dt.timedelta(61)) == []


def test_a_town_may_ask_for_a_sheet_of_every_item() -> None:
    strict = town(Governance(require_grounds=True))
    assert ITEM in grounds.closures(strict, DAY)
    sheet("approved")
    shut = grounds.closures(strict, DAY)
    assert ITEM not in shut
    assert "education.attendance.late_days" in shut


def test_a_closed_column_is_not_mapped_and_what_is_held_is_dropped() -> None:
    shut = {ITEM: grounds.Closed(ITEM, Why.ENDED)}
    open_town = grounds.governed(town(), DAY, shut)
    config = open_town.by_source["education.attendance"]
    assert "absent_days" not in config.by_item
    assert any(column.reason == grounds.WHY_JA[Why.ENDED] for column in config.ignored_columns)
    assert "absent_days" in town().by_source["education.attendance"].by_item  # the original is untouched
    with duckdb.connect(":memory:") as con:
        con.execute(
            "create schema raw; create table raw.raw_education__attendance (student_number varchar, absent_days varchar)"
        )
        con.execute("insert into raw.raw_education__attendance values ('1', '3'), ('2', null), ('3', '0')")
        assert grounds.drop_held(con, town(), shut) == {ITEM: 2}
        assert con.execute("select count(absent_days) from raw.raw_education__attendance").fetchone() == (0,)
        assert con.execute("select item, why from cfg.closed_item").fetchall() == [(ITEM, "period_ended")]


def test_a_source_without_its_record_key_is_not_held() -> None:
    key = "education.attendance.student_number"
    assert "education.attendance" not in grounds.governed(town(), DAY, {key: grounds.Closed(key, Why.ENDED)}).by_source


def test_features_that_look_too_far_back_are_named() -> None:
    short = town(Governance(grounds={ITEM: Grounds(lookback_months=1)}))
    assert grounds.beyond_lookback({"f": 12, "g": 1}, {"f": [ITEM], "g": [ITEM]}, short) == {"f"}
    assert grounds.beyond_lookback({"f": 12}, {"f": [ITEM]}, town()) == set()


def test_theme_scores_leave_out_what_is_closed_too_far_back_or_for_another_theme() -> None:
    from kodomo_platform.scoring import load_features, load_themes
    from kodomo_platform.scoring.scores import left_out

    theme, features = load_themes()["school_refusal"], load_features()
    absent = {name for name in theme.features if ITEM in features[name].items}
    assert absent
    assert left_out(town(), theme, features) == frozenset()
    for said in (Grounds(legal_basis="なし"), Grounds(themes=["abuse"]), Grounds(purpose="広告配信")):
        assert absent <= left_out(town(Governance(grounds={ITEM: said})), theme, features)
    assert left_out(town(Governance(grounds={ITEM: Grounds(lookback_months=1)})), theme, features) & absent


def test_a_read_beyond_the_purpose_is_refused_by_name() -> None:
    name = "resident.register.name"
    purposes.require([ITEM], Use.SCORING, town())
    with pytest.raises(PolicyError, match="student_number"):
        purposes.require(["education.attendance.student_number"], Use.SCORING, town())
    with pytest.raises(PolicyError, match=r"unknown\.item"):
        purposes.require(["unknown.item.x"], Use.DISCLOSURE, town())
    purposes.require([name, ITEM], Use.DISCLOSURE, town())
    with pytest.raises(PolicyError):
        purposes.require([ITEM], Use.EXPORT, town())


def test_every_use_has_its_row_in_the_policy_table() -> None:
    assert set(purposes.NEEDS) == set(Use)


def test_a_duty_that_is_nobody_s_stops_the_run() -> None:
    duties.require_roles(town())
    with pytest.raises(PolicyError, match="use"):
        duties.require_roles(town(Governance(roles=Roles(oversight="a", holding="b", analysis="c"))))
    with pytest.raises(PolicyError, match="oversight"):
        duties.require_roles(load_municipality(CODE).model_copy(update={"governance": None}))
