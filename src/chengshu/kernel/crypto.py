"""Ed25519 signatures (RFC 8032) behind the one port every signer fulfils."""

from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer(Protocol):
    """Something that signs with one Ed25519 key: a key file, a hardware module, a remote service."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of ``message``."""
        ...


class MemorySigner:
    """A signer whose key lives in this process."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._key = private_key
        self.public_key = private_key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> "MemorySigner":
        """Return a signer with a fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of ``message``."""
        return self._key.sign(message)

    def private_bytes(self) -> bytes:
        """Return the 32 raw bytes of the private key, for a key store to keep."""
        return self._key.private_bytes_raw()


def is_signed_by(public_key: bytes, *, signature: bytes, message: bytes) -> bool:
    """Say whether ``signature`` over ``message`` was made by the holder of ``public_key``."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
