"""What a rule reads: the rows of its source, its key, and the look-ups that its expressions ask for, as joins.

The hospital's columns are called `source:NAME` here, so that no column of ours can have the name of one of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atoll.ingest.compiler import compiled, faulty, fitted
from atoll.ingest.expressions import Call, Case, Expression, ExpressionError, Name, written
from atoll.ingest.functions import FUNCTIONS
from atoll.ingest.kinds import SEPARATOR, Kind, Value, stable_id, together
from atoll.ingest.lookups import Lookups, dtype_of
from atoll.ingest.mapping import Rule, Written
from atoll.ingest.sources import LEFT_OUT

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
    """The columns of a rule's source, and its look-ups: collected first, then joined, the inner ones before the outer.

    table   `sourced`, with what was joined to it
    found   look-up → its columns' names in `table`
    """

    table: Any
    lookups: Lookups
    asked: dict[tuple[str, str, str], Any] = field(default_factory=dict)
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
        import ibis

        parts = _looked_for(call)
        key = (kind, parameter, ", ".join(map(written, parts)))
        if key in self.found:
            return {column: self.table[name] for column, name in self.found[key].items()}
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
        inner = {name for part in parts for name in _lookups_in(part)}
        if not inner - {known for _, _, known in self.found}:
            self.asked[key] = self.lookups.key(kind, parameter, together([one.ibis for one in keys]))
        return {column: ibis.null(dtype_of(kind, column)) for column in columns}


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
    scope = RuleScope(_as_if(rule, tables) if found else source_rows(rule, tables), lookups)
    for name, one in rule.expressions().items():
        parts = faulty(one.tree, scope)
        if not parts:
            try:
                _kind(rule, name, one, scope)
            except ExpressionError as error:
                parts = [error]
        found += parts
    return found


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


def one_of_each(rule: Rule, rows: Any, lookups: Lookups) -> Any:
    """Where a source repeats a row's values on many rows: each row once, or of each key the first."""
    import ibis

    scope = RuleScope(rows, lookups)
    if rule.first is not None:
        order = compiled(rule.first.tree, scope).ibis
        left = [rows[LEFT_OUT].notnull()] if LEFT_OUT in rows.columns else []  # never the first where another is
        ties = [rows[SOURCE + name] for name in columns_read(rule)]  # not the order of the file
        number = ibis.row_number().over(group_by=key_of(rule, scope), order_by=[*left, order, *ties])
        rows = rows.mutate(first=number)
        return rows.filter(rows["first"] == 0).drop("first")
    if rule.distinct:
        kept = [LEFT_OUT] if LEFT_OUT in rows.columns else []
        return rows.select(*(SOURCE + name for name in columns_read(rule)), *kept).distinct()
    return rows


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


def distinct_keys(rows: Any, key: Any) -> Any:
    keyed = rows.select(key=key)
    return keyed.group_by("key").agg(rows=keyed.count())


def with_lookups(rule: Rule, rows: Any, lookups: Lookups) -> tuple[RuleScope, list[tuple[str, str, Any]]]:
    """The rule's rows with the columns of all look-ups, and the keys that each look-up will be asked for."""
    scope = RuleScope(rows, lookups)
    asked: list[tuple[str, str, Any]] = []
    while True:
        for expression in rule.expressions().values():
            compiled(expression.tree, scope)
        if not scope.asked:
            return scope, asked
        asked += [(kind, name, distinct_keys(scope.table, key)) for (kind, name, _), key in scope.asked.items()]
        scope = _joining(rule, scope, lookups)


def _joining(rule: Rule, scope: RuleScope, lookups: Lookups) -> RuleScope:
    first, found = len(scope.found), dict(scope.found)
    joined = scope.table.mutate(**{f"key{first + i}": key for i, key in enumerate(scope.asked.values())})
    for i, (kind, parameter, text) in enumerate(scope.asked, first):
        right = lookups.table(kind, parameter)
        if kind == "code" and not drives(rule, parameter, text):
            right = right.filter(right["rank"] == 1)
        right = right.rename({f"join{i}:{column}": column for column in right.columns})
        joined = joined.left_join(right, joined[f"key{i}"] == right[f"join{i}:key"])
        found[(kind, parameter, text)] = {name.partition(":")[2]: name for name in right.columns}
    return RuleScope(joined, lookups, found=found)


def drives(rule: Rule, vocabulary: str, text: str) -> bool:
    """Whether this code says what the row is about: then each of its standard concepts gets a row."""
    column = rule.columns.get(rule.table.concept() or "")
    tree = column.tree if column else None
    return (
        isinstance(tree, Call) and tree.function == "code" and written(tree.arguments[1]) == text
        and getattr(tree.arguments[0], "value", None) == vocabulary
    )  # fmt: skip
