"""Tests whose results stand side by side, a column each: which columns of a table are such, and the rule for them.

    检验日期,血糖,血糖单位,血糖参考范围,肌酐,肌酐单位,ALT(U/L)
    date,glucose_mmol_l,creatinine,creatinine_unit,creatinine_low,creatinine_high

A column is one where its heading is a test's name, in the same words, or where its unit is one that only results have
(mmol/L, U/L, mmHg); and where its values are results. Ages, costs, numbers of days and doses are neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.drafts.code_lists import VITALS, Test, told_unit
from atoll.ingest.drafts.drafting import alike, called, either, named, number_of, word
from atoll.ingest.meanings import meaning_of
from atoll.ingest.terminology import Matcher, Name, Suggestion
from atoll.ingest.terms.concepts import Concept, starter_candidates
from atoll.ingest.terms.features import unit_kind
from atoll.ingest.terms.vocabulary import read_vocabulary
from atoll.ingest.values import parse_values
from atoll.study.units import canonical, parse

RANGES = ("reference", "range_low", "range_high")  # meanings of columns of reference ranges
BESIDE = ("unit", *RANGES)  # meanings of what may stand beside a test's column
LIKELY = 0.5  # probability from which on a candidate of the same words is taken
CLEAR = 0.75  # that of another; and where a name with its unit has it, the name alone is not asked
MOST = 2_000  # columns of one table: more are no tests that somebody named
SHORT = 2  # letters of a Latin heading that says little by itself: K, Na, PT
COMPANY = 2  # other tests beside it that make a short heading one
READ = (0.5, 0.9)  # share of values that are numbers, or else numbers and words of results
DISTINCT = 5_000  # of a column's values, that are looked at
_ENDINGS = {"pct": "%", **{unit: unit for unit in ("percent", "mmhg", "kpa", "kg", "cm", "pg", "fl", "bpm", "sec")}}
_JOINED = ("℃", "°c", "%", "cm", "kg", "mmhg", "kpa", "bpm")  # after a Chinese word at once; 镁MG is magnesium
_LETTERS = "%sghmLlUu"  # units of one letter that a heading may hold in brackets: no D of a vitamin
_SAYS_NOTHING = (9190,)  # "none" and its like: of a column by itself no sign of a test


def heading(written: str) -> tuple[str, str]:
    """A column's heading as a test's name and its unit: `ALT(U/L)`, `glucose_mmol_l`. The unit may be empty."""
    name, unit = _without_unit(written.strip())
    return re.sub(r"(?<=.)[_\s]?(value|result|结果|测定值|检测值|值)$", "", name, flags=re.IGNORECASE), unit


def _without_unit(text: str) -> tuple[str, str]:
    if text[-1:] in ")）]】":
        for at in (found.start() for found in re.finditer(r"[(（\[【]", text)):
            unit = text[at + 1 : -1].strip()
            if at and canonical(unit) and (len(unit) > 1 or unit in _LETTERS):
                return text[:at].strip(" _"), unit
    plain = re.sub(r"_x?10_(\d+)_(?=[a-z]+$)", r"_10^\1/", text, flags=re.IGNORECASE)
    found = re.fullmatch(r"(.+?)(?:[\s_,，:：-]+(\S*/\S*)|[\s_]*(%))", plain)
    if found and canonical(found[2] or found[3]):
        return found[1], found[2] or found[3]
    found = re.fullmatch(r"(.*[^\W\d_a-zA-Z])\s*([℃°µμa-zA-Z%/^\d.]+)", text)  # 体温℃, 身高cm, 血糖mmol/L
    if found and canonical(found[2]) and ("/" in found[2] or found[2].lower() in _JOINED):
        return found[1], found[2]
    words = text.split("_")
    for n in (3, 2):
        unit = "/".join(words[-n:])
        if len(words) > n and "" not in words[-n:] and canonical(unit):
            return "_".join(words[:-n]), unit
    last = re.fullmatch(r"(.+?)(?:[_ ]|(?<=[a-z])(?=[A-Z]))([A-Za-z]+)", text)
    if last and last[2].lower() in _ENDINGS:
        return last[1], _ENDINGS[last[2].lower()]
    return text, ""


def columns_of_tests(bench: Workbench, table: Mapping[str, Any], matcher: Matcher | None) -> list[Test]:
    """The columns of a table of the scan that hold a test's results each, in their order.

    matcher   knows the tests that Atoll has names for; without it only vital signs are found
    """
    found = [Test(column, *heading(column["name"])) for column in table["columns"] if _may_be(column)]
    if len(found) > MOST:
        return []
    view = quoted(f"source:{table['name']}")
    _place(bench, view, table["columns"], found)
    found = found if matcher else [test for test in found if _vital(test)]
    said, concepts = (suggested(matcher, found), matcher.index.concepts) if matcher else ({}, [])
    named_so = [_is_test(test, said.get(at), concepts) for at, test in enumerate(found)]
    made = []
    for at, (test, sure) in enumerate(zip(found, named_so, strict=True)):
        alone = len(test.name) <= SHORT and test.name.isascii() and not test.unit
        others = sum(named_so) - 1
        if sure and not (alone and others < COMPANY) and _holds_results(bench, view, test):
            _choose(test, said.get(at), concepts)
            _tell_unit(bench, table["name"], test)
            made.append(test)
    return made


def _tell_unit(bench: Workbench, table: str, test: Test) -> None:
    """Of a vital sign that says no unit the one that its middle value tells, as if it stood in the heading."""
    if _vital(test) and not test.unit:
        test.written = test.unit = told_unit(bench, table, quoted(test.column["name"]), meaning_of(test.name))
        test.told = bool(test.unit)


def units_told(tests: Sequence[Test]) -> list[str]:
    """What is to be checked of units that stand nowhere."""
    by_values = [test.column["name"] for test in tests if test.told]
    unknown = [test.column["name"] for test in tests if test.told is False]
    notes = [f"the unit of {', '.join(by_values)} is told from the middle values; check it."] if by_values else []
    return notes + (
        [f"the unit of {', '.join(unknown)} could not be told; write it there, as `written` and `unit`."]
        if unknown else []
    )  # fmt: skip


def meaning_of_heading(written: str) -> tuple[str, str]:
    """What a column's heading means without its unit, and the unit."""
    name, unit = heading(written)
    return meaning_of(name), unit


