"""What a rule reads: the rows of its source, its key, and the look-ups that its expressions ask for, as joins.

The hospital's columns are called `source:NAME` here, so that no column of ours can have the name of one of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atoll.cdm.workbench import literal, quoted
from atoll.ingest.compiler import compiled, faulty, fitted
from atoll.ingest.expressions import Call, Case, Expression, ExpressionError, Name, written
from atoll.ingest.functions import FUNCTIONS
from atoll.ingest.kinds import SEPARATOR, Kind, Value, stable_id, together
from atoll.ingest.lookups import NAMED, Lookups, dtype_of, key_of_code
from atoll.ingest.mapping import Rule, Written
from atoll.ingest.sources import LEFT_OUT, Source

Asked = list[tuple[str, str, Any]]  # look-ups to be completed first: kind, parameter, Ibis table of `key`
SOURCE = "source:"  # before the name of every column of the hospital
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("string", "text"), ("int", "integer"), ("uint", "integer"), ("float", "number"), ("decimal", "number"),
    ("boolean", "truth"), ("date", "date"), ("timestamp", "datetime"), ("uuid", "text"), ("time", "text"),
    ("json", "text"),
)  # fmt: skip


def kind_of(dtype: str) -> Kind | None:
    """The language's type for an Ibis type, or None when it has none (lists, structs)."""
    return next((kind for start, kind in _KINDS if dtype.lstrip("!").startswith(start)), None)


def sourced(table: Any) -> Any:
    """A table of the source with its columns as `source:NAME`; what our reader says of a row keeps its name."""
    return table.rename({f"{SOURCE}{name}": name for name in table.columns if name != LEFT_OUT})


@dataclass
class RuleScope:
    """The columns of a rule's source, and the look-ups that `with_lookups` joined to them. Another is refused: nobody
    would join it, and it would be empty.

    table   `sourced`, with what was joined to it
    found   look-up → its columns' names in `table`
    """

    table: Any
    lookups: Lookups
    found: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)

    def column(self, name: Name) -> Value:
        if SOURCE + name.name not in self.table.columns:
            from difflib import get_close_matches

            known = [column.removeprefix(SOURCE) for column in self.table.columns if column.startswith(SOURCE)]
            near = get_close_matches(name.name, known, 1)
            few = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
            remedy = f"Did you mean `{near[0]}`?" if near else f"There are: {few}. Text stands in quotes."
            raise ExpressionError(name.place, f"the source has no column `{name.name}`.", remedy)
        column = self.table[SOURCE + name.name]
        kind = kind_of(str(column.type()))
        if kind is None:
            raise ExpressionError(
                name.place, f"`{name.name}` holds {column.type()}.", "Only plain values can be mapped."
            )
        if kind == "text":
            return Value(column.cast("string"), "text")
        dtype = {"integer": "int64", "number": "float64", "datetime": "timestamp"}.get(kind)
        return Value(column.cast(dtype) if dtype else column, kind)

    def joined(self, kind: str, parameter: str, keys: tuple[Value, ...], call: Call) -> Mapping[str, Any]:
        found = self.found.get(_asked_as(kind, parameter, call))
        if found is None:
            raise ExpressionError(call.place, "nothing can be looked up here.", "Look it up in a column of the rule.")
        return {column: self.table[name] for column, name in found.items()}

    def called(self, kind: str, parameter: str) -> str:
        return self.lookups.called(kind, parameter)


@dataclass
class Collecting(RuleScope):
    """A scope that collects what expressions look up, the inner look-ups before the outer; until they are joined they
    are empty. For `with_lookups`, and to hold expressions against a source without running them."""

    asked: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def joined(self, kind: str, parameter: str, keys: tuple[Value, ...], call: Call) -> Mapping[str, Any]:
        import ibis

        key = _asked_as(kind, parameter, call)
        if key in self.found:
            return super().joined(kind, parameter, keys, call)
        try:
            columns = self.lookups.columns(kind, parameter)
        except KeyError as error:
            there = ", ".join(error.args) or "none"
            word = "code list" if kind == "list" else "vocabulary loaded that is"
            raise ExpressionError(
                call.arguments[0].place,
                f"there is no {word} called {parameter!r}.",
                f"There are: {there}." if kind == "list" else f"Loaded: {there}. `atoll vocabulary load` brings more.",
            ) from None
        inner = {name for part in _looked_for(call) for name in _lookups_in(part)}
        if not inner - {known for _, _, known in self.found}:
            self.asked[key] = key_of_code(kind, parameter, together([one.ibis for one in keys]))
        return {column: ibis.null(dtype_of(kind, column)) for column in columns}


