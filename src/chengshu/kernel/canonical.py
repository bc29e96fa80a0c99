"""One byte string for one JSON value (RFC 8785), and its digest."""

import hashlib
from typing import Any

import rfc8785

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value; raise Invalid for what JSON cannot carry exactly."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise Invalid(
            "canonical.not-json",
            f"expected a value that JSON carries exactly, got {type(value).__name__}",
            hint=Text(
                "Use strings for large integers, decimals and times; no NaN, no infinity.",
                "大整数、小数与时间请用字符串表示；不得含 NaN 或无穷大。",
            ),
        ) from error


def sha256_hex(data: bytes) -> str:
    """Return ``sha256:`` and the lower-case hex digest of ``data`` (FIPS 180-4)."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the digest of a JSON value's canonical bytes."""
    return sha256_hex(canonical(value))