def suggested(matcher: Matcher, tests: Sequence[Test]) -> dict[int, Suggestion]:
    """The best candidate of each test, by its place. Where none is clear in its unit, its name alone is asked too."""
    best: dict[int, Suggestion] = {}
    for units in (True, False):
        asked = [at for at, test in enumerate(tests) if at not in best or best[at].probability < CLEAR]
        names = [Name(tests[at].name, unit=tests[at].unit if units else "", domain="Measurement") for at in asked]
        for one in matcher.suggest(names, 1):
            at = asked[one.at]
            fits = units or _fits(tests[at].unit, one.concept_id, matcher.index.concepts)
            if at not in best or (fits and one.probability > best[at].probability):
                best[at] = one
    return best


def _fits(unit: str, number: int, concepts: Sequence[Concept]) -> bool:
    """Whether a unit can be that of a concept: no mmol/L for a ratio."""
    kind = unit_kind(unit)
    counts = next(concept.property for concept in concepts if concept.concept_id == number)
    return not kind or counts in (kind, "none") or {kind, counts} in ({"mass", "moles"}, {"percent", "fraction"})


def choose(tests: Sequence[Test], vocabulary: Path) -> None:
    """Give tests the concepts that are likeliest of a whole vocabulary."""
    asked = [Name(test.name, unit=test.unit, domain="Measurement") for test in tests]
    matcher = Matcher(read_vocabulary(vocabulary, asked))
    for at, best in suggested(matcher, tests).items():
        if not _vital(tests[at]):
            tests[at].concept, tests[at].counts, tests[at].probability = 0, "", 0.0
            _choose(tests[at], best, matcher.index.concepts)


@cache
def starter_matcher() -> Matcher:
    """A matcher of the tests that Atoll has names for."""
    return Matcher(starter_candidates())


def _may_be(column: Mapping[str, Any]) -> bool:
    """Whether a column may hold results."""
    if column["type"] not in ("integer", "number", "text") or not column["distinct"]:
        return False
    return meaning_of(heading(column["name"])[0]) in ("", *VITALS) and column["meaning"] in ("", *VITALS)


def _place(bench: Workbench, view: str, columns: Sequence[Mapping[str, Any]], tests: list[Test]) -> None:
    """Find what stands beside each test, by its heading (`血糖单位`, `glucose_low`) or by its place (`单位1`); what
    stands beside another is no test. Fills `beside` and `unit`."""
    starts = {start.casefold(): test for test in tests for start in (test.name, test.column["name"])}
    own = {test.column["name"]: test for test in tests}
    taken: set[str] = set()
    before: Test | None = None
    for column in columns:
        owner, meaning = _owner(starts, column["name"])
        if not owner and before and (meaning := _numbered(column)):
            units = meaning == "unit" and not canonical(_commonest(bench, view, column))  # 单位 is an employer, too
            owner = None if units else before
        if owner and meaning not in owner.beside and says(bench, view, column, meaning):
            owner.beside[meaning] = column
            taken.add(column["name"])
        elif column["name"] in own:
            before = own[column["name"]]
    tests[:] = [test for test in tests if test.column["name"] not in taken]
    for test in tests:
        lone = {"range_low", "range_high"} & set(test.beside)
        if len(lone) == 1 and re.search(r"_(low|high)$", str(test.beside[next(iter(lone))]["name"]).lower()):
            del test.beside[lone.pop()]  # the lowest or the highest of a day
        test.unit = _commonest(bench, view, test.beside["unit"]) if "unit" in test.beside else test.written


