"""Sums as whole numbers: of 64 bits as they are, of 128 with the last 52 behind the point, so that one of doubles is exact to 2**-52."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from chengshu.cleanroom.secure_aggregation.words import Words

Numbers = np.ndarray[tuple[int], np.dtype[Any]]
_FRACTION_BITS = 52
_WORD_BITS = 64
_ABOVE = _WORD_BITS - _FRACTION_BITS
"""So many bits of what is before the point are in the lower word."""
_LARGEST_NARROW = 2**56
_LARGEST_WIDE = 2**68
"""The numbers of 64 holders that are below these add up to one that fits, with its sign."""
_NONE = np.array([], dtype=np.uint64)


def fitting(values: pa.ChunkedArray, *, is_wide: bool) -> Numbers:
    """Return of each value whether it can be added up: a number that is small enough, or nothing, which is 0."""
    largest = _LARGEST_WIDE if is_wide else _LARGEST_NARROW
    filled = values.fill_null(0)
    if pa.types.is_decimal(values.type):
        return np.array([-largest < one < largest for one in filled.to_pylist()], dtype=np.bool_)
    numbers = filled.to_numpy()
    fits: Numbers = np.isfinite(numbers) & (np.abs(numbers.astype(np.float64)) < largest)
    return fits


def words_of(values: pa.ChunkedArray, *, is_wide: bool) -> Words:
    """Return values that are fitting as numbers of one width."""
    filled = values.fill_null(0)
    if pa.types.is_decimal(values.type):
        listed = filled.to_pylist()
        if all(one == one.to_integral_value() and abs(one) < 2**62 for one in listed):
            return _whole(np.array([int(one) for one in listed], dtype=np.int64), is_wide=is_wide)
        return Words.of([], [_rounded(one) for one in listed])
    numbers = filled.to_numpy()
    return _doubles(numbers) if np.issubdtype(numbers.dtype, np.floating) else _whole(numbers.astype(np.int64), is_wide=is_wide)


def numbers_of(lower: Numbers, upper: Numbers, *, is_whole: bool) -> Numbers:
    """Return what numbers of 128 bits stand for: doubles, or whole numbers, as Python's own where they do not fit into 64 bits."""
    above = upper.view(np.int64)
    if not is_whole:
        size = _signed(Words(_NONE, lower, upper), above < 0)
        doubles: Numbers = size.upper.astype(np.float64) * 2.0**_ABOVE + size.lower.astype(np.float64) * 2.0**-_FRACTION_BITS
        return np.where(above < 0, -doubles, doubles)
    if bool(np.all(np.abs(above) < 2 ** (_WORD_BITS - 2 - _ABOVE))):
        return (above << _ABOVE) + (lower >> np.uint64(_FRACTION_BITS)).astype(np.int64)
    pairs = zip(above.tolist(), lower.tolist(), strict=True)
    return np.array([(high << _ABOVE) + (low >> _FRACTION_BITS) for high, low in pairs], dtype=np.object_)


def _whole(numbers: Numbers, *, is_wide: bool) -> Words:
    if not is_wide:
        return Words(numbers.view(np.uint64), _NONE, _NONE)
    return Words(_NONE, numbers.view(np.uint64) << np.uint64(_FRACTION_BITS), (numbers >> _ABOVE).view(np.uint64))


def _doubles(numbers: Numbers) -> Words:
    """Each step but the last rounding is exact: to scale by a power of two, and to subtract what lies above a place from a size."""
    size = np.abs(numbers)
    above = np.floor(size * 2.0**-_ABOVE)
    rest = np.rint((size - above * 2.0**_ABOVE) * 2.0**_FRACTION_BITS)
    return _signed(Words(_NONE, rest.astype(np.uint64), above.astype(np.uint64)), numbers < 0)


def _signed(words: Words, are_negative: Numbers) -> Words:
    """The numbers of 128 bits with another sign where these are negative."""
    zeros = np.zeros(len(words.lower), dtype=np.uint64)
    negated = Words(_NONE, zeros, zeros).minus(words)
    return Words(_NONE, np.where(are_negative, negated.lower, words.lower), np.where(are_negative, negated.upper, words.upper))


def _rounded(value: Decimal) -> int:
    fixed: int = round(Fraction(value) * 2**_FRACTION_BITS)
    return fixed
