"""From a question to a share, inside a hospital.

    permit    what the steward approved: algorithm, dataset, columns, privacy floor, participants
    question  must be one of the permitted algorithm (or its survey), over permitted columns
    rows      chunks of the dataset, on threads
    gate      the only way out

Whatever goes wrong becomes one code of `errors.CATALOGUE` and at most a word that the study itself
holds. What an exception says of the data stays here.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from atoll.algorithms import registry
from atoll.algorithms.arithmetic import one_blas_thread
from atoll.algorithms.core import Question, SiteFunction, answer
from atoll.errors import CATALOGUE, AtollError, DataError, DisclosureRefused, NotPermitted
from atoll.features.chunks import chunks, empty_column
from atoll.features.table import Table
from atoll.features.witnessed import Witnessed
from atoll.network.codec import decode_question, encode_question
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import PUBLIC, STRICT, Conditions, Policy, check_question
from atoll.privacy.few import fewest
from atoll.privacy.leverage import Influence, Weighing, largest_influence
from atoll.privacy.pairs import largest_apart
from atoll.site import gate
from atoll.study.dictionary import Dictionary, differences, person_column, words_of
from atoll.study.horizon import refuse_ahead
from atoll.study.view import View

CHUNK = 8_192  # rows: a chunk of 50 columns and its weighted copy fit the processor's cache
T = TypeVar("T")
U = TypeVar("U")
log = logging.getLogger("atoll.site")


SUBJECTS = ("outcome", "formula", "model", "grid", "edges")  # what a refusal may name beside the study's columns


@dataclass(frozen=True)
class Dataset:
    """A registered table with the dictionary that the steward wrote for it."""

    table: Table
    columns: Dictionary
    public: bool = False


class Datasets(Protocol):
    """The registered datasets of a site."""

    def open(self, name: str) -> Dataset:
        """The dataset; raises DataError with code UNKNOWN_DATASET."""
        ...


@dataclass(frozen=True)
class Permit:
    """What an approved study allows in one of its analyses. `limits` are the study's own, where it gives any."""

    algorithm: str
    dataset: str
    columns: Dictionary
    participants: tuple[str, ...]
    public: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What the hub will hear: the share's bytes, or a code and a word of the study."""

    payload: bytes = b""
    code: str = ""
    subject: str = ""


@dataclass
class Runner:
    """Answers questions at one site. `ledger` makes an answer durable before it is returned."""

    site: str
    datasets: Datasets
    ledger: gate.Ledger
    policy: Policy = STRICT
    threads: int = 2
    weighed: dict[tuple[Any, ...], Influence] = field(default_factory=dict)

    def answer(self, permit: Permit, place: Place, question: bytes) -> Outcome:
        """The outcome of one question; never raises for what the question or the data cause.

        Raises
        ------
        OSError, sqlite3.Error
            When the ledger cannot be written: then there is no answer at all.
        """
        policy = self.policy.tightened(permit.limits)  # until the dataset says whether it is public
        try:
            asked = _permitted(permit, place, question)
            dataset = self.datasets.open(permit.dataset)
            policy = effective(self.policy, dataset.public, permit)
            return self._answer(asked, place, dataset, permit, policy)
        except (OSError, sqlite3.Error):
            raise
        except AtollError as error:
            code = error.code if error.code in CATALOGUE else "SITE_FAILED"
            log.warning("%s round %d: refused with %s", place.run, place.round + 1, code)
            return self._refused(permit, place, policy, code, error.subject)
        except Exception as error:
            log.error("%s round %d: %s at %s", place.run, place.round + 1, type(error).__name__, _where(error))
            return self._refused(permit, place, policy, "SITE_FAILED", "")

    def _answer(self, asked: Question, place: Place, dataset: Dataset, permit: Permit, policy: Policy) -> Outcome:
        assert asked.view is not None
        _refuse_persons(asked.view, dataset.columns)
        _refuse_differences(asked.view, dataset.columns, permit.columns)
        conditions = Conditions(
            policy,
            words_of(dataset.columns),
            _time_unit(asked.view, dataset.columns),
            asked.arguments,
            registry.site_function(asked.name).kinds,
        )
        check_question(conditions)  # again at the gate; here before anything is computed
        share = self._compute(asked, asked.view, dataset, policy)
        influence = functools.partial(self._influence, asked, asked.view, dataset, policy)
        try:
            return Outcome(gate.leave(share, place, conditions, influence, self.ledger))
        except DisclosureRefused as refused:
            if refused.subject not in (
                *permit.columns,
                *SUBJECTS,
            ):  # a field of the share: say what it is told apart by
                refused.subject = asked.view.group or asked.view.time or ""
            raise

    def _influence(self, asked: Question, view: View, dataset: Dataset, policy: Policy) -> Influence:
        """The largest influence of one person on the question's model; looked at once for each design and outcome."""
        if view.design is None or policy.minimum_persons <= 1:
            return Influence()
        function = registry.site_function(asked.name)
        how = (policy.minimum_persons, function.squared, function.at_risk)
        key = (dataset.table.stamp, *how, digest(encode_question(Question("", {}, view))))
        if key not in self.weighed:
            read = functools.partial(chunks, dataset.table, view, dataset.columns, self.site, policy.minimum_persons)
            with one_blas_thread():
                self.weighed[key] = _weighed(function, read, policy.minimum_persons)
        return self.weighed[key]

    def _compute(self, asked: Question, view: View, dataset: Dataset, policy: Policy) -> Any:
        function = registry.site_function(asked.name)
        size = None if function.whole else CHUNK
        rows = chunks(dataset.table, view, dataset.columns, self.site, policy.minimum_persons, size, policy.rounding)
        try:
            with one_blas_thread(), ThreadPoolExecutor(self.threads) as pool:
                return answer(function, rows, asked.arguments, _ordered_map(pool, 2 * self.threads))
        except OSError as error:
            raise DataError("The dataset's file cannot be read.", "Look at the disk.", code="DATA_INVALID") from error
        except DataError as error:
            if error.code == "EMPTY":
                error.subject = empty_column(dataset.table, view, dataset.columns)
            elif error.code == "OUTCOME_UNFIT":
                error.subject = view.outcome or error.subject  # the column, which people know, and not its role
            raise

    def _refused(self, permit: Permit, place: Place, policy: Policy, code: str, subject: str) -> Outcome:
        word = subject if subject in permit.columns or subject in SUBJECTS else ""
        gate.refuse(code, word, place, policy, self.ledger)
        return Outcome(code=code, subject=word)


