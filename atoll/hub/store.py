"""What the hub remembers of itself and its studies, one function for each fact; who takes part is in `members`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from atoll.governance import states
from atoll.governance.states import RunAct
from atoll.hub import schema as t
from atoll.hub.database import Row as Row
from atoll.hub.database import row, rows
from atoll.hub.sentences import ENGLISH, Reason, why

# ---- the hub itself


def fact(connection: Connection, name: str) -> str | None:
    """A named fact about the hub."""
    value: str | None = connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == name)).scalar()
    return value


def set_fact(connection: Connection, name: str, value: str) -> None:
    """Remember a named fact about the hub."""
    updated = connection.execute(t.facts.update().where(t.facts.c.name == name).values(value=value))
    if not updated.rowcount:
        connection.execute(t.facts.insert().values(name=name, value=value))


def next_boot(connection: Connection) -> int:
    """A number that rises with every start of the hub: leases are built from it, so they need no commit."""
    boot = int(fact(connection, "boot") or 0) + 1
    set_fact(connection, "boot", str(boot))
    return boot


# ---- studies and decisions


def study(connection: Connection, study_hash: str) -> Row | None:
    """A submitted study."""
    return row(connection, sa.select(t.studies).where(t.studies.c.hash == study_hash))


def add_study(
    connection: Connection,
    study_hash: str,
    title: str,
    investigator: str,
    signed: bytes,
    sites: Sequence[str],
    analyses: Sequence[str],
) -> tuple[int, list[str]]:
    """A new study with one waiting run per analysis; returns its number and the runs' names."""
    inserted = connection.execute(
        t.studies.insert().values(
            hash=study_hash, title=title, investigator=investigator, signed=signed, submitted=time.time()
        )
    )
    connection.execute(t.study_sites.insert(), [{"study": study_hash, "site": site} for site in sites])
    names = [f"{study_hash[:12]}-{position}" for position in range(1, len(analyses) + 1)]
    connection.execute(
        t.runs.insert(),
        [
            {"id": name, "study": study_hash, "analysis": analysis, "position": position, "state": "waiting"}
            for position, (name, analysis) in enumerate(zip(names, analyses, strict=True), start=1)
        ],
    )
    (number,) = inserted.inserted_primary_key or (0,)
    return int(number), names


def proposals(connection: Connection, site: str, after: int) -> list[Row]:
    """Signed studies that name this site and have a higher number than `after`, oldest first."""
    query = (
        sa.select(t.studies.c.number, t.studies.c.signed)
        .join(t.study_sites, t.study_sites.c.study == t.studies.c.hash)
        .where(t.study_sites.c.site == site, t.studies.c.number > after)
        .order_by(t.studies.c.number)
    )
    return rows(connection, query)


def withdrawn(connection: Connection, site: str) -> list[str]:
    """Studies that their investigator stopped, which names no site, before this site decided."""
    mine, runs = t.study_sites.c, t.runs.c
    ended = sa.exists().where(runs.study == mine.study, runs.state == "stopped", runs.site == "")
    query = sa.select(mine.study).where(mine.site == site, mine.action.is_(None), ended)
    return [str(entry["study"]) for entry in rows(connection, query)]


def newest_proposals(connection: Connection) -> dict[str, int]:
    """The highest study number of every site."""
    query = (
        sa.select(t.study_sites.c.site, sa.func.max(t.studies.c.number))
        .join(t.studies, t.study_sites.c.study == t.studies.c.hash)
        .group_by(t.study_sites.c.site)
    )
    return {site: int(number) for site, number in connection.execute(query)}


def actions(connection: Connection, study_hash: str) -> dict[str, Row]:
    """Every listed site's newest decision about a study."""
    columns = (column.label(column.key) for column in t.study_sites.c)
    query = sa.select(*columns).where(t.study_sites.c.study == study_hash).order_by(t.study_sites.c.site)
    return {entry["site"]: entry for entry in rows(connection, query)}


