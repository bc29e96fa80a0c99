"""A product on its way out, piece by piece, whoever takes the pieces."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from chengshu.catalog.ports import Rows
from chengshu.kernel.canonical import Digests, RunningDigest
from chengshu.kernel.errors import Conflict
from chengshu.kernel.text import Text
from chengshu.transfer.model import Grant, Position, StopReason
from chengshu.transfer.streams.ahead import Ahead
from chengshu.transfer.streams.arrow import cut
from chengshu.transfer.streams.encodings import ARROW, Encoding

AHEAD = 2
"""So many pieces wait at each stage of a product that is made ready ahead."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a stream: what goes out for it, its size, and how many rows, and how much of the stream, have come with its end."""

    body: bytes | memoryview
    size: int
    rows: int
    position: Position


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was handed over: its size and the digest of its bytes on the wire, never the rows."""

    rows: int
    digest: str


class Ledger(Protocol):
    """Whoever keeps how a sending ended: for a job of a clean room, or for a transfer process."""

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        """Record that the whole product went out."""
        ...

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        """Record that a product did not go out whole."""
        ...


class Sending:
    """A product on its way out; whoever takes the pieces closes it, and how it ended is in the log then.

    A piece counts as handed over once it has been taken: what the receiver's machine made of it, nobody on this side can see, and what was
    made ready ahead counts as nothing. A few pieces are in memory at a time, where the product's place allows that.
    """

    def __init__(self, ledger: Ledger, grant: Grant, rows: Rows, *, digests: Digests, encoding: Encoding = ARROW) -> None:
        self.encoding = encoding
        self._ledger = ledger
        self._grant = grant
        self._running = RunningDigest(digests)
        self._taken = Piece(b"", 0, 0, Position(0, self._running.digest()))
        self._written = _written(rows, encoding)
        self._pieces: Generator[Piece] | Ahead[Piece] = self._placed(self._written)
        self.sent_bytes = 0
        self._reason = StopReason.RECEIVER_LEFT
        self._is_over = False
        self._is_whole = False
        self._is_revoked = False
        self._turn = threading.Lock()  # whoever takes the pieces, and whoever may break off, are different threads

    @property
    def is_revoked(self) -> bool:
        """Whether it was broken off because nothing allows it any more: its receiver must not take it for whole."""
        return self._is_revoked

    @property
    def is_over(self) -> bool:
        """Whether nothing more goes out: everything did, or it was broken off."""
        return self._is_over

    @property
    def is_whole(self) -> bool:
        """Whether everything went out."""
        return self._is_whole

    @property
    def rows(self) -> int:
        """How many rows are in what has been taken, what the receiver had before counted in."""
        return self._taken.rows

    @property
    def position(self) -> Position:
        """How much of the stream has been taken, what the receiver had before counted in."""
        return self._taken.position

    def skip(self, position: Position) -> None:
        """Leave out what the receiver has from a sending that broke off; raise Conflict where this is another stream than that was."""
        while self.position.pieces < position.pieces and (piece := next(self._pieces, None)) is not None:
            self._taken = piece
        if self.position != position:
            raise Conflict(
                "transfer.other-rows",
                "expected to go on with the stream that broke off, got a product whose stream is another now",
                hint=Text("Sign a new job over the product as it is now.", "请就产品的当前版本签署新的作业。"),
            )

    def prepare(self, work: Callable[[Piece], Piece]) -> None:
        """Have pieces read, and worked on, ahead of their being taken, in two threads that end with the sending; what is skipped is not."""
        reading = Ahead(self._written, most=AHEAD)
        self._pieces = Ahead(_worked(self._placed(reading), work, reading=reading), most=AHEAD)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return self

    def __next__(self) -> bytes | memoryview:
        with self._turn:
            return self._piece()

    def _piece(self) -> bytes | memoryview:
        if self._is_over:
            raise StopIteration
        self._reason = StopReason.SENDING_FAILED  # whatever ends it from here to the return is this side's doing
        piece = next(self._pieces, None)
        if piece is None:
            self._ledger.complete(self._grant, delivery=self._delivery())
            self._is_over = self._is_whole = True
            raise StopIteration
        self._taken = piece
        self.sent_bytes += piece.size
        self._reason = StopReason.RECEIVER_LEFT
        return piece.body

    def close(self, reason: StopReason | None = None) -> None:
        """Record that the transfer was broken off, unless the whole product went out; a second call changes nothing."""
        with self._turn:
            if self._is_over:
                return
            self._is_over = True
            self._pieces.close()
            self._is_revoked = reason is StopReason.REVOKED
            self._ledger.stop(self._grant, delivery=self._delivery(), sent_bytes=self.sent_bytes, reason=reason or self._reason)

    def _placed(self, written: "Iterator[_Written]") -> Generator[Piece]:
        """Number the pieces, from where the one before was, and take them into the digest."""
        for place, (body, rows) in enumerate(written, start=self.position.pieces + 1):
            self._running.take(body)
            yield Piece(body, len(body), rows, Position(place, self._running.digest()))

    def _delivery(self) -> Delivery:
        return Delivery(self.rows, self.position.digest)


_Written = tuple[bytes | memoryview, int]
"""A piece's bytes, and how many rows have come with its end."""


def _written(rows: Rows, encoding: Encoding) -> Generator[_Written]:
    read = 0

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal read
        for batch in cut(batches):
            read += batch.num_rows
            yield batch

    for body in encoding.pieces(Rows(rows.schema, counted(rows.batches))):
        yield body, read


def _worked(pieces: Iterator[Piece], work: Callable[[Piece], Piece], *, reading: Ahead[_Written]) -> Generator[Piece]:
    with closing(reading):
        yield from map(work, pieces)
