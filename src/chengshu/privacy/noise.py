"""Noise by OpenDP's discrete Gaussian (Canonne, Kamath & Steinke 2020), drawn by the library from the operating system's own source.

OpenDP is an extra (``dp``): where it is not installed, :func:`is_installed` says so and nothing here may be called. Whole numbers in, whole
numbers out; every measurement's own privacy map is asked before it is used, so that what is spent is what the library proves.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

LARGEST = 2**62
"""Values beyond this are taken for it, in either direction: no two values are farther apart for it."""


def is_installed() -> bool:
    """Whether OpenDP is there."""
    return find_spec("opendp") is not None


def library() -> str:
    """Return the library's name and version, for receipts."""
    try:
        return f"opendp {version('opendp')}"
    except PackageNotFoundError:
        return "opendp"


def noisy(values: Sequence[int], *, sensitivity_squared: int, rho: Fraction) -> list[int]:
    """Return ``values`` with noise such that all of them together cost ``rho`` where one unit changes them by sensitivity in L2."""
    if not values:
        return []
    measurement = _gaussian(sensitivity_squared, rho)
    found: list[int] = measurement([max(-LARGEST, min(LARGEST, value)) for value in values])
    return found


def noisy_keys(counts: Sequence[int], *, most_keys: int, rho: Fraction, delta: Fraction, least: int) -> dict[int, int]:
    """Return the places of those ``counts`` of units that are large enough to be seen, with noise (a stable histogram).

    One unit is in at most ``most_keys`` of the counts, once in each. Places whose noisy count is below ``least``, or below what hides
    with probability ``1 - delta`` whether a single unit made them, are not in the answer.
    """
    scale = _scale(most_keys, rho)
    measurement = _thresholded(scale, threshold=max(least, _threshold(most_keys, scale, rho, delta)))
    found: dict[int, int] = measurement(dict(enumerate(counts)))
    return found


def deviation(sensitivity_squared: int, rho: Fraction) -> float:
    """Return the scale of the noise that :func:`noisy` adds, close to its standard deviation."""
    return _scale(sensitivity_squared, rho)


def epsilon(rho: Fraction, *, at_delta: Fraction) -> float:
    """Return an epsilon such that rho-zCDP is (epsilon, at_delta)-DP (Bun & Steinke 2016, proposition 1.3): for information only."""
    amount = float(rho)
    return amount + 2 * math.sqrt(amount * math.log(1 / float(at_delta)))


def _scale(sensitivity_squared: int, rho: Fraction) -> float:
    """The least scale, rounded up, for which the Gaussian mechanism costs at most rho: sensitivity² / (2 scale²) (CKS20, theorem 4)."""
    return math.nextafter(math.sqrt(sensitivity_squared / (2 * _down(rho))) * (1 + 1e-12), math.inf)


def _gaussian(sensitivity_squared: int, rho: Fraction) -> Any:
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    measurement = dp.m.make_gaussian(*space, scale=_scale(sensitivity_squared, rho))
    _check(measurement.map(_root(sensitivity_squared)), rho)
    return measurement


def _thresholded(scale: float, *, threshold: int) -> Any:
    dp = _opendp()
    space = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64")), dp.l02inf_distance(dp.absolute_distance(T="i64"))
    return dp.m.make_gaussian_threshold(*space, scale=scale, threshold=threshold)


def _threshold(most_keys: int, scale: float, rho: Fraction, delta: Fraction) -> int:
    """The least threshold whose measurement, by the library's own account, costs at most rho and delta."""
    low, high = 2, 2
    while not _is_within(most_keys, scale, high, rho, delta):
        low, high = high, high * 2
        if high > LARGEST:
            raise _unprovable()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_within(most_keys, scale, middle, rho, delta) else (middle, high)
    return high


def _is_within(most_keys: int, scale: float, threshold: int, rho: Fraction, delta: Fraction) -> bool:
    # L0, L2 and L∞: one unit is in at most so many counts, by one in each; the library takes the tighter of L2 and √L0 · L∞
    spent = _thresholded(scale, threshold=threshold).map((most_keys, most_keys, 1))
    return Fraction(spent[0]) <= rho and Fraction(spent[1]) <= delta


def _check(spent: float, rho: Fraction) -> None:
    if Fraction(spent) > rho:
        raise _unprovable()


def _down(rho: Fraction) -> float:
    """The largest float not above a fraction."""
    value = float(rho)
    return value if Fraction(value) <= rho else math.nextafter(value, 0.0)


def _root(square: int) -> float:
    root = math.sqrt(square)
    return root if Fraction(root) ** 2 >= square else math.nextafter(root, math.inf)


def _opendp() -> Any:
    import opendp.prelude as dp  # noqa: PLC0415  # an extra, large, and only where answers carry noise

    dp.enable_features("contrib")
    return dp


def _unprovable() -> Invalid:
    return Invalid(
        "privacy.unprovable",
        "expected noise whose privacy loss the library proves to be what is charged, got a scale for which it does not",
        hint=Text("Agree on a larger loss for each answer.", "请商定更大的单次隐私损失。"),
    )
