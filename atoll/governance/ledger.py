"""What a hospital did and what left it, as a chain of entries that cannot be changed without being seen.

Entry k holds the hash of entry k − 1 and its own hash over all its fields:

    hash_k = SHA-256( "atoll ledger 1" ‖ 0 ‖ RFC 8785( every field of entry k, with previous = hash_{k−1} ) )

An entry holds words of a list, names and hashes, numbers; no values and no free text. These functions do no
I/O: the site's store writes an entry in the transaction of what it tells of, before anything leaves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import rfc8785

from atoll.errors import CATALOGUE

Kind = Literal["study", "dataset", "policy", "key", "task", "share"]
Course = Literal["proposed", "approved", "refused", "paused", "resumed", "stopped", "withdrawn", "expired"]
Decision = Literal[Course, "registered", "changed", "removed", "left"]
START = "0" * 64  # the `previous` of the first entry

_WORDS = {"kind": get_args(Kind), "decision": get_args(Decision), "rule": ("", *CATALOGUE)}
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[\w.:-]{1,128}")
_WHEN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
_PATTERNS = {"when": _WHEN, "run": _NAME, "analysis": _NAME, "subject": _NAME}


@dataclass(frozen=True)
class Entry:
    """One act. Hashes are hex SHA-256, or empty where there is none.

    when            UTC, as 2026-11-24T21:31:00Z: for people; the order is that of `number`
    kind, decision  what was decided about what
    study, question, share, policy    hashes of the study, the question, the bytes that left, the policy in force
    run, analysis, subject            identifiers; `subject` names the dataset, key or role that acted
    rule            code of `errors.CATALOGUE` when refused
    bytes           size of what left
    """

    number: int
    when: str
    kind: Kind
    decision: Decision
    previous: str
    study: str = ""
    run: str = ""
    analysis: str = ""
    subject: str = ""
    round: int = 0
    attempt: int = 0
    question: str = ""
    rule: str = ""
    share: str = ""
    bytes: int = 0
    policy: str = ""
    hash: str = ""


def seal(previous: Entry | None, **facts: Any) -> Entry:
    """The entry after `previous` (None for the first), numbered and hashed.

    Raises
    ------
    ValueError
        When a fact is not a listed word, name, hash or number: a fault of Atoll, never shown with its value.
    """
    number, before = (previous.number + 1, previous.hash) if previous else (1, START)
    open_ = Entry(number=number, previous=before, **facts)
    if wrong := _inadmissible(open_):
        raise ValueError(f"a ledger entry cannot hold what was given for {', '.join(wrong)}")
    return replace(open_, hash=digest(open_))


def admits(**facts: Any) -> bool:
    """Whether an entry could hold these facts: what a hub sends is looked at before it is worked on."""
    return all(_admits(name, value) for name, value in facts.items())


def digest(entry: Entry) -> str:
    """SHA-256 over every field but `hash` itself."""
    body = {name: value for name, value in vars(entry).items() if name != "hash"}
    return hashlib.sha256(b"atoll ledger 1\0" + rfc8785.dumps(body)).hexdigest()


def verify(entries: Iterable[Entry], head: str | None = None) -> int | None:
    """None when the chain is whole, else the index of the first entry that is not as it was sealed.

    `head` is the hash that the last entry must have, as a witness keeps it: without it, entries cut off at
    the end cannot be missed. A chain that is too short is bad at the index after its last entry.
    """
    before, count = START, 0
    for index, entry in enumerate(entries):
        if entry.number != index + 1 or entry.previous != before or _inadmissible(entry) or entry.hash != digest(entry):
            return index
        before, count = entry.hash, index + 1
    return count if head is not None and head != before else None


def _inadmissible(entry: Entry) -> list[str]:
    return [f.name for f in fields(entry) if f.name != "hash" and not _admits(f.name, getattr(entry, f.name))]


def _admits(name: str, value: Any) -> bool:
    if name in ("number", "round", "attempt", "bytes"):
        return type(value) is int and 0 <= value < 2**53
    if name in _WORDS:
        return value in _WORDS[name]
    pattern = _PATTERNS.get(name, _HASH)
    return isinstance(value, str) and bool(pattern.fullmatch(value) or (value == "" and name != "when"))
