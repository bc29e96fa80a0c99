"""The frames of an encrypted stream: one that holds the stream's data key, one for each piece, and one that says that this is the end.

    frame  = kind (1 byte) | length of the body (4 bytes, big-endian) | body
    KEY    = the data key of this connection, wrapped to the room's key for the job; first, and only there
    PIECE  = one piece of the Arrow stream, sealed under the data key
    PACKED = one piece likewise, packed before it was sealed (:mod:`chengshu.transfer.sealed.packing`)
    END    = what came in all, sealed: canonical JSON of ``pieces``, ``rows`` and ``digest`` (of the pieces' bytes); last, and only there

What a frame is sealed with (its context) says job, product, grant, kind and place, so that no frame passes for another's, or for one in
another place, and a stream that was cut has no end. Pieces are counted from the beginning of the product, on every connection.

A stream has one of two forms, which the room asks for and the holder's answer names. In the older one the batches of the Arrow stream are
compressed, and nothing is packed; a node of before asks for no form, and sends this one. In the ``PLAIN`` one they are not, so that
how a piece went over the line shows neither in the digest nor in where a stream goes on.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol

from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.errors import Invalid, Tampered, Unavailable
from chengshu.kernel.text import Text

MEDIA_TYPE = "application/vnd.chengshu.sealed-stream"
HEAD = struct.Struct(">BI")
LARGEST_KEY = 1024
STEP_BYTES = 16 << 20
"""So much memory is made ready for a frame at first, and then as much again as has come: its length is its sender's word."""

_LABEL = "chengshu-sealed-stream-1"


class Kind(IntEnum):
    """What a frame holds."""

    KEY = 1
    PIECE = 2
    END = 3
    PACKED = 4


class Form(Enum):
    """In which form the pieces of a stream come, by what it is called on the wire."""

    COMPRESSED = MEDIA_TYPE
    PLAIN = f"{MEDIA_TYPE}; pieces=plain"

    @classmethod
    def asked(cls, pieces: str | None) -> "Form":
        """Return the form that a room asks for, which says nothing where it is of before; in a word not known here, of after."""
        return cls.PLAIN if pieces == "plain" else cls.COMPRESSED

    @property
    def request(self) -> dict[str, str]:
        """What a room's message says to ask for it."""
        return {"pieces": "plain"} if self is Form.PLAIN else {}


class Line(Protocol):
    """Where bytes come from."""

    def readinto(self, into: memoryview, /) -> int:
        """Fill ``into`` and return how many bytes have come for it: fewer where the line ends."""
        ...


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


def frames(line: Line, *, longest: int) -> Iterator[tuple[Kind, memoryview]]:
    """Yield whole frames; the memory of one is that of the next.

    Raises Unavailable for a stream that ends within a frame, or is none; Invalid for a frame longer than ``longest``.
    """
    head, body = memoryview(bytearray(HEAD.size)), memoryview(bytearray())
    while (came := line.readinto(head)) > 0:
        if came < HEAD.size or (number := HEAD.unpack(head)[0]) not in set(Kind):
            raise broken()
        kind, length = Kind(number), HEAD.unpack(head)[1]
        if length > (longest if kind in {Kind.PIECE, Kind.PACKED} else LARGEST_KEY):
            raise too_large(longest)
        body = _read(line, length, body)
        yield kind, body[:length]


def _read(line: Line, length: int, into: memoryview) -> memoryview:
    """Read so many bytes into memory that is there, or into more; return what they are in the front of."""
    if len(into) < min(length, STEP_BYTES):
        into = memoryview(bytearray(min(length, STEP_BYTES)))
    have = 0
    while have < length:
        if have == len(into):
            into = _larger(into, min(length, 2 * have))
        came = line.readinto(into[have : min(length, len(into))])
        if came == 0:
            raise broken()
        have += came
    return into


def _larger(memory: memoryview, size: int) -> memoryview:
    larger = memoryview(bytearray(size))
    larger[: len(memory)] = memory
    return larger


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
