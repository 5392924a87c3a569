"""Life courses of a block of persons: birth, habits, onset of diseases, death.

Every person carries three hidden traits (metabolic, vascular, respiratory; standard normal) that make diseases come
together. Chronic disease d begins at the age where the cumulative hazard

    λ_d,sex · exp(risk_d) · (age / 60) ^ shape_d

reaches a unit exponential draw; risk_d is linear in traits and smoking (`risks.csv`). λ is calibrated so that the share
of the adult population (`ages.csv`) in which the disease has begun equals the published prevalence by sex
(`prevalence.csv`); a hospital's burden multiplies it. Death follows Gompertz' law (hazard B·exp(0.093·age)), with
factors for sex, smoking and the diseases present, conditional on being alive at the first contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from atoll.simulate.facts import CHRONIC, SMOKING, numbers, table
from atoll.simulate.hospitals import SECOND, THIRD, Hospital

YEAR = 365.25
START = np.datetime64("2015-01-01").astype(int).item()  # days since 1970: first day of the window
END = np.datetime64("2024-12-31").astype(int).item()
NEVER = 2**30  # a day that does not come
GOMPERTZ, B = 0.093, 3.8e-5  # median age at death about 80
MALE_DEATH, SMOKER_DEATH, HEALTHY = 0.27, 0.40, -1.35  # log hazards; the last: of who has none of the diseases
RISKS = {row["key"]: row for row in table("risks.csv")}
TRAITS = ("metabolic", "vascular", "respiratory", "smoking")
SMOKERS_MALE, SMOKERS_FEMALE, FORMER = (
    0.505,
    0.021,
    0.18,
)  # current smokers by sex; former among the others who ever did


@dataclass(frozen=True)
class Persons:
    """A block of n persons; days count from 1970-01-01, `NEVER` for what does not happen.

    home, others   index of the first hospital, and of second and third (−1 for none), n and n × 2
    traits         n × 4: metabolic, vascular, respiratory, smoking (centred within sex)
    onset          n × chronic diseases, day
    """

    number: Any
    home: Any
    others: Any
    birth: Any
    male: Any
    entry: Any
    leave: Any
    death: Any
    smoking: Any
    bmi: Any
    height: Any
    traits: Any
    onset: Any


def persons(rng: np.random.Generator, first: int, n: int, hospitals: Sequence[Hospital]) -> Persons:
    """Persons number first … first + n − 1."""
    share = np.array([hospital.share for hospital in hospitals])
    share = share / share.sum()
    home = rng.choice(len(hospitals), n, p=share)
    male = rng.random(n) < np.array([hospital.male for hospital in hospitals])[home]
    age = _ages(rng, home, hospitals)
    birth = START - np.floor(age * YEAR).astype(np.int64)
    entry = START + np.floor(rng.random(n) ** 1.5 * 0.8 * (END - START)).astype(np.int64)
    stays = rng.exponential(14 * YEAR, n)
    leave = np.minimum(entry + 30 + stays.astype(np.int64), END)
    smoking, centred = _smoking(rng, male)
    traits = np.column_stack([rng.standard_normal((n, 3)), centred])
    burden = np.array([hospital.burden for hospital in hospitals])[home]
    onset = _onsets(rng, birth, male, traits, burden)
    death = _deaths(rng, birth, male, smoking, entry, onset)
    onset = np.where(onset < death[:, None], onset, NEVER)
    bmi = np.clip(23.8 + 2.8 * traits[:, 0] + 0.02 * (age - 45) + rng.normal(0, 1.9, n), 14.5, 52)
    height = np.where(male, rng.normal(169.5, 6.3, n), rng.normal(158, 5.9, n)).round()
    others = _other_hospitals(rng, home, share)
    return Persons(
        first + np.arange(n), home, others, birth, male, entry, leave, death, smoking, bmi, height, traits, onset
    )


def _ages(rng: np.random.Generator, home: Any, hospitals: Sequence[Hospital]) -> Any:
    """Ages at the start of the window, 18 and above: the population's, tilted as each hospital's patients are."""
    begins, share = population()
    width = np.append(np.diff(begins), 15.0)
    age = np.empty(len(home))
    for at, hospital in enumerate(hospitals):
        here = np.flatnonzero(home == at)
        weight = share * np.exp(hospital.age * (begins + width / 2 - 50))
        group = rng.choice(len(begins), len(here), p=weight / weight.sum())
        age[here] = begins[group] + rng.random(len(here)) * width[group]
    return age


@cache
def population() -> tuple[Any, Any]:
    """Adult age groups: where each begins, and its share."""
    rows = table("ages.csv")
    share = numbers(rows, "share")
    return numbers(rows, "from_age"), share / share.sum()


def _smoking(rng: np.random.Generator, male: Any) -> tuple[Any, Any]:
    p = np.where(male, SMOKERS_MALE, SMOKERS_FEMALE)
    u = rng.random(len(male))
    current = u < p
    former = ~current & (u < p * (1 + FORMER))
    state = np.where(current, SMOKING.index("current"), np.where(former, SMOKING.index("former"), 0))
    exposure = current + 0.6 * former
    return state, exposure - p * (1 + 0.6 * FORMER)


def _other_hospitals(rng: np.random.Generator, home: Any, share: Any) -> Any:
    n, count = len(home), len(share)
    others = np.full((n, 2), -1)
    if count > 1:
        u = rng.random(n)
        second = rng.choice(count, n, p=share)
        use = (u < SECOND) & (second != home)
        others[use, 0] = second[use]
        third = rng.choice(count, n, p=share)
        use = (u < THIRD) & (others[:, 0] >= 0) & (third != home) & (third != others[:, 0])
        others[use, 1] = third[use]
    return others


def risk(key: str, traits: Any) -> Any:
    """The log risk of one disease for traits (… × 4)."""
    return traits @ np.array([float(RISKS[key][trait]) for trait in TRAITS])


@cache
def calibration() -> dict[str, tuple[float, float, float]]:
    """For every chronic disease λ of men, λ of women and the shape, so that prevalences come out as published."""
    rng = np.random.default_rng(20)
    begins, share = population()
    size = 4000
    group = rng.choice(len(begins), size, p=share)
    age = begins[group] + rng.random(size) * np.append(np.diff(begins), 15.0)[group]
    found = {}
    for row in table("prevalence.csv"):
        shape, old = float(row["shape"]), age >= float(row["from_age"])
        scales = []
        for sex, column in ((True, "percent_male"), (False, "percent_female")):
            _, centred = _smoking(rng, np.full(size, sex))
            lp = risk(row["key"], np.column_stack([rng.standard_normal((size, 3)), centred]))
            growth = (np.exp(lp) * (age / 60) ** shape)[old]
            scales.append(_solve(growth, float(row[column]) / 100))
        found[row["key"]] = (scales[0], scales[1], shape)
    return found


def _solve(growth: Any, target: float) -> float:
    """λ with mean(1 − exp(−λ·growth)) = target, by bisection in the logarithm."""
    if target <= 0:
        return 0.0
    low, high = -20.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(-np.expm1(-np.exp(middle) * growth)) < target:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def _onsets(rng: np.random.Generator, birth: Any, male: Any, traits: Any, burden: Any) -> Any:
    onset = np.empty((len(birth), len(CHRONIC)), np.int64)
    for at, key in enumerate(CHRONIC):
        scale_male, scale_female, shape = calibration()[key]
        scale = np.where(male, scale_male, scale_female) * burden * np.exp(risk(key, traits))
        with np.errstate(divide="ignore"):
            age = 60 * (rng.exponential(size=len(birth)) / scale) ** (1 / shape)
        onset[:, at] = np.where(age < 120, birth + np.minimum(age, 120) * YEAR, NEVER)
    return onset


def _deaths(rng: np.random.Generator, birth: Any, male: Any, smoking: Any, entry: Any, onset: Any) -> Any:
    """Day of death, after the day of entry; the diseases begun five years after entry count as present."""
    weights = np.array([float(RISKS[key]["mortality"]) for key in CHRONIC])
    present = onset < (entry + 5 * YEAR)[:, None]
    lp = present @ weights + MALE_DEATH * (male - 0.5) + SMOKER_DEATH * (smoking > 0) + HEALTHY
    age = (entry - birth) / YEAR
    cumulative = B / GOMPERTZ * np.exp(GOMPERTZ * age) + rng.exponential(size=len(birth)) / np.exp(lp)
    death = np.log(cumulative * GOMPERTZ / B) / GOMPERTZ
    return birth + np.ceil(death * YEAR).astype(np.int64) + 1
