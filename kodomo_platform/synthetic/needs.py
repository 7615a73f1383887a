"""What each child truly needs: a latent need per theme, when strain begins, whether and when an outcome follows.

How strain shows in the systems' records is in `facts`. The liability model: need = ρ·latent + √(1-ρ²)·chance above a
threshold; strain (the signs) is another noisy reading of the same liability, so that signs precede most outcomes, some
outcomes come without signs, and many signs lead nowhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kodomo_platform.synthetic import rates
from kodomo_platform.synthetic.population import NEVER, Bools, Days, Floats, Households, Ints, People, stream

Grid = npt.NDArray[np.float32]

# weights of (hardship, the child's own strain, illness in the family, single parent, siblings) in each theme
_LOADINGS: dict[str, tuple[float, float, float, float, float]] = {
    "school_refusal": (0.35, 0.85, 0.20, 0.1, 0.0),
    "young_carer": (0.35, 0.15, 0.75, 0.35, 0.35),
    "family_mind": (0.40, 0.55, 0.55, 0.15, 0.0),
    "hospital_flag": (0.50, 0.40, 0.50, 0.1, 0.0),
    "high_risk": (0.65, 0.50, 0.35, 0.2, 0.1),
    "abuse": (0.60, 0.30, 0.60, 0.2, 0.1),
    "hidden_hardship": (0.90, 0.10, 0.30, 0.3, 0.1),
}
# (youngest, oldest) age in years at which the theme is asked
AGES: dict[str, tuple[float, float]] = {
    "school_refusal": (6.0, 15.6),
    "young_carer": (6.0, 18.0),
    "family_mind": (0.0, 18.0),
    "hospital_flag": (0.0, 15.0),
    "high_risk": (0.0, 18.0),
    "abuse": (0.0, 18.0),
    "hidden_hardship": (0.0, 18.0),
}


@dataclass
class Needs:
    """Per child (index as in `People`, children first) and theme."""

    themes: tuple[str, ...]
    own: Floats  # the child's own strain
    latent: dict[str, Floats]
    probability: dict[str, Floats]
    need_on: dict[str, Days]
    observed: dict[str, Bools]
    strain: dict[str, Grid]  # children × months, 0–1, rising before the outcome
    refusing: Bools


def window_rate(theme: str, months: int) -> float:
    """Share of children with an observed need in a window of ``months``."""
    if theme == "school_refusal":
        # children who refuse do so for longer than a year: of those in the window, so many reach 30 days within one year
        return rates.SCHOOL_REFUSAL_PER_YEAR * (0.48 + 0.30 * min(months, 36) / 12)
    return rates.NEED_IN_WINDOW[theme] * min(months, 36) / 24


def _normal_cdf(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2.0))), dtype=np.float64)


def _standard(x: Floats) -> Floats:
    spread = float(x.std())
    return (x - x.mean()) / spread if spread > 0 else x * 0.0


def draw_needs(
    code: str, people: People, homes: Households, themes: tuple[str, ...], months: npt.NDArray[np.datetime64], seed: int
) -> Needs:
    """Latent needs of all children, for the municipality's themes."""
    n = int(people.child.sum())
    home = people.household[:n]
    rng = stream(seed, code, "needs")
    own = rng.normal(0, 1, n)
    hardship = _standard(homes.hardship)[home]
    illness = homes.illness[home]
    single = _standard(homes.single.astype(float))[home]
    siblings = _standard(homes.children.astype(float))[home]
    first = months[0].astype("datetime64[D]")
    last = (months[-1] + 1).astype("datetime64[D]")
    age = (last - people.birth[:n]).astype(int) / 365.2425
    span = int((last - first).astype(int))
    rho = rates.LATENT_CORRELATION
    out = Needs(themes, own, {}, {}, {}, {}, {}, np.zeros(n, dtype=bool))
    for theme in themes:
        draw = stream(seed, code, "need", theme)
        a, b, c, d, e = _LOADINGS[theme]
        latent = _standard(
            a * hardship + b * own + c * illness + d * single + e * siblings + 0.45 * draw.normal(0, 1, n)
        )
        liability = rho * latent + math.sqrt(1 - rho**2) * draw.normal(0, 1, n)
        low, high = AGES[theme]
        eligible = (age >= low) & (age < high)
        rate = window_rate(theme, len(months)) / rates.OBSERVED
        pool = liability[eligible]
        threshold = float(np.quantile(pool, 1 - rate)) if len(pool) else math.inf
        need = eligible & (liability > threshold)
        noisy = liability + draw.normal(0, 0.55, n)
        cut = float(np.quantile(noisy[eligible], 1 - min(2.8 * rate, 0.5))) if len(pool) else math.inf
        strained = (eligible & (noisy > cut) & ~need) | (need & (draw.random(n) < 0.88))
        day = first + draw.integers(min(75, span // 3), max(span - 3, span // 3 + 1), n).astype("timedelta64[D]")
        # no need before the child is there
        day = np.maximum(day, people.birth[:n] + np.timedelta64(45, "D")).astype("datetime64[D]")
        need &= (day < last) & (people.resident_since[:n] <= day) & ~(people.left_on[:n] <= day)
        lead = draw.integers(100, 330, n)
        onset = day - lead.astype("timedelta64[D]")
        middle = months.astype("datetime64[D]") + np.timedelta64(15, "D")
        since = (middle[None, :] - onset[:, None]).astype(np.float32)
        rising = np.clip(since / lead[:, None].astype(np.float32), 0.0, 1.0)
        # strain that led nowhere fades within about half a year; a need stays until somebody helps
        after = np.clip(-(middle[None, :] - day[:, None]).astype(np.float32), -400, 0)
        fade = np.where(need[:, None], np.exp(after / 500.0), np.exp(after / 120.0))
        out.strain[theme] = (rising * fade * strained[:, None]).astype(np.float32)
        out.latent[theme] = latent
        out.probability[theme] = np.where(
            eligible, _normal_cdf((rho * latent - threshold) / math.sqrt(1 - rho**2)) * rates.OBSERVED, 0.0
        )
        out.need_on[theme] = np.where(need, day, NEVER).astype("datetime64[D]")
        out.observed[theme] = need & (draw.random(n) < rates.OBSERVED)
        if theme == "school_refusal":
            out.refusing = need
    return out


def combined(needs: Needs, weights: dict[str, float], months: int, children: int) -> Grid:
    """Strain over themes, weighted: how loudly one kind of sign speaks in each month (0 to about 1)."""
    total = np.zeros((children, months), dtype=np.float32)
    for theme, grid in needs.strain.items():
        total = np.maximum(total, grid * np.float32(weights.get(theme, weights.get("*", 0.0))))
    return total


def ages_at(people: People, children: int, day: np.datetime64) -> Ints:
    """Full years of age of each child on ``day`` (by 365.2425 days)."""
    return np.asarray(np.floor((day - people.birth[:children]).astype(int) / 365.2425), dtype=np.int64)
