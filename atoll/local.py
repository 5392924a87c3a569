"""A hub and its sites in one process: the same rounds, the same gate and the same codec, tables in memory.

For teaching, for trying a study before it is signed, and as the reference the network is tested against.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from atoll.algorithms import registry
from atoll.algorithms.arithmetic import one_blas_thread
from atoll.algorithms.core import Question
from atoll.algorithms.program import Asked, in_order, program, with_models
from atoll.errors import (
    CATALOGUE,
    REMEDIES,
    AtollError,
    DataError,
    StudyError,
    error_for,
)
from atoll.features.proposal import propose
from atoll.features.recipe import with_words
from atoll.features.table import Table, memory_table
from atoll.network.codec import decode, encode_question
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import PUBLIC, STRICT, Policy
from atoll.privacy.statistics import Statistics, combine
from atoll.site.runner import Dataset, Permit, Runner
from atoll.study.dictionary import Column, Dictionary, agreed
from atoll.study.protocol import Study
from atoll.ui.results import Result

DATASET = "table"
logging.getLogger("atoll").addHandler(logging.NullHandler())  # a refusal is raised here, not also printed


@dataclass
class Departures:
    """What left each site: shares, their size in bytes, and refusals. The ledger of sites that live in memory."""

    shares: int = 0
    size: int = 0
    refusals: list[str] = field(default_factory=list)

    def append(self, place: Place, *, decision: str, rule: str, subject: str, payload: bytes, policy: str) -> None:
        """Count one share or refusal."""
        if decision == "left":
            self.shares += 1
            self.size += len(payload)
        else:
            self.refusals.append(rule)


@dataclass(frozen=True)
class _Tables:
    """One registered dataset, in memory."""

    dataset: Dataset

    def open(self, name: str) -> Dataset:
        if name != DATASET:
            raise DataError(f"There is no dataset {name!r} here.", "Register it.", code="UNKNOWN_DATASET", subject=name)
        return self.dataset


class Network:
    """Hospitals in one process.

    Parameters
    ----------
    tables
        Site name → table: pandas or polars frame, Arrow table, mapping of arrays, or path of a CSV or Parquet file.
    policy
        "strict" (the default of a real site), "public" (published or simulated data: exact times, no thresholds),
        or a `Policy`.
    columns
        Data dictionary; proposed from the tables when left out.
    threads
        Threads a site computes on; all processors when left out.
    limits
        A study's own limits, by the names of `Policy`: they hold where they are stricter.

    Raises
    ------
    DataError
        When a table cannot be read or the tables do not fit each other.
    """

    def __init__(
        self,
        tables: Mapping[str, Any],
        policy: Literal["strict", "public"] | Policy = "strict",
        columns: Dictionary | None = None,
        threads: int | None = None,
        limits: Mapping[str, Any] | None = None,
    ):
        if not tables:
            raise DataError("A network needs at least one site.", 'Give {"site": table}.')
        if policy not in ("strict", "public") and not isinstance(policy, Policy):
            raise StudyError(
                f"policy: {policy!r} is not possible.", "Give 'strict', 'public' or a Policy.", subject="policy"
            )
        _check_columns(columns)
        self._limits = dict(limits or {})
        self._threads = threads or os.cpu_count() or 1
        self.public = policy == "public"
        self.policy = policy if isinstance(policy, Policy) else PUBLIC if policy == "public" else STRICT
        opened = _opened(tables)
        self._unusable: dict[str, str] = {}
        self.columns: Dictionary = columns or self._proposed(opened)
        self.departures = {site: Departures() for site in sorted(opened)}
        self._runners = {
            site: Runner(
                site,
                _Tables(Dataset(opened[site], self.columns, self.public)),
                self.departures[site],
                self.policy,
                self._threads,
            )
            for site in sorted(opened)
        }

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, sorted."""
        return tuple(self._runners)

    def run(self, algorithm: str, **options: Any) -> Result:
        """Run one analysis over all sites.

        Raises
        ------
        StudyError
            When the analysis cannot be run as written.
        DisclosureRefused, DataError
            When a site refuses; the sentence names the site and the rule.
        """
        return self._run(self.sites, algorithm, options)

    def local(self, algorithm: str, *, site: str, **options: Any) -> Result:
        """The same analysis at one site alone, for comparison.

        Raises
        ------
        StudyError
            When there is no such site.
        """
        if site not in self._runners:
            raise StudyError(f"There is no site {site!r}.", f"There are {', '.join(self.sites)}.", subject="site")
        return self._run((site,), algorithm, options)

    def _proposed(self, opened: Mapping[str, Table]) -> Dictionary:
        """One dictionary for all sites; remembers why a column that some tables have is not in it."""
        least = self.policy.minimum_persons
        proposals = {site: propose(table, least, infinite_too=True) for site, table in opened.items()}
        found = agreed({site: proposal.columns for site, proposal in proposals.items()}, ranges=not self.public)
        for site, table in opened.items():
            for name in {name for other in opened.values() for name in other.columns} - set(found):
                if name not in table.columns:
                    self._unusable[name] = f"{site} has no such column"
                elif name not in proposals[site].columns:
                    self._unusable.setdefault(name, f"at {site} it is text (or dates written as text)")
        return found

    def _run(self, sites: tuple[str, ...], algorithm: str, options: Mapping[str, Any]) -> Result:
        try:
            with one_blas_thread():
                return self._rounds(sites, algorithm, options)
        except StudyError as error:
            for name, why in self._unusable.items():
                if error.code == "MISSING_COLUMN" and f"column {name!r}" in error.what:
                    remedy = "Give it to every site, as numbers, dates (2024-12-31) or at most 50 different words."
                    what = f"The column {name!r} cannot be used: {why}."
                    raise StudyError(what, remedy, code=error.code, subject=error.subject) from error
            raise

    def _rounds(self, sites: tuple[str, ...], algorithm: str, options: Mapping[str, Any]) -> Result:
        permit = Permit(algorithm, DATASET, self.columns, sites, self.public, self._limits)
        rounds = program(Asked(algorithm, options, self.columns, sites, self.public))
        answer: Statistics | None = None
        asked = 0
        while True:
            try:
                question = rounds.send(answer)
            except StopIteration as finished:
                return Result({**finished.value, "rounds": asked})
            answer = self._ask(question, permit, asked)
            asked += 1

    def _ask(self, question: Question, permit: Permit, round_: int) -> Statistics:
        """One round: every site answers through its gate, and the answers are combined."""
        data = encode_question(question)
        place = Place("in-process", "run", permit.algorithm, round_, 0, digest(data), permit.participants)
        cls: type[Statistics] = registry.site_function(question.name).answers
        shares = {}
        # A function over chunks uses the threads itself; one that needs all rows of a site leaves them to the sites.
        with ThreadPoolExecutor(self._threads if registry.site_function(question.name).whole else 1) as pool:
            answers = pool.map(lambda site: self._runners[site].answer(permit, place, data), permit.participants)
            for site, outcome in zip(permit.participants, answers, strict=True):
                if outcome.code:
                    raise refusal(site, outcome.code, outcome.subject)
                shares[site] = decode(outcome.payload, cls)
        return combine(shares)


