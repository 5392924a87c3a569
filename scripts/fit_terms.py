"""Fit the weights of the term matcher on one half of mapped names: python scripts/fit_terms.py NAMES CONCEPTS

Writes atoll/ingest/term_weights.csv, and prints what five-fold cross-validation within that half gives. `--test` also
reports the other half, which nothing here is fitted on.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from atoll.ingest.term_concepts import read_concepts
from atoll.ingest.term_features import FEATURES, hospital_side
from atoll.ingest.terminology import Matcher, Name, probabilities

RIDGE = 1.0
TEMPER = 0.9  # the word tables were written with these names in view: other names will fit them a little less
ABSENT = 0.05  # weight of names whose right concept is taken away, so that "none of these" has a price


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


def calibration(chance, hit) -> float:
    """Expected calibration error: mean distance of probability and frequency over ten bins of width 0.1."""
    chance, hit = np.array(chance), np.array(hit, float)
    bins = np.minimum((chance * 10).astype(int), 9)
    return sum(abs(chance[bins == b].mean() - hit[bins == b].mean()) * (bins == b).mean() for b in set(bins))


def main() -> None:
    """Fit, write and report."""
    names, gold = read_names(Path(sys.argv[1]))
    matcher = Matcher(read_concepts(Path(sys.argv[2])))
    pairs = matcher.pairs(hospital_side(names, matcher.index))
    halves = np.array([half(name.name) for name in names])
    tune = np.flatnonzero(halves == 0)
    fold = np.array([hashlib.sha256(b"fold" + name.name.lower().encode()).digest()[1] % 5 for name in names])
    folds = [fit(pairs, gold, tune[fold[tune] != k]) for k in range(5)]
    held = [np.isin(pairs.rows, tune[fold[tune] == k]) for k in range(5)]

    def out_of_fold(scale: float) -> np.ndarray:
        p = np.zeros(len(pairs.rows))
        for w, here in zip(folds, held, strict=True):
            p[here] = probabilities(pairs, scale * w)[here]
        return p

    def surprise(scale: float) -> float:
        p = out_of_fold(scale)
        right = (pairs.ids == gold[pairs.rows]) & np.isin(pairs.rows, tune)
        chance = np.zeros(len(names))
        np.maximum.at(chance, pairs.rows[right], p[right])
        return float(-np.log(np.maximum(chance[tune], 1e-4)).mean())

    scale = min(np.arange(0.8, 2.5, 0.05), key=surprise)  # the penalty makes too modest; its size is set out of fold
    p = out_of_fold(scale)
    print("scale", scale)
    print(
        "cross-validated: first {:.3f} five {:.3f} calibration {:.3f} (five: {:.3f})".format(
            *judged(pairs, gold, p, tune)
        )
    )
    w = TEMPER * scale * fit(pairs, gold, tune)
    for name, value in FIXED.items():
        w[FEATURES.index(name)] = value
    path = ROOT / "atoll" / "ingest" / "term_weights.csv"
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
