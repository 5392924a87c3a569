"""The grammar of a federated algorithm.

One algorithm is one file in this folder, and a file has two parts:

* functions marked `@at_site` run inside a hospital: data in, `Statistics` out;
* one generator, named as its file, runs at the hub: each `yield` is one round. It sends a question
  to every site and receives the sites' combined answer.

The generator does no input or output and draws no random numbers, so replaying the recorded answers
replays the study: the hub may be killed at any moment.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from atoll.errors import REMEDIES, DataError
from atoll.privacy.statistics import Array, Statistics, merge
from atoll.study.view import View

P = ParamSpec("P")
S = TypeVar("S", bound=Statistics)


class Data(Protocol):
    """What an `@at_site` function sees of a hospital: complete rows, in the form of the question.

    n         rows
    X         (n, terms) design matrix, the same terms at every site
    y, time, event, offset   (n,) columns that the analysis names; `offset` is zero when it names none
    strata    (n,) integer code of each row's stratum within the site
    hazard    (n,) Σ d/n over the event times of the own stratum up to the row's time. Of all rows only
    group     (n,) integer code into the levels that the question lists
    minimum   persons that the site's policy wants behind every cell; a function may coarsen to meet it
    rounding  numbers of persons leave as multiples of this; bounds of one another are told from the rounded number

    A function sees no data without a row, n ≥ 1, unless it is marked `at_site_or_nobody`.
    """

    n: int
    X: Array
    y: Array
    time: Array
    event: Array
    offset: Array
    strata: Array
    hazard: Array
    group: Array
    minimum: int
    rounding: int

    def persons(self, where: Array | None = None) -> int:
        """Number of distinct persons in the rows where the mask holds."""
        ...

    def persons_per(self, codes: Array, size: int) -> Array:
        """Distinct persons per integer code 0 … size − 1."""
        ...

    def column(self, name: str) -> Array:
        """One column as it stands in the dataset: floats with NaN, or an array of words with None."""
        ...

    def behind_design(self) -> dict[str, Array]:
        """Persons behind the columns of X and every pair of them, as a `witness` for Σ xxᵀ."""
        ...

    def behind_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Persons other than zero, and than what most have, in each column: a `witness` for Σ x. Of all rows only."""
        ...

    def behind_cells(self, codes: Array, size: int) -> dict[str, Array]:
        """As `behind_design`, for the rows of each code 0 … size − 1 apart; codes beyond stand for no cell."""
        ...

    def behind_cases(self, *happened: Array, whole: bool = False) -> dict[str, Array]:
        """Persons of each mask in every cell of indicators that a term combines with more: a `witness` for Σ xy."""
        ...

    def behind_values(self, outcome: Array, squared: bool, whole: bool = False) -> dict[str, Array]:
        """As `behind_cases` for an outcome that is a number: persons other than zero, and than what most have; than the
        two commonest values where its squares are summed."""
        ...

    def spread_cases(self, *happened: Array) -> dict[str, Array]:
        """Σ|z| and Σz² over each mask, of the numbers among the products of X, for `weights(part=True)`."""
        ...

    def leverage_per(self, codes: Array, size: int) -> Array:
        """(2, cells): [1, the largest leverage of one person on 1 and X] in each code's rows; a `weights` witness."""
        ...

    def spread(self, weight: Array) -> Array:
        """[Σw, Σw²] over persons, for `weights`; w (n,) is not negative."""
        ...

    def spread_per(self, weight: Array, codes: Array, size: int) -> Array:
        """(2, size): the same over the persons of each integer code 0 … size − 1, for `weights(part=True)`."""
        ...

    def spread_within(self, *weights: Array) -> dict[str, Array]:
        """The same over the persons behind each term of X, for `weights(part=True)`."""
        ...

    def spread_within_cells(self, weight: Array, codes: Array, size: int) -> dict[str, Array]:
        """As `spread_within`, for the rows of each code 0 … size − 1 apart; codes beyond stand for no cell."""
        ...

    def spread_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """The same of each column's squared distance from its mean, and from what the others say, for
        `weights(part=True)`. Of all rows only."""
        ...

    @property
    def flag_outcome(self) -> bool:
        """Whether the data dictionary calls the outcome a flag: then its sum is a number of persons."""
        ...


