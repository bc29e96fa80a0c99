"""Admission tokens: compact JWS (RFC 7515) signed with the algorithm of the issuer's key, Ed25519 (RFC 8037, RFC 9864) or SM2."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, assert_never

from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import Algorithm, PublicKey, Signer, is_signed_by, sm2, suite_of
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.text import Text
from chengshu.live.model import Admission, Shift

_TYPE = "chengshu-admission+jwt"
_CLAIMS = {
    "iss": str,
    "sub": str,
    "jti": str,
    "nbf": int,
    "exp": int,
    "permit": str,
    "digest": str,
    "type": str,
    "sw": str,
    "operator": str,
}
MAX_TOKEN_CHARS = 4096


def sign_token(admission: Admission, signer: Signer) -> str:
    """Return the token of an admission; the key is asked to sign, it is never taken out of its signer."""
    header = {"alg": signer.public_key.algorithm.value, "typ": _TYPE, "kid": key_id(signer.public_key)}
    signed = f"{_encoded(canonical(header))}.{_encoded(canonical(admission.claims()))}"
    return f"{signed}.{_encoded(signer.sign(signed.encode('ascii')))}"


def read_token(token: str, issuer_key: PublicKey) -> Admission:
    """Return what a token says, after its signature by ``issuer_key`` was checked; raise Unidentified with why it was not believed.

    The algorithm is ours to choose, not the token's: a header that names another one, or none, is refused (RFC 8725 3.1).
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARS:
        raise _unbelieved("malformed", "three parts of base64url", "something else")
    header, claims = _object(parts[0]), _object(parts[1])
    if header.get("alg") != issuer_key.algorithm or header.get("typ") != _TYPE or "crit" in header:
        raise _unbelieved("algorithm", f"a {_TYPE} signed with {issuer_key.algorithm}", "another type or algorithm")
    if header.get("kid") != key_id(issuer_key):
        raise _unbelieved("issuer", "a signature by the permit's issuer", "one by another key")
    if not is_signed_by(issuer_key, signature=_decoded(parts[2]), message=f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise _unbelieved("signature", "a signature that matches the token", "a forged or altered one")
    return _admission(claims)


def key_id(public_key: PublicKey) -> str:
    """Return the key's JWK thumbprint (RFC 7638) as base64url, made with the hash of the key's profile."""
    match public_key.algorithm:
        case Algorithm.ED25519:
            jwk = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(public_key.raw)}
        case Algorithm.SM2:
            x, y = (_encoded(number.to_bytes(32, "big")) for number in sm2.decompress(public_key.raw))
            jwk = {"crv": "SM2", "kty": "EC", "x": x, "y": y}
        case _ as never:
            assert_never(never)
    return _encoded(suite_of(public_key.algorithm).hash(canonical(jwk)))


def _admission(claims: dict[str, Any]) -> Admission:
    if claims.keys() != _CLAIMS.keys() or any(type(claims[name]) is not kind for name, kind in _CLAIMS.items()):
        raise _unbelieved("claims", "the claims of an admission", "others")
    try:
        not_before, expires = (datetime.fromtimestamp(claims[name], UTC) for name in ("nbf", "exp"))
    except (OverflowError, OSError, ValueError) as error:
        raise _unbelieved("claims", "times in seconds", "numbers beyond the calendar") from error
    shift = Shift(claims["permit"], claims["sub"], claims["type"], claims["sw"], claims["operator"])
    return Admission(claims["jti"], claims["iss"], shift, claims["digest"], not_before, expires)


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError) as error:
        raise _unbelieved("malformed", "a JSON object", "something else") from error
    if not isinstance(value, dict):
        raise _unbelieved("malformed", "a JSON object", "another JSON value")
    return value


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(part: str) -> bytes:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unbelieved("malformed", "base64url", "something else") from error
    if _encoded(data) != part:  # one token, one spelling: otherwise an altered last character would still pass
        raise _unbelieved("malformed", "base64url in its one spelling", "another spelling")
    return data


def _unbelieved(why: str, expected: str, got: str) -> Unidentified:
    return Unidentified(
        f"token.{why}",
        f"admission token: expected {expected}, got {got}",
        hint=Text("Ask the issuer of the permit for a token.", "请向许可发放机关申请准入令牌。"),
    )
