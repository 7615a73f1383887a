"""The whole truth of one twin, and the shape in which facts about it are handed to the writers.

`Frame` is one source's true content before any fault: typed columns by catalogue item, the person behind each row, and
the day from which the source can know the row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.municipalities import Municipality
from kodomo_platform.synthetic import rates
from kodomo_platform.synthetic.needs import Needs
from kodomo_platform.synthetic.places import Towns
from kodomo_platform.synthetic.population import (
    Bools,
    Days,
    Households,
    Ints,
    People,
    Texts,
    grade_on,
    issue_numbers,
    stream,
)


@dataclass
class Frame:
    """Rows of one source. Columns: datetime64[D], datetime64[M], float64 (NaN: none), object text ("": none)."""

    columns: dict[str, npt.NDArray[Any]]
    person: Ints
    known_on: Days
    # persons' tags that arise in this source, e.g. "variant": mask over rows
    tags: dict[str, Bools] = field(default_factory=dict)
    # cells blank for a reason of the source (a fault to be listed): item → (mask, kind)
    blanked: list[tuple[str, Bools, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: npt.NDArray[Any]) -> Frame:
        """The rows at ``index`` (positions or a mask)."""
        return Frame(
            {name: values[index] for name, values in self.columns.items()},
            self.person[index],
            self.known_on[index],
            {name: mask[index] for name, mask in self.tags.items()},
            [(item, mask[index], kind) for item, mask, kind in self.blanked],
        )


@dataclass
class World:
    """One twin: its people, what they need, and the numbers that systems gave them."""

    municipality: Municipality
    people: People
    homes: Households
    needs: Needs
    towns: Towns
    months: npt.NDArray[np.datetime64]
    start: np.datetime64
    end: np.datetime64
    seed: int
    factor: float
    children: int
    student_number: Texts = field(init=False)
    childcare_number: Texts = field(init=False)
    pupil: Bools = field(init=False)
    school_of_town: Ints = field(init=False)
    care_from: Days = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng("systems")
        c = self.children
        self.student_number = issue_numbers(c, 8, rng)
        self.childcare_number = issue_numbers(c, 9, rng)
        self.pupil = rng.random(c) >= rates.NOT_IN_MUNICIPAL_SCHOOL
        self.school_of_town = rng.permutation(len(self.towns)).astype(np.int64)
        # childcare: each child has a threshold; it starts at the first age at which so many children are in care
        appetite = rng.random(c)
        use = np.array(rates.CHILDCARE_USE)
        first_age = np.argmax(use[None, :] >= appetite[:, None], axis=1).astype(float)
        first_age[appetite > use.max()] = 99.0
        begin = self.people.birth[:c] + np.round((first_age + 0.3 + 0.6 * rng.random(c)) * 365.25).astype(
            "timedelta64[D]"
        )
        begin = np.maximum(begin, self.people.resident_since[:c])
        self.care_from = (begin.astype("datetime64[M]") + 1).astype("datetime64[D]")
        self.care_from[first_age > 90] = np.datetime64("NaT")

    def rng(self, *labels: str) -> np.random.Generator:
        """The random stream of a purpose."""
        return stream(self.seed, self.municipality.code, *labels)

    def present(self, day: np.datetime64) -> Bools:
        """Children living here on ``day`` (those outside the register count as here)."""
        p = self.people
        c = self.children
        here = p.resident_since[:c] <= day
        return np.asarray(here & ~(p.left_on[:c] <= day) & (p.birth[:c] <= day), dtype=bool)

    def grades(self, day: np.datetime64) -> Ints:
        """School grade of every child on ``day``."""
        return grade_on(self.people.birth[: self.children], day)

    def school_code(self, grade: Ints, town: Ints) -> Texts:
        """Code of the municipal school by grade and town."""
        elementary = max(2, self.children // 3 // 480)
        junior = max(1, elementary // 2)
        area = self.school_of_town[town]
        number = np.where(grade <= 6, 1001 + area % elementary, 2001 + area % junior)
        return number.astype("U4").astype(object)
