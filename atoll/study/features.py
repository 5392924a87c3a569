"""What is known of each person at an index date: features, their windows, and the outcome that is foretold.

A feature reads one domain of the OMOP model, the records of one concept set, in a window of days before and up to
the index date, and says one thing of them. No feature can read past the index date: a window ends at day 0 or
earlier. What happens later is the outcome, which is written apart.

    features:
      age:      {from: person, as: age}
      stroke:   {from: condition, of: stroke, window: [-3650, 0]}
      frailty:  {from: score, as: hfrs, window: [-730, 0]}
      hba1c:    {from: measurement, of: hba1c, as: last, unit: "%", window: [-365, 0], range: [3, 20], otherwise: 5.6}
    outcome:
      diabetes: {from: condition, of: diabetes, window: [1, 1095]}
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import rfc8785

from atoll.study.dictionary import Column, Dictionary
from atoll.study.form import Form, nearest
from atoll.study.nodes import Node, from_yaml
from atoll.study.score import NAMES, score

PERSON_FACTS = ("age", "sex", "year", "observed", "followed")
RECORDS = ("any", "count", "days", "since")
VALUES = ("last", "first", "mean", "min", "max", "slope", "high", "low")
RANGED = ("high", "low")  # against the range that the laboratory wrote beside the value
SCORE = "score"
RECORD_DOMAINS = (
    "condition", "condition_era", "drug", "drug_era", "procedure", "device", "measurement", "observation", "visit",
)  # fmt: skip
WITH_VALUES, WITH_RANGE = ("measurement", "observation"), "measurement"
FARTHEST = 36_525  # days
NO_DAY: int | None = None
_NO_RANGE: tuple[float | None, float | None] = (None, None)
_NO_WINDOW: tuple[int | None, int] = (NO_DAY, 0)
_NO_IDS: tuple[int, ...] = ()
_TITLE = "The features cannot be read:"
_IN_EVERY_TABLE = ("person", "site")
_PERSON_COLUMNS = {
    "age": Column("number", unit="a", low=0, high=130),
    "sex": Column("category", levels=("female", "male")),  # any other is missing: a level that few have stops a model
    "year": Column("number", unit="a", low=1900, high=2200),
    "observed": Column("number", unit="d", low=0),
    "followed": Column("number", unit="d", low=0, ahead=True),
}


@dataclass(frozen=True)
class Concepts:
    """A concept set: included concepts and their descendants, without the excluded ones and theirs."""

    include: tuple[int, ...]
    exclude: tuple[int, ...] = ()
    descendants: bool = True


@dataclass(frozen=True)
class Feature:
    """One column. `window` counts days from the index date, both ends included; None: as far back as there is.

    domain   a word of `RECORD_DOMAINS`, `person` or `score`
    of       name of a concept set; empty: every record of the domain
    says     a word of `PERSON_FACTS`, `RECORDS` or `VALUES`, or the name of a score
    unit     UCUM code that a value must have; empty: whatever it has
    low, high   values outside are not used
    otherwise   what stands where there is no value; a second column, NAME_missing, then says so
    """

    name: str
    domain: str
    of: str = ""
    window: tuple[int | None, int] = (NO_DAY, 0)
    says: str = "any"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    otherwise: float | None = None
    label: str = ""

    def columns(self) -> dict[str, Column]:
        """The columns of this feature with their types."""
        if self.domain == "person":
            return {self.name: _PERSON_COLUMNS[self.says]}
        if self.domain == SCORE:
            label = self.label or score(self.says).title["en"]
            return {self.name: Column("number", low=0.0, high=score(self.says).highest, label=label)}
        if self.says in ("any", *RANGED):
            return {self.name: Column("flag", label=self.label)}
        if self.says in ("count", "days", "since"):
            unit, far = ("", None) if self.says != "since" else ("d", float(FARTHEST))
            return {self.name: Column("number", unit=unit, low=0.0, high=far, label=self.label)}
        unit = f"{self.unit}/d" if self.says == "slope" and self.unit else self.unit
        bounds = (None, None) if self.says == "slope" else (self.low, self.high)
        own = {self.name: Column("number", unit=unit, low=bounds[0], high=bounds[1], label=self.label)}
        return own | ({f"{self.name}_missing": Column("flag")} if self.otherwise is not None else {})


@dataclass(frozen=True)
class Outcome:
    """The first record of a concept set in days after the index date; follow-up ends with observation or death.

    Gives NAME (flag; unknown where observation ended without it before the last day), NAME_time (days to the
    event, or to the end of what was seen) and NAME_event (flag).
    """

    name: str
    domain: str
    of: str
    window: tuple[int, int]
    label: str = ""

    def columns(self) -> dict[str, Column]:
        """The columns of this outcome with their types; all are known only after the index date."""
        return {
            self.name: Column("flag", label=self.label, ahead=True),
            f"{self.name}_time": Column("number", unit="d", low=0.0, high=float(self.window[1]), ahead=True),
            f"{self.name}_event": Column("flag", ahead=True),
        }


@dataclass(frozen=True)
class Features:
    """Features and outcomes of a dataset, in the order in which they are written."""

    concepts: Mapping[str, Concepts]
    features: tuple[Feature, ...]
    outcomes: tuple[Outcome, ...] = ()
    _document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def dictionary(self) -> Dictionary:
        """The data dictionary of the table that they make."""
        columns: dict[str, Column] = {"person": Column("person")}
        for feature in self.features:
            columns |= feature.columns()
        for outcome in self.outcomes:
            columns |= outcome.columns()
        return columns

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types, as they were written."""
        return dict(self._document)

    def id_of(self, name: str) -> str:
        """Twelve hex digits that stand for a feature's meaning: the same at every hospital and in every study.

        However it is written: defaults count as if they stood there, the order of concepts and the label do not.
        """
        columns: tuple[Feature | Outcome, ...] = (*self.features, *self.outcomes)
        one = next(one for one in columns if one.name == name)
        meaning: dict[str, Any] = {"kind": type(one).__name__, **asdict(one), "of": None}
        del meaning["name"]
        meaning.pop("label", None)
        if one.of:
            concepts = self.concepts[one.of]
            sets = {"include": sorted(set(concepts.include)), "exclude": sorted(set(concepts.exclude))}
            meaning["of"] = sets | {"descendants": concepts.descendants}
        if one.domain == SCORE and isinstance(one, Feature):
            meaning["table"] = score(one.says).id
        return hashlib.sha256(rfc8785.dumps(meaning)).hexdigest()[:12]


