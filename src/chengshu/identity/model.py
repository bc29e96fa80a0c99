"""Participant ids, the schemes by which parties prove who they are, and what is known of a party."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from chengshu.kernel.crypto import Algorithm, PublicKey
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MULTICODECS: Mapping[Algorithm, bytes] = MappingProxyType({Algorithm.ED25519: b"\xed\x01", Algorithm.SM2: b"\x86\x24"})
"""ed25519-pub (0xed) and sm2-pub (0x1206, a compressed point) as unsigned varints; github.com/multiformats/multicodec, table.csv."""

_PREFIX = "did:key:z"
MAX_ID = 512
"""Characters that the id of a party may have."""

CLEAN_ROOM = "clean-room"
"""The role under which a party is listed when its node runs a clean room."""


class Scheme(StrEnum):
    """How a party and this node prove to each other who sent a request."""

    TOKEN = "token"  # noqa: S105  # the scheme's name
    """A token that the party's key signs for each request; its id is the ``did:key`` of that key."""

    STATIC = "static"
    """A secret that both sides share, for closed networks; the id is any text."""

    DCP = "dcp"
    """The Decentralized Claims Protocol; the id is a ``did:web`` or ``did:key``."""


@dataclass(frozen=True, slots=True)
class Party:
    """One participant that this node's operator decided to know: a pinned id and the one address it is reached at.

    ``did`` is its id, of the kind that its ``scheme`` has. ``handle`` is the party's part of ``party.product`` in questions; None for a
    connector that asks none. ``address`` is its versioned Dataspace Protocol base URL (``https://host/2025-1``), without a trailing slash.
    """

    did: str
    name_en: str
    name_zh: str
    address: str
    roles: tuple[str, ...]
    added_at: datetime
    handle: str | None = None
    scheme: Scheme = Scheme.TOKEN

    def owns(self, url: str) -> bool:
        """Say whether ``url`` has this party's scheme, host and port, so that nobody can make us call a stranger."""
        return _origin(url) == _origin(self.address)


def did_key(public_key: PublicKey) -> str:
    """Return the ``did:key`` of a public key (W3C CCG did:key: multicodec, base58btc)."""
    return _PREFIX + base58_encode(_MULTICODECS[public_key.algorithm] + public_key.raw)


def public_key_of(did: str) -> PublicKey:
    """Return the public key that ``did`` is made of, which says its algorithm; raise Invalid for any other kind of id."""
    raw = base58_decode(did.removeprefix(_PREFIX)) if did.startswith(_PREFIX) else None
    for algorithm, codec in _MULTICODECS.items():
        if raw is not None and raw.startswith(codec):
            try:
                return PublicKey(algorithm, raw.removeprefix(codec))
            except Invalid as error:
                raise _no_did() from error
    raise _no_did()


def signs(party_id: str) -> bool:
    """Say whether a party of this id signs agreements: whether its id is the ``did:key`` of a key that a node signs with."""
    try:
        public_key_of(party_id)
    except Invalid:
        return False
    return True


def checked_id(party_id: str, scheme: Scheme) -> str:
    """Return a party's id; raise Invalid where it is not of the kind that its scheme has."""
    match scheme:
        case Scheme.TOKEN:
            public_key_of(party_id)
        case Scheme.STATIC if not (0 < len(party_id) <= MAX_ID and all(unicodedata.category(one)[0] != "C" for one in party_id)):
            raise Invalid(
                "identity.id",
                f"expected an id of 1 to {MAX_ID} characters, none of them a control character, got another text",
                hint=Text("Ask the party for the participant id of its connector.", "请向对方索取其连接器的参与方标识。"),
            )
        case Scheme.DCP if not (party_id.startswith(("did:web:", _PREFIX)) and len(party_id) <= MAX_ID and party_id.isascii()):
            raise Invalid(
                "identity.did-method",
                f"expected a did:web or did:key of at most {MAX_ID} characters, got another kind of text",
                hint=Text("Ask the party for the DID of its wallet.", "请向对方索取其凭证钱包的 DID。"),
            )
        case _:
            pass
    return party_id


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


def _no_did() -> Invalid:
    return Invalid(
        "identity.did",
        "expected did:key:z… of an Ed25519 or SM2 key, got another kind of text",
        hint=Text(
            "Ask the party for the id that its node prints with 'chengshu node show'.",
            "请向对方索取其节点用 chengshu node show 打印的身份标识。",
        ),
    )


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return (parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))
