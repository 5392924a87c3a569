"""A rule of the mapping as one Ibis query: the rows of the target table, and for each the reason when it cannot stay.

A row is rejected for one reason, the first that holds. A value that cannot be kept while the row can leaves a note:
bit i of `_note` is `Compiled.notes[i]`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.cdm.tables import EHR, Column, Table, source_columns
from atoll.cdm.workbench import Workbench
from atoll.ingest.compiler import compiled, fitted
from atoll.ingest.expressions import names
from atoll.ingest.judged import Context, Judged
from atoll.ingest.kinds import SEPARATOR, Value, any_of, first_part, later, stable_id
from atoll.ingest.lookups import Lookups
from atoll.ingest.mapping import Rule
from atoll.ingest.repeats import REPLACED
from atoll.ingest.rule_source import (
    SOURCE,
    Asked,
    RuleScope,
    chosen,
    columns_read,
    drives,
    key_of,
    one_of_each,
    row_id,
    source_rows,
    with_lookups,
)  # fmt: skip
from atoll.ingest.sources import LEFT_OUT

# notes of a number that is kept as it is
WITHOUT_UNIT, UNKNOWN_UNIT, NOT_CONVERTED = "value without a unit", "unknown unit", "unit that does not convert"
WITHOUT_CODE = "no code"  # note of a row that says of nothing what it is about
# what else a result may be than the finding or sign that is read of it
IN_PLACE = {"value_as_concept_id": ("value_as_number", "value_as_string"),
            "operator_concept_id": ("value_as_number", "value_as_string", "value_as_concept_id")}  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """A rule, ready to run.

    query    Ibis: the target's columns, `_reason`, `_note`, `_comes` (the day on which what lies in the future comes)
             `_unmapped` (lists and codes without a concept), and the source's columns as `source:NAME`
    notes    what the bits of `_note` mean
    asked    look-ups that must be completed first (`Lookups.complete_all`)
    looked   Ibis tables of `looked`: where its rows look concepts up, and for which code, as one text
    """

    query: Any
    notes: tuple[str, ...]
    asked: Asked
    looked: tuple[Any, ...] = ()


def compile_rule(rule: Rule, tables: Mapping[str, Any], lookups: Lookups, context: Context) -> Compiled:
    """A rule over a source table.

    Raises
    ------
    ExpressionError
        At the first place that does not fit.
    """
    rows, of_conditions = chosen(rule, source_rows(rule, tables), lookups)
    rows, of_keys = one_of_each(rule, rows, lookups)
    loaded = [*([rule.key] if rule.key else []), *rule.columns.values()]
    scope, asked = with_lookups(rows, loaded, lookups, loads=rule)
    made = _Rule(rule, scope, context)
    query = made.query(lookups.bench)
    return Compiled(query, tuple(made.notes), [*of_conditions, *of_keys, *asked], tuple(made.looked()))


def needed(table: Table, but: Collection[str] = REPLACED) -> list[str]:
    """Columns without which no row can stay, and for which the loader has no value of its own."""
    return [c.name for c in table.columns.values() if c.required and not c.concept and not c.key and c.name not in but]


class _Rule(Judged):
    """One rule in two layers: first every value once, then what is made and said of them."""

    def __init__(self, rule: Rule, scope: RuleScope, context: Context):
        super().__init__(rule, context)
        self.scope = scope
        self.parts: dict[str, set[str]] = {}

    def query(self, bench: Workbench) -> Any:
        """The rule's rows; the first layer is a view, so that the engine computes each value once."""
        first = self._values()
        bench.view(f"rule {self.rule.position}", bench.sql(first), schema="layer")
        self.layer = bench.table(f"rule {self.rule.position}", schema="layer")
        columns = self._identity()
        for column in self.rule.table.columns.values():
            if column.name not in columns:
                columns[column.name] = self._column(column)
        self._units(columns)
        self._ends(columns)
        self._births(columns)
        self._requirements(columns)
        self._dates(columns)
        reason = self.ibis.cases(*((condition.fill_null(False), text) for condition, text in self.reasons), else_=None)
        if LEFT_OUT in self.layer.columns:  # what its sender takes back is named so, whatever else is wrong with it
            reason = self.ibis.coalesce(self.layer[LEFT_OUT], reason.cast("string"))
        note = self.ibis.literal(0, type="int64")
        for position, bit in enumerate(self.bits):
            note = note + bit.fill_null(False).ifelse(1 << position, 0)
        kept = [SOURCE + name for name in columns_read(self.rule)]
        selected = {name: columns[name] for name in self.rule.table.columns}
        converted = self._said("converted", self.ibis.null("string"))
        comes = self.ibis.least(*self.days) if self.days else self.ibis.null("date")
        said = {"_key": self.layer["key"], "_reason": reason.cast("string"), "_note": note, "_converted": converted,
                "_comes": comes, "_unmapped": self._unmapped()}  # fmt: skip
        return self.layer.select(*kept, **selected, **said)

    def _values(self) -> Any:
        """Layer one: `value:c`, and where there are such, `ref:c`, `found:c` and what else a `Value` says."""
        rule = self.rule
        first = {name: compiled(written.tree, self.scope) for name, written in rule.columns.items()}
        self._link(first)
        table, made = self.scope.table, {}
        made["key"] = key_of(rule, self.scope)
        for name, expression in rule.columns.items():
            column, value = rule.table.columns[name], compiled(expression.tree, self.scope)
            parts = self.parts[name] = set()
            owner = column.references.partition(".")[0]
            if owner in ("", "concept"):
                value = fitted(value, column.kind, expression.place, name)
                made[f"value:{name}"] = value.ibis
                extra = {
                    "text": value.source, "concept": value.concept, "bad": any_of(value.bad),
                    "bare": any_of(value.bare), "graded": any_of(value.graded), "kept": value.kept,
                    "converted": value.converted, "into": value.into, "looked": value.looked,
                }  # fmt: skip
            else:
                made[f"value:{name}"] = value.ibis.cast("string")
                extra = {part: table[f"{part}:{name}"] if f"{part}:{name}" in table.columns else None
                         for part in ("ref", "found", "owner")}  # fmt: skip
            for part, one in extra.items():
                if one is not None:
                    made[f"{part}:{name}"] = one
                    parts.add(part)
        for (kind, vocabulary, text), columns in self.scope.found.items():
            if kind == "code" and drives(rule, vocabulary, text):
                made["rank"] = table[columns["rank"]]
        for name in ("person", "birth", "death", "status", LEFT_OUT):
            if name in table.columns:
                made[name] = table[name]
        return table.select(*(SOURCE + name for name in columns_read(rule)), **made)

    def _link(self, values: Mapping[str, Value]) -> None:
        """Join the person, and each row of another table that this one refers to."""
        table, rule = self.scope.table, self.rule
        keys: dict[str, Any] = {}
        for name, value in values.items():
            owner = rule.table.columns[name].references.partition(".")[0]
            if owner in ("", "concept"):
                continue
            text = value.ibis.cast("string")
            keys[name] = stable_id(text) if owner == "person" else row_id(owner, text)
        table = table.mutate(**{f"ref:{name}": key for name, key in keys.items()}) if keys else table
        for name in keys:
            right = self._referred(rule.table.columns[name].references.partition(".")[0], name)
            if right is not None:
                table = table.left_join(right, table[f"ref:{name}"] == right[f"found:{name}"])
        self.scope = RuleScope(table, self.scope.lookups, found=self.scope.found)

    def _referred(self, owner: str, name: str) -> Any:
        if owner == "person":
            persons = self.context.persons
            if persons is None:
                return None
            return persons.select(
                **{f"found:{name}": persons["key_id"]}, person=persons["person_id"], birth=persons["birth"],
                death=persons["death"], status=persons["status"],
            )  # fmt: skip
        if owner == self.rule.to or owner not in self.context.tables:
            return None
        other = self.context.tables[owner]
        found = {f"found:{name}": other[f"{owner}_id"]}
        if "person_id" in other.columns:
            found[f"owner:{name}"] = other["person_id"]
        return other.select(**found)

    def _units(self, columns: dict[str, Any]) -> None:
        """A number without a unit, or with one that nobody knows, is kept as it is, claims none, and is named. One with
        a unit that does not convert keeps it, and is named."""
        given = self.rule.columns
        text: Any = columns.get("unit_source_value")
        concept: Any = columns.get("unit_concept_id")
        if "value_as_number" not in given:
            if "unit_concept_id" in given and text is not None:
                self._note(text.notnull() & (concept.fill_null(0) == 0), UNKNOWN_UNIT)
            return
        number, converted, never = columns["value_as_number"], self._said("converted", None), self.ibis.literal(False)
        bare, graded = (self._said(part, never).fill_null(False) for part in ("bare", "graded"))
        kept, of_conversion = self._said("kept", self.ibis.null("int32")), self.ibis.literal(True)
        if converted is not None:
            self._note(kept > 0, NOT_CONVERTED)
            if "unit_source_value" not in given:
                text = columns["unit_source_value"] = self.ibis.coalesce(text, first_part(converted))
            if "unit_concept_id" not in given:  # then it follows from the conversion
                concept, of_conversion = self._said("into", concept), converted.notnull()
        if "unit_concept_id" in given or converted is not None:
            concept = self.ibis.coalesce(kept, (bare | graded).ifelse(None, concept))
            columns["unit_concept_id"] = concept
            self._note(text.notnull() & ~graded & of_conversion & (concept.fill_null(0) == 0), UNKNOWN_UNIT)
        if converted is not None or "text:unit_concept_id" in self.layer.columns or "unit_source_value" in given:
            self.notes.append(WITHOUT_UNIT)
            self.bits.append(((number.notnull() & text.isnull()) | bare) & ~graded)

    def looked(self) -> list[Any]:
        """What the rows look up, for each column that looks up a concept."""
        return [self.layer.select(looked=self.layer[f"looked:{name}"]) for name in self._looking()]

    def _looking(self) -> list[str]:
        columns = self.rule.table.columns
        return [name for name, parts in self.parts.items() if "looked" in parts and columns[name].concept]

    def _unmapped(self) -> Any:
        """The lists and codes without a concept of which a row is made: as it is loaded, whatever was looked up."""
        found = [
            (self.layer[f"value:{name}"].fill_null(0) == 0).ifelse(self.layer[f"looked:{name}"], None)
            for name in self._looking()
        ]
        nothing = self.ibis.null("array<string>")
        return self.ibis.coalesce(*found).notnull().ifelse(self.ibis.array(found), nothing) if found else nothing

    def _said(self, part: str, otherwise: Any) -> Any:
        """What the number's expression says of its unit."""
        return self.layer[f"{part}:value_as_number"] if part in self.parts.get("value_as_number", ()) else otherwise

    def _identity(self) -> dict[str, Any]:
        rule, layer = self.rule, self.layer
        made: dict[str, Any] = {}
        if rule.table.key is not None:
            text = layer["key"]
            if "rank" in layer.columns:
                more = self.ibis.literal(SEPARATOR) + layer["rank"].cast("string")
                text = text + (layer["rank"] > 1).fill_null(False).ifelse(more, "")
            made[rule.table.key] = row_id(rule.to, text, rule.space)
            self.reasons.append((layer["key"].isnull(), "no key"))
        if "person" in layer.columns and rule.to != "person":
            made["person_id"] = layer["person"]
            self.reasons += [
                (layer["value:person_id"].isnull(), "no person"),
                (layer["person"].isnull(), "unknown person"),
                (layer["status"].notnull(), "person rejected"),
            ]
        return made

    def _column(self, column: Column) -> Any:
        name = column.name
        if name not in self.rule.columns:
            return self._otherwise(column)
        owner = column.references.partition(".")[0]
        if owner not in ("", "concept"):
            return self._reference(name, owner)
        made = self.layer[f"value:{name}"]
        if name == self.rule.table.concept() and "text" in self.parts[name]:
            self.notes.append(WITHOUT_CODE)
            self.bits.append(self.layer[f"text:{name}"].isnull())
        if "concept" in self.parts[name] and source_columns(name)[1] not in self.rule.table.columns:
            made = self.ibis.coalesce(made.nullif(0), self.layer[f"concept:{name}"].cast("int32"), made)
        if "bad" in self.parts[name]:
            self._fault(column, self._unread(name), f"unreadable {name}")
        if column.kind == "number":
            endless = made.isinf() | made.isnan()  # a text such as `inf` is no measured number
            self._fault(column, endless, f"unreadable {name}")
            made = endless.fill_null(False).ifelse(None, made)
        elif column.kind == "integer":
            made, given = made.try_cast(column.dtype), made
            if str(given.type()) != column.dtype:
                self._fault(column, given.notnull() & made.isnull(), f"unreadable {name}")
        if name in ("days_supply", "quantity", "refills"):
            self._fault(column, made < 0, f"negative {name}")
            made = (made < 0).fill_null(False).ifelse(None, made)
        return made.fill_null(0) if column.concept and column.required else made

    def _unread(self, name: str) -> Any:
        """Where a text could not be read. A finding or sign that is none was no loss where what else the same column of
        the source may be is kept, or named itself."""
        found, read = self.layer[f"bad:{name}"], {at: set(names(one.tree)) for at, one in self.rule.columns.items()}
        for other in IN_PLACE.get(name, ()):
            if read[name] & read.get(other, set()):
                found = found & self.layer[f"value:{other}"].isnull()
                if "bad" in self.parts[other]:
                    found = found & ~self.layer[f"bad:{other}"]
        return found

    def _reference(self, name: str, owner: str) -> Any:
        if owner == self.rule.to:
            return self.layer[f"ref:{name}"]
        if "found" not in self.parts[name]:  # no rule fills that table
            if f"value:{name}" in self.layer.columns:
                self._note(self.layer[f"value:{name}"].notnull(), f"unknown {owner}")
            return self.ibis.null("int64")
        found = self.layer[f"found:{name}"]
        self.notes.append(f"unknown {owner}")
        self.bits.append(self.layer[f"value:{name}"].notnull() & found.isnull())
        if "owner" in self.parts[name] and "person" in self.layer.columns:
            strange = self.layer[f"owner:{name}"] != self.layer["person"]
            self._fault(self.rule.table.columns[name], strange, f"{owner} of another person")
            found = strange.fill_null(False).ifelse(None, found)
        return found

    def _otherwise(self, column: Column) -> Any:
        """What a column holds that the rule does not name: what follows from a look-up, or a default."""
        for name, parts in self.parts.items():
            text, concept = source_columns(name) if name.endswith("_concept_id") else ("", "")
            if "text" in parts and column.name == text:
                return self.layer[f"text:{name}"]
            if "concept" in parts and column.name == concept:
                return self.layer[f"concept:{name}"].cast("int32")
        if column.concept and column.required:
            default = EHR if column.name.endswith("_type_concept_id") else 0
            return self.ibis.literal(default, type="int32")
        return self.ibis.null(column.dtype)

    def _requirements(self, columns: dict[str, Any]) -> None:
        start, end = self.rule.table.start(), self.rule.table.end()
        if end in REPLACED and start:
            after = columns[start]
            if "days_supply" in self.rule.columns:
                days = columns["days_supply"]
                last = (days > 0).fill_null(False).ifelse(later(after, (days - 1).cast("int64")), after)
                self._note(after.notnull() & last.isnull(), "unreadable days_supply")
                after = self.ibis.coalesce(last, after)
            columns[end] = self.ibis.coalesce(columns[end], after)
        for name in needed(self.rule.table, but=("person_id",)):
            self.reasons.append((columns[name].isnull(), f"no {name}"))
