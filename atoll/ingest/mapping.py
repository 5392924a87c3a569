"""The mapping: how a hospital's tables become tables of the OMOP model, as a YAML document that a data manager reads.

    mapping: 1
    name: river
    source:
      missing: ["?"]                          # what stands for nothing
      tables:
        patients: {file: "PAT*.csv"}
    lists: {sex: sex.csv}                     # code lists, beside this file
    rules:
      - to: person                            # a table of the model
        from: patients                        # a table of the source
        key: pat_no                           # what tells its rows apart
        columns:
          gender_concept_id: lookup("sex", sex)
          year_of_birth: year(date(born, "yyyyMMdd"))

A column that refers to a row of another table (person_id, visit_occurrence_id …) takes the source's key of that row.
Where a …_concept_id is looked up, …_source_value and …_source_concept_id follow by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as Entries
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from atoll.cdm.tables import RESULTS, VOCABULARY, Table, referred, tables
from atoll.errors import DataError
from atoll.ingest.expressions import Expression, ExpressionError, names, parse
from atoll.ingest.formats import TABLES, kinds
from atoll.study.form import Form, nearest
from atoll.study.nodes import Node, Problem, from_yaml

FORMAT = 1
_TOP = ("source", "lists", "vocabulary", "persons", "periods", "visits", "eras", "units", "description", "changes")


@dataclass(frozen=True)
class Written:
    """An expression as it stands in the document."""

    text: str
    tree: Expression
    place: tuple[int, int]
    key: str


@dataclass(frozen=True)
class Each:
    """One source row becomes a row for each of some groups of columns, whose values get names of their own.

    groups   columns that belong together, such as a diagnosis and its date; often one. Empty where one is missing
    values   what they are called in the rule's expressions; rows without the first of them are left out
    name     what the name of the group's first column is called
    """

    groups: tuple[tuple[str, ...], ...]
    values: tuple[str, ...]
    name: str
    place: tuple[int, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the source that it reads."""
        return tuple(dict.fromkeys(column for group in self.groups for column in group if column))

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that it makes."""
        return (*self.values, self.name)


@dataclass(frozen=True)
class Rule:
    """Rows of one source table to rows of one table of the model."""

    to: str
    source: str
    columns: Entries[str, Written]
    key: Written | None = None
    where: Written | None = None
    deleted: Written | None = None
    first: Written | None = None
    distinct: bool = False
    each: Each | None = None
    join: Entries[str, tuple[str, str]] = field(default_factory=dict)  # table → (own column, its column)
    place: tuple[int, int] = (0, 0)
    position: int = 0
    turn: int = 1  # which one it is of the rules from its source into its table

    @property
    def space(self) -> str:
        """Whose keys its own are told apart from: rows of events are its own, whatever other rules call theirs; a row
        that others refer to by its key is one row, whichever rule it comes from, and the space is empty."""
        return "" if self.to in referred() else self.source + (f"\x1e{self.turn}" if self.turn > 1 else "")

    @property
    def table(self) -> Table:
        """The table of the model."""
        return tables()[self.to]

    @property
    def title(self) -> str:
        """What it is called in reports."""
        return f"{self.to} from {self.source}"

    def expressions(self) -> dict[str, Written]:
        """All expressions by what they are for."""
        others = {"key": self.key, "where": self.where, "deleted": self.deleted, "first": self.first}
        return {**{name: one for name, one in others.items() if one is not None}, **self.columns}

    def names(self) -> tuple[str, ...]:
        """The source's columns that it reads, in order of reading, once each."""
        found = [name.name for one in self.expressions().values() for name in names(one.tree)]
        made = set(self.each.made) if self.each else set()
        own = [name for name in found if name not in made] + list(self.each.columns if self.each else ())
        return tuple(dict.fromkeys(own))


