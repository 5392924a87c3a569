"""Fit the weights of the term matcher on one half of mapped names: python scripts/fit_terms.py NAMES CONCEPTS

Writes atoll/ingest/terms/weights.csv. How sure it may be is set by five-fold cross-validation within that half, in
which words go with the names that alone use them. `--test` also reports the other half, which nothing
here is fitted on.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from atoll.ingest.terminology import Matcher, Name, probabilities
from atoll.ingest.terms import text as term_text
from atoll.ingest.terms.concepts import read_concepts
from atoll.ingest.terms.features import FEATURES, hospital_side

RIDGE = 1.0
ABSENT = 0.05  # weight of names whose right concept is taken away, so that "none of these" has a price
UNSEEN = (0.5, 1.0)  # shares of the words that only held-out names use, which are taken out of the tables
# what is tried, see `sized`; cheaper still, and any word in common is a concept in common
SCALES, CHEAPER = np.arange(1.0, 1.75, 0.05), np.arange(0.0, 2.25, 0.25)


UNTOLD = tuple(f"method {m}" for m in (
    "other", "electrophoresis", "calculation", "screen", "naa", "culture", "chromogenic", "manual"))  # fmt: skip
# a method that the name does not tell may only speak against a concept, and so may a ratio where none is told
HIGHEST = (
    dict.fromkeys(UNTOLD, -0.2)
    | dict.fromkeys(
        ("property ratio by default", "property fraction by default", "property fraction in chemistry", "method none"),
        0.0,
    )
    | dict.fromkeys(("ratio only in the name", "ratio only in the concept"), -1.0)
)
LOWEST = {
    "ratio's second part": 1.5,
    "method none": 0.0,
    "property mass by default": 0.0,
    "property mass in chemistry": 0.0,
}
FIXED = {
    "earlier decision": 12.0,
    "domain other": -6.0,
    "synonym": -0.3,
    "a procedure rather than a result": -5.0,
    "not standard": -3.0,
    "not of the usual vocabulary": -1.0,
}  # never seen in these names


def half(name: str) -> int:
    """0 for tuning, 1 for the test: by a hash of the name, so that one name is never in both."""
    return hashlib.sha256(name.strip().lower().encode()).digest()[0] % 2


def read_names(path: Path) -> tuple[list[Name], np.ndarray]:
    """Names and the concept that reviewers gave them."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [Name(row["name"], row["fluid"], row["category"], row["unit"]) for row in rows]
    return names, np.array([int(row["concept_id"]) for row in rows])


def fit(pairs, gold, names: np.ndarray) -> np.ndarray:
    """Weights by penalised likelihood over the names given."""
    keep = np.isin(pairs.rows, names)
    rows, x, right = pairs.rows[keep], pairs.x[keep], pairs.ids[keep] == gold[pairs.rows[keep]]
    _, rows = np.unique(rows, return_inverse=True)
    n, k = rows.max() + 1, x.shape[1]
    starts = np.searchsorted(rows, np.arange(n))
    reached = np.add.reduceat(right, starts) > 0

    def loss(w):
        score = x @ w[:k]
        value, slope = 0.0, 1.0 * RIDGE * w
        slope[k] = 0
        for weight, mask in ((1.0, np.ones(len(rows), bool)), (ABSENT, ~right)):
            s = np.where(mask, score, -1e9)
            top = np.maximum(np.maximum.reduceat(s, starts), w[k])
            e = np.exp(s - top[rows])
            none = np.exp(w[k] - top)
            total = np.add.reduceat(e, starts) + none
            p = e / total[rows]
            if weight == 1.0:
                hit = np.where(reached, np.add.reduceat(np.where(right, e, 0), starts), none)
                share = np.where(reached[rows] & right, e / np.maximum(hit[rows], 1e-300), 0)
                value -= np.log(np.maximum(hit / total, 1e-300)).sum()
                slope[:k] += x.T @ (p - share)
                slope[k] += (none / total - ~reached).sum()
            else:
                value -= weight * np.log(none / total).sum()
                slope[:k] += weight * (x.T @ p)
                slope[k] += weight * (none / total - 1).sum()
        return value + RIDGE * (w[:k] @ w[:k]) / 2, slope

    bounds = [(LOWEST.get(name), HIGHEST.get(name)) for name in FEATURES] + [(None, None)]
    return minimize(loss, np.zeros(k + 1), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 400}).x


def judged(pairs, gold, p, names):
    """First, in the first five, calibration error (ten equal bins) of the first and of the first five."""
    first = five = 0
    chance, hit, chance5, hit5 = [], [], [], []
    for name in names:
        here = np.flatnonzero(pairs.rows == name)
        order = here[np.argsort(-p[here], kind="stable")][:5]
        ok = pairs.ids[order] == gold[name]
        first, five = first + bool(len(ok) and ok[0]), five + bool(ok.any())
        if len(order):
            chance.append(p[order[0]])
            hit.append(ok[0])
        chance5 += list(p[order])
        hit5 += list(ok)
    return first / len(names), five / len(names), calibration(chance, hit), calibration(chance5, hit5)


def calibration(chance, hit, weight=None) -> float:
    """Expected calibration error: mean distance of probability and frequency over ten bins of width 0.1."""
    chance, hit = np.array(chance), np.array(hit, float)
    weight = np.ones(len(chance)) if weight is None else weight
    bins = np.minimum((chance * 10).astype(int), 9)
    return sum(abs((weight * (chance - hit))[bins == b].sum()) for b in set(bins)) / weight.sum()


