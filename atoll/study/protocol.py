"""The study document: what is asked of which hospitals, by whom, why, how strictly and until when.

People write it in YAML. Machines keep its canonical JSON (RFC 8785): those bytes are signed by the
investigator, and their SHA-256 is what a steward approves. Reading the canonical bytes goes through the
same checks as reading what a person wrote, and then through one more: writing them again gives the same bytes.

A study holds no data and no code. Its privacy floor can only tighten a hospital's own policy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from typing import Any

import rfc8785

from atoll.errors import StudyError
from atoll.study.dataset import Dataset, Files, Recipe, no_files, read_datasets
from atoll.study.dictionary import Dictionary
from atoll.study.form import Form, nearest
from atoll.study.nodes import Node, from_json, from_yaml

FORMAT = 1
Check = Callable[[str, Mapping[str, Any], Dictionary], object]

_TITLE = "The study cannot be used:"
_OPTION = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NEEDED = ("atoll", "title", "purpose", "investigator", "sites", "datasets", "analyses", "valid")
_OWN = ("algorithm", "dataset", "label")
_FLOOR = {"minimum_persons": (1, 1e6), "rounding": (1, 1e6), "max_rounds": (1, 1000), "grid_days": (0, 36525)}


@dataclass(frozen=True)
class Investigator:
    """Who asks. `key` is the fingerprint of the signing key, empty until the study is signed."""

    name: str
    organisation: str
    key: str = ""


@dataclass(frozen=True)
class SiteEntry:
    """A hospital that is asked. `key` is its fingerprint; a study can be signed only when it is given."""

    key: str = ""


@dataclass(frozen=True)
class Analysis:
    """One algorithm with its options, over one dataset."""

    algorithm: str
    dataset: str
    options: Mapping[str, Any]
    label: str = ""


@dataclass(frozen=True)
class PrivacyFloor:
    """Limits that hold at every hospital whose own are looser; None leaves the hospital's own.

    public    the study says that all its data are public; a hospital must have registered them so
    """

    public: bool = False
    minimum_persons: int | None = None
    rounding: int | None = None
    grid_days: float | None = None
    max_rounds: int | None = None

    def limits(self) -> dict[str, Any]:
        """The limits that are given, by the names of `privacy.disclosure.Policy`."""
        return {name: value for name, value in asdict(self).items() if name in _FLOOR and value is not None}


@dataclass(frozen=True)
class Study:
    """A study that has passed every check of its form."""

    title: str
    purpose: str
    investigator: Investigator
    sites: Mapping[str, SiteEntry]
    datasets: Mapping[str, Dictionary]
    analyses: Mapping[str, Analysis]
    privacy: PrivacyFloor
    valid_from: date
    valid_until: date
    recipes: Mapping[str, Recipe] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types, in the form that `read` reads; what was left out stays out."""
        privacy = ({"public": True} if self.privacy.public else {}) | self.privacy.limits()
        document: dict[str, Any] = {
            "atoll": FORMAT,
            "title": self.title,
            "purpose": self.purpose,
            "investigator": _given(asdict(self.investigator)),
            "sites": {name: _given(asdict(site)) for name, site in self.sites.items()},
            "datasets": {
                name: Dataset(columns, self.recipes.get(name)).to_document() for name, columns in self.datasets.items()
            },
            "analyses": {
                name: _given({"algorithm": a.algorithm, "dataset": a.dataset, "label": a.label}) | dict(a.options)
                for name, a in self.analyses.items()
            },
            "valid": {"from": self.valid_from.isoformat(), "until": self.valid_until.isoformat()},
        }
        return document | ({"privacy": privacy} if privacy else {})

    def canonical(self) -> bytes:
        """The bytes that are signed and hashed (RFC 8785)."""
        return rfc8785.dumps(self.to_document())

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the canonical bytes."""
        return study_hash(self.canonical())

    def check_dates(self, today: date) -> None:
        """Return when `today` lies within the study's dates.

        Raises
        ------
        StudyError
            With code STUDY_EXPIRED, before the first or after the last day.
        """
        if not self.valid_from <= today <= self.valid_until:
            raise StudyError(
                f"The study runs from {self.valid_from} until {self.valid_until}; today is {today}.",
                "Wait for its first day, or sign a study with later dates.",
                code="STUDY_EXPIRED",
                subject="valid",
            )


def read(text: str, *, check: Check | None = None, today: date | None = None, files: Files = no_files) -> Study:
    """The study in a document that a person wrote (YAML).

    `check(algorithm, options, columns)` raises a StudyError whose `subject` is an option; `today` refuses
    a study whose last day has passed; `files` gives the text of a cohort definition that the study names.

    Raises
    ------
    Problems
        With every finding, each with its line.
    """
    root, problems = from_yaml(text, _TITLE)
    return _study(root, Form(problems), check, today, files)


def from_canonical(body: bytes, *, check: Check | None = None) -> Study:
    """The study in canonical bytes.

    Raises
    ------
    Problems
        With every finding, or when writing the study again gives other bytes.
    """
    study = _study(from_json(body, _TITLE), Form(), check, None, None)
    if study.canonical() != body:
        raise StudyError(
            "The study's bytes are not in canonical form, so its hash could mean two things.",
            "Sign the study with `atoll study sign`.",
            code="HASH_MISMATCH",
        )
    return study


def study_hash(body: bytes) -> str:
    """Hex SHA-256 of canonical bytes."""
    return hashlib.sha256(body).hexdigest()


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}


def _study(root: Node, form: Form, check: Check | None, today: date | None, files: Files | None) -> Study:
    fields = form.fields(root, "", _NEEDED, ("privacy",))
    part = partial(form.part, fields, "")
    part("atoll", _format, None)
    found: dict[str, Dataset] = part("datasets", read_datasets, {}, files)
    datasets = {name: dataset.columns for name, dataset in found.items()}
    first, last = part("valid", _valid, (date.min, date.max), today)
    study = Study(
        title=part("title", Form.text, ""),
        purpose=part("purpose", Form.text, "", 4000, True),
        investigator=part("investigator", _investigator, Investigator("", "")),
        sites=part("sites", _sites, {}),
        datasets=datasets,
        analyses=part("analyses", _analyses, {}, datasets, check),
        privacy=part("privacy", _privacy, PrivacyFloor()),
        valid_from=first,
        valid_until=last,
        recipes={name: dataset.recipe for name, dataset in found.items() if dataset.recipe},
    )
    form.finish(_TITLE)
    return study


def _format(form: Form, node: Node, key: str) -> None:
    if node.content != str(FORMAT):
        form.refuse(node, key, f"this Atoll reads form {FORMAT}, not {node.shown()}.", f"Write `atoll: {FORMAT}`.")


def _investigator(form: Form, node: Node, key: str) -> Investigator:
    fields = form.fields(node, key, ("name", "organisation"), ("key",))
    name, organisation = (form.part(fields, key, word, Form.text, "") for word in ("name", "organisation"))
    return Investigator(name, organisation, form.part(fields, key, "key", Form.fingerprint, ""))


def _sites(form: Form, node: Node, key: str) -> dict[str, SiteEntry]:
    sites: dict[str, SiteEntry] = {}
    for name, entry in form.entries(node, key, needed="hospital").items():
        path = f"{key}.{form.name(name, entry, key)}"
        fields = {} if entry.empty else form.fields(entry, path, (), ("key",))
        print_ = form.part(fields, path, "key", Form.fingerprint, "")
        if twin := next((other for other, site in sites.items() if print_ and site.key == print_), None):
            form.refuse(entry, f"{path}.key", f"this is also the key of {twin}.", "Each hospital has its own key.")
        sites[name] = SiteEntry(print_)
    return sites


def _analyses(
    form: Form, node: Node, key: str, datasets: Mapping[str, Dictionary], check: Check | None
) -> dict[str, Analysis]:
    analyses = {}
    for name, entry in form.entries(node, key, needed="analysis").items():
        path = f"{key}.{form.name(name, entry, key)}"
        written = form.entries(entry, path)
        if not written:
            form.refuse(entry, path, "the analysis is empty.", "Give it `algorithm:`, `dataset:` and its options.")
            continue
        found = len(form.problems)
        own = Node({word: item for word, item in written.items() if word in _OWN}, entry.line)
        fields = form.fields(own, path, ("algorithm", "dataset"), ("label",))
        words = {word: form.text(item, f"{path}.{word}") for word, item in fields.items()}
        options = {word: _option(form, item, word, path) for word, item in written.items() if word not in _OWN}
        analysis = Analysis(words.get("algorithm", ""), words.get("dataset", ""), options, words.get("label", ""))
        if "dataset" in fields and analysis.dataset not in datasets:
            remedy = nearest(analysis.dataset, datasets)
            form.refuse(fields["dataset"], f"{path}.dataset", f"there is no dataset {analysis.dataset!r}.", remedy)
        if check and len(form.problems) == found and datasets[analysis.dataset]:  # columns that could not be read: said
            _check(form, check, analysis, datasets[analysis.dataset], written, path)
        analyses[name] = analysis
    return analyses


def _option(form: Form, node: Node, name: str, path: str) -> Any:
    if not _OPTION.fullmatch(name):
        form.refuse(
            node,
            path,
            f"{name[:80]!r} is not an option's name.",
            "Options are lower-case words; a value with a comma inside {…} goes in quotes.",
        )
    elif node.empty:
        form.refuse(node, f"{path}.{name}", "nothing is written here.", "Give a value, or leave the key out.")
    return form.plain(node, f"{path}.{name[:80]}")


def _check(
    form: Form, check: Check, analysis: Analysis, columns: Dictionary, written: Mapping[str, Node], path: str
) -> None:
    """Let the algorithm judge its options, and add where they stand."""
    try:
        check(analysis.algorithm, analysis.options, columns)
    except StudyError as error:
        name = error.subject if error.subject in written else "algorithm"
        what, value = error.what.removeprefix(f"{name}: "), written[name].shown()
        form.refuse(written[name], f"{path}.{name}" + f" = {value}" * (value not in what), what, error.remedy)


def _privacy(form: Form, node: Node, key: str) -> PrivacyFloor:
    fields = form.fields(node, key, (), ("public", *_FLOOR))
    public = form.part(fields, key, "public", Form.flag, False)
    limits = {
        name: form.part(fields, key, name, Form.number, None, low, high, name != "grid_days")
        for name, (low, high) in _FLOOR.items()
    }
    return PrivacyFloor(public, **limits)


def _valid(form: Form, node: Node, key: str, today: date | None) -> tuple[date, date]:
    fields = form.fields(node, key, ("from", "until"))
    first = form.part(fields, key, "from", Form.day, None) or date.min
    last = form.part(fields, key, "until", Form.day, None) or date.max
    if first > last:
        form.refuse(fields["until"], f"{key}.until", f"{last} lies before valid.from, {first}.", "Swap the dates.")
    elif today and last < today:
        form.refuse(fields["until"], f"{key}.until", f"{last} has passed; today is {today}.", "Give a later day.")
    return first, last
