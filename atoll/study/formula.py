"""The formula language: `y ~ age + C(sex) * smoker + bs(bmi, df=4) + log(crp) + site`.

    +  -          add and remove terms; `0 +` and `- 1` remove the intercept
    :             interaction;  a*b is a + b + a:b,  a/b is a + a:b,  (a + b)^2 all pairs
    C(x)          a category; C(x, Treatment("reference")) chooses the reference level
    bs(x, df=4)   B-spline; also knots=[…], degree=3, lower_bound=, upper_bound=
    center(x)  scale(x)                        minus the mean; and divided by the SD
    log  log2  log10  exp  sqrt  abs  I(…)     arithmetic inside
    site          the hospital

Terms are named and coded as the formulaic package does. A formula is parsed here, never evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NoReturn

from atoll.errors import StudyError
from atoll.study.design import Expression

MATHEMATICS = ("log", "log2", "log10", "exp", "sqrt", "abs")
ALLOWED = ("C", "bs", "center", "scale", "I", *MATHEMATICS)
Term = tuple[str, ...]  # factors by their text, in order; () is the intercept

_TOKEN = re.compile(
    r"\s*(?:(?P<name>(?:[^\W\d]|_)[\w.]*)|`(?P<quoted>[^`]+)`|(?P<number>\d+)|(?P<operator>\*\*|[-+*:/^()]))"
)
_QUOTED, _STAND_IN = re.compile(r"`([^`]+)`"), "__quoted_"
_NONE, _ONE = "\0" + "0", "\0" + "1"  # the intercept's numbers, which no column can be called
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


@dataclass(frozen=True)
class Call:
    """One factor, understood.

    kind        number · category · spline · center · scale
    column      the column of all kinds but number
    expression  of a number
    options     reference (category); df, knots, degree, lower_bound, upper_bound (spline)
    """

    kind: str
    column: str = ""
    expression: Expression = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)


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
        named = [self.response] if self.response else []
        named += [name for term in self.terms for factor in term for name in _columns(self.calls[factor])]
        return tuple(dict.fromkeys(name for name in named if name != "site"))


def parse(text: str) -> Formula:
    """The formula in a text.

    Raises
    ------
    StudyError
        With the place and what was expected there.
    """
    left, tilde, _ = text.rpartition("~")
    if "~" in left:
        raise _error(text, "there are two `~`", "Write `outcome ~ terms`.")
    response = _response(left.strip(), text) if tilde else None
    reader = _Reader(text, len(left) + len(tilde))
    try:
        terms, intercept = reader.whole()
    except RecursionError:
        raise _error(text[:80], "it is nested too deeply", "Write fewer brackets.") from None
    if not terms and not intercept:
        raise _error(text, "it has no terms", "Write at least one column to the right of `~`.")
    ordered = sorted(dict.fromkeys(terms), key=len)
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


def _response(text: str, formula: str) -> str:
    name = text.strip("`")
    if not name:
        raise _error(formula, "the outcome is missing", "Write it to the left of `~`.")
    if not re.fullmatch(r"[\w .-]+", name):
        raise _error(formula, f"the outcome {text!r} is not a column", "Name one column; compute others beforehand.")
    return name


def _error(formula: str, what: str, remedy: str) -> StudyError:
    return StudyError(f"formula {formula.strip()!r}: {what}.", remedy, subject="formula")


class _Reader:
    """Recursive descent over the right-hand side: sum → product → interaction → power → atom."""

    def __init__(self, text: str, start: int):
        self.text, self.at = text, start
        self.calls: dict[str, Call] = {}

    def whole(self) -> tuple[list[Term], bool]:
        terms, intercept = self._sum()
        if self.text[self.at :].strip():
            self._unexpected()
        if any(number in term for term in terms for number in (_NONE, _ONE)):
            raise _error(self.text, "0 and 1 are about the intercept and stand alone", "Write `0 +` or `- 1`.")
        return [term for term in terms if term], intercept

    def _unexpected(self) -> NoReturn:
        rest = self.text[self.at :].strip()
        found = (
            f"{rest.split()[0]!r} at position {len(self.text) - len(rest) + 1} is not expected"
            if rest
            else "it ends too early"
        )
        raise _error(self.text, found, "Join terms by +, : or *.")

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

    def _sum(self) -> tuple[list[Term], bool]:
        """Terms, and whether the intercept stays. `0` and `1` are about the intercept."""
        terms: list[Term] = []
        intercept, sign = True, self._take("+", "-") or "+"
        while True:
            for term in self._product():
                if term in ((_NONE,), (_ONE,)):
                    intercept = (term == (_ONE,)) == (sign == "+")
                elif sign == "+":
                    terms.append(term)
                else:
                    terms = [other for other in terms if set(other) != set(term)]
            sign = self._take("+", "-")
            if not sign:
                return terms, intercept

    def _product(self) -> list[Term]:
        terms = self._interaction()
        while operator := self._take("*", "/"):
            other = self._interaction()
            if operator == "*":
                terms = [*terms, *other, *_crossed(terms, other)]
            else:
                every = tuple(dict.fromkeys(factor for term in terms for factor in term))
                terms = [*terms, *_crossed([every], other)]
        return terms

    def _interaction(self) -> list[Term]:
        terms = self._power()
        while self._take(":"):
            terms = _crossed(terms, self._power())
        return terms

    def _power(self) -> list[Term]:
        terms = self._atom()
        if self._take("^", "**"):
            match = _TOKEN.match(self.text, self.at)
            if not match or not match["number"] or not 1 <= int(match["number"]) <= 6:
                self._unexpected()
            self.at = match.end()
            chosen = [c for size in range(1, int(match["number"]) + 1) for c in combinations(terms, size)]
            terms = [tuple(dict.fromkeys(factor for term in choice for factor in term)) for choice in chosen]
        return terms

    def _atom(self) -> list[Term]:
        if self._take("("):
            terms, _ = self._sum()
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
            return [(_ONE if match["number"] == "1" else _NONE,)]
        if match["name"] and self.text[match.end() :].lstrip().startswith("("):
            return [(self._call(match),)]
        self.at = match.end()
        name = match["name"] or match["quoted"]
        self.calls[name] = Call("number", name, ("column", name))
        return [(name,)]

    def _call(self, match: re.Match[str]) -> str:
        """A call, up to its closing bracket, read as Python syntax and understood without running it."""
        start, depth = match.start("name"), 0
        for end in range(self.text.index("(", match.end("name")), len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[end], 0)
            if depth == 0:
                break
        else:
            raise _error(self.text, "a bracket is not closed", "Add the missing `)`.")
        written, quoted = self.text[start : end + 1], _QUOTED.findall(self.text[start : end + 1])
        source = written
        for i, name in enumerate(quoted):  # Python knows no backticks: a name stands in for each
            source = source.replace(f"`{name}`", f"{_STAND_IN}{i}_")
        if match["name"] not in ALLOWED:
            raise _error(
                self.text,
                f"{match['name']!r} at position {start + 1} is not a call that a formula may hold",
                f"Allowed are {', '.join(ALLOWED)}.",
            )
        try:
            tree = ast.parse(source, mode="eval").body
            assert isinstance(tree, ast.Call)
            text = ast.unparse(tree)
            for i, name in enumerate(quoted):
                text = text.replace(f"{_STAND_IN}{i}_", f"`{name}`")
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id.startswith(_STAND_IN):
                    node.id = quoted[int(node.id.removeprefix(_STAND_IN).rstrip("_"))]
            call = _understood(tree)
        except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError) as error:
            reason = str(error) if isinstance(error, ValueError) and str(error) else "it is not complete"
            raise _error(
                self.text, f"{written!r} cannot be read: {reason}", "See the list of calls in the manual."
            ) from None
        self.at = end + 1
        self.calls[text] = call
        return text


def _crossed(left: list[Term], right: list[Term]) -> list[Term]:
    return [tuple(dict.fromkeys([*a, *b])) for a in left for b in right]


def _understood(tree: ast.Call) -> Call:
    """What a call means. Raises ValueError with the reason when it is not one of ours."""
    assert isinstance(tree.func, ast.Name)
    name = tree.func.id
    if name in MATHEMATICS or name == "I":
        return Call("number", expression=_expression(tree))
    if not tree.args:
        raise ValueError(f"{name} needs a column")
    column = _column_name(tree.args[0])
    if name == "C":
        return Call("category", column, options=_reference(tree))
    if name == "bs":
        return Call("spline", column, options=_spline_options(tree))
    if tree.args[1:] or tree.keywords:
        raise ValueError(f"{name} takes one column")
    return Call(name, column, ("column", column))


def _column_name(tree: ast.expr) -> str:
    if not isinstance(tree, ast.Name):
        raise ValueError("the first argument must be a column")
    return tree.id


def _reference(tree: ast.Call) -> dict[str, str]:
    """Treatment coding with a chosen reference: Treatment("b"), Treatment(reference="b"), contr.treatment("b")."""
    others = [*tree.args[1:], *[keyword.value for keyword in tree.keywords]]
    if not others:
        return {}
    coding = others[0]
    if (
        len(others) > 1
        or not isinstance(coding, ast.Call)
        or ast.unparse(coding.func) not in ("Treatment", "contr.treatment")
    ):
        raise ValueError('C takes a column and, if wanted, Treatment("reference level")')
    values = [*coding.args, *[keyword.value for keyword in coding.keywords]]
    if len(values) != 1 or not isinstance(values[0], ast.Constant):
        raise ValueError("Treatment takes one level")
    return {"reference": str(values[0].value)}


def _spline_options(tree: ast.Call) -> dict[str, Any]:
    names = ("df", "knots", "degree")
    given = dict(zip(names, tree.args[1:], strict=False)) | {k.arg or "": k.value for k in tree.keywords}
    unknown = set(given) - {*names, "lower_bound", "upper_bound"}
    if unknown or len(tree.args) > 4:
        raise ValueError(f"bs has no option {sorted(unknown)[0]!r}" if unknown else "bs has too many arguments")
    options = {name: ast.literal_eval(value) for name, value in given.items()}
    knots = options.get("knots", [])
    if not isinstance(knots, list | tuple):
        raise ValueError("knots are a list")
    numbers = [*[v for k, v in options.items() if k != "knots"], *knots]
    if not all(isinstance(number, int | float) and abs(number) < 1e300 for number in numbers):
        raise ValueError("the options of bs are numbers")
    degree = options.setdefault("degree", 3)
    if degree not in (1, 2, 3, 4, 5):
        raise ValueError("degree must be 1 to 5")
    if ("df" in options) == ("knots" in options):
        raise ValueError("bs takes either df or knots")
    if "df" in options and (not isinstance(options["df"], int) or not degree <= options["df"] <= 30):
        raise ValueError(f"df must be a whole number from {degree} to 30")
    return options


def _expression(tree: ast.expr) -> Expression:
    """Arithmetic over columns and numbers."""
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        return float(tree.value)  # type: ignore[arg-type]  # the line above says so
    if isinstance(tree, ast.Name):
        return ("column", tree.id)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _ARITHMETIC:
        return (_ARITHMETIC[type(tree.op)], _expression(tree.left), _expression(tree.right))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return ("negative", _expression(tree.operand))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and len(tree.args) == 1 and not tree.keywords:
        if tree.func.id == "I":
            return _expression(tree.args[0])
        if tree.func.id in MATHEMATICS:
            return (tree.func.id, _expression(tree.args[0]))
    raise ValueError(f"{ast.unparse(tree)!r} is not arithmetic over columns")


def _columns(call: Call) -> Iterator[str]:
    if call.kind != "number":
        yield call.column
        return
    stack = [call.expression]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            if part[0] == "column":
                yield part[1]
            else:
                stack.extend(reversed(part[1:]))
