"""The national profile: SM3 (GB/T 32905-2016), SM2 (GB/T 32918-2016), SM4 (GB/T 32907-2016) in GCM (GB/T 36624-2019)."""

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from chengshu.kernel.crypto import sm2
from chengshu.kernel.crypto.counting import counted
from chengshu.kernel.crypto.hashing import NewHash
from chengshu.kernel.crypto.sm3 import new_sm3, sm3
from chengshu.kernel.crypto.suite import NONCE_BYTES, NOT_CERTIFIED, TAG_BYTES, Algorithm, PublicKey, Signer, no_exchange_key, not_opened
from chengshu.kernel.text import Text

_KEY_BYTES = 16


class Sm2MemorySigner:
    """A signer whose SM2 key lives in this process; signs with the default signer's id (GM/T 0009-2012)."""

    def __init__(self, private_key: int) -> None:
        """Take a private key; raise ValueError unless it is from 1 to n - 2."""
        self._key = private_key
        self.public_key = PublicKey(Algorithm.SM2, sm2.compress(sm2.public_point(private_key)))

    @classmethod
    def generate(cls) -> "Sm2MemorySigner":
        """Return a signer with a fresh key from the operating system's randomness."""
        return cls(1 + secrets.randbelow(sm2.N - 2))

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes r || s of the SM2 signature of ``message``."""
        return sm2.sign(self._key, message, nonce=_nonce)

    def private_bytes(self) -> bytes:
        """Return the private key as 32 big-endian bytes, for a key store to keep."""
        return self._key.to_bytes(32, "big")


class National:
    """SM3 for digests and trees, SM2 for signatures, SM4-GCM for data keys, SM2 encryption to wrap those."""

    name = "national"
    title = Text(f"national (SM3, SM2, SM4-GCM): {NOT_CERTIFIED.en}", f"国密算法（SM3、SM2、SM4-GCM）：{NOT_CERTIFIED.zh}")
    hash_name = "sm3"
    algorithm = Algorithm.SM2

    @property
    def new_hash(self) -> NewHash:
        """The function that begins an SM3."""
        return new_sm3()

    def hash(self, data: bytes) -> bytes:
        """Return the SM3 of ``data``."""
        return sm3(data)

    def generate(self) -> Signer:
        """Return a signer with a fresh SM2 key."""
        return Sm2MemorySigner.generate()

    def is_signed_by(self, public_key: PublicKey, *, signature: bytes, message: bytes) -> bool:
        """Say whether ``signature`` is the SM2 signature over ``message`` by the holder of ``public_key``."""
        if public_key.algorithm is not self.algorithm:
            return False
        return sm2.is_signature(sm2.decompress(public_key.raw), signature=signature, message=message)

    def new_data_key(self) -> bytes:
        """Return 16 random bytes."""
        return secrets.token_bytes(_KEY_BYTES)

    def new_exchange_key(self) -> bytes:
        """Return a fresh SM2 private key, 32 big-endian bytes."""
        return Sm2MemorySigner.generate().private_bytes()

    def exchange_public(self, private: bytes) -> bytes:
        """Return the SM2 public key as a compressed point."""
        return sm2.compress(sm2.public_point(int.from_bytes(private, "big")))

    def wrap(self, public: bytes, key: bytes, *, context: bytes) -> bytes:
        """Return ``context``'s hash and ``key`` as SM2 encrypts them (GB/T 32918.4-2016): it has no associated data of its own."""
        try:
            point = sm2.decompress(public)
        except (ValueError, IndexError) as error:
            raise no_exchange_key() from error
        return sm2.encrypt(point, sm3(context) + key, nonce=_nonce)

    def unwrap(self, private: bytes, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`wrap` wrapped; raise Tampered where key, context or bytes differ."""
        try:
            opened = sm2.decrypt(int.from_bytes(private, "big"), wrapped)
        except ValueError as error:
            raise not_opened() from error
        about = sm3(context)
        if not hmac.compare_digest(opened[: len(about)], about):
            raise not_opened()
        return opened[len(about) :]

    def agree(self, private: bytes, public: bytes) -> bytes:
        """Return the SM3 of the point that both come to on the SM2 curve, in Diffie and Hellman's way: this is not GB/T 32918.3."""
        try:
            point = sm2.decompress(public)
        except (ValueError, IndexError) as error:
            raise no_exchange_key() from error
        return self.hash(sm2.shared(int.from_bytes(private, "big"), point))

    def keystream(self, secret: bytes, length: int) -> bytes:
        """Return SM4 in counter mode from zero on, under the first half of ``secret`` (GB/T 17964-2021)."""
        return counted(SM4(secret[:_KEY_BYTES]), length)

    def seal(self, key: bytes, plaintext: bytes, *, context: bytes) -> bytes:
        """Return nonce, ciphertext and tag of SM4-GCM with ``context`` as associated data (RFC 8998 section 2.1.1 and appendix A.1)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        encryptor = Cipher(SM4(key), GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(context)
        return nonce + encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag

    def open(self, key: bytes, sealed: bytes, *, context: bytes) -> bytes:
        """Return what :meth:`seal` sealed; raise Tampered where key, context or bytes differ."""
        nonce, body, tag = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:-TAG_BYTES], sealed[-TAG_BYTES:]
        try:
            decryptor = Cipher(SM4(key), GCM(nonce, tag)).decryptor()
            decryptor.authenticate_additional_data(context)
            return decryptor.update(body) + decryptor.finalize()
        except (InvalidTag, ValueError) as error:
            raise not_opened() from error

    def seal_into(self, key: bytes, plaintext: bytes | memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`seal` returns into ``into``, a copy later: SM4 takes so long that it does not show."""
        into[:] = self.seal(key, bytes(plaintext), context=context)

    def open_into(self, key: bytes, sealed: memoryview, into: memoryview, *, context: bytes) -> None:
        """Write what :meth:`open` returns into ``into``, a copy later."""
        into[:] = self.open(key, bytes(sealed), context=context)


def _nonce() -> int:
    return 1 + secrets.randbelow(sm2.N - 1)
