"""Bytes and tables inside JSON messages: in base64, read back with the field's name and never its content in an error."""

import base64
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from chengshu.cleanroom.reading import kind, text, wrong
from chengshu.cleanroom.streams import as_stream, from_stream


def packed(raw: bytes) -> str:
    """Return bytes as a text."""
    return base64.b64encode(raw).decode()


def unpacked(value: object, path: str) -> bytes:
    """Return the bytes of a text; raise Invalid for another value."""
    try:
        return base64.b64decode(text(value, path, expected="base64"), validate=True)
    except ValueError as error:
        raise wrong(path, expected="base64", got="another text") from error


def packed_all(raw: Mapping[str, bytes]) -> dict[str, str]:
    """Return bytes by name as texts by name."""
    return {name: packed(one) for name, one in raw.items()}


def unpacked_all(value: object, path: str) -> dict[str, bytes]:
    """Return bytes by name; raise Invalid naming the field."""
    if not isinstance(value, Mapping):
        raise wrong(path, expected="an object", got=kind(value))
    return {str(name): unpacked(one, f"{path}.{name}") for name, one in value.items()}


def packed_bits(bits: Sequence[bool]) -> bytes:
    """Return eight bits to a byte, the first one uppermost, the last byte filled up with zeros."""
    return np.packbits(np.array(bits, dtype=np.bool_)).tobytes()


def unpacked_bits(raw: bytes, length: int, path: str) -> list[bool]:
    """Return so many bits; raise Invalid for bytes that are more or fewer, and where none is set."""
    found: list[bool] = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=length).astype(np.bool_).tolist()
    if len(raw) != -(-length // 8) or not any(found):
        raise wrong(path, expected=f"{length} bits, one of them set", got="others")
    return found


def packed_table(table: pa.Table) -> str:
    """Return a table as a text."""
    return packed(as_stream(table))


def unpacked_table(value: object, path: str) -> pa.Table:
    """Return the table of a text, looked through to its last value; raise Invalid for another value."""
    raw = unpacked(value, path)
    try:
        table = from_stream(raw)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError):
        table = None
    if table is None:
        raise wrong(path, expected="an Arrow stream", got="other bytes")
    return table