@contextlib.contextmanager
def without(words: set):
    """The tables without some words, as if nobody had written them down."""
    table, whole = term_text.table("words_en.csv"), dict(term_text.table("words_en.csv"))
    for word in words:
        del table[word]
    for cached in (term_text.meanings, term_text.spelt):
        cached.cache_clear()
    try:
        yield
    finally:
        table.update(whole)
        for cached in (term_text.meanings, term_text.spelt):
            cached.cache_clear()


def unseen(names, tune, fold, share) -> list[set]:
    """For each fold, words of the table that only names of this fold use: they may have been written for them.

    Of others' names such words are not there, and a probability that is set with them is too sure.
    """
    parts = {at: term_text.split(names[at].name) for at in tune}
    drop: list[set] = [set() for _ in range(5)]
    for word in term_text.table("words_en.csv"):
        n = len(word)
        used = {fold[at] for at, p in parts.items() if any(tuple(p[i : i + n]) == word for i in range(len(p) - n + 1))}
        if len(used) == 1 and hashlib.sha256(" ".join(word).encode()).digest()[0] < 256 * share:
            drop[used.pop()].add(word)
    return drop


def tops(pairs, gold, w):
    """Of every name the best candidate's probability and whether it is right; the same with the right one absent."""
    right, n = pairs.ids == gold[pairs.rows], len(gold)
    score = pairs.x @ w[:-1]
    found = []
    for mask in (np.ones(len(right), bool), ~right):
        some = dataclasses.replace(pairs, **{f: getattr(pairs, f)[mask] for f in ("rows", "columns", "x", "ids")})
        p, best = probabilities(some, w), np.zeros(n)
        np.maximum.at(best, some.rows, p)
        top, hit = np.full(n, -1e9), np.full(n, -1e9)
        np.maximum.at(top, some.rows, score[mask])
        np.maximum.at(hit, some.rows[right[mask]], score[mask][right[mask]])
        found.append((best, (hit == top) & (hit > -1e9)))
    return found


def sized(names, gold, concepts, folds, tune, fold) -> tuple[float, float]:
    """How sure the weights may be: their scale, and how much cheaper "none of these" is, by the least calibration
    error over names that are held out together with words that only they use, some without their right concept."""
    held = []
    for share in UNSEEN:
        for k, words in enumerate(unseen(names, tune, fold, share)):
            with without(words):
                matcher = Matcher(read_concepts(concepts))
                asked = tune[fold[tune] == k]
                held.append((matcher.pairs(hospital_side([names[i] for i in asked], matcher.index)), gold[asked], k))

    def error(scale: float, cheaper: float) -> float:
        found = []
        for pairs, right, k in held:
            w = scale * folds[k]
            w[-1] -= cheaper
            found += [(c, h, weight) for (c, h), weight in zip(tops(pairs, right, w), (1, ABSENT), strict=True)]
        weight = np.concatenate([np.full(len(c), weight) for c, _, weight in found])
        return calibration(np.concatenate([c for c, _, _ in found]), np.concatenate([h for _, h, _ in found]), weight)

    return min(((scale, cheaper) for scale in SCALES for cheaper in CHEAPER), key=lambda pair: error(*pair))


def main() -> None:
    """Fit, write and report."""
    names, gold = read_names(Path(sys.argv[1]))
    matcher = Matcher(read_concepts(Path(sys.argv[2])))
    pairs = matcher.pairs(hospital_side(names, matcher.index))
    halves = np.array([half(name.name) for name in names])
    tune = np.flatnonzero(halves == 0)
    fold = np.array([hashlib.sha256(b"fold" + name.name.lower().encode()).digest()[1] % 5 for name in names])
    folds = [fit(pairs, gold, tune[fold[tune] != k]) for k in range(5)]
    scale, cheaper = sized(names, gold, Path(sys.argv[2]), folds, tune, fold)
    print(f"scale {scale:.2f}, none of these cheaper by {cheaper:.1f}")
    w = scale * fit(pairs, gold, tune)
    w[-1] -= cheaper
    for name, value in FIXED.items():
        w[FEATURES.index(name)] = value
    path = ROOT / "atoll" / "ingest" / "terms" / "weights.csv"
    lines = [f"{name},{value:.4f}" for name, value in zip((*FEATURES, "none of these"), w, strict=True)]
    path.write_text("\n".join(["feature,weight", *(f'"{a}",{b}' for a, b in (l.rsplit(",", 1) for l in lines))]) + "\n")
    p = probabilities(pairs, w)
    print("in sample: first {:.3f} five {:.3f} calibration {:.3f} (five: {:.3f})".format(*judged(pairs, gold, p, tune)))
    if "--wrong" in sys.argv:
        by_id = {c.concept_id: c.name for c in matcher.index.concepts}
        for name in tune:
            here = np.flatnonzero(pairs.rows == name)
            order = here[np.argsort(-p[here])][:3]
            if pairs.ids[order[0]] != gold[name]:
                print(
                    names[name], "=>", by_id[gold[name]], "||", [(by_id[pairs.ids[o]], round(p[o], 2)) for o in order]
                )
    if "--test" in sys.argv:
        test = np.flatnonzero(halves == 1)
        print(
            "test half: first {:.3f} five {:.3f} calibration {:.3f} (five: {:.3f})".format(
                *judged(pairs, gold, p, test)
            ),
            len(test),
        )


if __name__ == "__main__":
    main()
