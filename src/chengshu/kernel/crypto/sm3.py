"""SM3 (GB/T 32905-2016) by whichever of two libraries has it, so that no build of Python leaves a space without its hash."""

import hashlib
from functools import lru_cache, partial

from cryptography.hazmat.primitives.hashes import SM3, Hash

from chengshu.kernel.crypto.hashing import NewHash


def sm3(data: bytes) -> bytes:
    """Return the 32-byte SM3 hash of ``data``."""
    return new_sm3()(data).digest()


@lru_cache(maxsize=1)
def new_sm3() -> NewHash:
    """Return the function that begins an SM3: Python's own where its OpenSSL has SM3, else the slower one of ``cryptography``."""
    try:
        hashlib.new("sm3")
    except ValueError:
        return PortableSm3
    return partial(hashlib.new, "sm3")


class PortableSm3:
    """SM3 by ``cryptography``, which brings its own OpenSSL, with the methods of ``hashlib``."""

    def __init__(self, data: bytes = b"") -> None:
        """Begin with the first piece."""
        self._hash = Hash(SM3())
        self._hash.update(data)

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next piece."""
        self._hash.update(data)

    def digest(self) -> bytes:
        """Return the 32 bytes of the hash of all pieces so far."""
        return self._hash.copy().finalize()

    def hexdigest(self) -> str:
        """Return the hash of all pieces so far in lower-case hexadecimal."""
        return self.digest().hex()
