"""The frames of an encrypted stream: one that holds the stream's data key, one for each piece, and one that says that this is the end.

    frame  = kind (1 byte) | length of the body (4 bytes, big-endian) | body
    KEY    = the data key of this connection, wrapped to the room's key for the job; first, and only there
    PIECE  = one piece of the Arrow stream, sealed under the data key
    END    = what came in all, sealed: canonical JSON of ``pieces``, ``rows`` and ``digest`` (of the pieces' bytes); last, and only there

What a frame is sealed with (its context) says job, product, grant, kind and place, so that no frame passes for another's, or for one in
another place, and a stream that was cut has no end. Pieces are counted from the beginning of the product, on every connection.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.errors import Invalid, Tampered, Unavailable
from chengshu.kernel.text import Text

MEDIA_TYPE = "application/vnd.chengshu.sealed-stream"
HEAD = struct.Struct(">BI")
LARGEST_KEY = 1024
SEAL_BYTES = 1024
"""More than sealing adds to a body, under whichever profile."""

_LABEL = "chengshu-sealed-stream-1"


class Kind(IntEnum):
    """What a frame holds."""

    KEY = 1
    PIECE = 2
    END = 3


@dataclass(frozen=True, slots=True)
class Binding:
    """What an encrypted stream is for: one product, for one job, under one grant (the digest of its token)."""

    job: str
    product: str
    grant: str

    def context(self, kind: Kind, *, place: int) -> bytes:
        """Return what a frame is bound to."""
        return canonical([_LABEL, self.job, self.product, self.grant, kind.name, place])


def commitment(digests: Digests, *, grant: str, rows: int, digest: str) -> str:
    """Return what names one stream to those two who know the grant (the digest of its token), and tells nobody else what is in it."""
    return digests.of([_LABEL, "commitment", grant, rows, digest])


def framed(kind: Kind, body: bytes) -> bytes:
    """Return one frame."""
    return HEAD.pack(kind, len(body)) + body


def frames(chunks: Iterable[bytes], *, longest: int) -> Iterator[tuple[Kind, bytes]]:
    """Yield whole frames from bytes that come cut in any way, one of them in memory at a time.

    Raises Unavailable for a stream that ends within a frame, or is none; Invalid for a frame longer than ``longest``.
    """
    source = _Bytes(chunks)
    while head := source.take(HEAD.size, may_end=True):
        number, length = HEAD.unpack(head)
        if number not in set(Kind):
            raise broken()
        kind = Kind(number)
        if length > (longest if kind is Kind.PIECE else LARGEST_KEY):
            raise too_large(longest)
        yield kind, source.take(length)


def broken() -> Unavailable:
    """Say that a stream is not whole, whyever."""
    return Unavailable(
        "transfer.broken-stream",
        "expected one whole encrypted stream, got one that ends early, goes on or cannot be read",
        hint=Text("The transfer may be tried again under a new grant.", "可以用新的授权重新传输。"),
    )


def unsealed() -> Tampered:
    """Say that a frame was not sealed for this place of this stream."""
    return Tampered(
        "transfer.sealed-stream",
        "expected frames encrypted to this job's key, each in its place, got others",
        hint=Text(
            "Somebody between the two nodes changes what is sent, or the holder encrypts to another key.",
            "有人在两节点之间改动了数据，或持有方使用了其他密钥加密。",
        ),
    )


def too_large(limit: int) -> Invalid:
    """Say that more came than may."""
    return Invalid(
        "transfer.too-large",
        f"expected a stream of at most {limit} bytes, got more",
        hint=Text("Raise the limit or publish a smaller product.", "请提高上限或发布更小的产品。"),
    )


class _Bytes:
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def take(self, size: int, *, may_end: bool = False) -> bytes:
        """Return the next ``size`` bytes; nothing where the stream ends right here and may."""
        parts, have = [self._rest], len(self._rest)
        while have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                if may_end and have == 0:
                    return b""
                raise broken()
            parts.append(chunk)
            have += len(chunk)
        data: Any = parts[0] if len(parts) == 1 else b"".join(parts)
        self._rest = data[size:]
        return bytes(data[:size])
