"""SM2 private keys as PKCS #8 PEM (RFC 5958, RFC 5915), as ``openssl pkey`` reads and writes them."""

import base64
import binascii
import re

from chengshu.kernel.crypto import sm2

_HEAD = bytes.fromhex("30818702010030130607 2a8648ce3d0201 0608 2a811ccf5501822d 046d306b0201010420")
"""Everything in front of the private key: version 0, id-ecPublicKey (1.2.840.10045.2.1) on sm2p256v1 (1.2.156.10197.1.301)."""

_MIDDLE = bytes.fromhex("a14403420004")
"""What stands between the private key and the uncompressed public one."""

_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*")


def sm2_pem(private_key: int) -> bytes:
    """Return an SM2 private key, with its public key, as unencrypted PKCS #8 PEM."""
    x, y = sm2.public_point(private_key)
    der = _HEAD + private_key.to_bytes(32, "big") + _MIDDLE + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    text = base64.b64encode(der).decode()
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""]).encode()


def sm2_private_key(pem: bytes) -> int | None:
    """Return the SM2 private key in a PEM file; None for any other content, and for a public key that is not the private one's."""
    found = _PEM.fullmatch(pem)
    if found is None:
        return None
    try:
        der = base64.b64decode(b"".join(found[1].split()), validate=True)
    except binascii.Error:
        return None
    private_key = int.from_bytes(der[len(_HEAD) : len(_HEAD) + 32], "big")
    if not (der.startswith(_HEAD) and 1 <= private_key <= sm2.N - 2):
        return None
    x, y = sm2.public_point(private_key)
    rest = _MIDDLE + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    return private_key if der[len(_HEAD) + 32 :] == rest else None