def _asked_as(kind: str, parameter: str, call: Call) -> tuple[str, str, str]:
    """What makes two look-ups one."""
    return kind, parameter, ", ".join(map(written, _looked_for(call)))


def _looked_for(call: Call) -> list[Expression]:
    """The arguments that a look-up looks for."""
    return [call.arguments[place] for place in FUNCTIONS[call.function].keys if place < len(call.arguments)]


def _lookups_in(tree: Expression) -> Iterator[str]:
    """What the look-ups within an expression look for."""
    if isinstance(tree, Call):
        if (function := FUNCTIONS.get(tree.function)) and function.looks:
            yield ", ".join(map(written, _looked_for(tree)))
        for argument in tree.arguments:
            yield from _lookups_in(argument)
    elif isinstance(tree, Case):
        for part in (*(one for branch in tree.branches for one in branch), tree.otherwise):
            yield from _lookups_in(part)


def tables_of(rule: Rule, source: Source) -> dict[str, Any]:
    """The tables of an opened source that a rule reads."""
    return {name: source.table(name) for name in (rule.source, *rule.join)}


def source_rows(rule: Rule, tables: Mapping[str, Any]) -> Any:
    """The rows that a rule reads, after `join`: one for each group of columns of `each`, where it has such."""
    if misplaced := _misplaced(rule, tables):
        raise misplaced[0]
    table = sourced(tables[rule.source])
    for name, (own, theirs) in rule.join.items():
        table = _joined(table, own, sourced(tables[name]), theirs)
    if rule.each is None:
        return table
    import ibis

    each = rule.each
    made = [SOURCE + name for name in each.made]
    cells = [_cells(table, column) for column in zip(*each.groups, strict=True)]
    named = [ibis.literal(group[0]) for group in each.groups]
    parts = [ibis.struct(dict(zip(made, group, strict=True))) for group in zip(*cells, named, strict=True)]
    kept = [name for name in table.columns if name not in made]
    long = table.select(*kept, each=ibis.array(parts).unnest())
    long = long.select(*kept, **{name: long["each"][name] for name in made})
    return long.filter(long[made[0]].notnull())


def _cells(table: Any, columns: Sequence[str]) -> list[Any]:
    """Columns that are to be one: as text where their types differ, missing where a group has none."""
    import ibis

    kinds = {str(table[SOURCE + column].type()).lstrip("!") for column in columns if column}
    kind = kinds.pop() if len(kinds) == 1 else "string"
    return [table[SOURCE + column].cast(kind) if column else ibis.null(kind) for column in columns]


def _misplaced(rule: Rule, tables: Mapping[str, Any]) -> list[ExpressionError]:
    """Columns that `join` and `each` name and that are not there."""
    known, found = set(tables[rule.source].columns), []
    for name, (own, theirs) in rule.join.items():
        for column, there, title in ((own, known, rule.source), (theirs, tables[name].columns, name)):
            if column not in there:
                what = f"`join`: {title} has no column {column!r}."
                found.append(ExpressionError(rule.place, what, "Correct the rule's `join`."))
        known |= set(tables[name].columns)
    each = rule.each
    for column in each.columns if each else ():
        if column not in known and each:
            what = f"the source has no column `{column}`."
            found.append(ExpressionError(each.place, what, "Correct `each: columns`."))
    return found


def faults(rule: Rule, tables: Mapping[str, Any], lookups: Lookups) -> list[ExpressionError]:
    """All that does not fit of a rule's `join`, `each` and expressions, not only the first."""
    found = _misplaced(rule, tables)
    scope = Collecting(_as_if(rule, tables) if found else source_rows(rule, tables), lookups)
    for name, one in rule.expressions().items():
        parts = faulty(one.tree, scope)
        if not parts:
            try:
                _kind(rule, name, one, scope)
            except ExpressionError as error:
                parts = [error]
        found += parts
    return found