def run_study(
    study: Study,
    tables: Mapping[str, Any],
    threads: int | None = None,
    made: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[tuple[str, Result | AtollError]]:
    """Run a study's analyses in this process, in order.

    tables   one table a site, for datasets that stewards register
    made     by site and dataset: tables of the study's recipes, as `features.recipe` makes them

    An analysis that is refused gives its error, and the others go on. The study's own dictionary and privacy floor
    hold. A dataset counts as public when the study says so:
    whoever holds the tables on this machine may see them.

    Raises
    ------
    DataError
        When a table cannot be read.
    """
    opened = _opened({site: tables[site] for site in study.sites if site in tables})
    kept = {name: _opened({site: made[site][name] for site in study.sites}) for name in study.recipes} if made else {}
    policy: Literal["strict", "public"] = "public" if study.privacy.public else "strict"
    done: dict[str, Result] = {}
    for name in in_order({name: analysis.options.get("model") for name, analysis in study.analyses.items()}):
        analysis = study.analyses[name]
        held = kept.get(analysis.dataset, opened)
        columns = _columns(study, analysis.dataset, held, made or {})
        network = Network(held, policy, columns, threads, study.privacy.limits())
        try:
            options = with_models(analysis.options, {finished: result.document for finished, result in done.items()})
            done[name] = network.run(analysis.algorithm, **options)
        except AtollError as error:
            if error.code == "WORD_NOT_LISTED":  # here the study's dictionary is the steward's as well
                column = error.subject
                error.remedy = f"List its levels in the study: {column}: {{type: category, levels: [first, second]}}."
            yield name, error
        else:
            yield name, done[name]


def _columns(
    study: Study, dataset: str, held: Mapping[str, Table], made: Mapping[str, Mapping[str, Any]]
) -> Dictionary:
    """The dictionary of a dataset with the words that a steward's own would list."""
    columns, recipe = study.datasets[dataset], study.recipes.get(dataset)
    if recipe is None or not recipe.diagnose or not made:
        return _with_levels(columns, held, study.privacy.limits())
    import pyarrow as pa

    return with_words(pa.concat_tables([made[site][dataset] for site in study.sites]), recipe, columns)


def _with_levels(columns: Dictionary, tables: Mapping[str, Table], limits: Mapping[str, Any]) -> Dictionary:
    """The study's dictionary; a category without levels has those that enough persons hold at a site, as a steward's
    own dictionary would."""
    open_ = [name for name, column in columns.items() if column.type == "category" and not column.levels]
    if not open_:
        return columns
    minimum = STRICT.tightened(limits).minimum_persons
    proposals = [propose(table, minimum).columns for table in tables.values()]
    found = {
        name: tuple(sorted({word for one in proposals if name in one for word in one[name].levels})) for name in open_
    }
    return {name: replace(column, levels=found.get(name) or column.levels) for name, column in columns.items()}


def refusal(site: str, code: str, subject: str) -> AtollError:
    """The error that a site's code stands for, with the word of the study that it concerns, and its remedy."""
    about = f" ({subject})" if subject else ""
    return error_for(code, f"{site}: {CATALOGUE[code][1].rstrip('.')}{about}.", REMEDIES[code], subject=subject)


def _check_columns(columns: object) -> None:
    if columns is not None and not isinstance(columns, Mapping):
        what = f"columns: a {type(columns).__name__} is no data dictionary."
    else:
        wrong = [(name, one) for name, one in (columns or {}).items() if not isinstance(one, Column)]
        if not wrong:
            return
        what = f"columns: {wrong[0][0]!r} is a {type(wrong[0][1]).__name__} and no Column."
    remedy = "Give a Column (atoll.study.dictionary) by each name; Column.from_document makes one of a dict of a file."
    raise StudyError(what, remedy, subject="columns")


def _opened(tables: Mapping[str, Any]) -> dict[str, Table]:
    """Every site's table; a table that cannot be read is refused with the site's name."""
    opened: dict[str, Table] = {}
    for site, table in tables.items():
        if str(site) in opened:
            raise StudyError(f"Two sites are called {str(site)!r}.", "Give each site a name of its own.")
        try:
            opened[str(site)] = memory_table(table)
        except DataError as error:
            raise DataError(f"{site}: {error.what}", error.remedy, code=error.code, subject=error.subject) from error
    return opened
