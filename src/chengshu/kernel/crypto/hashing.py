"""What a hash is to whoever hashes: something that is begun, fed in pieces, and read."""

from collections.abc import Callable
from typing import Protocol


class RunningHash(Protocol):
    """A hash that is fed in pieces, as ``hashlib`` has them."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next piece."""
        ...

    def digest(self) -> bytes:
        """Return the 32 bytes of the hash of all pieces so far."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all pieces so far in lower-case hexadecimal."""
        ...


NewHash = Callable[[bytes], RunningHash]
"""``new_hash(first_piece)`` begins a hash; trees hash millions of times and want nothing between them and it."""
