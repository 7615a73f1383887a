"""The true people of a digital twin: households, parents, children, their history. What systems *say* about them is in
`sources`; what they need, and when it shows, is in `needs`.

Everything is a column of numpy arrays (one entry per person), so that 100,000 children take seconds.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from kodomo_platform.synthetic import names, rates
from kodomo_platform.synthetic.places import Addresses, Towns, draw_addresses

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Texts = npt.NDArray[np.object_]

NEVER = np.datetime64("NaT", "D")


def stream(seed: int, *labels: str) -> np.random.Generator:
    """An own random stream per purpose, so that one source's draws never move another's."""
    return np.random.default_rng(np.random.SeedSequence([seed, *(zlib.crc32(label.encode()) for label in labels)]))


def check_digit(numbers: Ints, digits: int) -> Ints:
    """Modulus 11 check digit, weights 2–7 from the right, over ``digits`` digits (remainder 0 or 1 gives 0)."""
    total = np.zeros(len(numbers), dtype=np.int64)
    rest = numbers.copy()
    for position in range(digits):
        total += (rest % 10) * (position % 6 + 2)
        rest //= 10
    remainder = total % 11
    return np.where(remainder <= 1, 0, 11 - remainder)


def issue_numbers(size: int, digits: int, rng: np.random.Generator) -> Texts:
    """``size`` different numbers of ``digits`` digits, the last one a check digit, in random order."""
    span = 10 ** (digits - 1)
    step = max(1, (span - span // 10) // max(size, 1))
    base = span // 10 + np.arange(size, dtype=np.int64) * step + rng.integers(0, max(step, 1), size)
    rng.shuffle(base)
    full = base * 10 + check_digit(base, digits - 1)
    return np.asarray(full.astype(f"U{digits}"), dtype=object)


def years_before(end: np.datetime64, years: Floats) -> Days:
    """Days ``years`` before ``end``."""
    return (end - np.round(years * 365.2425).astype("timedelta64[D]")).astype("datetime64[D]")


@dataclass
class People:
    """One entry per person. ``child`` marks those who were under 18 at some time of the window.

    Dates are NaT where the thing never happened. ``surname_old`` holds the name before ``surname_changed_on``.
    """

    count: int
    household: Ints
    child: Bools
    role: Texts
    female: Bools
    birth: Days
    surname: Texts  # formal form as in the register
    surname_display: Texts
    surname_kana: Texts
    surname_old: Texts
    surname_old_kana: Texts
    surname_changed_on: Days
    given: Texts
    given_kana: Texts
    foreign: Bools
    latin: Bools
    alias: Texts
    twin: Bools
    in_register: Bools
    resident_since: Days
    left_on: Days
    left_reason: Texts
    moved_within_on: Days
    returned: Bools
    resident_number: Texts
    resident_number_old: Texts
    person_id: Texts
    mother: Ints  # index of the mother, -1 unknown
    guardian: Ints
    guardian_other: Ints


@dataclass
class Households:
    """One entry per household."""

    count: int
    number: Texts
    address: Addresses
    address_old: Addresses
    phone: Texts
    single: Bools
    joint_custody: Bools
    foreign: Bools
    children: Ints
    hidden: Bools  # 支援措置
    hardship: Floats
    illness: Floats
    towns: Towns = field(repr=False)


def _ages(households: Ints, counts: Ints, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Age in years of each child at the end, oldest first inside the household; and whether it is a twin."""
    total = int(counts.sum())
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    position = np.arange(total) - first[households]
    pairs = max(total - len(counts), 1)
    twin_share = min(0.5, rates.TWIN_DELIVERIES * total / pairs)
    gap = np.clip(rng.normal(2.7, 1.0, total), 1.0, 6.0)
    gap_is_twin = (position > 0) & (rng.random(total) < twin_share)
    gap[gap_is_twin] = 0.0
    gap[position == 0] = 0.0
    running = np.cumsum(gap)
    offset = running - running[first][households]
    span = np.maximum.reduceat(offset, first)
    scale = np.minimum(1.0, 15.0 / np.maximum(span, 1e-9))
    offset *= scale[households]
    span *= scale
    oldest = span + rng.random(len(counts)) * (17.98 - span)
    twin = gap_is_twin.copy()
    twin[np.flatnonzero(gap_is_twin) - 1] = True
    return oldest[households] - offset, twin


