"""What a formula's arithmetic adds up: the products of which each term is a sum, or a function.

`I(x + 0.001 * f(age))` is one column of a model, yet where x is a whole number the sums of the column say behind the
point what f(age) is. So who would weigh too much is looked for among the products, as if each were a term:

    a + b, a - b    the products of a, and those of b; constants are left out
    a * b           each of a with each of b
    f(u) * r        f(u) * r itself; r, since f may hardly differ from a constant; and where u reads more than one
                    column once, each product of u with r, since f may be a straight line
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from itertools import product as pairs

from atoll.study.design import Design, Expression, Factor, Level, Number, columns_of
from atoll.study.dictionary import Dictionary

Product = tuple[Factor, ...]
MOST, LONGEST = 200, 10  # products of a term, factors of a product: what is more intricate is not weighed nor passed


class TooIntricate(ValueError):
    """A term falls apart into more products, or longer ones, than are looked at."""


def products_of(design: Design) -> tuple[Product, ...]:
    """The products of all terms, each once, without the intercept; those of plain terms are the terms themselves.

    Raises
    ------
    TooIntricate
        When a term has more than `MOST`, or one of more than `LONGEST` factors.
    """
    found: dict[frozenset[tuple[Factor, int]], Product] = {}
    for factors in design.columns:
        for made in _crossed([_parts(factor) for factor in factors]):
            if len(made) > LONGEST:
                raise TooIntricate
            if made:
                found.setdefault(frozenset((f, made.count(f)) for f in made), made)
    return tuple(found.values())


def _parts(factor: Factor) -> list[Product]:
    return _of(factor.expression) if isinstance(factor, Number) else [(factor,)]


def _of(expression: Expression) -> list[Product]:
    if not isinstance(expression, tuple):
        return [()]
    head, *parts = expression
    if head == "column":
        return [(Number(expression),)]
    if head in ("+", "-"):
        return _few([*_of(parts[0]), *_of(parts[1])])
    if head == "negative":
        return _of(parts[0])
    if head == "*":
        return _crossed([_of(part) for part in parts])
    if head == "/":
        return _crossed([_of(parts[0]), _function(("/", 1.0, parts[1]))])
    return _function(expression)


def _function(expression: Expression) -> list[Product]:
    """A function of something: itself, a constant, and what it is a function of where that adds or multiplies."""
    assert isinstance(expression, tuple)
    whole = Number(expression)
    read = sum(1 for _ in columns_of(whole))
    if not read:
        return [()]
    inside = [made for part in expression[1:] for made in _of(part)] if read > 1 else []
    return _few([(whole,), (), *inside])


def _crossed(parts: list[list[Product]]) -> list[Product]:
    made: list[Product] = [()]
    for part in parts:
        made = _few([(*a, *b) for a, b in pairs(made, part)])
    return made


def _few(products: list[Product]) -> list[Product]:
    once = list(dict.fromkeys(products))
    if len(once) > MOST:
        raise TooIntricate
    return once


def cells_of(design: Design, columns: Dictionary, whole: bool) -> Iterator[Product]:
    """The sets of indicators whose cells a design tells apart, each once.

    `a:age` says who are in a by their ages, and `a:b:c` who are in a and b by c. Of a product the indicators that
    stand with something else make a set; with `whole`, those that stand alone too.
    """
    found: dict[frozenset[Factor], Product] = {}
    for made in products_of(design):
        own = tuple(dict.fromkeys(f for f in made if is_indicator(f, columns)))
        alone = len(own) == len(set(made))
        sets = [own] if not alone or whole else list(combinations(own, len(own) - 1))
        found |= {frozenset(one): one for one in sets if one}
    yield from found.values()


def is_indicator(factor: Factor, columns: Dictionary) -> bool:
    """Levels and flags; what belongs to the site alone tells nothing of a person."""
    if isinstance(factor, Level):
        return factor.column != "site"
    if isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "column":
        return columns[factor.expression[1]].type == "flag"
    return False
