"""How an answer that carries noise is made: what is counted, how much one protected unit can change it, and what each number costs."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from chengshu.cleanroom.model import Privacy

DELTA = Fraction(1, 10**9)
"""With what probability a released group may show that a single unit is there; nothing where the question has no groups."""


@dataclass(frozen=True, slots=True)
class Part:
    """One noisy whole number for each group; ``sensitivity_squared`` is how far one unit moves all groups together, squared (L2).

    The value is in ``steps`` parts of one.
    """

    title: str
    sensitivity_squared: int
    steps: int = 1


@dataclass(frozen=True, slots=True)
class Plain:
    """A measure that is a part; ``is_whole`` says that it is a whole number."""

    part: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Mean:
    """A measure that is one part divided by another, within the bounds of what was averaged."""

    total: int
    count: int
    lower: Decimal
    upper: Decimal


@dataclass(frozen=True, slots=True)
class Protection:
    """The noise of one answer over ``product``, whose units are told apart by ``unit`` (None: each record is one).

    The engine's column ``a`` and n is the n-th part; the first counts units. The question's n-th group is the engine's column ``g`` and
    ``groups[n]``, its n-th measure is ``measures[n]``.
    """

    product: str
    unit: str | None
    privacy: Privacy
    minimum_group: int
    parts: tuple[Part, ...]
    groups: tuple[int, ...]
    measures: tuple[Plain | Mean, ...]

    @property
    def delta(self) -> Fraction:
        """The delta of the whole answer."""
        return DELTA if self.groups else Fraction(0)

    @property
    def rho_of_part(self) -> Fraction:
        """The rho of each part; all of them together come to that of the answer."""
        return Fraction(self.privacy.rho) / len(self.parts)