def misfits(expressions: Iterable[Written], rows: Any, lookups: Lookups) -> list[ExpressionError]:
    """All that does not fit of expressions over rows of a source."""
    scope = Collecting(rows, lookups)
    return [error for one in expressions for error in faulty(one.tree, scope)]


def _kind(rule: Rule, name: str, one: Written, scope: RuleScope) -> None:
    """Whether an expression gives what its place takes."""
    column = rule.table.columns.get(name)
    if name in ("where", "deleted"):
        condition_of(one, scope)
    elif column and column.references.partition(".")[0] in ("", "concept"):
        fitted(compiled(one.tree, scope), column.kind, one.place, name)


def _as_if(rule: Rule, tables: Mapping[str, Any]) -> Any:
    """A rule's source with the names of all columns that its `join` and `each` would bring, so that the rest can be
    looked at though these are wrong."""
    import ibis

    table = sourced(tables[rule.source])
    types = {SOURCE + name: str(kind) for other in rule.join for name, kind in tables[other].schema().items()}
    types |= {SOURCE + name: "string" for name in (rule.each.made if rule.each else ())}
    return table.mutate(**{name: ibis.null(kind) for name, kind in types.items() if name not in table.columns})


def _joined(table: Any, own: str, other: Any, theirs: str) -> Any:
    """Rows with the columns of another table, found by a key; a column that both have keeps the first one's value."""
    other = other.distinct(on=SOURCE + theirs, keep="first")
    other = other.drop(LEFT_OUT) if LEFT_OUT in other.columns else other
    other = other.rename({f"joined:{column}": column for column in other.columns})
    joined = table.left_join(other, table[SOURCE + own] == other[f"joined:{SOURCE}{theirs}"])
    new = {column.removeprefix("joined:"): joined[column] for column in other.columns}
    kept = {column: joined[column] for column in table.columns}
    return joined.select(**kept, **{column: value for column, value in new.items() if column not in kept})


def key_of(rule: Rule, scope: Any) -> Any:
    """The text that tells a rule's rows apart, in every release the same."""
    if rule.key is not None:
        key = compiled(rule.key.tree, scope)
        text = key.ibis.cast("string")
    else:
        parts = [compiled(Name(name), scope).ibis.cast("string").fill_null("") for name in rule.names()]
        parts = parts or [scope.table[scope.table.columns[0]].cast("string")]
        text = parts[0]
        for part in parts[1:]:
            text = text + SEPARATOR + part
    if rule.each is not None:
        text = text + SEPARATOR + scope.table[SOURCE + rule.each.name]
    return text


def row_id(table: str, text: Any, space: str = "") -> Any:
    """The id of the row of a table with this key; `space` is the rule's (see `Rule.space`), empty where a key is one
    row whichever rule it comes from. Who changes what an id is made of raises `reuse.IDS`."""
    import ibis

    return stable_id(ibis.literal(f"{table}{SEPARATOR}" + (f"{space}{SEPARATOR}" if space else "")) + text)


def row_id_of(table: str, *keys: str) -> str:
    """The same in SQL, of a key that several columns make."""
    return f"stable_id({' || chr(31) || '.join((literal(table), *keys))})"


def chosen(rule: Rule, rows: Any, lookups: Lookups) -> tuple[Any, Asked]:
    """The rows that `where` and `deleted` leave of `source_rows`, and what they look up."""
    conditions = [one for one in (rule.where, rule.deleted) if one is not None]
    scope, asked = with_lookups(rows, conditions, lookups)
    left = scope.table
    if rule.where is not None:
        left = left.filter(condition_of(rule.where, scope).fill_null(False))
    if rule.deleted is not None:  # what the source has marked as deleted is not there
        left = left.filter(~condition_of(rule.deleted, scope).fill_null(False))
    return _without_lookups(left, rows), asked


