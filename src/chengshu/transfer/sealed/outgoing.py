"""A product on its way out to a clean room, encrypted piece by piece: whoever carries it can neither read nor change it."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import Suite
from chengshu.kernel.crypto.suite import SEAL_BYTES
from chengshu.transfer.model import StopReason
from chengshu.transfer.sealed.frames import HEAD, Binding, Form, Kind, framed
from chengshu.transfer.sealed.packing import Pace, packed
from chengshu.transfer.sending import Piece, Sending


class SealedSending:
    """The frames of a sending, which whoever takes them closes; each connection has a data key of its own."""

    def __init__(self, sending: Sending, *, suite: Suite, public: bytes, binding: Binding, form: Form) -> None:
        """Wrap a fresh data key to ``public``; raise Invalid where that is no key."""
        self.pace = Pace()
        self._form = form
        self._sending = sending
        self._suite = suite
        self._binding = binding
        self._key = suite.new_data_key()
        place = sending.position.pieces
        self._frames = self._run(suite.wrap(public, self._key, context=binding.context(Kind.KEY, place=place)))
        sending.prepare(self._prepared)

    @property
    def media_type(self) -> str:
        """What it is called on the wire."""
        return self._form.value

    @property
    def is_revoked(self) -> bool:
        """Whether it was broken off because nothing allows it any more: its receiver must not take it for whole."""
        return self._sending.is_revoked

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return self

    def __next__(self) -> bytes | memoryview:
        return next(self._frames)

    def close(self, reason: StopReason | None = None) -> None:
        """End it as :meth:`Sending.close` does."""
        self._sending.close(reason)

    def _run(self, wrapped: bytes) -> Iterator[bytes | memoryview]:
        yield framed(Kind.KEY, wrapped)
        yield from self._sending
        if self._sending.is_whole:
            came = self._sending.position
            end = {"pieces": came.pieces, "rows": self._sending.rows, "digest": came.digest}
            yield self._sealed(Kind.END, canonical(end), place=came.pieces)

    def _prepared(self, piece: Piece) -> Piece:
        """The frame of a piece, packed where the line is slow and it is the shorter for it."""
        shorter = self._packed(piece.body) if self._form is Form.PLAIN and not self.pace.is_fast else None
        kind, body = (Kind.PIECE, piece.body) if shorter is None else (Kind.PACKED, shorter)
        return replace(piece, body=self._sealed(kind, body, place=piece.position.pieces - 1), size=len(body))

    def _packed(self, piece: bytes | memoryview) -> bytes | None:
        began = time.perf_counter()
        shorter = packed(piece)
        self.pace.packed(len(piece), seconds=time.perf_counter() - began)
        return shorter

    def _sealed(self, kind: Kind, body: bytes | memoryview, *, place: int) -> memoryview:
        """One frame, written once into memory of Arrow's pool, which keeps what is given back for the next."""
        length = len(body) + SEAL_BYTES
        frame = memoryview(pa.allocate_buffer(HEAD.size + length)).cast("B")
        HEAD.pack_into(frame, 0, kind, length)
        self._suite.seal_into(self._key, body, frame[HEAD.size :], context=self._binding.context(kind, place=place))
        return frame
