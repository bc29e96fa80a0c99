"""Participant ids as ``did:key`` of an Ed25519 key, and what is known of a party."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"
_PREFIX = "did:key:z"


@dataclass(frozen=True, slots=True)
class Party:
    """One participant that this node's operator decided to know: a pinned id and the one address it is reached at.

    ``handle`` is the party's part of ``party.product`` in questions; None for a connector that asks none. ``address`` is its
    versioned Dataspace Protocol base URL (``https://host/2025-1``), without a trailing slash.
    """

    did: str
    name_en: str
    name_zh: str
    address: str
    roles: tuple[str, ...]
    added_at: datetime
    handle: str | None = None

    def owns(self, url: str) -> bool:
        """Say whether ``url`` has this party's scheme, host and port, so that nobody can make us call a stranger."""
        return _origin(url) == _origin(self.address)


def did_key(public_key: bytes) -> str:
    """Return the ``did:key`` of 32 raw Ed25519 public-key bytes (W3C CCG did:key, multicodec 0xed01, base58btc)."""
    return _PREFIX + base58_encode(_ED25519 + public_key)


def public_key_of(did: str) -> bytes:
    """Return the 32 raw public-key bytes that ``did`` is made of; raise Invalid for any other kind of id."""
    raw = base58_decode(did.removeprefix(_PREFIX)) if did.startswith(_PREFIX) else None
    if raw is None or len(raw) != 34 or not raw.startswith(_ED25519):
        raise Invalid(
            "identity.did",
            "expected did:key:z6Mk… of an Ed25519 key, got another kind of text",
            hint=Text(
                "Ask the party for the id that its node prints with 'chengshu doctor'.",
                "请向对方索取其节点用 chengshu doctor 打印的身份标识。",
            ),
        )
    return raw[2:]


def base58_encode(raw: bytes) -> str:
    """Return ``raw`` in base58btc, leading zero bytes as ``1`` (draft-msporny-base58)."""
    number = int.from_bytes(raw, "big")
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 58)
        digits.append(_ALPHABET[rest])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def base58_decode(text: str) -> bytes | None:
    """Return the bytes that :func:`base58_encode` wrote, or None where ``text`` is not base58btc."""
    if len(text) > 256 or any(character not in _ALPHABET for character in text):
        return None
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def checked_address(address: str) -> str:
    """Return a party's address without its trailing slash; raise Invalid for what is not a plain http(s) URL."""
    if _origin(address) is None or urlsplit(address).query or urlsplit(address).fragment:
        raise Invalid(
            "identity.address",
            "expected a URL such as https://host:port/2025-1 without user, query or fragment, got another kind of text",
            hint=Text("Give the party's versioned Dataspace Protocol address.", "请填写对方带版本号的数据空间协议地址。"),
        )
    return address.rstrip("/")


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return (parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))
