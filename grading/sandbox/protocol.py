"""Frames between the marker and a worker: a JSON header, then the bytes of its arrays.

    4 bytes: length of the header · 4 bytes: length of the body · header (JSON) · body

Neither side ever unpickles anything. What arrives is untrusted: lengths, depth, data types and
shapes are bounded before anything is made of them. This module is all that both sides share, so it
imports nothing but NumPy.
"""

import json
import struct
import sys
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

PREFIX = struct.Struct("<II")
MAX_HEADER = 1 << 20
MAX_BODY = 1 << 26
MAX_ANSWER = 1 << 23  # of a worker, to a question that is no notebook's
MAX_DEPTH = 12
MAX_NDIM = 8
DTYPES = frozenset(
    ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]
)
SCALAR_TYPES = ("float16", "float32", "float64", "int32", "int64")

Hook = Callable[[Any], Any]


class ProtocolError(Exception):
    """A frame that is not what the protocol allows."""


def refuse(value: Any) -> Any:
    """Refuse to send what is neither plain data nor an array."""
    raise ProtocolError(f"a {type(value).__name__} cannot be sent")


def pack(message: Any, other: Hook = refuse, limit: int = MAX_BODY) -> bytes:
    """Return the frame of `message`; `other` turns what is no plain data into something that is.

    Raises ProtocolError if it holds something else, or more bytes than `limit`.
    """
    body = bytearray()
    header = json.dumps(_encode(message, other, body, 0)).encode()
    if len(header) > MAX_HEADER or len(body) > limit:
        raise ProtocolError(f"the answer is too large: {len(header) + len(body):,} bytes")
    return PREFIX.pack(len(header), len(body)) + header + body


def lengths(prefix: bytes, limit: int = MAX_BODY) -> tuple[int, int]:
    """Return the lengths of header and body. Raises ProtocolError if they are beyond the bounds."""
    header, body = PREFIX.unpack(prefix)
    if header > MAX_HEADER or body > limit:
        raise ProtocolError(f"a frame of {header + body:,} bytes")
    return header, body


def unpack(header: bytes, body: bytes, other: Hook = refuse) -> Any:
    """Return the message of a frame; `other` makes something of what `pack`'s hook gave.

    Raises ProtocolError for everything that is not a frame.
    """
    try:
        return _decode(json.loads(header.decode()), _Body(body), other, 0)
    except ProtocolError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"a frame that cannot be read ({type(error).__name__})") from None


class _Body:
    """The bytes of a frame, each to be taken once: no thousand arrays are made of a few bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.taken = content, 0

    def take(self, start: int, length: int) -> bytes:
        """Return the next bytes."""
        if not (type(start) is type(length) is int and start == self.taken and length >= 0):
            raise ProtocolError("bytes out of order")
        self.taken += length
        if self.taken > len(self.content):
            raise ProtocolError("bytes that are not there")
        return self.content[start : self.taken]


def _encode(value: Any, other: Hook, body: bytearray, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ProtocolError("lists in lists in lists")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_encode(v, other, body, depth + 1) for v in value]
    if type(value) is tuple:
        return {"tuple": [_encode(v, other, body, depth + 1) for v in value]}
    array, kind = _as_array(value)
    if array is not None:
        return {kind: [array.dtype.str, list(array.shape), *_add(body, array.tobytes())]}
    is_network = hasattr(type(value), "forward")  # with its parameters in itself
    if isinstance(value, Mapping) and not is_network and all(isinstance(k, str) for k in value):
        return {"dict": [[str(k), _encode(v, other, body, depth + 1)] for k, v in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": _add(body, bytes(value))}
    if isinstance(value, np.dtype) and value.name in SCALAR_TYPES:
        return {"dtype": value.name}
    if isinstance(value, type) and value.__name__ in SCALAR_TYPES:
        return {"scalar": value.__name__}
    return {"other": _encode(other(value), refuse, body, depth + 1)}


def _add(body: bytearray, content: bytes) -> list[int]:
    body += content
    return [len(body) - len(content), len(content)]


def _as_array(value: Any) -> tuple[np.ndarray | None, str]:
    """Return `value` as a plain array of numbers and its kind, None if it isn't one."""
    kind, torch = "array", sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        kind, value = "tensor", value.detach().cpu().resolve_conj().resolve_neg()
        value = None if value.dtype == torch.bfloat16 else value.numpy()
    if not isinstance(value, (np.ndarray, np.generic)):
        return None, kind
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return (array if array.dtype.str in DTYPES else None), kind


def _decode(value: Any, body: _Body, other: Hook, depth: int) -> Any:
    if depth > 2 * MAX_DEPTH:
        raise ProtocolError("lists in lists in lists")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_decode(v, body, other, depth + 1) for v in value]
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(_decode(v, body, other, depth + 1) for v in content)
    if kind == "dict":
        return {str(key): _decode(v, body, other, depth + 1) for key, v in content}
    if kind == "bytes":
        return body.take(*content)
    if kind in ("dtype", "scalar") and content in SCALAR_TYPES:
        return np.dtype(content) if kind == "dtype" else getattr(np, content)
    if kind in ("array", "tensor"):
        return _decode_array(kind, content, body)
    if kind == "other":
        return other(_decode(content, body, refuse, depth + 1))
    raise ProtocolError("a value of an unknown kind")


def _decode_array(kind: str, content: Any, body: _Body) -> Any:
    dtype, shape, start, length = content
    sizes_fit = all(type(n) is int and 0 <= n <= MAX_BODY for n in shape)
    if dtype not in DTYPES or len(shape) > MAX_NDIM or not sizes_fit:
        raise ProtocolError("an array of a strange type or shape")
    if prod(shape) * np.dtype(dtype).itemsize != length:
        raise ProtocolError("an array whose shape does not fit its bytes")
    content = np.frombuffer(body.take(start, length), dtype="|u1" if dtype == "|b1" else dtype)
    array = (content != 0 if dtype == "|b1" else content.copy()).reshape(shape)
    if kind == "array":
        return array
    import torch

    return torch.from_numpy(array)
