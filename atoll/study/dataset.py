"""What an analysis reads at a hospital: a registered table, or a table made there from a cohort and features.

    datasets:
      checkup:   {columns: {age: {type: number, unit: a}}}         registered by the steward, column by column
      screening: {cohort: at-risk.yaml, features: {…}}              made from the hospital's OMOP data by this recipe
      losses:    {cohort: at-risk.yaml, attrition: true}            the same: how each person keeps its rules
      entries:   {cohort: at-risk.yaml, diagnose: entries}          the same: a table that the cohort is diagnosed by
      both:      {cohort: at-risk.yaml, diagnose: overlap, with: other.yaml}

A study that is written names the file of a Circe definition; a study that is signed holds the definition itself, so
that the steward approves the very words that decide who is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.errors import StudyError
from atoll.study import circe
from atoll.study.circe import as_yaml
from atoll.study.diagnosis import TABLES
from atoll.study.dictionary import Column, Dictionary
from atoll.study.features import Features, read_node
from atoll.study.form import Form
from atoll.study.nodes import Node

Files = Callable[[str], str]
_NONE = Features({}, ())


def no_files(name: str) -> str:
    """For a study that comes without a folder.

    Raises
    ------
    StudyError
        Always.
    """
    raise StudyError(f"The cohort definition {name!r} is a file, and the study came without its folder.", "Give both.")


def files_beside(study: Path) -> Files:
    """Files in the folder of a study, and below it."""

    def text_of(name: str) -> str:
        folder = study.resolve().parent
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise StudyError(f"{name!r} lies outside the study's folder.", "Put the definition beside the study.")
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"The cohort definition {name!r} cannot be read.", f"Put it into {folder}.") from error

    return text_of


@dataclass(frozen=True)
class Recipe:
    """A Circe definition, as its JSON text, and the features of its persons at the start of their cohort.

    Without features it is about how each person who enters keeps the rules: a flag a rule, and `stays`; or, with
    `diagnose`, one of the tables of `diagnosis`, with the text of a `second` definition for an overlap.
    """

    cohort: str
    features: Features | None
    diagnose: str = ""
    second: str = ""

    @property
    def definition(self) -> circe.CohortExpression:
        """The definition that the text holds."""
        return circe.read(self.cohort)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        if self.diagnose:
            with_ = {"with": self.second} if self.second else {}
            return {"cohort": self.cohort, "diagnose": self.diagnose, **with_}
        made: dict[str, Any] = {"features": self.features.to_document()} if self.features else {"attrition": True}
        return {"cohort": self.cohort, **made}

    @property
    def definitions(self) -> tuple[circe.CohortExpression, ...]:
        """The definition, and the second one of an overlap."""
        return tuple(circe.read(text) for text in (self.cohort, self.second) if text)

    def dictionary(self) -> Dictionary:
        """The columns of the table that it makes."""
        if self.diagnose == "overlap":
            return {**TABLES["overlap"], **self._titles()}
        if self.diagnose:
            return TABLES[self.diagnose]
        return self.features.dictionary() if self.features else steps_of(self.definition)

    def _titles(self) -> dict[str, Column]:
        """The two cohorts of an overlap as their definitions call them, where they do."""
        named = zip(("first", "second"), self.definitions, strict=True)
        titles = {key: " ".join((one.title or "").split())[:200] for key, one in named}
        return {key: Column("flag", label=title) for key, title in titles.items() if title}


def steps_of(definition: circe.CohortExpression) -> Dictionary:
    """The columns that say how a person keeps the rules of a definition, with the names of the rules as labels."""
    rules = {
        f"rule_{number}": Column("flag", label=" ".join((rule.name or "").split())[:200])
        for number, rule in enumerate(definition.inclusion_rules, 1)
    }
    return {"person": Column("person"), **rules, "stays": Column("flag", label="in the cohort")}


@dataclass(frozen=True)
class Dataset:
    """The columns of a dataset; `recipe` is None where a steward registers the table."""

    columns: Dictionary
    recipe: Recipe | None = None

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types, as a study holds them."""
        if self.recipe is not None:
            return self.recipe.to_document()
        return {"columns": {name: column.to_document() for name, column in self.columns.items()}}


