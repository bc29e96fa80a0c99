"""Whether a credential was revoked or suspended: StatusList2021 and Bitstring Status List 1.0."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

from chengshu.identity.claims.credential import Credential
from chengshu.identity.claims.faults import fault

ENTRIES = frozenset({"StatusList2021Entry", "BitstringStatusListEntry"})
ENDING = frozenset({"revocation", "suspension"})
MAX_LIST_BYTES = 8 * 1024 * 1024
"""The largest list once it is unpacked: a list is compressed a thousandfold, and so would be a bomb."""


def list_of(entry: Mapping[str, Any]) -> str | None:
    """Return where the list of a status entry is, None where its purpose ends no credential; a fault for an entry of another kind."""
    if entry.get("type") not in ENTRIES:
        raise fault("status", "expected a status of a kind that is known here, got another")
    if entry.get("statusPurpose") not in ENDING:
        return None
    where = entry.get("statusListCredential")
    if not isinstance(where, str) or not where:
        raise fault("status", "expected the address of a status list, got none")
    return where


def check_status(entry: Mapping[str, Any], published: Credential) -> None:
    """Return where ``entry`` is not set in the ``published`` list, whose signature holds; a fault otherwise.

    Bits count from the left of the first byte (StatusList2021 section 3.2, Bitstring Status List section 3.3).
    """
    (subject, *more) = published.subjects() or [{}]
    purposes = subject.get("statusPurpose")
    if more or entry["statusPurpose"] not in (purposes if isinstance(purposes, list) else [purposes]):
        raise fault("status", "expected a status list for the purpose of the entry, got another")
    bits = _unpacked(subject.get("encodedList"))
    index = _index(entry.get("statusListIndex"))
    if index >= len(bits) * 8:
        raise fault("status", "expected an index within the status list, got one beyond")
    if bits[index // 8] >> (7 - index % 8) & 1:
        raise fault("revoked", "expected a credential that is not revoked or suspended, got one that is")


def _index(value: Any) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise fault("status", "expected the number of a place in a status list, got something else")
    return int(text)


def _unpacked(encoded: Any) -> bytes:
    """A list as it was before it was compressed and encoded, base64url or, with a leading ``u``, multibase."""
    if not isinstance(encoded, str) or not encoded.isascii():
        raise fault("status", "expected an encoded status list, got something else")
    text = encoded.removeprefix("u").rstrip("=").replace("+", "-").replace("/", "_")
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        bits = unpacking.decompress(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True), MAX_LIST_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise fault("status", "expected a compressed status list, got something else") from error
    if not unpacking.eof:
        raise fault("status", f"expected a whole status list of at most {MAX_LIST_BYTES} bytes, got another")
    return bits