def _weighed(
    function: SiteFunction[..., Any], read: Callable[[int | None], Iterator[Witnessed]], least: int
) -> Influence:
    """The largest influence over the rows, and fewer than `least` whom the sums tell of together.

    A function over risk sets sums rows in two ways, and the larger counts; the hazards that weigh the second must be
    spread over half the minimum of persons, as weights of a part must.
    """
    if not function.at_risk:
        ways: list[Callable[[], Iterator[Weighing]]] = [lambda: (rows.weighing() for rows in read(CHUNK) if rows.n)]
    else:
        held = [weighing for rows in read(None) if rows.n for weighing in rows.weighing_at_risk()]
        ways = [functools.partial(weighing.parts, CHUNK) for weighing in held]
    found = [replace(largest_influence(rows), apart=largest_apart(rows, function.squared)) for rows in ways]
    found[1:] = [replace(one, leverage=one.leverage / 2) for one in found[1:]]
    if not found:
        return Influence()
    few = fewest(ways[0], least, function.squared)
    leverage, outcome, apart = (max(getattr(one, name) for one in found) for name in ("leverage", "outcome", "apart"))
    return Influence(leverage, outcome, apart, few.persons, few.column)


def effective(site: Policy, public: bool, permit: Permit) -> Policy:
    """The policy in force: thresholds are lifted only where steward *and* study call the dataset public.

    Raises
    ------
    NotPermitted
        When the study counts on public data and the dataset is not registered so.
    """
    if permit.public and not public:
        raise NotPermitted(
            "The study treats the dataset as public; here it is not registered so.",
            "Run the study under the strict policy, or the steward registers the dataset as public, with a reason.",
            code="NOT_PUBLIC",
        )
    return (lifted(site) if permit.public else site).tightened(permit.limits)


def lifted(site: Policy) -> Policy:
    """The public policy, with the site's own limits where they are stricter than its default."""
    own = {name: getattr(site, name) for name in ("max_rounds", "max_bytes", "per_site")}
    return replace(PUBLIC, **{name: value for name, value in own.items() if value < getattr(STRICT, name)})


def _permitted(permit: Permit, place: Place, question: bytes) -> Question:
    """The decoded question, when it is of the permitted algorithm and reads permitted columns only."""
    if place.round < 0 or place.attempt < 0:
        raise NotPermitted("Rounds and attempts count from zero.", code="NOT_PERMITTED")
    if digest(question) != place.question_hash:
        raise NotPermitted("The question is not the one that was announced.", code="HASH_MISMATCH")
    if place.participants != permit.participants:
        raise NotPermitted("The round's participants are not those of the study.", code="NOT_PERMITTED")
    asked = decode_question(question)
    if asked.name.partition(".")[0] not in (permit.algorithm, "survey"):
        raise NotPermitted("The question is not one of the approved analysis.", code="NOT_PERMITTED")
    if asked.view is None or not set(asked.view.named()) <= set(permit.columns):
        raise NotPermitted("The question reads columns that the study does not name.", code="NOT_PERMITTED")
    if asked.view.design is not None:  # the hub has looked at the study; what it asks may be something else
        refuse_ahead("formula", asked.view.design.raw_columns, permit.columns)
    return asked


def _time_unit(view: View, columns: Dictionary) -> str:
    """The unit of the time column as UCUM writes it; days where the dictionary gives none."""
    return columns[view.time].unit or "d" if view.time and view.time in columns else "d"


def _refuse_differences(view: View, own: Dictionary, wanted: Dictionary) -> None:
    """A column that is of another type or in another unit than the study expects would give a wrong number."""
    if (person := person_column(wanted)) is not None and person_column(own) != person:
        raise DataError(
            f"Column {person!r} identifies persons in the study and is not registered so here.",
            "Give it `type: person` in the dictionary; else one person could count as several.",
            code="MISSING_COLUMN",
            subject=person,
        )
    named = view.named()
    for name, what in differences(own, {name: wanted[name] for name in named if name in wanted}).items():
        if name in own:
            raise DataError(
                f"Column {name!r} {what}.", "Convert it, or correct the dictionary.", code="WRONG_TYPE", subject=name
            )


def _refuse_persons(view: View, columns: Dictionary) -> None:
    """The column that identifies persons is never part of a question, whatever the study calls it."""
    for name in view.named():
        if name in columns and columns[name].type == "person":
            raise NotPermitted("The question reads the column that identifies persons.", code="NOT_PERMITTED")


def _ordered_map(pool: ThreadPoolExecutor, ahead: int) -> Callable[..., Iterator[U]]:
    """`map` on threads, in order, that never holds more than `ahead` chunks: a table may be larger than memory."""

    def run(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        waiting: deque[Future[U]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    return run


def _where(error: BaseException) -> str:
    """File and line of the innermost frame: the message of an exception may hold a value, its place does not."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
