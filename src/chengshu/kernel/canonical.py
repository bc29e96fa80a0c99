"""One byte string for one JSON value (RFC 8785), and digests that say their own hash."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import rfc8785

from chengshu.kernel.crypto import SUITES, Suite
from chengshu.kernel.errors import Conflict, Invalid
from chengshu.kernel.text import Text

HASH_NAMES = {suite.hash_name: suite.name for suite in SUITES.values()}
"""The profile that each digest prefix belongs to."""

MAX_EXACT_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785 section 3.2.2.3, RFC 7493 section 2.2)."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)
_FIRST_SURROGATE = "\ud800"


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value; raise Invalid for what JSON cannot carry exactly."""
    try:
        return _ENCODER.encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(
            "canonical.not-json",
            f"expected a value that JSON carries exactly, got {type(value).__name__}",
            hint=Text(
                "Use strings for large integers, decimals and times; no NaN, no infinity.",
                "大整数、小数与时间请用字符串表示；不得含 NaN 或无穷大。",
            ),
        ) from error


def _is_plain(value: Any) -> bool:
    """Whether Python's own encoder, which is written in C, gives the bytes of RFC 8785.

    It does without floats (section 3.2.2.3 writes them as ECMAScript does), for integers that JSON carries exactly, and where names sort by
    code point as they do by UTF-16 unit (section 3.2.3): below the surrogates both orders are one.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER)
    if kind is dict:
        for name, inner in value.items():
            if type(name) is not str or not (name.isascii() or max(name) < _FIRST_SURROGATE) or not _is_plain(inner):
                return False
        return True
    return (kind is list or kind is tuple) and all(map(_is_plain, value))


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests with the hash of one profile: ``sha256:`` or ``sm3:`` and 64 lower-case hexadecimal digits."""

    suite: Suite

    def of(self, value: Any) -> str:
        """Return the digest of a JSON value's canonical bytes; raise Invalid for what JSON cannot carry exactly."""
        return self.of_bytes(canonical(value))

    def of_bytes(self, data: bytes) -> str:
        """Return the digest of bytes."""
        return f"{self.suite.hash_name}:{self.suite.hash(data).hex()}"

    def of_pieces(self, pieces: Iterable[bytes]) -> str:
        """Return the digest of bytes that come in pieces, so that the whole need not be in memory."""
        running = RunningDigest(self)
        for _ in running.over(pieces):
            pass
        return running.digest()

    def agree(self, expected: str, got: object) -> bool:
        """Say whether a digest that came from elsewhere is the one expected; raise Conflict when it is of another profile.

        Digests of two profiles cannot be compared: taking them for different would call an honest party a forger.
        """
        prefix = str(got).partition(":")[0]
        if prefix != self.suite.hash_name and prefix in HASH_NAMES:
            raise _other_profile(self.suite.name, HASH_NAMES[prefix])
        return expected == got


class RunningDigest:
    """The digest of pieces that are on their way somewhere else."""

    def __init__(self, digests: Digests) -> None:
        self._name = digests.suite.hash_name
        self._running = digests.suite.new_hash(b"")

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces unchanged, taking each into the digest."""
        for piece in pieces:
            self.take(piece)
            yield piece

    def take(self, piece: bytes | memoryview) -> None:
        """Take one more piece into the digest."""
        self._running.update(piece)

    def digest(self) -> str:
        """Return the digest of the pieces so far."""
        return f"{self._name}:{self._running.hexdigest()}"


def plain(digest: str) -> str:
    """Return a digest's hexadecimal digits without the prefix that says the hash."""
    return digest.rpartition(":")[2]


def _other_profile(expected: str, got: str) -> Conflict:
    """Say that two digests are of different profiles: they cannot be compared, which is not the same as being different."""
    return Conflict(
        "crypto.other-profile",
        f"expected a digest of the {expected} profile, got one of the {got} profile",
        hint=Text(
            "Both sides must be of one space: compare [space] cryptography in both nodes' chengshu.toml.",
            "双方须属于同一空间：请比对两个节点 chengshu.toml 中 [space] 的 cryptography 设置。",
        ),
        facts={"expected": expected, "got": got},
    )