@dataclass(frozen=True)
class Question:
    """What one round asks of every site: an `@at_site` function by name, its arguments, and the view of the data.

    An algorithm leaves `view` empty; the program that runs it sets the same view on all its questions.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    view: View | None = None


class SiteFunction(Generic[P, S]):
    """An `@at_site` function. Called without data it builds the `Question`; `.on(data, …)` answers it."""

    def __init__(
        self,
        function: Callable[Concatenate[Any, P], S],
        whole: bool,
        squared: bool = False,
        nobody: bool = False,
        at_risk: bool = False,
    ):
        self.on = function
        self.whole, self.squared, self.nobody, self.at_risk = whole, squared, nobody, at_risk
        self.module = function.__module__.rpartition(".")[2]
        self.name = f"{self.module}.{function.__name__}"
        self.kinds = _kinds_of_arguments(function)
        functools.update_wrapper(self, function)

    @functools.cached_property
    def answers(self) -> type[S]:
        """The record that the function returns."""
        returns: type[S] = get_type_hints(self.on)["return"]
        return returns

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> Question:
        if arguments:
            raise TypeError(f"{self.name}: arguments of a question are named")
        return Question(self.name, dict(options))


def _kinds_of_arguments(function: Callable[..., Any]) -> dict[str, str]:
    """What each array among a question's arguments is, by name: the annotations of `options`.

    Raises
    ------
    TypeError
        At import, when an argument could carry numbers of which the gate would not know what they are.
    """
    found = {}
    for name, hint in list(get_type_hints(function, include_extras=True).items()):
        if name in ("return", next(iter(inspect.signature(function).parameters))):
            continue
        for part in get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,):
            if get_origin(part) is Annotated:
                found[name] = part.__metadata__[0]
            elif not (part in (str, int, float, bool, NoneType, tuple[str, ...]) or get_origin(part) is Literal):
                raise TypeError(
                    f"{function.__module__}.{function.__name__}: {name!r} is none of the types that a question may "
                    "carry: Grid, Edges, Coefficients, Centre, Parameters, tuple[str, ...], str, int, float, bool"
                )
    return found


def at_site(function: Callable[Concatenate[Any, P], S]) -> SiteFunction[P, S]:
    """Mark a function that runs inside a hospital. Its sums may be taken over chunks of rows."""
    return SiteFunction(function, whole=False)


def at_site_squared(function: Callable[Concatenate[Any, P], S]) -> SiteFunction[P, S]:
    """As `at_site`, for a function that sums pairs of terms times the outcome, or its square."""
    return SiteFunction(function, whole=False, squared=True)


def at_site_whole(function: Callable[Concatenate[Any, P], S]) -> SiteFunction[P, S]:
    """As `at_site`, for a function that needs all rows of a site's stratum at once (ranks, risk sets)."""
    return SiteFunction(function, whole=True)


def at_site_at_risk(function: Callable[Concatenate[Any, P], S]) -> SiteFunction[P, S]:
    """As `at_site_whole`, for a function that sums over risk sets: a row counts as much as the events that it met."""
    return SiteFunction(function, whole=True, at_risk=True)


def at_site_or_nobody(function: Callable[Concatenate[Any, P], S]) -> SiteFunction[P, S]:
    """As `at_site_whole`, for a function that answers for nobody as it does for a few, and so may see no row."""
    return SiteFunction(function, whole=True, nobody=True)


Program = Generator[Question, Any, Any]


@dataclass(frozen=True)
class Finished:
    """The result of a program that asked its last question."""

    result: Any


def advance(program: Program, answers: Sequence[Statistics]) -> Question | Finished:
    """At the hub: replay the answers so far; return the next `Question`, or the result."""
    try:
        question = next(program)
        for answer in answers:
            question = program.send(answer)
        return question
    except StopIteration as finished:
        return Finished(finished.value)


def answer(
    function: SiteFunction[..., S],
    chunks: Iterable[Any],
    arguments: dict[str, Any],
    map: Callable[..., Iterable[S | None]] = map,
) -> S:
    """At a site: the function over every chunk of rows, merged in order; `map` may run on threads.

    Merging as answers arrive, from left to right, gives the same bits for any number of threads. A chunk
    without a complete row adds nothing, and the function does not see it unless it answers for nobody too.

    Raises
    ------
    DataError
        With code EMPTY, when no chunk holds a complete row.
    """
    merged: S | None = None
    for following in map(lambda data: function.on(data, **arguments) if data.n or function.nobody else None, chunks):
        if following is not None:
            merged = following if merged is None else merge([merged, following])
    if merged is None:
        raise DataError("No complete rows remain for this question.", REMEDIES["EMPTY"], code="EMPTY")
    return merged
