"""What hides a holder's sums: a mask of its own, and one with every other holder, which the other subtracts.

Who drops out after the others have masked with it leaves its masks in the total. Its key is shared among all (Shamir, CACM 1979), and so is
each one's own mask: of any holder the others give away one of the two, never both.
"""

from collections.abc import Mapping, Sequence

from Crypto.Protocol.SecretSharing import Shamir

from chengshu.cleanroom.secure_aggregation.words import Size, Words
from chengshu.kernel.crypto.suite import Suite

SECRET_BYTES = 32
_HALF = SECRET_BYTES // 2
"""The library shares 128 bits at once."""


def threshold(members: int) -> int:
    """Return how many of so many are needed to find out a secret: more than two thirds, so that fewer than one third that help a lying
    room cannot have it told both secrets of somebody (Bonawitz et al., section 6.2).
    """
    return 2 * members // 3 + 1


def shares(secret: bytes, *, least: int, among: int) -> list[bytes]:
    """Return ``among`` shares of 32 secret bytes, any ``least`` of which give it back, and fewer of which say nothing of it."""
    halves = [Shamir.split(least, among, half, ssss=False) for half in (secret[:_HALF], secret[_HALF:])]
    return [left + right for (_, left), (_, right) in zip(*halves, strict=True)]


def secret_of(found: Mapping[int, bytes], *, least: int) -> bytes:
    """Return the secret of which these are shares, by their place from 0 on; the first ``least`` of them are used."""
    used: Sequence[tuple[int, bytes]] = sorted(found.items())[:least]
    halves = ([(place + 1, share[part]) for place, share in used] for part in (slice(_HALF), slice(_HALF, None)))
    return b"".join(Shamir.combine(half, ssss=False) for half in halves)


def own_mask(suite: Suite, secret: bytes, size: Size) -> Words:
    """Return the mask that a holder alone knows before the end."""
    return _mask(suite, b"own", secret, size)


def shared_mask(suite: Suite, private: bytes, public: bytes, *, about: bytes, size: Size) -> Words:
    """Return the mask that two holders have in common, ``about`` one job and its members, from one's private and the other's public key."""
    return _mask(suite, b"shared " + about, suite.agree(private, public), size)


def paired(words: Words, mask: Words, *, holder: str, other: str) -> Words:
    """Return the holder's ``words`` under the mask that it has in common with ``other``: which of the two adds it goes by their names."""
    return words.plus(mask) if holder < other else words.minus(mask)


def _mask(suite: Suite, label: bytes, secret: bytes, size: Size) -> Words:
    key = suite.hash(b"chengshu secure aggregation, mask, " + label + b"\0" + secret)
    return Words.parse(suite.keystream(key, size.bytes), size)
