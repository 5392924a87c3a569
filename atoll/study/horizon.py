"""What of a study knows the future: covariates from after the index date, and outcomes that a feature has seen already.

A feature's window ends at day 0, so no record after it is read. Two ways around are left. An outcome's own columns and
the time after the index date (`{from: person, as: followed}`) are made from what comes later: such a column (`ahead` in
its data dictionary) foretells what it was made from, and is refused as a covariate. And where an outcome is looked for
from day 0 in the concepts of a feature that ends there, one record of that day is both: that may be what is wanted (a
diagnosis that counts once), so it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from atoll.errors import StudyError
from atoll.study.dictionary import Dictionary
from atoll.study.features import Feature, Features, Outcome
from atoll.study.formula import parse
from atoll.study.protocol import Study

SHARED = (
    "Outcome {outcome} and feature {feature} read the same concepts on day 0: one record of that day is both, and the "
    "feature foretells it perfectly. End the feature at -1, or start the outcome at 1.",
    "结局 {outcome} 与特征 {feature} 在第 0 天读取相同的概念：当天的同一条记录既是特征又是结局，预测会虚高。"
    "请让特征止于 -1，或让结局从 1 开始。",
)


def refuse(study: Study) -> None:
    """Refuse a study with a formula that reads what comes after the index date as a covariate.

    Raises
    ------
    StudyError
        With the option as `subject`.
    """
    for name, analysis in study.analyses.items():
        if "formula" in analysis.options and analysis.dataset in study.datasets:
            read = parse(analysis.options["formula"]).covariates
            refuse_ahead(f"analyses.{name}.formula", read, study.datasets[analysis.dataset])


def refuse_ahead(where: str, read: Iterable[str], columns: Dictionary) -> None:
    """Refuse covariates that are made from what comes after the index date.

    where   the option that names them; its last word is the error's `subject`

    Raises
    ------
    StudyError
        With code COLUMN_UNFIT.
    """
    for name in read:
        if name in columns and columns[name].ahead:
            raise StudyError(
                f"{where}: {name!r} is made from what comes after the index date, and a covariate.",
                "Leave it out: it is known only when all is over. It may be an outcome, or be described beside one.",
                code="COLUMN_UNFIT",
                subject=where.rpartition(".")[2],
            )


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
