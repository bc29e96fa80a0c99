"""What an answer costs and what is left: amounts of privacy loss as whole numbers, and the pure decision whether one more is covered.

A loss is a pair (rho, delta) of approximate zero-concentrated differential privacy (Bun & Steinke 2016, definition 8.1); the losses of
answers add up, each part by itself (lemma 8.2). Both are counted in whole units, so that no sum is ever rounded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Fact, Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RHO_UNIT = 10**9
"""Units in a rho of one."""
DELTA_UNIT = 10**15
"""Units in a delta of one."""
MOST_UNITS = 2**62
"""More units than this are in no account: sums stay within what a database keeps exactly."""


class Kind(StrEnum):
    """What kind of job spends; all kinds spend from one account."""

    QUESTION = "vetted-sql"


class State(StrEnum):
    """How far a charge has come. Either is spent: nothing ever gives one back."""

    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"


@dataclass(frozen=True, slots=True)
class Loss:
    """What one answer, or many, may tell about one protected unit: ``rho`` in 1/10⁹, ``delta`` in 1/10¹⁵; raises Invalid below nought."""

    rho: int
    delta: int = 0

    def __post_init__(self) -> None:
        whole = all(isinstance(part, int) and not isinstance(part, bool) for part in (self.rho, self.delta))
        if not whole or not (0 <= self.rho <= MOST_UNITS and 0 <= self.delta <= MOST_UNITS):
            raise _invalid("rho and delta as whole units, neither below nought")

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.rho + other.rho, self.delta + other.delta)

    def covers(self, other: "Loss") -> bool:
        """Whether ``other`` is at most this, in both parts."""
        return other.rho <= self.rho and other.delta <= self.delta

    def less(self, other: "Loss") -> "Loss":
        """Return what is left of this after ``other``, which it need not cover: no part is ever below nought."""
        return Loss(max(0, self.rho - other.rho), max(0, self.delta - other.delta))


NOTHING = Loss(0, 0)


def loss_of(rho: Decimal, *, delta: int = 0) -> Loss:
    """Return the loss of an amount of rho; raises Invalid where it is no whole number of units."""
    units = Fraction(rho) * RHO_UNIT if rho.is_finite() else Fraction(-1)
    if units.denominator != 1 or units < 0:
        raise _invalid("an amount of rho with at most nine decimals, not below nought")
    return Loss(int(units), delta)


def rho_text(loss: Loss) -> str:
    """Return the rho of a loss as an exact decimal."""
    return _written(loss.rho, digits=9)


def delta_text(loss: Loss) -> str:
    """Return the delta of a loss as an exact decimal."""
    return _written(loss.delta, digits=15)


def _written(units: int, *, digits: int) -> str:
    whole, rest = divmod(units, 10**digits)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")


class Window(Protocol):
    """A length of time."""

    def after(self, start: datetime) -> datetime:
        """Return the moment that lies this long after ``start``."""
        ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an owner allows one consumer of one product: ``total`` within any ``window`` (None: ever)."""

    total: Loss
    window: Window | None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose losses add up: those of all answers that one consumer gets over one product, whatever agreement each is under."""

    consumer: str
    product: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What one job costs one account; ``question`` is the digest of what is asked, by which a repeat is known."""

    job: str
    account: Account
    agreement: str
    kind: Kind
    loss: Loss
    question: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A loss that was charged, and when."""

    loss: Loss
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands under an allowance; ``renews_at`` is when the oldest loss that still counts stops to (None: never)."""

    total: Loss
    spent: Loss
    left: Loss
    renews_at: datetime | None


def standing(spent: Iterable[Spent], allowance: Allowance, *, at: datetime) -> Standing:
    """Return how an account stands at a moment: a loss counts until the window after it is over, and no longer."""
    counting = [one for one in spent if _ends(one, allowance) is None or _later(_ends(one, allowance), at)]
    total = NOTHING
    for one in counting:
        total += one.loss
    ends = [end for one in counting if (end := _ends(one, allowance)) is not None]
    return Standing(allowance.total, total, allowance.total.less(total), min(ends, default=None))


def refusal(loss: Loss, spent: Iterable[Spent], allowance: Allowance, *, at: datetime) -> Refused | None:
    """Return why an account does not cover one more ``loss``, or None where it does: what was spent and the loss stay within the total."""
    known = list(spent)
    now = standing(known, allowance, at=at)
    if allowance.total.covers(now.spent + loss):
        return None
    renewal = _renewal(loss, known, allowance, at=at)
    facts: dict[str, Fact] = {"needed": rho_text(loss), "left": rho_text(now.left), "total": rho_text(allowance.total)}
    if renewal is None:
        return Refused("privacy-budget", f"{_short(loss, now.left)}; it does not renew so far", _NEVER, facts)
    moment = iso(renewal)
    words = Text(f"The same question from {moment} on.", f"{moment} 起可再次提出同一问题。")
    return Refused("privacy-budget", f"{_short(loss, now.left)}; it renews at {moment}", words, {**facts, "renews_at": moment})


def _short(loss: Loss, left: Loss) -> str:
    """What is short: rho, or where that would do, delta."""
    if loss.rho > left.rho:
        return f"privacy budget: expected at least rho {rho_text(loss)} left, got {rho_text(left)}"
    return f"privacy budget: expected at least delta {delta_text(loss)} left, got {delta_text(left)}"


def _renewal(loss: Loss, spent: list[Spent], allowance: Allowance, *, at: datetime) -> datetime | None:
    """The first moment at which the loss would be covered; None where there is none."""
    moments = sorted({end for one in spent if (end := _ends(one, allowance)) is not None and end > at})
    return next((end for end in moments if allowance.total.covers(standing(spent, allowance, at=end).spent + loss)), None)


def _ends(one: Spent, allowance: Allowance) -> datetime | None:
    return None if allowance.window is None else allowance.window.after(one.at)


def _later(end: datetime | None, at: datetime) -> bool:
    return end is None or end > at


_NEVER = Text(
    "A question that costs less, or a larger budget agreed with the owner. The same question over the same data costs nothing again.",
    "损失更小的问题，或与数据所有者商定更大的预算。对同一数据重复提出同一问题不再消耗预算。",
)


def _invalid(expected: str) -> Invalid:
    return Invalid(
        "privacy.amount",
        f"privacy loss: expected {expected}, got another amount",
        hint=Text("State the amount exactly, as a decimal number.", "请以十进制数准确填写。"),
    )
