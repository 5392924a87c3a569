"""The mapping's language: what it reads, what it means, and the place of everything that it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.cdm.workbench import Workbench
from atoll.ingest.compiler import compiled, fitted
from atoll.ingest.expressions import Call, Case, Constant, ExpressionError, Name, names, parse, written
from atoll.ingest.functions import FUNCTIONS
from atoll.ingest.kinds import pattern
from atoll.ingest.rule_source import RuleScope, sourced


@pytest.fixture(scope="module")
def bench():
    with Workbench() as bench:
        bench.run("CREATE TABLE t AS SELECT * FROM (VALUES ('2020-01-31', '5', 'x/y', 1),"
                  " ('31/02/2020', '5.5', NULL, 2),"
                  " ('43831', 'a', ' ', 3)) v(d, n, s, i)")  # fmt: skip
        yield bench


def value(bench, text, row=0):
    """An expression's value in a row, and whether a text could not be read."""
    table = sourced(bench.ibis.table("t"))
    made = compiled(parse(text), RuleScope(table, None))
    bad = False
    for one in made.bad:
        bad = bad | one.fill_null(False)
    answer = bench.ibis.to_pyarrow(table.order_by("source:i").select(v=made.ibis, bad=bad)).to_pylist()[row]
    return answer["v"], answer["bad"]


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("date(d)", 0, ("2020-01-31", False)),
        ('date(d, "dd/MM/yyyy")', 1, (None, True)),
        ('date(d, "excel")', 2, ("2020-01-01", False)),
        ('coalesce(date(d), date(d, "excel"))', 2, ("2020-01-01", False)),
        ('date("2020-01-11abc")', 0, (None, True)),
        ('date("2020-01-11 10:20")', 0, ("2020-01-11", False)),
        ('date("2020年5月3日")', 0, ("2020-05-03", False)),
        ('date("２０２４年３月５日")', 0, ("2024-03-05", False)),
        ('datetime("２０２４-０３-０５　８：０５")', 0, ("2024-03-05 08:05:00", False)),
        ('date("2024-12-31 24:00:00")', 0, ("2025-01-01", False)),
        ('datetime("2024-12-31 24:00:00")', 0, ("2025-01-01 00:00:00", False)),
        ('date("2024年2月29日24:00")', 0, ("2024-03-01", False)),
        ('date("2024-02-30 24:00:00")', 0, (None, True)),
        ('date("99-01-02")', 0, (None, True)),
        ('date("infinity")', 0, (None, True)),
        ('date("2020011", "yyyyMMdd")', 0, (None, True)),
        ('date("20200111", "yyyyMMdd")', 0, ("2020-01-11", False)),
        ('date("2020/1/5", "yyyy/MM/dd")', 0, ("2020-01-05", False)),
        ('date("01/02/50", "dd/MM/yyyy")', 0, (None, True)),
        ('date("01/02/50", "dd/MM/yy")', 0, ("2050-02-01", False)),
        ('number("1_000")', 0, (None, True)),
        ('integer("1_000")', 0, (None, True)),
        ("integer(n)", 0, (5, False)),
        ("integer(n)", 1, (None, True)),
        ('integer("NaN")', 0, (None, True)),
        ("number(n)", 1, (5.5, False)),
        ("number(n)", 2, (None, True)),
        ('number("1.234,5", ",")', 0, (1234.5, False)),
        ('number("5.6", ",")', 0, (None, True)),
        ('number("1,5", ".")', 0, (None, True)),
        ('number("12.5.6,7", ",")', 0, (None, True)),
        ('number("1,234")', 0, (None, True)),
        ('number("1,234", ".")', 0, (1234.0, False)),
        ('number("1,5")', 0, (1.5, False)),
        ('integer("1.234", ",")', 0, (1234, False)),
        ('integer("1,234")', 0, (None, True)),
        ('split(s, "/", 2)', 0, ("y", False)),
        ("case when i = 3 then number(n) else 0 end", 0, (0.0, False)),
        ("case when i = 3 then number(n) else 0 end", 2, (None, True)),
        ("days(date(d), date(\"2020-01-01\"))", 0, (30, False)),
        ("add_days(date(d), 1)", 0, ("2020-02-01", False)),
        ("i / 0", 0, (None, False)),
        ('year("19951")', 0, (None, True)),
        ('month("19951")', 0, (None, True)),
        ('month("199501")', 0, (1, False)),
        ('month("1995-1")', 0, (1, False)),
        ('month("1995年1月")', 0, (1, False)),
        ('month("1995年")', 0, (None, False)),
        ('year("1995年")', 0, (1995, False)),
        ('day("1995-10")', 0, (None, False)),
        ('day("2001-5-3 10:00")', 0, (3, False)),
        ('year("1995-1-1 0:00")', 0, (1995, False)),
        ('month("2001/5/3 8:30:00")', 0, (5, False)),
        ('year("2001-05-03T08:30:00.123+08:00")', 0, (2001, False)),
        ('year("2001-05-03abc")', 0, (None, True)),
        ("add_days(date(d), 99999999999)", 0, (None, True)),
        ("add_days(date(d), -999999)", 0, (None, True)),
        ("add_days(date(d), 2913000)", 0, ("9995-08-10", False)),
        ("add_days(date(d), missing)", 0, (None, False)),
        ("4000000000000000000 + 6000000000000000000 * i", 0, (None, True)),
        ("9000000000000000000 * 9 - i", 1, (None, True)),
        ("floor(1e300)", 0, (None, True)),
        ("floor(2.5)", 0, (2, False)),
        ("first_of_year(12345)", 0, (None, True)),
        ("first_of_year(1950)", 0, ("1950-01-01", False)),
        ('round(number("2.345"), i)', 0, (2.3, False)),
        ("round(2.5, missing)", 0, (None, False)),
        ("slice(d, 99999999999)", 0, ("", False)),
        ("slice(d, 1, 99999999999)", 0, ("2020-01-31", False)),
        ("1 + 2 * 3 - -4", 0, (11, False)),
        ('not (n = "5" or i > 2) and s is missing', 1, (True, False)),
        ('n in ("5", "a")', 0, (True, False)),
        ('n not in ("5", "a")', 1, (True, False)),
        ('concat(d, "-", s)', 1, (None, False)),
        ("slice(d, 1, 4)", 0, ("2020", False)),
        ("year(d)", 0, (2020, False)),
        ("year(d)", 2, (None, True)),
        ('month("1950-03")', 0, (3, False)),
        ('year("195003")', 0, (1950, False)),
        ('day("1950-03-02T10:00:00+08:00")', 0, (2, False)),
        ('day("1950")', 0, (None, False)),
        ('month("1950-13")', 0, (None, True)),
        ('unless(n, "a")', 2, (None, False)),
        ("floor(i / 2)", 2, (1, False)),
        ("first_of_year(1999 + i)", 0, ("2000-01-01", False)),
        ("date(n) is missing", 0, (True, False)),
    ],
)  # fmt: skip
def test_what_an_expression_gives(bench, text, row, expected):
    found, bad = value(bench, text, row)
    assert (str(found) if hasattr(found, "isoformat") else found, bad) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "column 12: the expression is empty"),
        ("f(", "column 14: the end stands where a value belongs"),
        ('"abc', 'column 12: the text that begins with " never ends'),
        ("1abc", "column 12: a name that begins with a digit stands here"),
        ("a = = b", "column 16: '=' stands where a value belongs"),
        ("a（b", "column 13: '（' stands here, a sign of another keyboard"),
        ("a b", "column 14: 'b' stands after the end of the expression. Is a sign missing?"),
        (
            "结果（定量）",
            "column 14: '（' stands here, a sign of another keyboard. Put a column's name that holds it in `b",
        ),
        ("case a end", "column 17: `case` has no branch"),
        ("a = 1 = 2", "column 18: two comparisons follow each other"),
        ("a; drop table t", "column 13: ';' cannot stand here"),
        ("__import__", ""),
    ],
)
def test_what_cannot_be_read_has_its_place(text, sentence):
    if not sentence:
        assert parse(text) == Name(text)  # a name like any other: there is nothing behind it
        return
    with pytest.raises(ExpressionError) as caught:
        parse(text, (7, 12))
    assert f"line 7, {sentence}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('i = "a"', "column 5: this is a text, the value before it a whole number. Make them alike."),
        (
            "收缩压(n)",
            "column 1: there is no function `收缩压`. Is it part of a column's name? Put the whole name in `",
        ),
        ("loookup(1)", "column 1: there is no function `loookup`. Did you mean `lookup`?"),
        ('date(n, "ddQ")', "column 9: the pattern 'ddQ' holds the letter Q"),
        ('date(n, "?")', "column 9: the pattern '?' holds no part of a day. Patterns are made of yyyy MM dd"),
        ('number(n, "?")', 'column 11: \'?\' is no decimal sign. It is "." or ",": write which.'),
        ("days(d, d)", "column 6: `days` takes a date here, and this is a text. Write date(…) round it."),
        ("date(d, n)", "column 9: The pattern of a date must be written out here"),
        ("not i", "column 5: `not` takes a condition here, and this is a whole number"),
        ("dd", "column 1: the source has no column `dd`. Did you mean `d`?"),
        ("round()", "column 1: `round` has 0 values in its parentheses, and takes 1 to 2"),
    ],
)
def test_what_does_not_fit_has_its_place(bench, text, sentence):
    with pytest.raises(ExpressionError) as caught:
        compiled(parse(text), RuleScope(sourced(bench.ibis.table("t")), None))
    assert sentence in str(caught.value)


