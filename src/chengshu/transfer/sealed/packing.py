"""Pieces that are packed for a slow line, and only for one: on a fast one the packing itself would be what takes the time.

packed piece = length of the piece (8 bytes, big-endian) | the piece, compressed (Zstandard, RFC 8878)
"""

import struct

import pyarrow as pa

from chengshu.transfer.sealed.frames import too_large

LOOK_BYTES = 2 << 20
"""A line is judged each time that it has taken so much."""

_LENGTH = struct.Struct(">Q")
_CODEC = "zstd"


class Pace:
    """Whether a line takes bytes faster than this machine packs them, as busy as both are; slow until it has shown otherwise."""

    def __init__(self) -> None:
        self.is_fast = False
        self._packed_per_s = 0.0
        self._size = 0
        self._seconds = 0.0

    def packed(self, size: int, *, seconds: float) -> None:
        """Say that it took so many seconds to pack so many bytes."""
        self._packed_per_s = size / max(seconds, 1e-9)

    def took(self, size: int, *, seconds: float) -> None:
        """Say that the line took so many bytes in so many seconds of waiting for it."""
        self._size += size
        self._seconds += seconds
        if self._size >= LOOK_BYTES:
            self.is_fast = self._size > self._seconds * self._packed_per_s
            self._size, self._seconds = 0, 0.0


def packed(piece: bytes | memoryview) -> bytes | None:
    """Return a piece packed, None where that is no shorter."""
    body = _LENGTH.pack(len(piece)) + pa.compress(piece, codec=_CODEC, asbytes=True)
    return body if len(body) < len(piece) else None


def unpacked(body: memoryview, *, longest: int) -> memoryview:
    """Return a piece as it was.

    Raises Invalid for more than ``longest`` bytes, before any memory is taken, and ValueError, Arrow's error or OSError for what is none.
    """
    if len(body) < _LENGTH.size:
        raise ValueError("expected the length of a packed piece, got less")
    (length,) = _LENGTH.unpack(body[: _LENGTH.size])
    if length > longest:
        raise too_large(longest)
    return memoryview(pa.decompress(body[_LENGTH.size :], decompressed_size=length, codec=_CODEC)).cast("B")
