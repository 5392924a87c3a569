"""Bytes that decode to exactly one record, and hostile bytes that decode to none."""

from __future__ import annotations

import contextlib
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atoll.algorithms.core import Question
from atoll.errors import NotPermitted
from atoll.network.codec import decode, decode_question, encode, encode_question, plain
from atoll.network.messages import digest
from atoll.privacy.statistics import (
    Array,
    Statistics,
    count,
    each,
    kinds_of,
    points,
    table,
    tally,
    total,
    weights,
    witness,
)
from atoll.study.view import View


class Every(Statistics):
    n: int = count()
    cells: Array = table()
    sum: Array = total(per="n")
    scalar: float = total(per="n")
    own: Array = each(per="n")
    words: dict[str, int] = tally()
    values: Array = points()
    behind: dict[str, Array] = witness()
    weights: dict[str, Array] = weights()


def every(**changed):
    usual = {
        "n": 10,
        "cells": np.array([1, 2]),
        "sum": np.array([[1.5, -0.0]]),
        "scalar": -0.0,
        "own": np.array(2.5),
        "words": {"b=2": 3, "a=1": 4},
        "values": np.array([1.0, 2.0]),
        "behind": {},
        "weights": {},
    }
    return Every(**(usual | changed))


def packed(**changed):
    """Bytes of a share, with fields replaced by raw values."""
    document = msgspec.msgpack.decode(encode(every())) | changed
    return msgspec.msgpack.encode({name: document[name] for name in sorted(document)})


def array(dtype, shape, data):
    return msgspec.msgpack.Ext(1, msgspec.msgpack.encode([dtype, shape, data]))


ARRAYS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.dtype(">f8"), np.int8]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    elements={"allow_subnormal": True},
)


@given(ARRAYS, st.integers(0, 2**62), st.floats(), st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1)))
def test_the_round_trip_is_the_identity_bit_for_bit(sums, n, scalar, words):
    share = every(sum=sums, n=n, scalar=scalar, words=words)
    data = encode(share)
    again = decode(data, Every)
    assert encode(again) == data
    assert again.sum.shape == sums.shape
    assert again.sum.tobytes() == np.ascontiguousarray(sums, again.sum.dtype).tobytes()
    assert (again.n, again.words) == (n, words)


def test_minus_zero_and_nan_keep_their_bits():
    again = decode(encode(every(sum=np.array([-0.0, np.nan]))), Every)
    assert np.signbit(again.sum[0])
    assert np.isnan(again.sum[1])
    assert np.signbit(again.scalar)


def test_slices_transposes_and_zero_dimensional_arrays_travel():
    for sums in (np.arange(24.0).reshape(4, 6)[::2, ::-3].T, np.asfortranarray(np.eye(3)), np.array(7.0)):
        np.testing.assert_array_equal(decode(encode(every(sum=sums)), Every).sum, sums)


@pytest.mark.parametrize(
    "value",
    [np.array([1j]), np.array(["x"]), np.array([None]), np.array([2**63], np.uint64), {1, 2}.__iter__, object()],
)
def test_what_is_no_number_cannot_travel(value):
    with pytest.raises((NotImplementedError, TypeError)):
        encode(every(sum=value))


@pytest.mark.parametrize("field", kinds_of(Every))
@pytest.mark.parametrize("value", [None, "x", [1, 2], True, b"x", {"a": "b"}, {1: 2}, {"a": True}, {"a": 1.5}])
def test_a_field_of_another_kind_is_refused(field, value):
    with pytest.raises(NotPermitted, match=r"It was refused; nothing was counted\."):
        decode(packed(**{field: value}), Every)


@pytest.mark.parametrize(
    "raw",
    [
        array("<f8", [2], b"\0" * 8),
        array("<f8", [1], b"\0" * 9),
        array("<f8", [-1], b"\0" * 8),
        array("<f8", [-1, -1], b"\0" * 8),
        array("<f8", [2**62, 2**62], b""),
        array("<f8", [2**63], b""),
        array("<f8", [0, 2**40], b""),
        array("<f8", [1] * 64, b"\0" * 8),
        array("<f4", [1], b"\0" * 4),
        array(">f8", [1], b"\0" * 8),
        array("|O", [1], b"\0" * 8),
        array("<M8[D]", [1], b"\0" * 8),
        array(5, [1], b"\0" * 8),
        array("<f8", "1", b"\0" * 8),
        array("<f8", [1.0], b"\0" * 8),
        msgspec.msgpack.Ext(1, b"\xc1"),
        msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["<f8", [1], b"\0" * 8, "more"])),
        msgspec.msgpack.Ext(2, b"pickle"),
        msgspec.msgpack.Ext(-1, b"\0" * 4),
    ],
)
def test_an_array_that_is_none_is_refused(raw):
    with pytest.raises(NotPermitted):
        decode(packed(sum=raw), Every)