def read(text: str) -> Features:
    """The features in a document that a person wrote (YAML).

    Raises
    ------
    Problems
        With every finding, each with its line.
    """
    root, problems = from_yaml(text, _TITLE)
    form = Form(problems)
    features = read_node(form, root, "")
    form.finish(_TITLE)
    return features


def read_node(form: Form, node: Node, key: str) -> Features:
    """The features in a part of another document; findings go to its form."""
    fields = form.fields(node, key, ("features",), ("concepts", "outcome"))
    part = partial(form.part, fields, key)
    concepts: dict[str, Concepts] = part("concepts", _concepts, {})
    found = Features(
        concepts,
        part("features", _features, (), concepts),
        part("outcome", _outcomes, (), concepts),
        {name: form.plain(entry, name) for name, entry in fields.items()},
    )
    _refuse_twice(form, fields, key, found)
    return found


def _refuse_twice(form: Form, fields: Mapping[str, Node], key: str, found: Features) -> None:
    """Refuse an entry that makes a column of every table, or of an entry above it: one would take the other's place."""
    made = dict.fromkeys(_IN_EVERY_TABLE, "")
    for part, entries in (("features", found.features), ("outcome", found.outcomes)):
        for one in entries:
            entry, path = form.entries(fields[part], part)[one.name], f"{key}.{part}.{one.name}".removeprefix(".")
            for column in one.columns():
                other = made.setdefault(column, f"{part}.{one.name}")
                if not other:
                    what = f"the column {column!r} stands for something else in every table."
                    form.refuse(entry, path, what, "Give another name.")
                elif other != f"{part}.{one.name}":
                    what = f"it makes the column {column!r}, as {other} does."
                    form.refuse(entry, path, what, "Give one of them another name.")


def _concepts(form: Form, node: Node, key: str) -> dict[str, Concepts]:
    found = {}
    for name, entry in form.entries(node, key, needed="concept set").items():
        path = f"{key}.{form.name(name, entry, key)}"
        fields = form.fields(entry, path, ("include",), ("exclude", "descendants"))
        include, exclude = (form.part(fields, path, word, _ids, _NO_IDS) for word in ("include", "exclude"))
        found[name] = Concepts(include, exclude, form.part(fields, path, "descendants", Form.flag, True))
    return found


def _ids(form: Form, node: Node, key: str) -> tuple[int, ...]:
    items = form.items(node, key)
    if isinstance(node.content, list) and not items:
        form.refuse(node, key, "the list is empty.", "Name concept ids.")
    return tuple(form.number(item, key, 1, 2**53 - 1, whole=True) for item in items)


def _features(form: Form, node: Node, key: str, concepts: Collection[str]) -> tuple[Feature, ...]:
    found: dict[str, Feature] = {}
    for name, entry in form.entries(node, key, needed="feature").items():
        path = f"{key}.{form.name(name, entry, key)}"
        found[name] = _feature(form, entry, path, name, concepts)
    return tuple(found.values())


