"""What a study would do with a hospital's data, in plain words: the text that a steward approves.

Headings stand at the margin and everything else is indented, so that nothing an investigator wrote can pass
for a heading. The same canonical bytes always give the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from atoll.errors import StudyError
from atoll.study.circe import CohortExpression
from atoll.study.circe.text import explain as explain_cohort
from atoll.study.dataset import Recipe
from atoll.study.diagnosis import WORDS as DIAGNOSED
from atoll.study.dictionary import Column
from atoll.study.feature_words import in_words
from atoll.study.horizon import shared, told
from atoll.study.protocol import Analysis, Study
from atoll.study.sentences import ALGORITHMS, COLUMNS, FRAME, LEAVES, LIMITS, OPTIONS, WORDS, Pair

Language = Literal["en", "zh"]


def explain(
    study: Study,
    site: str | None = None,
    language: Language = "en",
    *,
    limits: Mapping[str, Any] | None = None,
    whole: bool = False,
) -> str:
    """The study in plain words, for one hospital or, without `site`, for all.

    `limits` are those in force at the hospital (the fields of its `Policy`, tightened by the study); without
    them the text says what the study asks for, and that the hospital's own policy holds where it is stricter.
    Without `whole` a long concept set names what it leaves out and the first of what it includes, and counts the rest.

    Raises
    ------
    StudyError
        When the study does not ask this hospital.
    """
    if site is not None and site not in study.sites:
        raise StudyError(
            f"The study does not ask {site!r}.", f"It asks {', '.join(sorted(study.sites))}.", subject="sites"
        )
    return "\n".join(_Text(study, site, language, limits, whole).lines()) + "\n"


class _Text:
    """The lines of one explanation."""

    def __init__(
        self, study: Study, site: str | None, language: Language, limits: Mapping[str, Any] | None, whole: bool
    ):
        self.study, self.site, self.limits, self.whole = study, site, limits, whole
        self.index = ("en", "zh").index(language)
        self.told: dict[tuple[str, ...], str] = {}  # the words of a definition → the dataset where they stand

    def say(self, pair: Pair, /, **values: Any) -> str:
        return pair[self.index].format(**values)

    def frame(self, entry: str, /, **values: Any) -> str:
        return self.say(FRAME[entry], **values)

    def lines(self) -> Iterator[str]:
        yield self.frame("title", site=self.site) if self.site else self.frame("title_all")
        sections = {
            "who": self.who,
            "read": self.read,
            "analyses": self.analyses,
            "never": self.never,
            "limits": self.privacy,
            "dates": self.dates,
            "hospitals": self.hospitals,
            "bound": self.bound,
        }
        for heading, section in sections.items():
            yield ""
            yield self.frame(heading)
            for line in section():
                yield from (f"  {part}" for part in line.splitlines())

    def who(self) -> Iterator[str]:
        asks = self.study.investigator
        yield self.frame("study", title=self.study.title)
        yield self.frame("investigator", name=asks.name, organisation=asks.organisation)
        yield self.frame("investigator_key", key=asks.key) if asks.key else self.frame("unsigned")
        yield self.frame("purpose")
        yield from (f"  {line}" for line in self.study.purpose.splitlines())

    def read(self) -> Iterator[str]:
        for name, columns in sorted(self.study.datasets.items()):
            if recipe := self.study.recipes.get(name):
                yield from self.made(name, recipe)
                continue
            yield self.frame("dataset", dataset=name)
            yield from (f"- {column}{self.colon}{self.column(entry)}" for column, entry in sorted(columns.items()))
        yield self.frame("stays")

    def made(self, name: str, recipe: Recipe) -> Iterator[str]:
        yield self.frame("made", dataset=name)
        yield from self.persons(name, recipe.definition)
        if recipe.diagnose:
            yield self.say(DIAGNOSED[recipe.diagnose])
            for number, other in enumerate(recipe.definitions[1:], 2):
                yield from self.persons(f"{name} ({number})", other)
            return
        if recipe.features is None:
            yield self.frame("made_steps")
            return
        yield self.frame("made_columns")
        yield from (f"- {line}" for line in in_words(recipe.features, self.language))
        for outcome, feature in shared(recipe.features):
            yield self.frame("warning", what=told(outcome, feature, self.index))

    def persons(self, name: str, definition: CohortExpression) -> Iterator[str]:
        """The definition, or where it stands above."""
        lines = tuple(self.cohort(definition))
        first = self.told.setdefault(lines, name)
        yield from (f"  {line}" for line in (lines if first == name else [self.frame("as_above", dataset=first)]))

    def cohort(self, definition: CohortExpression) -> list[str]:
        return explain_cohort(definition, self.language, check=False, every=self.whole).splitlines()

    @property
    def language(self) -> Language:
        return "zh" if self.index else "en"

    @property
    def colon(self) -> str:
        return (": ", "：")[self.index]

    def column(self, column: Column) -> str:
        facts = [self.say(COLUMNS[column.type])]
        if column.unit:
            facts.append(self.say(COLUMNS["unit"], unit=column.unit))
        if column.low is not None or column.high is not None:
            ends = [self.say(COLUMNS["open"]) if end is None else f"{end:g}" for end in (column.low, column.high)]
            facts.append(self.say(COLUMNS["range"], low=ends[0], high=ends[1]))
        if column.levels:
            facts.append(self.say(COLUMNS["levels"], levels=(", ", "、")[self.index].join(column.levels)))
        if column.label:
            facts.append(column.label)
        return (", ", "，")[self.index].join(facts)

    def analyses(self) -> Iterator[str]:
        for name, analysis in sorted(self.study.analyses.items()):
            what = self.say(ALGORITHMS.get(analysis.algorithm, ALGORITHMS[""]), algorithm=analysis.algorithm)
            yield self.frame("analysis", name=name, what=what, dataset=analysis.dataset)
            if analysis.label:
                yield "  " + self.frame("label", label=analysis.label)
            for option, value in sorted(analysis.options.items()):
                yield "- " + self.option(analysis.algorithm, option, value)
            for key in _leaves(analysis, self.study.privacy.public):
                yield "→ " + self.frame("leaves", what=self.say(LEAVES[key]))
        rounds = (self.limits or self.study.privacy.limits()).get("max_rounds")
        yield self.frame("rounds", rounds=rounds) if rounds else self.frame("rounds_of_site")
        yield self.frame("together")

    def option(self, algorithm: str, option: str, value: Any) -> str:
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        key = f"{algorithm}.{option}"
        meaning = self.say(OPTIONS.get(f"{key}={shown}") or OPTIONS.get(key) or OPTIONS[""])
        word = WORDS.get(f"{option}={shown}") if key in OPTIONS else None
        if word:
            meaning += (", ", "，")[self.index] + self.say(word)
        return self.frame("option", option=option, value=" ".join(shown.split()), meaning=meaning)

    def never(self) -> Iterator[str]:
        yield "- " + self.frame("never_rows")
        yield "- " + self.frame("single_public" if self.study.privacy.public else "never_single")
        yield "- " + self.frame("never_code")

    def privacy(self) -> Iterator[str]:
        yield self.frame("stricter")
        if self.limits is not None:
            yield self.frame("in_force")
            yield from self.listed(self.limits)
        else:
            wishes = self.study.privacy.limits()
            yield self.frame("asks" if wishes else "asks_nothing")
            yield from self.listed(wishes)
            if {"rounding", "minimum_persons"} & wishes.keys():
                yield self.frame("odd")
        yield self.frame("public" if self.study.privacy.public else "not_public")

    def listed(self, limits: Mapping[str, Any]) -> Iterator[str]:
        words = ({True: "yes", False: "no"}, {True: "可以", False: "不可以"})[self.index]
        for name, value in limits.items():
            shown = words[value] if isinstance(value, bool) else f"{value:,}" if name == "max_bytes" else f"{value:g}"
            yield "- " + self.say(LIMITS[name], value=shown)

    def dates(self) -> Iterator[str]:
        yield self.frame("valid", first=self.study.valid_from, last=self.study.valid_until)

    def hospitals(self) -> Iterator[str]:
        for name, entry in sorted(self.study.sites.items()):
            key = entry.key or self.frame("no_key")
            yield "- " + self.frame("this" if name == self.site else "hospital", site=name, key=key)

    def bound(self) -> Iterator[str]:
        if not self.study.investigator.key:
            yield self.frame("draft")
            return
        yield self.frame("hash", hash=self.study.hash)
        yield self.frame("changed")


def _leaves(analysis: Analysis, public: bool) -> list[str]:
    """Keys of `LEAVES`: what this analysis with these options sends."""
    options, name = analysis.options, analysis.algorithm
    keys = ["formula"] if "formula" in options and name in LEAVES else []
    over_sites = name == "cox" and "site" not in options.get("strata", ["site"])
    if public and not options.get("grid") and (over_sites or name == "kaplan_meier"):
        keys.append("exact_times")
    keys.append("cox_over_sites" if over_sites else name if name in LEAVES else "")
    if name == "describe" and public:
        keys.append("describe_public")
    if name == "glm" and options.get("robust"):
        keys.append("glm_robust")
    if name == "kaplan_meier" and options.get("strata"):
        keys.append("kaplan_meier_strata")
    if f"{name}_by_site" in LEAVES and options.get("by_site", True):
        keys.append(f"{name}_by_site")
    return keys
