"""Units of measurement: how hospitals spell them, what they mean (UCUM), and how values go from one to another.

A unit is read as a factor and a product of base dimensions. Mass and amount of substance are different dimensions; a
conversion between them takes the analyte's molar mass, which is computed from its formula and the atomic weights
(`analytes.csv`, `atoms.csv`). HbA1c goes by the NGSP/IFCC master equation, NGSP % = 0.09148 · IFCC mmol/mol + 2.152
(Hoelzel et al., Clin Chem 2004;50:166). Spellings, also Chinese ones, stand in `unit_spellings.csv`, unit concepts with
their sources in `unit_concepts.csv`.

Standard: The Unified Code for Units of Measure (UCUM), case-sensitive codes, the part that laboratories use.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from atoll.errors import DataError

HERE = Path(__file__).parent
Dimension = tuple[tuple[str, int], ...]
PREFIXES = {"": 1.0, "k": 1e3, "h": 1e2, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
ATOMS: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "g": (1.0, {"mass": 1}), "mol": (1.0, {"amount": 1}), "eq": (1.0, {"charge": 1}), "osm": (1.0, {"osmole": 1}),
    "L": (1e-3, {"length": 3}), "l": (1e-3, {"length": 3}), "m": (1.0, {"length": 1}), "s": (1.0, {"time": 1}),
    "min": (60.0, {"time": 1}), "h": (3600.0, {"time": 1}), "d": (86400.0, {"time": 1}), "wk": (604800.0, {"time": 1}),
    "mo": (2629800.0, {"time": 1}), "a": (31557600.0, {"time": 1}), "U": (1.0, {"enzyme": 1}),
    "kat": (6e7, {"enzyme": 1}), "[iU]": (1.0, {"international": 1}), "[IU]": (1.0, {"international": 1}),
    "[arb'U]": (1.0, {"arbitrary": 1}), "[GPL'U]": (1.0, {"gpl": 1}), "[MPL'U]": (1.0, {"mpl": 1}),
    "%": (1e-2, {}), "[ppm]": (1e-6, {}), "[HPF]": (1.0, {"hpf": 1}), "[LPF]": (1.0, {"lpf": 1}),
    "Pa": (1.0, {"pressure": 1}), "m[Hg]": (133_322.387, {"pressure": 1}), "m[H2O]": (9_806.65, {"pressure": 1}),
    "bar": (1e5, {"pressure": 1}), "Cel": (1.0, {"temperature": 1}), "K": (1.0, {"temperature": 1}),
    "[degF]": (5 / 9, {"temperature": 1}), "[in_i]": (0.0254, {"length": 1}), "[lb_av]": (453.59237, {"mass": 1}),
    "Hz": (1.0, {"time": -1}), "cal": (4.184, {"energy": 1}), "J": (1.0, {"energy": 1}),
}  # fmt: skip
ZERO = {"Cel": 273.15, "[degF]": 459.67 * 5 / 9, "K": 0.0}  # of the temperature scales, in kelvin
NO_PREFIX = frozenset(("min", "h", "d", "wk", "mo", "a", "%", "[HPF]", "[LPF]", "[in_i]", "[lb_av]", "[degF]", "Cel"))
BODY_SURFACE = "{1.73_m2}"  # a rate for a body of that surface is not the patient's own: it does not convert
ELSEWHERE = math.log(10)  # spread of the logarithms of values in a unit that was never seen
_HBA1C = (
    "hba1c", "a1c", "glycated hemoglobin", "glycated haemoglobin", "hemoglobin a1c", "haemoglobin a1c",
)  # fmt: skip
HBA1C_SLOPE, HBA1C_OFFSET = 0.09148, 2.152
TOKEN = re.compile(r"\{[^}]*\}|[./()]|10[*^]-?\d+|[A-Za-z%'\[\]_0-9]+?(?:-?\d+)?(?=[./(){]|$)")


@dataclass(frozen=True)
class Unit:
    """A unit: how many base units it is, of which dimension; `zero` only for temperatures."""

    factor: float
    dimension: Dimension
    zero: float = 0.0


class UnitError(DataError):
    """A unit that is not known, or two that do not convert into each other."""


def canonical(written: str) -> str:
    """The UCUM code of a unit as a hospital writes it; the text itself where it is one already; empty when unknown."""
    text = unicodedata.normalize("NFKC", written).strip().replace("μ", "u").replace("µ", "u").replace(" /", "/")
    if not text:
        return ""
    slashed = text.replace("∕", "/")
    found = spellings().get(slashed) or spellings().get(slashed.lower())
    if found:
        return found
    for candidate in (_cased(text), text):
        try:
            parse(candidate)
        except UnitError:
            continue
        return candidate
    return ""


@cache
def spellings() -> dict[str, str]:
    """Spelling → UCUM. One in lower case stands for all; one with capitals for itself: G/L is giga per litre, g/L is
    not."""
    with (HERE / "unit_spellings.csv").open(encoding="utf-8", newline="") as file:
        return {unicodedata.normalize("NFKC", row["written"]): row["ucum"] for row in csv.DictReader(file)}


@cache
def unit_concepts() -> dict[str, int]:
    """UCUM → the concept that stands for the unit."""
    with (HERE / "unit_concepts.csv").open(encoding="utf-8", newline="") as file:
        return {row["ucum"]: int(row["concept_id"]) for row in csv.DictReader(file)}


def concept_of(written: str) -> int:
    """The unit concept of a spelling, 0 when unknown."""
    return unit_concepts().get(canonical(written), 0)


def _cased(text: str) -> str:
    """A code in the wrong case as UCUM writes it: MG/DL → mg/dL."""
    parts = re.split(r"([./])", text)
    return "".join(_cased_atom(part) for part in parts)


def _cased_atom(part: str) -> str:
    lower = part.lower()
    for atom in ("mol", "eq", "osm", "g", "l", "u"):
        if lower.endswith(atom) and lower[: -len(atom)] in PREFIXES:
            return lower[: -len(atom)] + {"l": "L", "u": "U"}.get(atom, atom)
    return part


@cache
def parse(code: str) -> Unit:
    """A UCUM code as a unit.

    Raises
    ------
    UnitError
        When the code is not of the part of UCUM that is read here.
    """
    text = code.strip()
    if text in ZERO:
        return Unit(ATOMS[text][0], (("temperature", 1),), ZERO[text])
    tokens = TOKEN.findall(text)
    if "".join(tokens) != text or not tokens:
        raise UnitError(f"The unit {code[:40]!r} is not known.", "Write it as UCUM does, or add the spelling.")
    factor, powers, at = _product(tokens, 0, code)
    if at != len(tokens):
        raise UnitError(f"The unit {code[:40]!r} has a bracket too many.", "Write it as UCUM does: mg/(24.h).")
    return Unit(factor, tuple(sorted((name, power) for name, power in powers.items() if power)))


def _product(tokens: Sequence[str], at: int, code: str) -> tuple[float, dict[str, int], int]:
    factor, powers, sign, any_part = 1.0, dict[str, int](), 1, False
    while at < len(tokens) and tokens[at] != ")":
        word = tokens[at]
        at += 1
        if word in "./":
            sign = 1 if word == "." else -1
            continue
        if word == "(":
            part, inner, at = _product(tokens, at, code)
            if at >= len(tokens):
                raise UnitError(f"The unit {code[:40]!r} lacks a closing bracket.", "Write it as UCUM does: mg/(24.h).")
            at += 1
        else:
            part, inner = _term(word, code)
        factor *= part**sign
        for name, power in inner.items():
            powers[name] = powers.get(name, 0) + sign * power
        any_part = True
    if not any_part:
        raise UnitError(f"The unit {code[:40]!r} is empty between its signs.", "Write it as UCUM does.")
    return factor, powers, at


def _term(token: str, code: str) -> tuple[float, dict[str, int]]:
    if token == BODY_SURFACE:
        return 1.0, {"body surface": 1}
    if token.startswith("{"):
        return 1.0, {}
    if found := re.fullmatch(r"10[*^](-?\d{1,2})", token):
        return 10.0 ** int(found[1]), {}
    if re.fullmatch(r"[1-9]\d{0,8}", token):
        return float(token), {}
    found = re.fullmatch(r"(.*?)(-?\d)?", token)
    assert found is not None
    name, power = found[1], int(found[2] or 1)
    for text, exponent in ((token, 1), (name, power)):
        for size in (0, 1):
            prefix, atom = text[:size], text[size:]
            if atom in ATOMS and prefix in PREFIXES and not (prefix and atom in NO_PREFIX):
                factor, dimension = ATOMS[atom]
                scaled = (PREFIXES[prefix] * factor) ** exponent
                return scaled, {key: value * exponent for key, value in dimension.items()}
    raise UnitError(
        f"The unit {code[:40]!r} is not known: {token[:20]!r}.", "Write it as UCUM does, or add the spelling."
    )


@cache
def molar_masses() -> dict[str, tuple[float, int]]:
    """Analyte → molar mass in g/mol, and charge (0 where equivalents are not used)."""
    with (HERE / "atoms.csv").open(encoding="utf-8", newline="") as file:
        weight = {row["element"]: float(row["weight"]) for row in csv.DictReader(file)}
    found = {}
    with (HERE / "analytes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            parts = re.findall(r"([A-Z][a-z]?)(\d*)", row["formula"])
            mass = float(row["mass"] or 0) or sum(weight[e] * int(n or 1) for e, n in parts)
            found[row["key"]] = (mass, int(row["charge"]))
    return found


def analytes() -> list[str]:
    """The analytes by which `conversion` goes from mass to amount or charge."""
    return sorted({*molar_masses(), "hba1c"})


def conversion(source: str, target: str, analyte: str = "") -> tuple[float, float]:
    """Slope and offset with target = slope · source + offset, for units as UCUM codes or spellings.

    analyte   key of `analytes.csv` or `hba1c`, for conversions between mass, amount and charge

    Raises
    ------
    UnitError
        When a unit is unknown, or the two do not convert.
    """
    a, b = _known(source), _known(target)
    if analyte == "hba1c" and a != b:
        return _hba1c(a, b)
    if {a, b} == {"%", "mmol/mol"}:  # as plain numbers they would convert, and for HbA1c that is wrong
        raise UnitError(f"{a} converts into {b} for HbA1c alone.", "Name the analyte: hba1c.")
    left, right = parse(a), parse(b)
    if left.dimension == right.dimension:
        slope = left.factor / right.factor
        return slope, (left.zero - right.zero) / right.factor if left.zero or right.zero else 0.0
    if analyte in molar_masses():
        mass, charge = molar_masses()[analyte]
        left, right = _in_moles(left, mass, charge), _in_moles(right, mass, charge)
        if left.dimension == right.dimension:
            return left.factor / right.factor, 0.0
    if _enzymatic(left.dimension) == _enzymatic(right.dimension):
        return left.factor / right.factor, 0.0
    of = f" of {analyte}" if analyte else " without naming the analyte"
    raise UnitError(f"{a} does not convert into {b}{of}.", "Check the unit, or name the analyte.")


def _enzymatic(dimension: Dimension) -> dict[str, int]:
    """A dimension with international and arbitrary units as enzyme units: laboratories write U/L and IU/L alike."""
    found: dict[str, int] = {}
    for name, power in dimension:
        key = "enzyme" if name in ("international", "arbitrary") else name
        found[key] = found.get(key, 0) + power
    return found


def _known(written: str) -> str:
    code = canonical(written)
    if not code:
        raise UnitError(f"The unit {written[:40]!r} is not known.", "Write it as UCUM does, or add the spelling.")
    return code


def _in_moles(unit: Unit, mass: float, charge: int) -> Unit:
    """The unit with grams and equivalents of the analyte as moles."""
    powers = dict(unit.dimension)
    grams, equivalents = powers.pop("mass", 0), powers.pop("charge", 0)
    factor = unit.factor / mass**grams / (charge or 1) ** equivalents
    powers["amount"] = powers.get("amount", 0) + grams + (equivalents if charge else 0)
    return Unit(factor, tuple(sorted((name, power) for name, power in powers.items() if power)))


def _hba1c(source: str, target: str) -> tuple[float, float]:
    """By the master equation, between % (NGSP) and mmol/mol (IFCC)."""
    if (source, target) == ("mmol/mol", "%"):
        return HBA1C_SLOPE, HBA1C_OFFSET
    if (source, target) == ("%", "mmol/mol"):
        return 1 / HBA1C_SLOPE, -HBA1C_OFFSET / HBA1C_SLOPE
    raise UnitError(f"HbA1c is not converted from {source} into {target}.", "It is given in % or in mmol/mol.")


@cache
def analyte_words() -> dict[str, str]:
    """What an analyte is called in English → its key; the longest names first."""
    with (HERE / "analytes.csv").open(encoding="utf-8", newline="") as file:
        named = {row["words"]: row["key"] for row in csv.DictReader(file)}
    named |= {word: "hba1c" for word in _HBA1C}
    return dict(sorted(named.items(), key=lambda entry: -len(entry[0])))


def analyte_in(text: str) -> str:
    """The analyte that a column's name or label speaks of, or nothing."""
    plain = " " + re.sub(r"[^a-z0-9]+", " ", unicodedata.normalize("NFKC", text).lower()) + " "
    return next((key for words, key in analyte_words().items() if f" {words} " in plain), "")


