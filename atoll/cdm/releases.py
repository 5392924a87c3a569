"""Releases in PostgreSQL: each in a schema of its own, and views in the schema that people name, which lead to one.

    cdm.person …, cdm.atoll_release     views: replaced in one transaction, they keep grants, and views upon them
    cdm.cohort, cdm.cohort_definition   tables that analyses fill: no load touches them, nor anything else that is there
    cdm_r5.person …                     release 5, whole before any view leads to it

A reader of Atoll's finds the release in force once and reads it to the end, also while another takes its place: its
session holds an advisory lock, and no release goes that someone holds. A user who may read the views alone cannot do
that; such a reader is told when they lead elsewhere. Only tables with names of the model are ever dropped, and only in
schemas that a load made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atoll.cdm.database import driver
from atoll.cdm.tables import RESULTS, tables
from atoll.errors import OperatorError

OWN = "atoll_release"
WAIT, TRIES = "2s", 15  # how long a lock is waited for, as others wait behind it; and how often
_TYPES = {"int32": "integer", "int64": "bigint", "float64": "double precision", "string": "text", "date": "date",
          "timestamp": "timestamp"}  # fmt: skip
_KEY = 0x41746F6C << 32  # beside the number of a schema: an advisory lock
_IN_FORCE = """
    SELECT s.nspname, n.oid::bigint, n.nspname FROM pg_class v JOIN pg_namespace s ON s.oid = v.relnamespace
    JOIN pg_rewrite r ON r.ev_class = v.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE s.nspname = ANY(%s) AND v.relname = 'atoll_release' AND t.relname = 'atoll_release'
    GROUP BY 1, 2, 3 ORDER BY 1, 2"""
_THERE = "SELECT oid::bigint FROM pg_namespace WHERE oid = ANY(%s::oid[]) ORDER BY 1"
_READABLE = """
    SELECT has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (SELECT 1 FROM pg_class t JOIN pg_class v
    ON v.relname = t.relname AND v.relkind = 'v' JOIN pg_namespace s ON s.oid = v.relnamespace
    WHERE t.relnamespace = n.oid AND t.relkind = 'r' AND s.nspname = %s AND has_any_column_privilege(v.oid, 'SELECT')
    AND NOT has_table_privilege(t.oid, 'SELECT')) FROM pg_namespace n WHERE n.oid = %s::oid"""
_HOLDERS = """
    SELECT DISTINCT a.usename || ' (process ' || a.pid || ')' FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted
    AND n.nspname = %s AND a.datname = current_database() AND a.pid <> pg_backend_pid() ORDER BY 1"""
_NAMED = """
    SELECT c.relname, c.relkind::text, EXISTS (SELECT 1 FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class t ON t.oid = d.refobjid
    WHERE r.ev_class = c.oid AND t.relnamespace = ANY(%s::oid[])) FROM pg_class c JOIN pg_namespace s
    ON s.oid = c.relnamespace WHERE s.nspname = %s AND c.relname = ANY(%s) ORDER BY 1"""
_GUARDED = """
    SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = %(table)s::regclass UNION ALL
    SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal"""
_GRANTS = """
    SELECT pg_get_userbyid(g.grantee), g.grantee = 0, NULL FROM pg_class c, aclexplode(c.relacl) g
    WHERE c.oid = %(table)s::regclass AND g.privilege_type = 'SELECT' AND g.grantee <> c.relowner UNION ALL
    SELECT pg_get_userbyid(g.grantee), g.grantee = 0, a.attname FROM pg_attribute a, aclexplode(a.attacl) g
    WHERE a.attrelid = %(table)s::regclass AND g.privilege_type = 'SELECT'"""


@dataclass(frozen=True)
class Reading:
    """What a session reads, and how it is asked whether that is still so."""

    statement: str
    asked: list[Any]
    found: list[tuple[Any, ...]]

    def holds(self, connection: Any) -> bool:
        """Whether all that was read since the beginning is of one release."""
        return bool(connection.execute(self.statement, [self.asked]).fetchall() == self.found)


def watch(connection: Any) -> Reading:
    """The releases that the schemas of a session lead to."""
    schemas = [name for (name,) in connection.execute("SELECT unnest(current_schemas(false))")]
    return Reading(_IN_FORCE, schemas, connection.execute(_IN_FORCE, [schemas]).fetchall())


def hold(connection: Any) -> Reading:
    """Let a session read the releases that are in force now until it ends; where it may not, as `watch`."""
    while True:
        reading = watch(connection)
        numbers = sorted({oid for _, oid, _ in reading.found})
        if not numbers or not all(
            connection.execute(_READABLE, [schema, oid]).fetchone()[0] for schema, oid, _ in reading.found
        ):
            return reading
        for oid in numbers:
            connection.execute("SELECT pg_advisory_lock_shared(%s)", [_KEY | oid])
        if reading.holds(connection):
            break
        for oid in numbers:  # another release came between: that one may be gone
            connection.execute("SELECT pg_advisory_unlock_shared(%s)", [_KEY | oid])
    found = {schema: release for schema, _, release in reading.found}
    path = [name for schema in reading.asked for name in (found.get(schema), schema) if name]
    written = "SELECT set_config('search_path', string_agg(quote_ident(n), ',' ORDER BY i), false)"
    connection.execute(f"{written} FROM unnest(%s::text[]) WITH ORDINALITY AS p(n, i)", [path])
    return Reading(_THERE, numbers, [(oid,) for oid in numbers])


@contextmanager
def only_load(connection: Any, schema: str) -> Iterator[None]:
    """Hold a schema against a load from another machine.

    Raises
    ------
    OperatorError
        When there is one.
    """
    key = [f"atoll load into {schema}"]
    if not connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key).fetchone()[0]:
        raise OperatorError(f"Another load into the schema {schema} of this database is running.", "Wait for its end.")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key)


def names() -> list[str]:
    """What a release holds."""
    return [*(name for name in tables() if name not in RESULTS), OWN]


def remark(schema: str) -> str:
    """The comment on a schema that a load made; one without it is never touched."""
    return f"A release of the schema {schema}: made by `atoll load`, which removes it too. Write nothing here."


def made(connection: Any, schema: str) -> dict[int, str]:
    """The schemas of releases that loads made: number and name."""
    rows = connection.execute(
        "SELECT oid::bigint, nspname FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') = %s ORDER BY 1",
        [remark(schema)],
    )
    form = re.compile(re.escape(_stem(schema)) + r"\d+(_\d+)?")
    return {oid: name for oid, name in rows if form.fullmatch(name)}


def new_name(connection: Any, schema: str, number: int) -> str:
    """A name for the schema of a release that nothing has."""
    wanted, more = f"{_stem(schema)}{number}", 1
    while connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [wanted]).fetchone():
        more += 1
        wanted = f"{_stem(schema)}{number}_{more}"
    return wanted


def _stem(schema: str) -> str:
    return f"{schema.encode()[:45].decode('utf-8', 'ignore')}_r"  # of 63 bytes that a name may have


def create(connection: Any, schema: str, name: str) -> None:
    """An empty table of the model, without its key."""
    from psycopg import sql

    columns = sql.SQL(", ").join(
        sql.SQL("{} " + _TYPES[column.dtype]).format(sql.Identifier(column.name))
        for column in tables()[name].columns.values()
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(schema, name), columns))


def refuse_foreign(connection: Any, schema: str) -> None:
    """Refuse a schema in which something that no load made stands where a release's view will.

    Raises
    ------
    OperatorError
        When it does.
    """
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [WAIT])
        _replaceable(connection, schema)


def _replaceable(connection: Any, schema: str) -> list[str]:
    """Tables that stand where views will: empty ones, as `atoll cdm create` makes, and those of a release as it was
    put here before there were views."""
    from psycopg import sql

    rows = connection.execute(_NAMED, [list(made(connection, schema)), schema, names()]).fetchall()
    earlier = (OWN, "r", False) in rows
    found, others = [], []
    for name, kind, ours in rows:
        full = sql.Identifier(schema, name)
        if ours and kind == "v":
            continue
        if kind == "r" and not earlier:
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(full))  # nobody fills it now
        if kind == "r" and (
            earlier or not connection.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(full)).fetchone()[0]
        ):
            found.append(name)
        else:
            others.append(name)
    if others:
        raise OperatorError(
            f"The schema {schema} holds tables that no load of Atoll put there, in whose place a release would stand:"
            f" {', '.join(others[:5])}.",
            "Name another schema (?schema=NAME), or rename this one.",
        )
    return found


def put_in_force(connection: Any, schema: str, release: str) -> None:
    """Let the views of a schema lead to a release, all at once.

    Raises
    ------
    OperatorError
        When somebody's transaction keeps them as they are, or something hangs on a table that would go.
    """
    errors = driver("psycopg", "postgres").errors
    holders: set[str] = set()
    for _ in range(TRIES):
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", [WAIT])
                _lead(connection, schema, release)
            return
        except errors.LockNotAvailable:
            holders = {who for (who,) in connection.execute(_HOLDERS, [schema])} or holders
        except errors.DependentObjectsStillExist as error:
            raise OperatorError(
                "Something hangs on a table that a view of the release would replace: "
                f"{(error.diag.message_detail or '').splitlines()[0]}.",
                "Drop it, load again, and make it anew: then it reads every release that follows.",
            ) from None
    raise OperatorError(
        f"The new release is complete and waits: {', '.join(sorted(holders)) or 'somebody'} reads the schema {schema}"
        " in a transaction that does not end.",
        "End that session and type the command again; nothing is copied a second time. The release in force stays.",
    )


def _lead(connection: Any, schema: str, release: str) -> None:
    """In one transaction: tables that stand in the way go, and views lead to the release."""
    from psycopg import sql

    if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone():
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    granted = {name: _cleared(connection, schema, name) for name in _replaceable(connection, schema)}
    for name in names():
        view = sql.Identifier(schema, name)
        listed = tables()[name].columns if name != OWN else ("number", "manifest")
        columns = sql.SQL(", ").join(map(sql.Identifier, listed))
        connection.execute(
            sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(
                view, columns, sql.Identifier(release, name)
            )
        )
        for who, everybody, column in granted.get(name, ()):
            part = sql.SQL("({})").format(sql.Identifier(column)) if column else sql.SQL("")
            whom = sql.SQL("PUBLIC") if everybody else sql.Identifier(who)
            connection.execute(sql.SQL("GRANT SELECT {} ON {} TO {}").format(part, view, whom))
    there = {
        name
        for (name,) in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = %s",
            [schema],
        )
    }
    for name in RESULTS:
        if name not in there:
            create(connection, schema, name)
    # A view reads with its owner's rights, and an administrator may have given it another owner.
    owners = connection.execute(
        "SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace"
        " WHERE s.nspname = %s AND c.relname = ANY(%s) AND pg_get_userbyid(c.relowner) <> current_user",
        [schema, names()],
    ).fetchall()
    for (owner,) in owners:
        place, whom = sql.Identifier(release), sql.Identifier(owner)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(place, whom))
        connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(place, whom))


def _cleared(connection: Any, schema: str, name: str) -> list[tuple[str, bool, str | None]]:
    """Drop a table in whose place a view comes; who could read it, or which of its columns, will read the view."""
    from psycopg import sql

    full = sql.Identifier(schema, name)
    table = {"table": full.as_string(connection)}
    if guards := connection.execute(_GUARDED, table).fetchall():
        raise OperatorError(
            f"The table {schema}.{name} has {guards[0][0]}, which the view in its place would not have.",
            "Drop it first, and guard the schema by grants; or name another schema (?schema=NAME).",
        )
    granted: list[tuple[str, bool, str | None]] = connection.execute(_GRANTS, table).fetchall()
    connection.execute(sql.SQL("DROP TABLE {}").format(full))  # without CASCADE: what hangs on it keeps it
    return granted


def clear(connection: Any, schema: str, progress: Callable[[str], None]) -> list[str]:
    """Remove the releases that no view leads to and nobody reads; says what stays, and why."""
    from psycopg import sql

    errors = driver("psycopg", "postgres").errors
    left: list[str] = []
    current = {oid for _, oid, _ in connection.execute(_IN_FORCE, [[schema]])}
    for oid, release in made(connection, schema).items() if current else ():
        if oid in current:
            continue
        progress(f"removing {release}")
        stays = f"The schema {release} of an earlier release stays until the next load:"
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", [WAIT])
                if not connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_KEY | oid]).fetchone()[0]:
                    left.append(f"{stays} an analysis reads it")
                    continue
                for name in names():
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(release, name)))
                connection.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(release)))
        except errors.LockNotAvailable:
            who = ", ".join(name for (name,) in connection.execute(_HOLDERS, [release])) or "somebody"
            left.append(f"{stays} {who} reads it in a transaction that does not end")
        except errors.DependentObjectsStillExist as error:
            left.append(f"{stays} {(error.diag.message_detail or 'something hangs on it').splitlines()[0]}")
        except errors.InsufficientPrivilege:
            left.append(f"{stays} this database user may not remove it")
    return left
