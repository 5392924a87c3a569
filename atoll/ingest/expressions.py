"""The small language of a mapping's right-hand sides: text to a tree, each part with its line and column.

    date(visit_day, "yyyy/MM/dd")      a function of columns and constants
    case when sex = "男" then 8507 else 0 end
    `Serum Na+` * 2.5                  a column whose name is no plain word: in backquotes, one within it twice

It has neither SQL nor Python in it: no statement, no loop, no name but the source's columns and the functions of
`ingest.functions`, which also holds the types. Operators, from weakest to strongest: or · and · not ·
= != < <= > >= in (…), is missing · + - · * / · unary minus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST = 4_000  # characters of one expression
DEEPEST = 40  # levels of nesting


class ExpressionError(Exception):
    """What is wrong at one place of an expression; `line` and `column` count from 1."""

    def __init__(self, place: tuple[int, int], what: str, remedy: str = ""):
        super().__init__(f"line {place[0]}, column {place[1]}: {what} {remedy}".strip())
        self.place, self.what, self.remedy = place, what, remedy


@dataclass(frozen=True)
class Constant:
    """A text, a number, true, false or missing (None)."""

    value: str | int | float | bool | None
    place: tuple[int, int] = field(compare=False, default=(1, 1))


@dataclass(frozen=True)
class Name:
    """A column of the source table."""

    name: str
    place: tuple[int, int] = field(compare=False, default=(1, 1))


@dataclass(frozen=True)
class Call:
    """A function or an operator with its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    place: tuple[int, int] = field(compare=False, default=(1, 1))


