"""A product on its way out to a clean room, encrypted piece by piece: whoever carries it can neither read nor change it."""

from collections.abc import Iterator

from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import Suite
from chengshu.transfer.model import StopReason
from chengshu.transfer.sealed.frames import MEDIA_TYPE, Binding, Kind, framed
from chengshu.transfer.sending import Sending


class SealedSending:
    """The frames of a sending, which whoever takes them closes; each connection has a data key of its own."""

    media_type = MEDIA_TYPE

    def __init__(self, sending: Sending, *, suite: Suite, public: bytes, binding: Binding) -> None:
        """Wrap a fresh data key to ``public``; raise Invalid where that is no key."""
        self._sending = sending
        self._suite = suite
        self._binding = binding
        self._key = suite.new_data_key()
        place = sending.position.pieces
        self._frames = self._run(suite.wrap(public, self._key, context=binding.context(Kind.KEY, place=place)))

    @property
    def is_revoked(self) -> bool:
        """Whether it was broken off because nothing allows it any more: its receiver must not take it for whole."""
        return self._sending.is_revoked

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._frames)

    def close(self, reason: StopReason | None = None) -> None:
        """End it as :meth:`Sending.close` does."""
        self._sending.close(reason)

    def _run(self, wrapped: bytes) -> Iterator[bytes]:
        yield framed(Kind.KEY, wrapped)
        for piece in self._sending:
            yield self._sealed(Kind.PIECE, piece, place=self._sending.position.pieces - 1)
        if self._sending.is_whole:
            came = self._sending.position
            end = {"pieces": came.pieces, "rows": self._sending.rows, "digest": came.digest}
            yield self._sealed(Kind.END, canonical(end), place=came.pieces)

    def _sealed(self, kind: Kind, body: bytes, *, place: int) -> bytes:
        return framed(kind, self._suite.seal(self._key, body, context=self._binding.context(kind, place=place)))
