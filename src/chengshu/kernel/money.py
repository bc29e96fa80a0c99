"""Money is whole 分 (fen); it is split by largest remainder so that the parts add up to the whole."""

from collections.abc import Mapping
from fractions import Fraction
from typing import NewType

Fen = NewType("Fen", int)


def yuan(amount: Fen) -> str:
    """Return an amount as yuan text with two decimals and the sign before the currency mark (``-¥1,234.05``)."""
    sign = "-" if amount < 0 else ""
    whole, cents = divmod(abs(amount), 100)
    return f"{sign}¥{whole:,}.{cents:02d}"


def split_by_largest_remainder(total: Fen, weights: Mapping[str, Fraction]) -> dict[str, Fen]:
    """Split ``total`` in proportion to non-negative ``weights``; the parts sum to ``total`` exactly.

    Floors first, then one fen each to the largest remainders, ties by name (Hamilton's method), so that
    every party that recomputes it gets the same parts. Raises ValueError when no weight is positive, one is
    negative, or ``total`` is.
    """
    if total < 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError("expected a non-negative total and non-negative weights")
    whole = sum(weights.values(), Fraction(0))
    if whole == 0:
        raise ValueError("expected at least one positive weight")
    exact = {name: total * weight / whole for name, weight in weights.items()}
    parts = {name: int(share) for name, share in exact.items()}
    left = total - sum(parts.values())
    for name in sorted(exact, key=lambda name: (parts[name] - exact[name], name))[:left]:
        parts[name] += 1
    return {name: Fen(part) for name, part in parts.items()}