def _feature(form: Form, node: Node, key: str, name: str, concepts: Collection[str]) -> Feature:
    fields = form.fields(node, key, ("from",), ("of", "as", "window", "unit", "range", "otherwise", "label"))
    found = len(form.problems)
    domain = form.part(fields, key, "from", Form.choice, "person", ("person", SCORE, *RECORD_DOMAINS))
    if len(form.problems) > found:  # what the other keys may say hangs on it
        return Feature(name, domain, says=PERSON_FACTS[0])
    if domain == "person":
        says = _chosen(form, node, key, fields, "a fact of the person", {"from", "as", "label"}, PERSON_FACTS)
        return Feature(name, domain, says=says, label=form.part(fields, key, "label", Form.text, ""))
    if domain == SCORE:
        says = _chosen(form, node, key, fields, "a score", {"from", "as", "label", "window"}, NAMES)
        window = form.part(fields, key, "window", read_window, _NO_WINDOW, True)
        return Feature(name, domain, "", window, says, label=form.part(fields, key, "label", Form.text, ""))
    says = form.part(fields, key, "as", _said, "any", domain)
    for word in [word for word in ("unit", "range", "otherwise") if word in fields and says not in VALUES]:
        remedy = "Choose `as: last`, mean, min, max, slope, high or low, or leave it out."
        form.refuse(fields[word], f"{key}.{word}", f"`as: {says}` reads no value, so it has no {word}.", remedy)
    low, high = form.part(fields, key, "range", Form.range, _NO_RANGE)
    return Feature(
        name,
        domain,
        form.part(fields, key, "of", _known, "", concepts),
        form.part(fields, key, "window", read_window, _NO_WINDOW, True),
        says,
        form.part(fields, key, "unit", Form.text, "", 32),
        low,
        high,
        form.part(fields, key, "otherwise", Form.number, None, -1e15, 1e15),
        form.part(fields, key, "label", Form.text, ""),
    )


def _said(form: Form, node: Node, key: str, domain: str) -> str:
    """What `as` says of records: of values only where a domain has them, of a laboratory's range only of its tests."""
    if domain in WITH_VALUES and domain != WITH_RANGE and node.content in RANGED:
        remedy = "Choose `as: max` or min with a `range`, or read it `from: measurement`."
        what = f"no laboratory gives a range beside an {domain}, so none can be {node.content}."
        form.refuse(node, key, what, remedy)
        return "any"
    return form.choice(node, key, (*RECORDS, *VALUES) if domain in WITH_VALUES else RECORDS)


def _chosen(
    form: Form, node: Node, key: str, fields: Mapping[str, Node], what: str, allowed: set[str], words: tuple[str, ...]
) -> str:
    """What `as` says of something that has no other keys than the allowed ones."""
    for word in set(fields) - allowed:
        form.refuse(fields[word], f"{key}.{word}", f"{what} has no {word}.", "Leave it out.")
    if "as" not in fields:
        form.refuse(node, key, "`as` is missing.", f"Choose one of {', '.join(words)}.")
    return form.part(fields, key, "as", Form.choice, words[0], words)


def _known(form: Form, node: Node, key: str, concepts: Collection[str]) -> str:
    name = form.text(node, key)
    if name and name not in concepts:
        form.refuse(node, key, f"there is no concept set {name!r}.", nearest(name, concepts) if concepts else "Add it.")
    return name


def read_window(form: Form, node: Node, key: str, before: bool) -> tuple[int | None, int]:
    """Days from the index date: up to 0 for a feature, from 0 on for an outcome."""
    items = form.items(node, key)
    if len(items) != 2:
        if isinstance(node.content, list):
            form.refuse(node, key, f"the window has {len(items)} ends.", "Write [first day, last day].")
        return (NO_DAY, 0) if before else (1, 1)
    first, last = (
        NO_DAY if item.empty and before and place == 0 else form.number(item, key, -FARTHEST, FARTHEST, whole=True)
        for place, item in enumerate(items)
    )
    assert last is not None
    if first is not None and first > last:
        form.refuse(node, key, f"the window starts at day {first}, after its end {last}.", "Write [first, last].")
    elif before and last > 0:
        remedy = "End it at 0: what comes later belongs to `outcome`."
        form.refuse(node, key, f"the window ends {last} days after the index date: a feature looks back.", remedy)
    elif not before and first is not None and first < 0:
        form.refuse(
            node, key, f"the outcome is looked for from day {first}, before the index date.", "Start at 0 or 1."
        )
    return first, last


def _outcomes(form: Form, node: Node, key: str, concepts: Collection[str]) -> tuple[Outcome, ...]:
    found = []
    for name, entry in form.entries(node, key, needed="outcome").items():
        path = f"{key}.{form.name(name, entry, key)}"
        fields = form.fields(entry, path, ("from", "of", "window"), ("label",))
        first, last = form.part(fields, path, "window", read_window, _NO_WINDOW, False)
        domain = form.part(fields, path, "from", Form.choice, "condition", RECORD_DOMAINS)
        of = form.part(fields, path, "of", _known, "", concepts)
        label = form.part(fields, path, "label", Form.text, "")
        found.append(Outcome(name, domain, of, (first or 0, last), label))
    return tuple(found)