def add_decision(
    connection: Connection, study_hash: str, site: str, action: str, number: int, ledger_head: str, envelope: bytes
) -> None:
    """A steward's decision, with the signed bytes as evidence."""
    now = time.time()
    connection.execute(
        t.decisions.insert().values(
            study=study_hash,
            site=site,
            action=action,
            number=number,
            ledger_head=ledger_head,
            envelope=envelope,
            received=now,
        )
    )
    connection.execute(
        t.study_sites.update()
        .where(t.study_sites.c.study == study_hash, t.study_sites.c.site == site)
        .values(action=action, decision_number=number, decided=now)
    )


# ---- runs, rounds, shares


_RUNS = sa.select(*(column for column in t.runs.c if column.name != "result")).add_columns(
    *(column for column in t.run_reasons.c if column.name != "run")
)
_WITH_REASONS = t.runs.outerjoin(t.run_reasons, t.run_reasons.c.run == t.runs.c.id)


def runs_of(connection: Connection, study_hash: str) -> list[Row]:
    """A study's runs in their order, with their reasons, without results."""
    query = _RUNS.select_from(_WITH_REASONS).where(t.runs.c.study == study_hash)
    return rows(connection, query.order_by(t.runs.c.position))


def all_runs(connection: Connection, investigator: str | None = None) -> list[Row]:
    """All runs, newest study first, with their reasons, without results; of one investigator when named."""
    query = (
        _RUNS.add_columns(t.studies.c.title, t.studies.c.investigator, t.studies.c.submitted)
        .select_from(_WITH_REASONS.join(t.studies, t.runs.c.study == t.studies.c.hash))
        .order_by(t.studies.c.number.desc(), t.runs.c.position)
    )
    return rows(connection, query if investigator is None else query.where(t.studies.c.investigator == investigator))


def run(connection: Connection, name: str) -> Row | None:
    """One run, with its reason and its result."""
    query = (
        _RUNS.add_columns(t.runs.c.result, t.studies.c.title, t.studies.c.investigator)
        .select_from(_WITH_REASONS.join(t.studies, t.runs.c.study == t.studies.c.hash))
        .where(t.runs.c.id == name)
    )
    return row(connection, query)


def study_of(connection: Connection, name: str) -> str:
    """The study of a run, or nothing."""
    return str(connection.execute(sa.select(t.runs.c.study).where(t.runs.c.id == name)).scalar() or "")


def open_studies(connection: Connection) -> list[str]:
    """Hashes of studies with a run that has not ended, oldest first."""
    query = (
        sa.select(t.studies.c.hash)
        .join(t.runs, t.runs.c.study == t.studies.c.hash)
        .where(t.runs.c.state.not_in(states.ENDED))
        .group_by(t.studies.c.hash, t.studies.c.number)
        .order_by(t.studies.c.number)
    )
    return [str(name) for name in connection.execute(query).scalars()]


def change_run(
    connection: Connection, name: str, act: RunAct, *, reason: Reason | None = None, result: str | None = None
) -> None:
    """A run starts, finishes with a result, fails or is stopped for a reason: every change of its state is made here.

    Raises
    ------
    NotPermitted
        When a run in its state cannot do this.
    """
    before = connection.execute(sa.select(t.runs.c.state).where(t.runs.c.id == name)).scalar_one()
    after = states.step(states.RUN, before, act)
    values: dict[str, Any] = {"state": after, "ended" if after in states.ENDED else "started": time.time()}
    if result is not None:
        values["result"] = result
    if reason is not None:
        values |= {"code": reason.code, "site": next(iter(reason.sites), ""), "sentence": why(reason, ENGLISH)}
        facts = {name: getattr(reason, name) for name in ("round", "subject", "hours", "exit_code")}
        connection.execute(t.run_reasons.insert().values(run=name, sites=json.dumps(reason.sites), **facts))
    connection.execute(t.runs.update().where(t.runs.c.id == name).values(**values))