def _owner(starts: Mapping[str, Test], name: str) -> tuple[Test | None, str]:
    """The test with whose heading a column's begins, and what the word more says of it (`BESIDE`); or nothing."""
    for at in range(len(name) - 1, 0, -1):
        if test := starts.get(name[:at].casefold()):
            meaning = meaning_of(name[at:].strip(" _-.:：()（）"))
            if meaning in BESIDE:
                return test, meaning
    return None, ""


def _numbered(column: Mapping[str, Any]) -> str:
    """What a column says by its place: `单位1`, `unit_2`, `参考范围3`."""
    meaning = meaning_of(re.sub(r"[_.\s]?\d+$", "", column["name"]))
    return meaning if meaning in BESIDE else ""


def says(bench: Workbench, view: str, column: Mapping[str, Any], meaning: str) -> bool:
    """Whether a column's values are what its heading says: units, ranges or numbers."""
    if meaning in ("range_low", "range_high"):
        return column["type"] in ("integer", "number")
    return column["type"] == "text" and (meaning == "unit" or ranges_in(bench, view, column["name"]))


def ranges_in(bench: Workbench, view: str, column: str) -> bool:
    """Whether most values of a column are written ranges."""
    counted = _values(bench, view, column)
    read = parse_values([text for text, _ in counted])
    ends = zip(read["low"].to_pylist(), read["high"].to_pylist(), counted, strict=True)
    ranges = sum(n for low, high, (_, n) in ends if low is not None or high is not None)
    return ranges > sum(n for _, n in counted) / 2


def _values(bench: Workbench, view: str, column: str) -> list[tuple[str, int]]:
    """The commonest values of a column with their numbers of rows."""
    rows = bench.rows(
        f"SELECT {quoted(column)}::VARCHAR, count(*) FROM {view} WHERE {quoted(column)} IS NOT NULL"
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {DISTINCT}"
    )
    return [(str(text), int(n)) for text, n in rows]


def _commonest(bench: Workbench, view: str, column: Mapping[str, Any]) -> str:
    return next((text for text, _ in _values(bench, view, column["name"])), "")


def _is_test(test: Test, best: Suggestion | None, concepts: Sequence[Concept]) -> bool:
    """Whether a column's heading and unit are those of a test; its values are not looked at yet."""
    if _vital(test):
        return True
    if _only_results_have(test.unit):
        return True
    if best is None or not _same(best) or best.probability < LIKELY:
        return False
    return "hardly fits" not in best.reason and not _amount(test.unit, best, concepts)


def _same(best: Suggestion) -> bool:
    return best.reason.startswith("same words")


def _vital(test: Test) -> int:
    """The concept of a vital sign that has a meaning of its own."""
    return VITALS.get(meaning_of(test.name), 0)


def _dimension(unit: str) -> dict[str, int]:
    code = canonical(unit)
    return dict(parse(code).dimension) if code else {}


def _only_results_have(unit: str) -> bool:
    """Whether a unit is one of concentrations, of counts in a field, of pressures or of rates: no dose and no time."""
    found = _dimension(unit)
    field_of_view = found.get("hpf", 0) < 0 or found.get("lpf", 0) < 0
    return found.get("length", 0) <= -3 or field_of_view or bool({"pressure", "body surface"} & set(found)) or (
        found == {"time": -1}
    )  # fmt: skip


def _amount(unit: str, best: Suggestion, concepts: Sequence[Concept]) -> bool:
    """Whether a unit is that of a dose or a meal, where the concept counts what is in a volume: protein in g."""
    counts = next(concept.name for concept in concepts if concept.concept_id == best.concept_id)
    return "/volume]" in counts and _dimension(unit) in ({"mass": 1}, {"amount": 1}, {"length": 3})


