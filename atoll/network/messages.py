"""What hub and sites say to each other, and nothing else: records, and the signed envelope around them.

Every message about a round names its whole place (study hash, run, analysis, round, attempt, question
hash, participants), so that a share can be masked for exactly this round, and a question checked
against exactly this study, without another message.

A signature covers the exact bytes of the body, never what was decoded from them, and a context that
names the kind of message: a signed share cannot be shown as a decision.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import Literal, TypeVar

import msgspec

from atoll.errors import NotPermitted
from atoll.governance import signatures

CLOCK_SKEW = 300  # seconds that two clocks may differ
NONCE = 16  # bytes
Action = Literal["approve", "refuse", "pause", "stop"]
Outcome = Literal["share", "refused"]
M = TypeVar("M", bound="Message")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: a field that is not listed is refused."""


class Place(Message, frozen=True):
    """Where a message belongs. Rounds count from 0; `participants` are the sites of the round, sorted."""

    study: str
    run: str
    analysis: str
    round: int
    attempt: int
    question_hash: str
    participants: tuple[str, ...]


class Task(Message, frozen=True):
    """One question for one site, leased: only the holder of the newest lease is heard."""

    place: Place
    lease: int
    question: bytes


class Share(Message, frozen=True):
    """A site's answer to a question: the encoded statistics, or the code of a refusal. Stored before it is sent.

    form      how the payload is written; `plain` until sums are masked
    ledger    number and hash of the ledger entry that was written before this share left
    elapsed   milliseconds from the question's arrival until the share was recorded
    """

    place: Place
    outcome: Outcome
    payload: bytes
    code: str
    subject: str
    form: Literal["plain"]
    ledger_number: int
    ledger_head: str
    elapsed: int


class Handover(Message, frozen=True):
    """A stored share as it goes out: the exact bytes of the outbox, under the lease that is held now."""

    lease: int
    share: bytes


class Receipt(Message, frozen=True):
    """The hub's answer to a share. `state` is `counted` once and for ever, or why it was not needed.

    counted   this share is part of the round (the same bytes again get the same receipt)
    ended     the run ended or was stopped before this share came; it was not counted
    fenced    a newer lease was given for this question; it was not counted, ask again
    conflict  other bytes were counted for this round; this share was refused and reported
    """

    place: Place
    share_hash: str
    state: Literal["counted", "ended", "fenced", "conflict"]


class Failure(Message, frozen=True):
    """A site cannot answer now and goes on trying: nothing was computed, nothing was recorded."""

    place: Place
    lease: int
    code: str


class Renewal(Message, frozen=True):
    """The site still works on these leases."""

    leases: tuple[int, ...]


class Renewed(Message, frozen=True):
    """Leases among those renewed that are no longer wanted: stop working on them."""

    lost: tuple[int, ...]


class Poll(Message, frozen=True):
    """A site asks for work, and hands over shares on the same way: a quick round costs one request.

    The hub answers at once when there is news, else after `wait` seconds.

    instance   rises with every start of the site: a restarted site gets its open questions again at once
    after      number of the newest study that the site has stored
    holding    leases that the site is working on or whose share is on another way to the hub
    shares     recorded shares without a receipt
    """

    instance: int
    after: int
    holding: tuple[int, ...]
    shares: tuple[Handover, ...]
    wait: float


class Proposal(Message, frozen=True):
    """A signed study in which this site is named. `number` rises; the site asks for those after its newest."""

    number: int
    study: bytes


class PollAnswer(Message, frozen=True, omit_defaults=True):
    """Receipts for the poll's shares in their order, questions to answer, studies to decide about, leases to drop.

    now         the hub's time in seconds since 1970
    withdrawn   hashes of studies that their investigator stopped before this site decided
    """

    receipts: tuple[Receipt, ...]
    tasks: tuple[Task, ...]
    proposals: tuple[Proposal, ...]
    stopped: tuple[int, ...]
    now: float
    withdrawn: tuple[str, ...] = ()


class Join(Message, frozen=True):
    """A site presents its one-time code and its public key (raw Ed25519), signed with that key."""

    secret: bytes
    public_key: bytes
    version: str


class Joined(Message, frozen=True):
    """The hub's welcome: the site's name, and the hub's public key, which the site pins."""

    site: str
    hub: str
    hub_key: bytes


class Decision(Message, frozen=True):
    """The steward's decision about a study. `number` is its ledger entry: an older decision never replaces a newer."""

    study: str
    action: Action
    number: int
    ledger_head: str


class Recorded(Message, frozen=True):
    """The hub has stored a decision."""

    study: str
    number: int


class Refusal(Message, frozen=True):
    """The hub refuses a request: a code, the sentence, what to do, and the hub's time."""

    code: str
    what: str
    remedy: str
    now: float


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A body with who wrote it, when, and for which request (`reply` repeats the nonce of the question)."""

    body: bytes
    key: str
    when: float
    nonce: bytes
    reply: bytes
    signature: bytes


_encoder = msgspec.msgpack.Encoder()
_context_of = {
    kind: re.sub(r"(?<!^)([A-Z])", r"-\1", kind.__name__).lower() for kind in Message.__subclasses__()
}  # PollAnswer: poll-answer


def digest(data: bytes) -> str:
    """SHA-256 as 64 hex digits: how questions, shares and policies are named."""
    return hashlib.sha256(data).hexdigest()


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def decode(data: bytes, kind: type[M]) -> M:
    """The message in these bytes.

    Raises
    ------
    NotPermitted
        When they are no such message: cut short, of another type, or with a field that is not listed.
    """
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise NotPermitted(
            f"A message cannot be read as {kind.__name__}.",
            "Hub and site may run different versions of Atoll; update the older one.",
            code="MESSAGE_UNREADABLE",
        ) from error


def seal(
    message: Message,
    key: signatures.PrivateKey,
    fingerprint: str,
    *,
    reply: bytes = b"",
    now: float | None = None,
) -> tuple[bytes, bytes]:
    """A signed envelope as bytes, and its nonce."""
    body, when, nonce = encode(message), time.time() if now is None else now, secrets.token_bytes(NONCE)
    signed = _signed(body, fingerprint, when, nonce, reply)
    signature = signatures.sign(key, _context(type(message)), signed)
    return _encoder.encode(Envelope(body, fingerprint, when, nonce, reply, signature)), nonce


def unwrap(data: bytes) -> Envelope:
    """The envelope in these bytes; nothing in it is trusted before `verify`."""
    try:
        return msgspec.msgpack.decode(data, type=Envelope)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise NotPermitted(
            "The other side's answer is no signed message.", "Check the address.", code="MESSAGE_UNREADABLE"
        ) from error


def verify(envelope: Envelope, kind: type[M], public: bytes, *, reply: bytes = b"") -> M:
    """The message, after its signature was found to be the key's, for this kind and this request.

    Raises
    ------
    NotPermitted
        When the signature is wrong or the message answers another request.
    """
    signed = _signed(envelope.body, envelope.key, envelope.when, envelope.nonce, envelope.reply)
    signatures.verify(public, _context(kind), signed, envelope.signature)
    if envelope.reply != reply:
        raise NotPermitted("A signed message answers another request.", "It was ignored.", code="NOT_PERMITTED")
    return decode(envelope.body, kind)


def _context(kind: type[Message]) -> str:
    return _context_of[kind]


def _signed(body: bytes, key: str, when: float, nonce: bytes, reply: bytes) -> bytes:
    return _encoder.encode((key, when, nonce, reply, body))