def read_datasets(form: Form, node: Node, key: str, files: Files | None) -> dict[str, Dataset]:
    """The datasets of a study. `files` gives the text of a file that is named; without it only definitions stand.

    Findings go to the form.
    """
    found = {}
    for name, entry in form.entries(node, key, needed="dataset").items():
        path = f"{key}.{form.name(name, entry, key)}"
        keys = set(entry.content) if isinstance(entry.content, dict) else set()
        if "diagnose" in keys:
            found[name] = _diagnosed(form, entry, path, files)
        elif keys & {"cohort", "features", "attrition"}:
            found[name] = _made(form, entry, path, files, "attrition" if "attrition" in keys else "features")
        else:
            fields = form.fields(entry, path, ("columns",))
            columns: Mapping[str, Any] = form.part(fields, path, "columns", Form.columns, {})
            found[name] = Dataset(columns)
    return found


def _made(form: Form, entry: Node, path: str, files: Files | None, what: str) -> Dataset:
    """A dataset with a recipe; `what` is the key that says what is wanted of the cohort's persons."""
    fields = form.fields(entry, path, ("cohort", what))
    text = form.part(fields, path, "cohort", _definition, "", files)
    if what == "features":
        features = form.part(fields, path, "features", read_node, _NONE)
        return Dataset(features.dictionary(), Recipe(text, features))
    if what in fields and not form.flag(fields[what], f"{path}.{what}"):
        form.refuse(fields[what], f"{path}.{what}", "it is false.", "Write `attrition: true`, or `features` instead.")
    recipe = Recipe(text, None)
    return Dataset(recipe.dictionary() if text else {}, recipe)


def _diagnosed(form: Form, entry: Node, path: str, files: Files | None) -> Dataset:
    """A dataset that a cohort is diagnosed by: `diagnose` says which, `with` the second cohort of an overlap."""
    given = entry.content if isinstance(entry.content, dict) else {}
    needed = ("cohort", "diagnose", "with") if "with" in given else ("cohort", "diagnose")
    fields = form.fields(entry, path, needed)
    text = form.part(fields, path, "cohort", _definition, "", files)
    second = form.part(fields, path, "with", _definition, "", files) if "with" in fields else ""
    node = fields.get("diagnose")
    what = node.content if node is not None and isinstance(node.content, str) else ""
    if node is not None and what not in TABLES:
        form.refuse(node, f"{path}.diagnose", f"{node.shown()} is no table.", f"Give one of {', '.join(TABLES)}.")
        return Dataset({})
    if node is not None and (what == "overlap") != ("with" in fields):
        wrong = "an overlap is of two cohorts." if what == "overlap" else "only an overlap has a second cohort."
        form.refuse(node, f"{path}.diagnose", wrong, "Name the second one under `with`, and only for an overlap.")
        return Dataset({})
    if not what or not text or ("with" in fields and not second):  # it was refused already
        return Dataset(TABLES.get(what, {}))
    recipe = Recipe(text, None, what, second)
    return Dataset(recipe.dictionary(), recipe)


def _definition(form: Form, node: Node, key: str, files: Files | None) -> str:
    """The definition's JSON text in its canonical formatting: one line, keys in the order in which they were read."""
    text = node.content if isinstance(node.content, str) else ""
    try:
        if not text.lstrip().startswith("{"):
            if files is None:
                form.refuse(node, key, f"{node.shown()} names a file.", "Sign the study: that takes the file into it.")
                return ""
            return circe.written(as_yaml.named(text, files(text)), indent=None)
        formatted = circe.written(circe.read(text), indent=None)
    except StudyError as error:
        form.refuse(node, key, error.what, error.remedy)
        return ""
    if files is None and formatted != text:
        form.refuse(node, key, "the definition is not in canonical form.", "Sign the study with `atoll study sign`.")
    return formatted