def test_every_truncation_and_every_longer_message_is_refused():
    data = encode(every())
    for length in range(len(data)):
        with pytest.raises(NotPermitted):
            decode(data[:length], Every)
    with pytest.raises(NotPermitted):
        decode(data + b"\0", Every)


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_noise_is_refused(noise):
    with pytest.raises(NotPermitted):
        decode(noise, Every)


@given(st.data())
@settings(max_examples=300)
def test_a_flipped_bit_is_refused_or_gives_a_record_with_those_very_bytes(data):
    message = bytearray(encode(every()))
    place = data.draw(st.integers(0, len(message) * 8 - 1))
    message[place // 8] ^= 1 << place % 8
    with contextlib.suppress(NotPermitted):
        assert encode(decode(bytes(message), Every)) == message


def test_a_key_that_stands_twice_is_refused():
    data = encode(every())
    assert data[0] == 0x80 + len(kinds_of(Every))
    twice = bytes([data[0] + 1]) + data[1:] + msgspec.msgpack.encode("n") + msgspec.msgpack.encode(11)
    with pytest.raises(NotPermitted, match=r"bytes that are not in their one form"):
        decode(twice, Every)


def test_fields_in_another_order_or_numbers_written_long_are_refused():
    document = msgspec.msgpack.decode(encode(every()))
    backwards = msgspec.msgpack.encode(dict(reversed(document.items())))
    with pytest.raises(NotPermitted, match=r"not in their one form"):
        decode(backwards, Every)
    long = encode(every()).replace(msgspec.msgpack.encode("n") + b"\x0a", msgspec.msgpack.encode("n") + b"\xcc\x0a")
    with pytest.raises(NotPermitted, match=r"not in their one form"):
        decode(long, Every)


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_or_a_further_field_is_refused(missing):
    document = msgspec.msgpack.decode(encode(every()))
    document.pop("n") if missing else document.update(rows=[1, 2])
    with pytest.raises(NotPermitted, match=r"A message holds other fields than Every has\."):
        decode(msgspec.msgpack.encode(document), Every)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"])
def test_a_depth_bomb_and_a_length_bomb_are_refused_without_memory(opening):
    tracemalloc.start()
    with pytest.raises(NotPermitted):
        decode(opening * 100_000, Every)
    with pytest.raises(NotPermitted):
        decode_question(opening * 100_000)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_many_keys_are_refused():
    with pytest.raises(NotPermitted):
        decode(msgspec.msgpack.encode({str(i): i for i in range(100_000)}), Every)


def test_witnesses_cannot_come_in():
    with pytest.raises(NotPermitted, match="a witness that is none"):
        decode(encode(every(behind={"sex": np.array([3])})), Every)


def test_a_question_survives_the_wire_and_its_hash_names_it():
    view = View(columns=("age", "性别"), outcome="y", levels={"性别": ("男", "女")})
    question = Question("glm.terms", {"beta": np.array([0.5]), "family": "binomial", "none": None, "k": 3}, view)
    data = encode_question(question)
    again = decode_question(data)
    assert again.view == view
    assert encode_question(again) == data
    assert digest(data) == digest(encode_question(again))


@pytest.mark.parametrize(
    "document",
    [None, 3, [], {}, {"name": "x"}, {"name": "x", "arguments": 3, "view": None},
     {"name": "x", "arguments": {}, "view": {"columns": 3}}, {"name": "x", "arguments": {}, "view": 7},
     {"name": "x", "arguments": {}, "view": {"design": {"terms": [], "columns": [[{"number": ["eval", "x"]}]]}}}],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(document):
    with pytest.raises(NotPermitted):
        decode_question(msgspec.msgpack.encode(document))


def test_results_become_plain_json():
    document = {"a": np.array([1.0, np.nan]), "b": (np.int64(3), np.inf), "c": {"d": np.bool_(True)}}
    assert plain(document) == {"a": [1.0, None], "b": [3, None], "c": {"d": True}}
