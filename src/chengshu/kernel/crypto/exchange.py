"""A key pair for one purpose and one time: its private half is in this process's memory alone, until it is dropped."""

from chengshu.kernel.crypto.suite import Suite
from chengshu.kernel.errors import Conflict
from chengshu.kernel.text import Text


class ExchangeKey:
    """What others wrap data keys to. Once dropped it unwraps nothing any more; nothing ever writes it down.

    Dropping forgets the private half: Python gives no way to overwrite what it held, so that a dump of this very process's memory, made
    soon after, may still show it.
    """

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        private = suite.new_exchange_key()
        self._private: bytes | None = private
        self.public = suite.exchange_public(private)

    @property
    def is_dropped(self) -> bool:
        """Whether the private half is gone."""
        return self._private is None

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return a data key that was wrapped to this pair; raise Tampered as the profile does, Conflict once the pair is dropped."""
        if self._private is None:
            raise Conflict(
                "crypto.key-dropped",
                "expected a key that is still held, got one that was dropped at the end of its job",
                hint=Text("Sign a new job: it has a key of its own.", "请签署新的作业：它有自己的密钥。"),
            )
        return self._suite.unwrap(self._private, wrapped, context=context)

    def drop(self) -> None:
        """Forget the private half; a second call changes nothing."""
        self._private = None
