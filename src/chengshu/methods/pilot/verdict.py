"""Three-valued results: what a rule says of every tick, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


class Result(StrEnum):
    """What is proven about a rule."""

    COMPLIANT = "COMPLIANT"
    VIOLATION = "VIOLATION"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Case:
    """One outcome: the result, its reason code, and for an UNKNOWN by missing data whose data is missing."""

    result: Result
    reason: str
    missing_from: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Row ``of[i]`` of ``cases`` applies to tick i; ``since_ms`` moves the begin of an episode before its first tick."""

    of: NDArray[np.int16]
    cases: tuple[Case, ...]
    since_ms: NDArray[np.int64] | None = None


Branch = tuple[Flags | bool, Case]


def compliant(reason: str) -> Case:
    """Return a case that nothing is wrong."""
    return Case(Result.COMPLIANT, reason)


def violation(reason: str) -> Case:
    """Return a case that the rule is broken, beyond doubt."""
    return Case(Result.VIOLATION, reason)


def unknown(reason: str, missing_from: str | None = None) -> Case:
    """Return a case that nothing can be said."""
    return Case(Result.UNKNOWN, reason, missing_from)


def first_of(n: int, branches: Sequence[Branch], *, otherwise: Case, since_ms: NDArray[np.int64] | None = None) -> Verdict:
    """Return, for each of ``n`` ticks, the first branch whose flag is set."""
    of = np.full(n, len(branches), dtype=np.int16)
    for i in range(len(branches) - 1, -1, -1):
        of[np.broadcast_to(branches[i][0], n)] = i
    return Verdict(of, (*(case for _, case in branches), otherwise), since_ms)
