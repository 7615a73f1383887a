"""The true content of every source: which rows exist for whom, before any fault and in no particular format.

One function per catalogue source, found by its key in `BUILDERS`. Rates that come from public statistics are in `rates`;
the strengths with which strain shows are this module's own choice (tuned so that signs are learnable, not trivial).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.synthetic import rates
from kodomo_platform.synthetic.identity import HABITS, View, drop, names_of, view
from kodomo_platform.synthetic.needs import Grid, combined
from kodomo_platform.synthetic.population import NEVER, Bools, Days, Ints, Texts, issue_numbers
from kodomo_platform.synthetic.world import Frame, World

Columns = dict[str, npt.NDArray[Any]]
Builder = Callable[[World, "Shared", np.datetime64, str | None], Frame]
DAY = np.timedelta64(1, "D")
# School days per month, April first; about 200 a year (School Education Act enforcement rules, customary)
_SCHOOL_DAYS = {4: 17, 5: 19, 6: 21, 7: 14, 8: 3, 9: 20, 10: 21, 11: 19, 12: 17, 1: 16, 2: 18, 3: 15}


def choose(rng: np.random.Generator, options: list[str], shares: list[float], size: int) -> Texts:
    """``size`` draws from ``options``."""
    weights = np.array(shares) / sum(shares)
    return np.array(options, dtype=object)[rng.choice(len(options), size, p=weights)]


def graded(value: npt.NDArray[Any], cuts: list[float], labels: list[str]) -> Texts:
    """Labels by threshold: below the first cut the first label, and so on."""
    return np.array(labels, dtype=object)[np.searchsorted(np.array(cuts), value)]


def random_day(rng: np.random.Generator, month: npt.NDArray[np.datetime64], span: int = 28) -> Days:
    """A day inside each month."""
    day = month.astype("datetime64[D]") + rng.integers(0, span, len(month)).astype("timedelta64[D]")
    return np.asarray(day, dtype="datetime64[D]")


class Shared:
    """Facts that several sources show and that must agree: attendance, cases, flags, supports."""

    def __init__(self, world: World) -> None:
        self.world = world
        c, m = world.children, len(world.months)
        people, homes = world.people, world.homes
        home = people.household[:c]
        self.hardship = homes.hardship[home]
        self.illness = homes.illness[home]
        self.own = world.needs.own
        needs = world.needs
        self.school = combined(needs, {"school_refusal": 1.0, "*": 0.6}, m, c)
        self.care = combined(needs, {"young_carer": 1.0, "abuse": 0.5, "*": 0.25}, m, c)
        self.poverty = combined(needs, {"hidden_hardship": 1.0, "high_risk": 0.7, "*": 0.3}, m, c)
        self.safety = combined(needs, {"abuse": 1.0, "hospital_flag": 0.8, "high_risk": 0.8, "*": 0.4}, m, c)
        self.mind = combined(needs, {"family_mind": 1.0, "school_refusal": 0.8, "*": 0.5}, m, c)
        rng = world.rng("shared")
        self.aid_index = self.hardship + rng.normal(0, 0.55, c)
        pupils = world.pupil
        self.aided = pupils & (self.aid_index > np.quantile(self.aid_index, 1 - rates.SCHOOL_AID))
        assisted = homes.hardship + rng.normal(0, 0.5, homes.count)
        self.assisted_home = assisted > np.quantile(assisted, 1 - rates.PUBLIC_ASSISTANCE)
        self._attendance(rng)
        self.outcomes: dict[str, tuple[Days, Bools]] = {}
        for theme in needs.themes:
            self.outcomes[theme] = (needs.need_on[theme], needs.observed[theme])
        if "school_refusal" in needs.themes:
            self.outcomes["school_refusal"] = self._refusal()

    def _attendance(self, rng: np.random.Generator) -> None:
        world = self.world
        c = world.children
        rows: list[Ints] = []
        columns: list[tuple[npt.NDArray[Any], ...]] = []
        refusal_on = world.needs.need_on.get("school_refusal", np.full(c, NEVER))
        sturdy = np.exp(0.45 * self.own + 0.12 * self.hardship + 0.35 * rng.normal(0, 1, c))
        depth = rng.uniform(0.35, 0.95, c)
        late_habit = np.exp(0.35 * self.hardship + 0.3 * self.own)
        self.month_index: Ints
        index_of_month: list[Ints] = []
        for k, month in enumerate(world.months):
            first = month.astype("datetime64[D]")
            middle = first + np.timedelta64(14, "D")
            grade = world.grades(first)
            at = np.flatnonzero(world.pupil & (grade >= 1) & (grade <= 9) & world.present(middle))
            number = int(month.astype(int)) % 12 + 1
            days = _SCHOOL_DAYS[number]
            share = days / 17.0
            strain = self.school[at, k]
            # about 5 days of absence a year for an ordinary child (influenza months more)
            season = 1.5 if number in (12, 1, 2) else 0.9
            rate = 0.40 * sturdy[at] * season * share + 3.4 * strain**1.6 * share
            absent = rng.poisson(rate).astype(float)
            gone = np.asarray(refusal_on[at] <= middle, dtype=bool)
            refused = rng.binomial(days, depth[at])
            absent = np.where(gone, np.maximum(absent, refused), absent)
            absent = np.minimum(absent, days)
            present = days - absent
            late = np.minimum(
                rng.poisson((0.25 * late_habit[at] + 1.6 * strain + 2.6 * self.care[at, k]) * share), present
            )
            early = np.minimum(
                rng.poisson((0.12 * late_habit[at] + 1.0 * strain + 0.8 * self.care[at, k]) * share), present
            )
            rows.append(at)
            index_of_month.append(np.full(len(at), k, dtype=np.int64))
            columns.append((np.full(len(at), float(days)), absent, late.astype(float), early.astype(float)))
        self.pupil_rows = np.concatenate(rows)
        self.month_index = np.concatenate(index_of_month)
        self.attendance = [np.concatenate(parts) for parts in zip(*columns, strict=True)]

    def _refusal(self) -> tuple[Days, Bools]:
        """Day on which a child's absences of one school year reached 30 (MEXT's definition), from the true attendance."""
        world = self.world
        c = world.children
        grid = np.zeros((c, len(world.months)))
        grid[self.pupil_rows, self.month_index] = self.attendance[1]
        reached = np.full(c, NEVER, dtype="datetime64[D]")
        running = np.zeros(c)
        for k, month in enumerate(world.months):
            if int(month.astype(int)) % 12 + 1 == 4:
                running[:] = 0
            running += grid[:, k]
            day = (month + 1).astype("datetime64[D]") - DAY
            fresh = (running >= 30) & np.isnat(reached)
            reached[fresh] = day
        return reached, ~np.isnat(reached)

    def counts(self, rate: npt.NDArray[Any], alive: Bools, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """(child, month index) of Poisson events with a monthly ``rate`` (children × months)."""
        drawn = rng.poisson(np.where(alive, rate, 0.0))
        child, month = np.nonzero(drawn)
        times = drawn[child, month]
        return np.repeat(child, times), np.repeat(month, times)

    def alive(self) -> Bools:
        """Children × months: lives here."""
        world = self.world
        return np.stack([world.present(m.astype("datetime64[D]") + 14 * DAY) for m in world.months], axis=1)

    def at_school(self) -> Bools:
        """Children × months: a pupil of a municipal school."""
        grid = np.zeros((self.world.children, len(self.world.months)), dtype=bool)
        grid[self.pupil_rows, self.month_index] = True
        return grid


def _event(world: World, columns: Columns, person: Ints, day: Days) -> Frame:
    return Frame(columns, np.asarray(person, dtype=np.int64), day.astype("datetime64[D]"))


def _sorted(frame: Frame, *keys: npt.NDArray[Any]) -> Frame:
    return frame.take(np.lexsort(keys[::-1]))


def _with_seen(frame: Frame, seen: View) -> None:
    """Tags that come from how a system writes the person."""
    frame.tags["stale"] = seen.stale
    frame.tags["moved"] = seen.moved
    frame.tags["variant"] = seen.variant


class Lasting:
    """Draws that belong to the person, so that a system knows the same of a child in each of its extracts."""

    def __init__(self, world: World, source: str, person: Ints) -> None:
        self._world, self._source, self._person = world, source, person
        self._calls = 0

    def random(self, size: int) -> npt.NDArray[np.float64]:
        """``size`` numbers in [0, 1): per person where the size is that of the persons."""
        self._calls += 1
        rng = self._world.rng(self._source, "view", str(self._calls))
        if size == len(self._person):
            return rng.random(self._world.children)[self._person]
        return rng.random(size)


def _identity(world: World, source: str, encoding: str | None, person: Ints, at: Days | np.datetime64) -> Frame:
    rng: Any = Lasting(world, source, person) if np.ndim(at) == 0 else world.rng(source, "view")
    seen = view(world, person, source, encoding, at, rng)
    habit = HABITS[source]
    p = world.people
    kana, no_kana = drop(seen.kana, habit.no_kana, world, rng)
    address, no_address = drop(seen.address, habit.no_address, world, rng)
    postal = np.where(no_address, "", seen.postal)
    birth = p.birth[person].copy()
    no_birth = rng.random(len(person)) < habit.no_birth * world.factor
    birth[no_birth] = NEVER
    number, no_number = drop(p.resident_number[person], habit.no_number, world, rng)
    outside = ~p.in_register[person]
    number = np.where(outside, "", number)
    old = p.returned[person] & (rng.random(len(person)) < 0.5)
    number = np.where(old & (number != ""), p.resident_number_old[person], number)
    phone, no_phone = drop(world.homes.phone[p.household[person]], habit.no_phone, world, rng)
    # either parent may be the one a system knows
    guardian = np.where(
        (p.guardian_other[person] >= 0) & (rng.random(len(person)) < 0.25), p.guardian_other[person], p.guardian[person]
    )
    stale_guardian = np.zeros(len(person), dtype=bool)
    guardian_name, _kana = names_of(world, guardian, stale_guardian, habit, rng)
    if encoding == "cp932":
        from kodomo_platform.synthetic.identity import to_gaiji

        guardian_name = to_gaiji(guardian_name, keep=world.factor > 0)
    frame = Frame(
        {
            "resident_number": number,
            "name": seen.name,
            "name_kana": kana,
            "birth_date": birth,
            "sex": np.where(p.female[person], "female", "male").astype(object),
            "postal_code": postal,
            "address": address,
            "guardian_name": guardian_name,
            "guardian_phone": phone,
        },
        np.asarray(person, dtype=np.int64),
        np.full(len(person), np.datetime64("1900-01-01")),
    )
    _with_seen(frame, seen)
    frame.tags.update({"no_kana": no_kana, "no_address": no_address, "no_birth_date": no_birth})
    frame.blanked = [
        ("name_kana", no_kana, "blank_kana"),
        ("address", no_address, "blank_address"),
        ("birth_date", no_birth, "blank_birth_date"),
        ("resident_number", no_number & ~outside, "blank_number"),
        ("guardian_phone", no_phone, "blank_phone"),
        ("name", seen.stale, "stale_surname"),
        ("address", seen.moved & ~no_address, "stale_address"),
    ]
    return frame


# ---------------------------------------------------------------- resident


def resident_register(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """One row per person of the household; a returned person also has the closed row of the old number."""
    p, homes = world.people, world.homes
    person = np.flatnonzero(p.in_register & (p.resident_since < at) & (p.birth < at)).astype(np.int64)
    again = np.flatnonzero(p.returned & p.in_register & (p.resident_since < at)).astype(np.int64)
    closed = np.concatenate([np.zeros(len(person), dtype=bool), np.ones(len(again), dtype=bool)])
    person = np.concatenate([person, again])
    rng = world.rng("resident.register", "view")
    seen = view(world, person, "resident.register", encoding, at, rng)
    rng = world.rng("resident.register", "history")
    away = (p.resident_since[person] - rng.integers(200, 1200, p.count)[person].astype("timedelta64[D]")).astype(
        "datetime64[D]"
    )
    left = np.where(closed, np.maximum(away, p.birth[person] + 30 * DAY), p.left_on[person]).astype("datetime64[D]")
    left[left >= at] = NEVER
    reason = np.where(closed, "moved_out", p.left_reason[person]).astype(object)
    reason[np.isnat(left)] = ""
    since = np.where(closed, p.birth[person], p.resident_since[person]).astype("datetime64[D]")
    changed = p.surname_changed_on[person].copy()
    changed[changed >= at] = NEVER
    moved = p.moved_within_on[person].copy()
    moved[moved >= at] = NEVER
    updated = since.copy()
    for days in (changed, moved, left):
        later = ~np.isnat(days) & (days > updated)
        updated[later] = days[later]
    adults = ~p.child[person]
    # a former surname stands in the register on request alone (住民基本台帳法施行令, since 2019)
    former = np.where(
        adults & ~np.isnat(changed) & (rng.random(p.count)[person] < 0.15), p.surname_old[person], ""
    ).astype(object)
    number = np.where(closed, p.resident_number_old[person], p.resident_number[person]).astype(object)
    hidden = homes.hidden[p.household[person]]
    frame = Frame(
        {
            "resident_number": number,
            "household_number": homes.number[p.household[person]],
            "name": seen.name,
            "name_kana": seen.kana,
            "alias_name": p.alias[person],
            "former_surname": former,
            "birth_date": p.birth[person],
            "sex": np.where(p.female[person], "female", "male").astype(object),
            "relationship": p.role[person],
            "postal_code": seen.postal,
            "address": seen.address,
            "became_resident_on": since,
            "left_on": left,
            "left_reason": reason,
            "protection_measure": np.where(hidden, "active", "none").astype(object),
            "updated_on": updated,
        },
        person,
        since,
    )
    _with_seen(frame, seen)
    return _sorted(frame, number)


def resident_moves(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Dated changes of each person."""
    p = world.people
    everyone = np.flatnonzero(p.in_register).astype(np.int64)
    lists: list[tuple[Ints, Days, str]] = []
    newborn = p.child[everyone] & (p.resident_since[everyone] == p.birth[everyone])
    lists.append((everyone[newborn], p.birth[everyone[newborn]], "birth"))
    came = everyone[p.child[everyone] & (p.resident_since[everyone] > p.birth[everyone])]
    lists.append((came, p.resident_since[came], "moved_in"))
    for days, kind in (
        (p.moved_within_on, "moved_within"),
        (p.left_on, "moved_out"),
        (p.surname_changed_on, "name_changed"),
    ):
        who = everyone[~np.isnat(days[everyone])]
        if kind == "moved_out":
            who = who[p.left_reason[who] == "moved_out"]
        lists.append((who, days[who], kind))
    person = np.concatenate([x[0] for x in lists])
    day = np.concatenate([x[1] for x in lists])
    event = np.concatenate([np.full(len(x[0]), x[2], dtype=object) for x in lists])
    keep = day >= world.start - np.timedelta64(3 * 365, "D")
    keep &= (day >= p.resident_since[person]) & ~(day > p.left_on[person])
    person, day, event = person[keep], day[keep], event[keep]
    frame = _event(world, {"resident_number": p.resident_number[person], "event_on": day, "event": event}, person, day)
    return _sorted(frame, frame.known_on, frame.columns["resident_number"])


