"""The sign of a turn, exactly: the one predicate on which every border decision rests."""

import numpy as np
from numba import njit

# Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates", bound A of orient2d.
_EPSILON = 2.0**-53
_BOUND = (3.0 + 16.0 * _EPSILON) * _EPSILON
_SPLITTER = 2.0**27 + 1.0


@njit(cache=True)
def orientation(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    """Return 1, 0 or −1 as c lies left of, on or right of the line from a to b; exact for every double that does not overflow.

    A floating-point filter answers almost always; where its error bound does not settle the sign, the six products
    are expanded without rounding error and summed as a non-overlapping expansion (Shewchuk 1997).
    """
    left = (ax - cx) * (by - cy)
    right = (ay - cy) * (bx - cx)
    turn = left - right
    if abs(turn) > _BOUND * (abs(left) + abs(right)):
        return 1 if turn > 0.0 else -1
    if left == 0.0 and right == 0.0:
        return 0
    return _exact_sign(ax, ay, bx, by, cx, cy)


@njit(cache=True)
def _exact_sign(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    terms = np.empty(12)
    terms[0], terms[1] = _product(ax, by)
    terms[2], terms[3] = _product(-ax, cy)
    terms[4], terms[5] = _product(-cx, by)
    terms[6], terms[7] = _product(-ay, bx)
    terms[8], terms[9] = _product(ay, cx)
    terms[10], terms[11] = _product(cy, bx)
    expansion = np.zeros(12)
    for used in range(12):
        carry = terms[used]
        for i in range(used):
            carry, expansion[i] = _sum(carry, expansion[i])
        expansion[used] = carry
    for i in range(11, -1, -1):  # components grow in magnitude and do not overlap: the last one that is not zero has the sign
        if expansion[i] > 0.0:
            return 1
        if expansion[i] < 0.0:
            return -1
    return 0


@njit(cache=True)
def _sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b as the rounded sum and its rounding error (Knuth)."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


@njit(cache=True)
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a · b as the rounded product and its rounding error (Veltkamp, Dekker)."""
    product = a * b
    c = _SPLITTER * a
    a_high = c - (c - a)
    a_low = a - a_high
    c = _SPLITTER * b
    b_high = c - (c - b)
    b_low = b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
