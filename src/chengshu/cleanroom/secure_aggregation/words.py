"""Numbers that wrap round, so that a masked one looks like any other: vectors of whole numbers of 64 bits, and of 128."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray[tuple[int], np.dtype[np.uint64]]
WORD_BYTES = 8
_WORD_BITS = 64
_WORD = (1 << _WORD_BITS) - 1
_ON_THE_WIRE = "<u8"


@dataclass(frozen=True, slots=True)
class Size:
    """How many numbers of 64 bits a vector has, and how many of 128."""

    narrow: int
    wide: int

    @property
    def bytes(self) -> int:
        """How long the vector is on the wire."""
        return (self.narrow + 2 * self.wide) * WORD_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """A vector: ``narrow`` modulo 2**64, and the lower and upper halves of numbers modulo 2**128."""

    narrow: Array
    lower: Array
    upper: Array

    @property
    def size(self) -> Size:
        """Return how many numbers of each width there are."""
        return Size(len(self.narrow), len(self.lower))

    @classmethod
    def of(cls, narrow: Sequence[int], wide: Sequence[int]) -> "Words":
        """Return the vector of these numbers, those below zero from the top."""
        return cls(_array(narrow), _array(wide), _array([one >> _WORD_BITS for one in wide]))

    @classmethod
    def joined(cls, parts: Sequence["Words"]) -> "Words":
        """Return one vector of all the numbers of ``parts``, in their order."""
        return cls(*(np.concatenate([getattr(one, half) for one in parts]) for half in ("narrow", "lower", "upper")))

    def picked(self, some: Sequence[bool]) -> "Words":
        """Return the numbers whose place is in ``some``; of a vector that has numbers of one width alone."""
        keep = np.array(some, dtype=np.bool_)
        return Words(*(one[keep] if len(one) else one for one in (self.narrow, self.lower, self.upper)))

    @classmethod
    def parse(cls, raw: bytes, size: Size) -> "Words":
        """Return the vector of ``size`` that :meth:`as_bytes` wrote; raise ValueError for bytes of another length."""
        if len(raw) != size.bytes:
            raise ValueError(f"expected {size.bytes} bytes, got {len(raw)}")
        words = np.frombuffer(raw, dtype=_ON_THE_WIRE).astype(np.uint64)
        middle = size.narrow + size.wide
        return cls(words[: size.narrow], words[size.narrow : middle], words[middle:])

    def as_bytes(self) -> bytes:
        """Return the vector as it goes over the wire: little-endian words, the narrow ones first, then the lower halves, then the upper."""
        return np.concatenate([self.narrow, self.lower, self.upper]).astype(_ON_THE_WIRE).tobytes()

    def plus(self, other: "Words") -> "Words":
        """Return the sum, number by number; vectors are of one size."""
        lower = self.lower + other.lower
        carried = (lower < self.lower).astype(np.uint64)
        return Words(self.narrow + other.narrow, lower, self.upper + other.upper + carried)

    def minus(self, other: "Words") -> "Words":
        """Return the difference, number by number; vectors are of one size."""
        borrowed = (self.lower < other.lower).astype(np.uint64)
        return Words(self.narrow - other.narrow, self.lower - other.lower, self.upper - other.upper - borrowed)

    def numbers(self) -> tuple[list[int], list[int]]:
        """Return the narrow and the wide numbers, those of the upper half of the range below zero."""
        wide = [(upper << _WORD_BITS) + lower for lower, upper in zip(self.lower.tolist(), self.upper.view(np.int64).tolist(), strict=True)]
        return self.narrow.view(np.int64).tolist(), wide


def _array(numbers: Sequence[int]) -> Array:
    return np.fromiter((one & _WORD for one in numbers), dtype=np.uint64, count=len(numbers))