# ---------------------------------------------------------------- education


def education_enrolment(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Pupils of municipal schools, and those who left within the window."""
    p = world.people
    last = at - DAY
    now, before = world.grades(last), world.grades(world.start)
    person = np.flatnonzero(
        world.pupil & (now >= 1) & (before <= 9) & (p.resident_since[: world.children] < at)
        & ~(p.left_on[: world.children] <= world.start)
    ).astype(np.int64)  # fmt: skip
    frame = _identity(world, "education.enrolment", encoding, person, at)
    grade = now[person]
    # first of April of the first grade, or the day of arrival
    year = (last.astype("datetime64[M]") - 3).astype("datetime64[Y]")
    entry = ((year - (grade - 1)).astype("datetime64[M]") + 3).astype("datetime64[D]")
    entered = np.maximum(entry + 5 * DAY, p.resident_since[person])
    graduated = (((year - (grade - 10)).astype("datetime64[M]") + 2).astype("datetime64[D]") + 30 * DAY).astype(
        "datetime64[D]"
    )
    left = p.left_on[person].copy()
    left[left >= at] = NEVER
    done = (grade >= 10) & (np.isnat(left) | (left > graduated))
    left[done] = graduated[done]
    gone_before = (left < entered) & ~np.isnat(left)
    shown = np.minimum(grade, 9)
    town = world.homes.address.town[p.household[person]]
    rng = world.rng("education.enrolment", "class")
    group = rng.integers(1, 5, world.children)[person]
    frame.columns.update(
        {
            "student_number": world.student_number[person],
            "school_code": world.school_code(shown, town),
            "grade": shown.astype(float),
            "class": np.array([f"{n}組" for n in group.tolist()], dtype=object),
            "enrolled_on": entered.astype("datetime64[D]"),
            "left_on": left,
        }
    )
    frame.known_on = entered.astype("datetime64[D]")
    frame = frame.take(~gone_before & (entered < at))
    return _sorted(frame, frame.columns["school_code"], frame.columns["student_number"])


def _pupil_months(world: World, shared: Shared) -> tuple[Ints, Any, Any]:
    month = world.months[shared.month_index]
    return shared.pupil_rows, month, (month + 1).astype("datetime64[D]") - DAY


def education_attendance(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Days of school, absence, lateness and early leaving per pupil and month."""
    person, month, known = _pupil_months(world, shared)
    days, absent, late, early = shared.attendance
    columns: Columns = {
        "student_number": world.student_number[person],
        "month": month,
        "school_days": days,
        "absent_days": absent,
        "late_days": late,
        "early_leave_days": early,
    }
    return _event(world, columns, person, known)


def education_health_room(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Visits to the health room; strain shows as visits for mental reasons and fatigue."""
    rng = world.rng("education.health_room")
    rate = 0.16 * np.exp(0.35 * shared.own)[:, None] + 0.9 * shared.mind + 0.4 * shared.care
    person, k = shared.counts(rate, shared.at_school(), rng)
    strain = np.maximum(shared.mind[person, k], shared.care[person, k])
    day = random_day(rng, world.months[k])
    plain = choose(
        rng, ["injury", "illness", "mental", "fatigue", "hygiene", "other"], [46, 34, 5, 7, 2, 6], len(person)
    )
    heavy = choose(
        rng, ["injury", "illness", "mental", "fatigue", "hygiene", "other"], [12, 24, 32, 20, 6, 6], len(person)
    )
    reason = np.where(rng.random(len(person)) < strain, heavy, plain)
    rested = np.where(
        np.isin(reason, ["illness", "mental", "fatigue"]), rng.integers(0, 13, len(person)) * 5, 0
    ).astype(float)
    order = np.lexsort((person, day))
    person, day, reason, rested = person[order], day[order], reason[order], rested[order]
    same = np.concatenate([[False], (person[1:] == person[:-1]) & (day[1:] == day[:-1])])
    block = np.cumsum(~same)
    seq = np.arange(len(person)) - np.flatnonzero(~same)[block - 1] + 1 if len(person) else np.zeros(0)
    columns: Columns = {
        "student_number": world.student_number[person],
        "visited_on": day,
        "visit_seq": seq.astype(float),
        "reason": reason,
        "rested_minutes": rested,
    }
    return _event(world, columns, person, day)


def _on_months(world: World, numbers: tuple[int, ...]) -> list[int]:
    return [k for k, m in enumerate(world.months) if int(m.astype(int)) % 12 + 1 in numbers]


def _rows_in(shared: Shared, ks: list[int]) -> tuple[Ints, Ints]:
    pick = np.isin(shared.month_index, ks)
    return shared.pupil_rows[pick], shared.month_index[pick]


def education_assessment(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Academic survey in May and November; a few are away on the day."""
    rng = world.rng("education.assessment")
    person, k = _rows_in(shared, _on_months(world, (5, 11)))
    ability = rng.normal(0, 1, world.children)
    base = (
        64
        + 12 * ability[person]
        - 4.0 * shared.hardship[person]
        - 2.0 * shared.own[person]
        - 9 * shared.school[person, k]
    )
    day = (world.months[k].astype("datetime64[D]") + 17 * DAY).astype("datetime64[D]")
    scores = []
    for _subject in range(2):
        score = np.clip(np.round(base + rng.normal(0, 8, len(person))), 0, 100)
        score[rng.random(len(person)) < 0.02 * world.factor] = np.nan
        scores.append(score)
    took = rng.random(len(person)) < 0.97 - 0.3 * shared.school[person, k]
    columns: Columns = {
        "student_number": world.student_number[person],
        "assessed_on": day,
        "japanese_score": scores[0],
        "mathematics_score": scores[1],
    }
    return _event(world, columns, person, day).take(took)


def education_school_checkup(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Yearly check-up in May (MEXT 学校保健統計: heights and weights by age, cavities in about a third)."""
    rng = world.rng("education.school_checkup")
    person, k = _rows_in(shared, _on_months(world, (5,)))
    grade = np.zeros(len(person))
    for month in np.unique(k):
        here = k == month
        grade[here] = world.grades(world.months[month].astype("datetime64[D]"))[person[here]]
    size = rng.normal(0, 1, world.children)[person]
    height = np.round(111 + 5.9 * grade + size * (4.5 + 0.2 * grade), 1)
    weight = np.round((height / 100) ** 2 * (14.6 + 0.5 * grade + 1.5 * rng.normal(0, 1, len(person))), 1)
    load = (
        0.25 * np.exp(0.55 * shared.hardship[person]) + 1.6 * shared.poverty[person, k] + 0.8 * shared.safety[person, k]
    )
    cavities = rng.poisson(load).astype(float)
    finding = np.where(
        cavities >= 2, "treat", choose(rng, ["healthy", "observe", "examine", "treat"], [84, 9, 4, 3], len(person))
    )
    day = random_day(rng, world.months[k], 25)
    columns: Columns = {
        "student_number": world.student_number[person],
        "checked_on": day,
        "height_cm": height,
        "weight_kg": weight,
        "untreated_cavities": cavities,
        "finding": finding.astype(object),
    }
    return _event(world, columns, person, day).take(rng.random(len(person)) < 0.985)


def education_counselling(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Counselling at school; one entry per day and topic."""
    rng = world.rng("education.counselling")
    rate = 0.006 * np.exp(0.6 * shared.own)[:, None] + 0.20 * shared.mind + 0.12 * shared.school
    person, k = shared.counts(rate, shared.at_school(), rng)
    strain = np.maximum(shared.mind[person, k], shared.school[person, k])
    n = len(person)
    plain = choose(rng, ["friends", "family", "study", "mind", "truancy", "other"], [38, 9, 24, 9, 5, 15], n)
    heavy = choose(rng, ["friends", "family", "study", "mind", "truancy", "other"], [14, 22, 8, 26, 24, 6], n)
    day = random_day(rng, world.months[k])
    columns: Columns = {
        "student_number": world.student_number[person],
        "counselled_on": day,
        "counsellor": choose(
            rng, ["homeroom", "school_counsellor", "social_worker", "education_center"], [45, 38, 10, 7], n
        ),
        "topic": np.where(rng.random(n) < strain, heavy, plain).astype(object),
        "severity": graded(strain + rng.normal(0, 0.25, n), [0.35, 0.75], ["low", "middle", "high"]),
    }
    return _unique(_event(world, columns, person, day), "student_number", "counselled_on", "topic")


def _unique(frame: Frame, *keys: str) -> Frame:
    """First row of each natural key, in the order of known day."""
    if not len(frame):
        return frame
    order = np.lexsort([frame.columns[k].astype(str) for k in keys[::-1]] + [frame.known_on])
    frame = frame.take(order)
    joined = frame.columns[keys[0]].astype(str)
    for key in keys[1:]:
        joined = np.char.add(np.char.add(joined, "|"), frame.columns[key].astype(str))
    _values, first = np.unique(joined, return_index=True)
    return frame.take(np.sort(first))


def education_fees(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Unpaid school fees per pupil and month; arrears run on until they are paid."""
    rng = world.rng("education.fees")
    person, month, known = _pupil_months(world, shared)
    k = shared.month_index
    score = shared.hardship[person] + 2.2 * shared.poverty[person, k]
    start = rng.random(len(person)) < 0.004 * np.exp(1.0 * np.clip(score, -2, 4.2))
    grid = np.zeros((world.children, len(world.months)), dtype=np.int64)
    grid[person[start], k[start]] = rng.integers(1, 6, int(start.sum()))
    run = np.zeros_like(grid)
    left = np.zeros(world.children, dtype=np.int64)
    count = np.zeros(world.children, dtype=np.int64)
    for column in range(grid.shape[1]):
        left = np.maximum(left - 1, grid[:, column])
        count = np.where(left > 0, count + 1, 0)
        run[:, column] = count
    months_due = run[person, k]
    fee = 4300 + 300 * (np.arange(world.children) % 5)
    columns: Columns = {
        "student_number": world.student_number[person],
        "month": month,
        "unpaid_yen": (months_due * fee[person]).astype(float),
        "unpaid_months": months_due.astype(float),
    }
    return _event(world, columns, person, known)


def education_school_aid(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """School-expense aid, certified for a school year (some from the autumn)."""
    rng = world.rng("education.school_aid")
    rows: list[Ints] = []
    begins: list[Days] = []
    first = int(world.start.astype("datetime64[Y]").astype(int)) + 1970 - 1
    last = int(at.astype("datetime64[Y]").astype(int)) + 1970
    ends: list[Days] = []
    for year in range(first, last + 1):
        april = np.datetime64(f"{year}-04-01")
        grade = world.grades(april)
        who = np.flatnonzero(shared.aided & (grade >= 1) & (grade <= 9) & world.present(april + 20 * DAY))
        who = who[rng.random(len(who)) < 0.94]
        begin = np.where(
            rng.random(len(who)) < 0.85, april, april + rng.integers(60, 240, len(who)).astype("timedelta64[D]")
        )
        rows.append(who)
        begins.append(begin.astype("datetime64[D]"))
        ends.append(np.full(len(who), np.datetime64(f"{year + 1}-03-31")))
    person, begin, end = np.concatenate(rows), np.concatenate(begins), np.concatenate(ends)
    end = end.copy()
    end[end >= at] = NEVER
    columns: Columns = {
        "student_number": world.student_number[person],
        "certified_on": begin,
        "ended_on": end,
        "category": np.where(shared.assisted_home[world.people.household[person]], "needy", "quasi_needy").astype(
            object
        ),
    }
    return _event(world, columns, person, begin)


# ---------------------------------------------------------------- childcare


def _care_span(world: World, at: np.datetime64) -> tuple[Ints, Days, Days]:
    """Children in childcare within the window: from, until (31 March before school, or moving away)."""
    p = world.people
    c = world.children
    last = at - DAY
    grade = world.grades(last)
    year = (last.astype("datetime64[M]") - 3).astype("datetime64[Y]")
    school = ((year - (grade - 1)).astype("datetime64[M]") + 3).astype("datetime64[D]") - DAY
    until = np.where(np.isnat(p.left_on[:c]), school, np.minimum(p.left_on[:c], school)).astype("datetime64[D]")
    begin = world.care_from
    who = np.flatnonzero(~np.isnat(begin) & (begin < at) & (begin < until) & (until > world.start)).astype(np.int64)
    return who, begin[who], until[who]


def childcare_enrolment(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Children in nurseries, and those who left within the window."""
    person, begin, until = _care_span(world, at)
    frame = _identity(world, "childcare.enrolment", encoding, person, at)
    until = until.copy()
    until[until >= at] = NEVER
    town = world.homes.address.town[world.people.household[person]]
    count = max(2, world.children // 400)
    code = 3001 + (world.school_of_town[town] + person % 2) % count
    frame.columns.update(
        {
            "childcare_number": world.childcare_number[person],
            "facility_code": code.astype("U4").astype(object),
            "enrolled_on": begin,
            "left_on": until,
        }
    )
    frame.known_on = begin
    return _sorted(frame, frame.columns["facility_code"], frame.columns["childcare_number"])


def childcare_attendance(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Open days, absence, late pick-up and unpaid fees per child and month."""
    rng = world.rng("childcare.attendance")
    person, begin, until = _care_span(world, world.end)
    rows: list[Ints] = []
    ks: list[Ints] = []
    for number, month in enumerate(world.months):
        first = month.astype("datetime64[D]")
        here = person[(begin <= first) & (until >= first + 27 * DAY)]
        rows.append(here)
        ks.append(np.full(len(here), number, dtype=np.int64))
    who, k = np.concatenate(rows), np.concatenate(ks)
    strain = np.maximum(shared.safety[who, k], shared.poverty[who, k])
    n = len(who)
    days = rng.integers(20, 24, len(world.months))[k].astype(float)
    absent = np.minimum(rng.poisson(1.6 * np.exp(0.15 * shared.own[who]) + 3.2 * strain), days).astype(float)
    late = np.minimum(rng.poisson(0.35 * np.exp(0.3 * shared.hardship[who]) + 1.6 * strain), days - absent).astype(
        float
    )
    owes = rng.random(n) < 0.02 * np.exp(0.8 * np.clip(shared.hardship[who] + 1.5 * shared.poverty[who, k], -2, 4))
    month = world.months[k]
    columns: Columns = {
        "childcare_number": world.childcare_number[who],
        "month": month,
        "open_days": days,
        "absent_days": absent,
        "late_pickup_days": late,
        "unpaid_yen": np.where(owes, rng.integers(1, 13, n) * 2500, 0).astype(float),
    }
    known: Any = (month + 1).astype("datetime64[D]") - DAY
    return _event(world, columns, who, known)


# ---------------------------------------------------------------- welfare


def welfare_child_benefit(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """児童手当 for every child; 児童扶養手当 and medical aid for single parents."""
    rng = world.rng("welfare.child_benefit")
    p = world.people
    c = world.children
    everyone = np.flatnonzero(p.in_register[:c]).astype(np.int64)
    single = world.homes.single[p.household[everyone]]
    begin = (p.resident_since[everyone].astype("datetime64[M]") + 1).astype("datetime64[D]")
    single_from = np.where(
        np.isnat(p.surname_changed_on[everyone]),
        begin + rng.integers(0, 1500, len(everyone)).astype("timedelta64[D]"),
        p.surname_changed_on[everyone],
    )
    single_from = np.maximum((single_from.astype("datetime64[M]") + 1).astype("datetime64[D]"), begin)
    takes = single & (rng.random(c)[everyone] < rates.CHILD_REARING_ALLOWANCE)
    medical = single & (rng.random(c)[everyone] < 0.75)
    who = np.concatenate([everyone, everyone[takes], everyone[medical]])
    day = np.concatenate([begin, single_from[takes], single_from[medical]]).astype("datetime64[D]")
    kinds = ["child_allowance", "child_rearing_allowance", "single_parent_medical"]
    benefit = np.repeat(np.array(kinds, dtype=object), [len(everyone), int(takes.sum()), int(medical.sum())])
    end = p.left_on[who].copy()
    end[(end >= at) | (end < day)] = NEVER
    columns: Columns = {
        "resident_number": p.resident_number[who],
        "benefit": benefit,
        "started_on": day,
        "ended_on": end,
    }
    return _event(world, columns, who, day)


def welfare_public_assistance(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """生活保護, per person of the household."""
    rng = world.rng("welfare.public_assistance")
    p = world.people
    who = np.flatnonzero(shared.assisted_home[p.household] & p.in_register).astype(np.int64)
    back = rng.integers(60, 2400, world.homes.count)[p.household[who]]
    day = np.maximum(world.end - back.astype("timedelta64[D]"), p.resident_since[who]).astype("datetime64[D]")
    length = rng.integers(300, 4000, world.homes.count)[p.household[who]]
    end = (day + length.astype("timedelta64[D]")).astype("datetime64[D]")
    end = np.where(np.isnat(p.left_on[who]), end, np.minimum(end, p.left_on[who])).astype("datetime64[D]")
    end[(end >= at) | (end <= day)] = NEVER
    columns: Columns = {"resident_number": p.resident_number[who], "started_on": day, "ended_on": end}
    return _event(world, columns, who, day)


def welfare_disability(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Certificates of children and of the adults they may care for."""
    rng = world.rng("welfare.disability")
    p = world.people
    weight = np.exp(0.9 * world.homes.illness[p.household])
    share = np.where(p.child, rates.DISABILITY_CHILD, rates.DISABILITY_ADULT * weight / weight.mean())
    elder = (world.end - p.birth).astype(int) / 365.2425 > 62
    share = np.where(elder, share * 3, share)
    who = np.flatnonzero((rng.random(p.count) < share) & p.in_register).astype(np.int64)
    child = p.child[who]
    n = len(who)
    certificate = np.where(
        child,
        choose(rng, ["physical", "intellectual", "mental"], [25, 65, 10], n),
        choose(rng, ["physical", "intellectual", "mental"], [55, 10, 35], n),
    ).astype(object)
    top = np.where(certificate == "physical", 6, np.where(certificate == "mental", 3, 4))
    grade = (rng.integers(0, 60, n) % top + 1).astype(float)
    issued = np.maximum(
        world.end - rng.integers(30, 3000, n).astype("timedelta64[D]"), p.birth[who] + 400 * DAY
    ).astype("datetime64[D]")
    expires = np.where(certificate == "mental", issued + 730 * DAY, np.datetime64("NaT", "D")).astype("datetime64[D]")
    columns: Columns = {
        "resident_number": p.resident_number[who],
        "certificate": certificate,
        "grade": grade,
        "issued_on": issued,
        "expires_on": expires,
    }
    return _event(world, columns, who, issued).take(issued < world.end)


def welfare_consultation(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Child consultations, each with its own number; the same child may come again under another."""
    rng = world.rng("welfare.consultation")
    base = rates.CONSULTATION_PER_YEAR / 12 * 0.6
    rate = (
        base * np.exp(0.45 * shared.hardship + 0.2 * shared.own)[:, None]
        + 0.075 * shared.safety
        + 0.03 * shared.poverty
    )
    person, k = shared.counts(rate, shared.alive(), rng)
    strain = shared.safety[person, k]
    n = len(person)
    # the month of birth: not before the day itself
    day = np.maximum(random_day(rng, world.months[k]), world.people.birth[person])
    order = np.argsort(day, kind="stable")
    person, k, strain, day = person[order], k[order], strain[order], day[order]
    names = ["abuse", "neglect", "upbringing", "behaviour", "disability", "poverty", "other"]
    plain = choose(rng, names, [7, 4, 38, 20, 14, 7, 10], n)
    heavy = choose(rng, names, [34, 24, 14, 10, 2, 12, 4], n)
    number = issue_numbers(n, 9, rng)
    known = day < at
    frame = _identity_at(world, "welfare.consultation", encoding, person, day)
    frame.columns.update(
        {
            "consultation_number": number,
            "consulted_on": day,
            "topic": np.where(rng.random(n) < strain, heavy, plain).astype(object),
            "severity": graded(strain + rng.normal(0, 0.3, n), [0.4, 0.85], ["low", "middle", "high"]),
            "reporter": choose(
                rng, ["family", "school", "hospital", "neighbour", "police", "other"], [38, 22, 8, 10, 12, 10], n
            ),
        }
    )
    frame.known_on = day
    return frame.take(known)


def _identity_at(world: World, source: str, encoding: str | None, person: Ints, day: Days) -> Frame:
    """Identity as it was when the entry was written (entries are not rewritten)."""
    return _identity(world, source, encoding, person, day if len(day) else world.end)


def welfare_case(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """要対協 case records: old ones, needs_support ones, and those that are the outcome of the abuse theme."""
    rng = world.rng("welfare.case")
    p = world.people
    c = world.children
    score = 0.8 * shared.hardship + 0.6 * shared.illness + rng.gumbel(0, 1.2, c)
    score[(~world.present(world.end - DAY)) | ~p.in_register[:c]] = -np.inf
    fresh_day, fresh = shared.outcomes.get("abuse", (np.full(c, NEVER), np.zeros(c, dtype=bool)))
    score[fresh] = -np.inf
    # those opened in the window count among the cases too
    n_old = round(max(rates.CASE_MANAGEMENT * c - int(fresh.sum()), 0.004 * c))
    old = np.argsort(-score, kind="stable")[:n_old]
    age = (world.end - p.birth[old]).astype(int)
    # before the window where abuse is a theme: a case opened as needs_protection *is* that theme's outcome
    opened_old = world.end - np.minimum(rng.integers(30, 1500, len(old)), np.maximum(age - 20, 1)).astype(
        "timedelta64[D]"
    )
    new = np.flatnonzero(fresh)
    who = np.concatenate([old, new]).astype(np.int64)
    opened = np.concatenate([opened_old, fresh_day[new]]).astype("datetime64[D]")
    is_new = np.concatenate([np.zeros(len(old), dtype=bool), np.ones(len(new), dtype=bool)])
    n = len(who)
    protected = is_new | ((opened < world.start) & (rng.random(n) < 0.45))
    infant = (opened - p.birth[who]).astype(int) < 120
    category = np.where(
        protected, "needs_protection", np.where(infant & (rng.random(n) < 0.6), "specified_expectant", "needs_support")
    ).astype(object)
    kinds = choose(rng, ["physical", "neglect", "psychological", "sexual"], [24, 26, 49, 1], n)  # CFA FY2022 shares
    abuse_type = np.where(category == "needs_protection", kinds, "none").astype(object)
    closed = (opened + rng.integers(150, 1400, n).astype("timedelta64[D]")).astype("datetime64[D]")
    closed[closed >= at] = NEVER
    severity = graded(
        rng.normal(0, 1, n) + 1.0 * (category == "needs_protection"),
        [0.6, 1.7, 2.8],
        ["low", "middle", "high", "critical"],
    )
    number = issue_numbers(n, 8, rng)
    frame = _identity_at(world, "welfare.case", encoding, who, opened)
    frame.columns.update(
        {
            "case_number": number,
            "opened_on": opened,
            "closed_on": closed,
            "category": category,
            "abuse_type": abuse_type,
            "severity": severity,
        }
    )
    frame.known_on = opened
    frame = frame.take(opened < at)
    return _sorted(frame, frame.columns["opened_on"], frame.columns["case_number"])


def welfare_support(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Assessments by people: the outcome of most themes, and the many that found no need."""
    p = world.people
    c = world.children
    frames: list[tuple[Ints, Days, Texts, str]] = []
    for theme in world.needs.themes:
        rng = world.rng("welfare.support", theme)
        need_on, observed = shared.outcomes[theme]
        if theme in ("abuse", "school_refusal"):
            # those outcomes stand in their own source; the assessment comes a little later, for most
            yes = np.flatnonzero(observed & (rng.random(c) < 0.6))
            day_yes = need_on[yes] + rng.integers(5, 60, len(yes)).astype("timedelta64[D]")
        else:
            yes = np.flatnonzero(observed)
            day_yes = need_on[yes]
        strain = world.needs.strain[theme]
        others = np.flatnonzero(np.isnat(need_on))
        looked = others[rng.random(len(others)) < 0.006 + 0.22 * strain[others].max(axis=1)]
        span = int((world.end - world.start).astype(int))
        day_no = world.start + rng.integers(30, max(span - 5, 31), len(looked)).astype("timedelta64[D]")
        result_no = choose(rng, ["watch", "no_need", "unclear"], [34, 56, 10], len(looked))
        frames.append((yes, day_yes.astype("datetime64[D]"), np.full(len(yes), "needs_support", dtype=object), theme))
        frames.append((looked, day_no.astype("datetime64[D]"), result_no, theme))
    person = np.concatenate([f[0] for f in frames]).astype(np.int64)
    day = np.concatenate([f[1] for f in frames])
    result = np.concatenate([f[2] for f in frames])
    theme_of = np.concatenate([np.full(len(f[0]), f[3], dtype=object) for f in frames])
    rng = world.rng("welfare.support")
    n = len(person)
    started = np.where(result == "needs_support", day + rng.integers(1, 75, n).astype("timedelta64[D]"), NEVER)
    started = started.astype("datetime64[D]")
    started[started >= at] = NEVER
    override = np.where(
        (result != "needs_support") & (rng.random(n) < 0.35),
        choose(rng, ["none", "known_family", "data_wrong", "already_supported", "other"], [30, 25, 12, 25, 8], n),
        "",
    ).astype(object)
    # what the worker thought before seeing the score: mostly the same, and not everywhere written down
    own = world.rng("welfare.support", "before")
    before = np.where(own.random(n) < 0.82, result, choose(own, ["needs_support", "watch", "no_need"], [15, 45, 40], n))
    before = np.where(own.random(n) < 0.15, "", before).astype(object)
    columns: Columns = {
        "resident_number": p.resident_number[person],
        "theme": theme_of,
        "assessed_on": day,
        "result": result,
        "support_started_on": started,
        "override_reason": override,
        "result_before": before,
    }
    frame = _event(world, columns, person, day).take(p.in_register[person] & (day >= p.birth[person]))
    return _sorted(frame, frame.known_on, frame.columns["resident_number"])


# ---------------------------------------------------------------- health


def _early_strain(world: World, shared: Shared) -> npt.NDArray[Any]:
    """A child's standing risk as it shows early in life: no later event is known here, only the latent needs."""
    latent = [world.needs.latent[t] for t in world.needs.themes]
    return np.mean(latent, axis=0) if latent else np.zeros(world.children)


def _strain_on(world: World, grid: Grid, person: Ints, day: Days) -> npt.NDArray[Any]:
    k = (day.astype("datetime64[M]") - world.months[0]).astype(int)
    inside = (k >= 0) & (k < len(world.months))
    return np.where(inside, grid[person, np.clip(k, 0, len(world.months) - 1)], 0.0)


def health_pregnancy(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Pregnancy notifications, by the child's number; kept for six years."""
    rng = world.rng("health.pregnancy")
    p = world.people
    c = world.children
    born_here = (p.resident_since[:c] == p.birth[:c]) & p.in_register[:c] & (p.mother[:c] >= 0)
    recent = p.birth[:c] > world.start - np.timedelta64(6 * 365, "D")
    who = np.flatnonzero(born_here & recent).astype(np.int64)
    n = len(who)
    risk = _early_strain(world, shared)[who]
    weeks = np.clip(np.round(rng.normal(9, 2, n) + np.where(rng.random(n) < 0.03 * np.exp(0.6 * risk), 12, 0)), 5, 38)
    day = (p.birth[who] - ((39 - weeks) * 7).astype("timedelta64[D]")).astype("datetime64[D]")
    columns: Columns = {
        "resident_number": p.resident_number[who],
        "mother_number": p.resident_number[p.mother[who]],
        "notified_on": day,
        "gestational_weeks": weeks,
        "concern": graded(risk + rng.normal(0, 1, n), [1.1, 2.4], ["none", "some", "strong"]),
    }
    return _event(world, columns, who, p.birth[who])


def _checkups(world: World, shared: Shared) -> tuple[Ints, Ints, Days, Days]:
    """(child, which 0–2, due, taken or NaT) of all check-ups due since the window's start minus five years."""
    rng = world.rng("checkups")
    p = world.people
    c = world.children
    parts = []
    for number, days in enumerate((122, 560, 1125)):
        due = (p.birth[:c] + np.timedelta64(days, "D")).astype("datetime64[D]")
        who = np.flatnonzero(
            (due > world.start - np.timedelta64(5 * 365, "D"))
            & (due < world.end - 20 * DAY)
            & (p.resident_since[:c] <= due)
            & ~(p.left_on[:c] <= due)
            & p.in_register[:c]
        )
        parts.append((who, np.full(len(who), number), due[who]))
    who = np.concatenate([x[0] for x in parts]).astype(np.int64)
    which = np.concatenate([x[1] for x in parts])
    due = np.concatenate([x[2] for x in parts])
    risk = _early_strain(world, shared)[who]
    odds = 0.037 * np.exp(0.75 * np.clip(risk, -2, 3)) + 0.45 * _strain_on(world, shared.safety, who, due)
    missed = rng.random(len(who)) < odds
    taken = (due + rng.integers(-10, 25, len(who)).astype("timedelta64[D]")).astype("datetime64[D]")
    taken[missed] = NEVER
    taken[taken >= world.end] = NEVER
    return who, which, due, taken


def health_infant_checkup(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Check-ups at 3–4 months, 18 months and 3 years, missed ones included."""
    rng = world.rng("health.infant_checkup")
    who, which, due, taken = _checkups(world, shared)
    n = len(who)
    p = world.people
    taken = taken.copy()
    taken[taken >= at] = NEVER
    came = ~np.isnat(taken)
    risk = _early_strain(world, shared)[who]
    result = np.where(
        came, graded(rng.normal(0, 1, n) + 0.35 * risk, [0.9, 1.7, 2.2], ["healthy", "observe", "examine", "guide"]), ""
    )
    cavities = rng.poisson(0.18 * np.exp(0.6 * shared.hardship[who])).astype(float)
    cavities[(which == 0) | ~came] = np.nan
    hard = np.where(came, graded(rng.normal(0, 1, n) + 0.4 * risk, [0.5, 1.9], ["no", "somewhat", "yes"]), "")
    columns: Columns = {
        "resident_number": p.resident_number[who],
        "checkup": np.array(["m4", "m18", "y3"], dtype=object)[which],
        "due_on": due,
        "checked_on": taken,
        "result": result.astype(object),
        "untreated_cavities": cavities,
        "parenting_difficulty": hard.astype(object),
    }
    return _event(world, columns, who, np.maximum(due, np.where(came, taken, due))).take(due < at)


def health_vaccination(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Vaccinations given; a missing one is a row that is not there."""
    rng = world.rng("health.vaccination")
    p = world.people
    c = world.children
    risk = _early_strain(world, shared)
    parts: list[tuple[Ints, Days, str]] = []
    for name, days in (("dpt", 75), ("bcg", 165), ("mr1", 385), ("je", 1110), ("mr2", 2000), ("other", 95)):
        day = (p.birth[:c] + (days + rng.integers(0, 60, c)).astype("timedelta64[D]")).astype("datetime64[D]")
        given = rng.random(c) < 0.965 - 0.02 * np.exp(0.7 * np.clip(risk, -2, 3))
        who = np.flatnonzero(
            given
            & (day < at)
            & (day > world.start - np.timedelta64(4 * 365, "D"))
            & (p.resident_since[:c] <= day)
            & ~(p.left_on[:c] <= day)
            & p.in_register[:c]
        )
        parts.append((who.astype(np.int64), day[who], name))
    who = np.concatenate([x[0] for x in parts])
    day = np.concatenate([x[1] for x in parts])
    vaccine = np.concatenate([np.full(len(x[0]), x[2], dtype=object) for x in parts])
    columns: Columns = {"resident_number": p.resident_number[who], "vaccine": vaccine, "vaccinated_on": day}
    return _sorted(_event(world, columns, who, day), day, columns["resident_number"])


def health_home_visit(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Visits to newborns, after missed check-ups, and to families that are watched."""
    rng = world.rng("health.home_visit")
    p = world.people
    c = world.children
    since = world.start - np.timedelta64(3 * 365, "D")
    newborn = np.flatnonzero((p.birth[:c] > since) & (p.resident_since[:c] == p.birth[:c]) & p.in_register[:c])
    newborn = newborn[rng.random(len(newborn)) < 0.93]
    day_new = p.birth[newborn] + rng.integers(25, 110, len(newborn)).astype("timedelta64[D]")
    who, _which, due, taken = _checkups(world, shared)
    missed = np.isnat(taken) & (due > since) & (rng.random(len(who)) < 0.8)
    day_missed = due[missed] + rng.integers(40, 100, int(missed.sum())).astype("timedelta64[D]")
    rate = 0.001 + 0.06 * shared.safety
    young = (world.end - p.birth[:c]).astype(int) < 7 * 365
    watched, k = shared.counts(rate, shared.alive() & young[:, None], rng)
    day_watched = np.maximum(random_day(rng, world.months[k]), p.birth[watched])
    person = np.concatenate([newborn, who[missed], watched]).astype(np.int64)
    day = np.concatenate([day_new, day_missed, day_watched]).astype("datetime64[D]")
    purpose = np.repeat(
        np.array(["newborn", "missed_checkup", "follow_up"], dtype=object),
        [len(newborn), int(missed.sum()), len(watched)],
    )
    risk = _early_strain(world, shared)[person] + 1.5 * _strain_on(world, shared.safety, person, day)
    columns: Columns = {
        "resident_number": p.resident_number[person],
        "visited_on": day,
        "purpose": purpose,
        "finding": graded(risk + rng.normal(0, 1, len(person)), [1.5, 3.0], ["none", "concern", "serious"]),
    }
    frame = _unique(_event(world, columns, person, day), "resident_number", "visited_on")
    return frame.take((frame.known_on < at) & p.in_register[frame.person])


# ---------------------------------------------------------------- medical, survey, consent


def medical_flag(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Flags that hospital staff register; patients from elsewhere are in nobody's register."""
    rng = world.rng("medical.flag")
    c = world.children
    patient_numbers = issue_numbers(c, 9, rng)
    rate = 0.0012 * np.exp(0.4 * shared.own + 0.2 * shared.illness)[:, None] + 0.05 * shared.safety
    # patients from elsewhere: about HOSPITAL_FROM_ELSEWHERE of the flags though they are NOT_IN_REGISTER of the children
    outside = ~world.people.in_register[:c]
    rate[outside] *= rates.HOSPITAL_FROM_ELSEWHERE / rates.NOT_IN_REGISTER
    person, k = shared.counts(rate, shared.alive(), rng)
    # the month of birth: not before the day itself
    day = np.maximum(random_day(rng, world.months[k]), world.people.birth[person])
    strain = shared.safety[person, k]
    need_on, observed = shared.outcomes.get("hospital_flag", (np.full(c, NEVER), np.zeros(c, dtype=bool)))
    high = np.flatnonzero(observed & (rng.random(c) < 0.6))
    person = np.concatenate([person, high]).astype(np.int64)
    day = np.concatenate([day, need_on[high]]).astype("datetime64[D]")
    n = len(person)
    severe = np.concatenate([np.zeros(n - len(high), dtype=bool), np.ones(len(high), dtype=bool)])
    strain = np.concatenate([strain, np.ones(len(high))])
    kinds = [
        "unexplained_injury",
        "repeated_injury",
        "neglect_sign",
        "missed_appointments",
        "developmental",
        "maternal_mental",
    ]
    plain = choose(rng, kinds, [6, 4, 5, 30, 40, 15], n)
    heavy = choose(rng, kinds, [22, 16, 26, 20, 4, 12], n)
    # a severe flag *is* the theme's outcome, so an ordinary one is never severe
    level = np.where(severe, "high", graded(strain + rng.normal(0, 0.3, n), [0.5], ["low", "middle"]))
    frame = _identity_at(world, "medical.flag", encoding, person, day)
    frame.columns.update(
        {
            "patient_number": patient_numbers[person],
            "flagged_on": day,
            "flag": np.where(rng.random(n) < strain, heavy, plain).astype(object),
            "severity": level.astype(object),
            "department": choose(
                rng, ["小児科", "救急科", "整形外科", "小児外科", "眼科", "歯科口腔外科"], [50, 22, 10, 8, 5, 5], n
            ),
        }
    )
    frame.known_on = day
    return _unique(frame.take(day < at), "patient_number", "flagged_on", "flag")


def survey_wellbeing(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Questionnaires in June, October and February."""
    rng = world.rng("survey.wellbeing")
    person, k = _rows_in(shared, _on_months(world, (2, 6, 10)))
    n = len(person)
    mind, care, poverty = shared.mind[person, k], shared.care[person, k], shared.poverty[person, k]

    def scale(level: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.clip(np.round(3.9 - level + rng.normal(0, 0.8, n)), 1, 5)

    own = shared.own[person]
    hours = rng.poisson(1.0 * np.exp(0.25 * shared.illness[person]) + 9 * care).astype(float)
    talk = np.where(rng.random(n) < 0.07 + 0.4 * mind, "no", "yes").astype(object)
    day = (world.months[k].astype("datetime64[D]") + (10 + person % 5).astype("timedelta64[D]")).astype("datetime64[D]")
    columns: Columns = {
        "student_number": world.student_number[person],
        "answered_on": day,
        "mood": scale(0.30 * own + 1.5 * mind),
        "sleep": scale(0.20 * own + 1.1 * mind + 0.8 * care),
        "friends": scale(0.25 * own + 1.0 * mind),
        "home": scale(0.25 * shared.hardship[person] + 0.9 * mind + 0.8 * poverty),
        "care_hours": hours,
        "adult_to_talk": talk,
    }
    for item in ("mood", "sleep", "friends", "home", "care_hours"):
        columns[item][rng.random(n) < 0.015 * world.factor] = np.nan
    answered = rng.random(n) < 0.93 - 0.25 * shared.school[person, k]
    return _event(world, columns, person, day).take(answered)


def consent_record(world: World, shared: Shared, at: np.datetime64, encoding: str | None) -> Frame:
    """Consents of the families: most for everything, some for parts, a few withdrawn."""
    rng = world.rng("consent.record")
    p = world.people
    c = world.children
    gave = (rng.random(world.homes.count) < 0.82)[p.household[:c]] & p.in_register[:c]
    who = np.flatnonzero(gave).astype(np.int64)
    n = len(who)
    day = np.maximum(
        world.start - rng.integers(0, 400, n).astype("timedelta64[D]"), p.resident_since[who] + 20 * DAY
    ).astype("datetime64[D]")
    all_of_it = rng.random(n) < 0.9
    scope = np.where(
        all_of_it, "all", choose(rng, ["education", "welfare", "health", "survey"], [4, 2, 2, 2], n)
    ).astype(object)
    withdrawn = np.where(rng.random(n) < 0.02, day + rng.integers(60, 500, n).astype("timedelta64[D]"), NEVER).astype(
        "datetime64[D]"
    )
    withdrawn[withdrawn >= at] = NEVER
    until = np.where(rng.random(n) < 0.1, day + 3 * 365 * DAY, NEVER).astype("datetime64[D]")
    columns: Columns = {
        "resident_number": p.resident_number[who],
        "consented_on": day,
        "valid_from": day,
        "valid_until": until,
        "withdrawn_on": withdrawn,
        "scope": scope,
    }
    return _event(world, columns, who, day)


BUILDERS: dict[str, Builder] = {
    "resident.register": resident_register,
    "resident.moves": resident_moves,
    "education.enrolment": education_enrolment,
    "education.attendance": education_attendance,
    "education.health_room": education_health_room,
    "education.assessment": education_assessment,
    "education.school_checkup": education_school_checkup,
    "education.counselling": education_counselling,
    "education.fees": education_fees,
    "education.school_aid": education_school_aid,
    "childcare.enrolment": childcare_enrolment,
    "childcare.attendance": childcare_attendance,
    "welfare.child_benefit": welfare_child_benefit,
    "welfare.public_assistance": welfare_public_assistance,
    "welfare.disability": welfare_disability,
    "welfare.consultation": welfare_consultation,
    "welfare.case": welfare_case,
    "welfare.support": welfare_support,
    "health.pregnancy": health_pregnancy,
    "health.infant_checkup": health_infant_checkup,
    "health.vaccination": health_vaccination,
    "health.home_visit": health_home_visit,
    "medical.flag": medical_flag,
    "survey.wellbeing": survey_wellbeing,
    "consent.record": consent_record,
}
