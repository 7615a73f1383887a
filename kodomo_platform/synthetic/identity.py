"""How each system writes a person: characters, kana, address, number, and how stale its knowledge is.

Formats (display characters, half-width kana) are always there; errors of knowledge (stale names, missing numbers) grow
with the quality factor and are none in a clean twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import jaconv
import numpy as np
import numpy.typing as npt

from kodomo_platform.synthetic import names
from kodomo_platform.synthetic.places import write_addresses
from kodomo_platform.synthetic.population import Bools, Days, Ints, Texts
from kodomo_platform.synthetic.world import World

_FULL_LATIN = {ord(c): ord(c) + 0xFEE0 for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True)
class Habit:
    """A system's way of writing people. Shares are those of a typical twin."""

    formal: bool = False
    half_kana: bool = False
    address: str = "hyphen"
    space: str = "　"
    stale_name: float = 0.0
    stale_address: float = 0.0
    no_kana: float = 0.0
    no_address: float = 0.0
    no_birth: float = 0.0
    no_number: float = 0.0
    no_phone: float = 0.0


HABITS: dict[str, Habit] = {
    "resident.register": Habit(formal=True, half_kana=True, address="formal"),
    "education.enrolment": Habit(
        stale_name=0.35, stale_address=0.25, no_kana=0.01, no_address=0.01, no_number=0.12, no_phone=0.03, space=" "
    ),
    "childcare.enrolment": Habit(
        half_kana=True, address="wide", stale_name=0.3, stale_address=0.2, no_number=0.06, no_phone=0.04, no_kana=0.01
    ),
    "welfare.consultation": Habit(
        address="short", stale_name=0.2, no_kana=0.12, no_address=0.08, no_birth=0.04, no_number=0.75, no_phone=0.15
    ),
    "welfare.case": Habit(stale_name=0.2, stale_address=0.1, no_kana=0.03, no_address=0.02, no_number=0.1),
    "medical.flag": Habit(
        half_kana=True, address="hyphen", stale_name=0.25, stale_address=0.2, no_kana=0.01, no_address=0.03,
        no_birth=0.005, no_phone=0.05, space=" ",
    ),
}  # fmt: skip


def half_width(kana: Texts) -> Texts:
    """Half-width katakana (voiced marks become characters of their own)."""
    unique, inverse = np.unique(kana.astype(str), return_inverse=True)
    return np.array([jaconv.z2h(text, kana=True, ascii=False) for text in unique], dtype=object)[inverse]


def to_gaiji(text: Texts, keep: bool) -> Texts:
    """Characters that CP932 lacks become user-defined ones, or (``keep`` false) their display form."""
    back = {form: shown for shown, forms in names.FORMAL.items() for form, _share in forms}
    out = text.copy()
    for character, gaiji in names.GAIJI.items():
        hits = np.flatnonzero(np.fromiter((character in t for t in text), dtype=bool, count=len(text)))
        for index in hits:
            out[index] = out[index].replace(character, gaiji if keep else back.get(character, character[0]))
    return out


@dataclass
class View:
    """What a system holds of each person in question."""

    name: Texts
    kana: Texts
    postal: Texts
    address: Texts
    stale: Bools
    moved: Bools
    variant: Bools


def names_of(world: World, person: Ints, old: Bools, habit: Habit, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Full name and kana of each person, in the system's form."""
    p = world.people
    family = p.surname[person] if habit.formal else p.surname_display[person]
    family = np.where(old, p.surname_old[person], family)
    kana = np.where(old, p.surname_old_kana[person], p.surname_kana[person])
    name = family + habit.space + p.given[person]
    full_kana = kana + (" " if habit.half_kana else "　") + p.given_kana[person]
    latin = np.flatnonzero(p.latin[person])
    if habit.formal:
        for i in latin:
            name[i] = name[i].translate(_FULL_LATIN).replace(" ", "　")
    elif world.factor > 0:
        way = rng.random(len(latin))
        alias = p.alias[person]
        for at, w in zip(latin.tolist(), way.tolist(), strict=True):
            if alias[at] and w < 0.5:
                name[at] = alias[at]
            elif w < 0.75:
                name[at] = full_kana[at]
            elif w < 0.9:
                name[at] = f"{p.given[person[at]]} {family[at]}"
    return name, half_width(full_kana) if habit.half_kana else full_kana


def view(
    world: World, person: Ints, source: str, encoding: str | None, at: Days | np.datetime64, rng: np.random.Generator
) -> View:
    """How ``source`` writes each of ``person`` as known on ``at`` (a day for all, or one per row)."""
    habit = HABITS[source]
    p, homes = world.people, world.homes
    changed = p.surname_changed_on[person]
    moved_on = p.moved_within_on[person]
    stale = (~np.isnat(changed)) & (changed <= at) & (rng.random(len(person)) < habit.stale_name * world.factor)
    moved = (~np.isnat(moved_on)) & (moved_on <= at) & (rng.random(len(person)) < habit.stale_address * world.factor)
    old_name = stale | (changed > at)
    old_address = moved | (moved_on > at)
    name, kana = names_of(world, person, np.asarray(old_name, dtype=bool), habit, rng)
    if encoding == "cp932":
        name = to_gaiji(name, keep=world.factor > 0)
    elif world.factor == 0:
        name = to_gaiji(name, keep=False)
    variant = np.asarray(p.surname[person] != p.surname_display[person], dtype=bool)
    home = p.household[person]
    current = write_addresses(world.towns, homes.address, habit.address)
    address = current[home]
    postal = world.towns.postal[homes.address.town][home]
    if old_address.any():
        before = write_addresses(world.towns, homes.address_old, habit.address)[home]
        address = np.where(old_address, before, address)
        postal = np.where(old_address, world.towns.postal[homes.address_old.town][home], postal)
    if habit.formal is False:
        postal = np.array([f"{code[:3]}-{code[3:]}" for code in postal.tolist()], dtype=object)
    return View(name, kana, postal, address, stale, moved, variant)


def drop(
    values: npt.NDArray[np.object_], share: float, world: World, rng: np.random.Generator
) -> tuple[npt.NDArray[np.object_], Bools]:
    """Blank a share (times the quality factor) of text cells; returns the cells and which were blanked."""
    gone = rng.random(len(values)) < min(share * world.factor, 0.97)
    return np.where(gone, "", values), gone
