"""Signed claims: compact JWS (RFC 7515) with the algorithms that are listed here and no others.

``none`` and every shared-key algorithm are unknown words: a public key is never taken for a secret.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

from chengshu.identity.claims.faults import fault

MAX_LENGTH = 64 * 1024
MAX_TEXT = 16 * 1024
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_CURVES: Mapping[str, tuple[str, ec.EllipticCurve, HashAlgorithm, int]] = {
    "ES256": ("P-256", ec.SECP256R1(), SHA256(), 32),
    "ES384": ("P-384", ec.SECP384R1(), SHA384(), 48),
}
"""RFC 7518 section 3.4: curve, hash, and the bytes of each half of a signature."""

_EDWARDS = frozenset({"EdDSA", "Ed25519"})
"""RFC 8037, and RFC 9864, which gives the one curve meant here a name of its own."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A token taken apart; nothing in it is believed before :func:`check_signature`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def text(self, claim: str) -> str | None:
        """Return a claim that is a text of sensible length that a database keeps (no NUL, no lone surrogate), None for anything else."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable() else None

    def moment(self, claim: str) -> int | None:
        """Return a claim that is a number of seconds (RFC 7519 NumericDate), None where there is none; a fault for another kind."""
        value = self.claims.get(claim)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**37:
            raise fault("malformed", f"expected {claim} to be a number of seconds, got another kind of value")
        return int(value)


def read(token: str) -> Signed:
    """Return the parts of a compact JWS with an algorithm of the list; a fault for every other text."""
    form = _FORM.fullmatch(token) if len(token) <= MAX_LENGTH else None
    if form is None:
        raise fault("malformed", "expected a compact JWS, got another form")
    header, claims = _object(form[1]), _object(form[2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in {*_CURVES, *_EDWARDS}:
        raise fault("algorithm", f"expected one of {', '.join(sorted([*_CURVES, *_EDWARDS]))}, got another algorithm")
    if "crit" in header or header.get("b64", True) is not True:
        raise fault("malformed", "expected a header without critical extensions, got one with")
    return Signed(header, claims, f"{form[1]}.{form[2]}".encode(), _bytes(form[3]))


def check_signature(token: Signed, jwk: Mapping[str, Any]) -> None:
    """Return where the key made the signature by the algorithm that the header names; a fault otherwise."""
    algorithm = str(token.header["alg"])
    try:
        if algorithm in _EDWARDS:
            _edwards_key(jwk).verify(token.signature, token.signed)
        else:
            _check_ecdsa(token, jwk, algorithm)
    except (InvalidSignature, ValueError, KeyError, TypeError) as error:
        raise fault("signature", "expected a signature by the key that the header names, got another") from error


def _check_ecdsa(token: Signed, jwk: Mapping[str, Any], algorithm: str) -> None:
    name, curve, hashing, size = _CURVES[algorithm]
    if (jwk["kty"], jwk["crv"]) != ("EC", name) or len(token.signature) != 2 * size:
        raise ValueError("another kind of key or signature")
    x, y = (int.from_bytes(_bytes(str(jwk[part])), "big") for part in ("x", "y"))
    r, s = (int.from_bytes(half, "big") for half in (token.signature[:size], token.signature[size:]))
    key = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()  # ValueError for what is no point of the curve
    key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(hashing))


def _edwards_key(jwk: Mapping[str, Any]) -> Ed25519PublicKey:
    if (jwk["kty"], jwk["crv"]) != ("OKP", "Ed25519"):
        raise ValueError("another kind of key")
    return Ed25519PublicKey.from_public_bytes(_bytes(str(jwk["x"])))


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(_bytes(part), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise fault("malformed", "expected JSON in header and claims, got something else") from error
    if not isinstance(value, dict):
        raise fault("malformed", "expected a JSON object in header and claims, got another kind")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name that comes twice")
    return fields


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise fault("malformed", "expected base64url, got another text") from error
