"""The international profile: SHA-256 (FIPS 180-4), Ed25519 (RFC 8032), AES-256-GCM (NIST SP 800-38D), HPKE (RFC 9180)."""

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM
from cryptography.hazmat.primitives.hpke import Suite as Hpke

from chengshu.kernel.crypto.counting import counted
from chengshu.kernel.crypto.hashing import NewHash
from chengshu.kernel.crypto.suite import NONCE_BYTES, NOT_CERTIFIED, Algorithm, PublicKey, Signer, no_exchange_key, not_opened
from chengshu.kernel.text import Text

_HPKE = Hpke(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


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
    """SHA-256 for digests and trees, Ed25519 for signatures, AES-256-GCM for data keys, HPKE with X25519 to wrap those."""

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

    def new_exchange_key(self) -> bytes:
        """Return a fresh X25519 private key, 32 raw bytes."""
        return X25519PrivateKey.generate().private_bytes_raw()

    def exchange_public(self, private: bytes) -> bytes:
        """Return the 32 bytes of the X25519 public key."""
        return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def wrap(self, public: bytes, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` in HPKE's base mode (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM), ``context`` as its ``info``."""
        try:
            return _HPKE.encrypt(key, X25519PublicKey.from_public_bytes(public), context)
        except ValueError as error:  # another length, or a point of small order
            raise no_exchange_key() from error

    def unwrap(self, private: bytes, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`wrap` wrapped; raise Tampered where key, context or bytes differ."""
        try:
            return _HPKE.decrypt(wrapped, X25519PrivateKey.from_private_bytes(private), context)
        except (InvalidTag, ValueError) as error:
            raise not_opened() from error

    def agree(self, private: bytes, public: bytes) -> bytes:
        """Return the SHA-256 of what X25519 comes to (RFC 7748 section 6.1)."""
        try:
            shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:  # another length, or a point of small order
            raise no_exchange_key() from error
        return self.hash(shared)

    def keystream(self, secret: bytes, length: int) -> bytes:
        """Return AES-256 in counter mode from zero on (NIST SP 800-38A section 6.5)."""
        return counted(AES(secret), length)

    def seal(self, key: bytes, plaintext: bytes, *, context: bytes) -> bytes:
        """Return nonce, ciphertext and tag of AES-256-GCM with ``context`` as associated data."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, context)

    def open(self, key: bytes, sealed: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`seal` sealed; raise Tampered where key, context or bytes differ."""
        try:
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise not_opened() from error

    def seal_into(self, key: bytes, plaintext: bytes | memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`seal` returns into ``into``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        into[:NONCE_BYTES] = nonce
        AESGCM(key).encrypt_into(nonce, plaintext, context, into[NONCE_BYTES:])

    def open_into(self, key: bytes, sealed: memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`open` returns into ``into``."""
        try:
            AESGCM(key).decrypt_into(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context, into)
        except (InvalidTag, ValueError) as error:
            raise not_opened() from error