def test_a_column_of_the_model_takes_its_type(bench):
    made = compiled(parse("n"), RuleScope(sourced(bench.ibis.table("t")), None))
    with pytest.raises(ExpressionError, match=r"value_as_number takes a number, and this is a text\. Write number"):
        fitted(made, "number", (1, 1), "value_as_number")


leaves = st.one_of(
    st.builds(
        Constant, st.one_of(st.none(), st.booleans(), st.integers(0, 10**9), st.text("ab\"\\\n\t'`男", max_size=5))
    ),
    st.builds(Name, st.sampled_from(["a", "性别", "two words", "case", "x_1"])),
)


def grown(inner):
    one, two = st.tuples(inner), st.tuples(inner, inner)
    return st.one_of(
        st.builds(Call, st.sampled_from(["and", "or", "=", "<", "+", "-", "*", "/", "concat", "in"]), two),
        st.builds(Call, st.sampled_from(["not", "is missing", "upper"]), one),
        st.builds(Case, st.lists(two, min_size=1, max_size=2).map(tuple), inner),
    )


@given(st.recursive(leaves, grown, max_leaves=8))
def test_what_is_written_is_read_again(tree):
    assert parse(written(tree)) == tree
    assert all(isinstance(name, Name) for name in names(tree))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_place(text):
    try:
        parse(text)
    except ExpressionError as error:
        assert error.what
        assert error.place >= (1, 1)


def test_patterns():
    assert pattern("yyyy年MM月dd日 HH:mm") == "%Y年%m月%d日 %H:%M"


def test_every_function_says_how_it_is_written():
    for name, function in FUNCTIONS.items():
        assert function.says, name
