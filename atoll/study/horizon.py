"""What of a study knows the future: covariates from after the index date, and outcomes that a feature has seen already.

A feature's window ends at day 0, so no record after it is read. Two ways around are left. The time after the index date
(`{from: person, as: followed}`) is short where somebody dies early: as a covariate it foretells what it was made from,
and is refused. And where an outcome is looked for from day 0 in the concepts of a feature that ends there, one record
of that day is both: that may be what is wanted (a diagnosis that counts once), so it is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from atoll.errors import StudyError
from atoll.study.features import Feature, Features, Outcome
from atoll.study.formula import parse
from atoll.study.protocol import Study

AHEAD = "followed"
SHARED = (
    "Outcome {outcome} and feature {feature} read the same concepts on day 0: one record of that day is both, and the "
    "feature foretells it perfectly. End the feature at -1, or start the outcome at 1.",
    "结局 {outcome} 与特征 {feature} 在第 0 天读取相同的概念：当天的同一条记录既是特征又是结局，预测会虚高。"
    "请让特征止于 -1，或让结局从 1 开始。",
)


def refuse(study: Study) -> None:
    """Refuse a formula that reads the time after the index date as a covariate.

    Raises
    ------
    StudyError
        With the column as `subject`.
    """
    for name, analysis in study.analyses.items():
        recipe = study.recipes.get(analysis.dataset)
        if recipe is None or recipe.features is None or "formula" not in analysis.options:
            continue
        formula = parse(analysis.options["formula"])
        for feature in recipe.features.features:
            if feature.says == AHEAD and feature.name in formula.columns and feature.name != formula.response:
                what = f"analyses.{name}: {feature.name!r} is the time after the index date, and a covariate."
                remedy = "Leave it out: it is known only when all is over. Beside an outcome it may be described."
                raise StudyError(what, remedy, code="COLUMN_UNFIT", subject=feature.name)


def shared(features: Features) -> Iterator[tuple[Outcome, Feature]]:
    """Outcomes and the features that may read the same record, on day 0."""
    for outcome in features.outcomes:
        for feature in features.features:
            days = outcome.window[0] == 0 == feature.window[1] and feature.domain == outcome.domain
            if days and _meet(features, outcome.of, feature.of):
                yield outcome, feature


def warnings(study: Study) -> list[str]:
    """`SHARED` in English for every such pair of a study."""
    recipes = [recipe.features for recipe in study.recipes.values() if recipe.features is not None]
    return [told(outcome, feature) for features in recipes for outcome, feature in shared(features)]


def told(outcome: Outcome, feature: Feature, language: int = 0) -> str:
    """The sentence of one pair; `language` is 0 for English, 1 for Chinese."""
    return SHARED[language].format(outcome=outcome.name, feature=feature.name)


def _meet(features: Features, one: str, other: str) -> bool:
    """Whether two concept sets name a concept both; no set is every concept. What lies below them is not known here."""
    if not one or not other or one == other:
        return True
    return bool(set(features.concepts[one].include) & set(features.concepts[other].include))