@dataclass(frozen=True)
class SourceTable:
    """Where a table of the source is found, when its file's name does not say it; `skip` rows stand above its names."""

    name: str
    file: str = ""
    sheet: str = ""
    skip: int | None = None
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Same:
    """A source table that says which person keys are one person."""

    table: str
    key: Written
    other: Written


@dataclass(frozen=True)
class Mapping:
    """A whole document. `folder` is where its code lists lie; `digest` changes with it and with them."""

    name: str
    rules: tuple[Rule, ...]
    source: str = TABLES
    encoding: str = ""
    missing: tuple[str, ...] = ()
    tables: Entries[str, SourceTable] = field(default_factory=dict)
    lists: Entries[str, Path] = field(default_factory=dict)
    vocabulary: str = ""
    same: Same | None = None
    match: tuple[Written, ...] = ()
    gap: int | None = None
    link_visits: bool = False
    eras: bool = True
    infer_units: float | None = None
    description: str = ""
    digest: str = ""

    def used(self) -> tuple[str, ...]:
        """Names of the source's tables that it reads."""
        found = [name for rule in self.rules for name in (rule.source, *rule.join)]
        found += [self.same.table] if self.same else []
        return tuple(dict.fromkeys(found))


def read_mapping(path: Path) -> Mapping:
    """A mapping and its code lists.

    Raises
    ------
    DataError
        When the file cannot be read.
    Problems
        With every finding, each with its line and, in expressions, its column.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "cannot be read as text in UTF-8" if path.exists() else "is not there"
        raise DataError(f"{path} {why}.", "`atoll mapping propose` drafts one.") from error
    return mapping_from(text, path.parent)


def mapping_from(text: str, folder: Path) -> Mapping:
    """The same from text; `folder` is where the code lists are looked for."""
    title = "The mapping cannot be used:"
    root, problems = from_yaml(text, title)
    reader = _Reader(Form(problems), folder)
    made = reader.mapping(root)
    reader.form.finish(title)
    hashed = hashlib.sha256(text.encode("utf-8"))
    for name, path in sorted(made.lists.items()):
        hashed.update(name.encode("utf-8") + b"\0" + path.read_bytes())
    return replace(made, digest=hashed.hexdigest())


class _Reader:
    def __init__(self, form: Form, folder: Path):
        self.form, self.folder = form, folder

    def mapping(self, root: Node) -> Mapping:
        form = self.form
        fields = form.fields(root, "", ("mapping", "name", "rules"), _TOP)
        if "mapping" in fields and fields["mapping"].content != str(FORMAT):
            form.refuse(
                fields["mapping"], "mapping", f"format {fields['mapping'].shown()} is not known.", f"Write {FORMAT}."
            )
        source = self._source(fields["source"]) if "source" in fields else {}
        persons = form.fields(fields["persons"], "persons", (), ("same", "match")) if "persons" in fields else {}
        rules = self._rules(fields["rules"]) if "rules" in fields else ()
        return Mapping(
            name=form.part(fields, "", "name", Form.text, ""),
            rules=rules,
            lists=self._lists(fields["lists"]) if "lists" in fields else {},
            vocabulary=form.part(fields, "", "vocabulary", Form.text, ""),
            same=self._same(persons["same"]) if "same" in persons else None,
            match=tuple(self._match(persons["match"])) if "match" in persons else (),
            gap=self._gap(fields["periods"]) if "periods" in fields else None,
            link_visits=self._switch(fields, "visits", "link"),
            eras=self._switch(fields, "eras", "build", otherwise=True),
            infer_units=self._infer(fields["units"]) if "units" in fields else None,
            description=form.part(fields, "", "description", Form.text, "", 4000, True),
            **source,
        )

    def _switch(self, fields: Entries[str, Node], name: str, key: str, otherwise: bool = False) -> bool:
        if name not in fields:
            return otherwise
        inner = self.form.fields(fields[name], name, (key,))
        return self.form.part(inner, name, key, Form.flag, otherwise)

    def _infer(self, node: Node) -> float | None:
        """From which probability on a missing unit is filled in: more likely than not, at least."""
        inner = self.form.fields(node, "units", ("infer",))
        least: float | None = self.form.part(inner, "units", "infer", Form.number, None, 0.5, 1.0)
        return least

    def _gap(self, node: Node) -> int | None:
        inner = self.form.fields(node, "periods", ("gap",))
        if "gap" in inner and inner["gap"].content == "none":
            return None
        gap: int | None = self.form.part(inner, "periods", "gap", Form.number, None, 1, 100_000, True)
        return gap

    def _source(self, node: Node) -> dict[str, Any]:
        form = self.form
        fields = form.fields(node, "source", (), ("kind", "encoding", "missing", "tables"))
        found = form.entries(fields["tables"], "source.tables") if "tables" in fields else {}
        return {
            "source": form.part(fields, "source", "kind", Form.choice, TABLES, kinds()),
            "encoding": form.part(fields, "source", "encoding", Form.text, ""),
            "missing": self._words(fields, "source", "missing"),
            "tables": {name: self._table(name, entry) for name, entry in found.items()},
        }

    def _table(self, name: str, node: Node) -> SourceTable:
        form, key = self.form, f"source.tables.{name}"
        fields = form.fields(node, key, (), ("file", "sheet", "skip", "encoding", "delimiter", "columns", "missing"))
        sign = fields["delimiter"].content if "delimiter" in fields else ""
        if "delimiter" in fields and (not isinstance(sign, str) or len(sign) != 1):
            form.refuse(fields["delimiter"], f"{key}.delimiter", "the delimiter is one sign.", 'Write ";" or "|".')
        said: dict[str, Any] = {n: form.part(fields, key, n, Form.text, "") for n in ("file", "sheet", "encoding")}
        said |= {one: self._words(fields, key, one) for one in ("columns", "missing")}
        return SourceTable(
            name,
            skip=form.part(fields, key, "skip", Form.number, None, 0, 1000, True),
            **said,
            delimiter=sign if isinstance(sign, str) else "",
            place=node.place if node.place[0] else (node.line, 1),
        )

    def _words(self, fields: Entries[str, Node], key: str, name: str) -> tuple[str, ...]:
        if name not in fields:
            return ()
        items = self.form.items(fields[name], f"{key}.{name}")
        return tuple(item.content for item in items if isinstance(item.content, str))

    def _lists(self, node: Node) -> dict[str, Path]:
        found = {}
        for name, entry in self.form.entries(node, "lists").items():
            file = self.form.text(entry, f"lists.{name}")
            path = self.folder / file
            if Path(file).is_absolute() or ".." in Path(file).parts:
                self.form.refuse(entry, f"lists.{name}", f"{file!r} lies elsewhere.", "Put it beside the mapping.")
            elif not path.is_file():
                self.form.refuse(entry, f"lists.{name}", f"there is no file {file!r}.", "It lies beside the mapping.")
            else:
                found[name] = path
        return found

    def _rules(self, node: Node) -> tuple[Rule, ...]:
        items = self.form.items(node, "rules")
        if isinstance(node.content, list) and not items:
            self.form.refuse(node, "rules", "there is no rule.", "Begin with one for `person`.")
        made = [self._rule(item, position) for position, item in enumerate(items)]
        pairs = [(rule.to, rule.source) for rule in made]
        return tuple(replace(rule, turn=pairs[: at + 1].count(pairs[at])) for at, rule in enumerate(made))

    def _rule(self, node: Node, position: int) -> Rule:
        form, key = self.form, f"rules[{position}]"
        fields = form.fields(
            node, key, ("to", "from", "columns"), ("key", "where", "deleted", "first", "distinct", "each", "join")
        )
        known = {name for name in tables() if name not in (*VOCABULARY, *RESULTS)}
        to = fields["to"].content if "to" in fields else "person"
        if not isinstance(to, str) or to not in known:
            form.refuse(
                fields["to"], f"{key}.to", f"the model has no table {fields['to'].shown()}.", nearest(str(to), known)
            )
            to = "person"
        columns: dict[str, Written] = {}
        for name, entry in form.entries(fields["columns"], f"{key}.columns").items() if "columns" in fields else ():
            if name not in tables()[to].columns:
                form.refuse(
                    entry, f"{key}.columns.{name}", f"{to} has no such column.", nearest(name, tables()[to].columns)
                )
            elif tables()[to].columns[name].key:
                form.refuse(entry, f"{key}.columns.{name}", "ids are made from `key`.", "Write `key:` beside `from:`.")
            elif written := self._written(entry, f"{key}.columns.{name}"):
                columns[name] = written
        parts: dict[str, Any] = {
            one: self._written(fields[one], f"{key}.{one}")
            for one in ("key", "where", "deleted", "first")
            if one in fields
        }
        return Rule(
            to=to,
            source=form.part(fields, key, "from", Form.text, ""),
            columns=columns,
            each=self._each(fields["each"], f"{key}.each") if "each" in fields else None,
            distinct=form.part(fields, key, "distinct", Form.flag, False),
            join=self._joins(fields["join"], f"{key}.join") if "join" in fields else {},
            place=(node.line, 1),
            position=position,
            **parts,
        )

    def _joins(self, node: Node, key: str) -> dict[str, tuple[str, str]]:
        found = {}
        for name, entry in self.form.entries(node, key).items():
            pair = self._group(entry)
            if len(pair) not in (1, 2):
                self.form.refuse(entry, f"{key}.{name}", "one or two columns belong here.", "Write [own, theirs].")
            else:
                found[name] = (pair[0], pair[-1])
        return found

    def _each(self, node: Node, key: str) -> Each:
        fields = self.form.fields(node, key, ("columns", "value"), ("name",))
        values = self._group(fields["value"]) if "value" in fields else ("value",)
        name = self.form.part(fields, key, "name", Form.text, f"{values[0]}_column")
        items = self.form.items(fields["columns"], f"{key}.columns") if "columns" in fields else []
        groups = tuple(self._group(item, gaps=True) for item in items)
        for item, group in zip(items, groups, strict=True):
            if len(group) != len(values):
                wanted = f"{len(values)} columns" if len(values) > 1 else "one column"
                remedy = "Name as many as values, null where there is none."
                self.form.refuse(item, f"{key}.columns", f"{', '.join(group)} is not {wanted}.", remedy)
            elif not group[0]:
                self.form.refuse(item, f"{key}.columns", "the first column is missing.", "Name it: it makes the row.")
        return Each(groups, values, name, (node.line, 1))

    def _group(self, node: Node, gaps: bool = False) -> tuple[str, ...]:
        items = node.content if isinstance(node.content, list) else [node]
        texts = ((item.content, item.empty) for item in items if isinstance(item.content, str))
        return tuple("" if gaps and empty else text for text, empty in texts)

    def _same(self, node: Node) -> Same | None:
        fields = self.form.fields(node, "persons.same", ("table", "key", "is"))
        key, other = (
            self._written(fields[name], f"persons.same.{name}") if name in fields else None for name in ("key", "is")
        )
        if key is None or other is None or "table" not in fields:
            return None
        return Same(self.form.text(fields["table"], "persons.same.table"), key, other)

    def _match(self, node: Node) -> list[Written]:
        written = [self._written(item, "persons.match") for item in self.form.items(node, "persons.match")]
        return [one for one in written if one]

    def _written(self, node: Node, key: str) -> Written | None:
        if not isinstance(node.content, str):
            self.form.refuse(node, key, f"{node.shown()} stands where an expression belongs.", "Write it in one line.")
            return None
        place = node.place if node.place[0] else (node.line, 1)
        try:
            return Written(node.content, parse(node.content, place), place, key)
        except ExpressionError as error:
            self.form.problems.append(Problem(error.place[0], key, error.what, error.remedy, error.place[1]))
            return None
