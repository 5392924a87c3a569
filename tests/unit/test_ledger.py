"""The ledger's chain: every edit is seen, and nothing but words of a list can stand in it."""

import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.governance.ledger import START, Entry, seal, verify

WHEN = "2026-11-24T21:31:00Z"


def chain(length):
    entries = []
    for i in range(length):
        entries.append(
            seal(
                entries[-1] if entries else None,
                when=WHEN,
                kind="share",
                decision="left",
                study="ab" * 32,
                run=f"run-{i // 3}",
                analysis="risk",
                round=i + 1,
                question="cd" * 32,
                share=f"{i:064x}",
                bytes=100 + i,
            )
        )
    return entries


CHAIN = chain(12)
OTHER_VALUE = {
    "when": "2026-11-24T21:32:00Z",
    "kind": "task",
    "decision": "refused",
    "rule": "TOO_FEW_PERSONS",
    "run": "run-x",
    "analysis": "other",
    "subject": "checkup",
}


def test_a_chain_begins_with_nothing_before_it_and_is_numbered():
    assert CHAIN[0].previous == START
    assert [entry.number for entry in CHAIN] == list(range(1, 13))
    assert all(later.previous == earlier.hash for earlier, later in itertools.pairwise(CHAIN))
    assert verify(CHAIN) is None
    assert verify(CHAIN, head=CHAIN[-1].hash) is None
    assert verify([]) is None
    assert verify([], head=START) is None


@st.composite
def edited(draw):
    """An edited chain, and the index of the first entry that differs."""
    entries, at = list(CHAIN), draw(st.integers(0, len(CHAIN) - 1))
    match draw(st.sampled_from(["change", "delete", "insert", "reorder", "truncate"])):
        case "change":
            name = draw(st.sampled_from([f.name for f in fields(Entry)]))
            value = getattr(entries[at], name)
            changed = value + draw(st.integers(1, 9)) if isinstance(value, int) else OTHER_VALUE.get(name, "ef" * 32)
            entries[at] = replace(entries[at], **{name: changed})
        case "delete":
            del entries[at]
        case "insert":
            before = entries[at - 1] if at else None
            entries.insert(at, seal(before, when=WHEN, kind="study", decision="approved", study="ab" * 32))
            at += 1  # the inserted entry follows its predecessor; the next one gives it away
        case "reorder":
            other = draw(st.integers(0, len(CHAIN) - 1).filter(lambda i: i != at))
            entries[at], entries[other] = entries[other], entries[at]
            at = min(at, other)
        case "truncate":
            del entries[at:]
    return entries, at


@settings(max_examples=500)
@given(edited())
def test_every_edit_is_seen_at_the_first_entry_that_differs(edit):
    entries, at = edit
    assert verify(entries, head=CHAIN[-1].hash) == at


@pytest.mark.parametrize("name", [f.name for f in fields(Entry)])
def test_the_hash_covers_every_field(name):
    value = getattr(CHAIN[5], name)
    changed = value + 1 if isinstance(value, int) else OTHER_VALUE.get(name, "ef" * 32)
    assert verify([*CHAIN[:5], replace(CHAIN[5], **{name: changed}), *CHAIN[6:]]) == 5


def test_a_chain_that_was_written_anew_ends_in_another_head():
    anew = chain(11)
    anew.append(seal(anew[-1], when=WHEN, kind="study", decision="stopped", study="ab" * 32))
    assert verify(anew) is None
    assert verify(anew, head=CHAIN[-1].hash) == 12


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Mr Li, bed 12"),
        ("run", "a/b"),
        ("run", "a\n"),
        ("analysis", "x" * 129),
        ("study", "not a hash"),
        ("study", "AB" * 32),
        ("share", b"bytes"),
        ("rule", "the value was 7"),
        ("round", 1.5),
        ("round", True),
        ("bytes", -1),
        ("when", "yesterday"),
        ("when", WHEN + "\n"),
    ],
)
def test_free_text_and_values_cannot_stand_in_an_entry(name, value):
    with pytest.raises(ValueError, match=f"cannot hold what was given for {name}$") as caught:
        seal(None, **({"when": WHEN, "kind": "share", "decision": "left"} | {name: value}))
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize("name", ["kind", "decision"])
def test_acts_are_words_of_a_list(name):
    with pytest.raises(ValueError, match=name):
        seal(None, **({"when": WHEN, "kind": "share", "decision": "left"} | {name: "whatever"}))
