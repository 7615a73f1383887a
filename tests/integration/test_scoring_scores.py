"""Scores against a real DuckDB with hand-made feature marts: sums, versions, absence, independence of the batch."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring import load_features, load_themes, score
from kodomo_platform.scoring.scores import _ABSENT_EN, _ABSENT_JA, STATUSES
from kodomo_platform.warehouse import connect, create_schemas

AS_OF = dt.date(2026, 10, 1)


def make_marts(
    con: duckdb.DuckDBPyConnection, children: int, dates: list[dt.date], seed: int = 1, theme: str = "school_refusal"
) -> None:
    """Feature marts and outcomes of a made-up town whose need shows in absence, lateness and mood."""
    rng = np.random.default_rng(seed)
    create_schemas(con)
    con.execute("create table cfg.as_of (as_of_date date, purpose varchar)")
    names = list(load_features())
    need = rng.normal(size=children)
    for purpose, table, days in (
        ("score", "mart_child_features", [AS_OF]),
        ("train", "mart_training_features", dates),
    ):
        columns: dict[str, Any] = {}
        n = children * len(days)
        who = np.tile(np.arange(children), len(days))
        columns["child_id"] = np.array([f"c{k:06d}" for k in who])
        columns["household_id"] = np.array([f"h{k // 2:06d}" for k in who])
        columns["as_of_date"] = np.repeat(np.array([d.isoformat() for d in days]), children)
        columns["sex"] = np.where(who % 2 == 0, "male", "female")
        for flag in ("is_resident", "is_enrolled", "is_school_age"):
            columns[flag] = np.ones(n, dtype=bool)
        for name in names:
            noise = rng.normal(size=n)
            latent = need[who] + noise
            if "rate" in name:
                value = np.clip(0.03 + 0.05 * latent, 0, 1)
            elif name in ("age_years", "grade"):
                value = 6.0 + (who % 9) if name == "age_years" else 1.0 + who % 9
            elif name == "days_since_seen":
                value = rng.integers(0, 40, n).astype(float)
            elif name.startswith("survey_") and "care" not in name and "adult" not in name:
                value = np.clip(np.round(3.5 - 0.7 * latent), 1, 5)
            else:
                value = np.maximum(np.round(0.4 * latent), 0.0)
            columns[name] = value
            columns[f"{name}__status"] = np.where(rng.random(n) < 0.03, "blank", "present")
        con.register("_made", columns)
        picked = ", ".join(
            f"case when {name}__status = 'present' then {name} end as {name}, {name}__status::varchar as {name}__status"
            for name in names
        )
        con.execute(
            f"create table marts.{table} as select child_id, as_of_date::date as as_of_date, household_id, sex, "
            f"is_resident, is_enrolled, is_school_age, {picked} from _made"
        )
        con.unregister("_made")
        for day in days:
            con.execute("insert into cfg.as_of values (?, ?)", [day, purpose])
    con.execute(
        "create table marts.mart_child as select distinct child_id, "
        "'335000' || (hash(household_id) % 3)::varchar as postal_code, "
        "if(child_id = 'c000001', 'active', 'none') as protection_measure from marts.mart_child_features"
    )
    con.execute("create schema if not exists linkage")
    con.execute("create table linkage.lnk_child_consent (child_id varchar, themes varchar[])")
    con.execute("create table marts.mart_outcome (child_id varchar, theme varchar, outcome_date date, source varchar)")
    chance = 1 / (1 + np.exp(-(2.2 * need - 3.0)))
    rows = [
        (f"c{k:06d}", theme, AS_OF - dt.timedelta(days=int(rng.integers(1, 400))), "x")
        for k in np.flatnonzero(rng.random(children) < chance)
    ]
    if rows:
        con.executemany("insert into marts.mart_outcome values (?, ?, ?, ?)", rows)


def town(*themes: str, code: str = "112241", capacity: int = 10) -> Any:
    return SimpleNamespace(
        code=code,
        themes=[SimpleNamespace(key=t, capacity=capacity, display_mode="score") for t in themes],
        absence_decisions=[],
        governance=None,
        by_source={},
    )


@pytest.fixture
def con(home: Path) -> Any:
    con = connect(":memory:")
    make_marts(con, 200, [])
    yield con
    con.close()


def test_an_item_that_the_municipality_left_out_reaches_no_score(con: duckdb.DuckDBPyConnection) -> None:
    before = score(con, town("school_refusal"), AS_OF, "run-1", "abc").themes[0].score_version
    wise = town("school_refusal")
    wise.absence_decisions = [
        SimpleNamespace(
            item="education.attendance.absent_days",
            theme="school_refusal",
            include=False,
            decided_on=AS_OF,
        )
    ]
    assert score(con, wise, AS_OF, "run-2", "abc").themes[0].score_version != before
    for reasons, hits in con.execute("select reasons, rule_hits from marts.risk_scores").fetchall():
        assert not [entry for entry in json.loads(reasons) if "absent_rate" in str(entry["item"])]
        assert "欠席率" not in hits
        assert "出欠の一部（判断により使わない）" in reasons


def test_criteria_alone_score_every_theme_and_say_so(con: duckdb.DuckDBPyConnection) -> None:
    report = score(con, town(*load_themes()), AS_OF, "run-1", "abc")
    assert {theme.model_name for theme in report.themes} == {"criteria"}
    assert all("no model is approved" in theme.note for theme in report.themes)
    rows = con.execute(
        "select score, score_low, score_high, reasons, rule_hits, rank, theme from marts.risk_scores"
    ).fetchall()
    assert rows
    for value, low, high, reasons, hits, rank, _theme in rows:
        assert 0 < low <= value <= high < 1
        entries = json.loads(reasons)
        assert math.isclose(sum(e["contribution"] for e in entries), math.log(value / (1 - value)), abs_tol=1e-9)
        assert {"base", "remainder", "absent_inputs"} <= {e["item"] for e in entries}
        assert "{value}" not in reasons
        assert isinstance(json.loads(hits), list)
        assert rank >= 1


def test_the_two_halves_of_a_mean_are_one_reason(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Regression: the mean of logistic regression and EBM said the same of a feature twice
    from kodomo_platform.scoring import scores

    single = scores.criteria_model
    monkeypatch.setattr(
        scores, "criteria_model", lambda theme: (one := single(theme)) and replace(one, terms=one.terms + one.terms)
    )
    score(con, town("school_refusal"), AS_OF, "run-1", "abc")
    rows = con.execute("select score, reasons from marts.risk_scores").fetchall()
    said = 0
    for value, reasons in rows:
        entries = json.loads(reasons)
        named = [entry["feature"] for entry in entries if "feature" in entry]
        said = max(said, len(named))
        assert len(named) == len(set(named))
        assert math.isclose(sum(e["contribution"] for e in entries), math.log(value / (1 - value)), abs_tol=1e-9)
    assert said > 1


def test_scores_do_not_depend_on_the_batch(con: duckdb.DuckDBPyConnection) -> None:
    score(con, town("abuse"), AS_OF, "run-1", "abc")
    before = dict(con.execute("select child_id, (score, score_low, reasons, band) from marts.risk_scores").fetchall())
    con.execute("delete from marts.mart_child_features where child_id != 'c000017'")
    score(con, town("abuse"), AS_OF, "run-2", "abc")
    after = dict(con.execute("select child_id, (score, score_low, reasons, band) from marts.risk_scores").fetchall())
    assert after == {"c000017": before["c000017"]}


def test_rerun_is_identical_apart_from_run_ids(con: duckdb.DuckDBPyConnection) -> None:
    query = "select * exclude (dagster_run_id) from marts.risk_scores order by all"
    score(con, town("school_refusal", "abuse"), AS_OF, "run-1", "abc")
    first = con.execute(query).fetchall()
    score(con, town("school_refusal", "abuse"), AS_OF, "run-2", "abc")
    assert con.execute(query).fetchall() == first


def test_absent_source_is_said_and_undetermined_children_are_listed(con: duckdb.DuckDBPyConnection) -> None:
    names = [name for name in load_features() if name not in ("age_years", "days_since_seen")]
    sets = ", ".join(f"{n} = null, {n}__status = 'not_held'" for n in names)
    con.execute(f"update marts.mart_child_features set {sets} where child_id < 'c000050'")
    score(con, town("young_carer"), AS_OF, "run-1", "abc")
    rows = con.execute(
        "select band, alert, undetermined_reason, reasons from marts.risk_scores where child_id < 'c000050'"
    ).fetchall()
    assert (
        len(rows)
        == con.execute(
            "select count(*) from marts.mart_child_features where child_id < 'c000050' and coalesce(age_years between 6 and 18, true)"
        ).fetchone()[0]
    )
    assert {row[:3] for row in rows} == {("undetermined", False, "too_few_inputs")}
    assert all("保有なし" in row[3] for row in rows)


def test_every_kind_of_absence_has_words_and_what_is_unreadable_in_part_is_told(con: duckdb.DuckDBPyConnection) -> None:
    assert set(STATUSES) - {"present"} == set(_ABSENT_JA) == set(_ABSENT_EN)
    con.execute(
        "update marts.mart_child_features set consultation_abuse_24m = null, consultation_abuse_24m__status = 'unreadable' "
        "where child_id = 'c000017'"
    )
    score(con, town("abuse"), AS_OF, "run-1", "abc")
    reasons = json.loads(con.execute("select reasons from marts.risk_scores where child_id = 'c000017'").fetchone()[0])
    (absent,) = [entry for entry in reasons if entry["item"] == "absent_inputs"]
    assert absent["partly"] == {"welfare.consultation": "unreadable"}
    assert "の一部（読み取れない値）" in absent["sentence_ja"]


def test_a_hospital_flag_is_shown_at_once_and_a_score_only_orders(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "update marts.mart_child_features set hospital_flags_12m = (child_id < 'c000012')::int, "
        "hospital_flags_12m__status = 'present', hospital_flag_severity_12m = (child_id < 'c000012')::int, "
        "hospital_flag_severity_12m__status = 'present'"
    )
    score(con, town("hospital_flag", capacity=3), AS_OF, "run-1", "abc")
    flagged = con.execute(
        "select child_id, alert, rank from marts.risk_scores where child_id < 'c000012' order by rank"
    ).fetchall()
    assert len(flagged) == 12
    assert all(alert for _, alert, _ in flagged)  # beyond the capacity of three too
    # before everybody else, whatever the score, and in the order of severity and day
    assert [rank for *_, rank in flagged] == list(range(1, 13))
    con.execute(
        "update marts.mart_child_features set hospital_flag_severity_12m = case child_id when 'c000007' then 3 "
        "when 'c000004' then 2 when 'c000002' then 2 else 1 end, hospital_flag_days_since = "
        "case child_id when 'c000004' then 5 when 'c000002' then 40 else 100 end, "
        "hospital_flag_days_since__status = 'present' where child_id < 'c000012'"
    )
    # what is known already does not hide a flag
    con.execute("insert into marts.mart_outcome values ('c000007', 'hospital_flag', ?, 'medical.flag')", [AS_OF])
    score(con, town("hospital_flag", capacity=3), AS_OF, "run-1", "abc")
    order = con.execute("select child_id, list from marts.risk_scores order by rank limit 12").fetchall()
    assert [child for child, _ in order[:3]] == ["c000007", "c000004", "c000002"]
    assert {name for _, name in order} == {"first"}


def test_a_whole_source_absent_this_month_is_said_for_all_and_for_each(con: duckdb.DuckDBPyConnection) -> None:
    from kodomo_platform.scoring.scores import load_cohort

    theme = load_themes()["school_refusal"]
    before = score(con, town(theme.key), AS_OF, "run-1", "abc").themes[0]
    assert "absent for every child" not in before.note
    gone = [name for name in theme.features if load_features()[name].group == "education.attendance"]
    sets = ", ".join(f"{name} = null, {name}__status = 'not_linked'" for name in gone)
    con.execute(f"update marts.mart_child_features set {sets}")
    after = score(con, town(theme.key), AS_OF, "run-2", "abc").themes[0]
    assert "absent for every child this time: education.attendance" in after.note
    rows = con.execute("select reasons, determinable, undetermined_reason from marts.risk_scores").fetchall()
    assert len(rows) == len(load_cohort(con, theme, load_features(), AS_OF).child_ids) == before.children
    for reasons, determinable, why in rows:
        absent = next(e for e in json.loads(reasons) if e["item"] == "absent_inputs")
        assert absent["absent"]["education.attendance"] == "not_linked"
        assert "（未連携）" in absent["sentence_ja"]
        # attendance is most of what is judged by: without it nobody is called free of signs
        assert (determinable, why) == (False, "too_few_inputs")


def test_a_theme_that_asks_about_nobody_here_gives_an_empty_list(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update marts.mart_child_features set age_years = 40")
    report = score(con, town("school_refusal"), AS_OF, "run-1", "abc").themes[0]
    assert (report.children, report.alerts, report.undetermined) == (0, 0, 0)


def test_unknown_date_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ScoringError, match="no features"):
        score(con, town("abuse"), dt.date(2020, 1, 1), "run-1", "abc")


def test_alerts_stay_within_capacity(con: duckdb.DuckDBPyConnection) -> None:
    report = score(con, town("school_refusal", capacity=5), AS_OF, "run-1", "abc")
    assert 0 < report.themes[0].alerts <= 5


def published(con: duckdb.DuckDBPyConnection, home: Path, date: str) -> None:
    folder = home / "published" / "112241" / date / "v0001-000000000000"
    folder.mkdir(parents=True)
    for name, table in (
        ("risk_scores", "risk_scores"),
        ("child_features", "mart_child_features"),
        ("unseen", "unseen"),
    ):
        con.execute(f"copy (select * from marts.{table}) to '{folder / name}.parquet' (format parquet)")


def test_reasons_say_what_changed_since_the_last_score(
    con: duckdb.DuckDBPyConnection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kodomo_platform.scoring import scores

    earlier = dt.date(2026, 7, 1)
    con.execute(
        "insert into marts.mart_child_features select * replace (date '2026-07-01' as as_of_date) "
        "from marts.mart_child_features"
    )
    con.execute("insert into cfg.as_of values (date '2026-07-01', 'score')")
    score(con, town("school_refusal"), earlier, "run-1", "abc")
    assert '"item":"change"' not in con.execute("select string_agg(reasons) from marts.risk_scores").fetchone()[0]
    published(con, home, "2026-07-01")
    con.execute(
        "update marts.mart_child_features set absent_rate_3m = 0.4, absent_rate_3m__status = 'present' "
        "where child_id = 'c000003' and as_of_date = date '2026-10-01'"
    )
    report = score(con, town("school_refusal"), AS_OF, "run-2", "abc")
    assert report.themes[0].changed == 1
    rows = dict(con.execute("select child_id, reasons from marts.risk_scores").fetchall())
    change = {child: next(e for e in json.loads(text) if e["item"] == "change") for child, text in rows.items()}
    assert change["c000003"]["why"] == ["data"]
    assert "40.0" in change["c000003"]["sentence_ja"]
    assert change["c000003"]["value"] > 0
    assert "大きな変化はありません" in change["c000004"]["sentence_ja"]
    # the same date again says the same, whatever has been published for it meanwhile
    published(con, home, "2026-10-01")
    everything = "select * exclude (dagster_run_id) from marts.risk_scores order by child_id"
    whole = con.execute(everything).fetchall()
    # nor does it matter how many children are written at a time
    monkeypatch.setattr(scores, "_PIECE", 37)
    assert score(con, town("school_refusal"), AS_OF, "run-3", "abc").themes[0].changed == 1
    assert con.execute(everything).fetchall() == whole
    assert dict(con.execute("select child_id, reasons from marts.risk_scores").fetchall()) == rows

    from kodomo_platform.scoring.comparison import compare

    version = con.execute("select any_value(score_version) from marts.risk_scores").fetchone()[0]
    moved = compare(f"{version}@2026-07-01", f"{version}@2026-10-01", municipality="112241")
    assert moved.inputs_changed == 1
    assert moved.moved - moved.inputs_changed == sum(m.child_id != "c000003" for m in moved.moves)
    # behind those alone who come onto the list or leave it: the alerts look at all children, and at who is known by then
    swapped = moved.alerts_new + moved.alerts_gone
    assert "c000003" in {move.child_id for move in moved.moves[: swapped + 1]}
    moved.moves.sort(key=lambda move: move.child_id != "c000003")
    # the others keep their score; an alert looks at the whole list
    assert all(move.score_before == move.score_after for move in moved.moves[1:])
    assert moved.causes == ["データ: 2026-07-01 → 2026-10-01"]
    assert moved.moves[0].why[0] == "データ"
    english = compare(f"{version}@2026-07-01", f"{version}@2026-10-01", language="en")
    english.moves.sort(key=lambda move: move.child_id != "c000003")
    assert english.causes == ["data: 2026-07-01 → 2026-10-01"]
    assert any("Absent" in text or "absen" in text for text in english.moves[0].why)
    assert any("40.0" in text and "（+" in text for text in moved.moves[0].why)
    assert compare(f"{version}@2026-07-01", f"{version}@2026-10-01", explained=0).moves[0].why == ()


def test_the_unseen_are_a_list_of_their_own(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update marts.mart_child_features set days_since_seen = 1900 where child_id = 'c000005'")
    for child, status in (("c000006", "blank"), ("c000007", "not_held")):
        con.execute(
            "update marts.mart_child_features set days_since_seen = null, days_since_seen__status = ? where child_id = ?",
            [status, child],
        )
    report = score(con, town("abuse"), AS_OF, "run-1", "abc")
    unseen = {
        row[0]: row[1:] for row in con.execute("select child_id, kind, alarm, sentence_ja from marts.unseen").fetchall()
    }
    assert unseen["c000005"] == ("long", True, "最終確認日から1,900日経過しています")
    assert unseen["c000006"] == ("never", True, "姿を確認した記録が一度もありません")
    # whom no source held could see: said, and never an alarm
    assert unseen["c000007"][:2] == ("no_source", False)
    assert "異常の知らせではありません" in unseen["c000007"][2]
    # one meaning of the key: who has the rule is who raises the alarm, and nobody of them is judged
    alarmed = {child for child, row in unseen.items() if row[1]}
    assert report.themes[0].not_seen == len(alarmed)
    rows = con.execute(
        "select child_id, rule_hits, undetermined_reason from marts.risk_scores where theme = 'abuse'"
    ).fetchall()
    assert {child for child, hits, _ in rows if "not_seen" in {hit["key"] for hit in json.loads(hits)}} == alarmed
    assert {why for child, _, why in rows if child in alarmed} <= {"not_seen_recently", "too_few_inputs"}
    assert all("not_seen" not in {c.key for c in theme.criteria} for theme in load_themes().values())


def test_rank_capacity_and_alert_go_to_children_not_yet_known(con: duckdb.DuckDBPyConnection) -> None:
    score(con, town("school_refusal", capacity=15), AS_OF, "run-1", "abc")
    before = con.execute(
        "select child_id from marts.risk_scores where list = 'ranked' order by rank limit 8"
    ).fetchall()
    known = [row[0] for row in before]
    con.executemany(
        "insert into marts.mart_outcome values (?, 'school_refusal', ?, 'education.attendance')",
        [[child, AS_OF - dt.timedelta(days=20)] for child in known],
    )
    score(con, town("school_refusal", capacity=15), AS_OF, "run-1", "abc")
    rows = con.execute(
        "select child_id, list, rank, alert, band, known_since, rule_hits from marts.risk_scores order by rank"
    ).fetchall()
    assert [row[2] for row in rows] == list(range(1, len(rows) + 1))
    on_known = [row for row in rows if row[1] == "known"]
    assert set(known) <= {row[0] for row in on_known}
    assert not any(row[3] for row in on_known)
    assert min(row[2] for row in on_known) > max(row[2] for row in rows if row[1] == "ranked")
    assert all(row[5] is not None for row in on_known)
    assert all("already_known" in row[6] for row in on_known)
    alerts = [row for row in rows if row[3]]
    assert 0 < len(alerts) <= 15
    # the alert's line is the band's: what is called low raises none
    assert {row[4] for row in alerts} <= {"middle", "high"}


def test_others_never_hide_more_than_the_largest_reason_shown(con: duckdb.DuckDBPyConnection) -> None:
    score(con, town("abuse", "high_risk"), AS_OF, "run-1", "abc")
    grouped = 0
    for value, reasons in con.execute("select score, reasons from marts.risk_scores").fetchall():
        entries = [
            e for e in json.loads(reasons) if "contribution" in e and e["item"] not in ("absent_inputs", "certainty")
        ]
        others = next(e["contribution"] for e in entries if e["item"] == "remainder")
        sizes = [abs(e["contribution"]) for e in entries if e["item"] not in ("remainder", "base")]
        largest = max(sizes, default=0.0)
        assert abs(others) <= largest + 1e-6
        assert sum(e["contribution"] for e in entries) == pytest.approx(math.log(value / (1 - value)), abs=1e-4)
        # an absence is no reason, and is told once
        assert all(e["status"] == "present" for e in entries)
        assert sum(e["item"] == "absence" for e in entries) <= 1
        grouped += any(e["item"] == "group" for e in entries)
    assert grouped


def test_with_most_sources_absent_nobody_is_judged(con: duckdb.DuckDBPyConnection) -> None:
    theme, features = load_themes()["abuse"], load_features()
    kept = {"welfare.consultation", "education.attendance"}
    for name in theme.features:
        group = features[name].group
        if not group.startswith("resident.") and group not in kept:
            con.execute(
                f"update marts.mart_child_features set {name} = null, {name}__status = 'not_linked' "
                "where child_id = 'c000011'"
            )
    score(con, town("abuse"), AS_OF, "run-1", "abc")
    row = con.execute(
        "select determinable, undetermined_reason, reasons from marts.risk_scores where child_id = 'c000011'"
    ).fetchone()
    assert row[:2] == (False, "too_few_inputs")
    absent = next(e for e in json.loads(row[2]) if e["item"] == "absent_inputs")
    assert absent["lacking"] == absent["applicable"] - 2
    assert "未連携" in absent["sentence_ja"]


def test_outcomes_come_back_per_theme_and_date(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    from kodomo_platform import operations
    from kodomo_platform.scoring.outcomes import by_month, report, retirement_proposals

    assert report(con, "112241", AS_OF) == []
    con.execute(
        "insert into marts.mart_child_features select * replace (date '2026-01-01' as as_of_date) "
        "from marts.mart_child_features"
    )
    score(con, town("school_refusal", capacity=40), dt.date(2026, 1, 1), "run-1", "abc")
    published(con, home, "2026-01-01")
    con.execute("create schema if not exists staging")
    con.execute(
        "create table staging.stg_welfare__support as select child_id as source_record_id, theme, "
        "as_of_date + 20 as assessed_on, as_of_date + 30 as support_started_on, 'known_family' as override_reason, "
        "'needs_support' as result, case rank % 3 when 0 then 'no_need' when 1 then 'needs_support' end as result_before "
        "from marts.risk_scores where alert"
    )
    con.execute(
        "create or replace table linkage.lnk_crosswalk as select child_id, source_record_id, 'welfare.support' as source "
        "from (select child_id, child_id as source_record_id from marts.risk_scores)"
    )
    (row,) = report(con, "112241", AS_OF)
    assert row.horizon_passed
    assert row.alerts == row.alerts_assessed
    assert row.overrides == {"known_family": row.alerts}
    assert row.median_days_to_support == 30
    assert row.precision is not None
    assert row.precision == row.outcomes_among_alerts / row.alerts
    assert row.precision_low < row.precision < row.precision_high
    assert sum(row.before_after.values()) == row.alerts
    assert set(row.before_after) == {"same", "to_support", "not_written"}
    months = {month.month: month for month in by_month(con, "112241", AS_OF)}
    assert len(months) == 12
    assert months["2026-01"].assessed == months["2026-01"].support_started == row.alerts
    assert months["2026-01"].median_days_to_support == 10
    listed = sum(month.listed_before for month in months.values())
    assert listed == row.outcomes_among_alerts
    from kodomo_platform.scoring.outcome_report import write_outcome_report

    page = write_outcome_report(con, "112241", "戸田市", AS_OF, home / "report.html").read_text(encoding="utf-8")
    assert "把握済みの家庭" in page
    assert "見てから要支援に" in page
    assert "支援が要らないことを意味しません" in page
    assert "c0000" not in page
    assert "http" not in page
    # long after the newest extracts nothing more is known than they say
    assert report(con, "112241", dt.date(2028, 1, 1)) == [row]
    con.execute("update cfg.as_of set as_of_date = date '2026-03-01' where as_of_date = date '2026-10-01'")
    (unknown,) = report(con, "112241", AS_OF)
    assert (unknown.precision, unknown.horizon_passed) == (None, False)
    con.execute("update cfg.as_of set as_of_date = date '2026-10-01' where as_of_date = date '2026-03-01'")
    # before the horizon has passed, nothing is judged
    (early,) = report(con, "112241", dt.date(2026, 3, 1))
    assert (early.precision, early.horizon_passed) == (None, False)
    operations.migrate()
    assert retirement_proposals(con, "112241", AS_OF) == []
    operations.close()


def test_a_reason_tells_where_a_number_is_going(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "update marts.mart_child_features set absent_days_ytd = 22, absent_days_ytd__status = 'present', "
        "absent_days_1m = case when child_id = 'c000003' then 9 end, "
        "absent_days_1m__status = if(child_id = 'c000003', 'present', 'blank') "
        "where child_id in ('c000003', 'c000004')"
    )
    score(con, town("school_refusal"), AS_OF, "run-1", "abc")
    rows = dict(con.execute("select child_id, reasons from marts.risk_scores").fetchall())

    def told(child: str) -> dict[str, Any]:
        return next(e for e in json.loads(rows[child]) if e.get("feature") == "absent_days_ytd")

    assert told("c000003")["sentence_ja"] == "今年度の欠席は22日（先月 9日）"
    assert told("c000003")["sentence_en"] == "22 days absent this school year (9 last month)"
    assert told("c000003")["beside"] == 9
    assert told("c000004")["sentence_ja"] == "今年度の欠席は22日"


def test_the_published_list_is_shown_as_the_town_decided(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    from typer.testing import CliRunner

    from kodomo_platform.cli.scores import app as main_app

    con.execute("update marts.mart_child_features set days_since_seen = 900 where child_id = 'c000005'")
    score(con, town("school_refusal"), AS_OF, "run-1", "abc")
    published(con, home, "2026-10-01")
    run = CliRunner().invoke
    asked = ["list", "-m", "112241", "-t", "school_refusal", "--home", str(home)]
    text = run(main_app, asked).output
    assert "承認されたモデルがないため" in text
    assert "データ上の兆候なし" not in text.split("人を表示")[0] or "安全の意味ではありません" in text
    assert (
        text.index("最終確認日から900日経過しています")
        < text.index("判定不能")
        < text.index("まだ把握していないこども")
    )
    children = con.execute("select count(*) from marts.risk_scores where determinable and list = 'ranked'").fetchone()[
        0
    ]
    listed = json.loads(run(main_app, [*asked, "--json", "--mode", "alert"]).output)["children"]
    assert {view["mark"] for view in listed} <= {"アラート", "", "判定不能"}
    assert len(listed) == con.execute("select count(*) from marts.risk_scores").fetchone()[0]
    assert f"{children}人中20人を表示" in text
    everyone = run(main_app, [*asked, "--mode", "ox", "--lang", "en", "--limit", "500"]).output
    judged = con.execute("select count(*) from marts.risk_scores where determinable").fetchone()[0]
    assert everyone.count("×") + everyone.count("○") == judged
    assert "this does not mean" in everyone


def fresh_town(home: Path, condition: str) -> Any:
    """A town whose published list of January was judged by outcomes since: those of ``condition`` over s, f and c."""
    from kodomo_platform import operations
    from kodomo_platform.scoring import artifacts
    from kodomo_platform.scoring.additive import criteria_model

    con = connect(":memory:")
    make_marts(con, 400, [])
    con.execute(
        "update marts.mart_child_features set single_parent = (hash(household_id) % 3 = 0)::int, siblings_count = 1"
    )
    operations.migrate()
    _, sha256 = artifacts.keep("112241", criteria_model(load_themes()["school_refusal"]))
    operations.approve_model(
        "112241",
        "school_refusal",
        "criteria",
        "1",
        "run",
        sha256,
        operations.Act("reviewer", "a test", "model approval"),
    )
    con.execute(
        "insert into marts.mart_child_features select * replace (date '2026-01-01' as as_of_date) "
        "from marts.mart_child_features"
    )
    score(con, town("school_refusal", capacity=60), dt.date(2026, 1, 1), "run-1", "abc")
    published(con, home, "2026-01-01")
    con.execute(
        "create or replace table marts.mart_child as select distinct child_id, household_id, sex, "
        "'335000' || (1 + hash(household_id) % 2)::varchar as postal_code, "
        "'none' as protection_measure from marts.mart_child_features"
    )
    con.execute(
        "create or replace table marts.mart_outcome as select s.child_id, 'school_refusal' as theme, "
        "date '2026-03-01' as outcome_date, 'x' as source from marts.risk_scores as s "
        "inner join marts.mart_child_features as f on s.child_id = f.child_id and s.as_of_date = f.as_of_date "
        f"inner join marts.mart_child as c on s.child_id = c.child_id where {condition}"
    )
    # the warehouse keeps the newest date alone: who the children were then stands in the snapshot
    con.execute("delete from marts.mart_child_features where as_of_date = date '2026-01-01'")
    return con


def listed_for(group: str) -> str:
    """Among the listed it came true for ``group`` alone, among the others for all but those."""
    return f"(s.rank <= 60 and {group}) or (s.rank between 61 and 120 and not ({group}))"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        # need came where the score was lowest
        ("s.rank > (select max(rank) from marts.risk_scores) - 60", "AUC"),
        (listed_for("f.sex = 'male'"), "性別：男に差があります"),
        (listed_for("f.age_years < 12"), "年齢：6～11歳に差があります"),
        (listed_for("f.single_parent > 0"), "世帯：ひとり親に差があります"),
        (listed_for("c.postal_code = '3350001'"), "地域（郵便番号）：335-0001に差があります"),
    ],
)
def test_fresh_outcomes_that_break_the_floor_propose_to_retire(home: Path, condition: str, expected: str) -> None:
    from kodomo_platform import operations
    from kodomo_platform.scoring.outcome_report import write_outcome_report
    from kodomo_platform.scoring.outcomes import retirement_proposals

    con = fresh_town(home, condition)
    proposals = retirement_proposals(con, "112241", AS_OF)
    assert [row for row in proposals if expected in row.reason_ja], proposals
    assert "集団ごとの違い" in write_outcome_report(con, "112241", "戸田市", AS_OF, home / "r.html").read_text("utf-8")
    assert operations.approved_model("112241", "school_refusal") is not None  # it proposes, and does not act
    con.close()
    operations.close()


def test_groups_of_few_fresh_outcomes_are_hidden_and_propose_nothing(home: Path) -> None:
    from kodomo_platform import operations
    from kodomo_platform.scoring.outcomes import groups_by_theme, retirement_proposals

    # sixteen outcomes: nine of boys, all listed, and seven of girls, none listed
    con = fresh_town(
        home,
        "s.child_id in (select child_id from marts.risk_scores where alert and child_id in "
        "(select child_id from marts.mart_child where sex = 'male') order by rank limit 9) or s.child_id in "
        "(select child_id from marts.risk_scores where rank > 200 and child_id in "
        "(select child_id from marts.mart_child where sex = 'female') order by rank limit 7)",
    )
    groups = groups_by_theme(con, "112241", AS_OF)["school_refusal"]
    assert {row.kind for row in groups} == {"sex", "age", "household", "area"}
    sexes = [row for row in groups if row.kind == "sex"]
    assert len(sexes) == 2
    for row in sexes:
        assert (row.outcomes, row.flagged_share, row.precision, row.recall, row.biased) == (
            None,
            None,
            None,
            None,
            False,
        )
        assert not row.judged
        assert "判断できません" in row.verdict
        assert "cannot be judged" in row.verdict_en
    assert not [row for row in retirement_proposals(con, "112241", AS_OF) if "性別" in row.reason_ja]
    # before the horizon has passed nothing is said of any group
    assert groups_by_theme(con, "112241", dt.date(2026, 3, 1)) == {}
    con.close()
    operations.close()


def test_a_level_and_values_never_seen_in_training_are_no_silent_score(home: Path) -> None:
    import dataclasses

    from kodomo_platform import operations
    from kodomo_platform.scoring import artifacts
    from kodomo_platform.scoring.additive import criteria_model

    con = connect(":memory:")
    make_marts(con, 60, [])
    operations.migrate()
    theme = load_themes()["school_refusal"]
    model = criteria_model(theme)
    used = sorted({name for term in model.terms for name in term.features})
    model = dataclasses.replace(model, ranges=dict.fromkeys(used, (0.0, 1.0)))
    _, sha256 = artifacts.keep("112241", model)
    operations.approve_model(
        "112241", theme.key, model.name, "1", "run", sha256, operations.Act("reviewer", "a test", "model approval")
    )
    far = ", ".join(f"{name} = 9, {name}__status = 'present'" for name in used)
    con.execute(f"update marts.mart_child_features set {far} where child_id = 'c000004'")
    con.execute(
        "update marts.mart_child_features set counselling_severity_12m = 7, "
        "counselling_severity_12m__status = 'present' where child_id = 'c000005'"
    )
    score(con, town(theme.key), AS_OF, "run-1", "abc")
    rows = {
        row[0]: row[1:]
        for row in con.execute("select child_id, band, undetermined_reason, score from marts.risk_scores").fetchall()
    }
    assert rows["c000004"][:2] == ("undetermined", "unlike_training")
    assert 0 < rows["c000005"][2] < 1
    con.close()
    operations.close()
