"""The formula language: `y ~ age + C(sex) * smoker + bs(bmi, df=4) + log(crp) + site`.

    +  -          add and remove terms; `0 +` and `- 1` remove the intercept
    :             interaction;  a*b is a + b + a:b,  a/b is a + a:b,  (a + b)^2 all pairs
    C(x)          a category; C(x, Treatment("reference")) chooses the reference level
    bs(x, df=4)   B-spline; also knots=[…], degree=3, lower_bound=, upper_bound=
    center(x)  scale(x)                        minus the mean; and divided by the SD
    log  log2  log10  exp  sqrt  abs  I(…)     arithmetic inside
    site          the hospital
    `a b`         a column whose name is no plain word

Terms are named and coded as the formulaic package does. A formula is parsed here, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from atoll.errors import StudyError
from atoll.study.calls import ALLOWED, Call, end_of_call, plain, understand

Term = tuple[str, ...]  # factors by their text, in order; () is the intercept

_TOKEN = re.compile(
    r"\s*(?:(?P<name>(?:[^\W\d]|_)[\w.]*)|`(?P<quoted>[^`]+)`|(?P<number>\d+(?:\.\d+)?)|(?P<operator>\*\*|[-+*:/^()]))"
)
_NONE, _ONE = "`0", "`1"  # the numbers 0 and 1 as terms; no column can be called so
_MOST = 1_000  # terms


@dataclass(frozen=True)
class Formula:
    """A parsed formula: `terms` by degree and then as written, `calls` by factor text."""

    response: str | None
    terms: tuple[Term, ...]
    intercept: bool
    calls: Mapping[str, Call]
    text: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the dataset that the formula names, the response first, without `site`."""
        return tuple(dict.fromkeys([*([self.response] if self.response else []), *self.covariates]))

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns of the dataset on the right-hand side, without `site`."""
        named = (name for term in self.terms for factor in term for name in self.calls[factor].columns)
        return tuple(dict.fromkeys(name for name in named if name != "site"))


def parse(text: str) -> Formula:
    """The formula in a text.

    Raises
    ------
    StudyError
        With the place and what was expected there.
    """
    start, response = _left(text)
    reader = _Reader(text, start)
    terms, intercept = reader.whole()
    if not terms and not intercept:
        raise _error(text, "it has no terms", "Write at least one column to the right of `~`.")
    ordered = sorted(_once(terms), key=len)
    used = {factor: reader.calls[factor] for term in ordered for factor in term}
    return Formula(response, tuple(ordered), intercept, used, text)


def factor(text: str) -> Call:
    """One factor as it stands in a formula or in a term's name.

    Raises
    ------
    StudyError
        When it is not a column or one of the allowed calls.
    """
    reader = _Reader(text, 0)
    terms, _ = reader.whole()
    if len(terms) != 1 or len(terms[0]) != 1:
        raise _error(text, "it is not one factor", "Write a column or a call.")
    return reader.calls[terms[0][0]]


def _left(text: str) -> tuple[int, str | None]:
    """Where the right-hand side begins, and the outcome to the left of `~`."""
    marks = [m.start() for m in re.finditer(r"`[^`]*`|\"[^\"]*\"|'[^']*'|~", text) if m.group() == "~"]
    if not marks:
        return 0, None
    if len(marks) > 1:
        raise _error(text, f"there is a second `~` at position {marks[1] + 1}", "Write `outcome ~ terms`.")
    left = text[: marks[0]].strip()
    match = _TOKEN.fullmatch(left) if left else None
    name = (match["name"] or match["quoted"]) if match else None
    if left and not name:
        raise _error(
            text,
            f"the outcome {left!r} is not a column",
            "Name one column; time, event and offset are options of the analysis.",
        )
    return marks[0] + 1, name


def _error(formula: str, what: str, remedy: str) -> StudyError:
    return StudyError(f"formula {formula.strip()!r}: {what}.", remedy, subject="formula")


def _once(terms: list[Term]) -> list[Term]:
    """Each term once, as first written: a:b is b:a."""
    first: dict[frozenset[str], Term] = {}
    for term in terms:
        first.setdefault(frozenset(term), term)
    return list(first.values())


class _Reader:
    """Recursive descent over the right-hand side: sum → product → interaction → power → atom."""

    def __init__(self, text: str, start: int):
        self.text, self.at = text, start
        self.calls: dict[str, Call] = {}
        self.depth = 0

    def whole(self) -> tuple[list[Term], bool]:
        """The terms without the intercept, and whether it stays."""
        terms, intercept = self._sum()
        if self.text[self.at :].strip():
            self._unexpected()
        return terms, intercept

    def _unexpected(self) -> NoReturn:
        rest = self.text[self.at :].strip()
        where = len(self.text.rstrip()) - len(rest) + 1
        found = f"{rest.split()[0]!r} at position {where} is not expected" if rest else "it ends too early"
        raise _error(self.text, found, _advice(rest))

    def _peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return (match["operator"] or "") if match else ""

    def _take(self, *operators: str) -> str:
        found = self._peek()
        if found not in operators:
            return ""
        match = _TOKEN.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return found

    def _sign(self) -> str:
        """A run of signs, as one."""
        found, minus = False, False
        while sign := self._take("+", "-"):
            found, minus = True, minus ^ (sign == "-")
        return ("-" if minus else "+") if found else ""

    def _sum(self) -> tuple[list[Term], bool]:
        """Terms, and whether the intercept stays. `0` and `1` are about the intercept."""
        terms: list[Term] = []
        intercept, sign = True, self._sign() or "+"
        while True:
            start = self.at
            for term in self._product():
                if term in ((_NONE,), (_ONE,)):
                    self._refuse_inside(start)
                    intercept = (term == (_ONE,)) == (sign == "+")
                elif sign == "-":
                    terms = [other for other in terms if set(other) != set(term)]
                else:
                    terms.append(term)
            sign = self._sign()
            if not sign:
                return terms, intercept

    def _refuse_inside(self, start: int) -> None:
        if self.depth:
            raise _error(
                self.text,
                f"a number stands inside brackets at position {self._place(start)}",
                "Write 0 or 1 outside of brackets.",
            )

    def _place(self, start: int) -> int:
        rest = self.text[start:]
        return start + len(rest) - len(rest.lstrip()) + 1

    def _product(self) -> list[Term]:
        terms = self._interaction()
        while operator := self._take("*", "/"):
            start = self.at
            other = self._interaction()
            if operator == "*":
                terms = [*terms, *other, *self._crossed(terms, other, start)]
            else:
                every = tuple(dict.fromkeys(factor for term in terms for factor in term))
                terms = [*terms, *self._crossed([every], other, start)]
        return terms

    def _interaction(self) -> list[Term]:
        terms = self._power()
        while self._take(":"):
            start = self.at
            terms = self._crossed(terms, self._power(), start)
        return terms

    def _crossed(self, left: list[Term], right: list[Term], start: int) -> list[Term]:
        if any(_NONE in term or _ONE in term for term in (*left, *right)):
            raise _error(
                self.text,
                f"a number is multiplied with a term at position {self._place(start)}",
                "0 and 1 are added as terms of their own; write I(10 * x) for a multiple.",
            )
        if len(left) * len(right) > _MOST:
            raise _error(self.text, f"it has more than {_MOST} terms", "Write fewer interactions.")
        return [tuple(dict.fromkeys([*a, *b])) for a in left for b in right]

    def _power(self) -> list[Term]:
        start = self.at
        terms = self._atom()
        if self._take("^", "**"):
            match = _TOKEN.match(self.text, self.at)
            if not match or not match["number"] or not match["number"].isdigit() or not 1 <= int(match["number"]) <= 6:
                raise _error(
                    self.text,
                    f"no whole number from 1 to 6 follows the power at position {self.at}",
                    "For the power of a column write I(x ** 2).",
                )
            self.at = match.end()
            made = terms
            for _ in range(int(match["number"]) - 1):
                made = _once(self._crossed(made, terms, start))
            terms = made
        return terms

    def _atom(self) -> list[Term]:
        if self._take("("):
            self.depth += 1
            if self.depth > 20:
                raise _error(self.text, "brackets stand more than 20 deep", "Write it with fewer.")
            terms, _ = self._sum()
            self.depth -= 1
            if not self._take(")"):
                self._unexpected()
            return terms
        match = _TOKEN.match(self.text, self.at)
        if not match or match["operator"]:
            self._unexpected()
        if match["number"]:
            if match["number"] not in ("0", "1"):
                self._unexpected()
            self.at = match.end()
            return [("`" + match["number"],)]
        if match["name"] and self.text[match.end() :].lstrip().startswith("("):
            return [(self._call(match),)]
        self.at = match.end()
        name = match["name"] or match["quoted"]
        self.calls[name] = plain(name)
        return [(name,)]

    def _call(self, match: re.Match[str]) -> str:
        """A call, up to its closing bracket."""
        start, name = match.start("name"), match["name"]
        end = end_of_call(self.text, match.end("name"))
        if end is None:
            raise _error(self.text, f"the bracket of {name!r} at position {start + 1} is not closed", "Add `)`.")
        if name not in ALLOWED:
            near = get_close_matches(name, ALLOWED, 1)
            raise _error(
                self.text,
                f"{name!r} at position {start + 1} is not a call that a formula may hold",
                (f"Did you mean {near[0]!r}? " if near else "") + f"Allowed are {', '.join(ALLOWED)}.",
            )
        try:
            text, call = understand(self.text[start:end])
        except ValueError as error:
            source = self.text[start:end]
            raise _error(
                self.text,
                f"{source!r} at position {start + 1} cannot be read: {error}",
                "See the list of calls in the manual.",
            ) from None
        self.at = end
        self.calls[text] = call
        return text


def _advice(rest: str) -> str:
    if rest.startswith("|"):
        return "Name strata and groups as options of the analysis."
    if rest.startswith("."):
        return "Name the columns one by one."
    if rest[:1] in ("'", '"'):
        return "A column whose name is no plain word stands between backticks: `name`."
    return "Join terms by +, : or *."
