"""Signed tokens as they are written: the compact form of a JWS (RFC 7515), with head and claims in canonical JSON."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from chengshu.kernel.canonical import canonical


def compact(head: Mapping[str, Any], claims: Mapping[str, Any], *, sign: Callable[[bytes], bytes]) -> str:
    """Return the compact JWS of some claims under a head; ``sign`` makes the signature that the head's ``alg`` means."""
    signed = f"{base64url(canonical(dict(head)))}.{base64url(canonical(dict(claims)))}"
    return f"{signed}.{base64url(sign(signed.encode()))}"


def base64url(raw: bytes) -> str:
    """Return bytes in base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