def likely_unit(text: str, unit: str, here: float, elsewhere: float, within: float = 1.35) -> str:
    """The unit in which `here` would say what `elsewhere` says in `unit`, or nothing: an HbA1c of 46 among hospitals
    with 6.4 % looks like mmol/mol.

    text      names the analyte, as a column's name and label do
    within    largest ratio of the two, once converted; hospitals differ by their patients too
    """
    own, analyte, best = canonical(unit), analyte_in(text), ("", math.log(within))
    if not own or here <= 0 or elsewhere <= 0:
        return ""
    for other in dict.fromkeys([*unit_concepts(), *ATOMS]):
        try:
            slope, offset = conversion(other, own, analyte)
        except UnitError:
            continue
        converted = slope * here + offset
        if other != own and converted > 0 and abs(slope - 1) > 1e-9:
            distance = abs(math.log(converted / elsewhere))
            if distance < best[1] - 1e-9:
                best = other, distance
    return best[0]


def convert(values: Any, source: str, target: str, analyte: str = "") -> Any:
    """Values (array) from one unit into another; see `conversion`."""
    slope, offset = conversion(source, target, analyte)
    return np.asarray(values, float) * slope + offset


def infer(values: Any, known: Mapping[str, Any], unknown: float = 0.0) -> tuple[list[str], Any]:
    """Which unit values without one are in, told from how values with a unit are distributed.

    values   n numbers without a unit
    known    unit → numbers of the same test that have it (20 or more to count)
    unknown  prior share of a unit that none of them is in: its values may lie a factor of ten (`ELSEWHERE`) from the
             others'. Without it a single unit is certain for every value, also for one that it cannot explain

    Every unit's values are summed up by median and spread of their logarithm; the posterior of a row is that of a
    robust (Student's t with 4 degrees) likelihood, with the units' shares as prior. Nothing is filled in by this: it is
    a proposal, to be written down with its probability.

    Returns the units, and an n × units array of probabilities whose rows sum to one (with `unknown`, to less).
    """
    usable = {}
    for unit, sample in known.items():
        positive = np.asarray(sample, float)
        positive = positive[np.isfinite(positive) & (positive > 0)]
        if len(positive) >= 20:
            usable[unit] = np.log(positive)
    units, x = list(usable), np.asarray(values, float)
    if not units:
        return [], np.zeros((len(x), 0))
    total = sum(len(sample) for sample in usable.values())
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(x)
    score = np.empty((len(x), len(units) + 1))
    for at, sample in enumerate(usable.values()):
        centre = np.median(sample)
        spread = max(1.4826 * float(np.median(np.abs(sample - centre))), 0.02)
        score[:, at] = np.log((1 - unknown) * len(sample) / total) + _likelihood(logs, centre, spread)
    middle = np.median(np.concatenate(list(usable.values())))
    with np.errstate(divide="ignore"):
        score[:, -1] = np.log(unknown) + _likelihood(logs, middle, ELSEWHERE)
    score[~np.isfinite(logs)] = np.log(1 / len(units))
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    weight[~np.isfinite(logs), -1] = unknown
    return units, (weight / weight.sum(axis=1, keepdims=True))[:, :-1]


def _likelihood(logs: Any, centre: float, spread: float) -> Any:
    """Of logarithms under a Student's t with 4 degrees, but for a constant."""
    return -np.log(spread) - 2.5 * np.log1p(((logs - centre) / spread) ** 2 / 4)
