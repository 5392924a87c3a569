"""Do the hospitals' columns mean the same? Middle values, shares and gaps side by side, before any model is made.

    m_s = median of a number at hospital s,   m_−s = median of the other hospitals' medians,   r_s = m_s / m_−s

A number stands apart where r_s lies outside 1/1.8 … 1.8 and its middle half does not meet that of the others. When
another unit would bring it back (`study.units.likely_unit`: HbA1c of 46 among hospitals with 6.4 % is mmol/mol), that
unit is named. A hospital is *mixed* when some of its values lie farther from its own median than other hospitals'
ever do, with a valley between: values in two units under one name. Categories stand apart by their total variation
distance d = ½ Σ |p_s − p_−s|, where p_−s are the medians of the others' shares; everything by the share of persons
without a value. A number that is zero or less for more than one in a hundred somewhere has no scale: there only gaps
are compared.

Nothing leaves but numbers of persons, each hospital's kept apart: by decade of the value, a decade of too few joined
to the next one; then by bins over the decades that some hospital needs, merged until enough stand in each.

Kahn et al. (2016), doi:10.13063/2327-9214.1244: plausibility by comparison with other sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.bins import bounds_per_level, persons_per_bin, quantile
from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.options import ColumnName, Edges
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, table, witness
from atoll.study.dictionary import OTHER, Dictionary
from atoll.study.units import likely_unit
from atoll.study.view import Setting

PRECISION = ""  # nothing that a number of persons would tell
EXAMPLES = ({"columns": ["age", "bmi", "sex", "smoker"]}, {"columns": ["sex", "smoker"]})
DECADES = np.arange(-8.0, 11.0)  # log10 of the ends of the first round's cells
INNER = 19  # edges of the second round
RATIO = 1.8  # of medians: the smallest change of unit that laboratories make is that of pounds and kilograms, 2.2
FAR, VALLEY, MIXED = 4.5, 2.5, 0.02  # ratios to the own median, and the share of values that must lie beyond
GAPS = 0.2  # difference of the shares of persons without a value
SIGNED = 0.01  # share of values that are not above zero, from which a number has no scale
DISTANCE = 0.3  # total variation between two distributions over levels
ABSENT, RARER = 0.05, 10  # share elsewhere of a level that nobody has here; at least so many times what few would be


class Seen(Statistics):
    persons: int = count(apart=True)
    known: Array = table(apart=True)
    valued: Array = table(apart=True)
    low: Array = table(apart=True)
    high: Array = table(apart=True)
    decades: Array = table(apart=True)
    behind: dict[str, Array] = witness()


class Bins(Statistics):
    low: Array = table(apart=True)
    high: Array = table(apart=True)


@dataclass(frozen=True)
class Comparability:
    """What each hospital's columns look like, and where they stand apart.

    persons       of all hospitals
    columns       type and unit of each
    sites_apart   for each hospital `persons`, `columns` (a number: median, q25, q75, mixed; a category: `shares`, each
                  at the most, and `shares_least`; both: missing, a share), and `findings`
    """

    persons: int
    columns: dict[str, dict[str, str]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@at_site_whole
def seen(data: Data, numbers: tuple[str, ...], words: tuple[str, ...]) -> Seen:
    """Persons with a value of each column, per decade, and per word. `words` are `column=level`, `…` for the rest."""
    persons, levels = data.persons(), _by_column(words)
    known = {name: _known(data, name, persons) for name in (*numbers, *levels)}
    bounds = [bounds_per_level(data, c, own) if known[c] else ([0] * (len(own) + 1),) * 2 for c, own in levels.items()]
    low, high = (np.array([n for ends in bounds for n in ends[side]], dtype=np.int64) for side in (0, 1))
    return Seen(
        persons=persons,
        known=np.array(list(known.values()), dtype=np.int64),
        valued=np.array([_valued(data, name) if known[name] else 0 for name in levels], dtype=np.int64),
        low=low,
        high=high,
        decades=np.array([_decades(data, name, persons) for name in numbers], np.int64).reshape(-1, len(DECADES) + 1),
        behind={"missing": np.array([persons - n for n in known.values()], dtype=np.int64)},
    )


@at_site_whole
def bins(data: Data, numbers: tuple[str, ...], edges: Edges) -> Bins:
    """Persons per bin of each number; `edges` has a row a number."""
    return Bins(**_histograms(data, numbers, edges))


def _by_column(words: tuple[str, ...]) -> dict[str, list[str]]:
    """The levels of each column, of `words`: `column=level`, the last of each is `…`."""
    levels: dict[str, list[str]] = {}
    for word in words:
        name, _, level = word.partition("=")
        levels.setdefault(name, []).extend([level] if level != OTHER else [])
    return levels


def _valued(data: Data, name: str) -> int:
    values = data.column(name)
    return data.persons(
        ~np.isnan(values) if values.dtype.kind == "f" else np.array([value is not None for value in values])
    )


def _known(data: Data, name: str, persons: int) -> int:
    """Persons with a value: all, or nobody, where too few are without or with one."""
    known = _valued(data, name)
    return 0 if known < data.minimum else persons if persons - known < data.minimum else known


def _decades(data: Data, name: str, persons: int) -> Array:
    """Persons per decade; those of too few go, from both ends inwards, to the next one towards the fullest."""
    x, size = data.column(name), len(DECADES) + 1
    there = np.isfinite(x)
    codes = np.where(there, np.searchsorted(10.0**DECADES, np.where(there, x, 0.0)), size)
    held = data.persons_per(codes, size + 1)[:-1]
    if not _known(data, name, persons):
        return np.zeros(size, dtype=np.int64)
    fullest = int(np.argmax(held))
    for code in (*range(fullest), *range(size - 1, fullest, -1)):
        if 0 < data.persons(codes == code) < data.minimum:
            codes[codes == code] = code + (1 if code < fullest else -1)
    return data.persons_per(codes, size + 1)[:-1]


def _histograms(data: Data, numbers: tuple[str, ...], edges: Array) -> dict[str, Array]:
    """Bins of each number; empty ones of a number that too few have."""
    everybody, empty = data.persons(), np.zeros((2, edges.shape[-1] + 1), dtype=np.int64)
    pairs = [
        np.array(persons_per_bin(data, name, row)) if _known(data, name, everybody) else empty
        for name, row in zip(numbers, edges, strict=True)
    ]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2, edges.shape[-1] + 1)
    return {"low": both[:, 0], "high": both[:, 1]}


def comparability(setting: Setting, *, columns: tuple[ColumnName, ...]) -> Program:
    """Each hospital's middle values, shares and gaps, and which of them stand apart from the others'.

    columns   numbers, flags, and categories with levels
    """
    numbers = tuple(name for name in columns if setting.columns[name].type == "number")
    levels: dict[str, tuple[str, ...]] = {
        name: _levels(setting.columns, name) for name in columns if name not in numbers
    }
    words = tuple(f"{name}={level}" for name, known in levels.items() for level in (*known, OTHER))
    first = yield seen(numbers=numbers, words=words)
    edges = np.array([_edges(first.decades[:, i]) for i in range(len(numbers))]).reshape(-1, INNER)
    second = yield bins(numbers=numbers, edges=edges)
    figures = [_site(s, first, second, numbers, levels, np.log10(edges), words) for s in range(len(setting.sites))]
    found = findings(figures, setting.columns)
    return Comparability(
        int(first.persons.sum()),
        {name: {"type": setting.columns[name].type, "unit": setting.columns[name].unit} for name in columns},
        {
            site: {"persons": int(first.persons[s]), "columns": figures[s], "findings": found[s]}
            for s, site in enumerate(setting.sites)
        },
        [] if setting.public else ["rounded_apart"],
    )


def _levels(columns: Dictionary, name: str) -> tuple[str, ...]:
    column = columns[name]
    levels = column.levels or (("0", "1") if column.type == "flag" else ())
    if not levels:
        what = f"columns: {name!r} is a {column.type}" + (" without levels." if column.type == "category" else ".")
        raise StudyError(what, "Give its levels in the study, or leave it out.", code="COLUMN_UNFIT", subject=name)
    return levels


def _edges(decades: Array) -> Array:
    """Inner edges, evenly on a logarithmic scale, over the decades that hold 90 % of some hospital's values."""
    ends = []
    for held in decades[decades.sum(axis=1) > 0]:
        reached = held.cumsum() / held.sum()
        first, last = int(np.argmax(reached > 0.05)), int(np.argmax(reached >= 0.95))
        ends += [DECADES[max(first, 1) - 1], DECADES[min(last, len(DECADES) - 1)]]
    start, end = (min(ends), max(ends)) if ends else (0.0, 1.0)
    return np.asarray(10.0 ** np.linspace(start, max(end, start + 1), INNER))


