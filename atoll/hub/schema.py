"""The hub's tables, by version. Times are seconds since 1970 and are for people; nothing is ordered by them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1
metadata = MetaData()
_number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only columns that are INTEGER PRIMARY KEY

schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

facts = Table("facts", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

sites = Table(
    "sites",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("fingerprint", String(128), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("version", String(64), nullable=False),
    Column("joined", Float, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("used", Float),
)

investigators = Table(
    "investigators",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("fingerprint", String(128)),
    Column("created", Float, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("number", _number, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("investigator", String(128), nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("submitted", Float, nullable=False),
)

study_sites = Table(
    "study_sites",
    metadata,
    Column("study", String(64), ForeignKey("studies.hash"), primary_key=True),
    Column("site", String(64), ForeignKey("sites.name"), primary_key=True),
    Column("action", String(16)),  # the newest decision; none yet when null
    Column("decision", BigInteger, key="decision_number"),  # in the site's ledger; on disk by its first name
    Column("decided", Float),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _number, primary_key=True, autoincrement=True),
    Column("study", String(64), ForeignKey("studies.hash"), nullable=False),
    Column("site", String(64), ForeignKey("sites.name"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("ledger_head", String(128), nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # the signed bytes, as evidence
    Column("received", Float, nullable=False),
    UniqueConstraint("study", "site", "number"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(96), primary_key=True),
    Column("study", String(64), ForeignKey("studies.hash"), nullable=False, index=True),
    Column("analysis", String(128), nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, running, finished, failed, stopped
    Column("code", String(64), nullable=False, default=""),
    Column("site", String(64), nullable=False, default=""),
    Column("sentence", Text, nullable=False, default=""),
    Column("started", Float),
    Column("ended", Float),
    Column("result", Text),
)

run_reasons = Table(  # why a run ended without a result: the facts of `sentences.Reason`
    "run_reasons",
    metadata,
    Column("run", String(96), ForeignKey("runs.id"), primary_key=True),
    Column("sites", Text, nullable=False),  # a JSON list
    Column("round", Integer, nullable=False),  # from 1, as people are told; 0 where there was none
    Column("subject", Text, nullable=False),
    Column("hours", Float, nullable=False),
    Column("exit_code", Integer, nullable=False),
)

rounds = Table(
    "rounds",
    metadata,
    Column("run", String(96), ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 0
    Column("attempt", Integer, nullable=False),
    Column("question", LargeBinary, nullable=False),
    Column("question_hash", String(64), nullable=False),
    Column("asked", Float, nullable=False),
    Column("answer", LargeBinary),  # the combined shares; none while the round is open
    Column("answered", Float),
)

shares = Table(
    "shares",
    metadata,
    Column("id", _number, primary_key=True, autoincrement=True),
    Column("run", String(96), ForeignKey("runs.id"), nullable=False),
    Column("round", Integer, nullable=False),  # from 0, as in `rounds` and in a question's place
    Column("site", String(64), ForeignKey("sites.name"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("share_hash", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("elapsed", BigInteger, nullable=False),
    Column("ledger_number", BigInteger, nullable=False),
    Column("ledger_head", String(128), nullable=False),
    Column("received", Float, nullable=False),
    Column("payload", LargeBinary),  # kept only while its round is open
    UniqueConstraint("run", "round", "site", "attempt"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", _number, primary_key=True, autoincrement=True),
    Column("received", Float, nullable=False),
    Column("site", String(64), nullable=False),
    Column("run", String(96), nullable=False),
    Column("code", String(64), nullable=False),
    Column("what", Text, nullable=False),
)