def reason_of(entry: Row) -> Reason | None:
    """Why a run ended, from its row; None when it has a result or goes on."""
    if not entry["code"]:
        return None
    return Reason(
        entry["code"],
        tuple(json.loads(entry["sites"] or "[]")) or tuple(filter(None, [entry["site"]])),
        entry["analysis"],
        entry["round"] or 0,
        entry["subject"] or "",
        entry["hours"] or 0.0,
        entry["exit_code"] or 0,
        entry["sentence"],
    )


_OPEN_ROUND, _ADD_SHARES = t.rounds.insert(), t.shares.insert()
_CLOSE_ROUND = (
    t.rounds.update()
    .where(t.rounds.c.run == sa.bindparam("of_run"), t.rounds.c.number == sa.bindparam("of_round"))
    .values(answer=sa.bindparam("answer"), answered=sa.bindparam("answered"))
)
_DROP_PAYLOADS = (
    t.shares.update()
    .where(
        t.shares.c.run == sa.bindparam("of_run"),
        t.shares.c.round == sa.bindparam("of_round"),
        t.shares.c.payload.is_not(None),
    )
    .values(payload=None)
)


def open_round(
    connection: Connection, run: str, number: int, attempt: int, question: bytes, question_hash: str
) -> None:
    """A question is asked."""
    values = {"run": run, "number": number, "attempt": attempt, "question": question, "question_hash": question_hash}
    connection.execute(_OPEN_ROUND, [{**values, "asked": time.time()}])


def close_round(connection: Connection, run: str, number: int, answer: bytes, *, stored: bool) -> None:
    """A question is answered. Its shares' payloads, if any were stored, are no longer needed; their hashes stay."""
    where = {"of_run": run, "of_round": number}
    connection.execute(_CLOSE_ROUND, {**where, "answer": answer, "answered": time.time()})
    if stored:
        connection.execute(_DROP_PAYLOADS, where)


def open_question(connection: Connection, run: str) -> Row | None:
    """A run's round that has no answer yet: its number, when it was asked, and the sites that have answered it."""
    columns = (t.rounds.c.number, t.rounds.c.asked)
    found = row(connection, sa.select(*columns).where(t.rounds.c.run == run, t.rounds.c.answer.is_(None)))
    if found is None:
        return None
    answered = sa.select(t.shares.c.site).where(t.shares.c.run == run, t.shares.c.round == found["number"])
    return {**found, "answered": frozenset(connection.execute(answered).scalars())}


def rounds_of(connection: Connection, run: str) -> list[Row]:
    """A run's rounds in their order."""
    return rows(connection, sa.select(t.rounds).where(t.rounds.c.run == run).order_by(t.rounds.c.number))


def add_shares(connection: Connection, entries: Sequence[dict[str, Any]]) -> None:
    """Shares that are counted; a second one for the same place violates a constraint and counts nothing."""
    connection.execute(_ADD_SHARES, list(entries))


def shares_of(connection: Connection, run: str, number: int | None = None) -> list[Row]:
    """Shares of a run, or of one of its rounds, in the order they came; without payloads unless a round is named."""
    columns = [column for column in t.shares.c if number is not None or column.name != "payload"]
    query = sa.select(*columns).where(t.shares.c.run == run).order_by(t.shares.c.id)
    return rows(connection, query if number is None else query.where(t.shares.c.round == number))


def add_report(connection: Connection, site: str, run: str, code: str, what: str) -> None:
    """Something that the operator should look at."""
    connection.execute(t.reports.insert().values(received=time.time(), site=site, run=run, code=code, what=what))


def reports(connection: Connection) -> list[Row]:
    """All reports, newest first."""
    return rows(connection, sa.select(t.reports).order_by(t.reports.c.id.desc()))