def _holds_results(bench: Workbench, view: str, test: Test) -> bool:
    """Whether a column's values are results; two numbers alone, 0 and 1, are a yes or no."""
    if test.column["type"] in ("integer", "number"):
        return bool(test.column["distinct"] > 2 or test.unit or _vital(test))
    counted = _values(bench, view, test.column["name"])
    read = parse_values([text for text, _ in counted])
    parts = zip(read["number"].to_pylist(), read["operator_concept_id"].to_pylist(),
                read["value_as_concept_id"].to_pylist(), counted, strict=True)  # fmt: skip
    numbers = words = others = 0  # others say nothing by themselves: `<5`, and that nothing was found
    for number, operator, concept, (_, n) in parts:
        numbers += n * (number is not None and operator is None)
        words += n * (concept is not None and concept not in _SAYS_NOTHING)
        others += n * (operator is not None or concept in _SAYS_NOTHING)
    rows = sum(n for _, n in counted)
    return numbers >= READ[0] * rows or (numbers + words > 0 and numbers + words + others >= READ[1] * rows)


def _choose(test: Test, best: Suggestion | None, concepts: Sequence[Concept]) -> None:
    if own := _vital(test):
        test.concept, test.probability = own, 1.0
    elif best is not None and best.probability >= (LIKELY if _same(best) else CLEAR):
        test.concept, test.probability = best.concept_id, best.probability
        test.counts = next(one.name for one in concepts if one.concept_id == best.concept_id and not one.variant)


def rule_lines(tests: Sequence[Test], listed: str, own: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of `each`, and those of the columns of `measurement` that it fills.

    listed   the name of the list that says what each column is
    own      the export's names, which those that `each` makes must not be
    """
    words = {"reading": "reading", "unit": "unit", "reference": "range", "range_low": "lower", "range_high": "upper"}
    there = [one for one in words if one == "reading" or any(one in test.beside for test in tests)]
    groups = [[test.column, *(test.beside.get(one) for one in there[1:])] for test in tests]
    made = {one: _free(words[one], own) for one in there}
    name = _free("test", own)
    lines = [f"        - [{', '.join(word(one['name']) if one else 'null' for one in group)}]" for group in groups]
    lines = ["    each:", "      columns:", *lines, f"      value: [{', '.join(made.values())}]", f"      name: {name}"]
    of = zip(there, zip(*groups, strict=True), strict=True)
    read = {one: alike([column for column in columns if column], made[one]) for one, columns in of}
    return lines, _column_lines(tests, listed, read, named(name))


def _column_lines(tests: Sequence[Test], listed: str, read: Mapping[str, Mapping[str, Any]], test: str) -> list[str]:
    """A test's concept, value, unit and range; `read` is `reading` or a meaning → what stands for its columns."""
    unit, wanted, of = _units(tests, listed, read, test)
    reading = named(read["reading"]["name"])
    said = any(one.column["type"] == "text" or one.column.get("not_fitting") for one in tests)  # words, or <0.5

    def converted(number: str) -> str:
        return f'convert({number}, {unit}, {wanted}, {of}"analyte"))' if unit else number

    lines = [f"measurement_concept_id: {called('lookup', listed, test)}   # what the headings say, check {listed}.csv"]
    lines += [f"value_as_number: {converted(number_of(read['reading'], 'result' if said else 'number'))}"]
    lines += [f"operator_concept_id: {number_of(read['reading'], 'operator')}"] if said else []
    lines += [f"value_as_concept_id: finding({reading})"] if said else []
    lines += [f"unit_concept_id: unit({wanted})", f"unit_source_value: {unit}"] if unit else []
    lines += [f"value_source_value: {reading if said else f'text({reading})'}"]
    return [*lines, *(f"{target}: {converted(end)}" for target, end in range_ends(read).items())]


def _units(
    tests: Sequence[Test], listed: str, read: Mapping[str, Mapping[str, Any]], test: str
) -> tuple[str, str, str]:
    """The unit in which a number is written, that into which it is converted, and the beginning of a look-up."""
    of = f'lookup("{listed}", {test}, '
    found = [named(read["unit"]["name"])] if "unit" in read else []
    found += [f'{of}"written")'] if any(one.written for one in tests) else []
    return (either(found), f'{of}"unit")', of) if found else ("", "", of)


def range_ends(read: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """`range_low` and `range_high` as expressions of the columns of their ends, or of a written range."""
    made = {}
    for target, function in (("range_low", "low"), ("range_high", "high")):
        ends = [number_of(read[target], "number")] if target in read else []
        ends += [number_of(read["reference"], function)] if "reference" in read else []
        if ends:
            made[target] = either(ends)
    return made


def _free(name: str, own: Sequence[str]) -> str:
    return _free(f"{name}_here", own) if name in own else name