def one_of_each(rule: Rule, rows: Any, lookups: Lookups) -> tuple[Any, Asked]:
    """Where a source repeats a row's values on many rows: each row once, or of each key the first; and what that looks
    up. Rows without a key are no one row: each is left to be named."""
    import ibis

    if rule.first is not None:
        scope, asked = with_lookups(rows, [one for one in (rule.first, rule.key) if one], lookups)
        table, order, key = scope.table, compiled(rule.first.tree, scope).ibis, key_of(rule, scope)
        left = [table[LEFT_OUT].notnull()] if LEFT_OUT in rows.columns else []  # never the first where another is
        ties = [table[SOURCE + name] for name in columns_read(rule)]  # not the order of the file
        number = ibis.row_number().over(group_by=key, order_by=[*left, order, *ties])
        table = table.mutate(first=key.isnull().ifelse(0, number))
        return table.filter(table["first"] == 0).select(*rows.columns), asked
    if rule.distinct:
        kept = [LEFT_OUT] if LEFT_OUT in rows.columns else []
        return rows.select(*(SOURCE + name for name in columns_read(rule)), *kept).distinct(), []
    return rows, []


def _without_lookups(table: Any, rows: Any) -> Any:
    return table if table.columns == rows.columns else table.select(*rows.columns)


def literal_row(kept: Sequence[str]) -> str:
    """The SQL of a source row as JSON text."""
    pairs = ", ".join(f"{literal(name.removeprefix('source:'))}: {quoted(name)}" for name in kept)
    return f"CAST(to_json({{{pairs}}}) AS VARCHAR)" if kept else "NULL"


def columns_read(rule: Rule) -> list[str]:
    """The columns that a rule reads, after `each`."""
    each = rule.each
    gone = set(each.columns) if each else set()
    return [name for name in rule.names() if name not in gone] + (list(each.made) if each else [])


def condition_of(expression: Written, scope: RuleScope) -> Any:
    value = compiled(expression.tree, scope)
    if value.kind != "truth":
        raise ExpressionError(
            expression.place, f"`{expression.key.rpartition('.')[2]}` takes a condition.", 'Write x = "a".'
        )
    return value.ibis


def with_lookups(
    rows: Any, expressions: Iterable[Written], lookups: Lookups, loads: Rule | None = None
) -> tuple[RuleScope, Asked]:
    """Rows with the columns of all look-ups in some expressions, and the keys that each will be asked for.

    loads   the rule when these are its columns: codes without a concept get one of the hospital's own then. Elsewhere
            a look-up only chooses among rows, of which many are not loaded: there such a code has concept 0
    """
    expressions, asked = tuple(expressions), Asked()
    scope = Collecting(rows, lookups)
    while True:
        for expression in expressions:
            compiled(expression.tree, scope)
        if not scope.asked:
            return RuleScope(scope.table, lookups, scope.found), asked
        asked += [
            (kind, name, scope.table.select(key=key).distinct())
            for (kind, name, _), key in scope.asked.items()
            if loads or kind not in NAMED
        ]
        scope = _joining(loads, scope, lookups)


def _joining(loads: Rule | None, scope: Collecting, lookups: Lookups) -> Collecting:
    first, found = len(scope.found), dict(scope.found)
    joined = scope.table.mutate(**{f"key{first + i}": key for i, key in enumerate(scope.asked.values())})
    for i, (kind, parameter, text) in enumerate(scope.asked, first):
        right = lookups.table(kind, parameter)
        if kind == "code" and not (loads and drives(loads, parameter, text)):
            right = right.filter(right["rank"] == 1)
        right = right.rename({f"join{i}:{column}": column for column in right.columns})
        joined = joined.left_join(right, joined[f"key{i}"] == right[f"join{i}:key"])
        if kind in NAMED and not loads and f"join{i}:concept_id" in right.columns:
            concept = joined[f"join{i}:concept_id"].fill_null(joined[f"key{i}"].notnull().ifelse(0, None))
            joined = joined.mutate(**{f"join{i}:concept_id": concept})
        found[(kind, parameter, text)] = {name.partition(":")[2]: name for name in right.columns}
    return Collecting(joined, lookups, found)


def drives(rule: Rule, vocabulary: str, text: str) -> bool:
    """Whether this code says what the row is about: then each of its standard concepts gets a row."""
    column = rule.columns.get(rule.table.concept() or "")
    tree = column.tree if column else None
    return (
        isinstance(tree, Call) and tree.function == "code" and written(tree.arguments[1]) == text
        and getattr(tree.arguments[0], "value", None) == vocabulary
    )  # fmt: skip
