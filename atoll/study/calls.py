"""One factor of a formula, understood: a column, a category, a spline, or a number computed from columns.

A call is read as Python syntax and never run: what it means is an expression tree of known operators. What a
term may tell of one person is not decided here but by its leverage (`privacy.leverage`), whatever it computes.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.study.design import Expression

MATHEMATICS = ("log", "log2", "log10", "exp", "sqrt", "abs")
ALLOWED = ("C", "bs", "center", "scale", "I", *MATHEMATICS)
LONGEST = 200  # parts of an expression
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_INSIDE = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`(?P<quoted>[^`]+)`|(?P<number>\d[\w.]*)|(?P<name>(?:[^\W\d]|_)[\w.]*)|."""
    r"""|\n""",
    re.VERBOSE,
)
_ALIAS = "_atoll_{}_"


@dataclass(frozen=True)
class Call:
    """One factor, understood.

    kind        number · category · spline · center · scale
    column      the column of all kinds; empty for a number computed by more than naming it
    expression  of a number
    options     reference, levels (category); df, knots, degree, lower_bound, upper_bound, extrapolation (spline)
    """

    kind: str
    column: str = ""
    expression: Expression = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the dataset that the factor reads, once each."""
        return tuple(dict.fromkeys(_named(self.expression))) if self.kind == "number" else (self.column,)


def plain(name: str) -> Call:
    """A column by its name alone."""
    return Call("number", name, ("column", name))


def end_of_call(text: str, start: int) -> int | None:
    """Where the brackets that open at or after `start` are closed; None when they are not."""
    depth, at = 0, start
    while at < len(text):
        match = _INSIDE.match(text, at)
        assert match is not None
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        at = match.end()
        if match.group() == ")" and depth == 0:
            return at
    return None


def understand(source: str) -> tuple[str, Call]:
    """A call's text as formulaic writes it, and what it means.

    Raises
    ------
    ValueError
        With the reason, when it is not one of ours.
    """
    aliases: dict[str, tuple[str, str]] = {}
    safe = "".join(_aliased(match, aliases) for match in _INSIDE.finditer(source))
    try:
        tree = ast.parse(safe, mode="eval").body
        text = ast.unparse(tree)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("it is not complete") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ValueError("it is not one call")
    for alias, (shown, name) in aliases.items():
        text = text.replace(alias, shown)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == alias:
                node.id = name
    return text, _understood(tree, tree.func.id)


def _aliased(match: re.Match[str], aliases: dict[str, tuple[str, str]]) -> str:
    """Names that are no plain Python names get one for the parser: `blood pressure`, 年龄, a.b, class."""
    name = match["quoted"] or match["name"]
    if not name or (match["name"] and _is_python(name)):
        return match.group()
    alias = _ALIAS.format(len(aliases))
    aliases[alias] = (match.group(), name)
    return alias


def _is_python(name: str) -> bool:
    if name in ("True", "False", "None", "contr.treatment"):
        return True
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def _understood(tree: ast.Call, name: str) -> Call:
    if name in MATHEMATICS or name == "I":
        if sum(1 for _ in ast.walk(tree)) > LONGEST:
            raise ValueError(f"it has more than {LONGEST} parts")
        return Call("number", expression=_expression(tree))
    if not tree.args or not isinstance(tree.args[0], ast.Name):
        raise ValueError("the first argument must be a column")
    column = tree.args[0].id
    if name == "C":
        return Call("category", column, options=_coding(tree))
    if name == "bs":
        return Call("spline", column, options=_spline_options(tree))
    if tree.args[1:] or tree.keywords:
        raise ValueError(f"{name} takes one column")
    return Call(name, column, ("column", column))


def _coding(tree: ast.Call) -> dict[str, Any]:
    """Treatment coding: Treatment("b"), Treatment(reference="b"), contr.treatment("b"); and levels=[…]."""
    options: dict[str, Any] = {}
    for key, value in [*(("", a) for a in tree.args[1:]), *((k.arg or "", k.value) for k in tree.keywords)]:
        if key == "levels" and isinstance(value, ast.List | ast.Tuple) and len(value.elts) > 1:
            options["levels"] = tuple(_word(level) for level in value.elts)
        elif key in ("", "contrasts") and ast.unparse(getattr(value, "func", value)) in (
            "Treatment",
            "contr.treatment",
        ):
            given = [*getattr(value, "args", []), *(k.value for k in getattr(value, "keywords", []))]
            if len(given) > 1:
                raise ValueError("Treatment takes one level")
            options |= {"reference": _word(given[0])} if given else {}
        else:
            raise ValueError('C takes a column and, if wanted, Treatment("reference level") or levels=[…]')
    return options


def _word(tree: ast.expr) -> str:
    if not isinstance(tree, ast.Constant) or not isinstance(tree.value, str | int | float):
        raise ValueError("a level is a word in quotes or a number")
    return str(tree.value)


def _spline_options(tree: ast.Call) -> dict[str, Any]:
    names = ("df", "knots", "degree")
    given = dict(zip(names, tree.args[1:], strict=False)) | {k.arg or "": k.value for k in tree.keywords}
    unknown = set(given) - {*names, "lower_bound", "upper_bound", "extrapolation"}
    if unknown or len(tree.args) > 4:
        raise ValueError(f"bs has no option {sorted(unknown)[0]!r}" if unknown else "bs has too many arguments")
    options = {name: ast.literal_eval(value) for name, value in given.items()}
    if "knots" in options and not isinstance(options["knots"], list | tuple):
        raise ValueError("knots are a list of numbers")
    given_ends = {"lower_bound", "upper_bound"} <= set(options)
    beyond = options.pop("extrapolation", "extend" if given_ends else "clip")
    if beyond not in ("extend", "clip"):
        raise ValueError('extrapolation is "extend" or "clip"')
    numbers = [*[v for k, v in options.items() if k != "knots"], *options.get("knots", [])]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e300 for n in numbers):
        raise ValueError("the options of bs are numbers")
    degree = options.setdefault("degree", 3)
    if degree not in (1, 2, 3, 4, 5):
        raise ValueError("degree must be 1 to 5")
    if "df" in options and "knots" in options:
        raise ValueError("bs takes either df or knots")
    if "knots" not in options:
        options.setdefault("df", degree)
    if "df" in options and (not isinstance(options["df"], int) or not degree <= options["df"] <= 30):
        raise ValueError(f"df must be a whole number from {degree} to 30")
    if len(options.get("knots", ())) > 25:
        raise ValueError("bs takes at most 25 knots")
    return options | {"extrapolation": beyond}


def _expression(tree: ast.expr) -> Expression:
    """Arithmetic over columns and numbers."""
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float) and abs(tree.value) < 1e300:  # type: ignore[arg-type]  # the line itself says so
        return float(tree.value)  # type: ignore[arg-type]
    if isinstance(tree, ast.Name):
        return ("column", tree.id)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _ARITHMETIC:
        return (_ARITHMETIC[type(tree.op)], _expression(tree.left), _expression(tree.right))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _expression(tree.operand)
        return -inner if isinstance(inner, float) else ("negative", inner)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and len(tree.args) == 1 and not tree.keywords:
        if tree.func.id == "I":
            return _expression(tree.args[0])
        if tree.func.id in MATHEMATICS:
            return (tree.func.id, _expression(tree.args[0]))
    raise ValueError(f"{ast.unparse(tree)!r} is not arithmetic over columns")


def _named(expression: Expression) -> Iterator[str]:
    if isinstance(expression, tuple):
        if expression[0] == "column":
            yield expression[1]
        else:
            for part in expression[1:]:
                yield from _named(part)
