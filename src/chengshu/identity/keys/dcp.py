"""The key of a node in the Decentralized Claims Protocol: P-256, which every wallet reads, whatever the profile of the node's own key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from chengshu.identity.compact import base64url, compact
from chengshu.kernel.errors import Invalid
from chengshu.kernel.secret_files import others_may_read, put_secret
from chengshu.kernel.text import Text

FILE_NAME = "dcp.key"


class DcpKey:
    """``dcp.key`` (PKCS #8 PEM, mode 0600) in a node's ``keys`` folder, made at the first use; signs tokens by ES256."""

    def __init__(self, folder: Path, *, did: str) -> None:
        path = folder / FILE_NAME
        self.did = did
        self.kid = f"{did}#dcp"
        if not path.exists():
            fresh = generate_private_key(SECP256R1())
            put_secret(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._key = _loaded(path)

    def public_jwk(self) -> Mapping[str, Any]:
        """Return the public key (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x.to_bytes(32, "big")), "y": base64url(numbers.y.to_bytes(32, "big"))}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a compact JWS of the claims."""
        return compact({"alg": "ES256", "kid": self.kid, "typ": "JWT"}, claims, sign=self._signature)

    def _signature(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _loaded(path: Path) -> EllipticCurvePrivateKey:
    if others_may_read(path):
        raise Invalid(
            "identity.key-readable",
            f"expected {path} to be readable by its owner only, got one that others may read",
            hint=Text(f"Run 'chmod 600 {path}'.", f"请运行 chmod 600 {path}。"),
        )
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise _broken(path) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise _broken(path)
    return key


def _broken(path: Path) -> Invalid:
    return Invalid(
        "identity.key-broken",
        f"expected a P-256 private key as unencrypted PKCS #8 PEM in {path}, got something else",
        hint=Text("Restore the file from your backup.", "请从备份恢复该文件。"),
    )
