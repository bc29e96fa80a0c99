"""A product on its way out, piece by piece, whoever takes the pieces."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from chengshu.kernel.canonical import Digests, RunningDigest
from chengshu.transfer.model import Grant, StopReason
from chengshu.transfer.streams.arrow import rows_within
from chengshu.transfer.streams.encodings import ARROW, Encoding


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

    A piece counts as handed over once it has been taken: what the receiver's machine made of it, nobody on this side can see.
    """

    def __init__(self, ledger: Ledger, grant: Grant, table: pa.Table, *, digests: Digests, encoding: Encoding = ARROW) -> None:
        self.encoding = encoding
        self._ledger = ledger
        self._grant = grant
        self._table = table
        self._running = RunningDigest(digests)
        self._pieces = self._running.over(encoding.pieces(table))
        self._taken = 0
        self.sent_bytes = 0
        self._reason = StopReason.RECEIVER_LEFT
        self._is_over = False
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

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._turn:
            return self._piece()

    def _piece(self) -> bytes:
        if self._is_over:
            raise StopIteration
        self._reason = StopReason.SENDING_FAILED  # whatever ends it from here to the return is this side's doing
        piece = next(self._pieces, None)
        if piece is None:
            self._ledger.complete(self._grant, delivery=Delivery(self._table.num_rows, self._running.digest()))
            self._is_over = True
            raise StopIteration
        self._taken += 1
        self.sent_bytes += len(piece)
        self._reason = StopReason.RECEIVER_LEFT
        return piece

    def close(self, reason: StopReason | None = None) -> None:
        """Record that the transfer was broken off, unless the whole product went out; a second call changes nothing."""
        with self._turn:
            if self._is_over:
                return
            self._is_over = True
            self._is_revoked = reason is StopReason.REVOKED
            delivery = Delivery(rows_within(self._table, pieces=self._taken), self._running.digest())
            self._ledger.stop(self._grant, delivery=delivery, sent_bytes=self.sent_bytes, reason=reason or self._reason)
