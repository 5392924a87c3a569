"""What a formula's arithmetic adds up, and which arithmetic is allowed where persons are protected.

`I(x + 0.001 * f(age))` is one column of a model, yet where x is a whole number the sums of the column say behind the
point what f(age) is. So who would weigh too much is looked for among the products of which a term is a sum:

    a + b, a − b    the products of a, and those of b; constants are left out
    a * b           each of a with each of b; so also (a + b) ** 2 and ** 3
    f(u) * r        f(u) * r itself, and r, since f may hardly differ from a constant
    flags           whatever is computed from flags alone is a sum of their products
    x * r           of flags and levels x with anything else: also x, since r may hardly differ within x

f is log, log2, log10, sqrt, abs, or a power (−3 … 3, ½) of one column, shifted and stretched; a column stands in a
product three times at most. Whatever is steeper could be nought for everybody on one side, one on the other, and in
between for one person: that is not allowed (`TooIntricate`), nor are more than `MOST` products of a term.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from itertools import product as pairs

from atoll.errors import REMEDIES, DataError
from atoll.study.design import Design, Expression, Factor, Level, Number, Spline, columns_of
from atoll.study.dictionary import Dictionary

Product = tuple[Factor, ...]
MOST, DEGREE = 200, 3
FUNCTIONS = ("log", "log2", "log10", "sqrt", "abs")
EXPONENTS = (-3.0, -2.0, -1.0, 0.5, 2.0, 3.0)


class TooIntricate(ValueError):
    """A term computes what is not allowed where persons are protected."""


def refuse_intricate(design: Design, columns: Dictionary) -> None:
    """Nothing when every term is of the allowed arithmetic.

    Raises
    ------
    DataError
        TERM_INTRICATE, with the term's first column as subject.
    """
    for term, factors in zip(design.terms, design.columns, strict=True):
        try:
            _products(factors, columns)
        except TooIntricate:
            raise DataError(
                f"The term {term!r} computes more than is allowed where patients are protected.",
                REMEDIES["TERM_INTRICATE"],
                code="TERM_INTRICATE",
                subject=next((name for factor in factors for name in columns_of(factor)), ""),
            ) from None


def products_of(design: Design, columns: Dictionary) -> tuple[Product, ...]:
    """The products of all terms, each once, without the intercept; those of plain terms are the terms themselves.

    Raises
    ------
    TooIntricate
        See `refuse_intricate`.
    """
    found: dict[frozenset[tuple[Factor, int]], Product] = {}
    for factors in design.columns:
        for made in _products(factors, columns):
            own = tuple(factor for factor in made if is_indicator(factor, columns))
            for one in (made, own if len(own) < len(made) else ()):
                if one:
                    found.setdefault(frozenset(Counter(one).items()), one)
    return tuple(found.values())


def first_bases(products: Iterable[Product]) -> list[Product]:
    """Of products with a spline, those with the basis function that its terms leave out: 1 less them all."""
    first = (tuple(replace(f, index=0) if isinstance(f, Spline) else f for f in one) for one in products)
    given = set(products)
    return [one for one in dict.fromkeys(first) if one not in given and any(isinstance(f, Spline) for f in one)]


def _products(factors: Product, columns: Dictionary) -> list[Product]:
    """The products of one term; a flag stands once in each."""
    made = _crossed([_of(f.expression, columns) if isinstance(f, Number) else [(f,)] for f in factors])
    once = [tuple(f for i, f in enumerate(one) if not (is_indicator(f, columns) and f in one[:i])) for one in made]
    for one in once:
        degrees: Counter[str] = Counter()
        for factor in one:
            degrees.update({name: _degree(factor) for name in columns_of(factor)})
        if max(degrees.values(), default=0) > DEGREE:
            raise TooIntricate
    return list(dict.fromkeys(once))


def degrees_of(products: tuple[Product, ...]) -> dict[str, int]:
    """How often each number stands in a product, at most; of a function once, of a power as often as it says."""
    found: dict[str, int] = {}
    for made in products:
        degrees: Counter[str] = Counter()
        for factor in made:
            if isinstance(factor, Number):
                degrees.update({name: _degree(factor) for name in columns_of(factor)})
        found |= {name: max(degree, found.get(name, 0)) for name, degree in degrees.items()}
    return found


def _degree(factor: Factor) -> int:
    if isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "**":
        return int(max(abs(float(factor.expression[2])), 1))
    return 1


def _of(expression: Expression, columns: Dictionary) -> list[Product]:
    if not isinstance(expression, tuple):
        return [()]
    head, *parts = expression
    if head == "column":
        return [(Number(expression),)]
    if (flags := _flags(expression, columns)) is not None:
        return flags
    if head in ("+", "-"):
        return _few([*_of(parts[0], columns), *_of(parts[1], columns)])
    if head == "negative":
        return _of(parts[0], columns)
    if head == "*":
        return _crossed([_of(part, columns) for part in parts])
    if head == "/":
        return _crossed([_of(parts[0], columns), _inverse(parts[1])])
    if head == "**" and parts[1] in (2.0, 3.0) and not _is_affine(parts[0]):
        return _crossed([_of(parts[0], columns)] * int(parts[1]))
    return _function(expression)


def _flags(expression: Expression, columns: Dictionary) -> list[Product] | None:
    """Whatever is computed from flags alone is a sum of products of them; None where another column is read."""
    read = tuple(dict.fromkeys(columns_of(Number(expression))))
    if not read or len(read) > DEGREE or any(columns[name].type != "flag" for name in read):
        return None
    numbers = [Number(("column", name)) for name in read]
    return [tuple(some) for size in range(len(numbers) + 1) for some in combinations(numbers, size)]


def _inverse(expression: Expression) -> list[Product]:
    """1 / a number, or / a column or a power of it."""
    if not isinstance(expression, tuple) or not list(columns_of(Number(expression))):
        return [()]
    base, exponent = (expression[1], expression[2]) if expression[0] == "**" else (expression, 1.0)
    return _function(("**", base, -exponent if isinstance(exponent, float) else exponent))


def _function(expression: Expression) -> list[Product]:
    """A function of one column, shifted and stretched: itself, and a constant."""
    assert isinstance(expression, tuple)
    head, inside, *exponent = expression
    if not list(columns_of(Number(expression))):
        return [()]
    if head == "**" and exponent == [1.0]:
        return [(Number(expression),), ()]
    if not _is_affine(inside) or not (head in FUNCTIONS or (head == "**" and exponent[0] in EXPONENTS)):
        raise TooIntricate
    return [(Number(expression),), ()]


def _is_affine(expression: Expression) -> bool:
    """One column, shifted and stretched by numbers."""
    if not isinstance(expression, tuple) or expression[0] == "column":
        return isinstance(expression, tuple)
    head, *parts = expression
    read = [part for part in parts if isinstance(part, tuple) and list(columns_of(Number(part)))]
    allowed = head in ("+", "-", "*", "negative") or (head == "/" and read == parts[:1])
    return allowed and len(read) == 1 and _is_affine(read[0])


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
    for factors in design.columns:
        for made in _products(factors, columns):
            own = tuple(dict.fromkeys(f for f in made if is_indicator(f, columns)))
            alone = len(own) == len(set(made))
            sets = [own] if not own or not alone or whole else list(combinations(own, len(own) - 1))
            found |= {frozenset(one): one for one in sets if one}
    yield from found.values()


def is_indicator(factor: Factor, columns: Dictionary) -> bool:
    """Levels and flags; what belongs to the site alone tells nothing of a person."""
    if isinstance(factor, Level):
        return factor.column != "site"
    if isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "column":
        return columns[factor.expression[1]].type == "flag"
    return False
