"""A block cipher in counter mode as a stream of its own: what both profiles make masks from."""

from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.modes import CTR

_BLOCK_BYTES = 16


def counted(cipher: BlockCipherAlgorithm, length: int) -> bytes:
    """Return ``length`` bytes of the encrypted numbers 0, 1, … of 128 bits."""
    encryptor = Cipher(cipher, CTR(bytes(_BLOCK_BYTES))).encryptor()
    return encryptor.update(bytes(length)) + encryptor.finalize()
