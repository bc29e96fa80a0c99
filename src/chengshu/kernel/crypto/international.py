"""The international profile: SHA-256 (FIPS 180-4), Ed25519 (RFC 8032), AES-256-GCM (NIST SP 800-38D)."""

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chengshu.kernel.crypto.hashing import NewHash
from chengshu.kernel.crypto.suite import NOT_CERTIFIED, Algorithm, PublicKey, Signer, not_opened
from chengshu.kernel.text import Text

_NONCE_BYTES = 12


class MemorySigner:
    """A signer whose Ed25519 key lives in this process."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._key = private_key
        self.public_key = PublicKey(Algorithm.ED25519, private_key.public_key().public_bytes_raw())

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


class International:
    """SHA-256 for digests and trees, Ed25519 for signatures, AES-256-GCM for data keys."""

    name = "international"
    title = Text(
        f"international (SHA-256, Ed25519, AES-256-GCM): {NOT_CERTIFIED.en}",
        f"国际算法（SHA-256、Ed25519、AES-256-GCM）：{NOT_CERTIFIED.zh}",
    )
    hash_name = "sha256"
    algorithm = Algorithm.ED25519

    @property
    def new_hash(self) -> NewHash:
        """The function that begins a SHA-256."""
        return hashlib.sha256

    def hash(self, data: bytes) -> bytes:
        """Return the SHA-256 of ``data``."""
        return hashlib.sha256(data).digest()

    def generate(self) -> Signer:
        """Return a signer with a fresh Ed25519 key."""
        return MemorySigner.generate()

    def is_signed_by(self, public_key: PublicKey, *, signature: bytes, message: bytes) -> bool:
        """Say whether ``signature`` is the Ed25519 signature over ``message`` by the holder of ``public_key``."""
        if public_key.algorithm is not self.algorithm:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public_key.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def new_data_key(self) -> bytes:
        """Return 32 random bytes."""
        return secrets.token_bytes(32)

    def seal(self, key: bytes, plaintext: bytes, *, context: bytes) -> bytes:
        """Return nonce, ciphertext and tag of AES-256-GCM with ``context`` as associated data."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, context)

    def open(self, key: bytes, sealed: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`seal` sealed; raise Tampered where key, context or bytes differ."""
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise not_opened() from error