def _site(
    s: int, first: Any, second: Any, numbers: tuple[str, ...], levels: dict[str, tuple[str, ...]], edges: Array,
    words: tuple[str, ...],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """A hospital's figures of each column."""
    persons = max(int(first.persons[s]), 1)
    gaps = {name: max(1 - int(n) / persons, 0.0) for name, n in zip((*numbers, *levels), first.known[s], strict=True)}
    found: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(numbers):
        signed = (first.decades[:, i, 0] > SIGNED * first.decades[:, i].sum(axis=1)).any()
        low, high = (0 * cells if signed else cells for cells in (second.low[s, i], second.high[s, i]))
        found[name] = _number(low, high, edges[i]) | {"missing": gaps[name]}
    low, high = (dict(zip(words, cells[s].tolist(), strict=True)) for cells in (first.low, first.high))
    for (name, known), total in zip(levels.items(), first.valued[s].tolist(), strict=True):
        listed = [level for level in (*known, OTHER) if total and (level != OTHER or high[f"{name}={level}"])]
        most, least = ({level: min(ends[f"{name}={level}"] / total, 1.0) for level in listed} for ends in (high, low))
        found[name] = {"shares": most, "shares_least": least, "missing": gaps[name]}
    return found


def _number(low: Array, high: Array, edges: Array) -> dict[str, float]:
    """Quartiles from a histogram over log10 x, and the share of values on another scale than the middle one.

    The grid reaches as far as the values of nearly everybody; who is beyond it counts as at its end.
    """
    ends = (float(edges[0]), float(edges[-1]))
    q25, median, q75 = (float(10.0 ** quantile(low, high, edges, q, ends)[0]) for q in (0.25, 0.5, 0.75))
    return {"q25": q25, "median": median, "q75": q75, "mixed": _mixed(low, high, edges, np.log10(median))}


def _mixed(low: Array, high: Array, edges: Array, middle: float) -> float:
    """Of who lies for certain beyond `FAR`; nothing when a third as many may lie in the valley before it."""
    if not low.any() or not np.isfinite(middle):
        return 0.0
    starts, ends = np.concatenate([[-np.inf], edges]) - middle, np.concatenate([edges, [np.inf]]) - middle
    far, valley = np.log10(FAR), np.log10(VALLEY)
    beyond = low[starts >= far].sum() + high[ends <= -far].sum()
    between = low[(starts < far) & (ends > valley)].sum() + high[(starts < -valley) & (ends > -far)].sum()
    return float(beyond / low.sum()) if beyond > 3 * between else 0.0


def findings(figures: list[dict[str, dict[str, Any]]], columns: Dictionary) -> list[list[dict[str, Any]]]:
    """Where each hospital stands apart: {column, kind, here, elsewhere, …}; pure."""
    found: list[list[dict[str, Any]]] = [[] for _ in figures]
    for name in figures[0] if len(figures) > 1 else ():
        own = [one[name] for one in figures]
        gaps = [one["missing"] for one in own]
        for s, gap in enumerate(gaps):
            elsewhere = float(np.median([g for t, g in enumerate(gaps) if t != s]))
            if abs(gap - elsewhere) > GAPS:
                found[s].append({"column": name, "kind": "missing", "here": gap, "elsewhere": elsewhere})
        compare = _numbers_apart if "median" in own[0] else _shares_apart
        for s, entry in compare(own, name, columns):
            found[s].append({"column": name, **entry})
    return found


def _numbers_apart(own: list[dict[str, Any]], name: str, columns: Dictionary) -> list[tuple[int, dict[str, Any]]]:
    column, found = columns[name], []
    known = [s for s, one in enumerate(own) if np.isfinite(one["median"]) and one["median"] > 0]
    apart: dict[int, str] = {}
    for s in known:
        here, there, _ = _beside(own, s, known)
        if _stands_apart(own, s, known):
            apart[s] = likely_unit(f"{name} {column.label}", column.unit, here, there)
    trusted = [s for s in known if not apart.get(s)]  # a hospital in another unit is no measure of the others
    for s in known:
        others = [t for t in trusted if t != s] or ([] if s in trusted and len(trusted) < len(known) else known)
        here, there, mixed = _beside(own, s, others)
        if apart.get(s) or _stands_apart(own, s, others):
            found.append((s, {"kind": "unit" if apart.get(s) else "level", "here": here, "elsewhere": there,
                              "looks_like": apart.get(s, "")}))  # fmt: skip
        elif own[s]["mixed"] >= MIXED and mixed < own[s]["mixed"] / 2:
            found.append((s, {"kind": "mixed", "here": own[s]["mixed"], "elsewhere": mixed}))
    return found


def _beside(own: list[dict[str, Any]], s: int, known: list[int]) -> tuple[float, float, float]:
    """The median here, the middle one of the others, and the share that is mixed there."""
    others = [own[t] for t in known if t != s] or [own[s]]
    there = [float(np.median([one[key] for one in others])) for key in ("median", "mixed")]
    return own[s]["median"], there[0], there[1]


def _stands_apart(own: list[dict[str, Any]], s: int, known: list[int]) -> bool:
    others = [own[t] for t in known if t != s]
    if not others:
        return False
    here, (q25, q75) = own[s], (np.median([one[key] for one in others]) for key in ("q25", "q75"))
    ratio = here["median"] / np.median([one["median"] for one in others])
    return bool(not 1 / RATIO < ratio < RATIO and (here["q25"] > q75 or here["q75"] < q25))


def _shares_apart(own: list[dict[str, Any]], name: str, columns: Dictionary) -> list[tuple[int, dict[str, Any]]]:
    """Of the levels that have a name; `…` holds few of each, whose bounds are told."""
    found = []
    known = [s for s, one in enumerate(own) if one["shares"]]
    levels = sorted({level for s in known for level in own[s]["shares"]} - {OTHER})
    for s in known:
        here = {level: _ends([own[s]], level) for level in levels}
        there = {level: _ends([own[t] for t in known if t != s] or [own[s]], level) for level in levels}
        gap = {level: max(here[level][0] - there[level][1], there[level][0] - here[level][1], 0.0) for level in levels}
        distance, flag = sum(gap.values()) / 2, columns[name].type == "flag"  # of a flag one share says the other
        worst = max(levels[flag:], key=lambda level: (round(gap[level], 2), here[level]))
        absent = [n for n in levels if not here[n][0] and there[n][0] >= max(ABSENT, RARER * here[n][1])]
        if distance > DISTANCE or absent:
            level = worst if distance > DISTANCE or flag else absent[0]
            (here_least, most), (there_least, there_most) = here[level], there[level]
            found.append((s, {"kind": "share", "level": level, "here": most, "here_least": here_least,
                              "elsewhere": there_most, "elsewhere_least": there_least}))  # fmt: skip
    return found


def _ends(own: list[dict[str, Any]], level: str) -> tuple[float, float]:
    """The least and the largest share of a level: the medians of these hospitals'."""
    least, most = (float(np.median([one[key].get(level, 0.0) for one in own])) for key in ("shares_least", "shares"))
    return least, most
