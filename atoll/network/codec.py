"""Statistics and questions as bytes, and back. Nothing else can be decoded here.

A share is decoded as the record that its question's site function returns, field by field: no type
name travels, no object is built that the receiver did not expect. Arrays travel as dtype, shape and
raw little-endian bytes. The same value always gives the same bytes, so hashes can be compared.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
import numpy as np

from atoll.algorithms.core import Question
from atoll.errors import NotPermitted
from atoll.privacy.statistics import S, Statistics, kinds_of
from atoll.study.view import View

_ARRAY = 1  # msgpack extension code
_DTYPES = {"<f8", "<i8", "|b1"}
_LARGEST = 256 * 1_048_576
_AXES = 4


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def _pack(value: Any) -> Any:
    """msgspec's hook for what it does not know: NumPy's numbers and arrays."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value, dtype=_storage(value.dtype.kind))
        return msgspec.msgpack.Ext(
            _ARRAY, msgspec.msgpack.encode(_Packed(array.dtype.str, value.shape, array.tobytes()))
        )
    raise NotImplementedError(f"a {type(value).__name__} cannot travel")


def _storage(kind: str) -> str:
    if kind not in "fib":  # an unsigned number may not fit into a signed one
        raise NotImplementedError("only arrays of numbers can travel")
    return {"f": "<f8", "b": "|b1", "i": "<i8"}[kind]


def _unpack(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        _malformed("an unknown extension")
    packed = msgspec.msgpack.decode(data, type=_Packed)
    if packed.dtype not in _DTYPES or len(packed.shape) > _AXES:
        _malformed("an array of an unknown type")
    if any(not 0 <= size <= _LARGEST for size in packed.shape):
        _malformed("an array of an impossible shape")
    dtype = np.dtype(packed.dtype)
    size = dtype.itemsize
    for length in packed.shape:  # Python integers: no overflow
        size *= length
    if size != len(packed.data):
        _malformed("an array whose shape does not fit its bytes")
    return np.frombuffer(packed.data, dtype=dtype).reshape(packed.shape)


def _malformed(what: str) -> NoReturn:
    raise NotPermitted(f"A message holds {what}.", "It was refused; nothing was counted.", code="NOT_PERMITTED")


_encoder = msgspec.msgpack.Encoder(enc_hook=_pack, order="deterministic")
_decoder = msgspec.msgpack.Decoder(ext_hook=_unpack)


def _decode(data: bytes) -> Any:
    if len(data) > _LARGEST:
        _malformed("more bytes than a share may have")
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):  # TypeError: a key that is a list
        _malformed("bytes that cannot be read")


def encode(share: Statistics) -> bytes:
    """A share as bytes: a map from field to value."""
    return _encoder.encode({name: getattr(share, name) for name in kinds_of(type(share))})


def decode(data: bytes, cls: type[S]) -> S:
    """The share that `encode` wrote, as a record of `cls`.

    Raises
    ------
    NotPermitted
        When fields are missing or unknown, a value is not of the field's kind, or `encode` writes other bytes.
    """
    values = _decode(data)
    kinds = kinds_of(cls)
    if not isinstance(values, dict) or set(values) != set(kinds):
        _malformed(f"other fields than {cls.__name__} has")
    share = cls(**{name: _typed(values[name], kind.name, kind.apart) for name, kind in kinds.items()})
    if encode(share) != data:  # a key that stands twice, a number written long
        _malformed("bytes that are not in their one form")
    return share


def _typed(value: Any, kind: str, apart: bool) -> Any:
    if kind in ("witness", "weights"):
        fits = value == {}
    elif kind == "tally":
        fits = isinstance(value, dict) and all(type(n) is int and isinstance(word, str) for word, n in value.items())
    elif kind == "count" and not (apart and isinstance(value, np.ndarray)):
        fits = type(value) is int
    elif isinstance(value, np.ndarray):
        fits = value.dtype.kind in ("i" if kind in ("count", "table") else "if") and (
            value.ndim == 1 or kind not in ("count", "points")
        )
    else:
        fits = kind in ("total", "each") and type(value) in (int, float)
    return value if fits else _malformed(f"a {kind} that is none")


def plain(value: Any) -> Any:
    """Arrays as lists and NumPy numbers as Python's, for JSON."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def encode_question(question: Question) -> bytes:
    """A question as bytes: the site function's name, its arguments, and the view of the data."""
    view = question.view.to_document() if question.view else None
    return _encoder.encode({"name": question.name, "arguments": question.arguments, "view": view})


def decode_question(data: bytes) -> Question:
    """The question that `encode_question` wrote."""
    document = _decode(data)
    try:
        view = View.from_document(document["view"]) if document["view"] is not None else None
        return Question(str(document["name"]), {str(k): v for k, v in document["arguments"].items()}, view)
    except (KeyError, TypeError, ValueError, AttributeError):
        _malformed("a question that cannot be read")
