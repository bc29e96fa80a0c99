"""Two profiles of cryptography behind one interface: the international one and the national one (国密), chosen for a whole space."""

from collections.abc import Mapping
from types import MappingProxyType

from chengshu.kernel.crypto.hashing import NewHash, RunningHash
from chengshu.kernel.crypto.international import International, MemorySigner
from chengshu.kernel.crypto.national import National, Sm2MemorySigner
from chengshu.kernel.crypto.suite import NOT_CERTIFIED, Algorithm, PublicKey, Signer, Suite

__all__ = [
    "INTERNATIONAL",
    "NATIONAL",
    "NOT_CERTIFIED",
    "SUITES",
    "Algorithm",
    "MemorySigner",
    "NewHash",
    "PublicKey",
    "RunningHash",
    "Signer",
    "Sm2MemorySigner",
    "Suite",
    "is_signed_by",
    "suite_of",
]

INTERNATIONAL: Suite = International()
NATIONAL: Suite = National()
SUITES: Mapping[str, Suite] = MappingProxyType({suite.name: suite for suite in (INTERNATIONAL, NATIONAL)})
"""Every profile, by the name that settings carry."""

_BY_ALGORITHM = {suite.algorithm: suite for suite in SUITES.values()}


def suite_of(algorithm: Algorithm) -> Suite:
    """Return the profile whose keys sign with ``algorithm``."""
    return _BY_ALGORITHM[algorithm]


def is_signed_by(public_key: PublicKey, *, signature: bytes, message: bytes) -> bool:
    """Say whether ``signature`` over ``message`` was made by the holder of ``public_key``, by the key's own algorithm."""
    return suite_of(public_key.algorithm).is_signed_by(public_key, signature=signature, message=message)