@dataclass(frozen=True)
class Case:
    """The first branch whose condition holds; `otherwise` when none does."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression
    place: tuple[int, int] = field(compare=False, default=(1, 1))


Expression = Constant | Name | Call | Case

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<number>\d+(\.\d+)?([eE][-+]?\d+)?(?![^\W\d]))
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<column>`(?:[^`\n]|``)+`)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign><=|>=|!=|<>|==|[-+*/()=<>,])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset({"and", "or", "not", "in", "is", "case", "when", "then", "else", "end", "true", "false", "missing"})
_ESCAPES = {"n": "\n", "t": "\t"}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: tuple[int, int]


def parse(text: str, place: tuple[int, int] = (1, 1)) -> Expression:
    """The tree of an expression whose first character stands at `place` of a document.

    Raises
    ------
    ExpressionError
        With the place, what was found there, and what could stand there instead.
    """
    if len(text) > MOST:
        raise ExpressionError(place, f"the expression has {len(text):,} characters.", f"At most {MOST:,} are read.")
    return _Parser(list(_tokens(text, place))).whole()


def _tokens(text: str, start: tuple[int, int]) -> Iterator[_Token]:
    position = 0

    def place(offset: int) -> tuple[int, int]:
        before = text.count("\n", 0, offset)
        if before == 0:
            return start[0], start[1] + offset
        return start[0] + before, offset - text.rfind("\n", 0, offset)

    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(place(position), *_unreadable(text, position))
        kind, word = found.lastgroup or "", found[0]
        if kind == "word" and word.lower() in _WORDS:
            kind, word = "keyword", word.lower()
        elif kind == "sign":
            word = {"==": "=", "<>": "!="}.get(word, word)
        if kind != "blank":
            yield _Token(kind, word, place(position))
        position = found.end()
    yield _Token("end", "", place(len(text)))


def _unreadable(text: str, position: int) -> tuple[str, str]:
    letter = text[position]
    if letter in "\"'":
        return f"the text that begins with {letter} never ends.", f"Close it with {letter}."
    if letter == "`":
        return "the column's name that begins here never ends.", "Close it with `."
    if letter.isdigit():
        return "a name that begins with a digit stands here.", "Put a column's name that is not a word in `backquotes`."
    if letter in "“”‘’，（）":
        return (
            f"{letter!r} stands here, a sign of another keyboard.",
            "Put a column's name that holds it in `backquotes`, the whole name; else write the plain sign: \" ' , ( ).",
        )
    return f"{letter!r} cannot stand here.", "Put a column's name that is not a word in `backquotes`."


class _Parser:
    def __init__(self, tokens: list[_Token]):
        self._tokens, self._next, self._depth = tokens, 0, 0

    def whole(self) -> Expression:
        if self._here.kind == "end":
            raise ExpressionError(self._here.place, "the expression is empty.", "Name a column, or leave the line out.")
        tree = self._or()
        if self._here.kind != "end":
            raise ExpressionError(
                self._here.place,
                f"{self._here.text!r} stands after the end of the expression.",
                "Is a sign missing? Or is it in a column's name: put the whole name in `backquotes`.",
            )
        return tree

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        """The next sign or keyword when it is one of these."""
        token = self._here
        if token.kind in ("sign", "keyword") and token.text in texts:
            self._next += 1
            return token
        return None

    def _need(self, text: str, why: str) -> _Token:
        token = self._take(text)
        if token is None:
            found = repr(self._here.text) if self._here.text else "the end"
            raise ExpressionError(self._here.place, f"{found} stands where {text!r} belongs.", why)
        return token

    def _or(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(self._here.place, f"the expression is nested deeper than {DEEPEST} levels.", "")
        tree = self._and()
        while token := self._take("or"):
            tree = Call("or", (tree, self._and()), token.place)
        self._depth -= 1
        return tree

    def _and(self) -> Expression:
        tree = self._not()
        while token := self._take("and"):
            tree = Call("and", (tree, self._not()), token.place)
        return tree

    def _not(self) -> Expression:
        turns: list[_Token] = []
        while token := self._take("not"):
            turns.append(token)
        tree = self._compare()
        for token in reversed(turns):
            tree = Call("not", (tree,), token.place)
        return tree

    def _compare(self) -> Expression:
        tree = self._sum()
        if token := self._take(*_COMPARE):
            tree = Call(token.text, (tree, self._sum()), token.place)
            if again := self._take(*_COMPARE):
                raise ExpressionError(again.place, "two comparisons follow each other.", "Join them with `and`.")
            return tree
        if token := self._take("is"):
            turned = self._take("not")
            self._need("missing", "Write `is missing` or `is not missing`.")
            tree = Call("is missing", (tree,), token.place)
            return Call("not", (tree,), token.place) if turned else tree
        turned = self._take("not")
        if token := self._take("in"):
            tree = Call("in", (tree, *self._list("in")), token.place)
            return Call("not", (tree,), token.place) if turned else tree
        if turned:
            raise ExpressionError(turned.place, "`not` stands here without `in`.", 'Write `x not in ("a", "b")`.')
        return tree

    def _sum(self) -> Expression:
        tree = self._product()
        while token := self._take("+", "-"):
            tree = Call(token.text, (tree, self._product()), token.place)
        return tree

    def _product(self) -> Expression:
        tree = self._unary()
        while token := self._take("*", "/"):
            tree = Call(token.text, (tree, self._unary()), token.place)
        return tree

    def _unary(self) -> Expression:
        minus = self._take("-")
        if minus is None:
            return self._atom()
        value = self._atom()
        if isinstance(value, Constant) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
            return Constant(-value.value, minus.place)
        return Call("negative", (value,), minus.place)

    def _atom(self) -> Expression:
        token = self._here
        if token.kind in ("number", "text", "column", "word"):
            self._next += 1
            if token.kind == "word" and self._here.text == "(" and self._here.kind == "sign":
                return Call(token.text.lower(), self._list(token.text), token.place)
            return _leaf(token)
        if token.kind == "keyword" and token.text in ("true", "false", "missing"):
            self._next += 1
            return Constant({"true": True, "false": False, "missing": None}[token.text], token.place)
        if self._take("case"):
            return self._case(token)
        if self._take("("):
            tree = self._or()
            self._need(")", "Close the parenthesis.")
            return tree
        found = repr(token.text) if token.text else "the end"
        raise ExpressionError(token.place, f"{found} stands where a value belongs.", "Name a column or write a value.")

    def _list(self, function: str) -> tuple[Expression, ...]:
        self._need("(", f"Write what belongs to `{function}` in parentheses.")
        arguments: list[Expression] = []
        if not self._take(")"):
            arguments.append(self._or())
            while self._take(","):
                arguments.append(self._or())
            self._need(")", f"Close the parenthesis of `{function}(`, or separate its values with commas.")
        return tuple(arguments)

    def _case(self, start: _Token) -> Expression:
        branches: list[tuple[Expression, Expression]] = []
        while self._take("when"):
            condition = self._or()
            self._need("then", "A branch reads `when … then …`.")
            branches.append((condition, self._or()))
        if not branches:
            raise ExpressionError(self._here.place, "`case` has no branch.", "Write `case when … then … else … end`.")
        otherwise: Expression = self._or() if self._take("else") else Constant(None, start.place)
        self._need("end", "A `case` closes with `end`.")
        return Case(tuple(branches), otherwise, start.place)


def _leaf(token: _Token) -> Expression:
    if token.kind == "number":
        value: int | float = float(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
        return Constant(value, token.place)
    if token.kind == "text":
        plain = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), token.text[1:-1], flags=re.DOTALL)
        return Constant(plain, token.place)
    return Name(token.text[1:-1].replace("``", "`") if token.kind == "column" else token.text, token.place)


def calls(tree: Expression) -> Iterator[Call]:
    """Every function that an expression calls, the outer before the inner."""
    if isinstance(tree, Call):
        yield tree
        for argument in tree.arguments:
            yield from calls(argument)
    elif isinstance(tree, Case):
        for part in (*(one for branch in tree.branches for one in branch), tree.otherwise):
            yield from calls(part)


def names(tree: Expression) -> Iterator[Name]:
    """Every column that an expression names, in order of reading."""
    if isinstance(tree, Name):
        yield tree
    elif isinstance(tree, Call):
        for argument in tree.arguments:
            yield from names(argument)
    elif isinstance(tree, Case):
        for condition, value in tree.branches:
            yield from names(condition)
            yield from names(value)
        yield from names(tree.otherwise)


def written(tree: Expression) -> str:
    """The expression as text again; `parse` reads the same tree from it."""
    if isinstance(tree, Constant):
        return _constant(tree.value)
    if isinstance(tree, Name):
        plain = re.fullmatch(r"[^\W\d]\w*", tree.name) and tree.name.lower() not in _WORDS
        return tree.name if plain else f"`{tree.name.replace('`', '``')}`"
    if isinstance(tree, Case):
        branches = " ".join(f"when {written(condition)} then {written(value)}" for condition, value in tree.branches)
        return f"case {branches} else {written(tree.otherwise)} end"
    parts = [written(argument) for argument in tree.arguments]
    if tree.function == "in":
        return f"({parts[0]} in ({', '.join(parts[1:])}))"
    if tree.function == "is missing":
        return f"({parts[0]} is missing)"
    if tree.function in ("not", "negative"):
        return f"(not {parts[0]})" if tree.function == "not" else f"(-({parts[0]}))"
    if tree.function in (*_COMPARE, "and", "or", "+", "-", "*", "/"):
        return f"({parts[0]} {tree.function} {parts[1]})"
    return f"{tree.function}({', '.join(parts)})"


def _constant(value: str | int | float | bool | None) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    return str(value) if value >= 0 else f"({value})"
