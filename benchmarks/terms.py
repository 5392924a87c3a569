"""The matcher of terms on names that it was not fitted on: the right concept first, in the first five, calibration.

The names of an English hospital's laboratory are the half that `scripts/fit_terms.py` never reads. The Chinese names
lie beside the tests: those of an examiner who saw none of the tables, the half whose failures nobody read, and older
ones whose failures were mended (tests/reference/README.md). The floor of the calibration error is what chance gives
where every probability is right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.fit_terms import half, read_names
from tests.reference import test_terms as judge

FIRST, FIVE = {"English": 0.70, "Chinese": 0.80}, {"English": 0.90, "Chinese": 0.95}
ERROR = 0.05  # asked of the English names; the Chinese ones show how far it holds where nothing was fitted


def rows() -> list[dict[str, object]]:
    """Rows of the table."""
    from atoll.ingest.terminology import Matcher
    from atoll.ingest.terms.concepts import read_concepts

    if not judge.VOCABULARY.is_dir():
        return [_row("terms", 0.0, 1.0, None, "not measured: no ../shared/data with the names")]
    names, gold = read_names(judge.VOCABULARY / "lab_names_en.csv")
    held = [at for at, name in enumerate(names) if half(name.name) == 1]
    matcher = Matcher(read_concepts(judge.VOCABULARY / "lab_concepts.csv"))
    made = _rows("English", matcher, [names[at] for at in held], [{int(gold[at])} for at in held])
    made += _chinese(matcher := Matcher(judge.everything()), "chinese_names_blind", "Chinese (blind)", "unread")
    for kind in ("lab", "drug", "diagnosis"):
        made += _chinese(matcher, "chinese_names_blind", f"Chinese (blind, {kind})", "unread", kind)[:2]
    return made + _chinese(matcher, "chinese_names", "Chinese (mended after its first run)")


def _chinese(matcher: object, file: str, called: str, half: str = "", kind: str = "") -> list[dict[str, object]]:
    rows = [row for row in judge.chinese(file) if half in ("", row.get("half")) and kind in ("", row.get("kind"))]
    return _rows(called, matcher, *judge.asked_and_right(rows))


def _rows(language: str, matcher: object, names: list, right: list[set[int]]) -> list[dict[str, object]]:
    first, five, error = judge.judged(matcher, names, right)
    language, _, more = language.partition(" (")
    what = (
        f"{len(names)} {language} names{f' ({more}' if more else ''} against {len(set(matcher.index.ids)):,} concepts"
    )
    return [
        _row(f"{what}: not right at first", 1 - first, 1 - FIRST[language], 1.0),
        _row(f"{what}: not among the first five", 1 - five, 1 - FIVE[language], 1.0),
        _row(f"{what}: calibration error", error, ERROR, 1.0 if language == "English" else None,
             _chance(matcher, names)),
    ]  # fmt: skip


def _chance(matcher: object, names: list) -> str:
    """The mean probability, and the calibration error of the same probabilities where each is exactly right."""
    from scripts.fit_terms import calibration

    sure = np.array([found.probability for found in matcher.suggest(names, top=1)])
    random = np.random.default_rng(1)
    floor = float(np.mean([calibration(sure, random.random(len(sure)) < sure) for _ in range(300)]))
    return f"by chance alone {floor:.3f}; mean probability of the first {sure.mean():.2f}"


def _row(what: str, ours: float, most: float, target: float | None, note: str = "") -> dict[str, object]:
    sides = {"ours": f"{ours:.3f}", "theirs": f"{most:.2f}", "ratio": ours / most}
    return {"what": what, "against": "the most there may be", **sides, "target": target, "note": note}


if __name__ == "__main__":
    for row in rows():
        print(row)
