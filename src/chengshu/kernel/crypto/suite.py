"""The one interface behind which the two profiles of cryptography stand, and the values they share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chengshu.kernel.crypto import sm2
from chengshu.kernel.crypto.hashing import NewHash
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

NONCE_BYTES, TAG_BYTES = 12, 16
SEAL_BYTES = NONCE_BYTES + TAG_BYTES
"""What sealing adds to a text, under either profile: the nonce in front and the tag behind."""

NOT_CERTIFIED = Text("software profile, not certified", "软件实现，未经认证")
"""What every showing of a profile says beside it: neither profile's program has passed a certification of cryptographic products."""


class Algorithm(StrEnum):
    """A signature algorithm, by the name that tokens carry (RFC 7515 ``alg``).

    Ed25519 is registered (RFC 9864). No name is registered for SM2 with SM3, so that it has a collision-resistant one, as RFC 7515
    section 4.1.1 asks for.
    """

    ED25519 = "Ed25519"
    SM2 = "chengshu.dev/sm2-sm3"


_LENGTHS = {Algorithm.ED25519: 32, Algorithm.SM2: sm2.PUBLIC_BYTES}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that says its algorithm; promises that ``raw`` has its length and, for SM2, is a point of the curve.

    ``raw`` is 32 bytes for Ed25519 (RFC 8032) and a compressed point of 33 bytes for SM2 (GB/T 32918.1). Raises Invalid for others.
    """

    algorithm: Algorithm
    raw: bytes

    def __post_init__(self) -> None:
        expected = _LENGTHS[self.algorithm]
        if len(self.raw) != expected:
            raise _no_key(f"a public key of {expected} bytes for {self.algorithm}", f"{len(self.raw)} bytes")
        if self.algorithm is Algorithm.SM2:
            try:
                sm2.decompress(self.raw)
            except ValueError as error:
                raise _no_key("a compressed point of the SM2 curve", "other bytes") from error


class Signer(Protocol):
    """Something that signs with one key: a key file, a hardware module, a remote service."""

    @property
    def public_key(self) -> PublicKey:
        """The public key, which says the algorithm."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        ...


class Suite(Protocol):
    """One profile of cryptography: a hash, a signature algorithm and authenticated encryption under a data key.

    Sealed bytes carry a fresh random 96-bit nonce in front: one data key MUST NOT seal more than 2**32 messages (NIST SP 800-38D
    section 8.3).
    """

    @property
    def name(self) -> str:
        """The setting that chooses the profile: ``international`` or ``national``."""
        ...

    @property
    def title(self) -> Text:
        """What the profile consists of, in words that end in :data:`NOT_CERTIFIED`."""
        ...

    @property
    def hash_name(self) -> str:
        """The prefix of the profile's digests: ``sha256`` or ``sm3``."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """The signature algorithm of the profile's keys."""
        ...

    @property
    def new_hash(self) -> NewHash:
        """The function that begins a hash."""
        ...

    def hash(self, data: bytes) -> bytes:
        """Return the 32-byte hash of ``data``."""
        ...

    def generate(self) -> Signer:
        """Return a signer with a fresh key from the operating system's randomness."""
        ...

    def is_signed_by(self, public_key: PublicKey, *, signature: bytes, message: bytes) -> bool:
        """Say whether ``signature`` over ``message`` was made by the holder of ``public_key``; False for a key of another algorithm."""
        ...

    def new_data_key(self) -> bytes:
        """Return a fresh key for :meth:`seal` from the operating system's randomness."""
        ...

    def new_exchange_key(self) -> bytes:
        """Return a fresh private key to which others wrap data keys, from the operating system's randomness."""
        ...

    def exchange_public(self, private: bytes) -> bytes:
        """Return the public half of a key of :meth:`new_exchange_key`."""
        ...

    def wrap(self, public: bytes, key: bytes, *, context: bytes) -> bytes:
        """Return a data key that the holder of ``public``'s private half alone can unwrap; raise Invalid for what is no public key."""
        ...

    def unwrap(self, private: bytes, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`wrap` wrapped to this key in the same context; raise Tampered where anything differs."""
        ...

    def agree(self, private: bytes, public: bytes) -> bytes:
        """Return the 32 bytes that the owner of ``private`` and that of ``public`` both come to and nobody else does.

        Raises Invalid for what is no public key.
        """
        ...

    def keystream(self, secret: bytes, length: int) -> bytes:
        """Return ``length`` bytes that follow from 32 secret bytes and that nobody who lacks these can tell from random ones.

        One secret MUST be asked for one stream: two of them begin alike.
        """
        ...

    def seal(self, key: bytes, plaintext: bytes, *, context: bytes) -> bytes:
        """Return ``plaintext`` encrypted under ``key``, bound to ``context``, which is not part of what is returned."""
        ...

    def open(self, key: bytes, sealed: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`seal` sealed with the same key and context; raise Tampered where anything differs."""
        ...

    def seal_into(self, key: bytes, plaintext: bytes | memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`seal` returns into memory of ``SEAL_BYTES`` more than ``plaintext``, without a copy of either."""
        ...

    def open_into(self, key: bytes, sealed: memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`open` returns into memory of ``SEAL_BYTES`` less than ``sealed``; raise Tampered where anything differs.

        What is written before that is known MUST NOT be used.
        """
        ...


def not_opened() -> Tampered:
    """Say that sealed bytes are not what was sealed; which of key, context and bytes differs cannot be known."""
    return Tampered(
        "crypto.sealed",
        "expected bytes sealed under this key in this context, got others",
        hint=Text(
            "Keep what is there as it is, and restore the node's folder from a copy.",
            "请保留现状，并从备份恢复节点目录。",
        ),
    )


def no_exchange_key() -> Invalid:
    """Say that bytes are no public key that a data key could be wrapped to."""
    return _no_key("a public key to wrap data keys to", "other bytes")


def _no_key(expected: str, got: str) -> Invalid:
    return Invalid(
        "crypto.public-key",
        f"expected {expected}, got {got}",
        hint=Text("Ask the key's holder for it again, whole.", "请向密钥持有方重新索取完整的公钥。"),
    )