def _given(female: Bools, rng: np.random.Generator) -> tuple[Texts, Texts]:
    kanji = np.empty(len(female), dtype=object)
    kana = np.empty(len(female), dtype=object)
    for sex in (False, True):
        pool = names.given_names(sex)
        index = np.flatnonzero(female == sex)
        drawn = pool.draw(rng, len(index))
        kanji[index] = pool.kanji[drawn]
        kana[index] = pool.kana[drawn]
    return kanji, kana


def draw_people(code: str, towns: Towns, children: int, start: date, end: date, seed: int) -> tuple[People, Households]:
    """The people of the twin, ``children`` of them under 18 at ``end``."""
    rng = stream(seed, code, "people")
    last = np.datetime64(end, "D")
    first = np.datetime64(start, "D")
    window_years = (last - first).astype(int) / 365.2425

    # households and how many children each has
    guess = children + 8
    sizes = rng.choice(np.arange(1, 5), guess, p=np.array(rates.CHILDREN_PER_HOUSEHOLD)).astype(np.int64)
    n_households = int(np.searchsorted(np.cumsum(sizes), children) + 1)
    sizes = sizes[:n_households]
    sizes[-1] -= int(sizes.sum()) - children
    sizes = sizes[sizes > 0]
    n_households = len(sizes)
    home = np.repeat(np.arange(n_households), sizes)
    ages, twin = _ages(home, sizes, rng)
    birth = years_before(last, ages)
    # twins are born on one day (a gap of zero years is that already)

    single = rng.random(n_households) < rates.SINGLE_PARENT
    hardship = rng.normal(0, 1, n_households) * 0.9 + single * 0.9
    illness = rng.normal(0, 1, n_households)
    foreign = rng.random(n_households) < rates.FOREIGN_HOUSEHOLDS
    mother_led = rng.random(n_households) < rates.SINGLE_MOTHER_SHARE
    elder = (rng.random(n_households) < 0.10) & ~foreign  # three generations under one roof
    cohabitant = single & mother_led & (rng.random(n_households) < 0.04)
    has_mother = ~single | mother_led
    has_father = ~single | ~mother_led

    def of(mask: Bools) -> Ints:
        return np.flatnonzero(mask).astype(np.int64)

    parts = [home, of(has_mother), of(has_father), of(elder), of(cohabitant)]
    households = np.concatenate(parts)
    n = len(households)
    edges = np.cumsum([0, *(len(p) for p in parts)])
    child = np.zeros(n, dtype=bool)
    child[: edges[1]] = True
    female = rng.random(n) < 0.4878  # 105 boys to 100 girls
    female[edges[1] : edges[2]] = True
    female[edges[2] : edges[3]] = False
    female[edges[4] :] = False
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    oldest = ages[starts]
    mother_age = oldest + np.clip(rng.normal(30.5, 4.8, n_households), 17, 44)
    father_age = mother_age + np.clip(rng.normal(1.8, 4.0, n_households), -8, 18)
    birth = np.concatenate(
        [
            birth,
            years_before(last, mother_age[parts[1]]),
            years_before(last, father_age[parts[2]]),
            years_before(last, mother_age[parts[3]] + 27 + rng.random(len(parts[3])) * 8),
            years_before(last, mother_age[parts[4]] + rng.normal(0, 5, len(parts[4]))),
        ]
    )
    father_head = has_father & (rng.random(n_households) < 0.92)
    elder_head = elder & (rng.random(n_households) < 0.35)
    role = np.full(n, "child", dtype=object)
    role[: edges[1]][elder_head[home]] = "grandchild"
    mother_role = np.where(elder_head, "child", np.where(father_head, "spouse", "head"))
    father_role = np.where(elder_head, "child", np.where(father_head, "head", "spouse"))
    role[edges[1] : edges[2]] = mother_role[parts[1]]
    role[edges[2] : edges[3]] = father_role[parts[2]]
    # the spouse of the head's child is 子の妻: an other relative
    both = elder_head & has_mother & has_father
    role[edges[1] : edges[2]][both[parts[1]]] = "other_relative"
    role[edges[3] : edges[4]] = np.where(elder_head[parts[3]], "head", "parent")
    role[edges[4] :] = "cohabitant"

    # names
    pool = names.surnames()
    drawn = pool.draw(rng, n_households)
    family_display, family_kana = pool.kanji[drawn].copy(), pool.kana[drawn].copy()
    family_formal = names.formal_surnames(family_display, rng)
    given, given_kana = _given(female, rng)
    # children of one household have different given names
    for _attempt in range(4):
        order = np.lexsort((given_kana[: edges[1]].astype(str), home))
        same = (home[order][1:] == home[order][:-1]) & (given_kana[order][1:] == given_kana[order][:-1])
        again = order[1:][same]
        if not len(again):
            break
        given[again], given_kana[again] = _given(female[again], rng)
    latin_home = np.zeros(n_households, dtype=bool)
    alias = np.full(n, "", dtype=object)
    person_foreign = foreign[households]
    kinds = rng.choice(len(names.FOREIGN_KINDS), n_households, p=np.array(names.FOREIGN_WEIGHTS))
    japanese_family = family_display.copy()
    for k, kind in enumerate(names.FOREIGN_KINDS):
        here = of(foreign & (kinds == k))
        family, kana = names.foreign_pool(kind, 0)
        which = rng.integers(0, len(family), len(here))
        family_display[here] = family_formal[here] = family[which]
        family_kana[here] = kana[which]
        latin_home[here] = kind.startswith("latin")
        for sex, part in ((False, 1), (True, 2)):
            those = np.flatnonzero(person_foreign & (kinds[households] == k) & (female == sex))
            spelled, spoken = names.foreign_pool(kind, part)
            # siblings stay apart: the position inside the household moves the choice on
            which = (rng.integers(0, len(spelled), len(those)) + those) % len(spelled)
            given[those], given_kana[those] = spelled[which], spoken[which]
    has_alias = foreign & (rng.random(n_households) < rates.FOREIGN_ALIAS)
    aliased = np.flatnonzero(has_alias[households])
    alias_given, _alias_kana = _given(female[aliased], rng)
    alias[aliased] = japanese_family[households[aliased]] + "　" + alias_given

    # the window's history
    changed = (rng.random(n_households) < rates.SURNAME_CHANGED_PER_YEAR * 8) & ~foreign
    changed |= single & ~foreign & (rng.random(n_households) < 0.25)
    other = pool.draw(rng, n_households)
    old_display = np.where(changed, pool.kanji[other], family_display)
    old_kana = np.where(changed, pool.kana[other], family_kana)
    change_day = np.where(changed, last - rng.integers(20, 8 * 365, n_households).astype("timedelta64[D]"), NEVER)
    change_day = change_day.astype("datetime64[D]")
    person_change = change_day[households].copy()
    person_change[(person_change < birth + np.timedelta64(60, "D"))] = NEVER
    person_change[edges[2] :] = NEVER  # fathers, grandparents keep theirs

    moved_in = rng.random(n_households) < 1 - np.exp(-rates.MOVED_IN_PER_YEAR * np.minimum(oldest + 1, 18) / 1.4)
    arrival_years = rng.random(n_households) * np.minimum(oldest + 1, 18)
    arrived = np.where(moved_in, years_before(last, arrival_years), NEVER).astype("datetime64[D]")
    recent = rng.random(n_households) < rates.MOVED_IN_PER_YEAR * window_years * 0.6
    in_window = last - rng.integers(10, max(int(window_years * 365), 30), n_households).astype("timedelta64[D]")
    arrived = np.where(recent, in_window, arrived).astype("datetime64[D]")
    leaves = (rng.random(n_households) < rates.MOVED_OUT_PER_YEAR * window_years) & ~recent
    leave_day = np.where(
        leaves, last - rng.integers(10, max(int(window_years * 365), 30), n_households).astype("timedelta64[D]"), NEVER
    ).astype("datetime64[D]")
    leave_day[leave_day <= arrived] = NEVER
    within = rng.random(n_households) < rates.MOVED_WITHIN_PER_YEAR * 4
    within_day = np.where(
        within, last - rng.integers(10, 4 * 365, n_households).astype("timedelta64[D]"), NEVER
    ).astype("datetime64[D]")
    within_day[within_day <= arrived] = NEVER
    within_day[within_day >= leave_day] = NEVER
    since = np.where(np.isnat(arrived[households]) | (arrived[households] < birth), birth, arrived[households])
    left_on = leave_day[households].copy()
    left_on[left_on <= since] = NEVER
    left_reason = np.where(np.isnat(left_on), "", "moved_out").astype(object)
    dead = np.flatnonzero((~child) & (rng.random(n) < 0.002) & np.isnat(left_on))
    # nobody dies before becoming a resident
    left_on[dead] = np.maximum(
        last - rng.integers(10, 700, len(dead)).astype("timedelta64[D]"), since[dead] + np.timedelta64(1, "D")
    )
    left_reason[dead] = "died"
    returned_home = (rng.random(n_households) < rates.RETURNED) & np.isnat(leave_day)
    returned = returned_home[households] & (birth < last - np.timedelta64(5 * 365, "D"))
    back = last - rng.integers(60, 3 * 365, n_households).astype("timedelta64[D]")
    since = np.where(returned, np.maximum(back[households], birth + np.timedelta64(400, "D")), since).astype(
        "datetime64[D]"
    )

    outside_home = rng.random(n_households) < rates.NOT_IN_REGISTER
    in_register = ~outside_home[households]
    returned &= in_register
    left_on[~in_register] = NEVER
    left_reason[~in_register] = ""

    numbers = issue_numbers(2 * n, 10, rng)
    addresses = draw_addresses(towns, n_households, rng)
    addresses_old = draw_addresses(towns, n_households, rng)
    phones = np.array(
        [f"000-{p // 10000:04d}-{p % 10000:04d}" for p in rng.integers(0, 10**8, n_households)], dtype=object
    )

    mother = np.full(n_households, -1, dtype=np.int64)
    mother[parts[1]] = np.arange(edges[1], edges[2])
    father = np.full(n_households, -1, dtype=np.int64)
    father[parts[2]] = np.arange(edges[2], edges[3])
    guardian = np.where(has_father & ((rng.random(n_households) < 0.45) | ~has_mother), father, mother)
    other_guardian = np.where(guardian == father, mother, father)

    # who was not there yet did not move
    moved_within = within_day[households].copy()
    moved_within[moved_within <= since] = NEVER
    moved_within[moved_within >= left_on] = NEVER
    people = People(
        count=n,
        household=households,
        child=child,
        role=role,
        female=female,
        birth=birth.astype("datetime64[D]"),
        surname=family_formal[households],
        surname_display=family_display[households],
        surname_kana=family_kana[households],
        surname_old=old_display[households],
        surname_old_kana=old_kana[households],
        surname_changed_on=person_change,
        given=given,
        given_kana=given_kana,
        foreign=person_foreign,
        latin=latin_home[households],
        alias=alias,
        twin=np.concatenate([twin, np.zeros(n - len(twin), dtype=bool)]),
        in_register=in_register,
        resident_since=since.astype("datetime64[D]"),
        left_on=left_on,
        left_reason=left_reason,
        moved_within_on=moved_within,
        returned=returned,
        resident_number=numbers[:n],
        resident_number_old=numbers[n:],
        person_id=np.array([f"P{i:08d}" for i in rng.permutation(n) + 1], dtype=object),
        mother=mother[households],
        guardian=guardian[households],
        guardian_other=other_guardian[households],
    )
    homes = Households(
        count=n_households,
        number=issue_numbers(n_households, 10, rng),
        address=addresses,
        address_old=addresses_old,
        phone=phones,
        single=single,
        joint_custody=single & (rng.random(n_households) < rates.JOINT_CUSTODY_OF_SINGLE),
        foreign=foreign,
        children=sizes.astype(np.int64),
        hidden=rng.random(n_households) < rates.PROTECTION_MEASURE,
        hardship=hardship,
        illness=illness,
        towns=towns,
    )
    return people, homes


def grade_on(birth: Days, day: np.datetime64) -> Ints:
    """School grade on ``day`` (1–9 at school, 0 and below before it): children born 2 April–1 April share a year.

    School Education Act art. 17: from the first 1 April after the sixth birthday; one who turns six *on* 1 April counts
    (Act on the calculation of age: an age is reached on the eve of the birthday), hence the shift by a day.
    """
    shifted = birth - np.timedelta64(1, "D")
    year = shifted.astype("datetime64[Y]").astype(int) + 1970
    month = shifted.astype("datetime64[M]").astype(int) % 12 + 1
    cohort = year - (month < 4)  # school year in which the child was born
    day_year = int(day.astype("datetime64[Y]").astype(int)) + 1970
    day_month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
    school_year = day_year - (day_month < 4)
    return np.asarray(school_year - cohort - 6, dtype=np.int64)
