"""Duties: what the assignee owes for what it is permitted, until when, and how each stands; pure, from what was recorded.

A duty is *owed* from the moment that makes it due: an obligation of the policy from the agreement on, a duty of a permission from the
first use on, the duty to report each use once for every use. It is PENDING until it is fulfilled, and OVERDUE where its deadline passes
before that; a consequence is owed from the moment its duty is overdue. A fulfilment is either *observed* by the node itself or *stated*
by the assignee under its signature: a statement is all there can be about what happens outside every node.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.constraint import Constraint
from chengshu.policy.terms import Operand, Operator
from chengshu.policy.values import Duration


class Basis(StrEnum):
    """What a payment is measured by."""

    CONTRIBUTION = "contribution"


class DutyAction(StrEnum):
    """What can be owed."""

    COMPENSATE = "compensate"
    DELETE = "delete"
    INFORM = "inform"
    ATTRIBUTE = "attribute"


class DutyState(StrEnum):
    """How a duty stands."""

    PENDING = "pending"
    FULFILLED = "fulfilled"
    OVERDUE = "overdue"


class Ground(StrEnum):
    """What a fulfilment rests on."""

    OBSERVED = "observed"
    STATED = "stated"


@dataclass(frozen=True, slots=True)
class Pay:
    """The duty to pay for results, priced by what the product contributed."""

    basis: Basis
    deadline: Constraint | None = None
    consequences: "tuple[Duty, ...]" = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def action(self) -> DutyAction:
        """The ODRL action."""
        return DutyAction.COMPENSATE


@dataclass(frozen=True, slots=True)
class Deed:
    """The duty to erase what was received, to report each use, or to name the provider."""

    action: DutyAction
    deadline: Constraint | None = None
    consequences: "tuple[Duty, ...]" = ()

    def __post_init__(self) -> None:
        if self.action is DutyAction.COMPENSATE:
            raise _bad("expected a payment with its basis, got one without")
        _check(self)


Duty = Pay | Deed

CLOCKS = frozenset({Operand.TIME, Operand.ELAPSED})
"""What a deadline is told by, with the operator ``lteq``: a moment, or a duration laid from the moment that the duty is owed."""


@dataclass(frozen=True, slots=True)
class Owed:
    """One duty of one agreement as it is owed: which (``permission-1/duty-1``), the how-manieth time, since when, until when."""

    duty: str
    action: DutyAction
    occurrence: int
    since: datetime
    due_at: datetime | None
    fulfilled_at: datetime | None = None
    ground: Ground | None = None
    consequence_of: str | None = field(default=None)

    def state(self, at: datetime) -> DutyState:
        """Return how the duty stands at a moment; the deadline itself is still in time."""
        if self.fulfilled_at is not None:
            return DutyState.FULFILLED
        return DutyState.OVERDUE if self.due_at is not None and at > self.due_at else DutyState.PENDING

    def blocks(self, at: datetime) -> bool:
        """Whether it keeps further uses from being permitted: it is overdue, or the price of one that was and not yet paid."""
        state = self.state(at)
        return state is DutyState.OVERDUE or (state is DutyState.PENDING and self.consequence_of is not None)


def due(duty: Duty, *, since: datetime) -> datetime | None:
    """Return until when a duty that is owed ``since`` then must be fulfilled; None where it has no deadline."""
    value = None if duty.deadline is None else duty.deadline.value
    return value.after(since) if isinstance(value, Duration) else value if isinstance(value, datetime) else None


def _check(duty: Duty) -> None:
    deadline = duty.deadline
    if deadline is not None and (deadline.operand not in CLOCKS or deadline.operator is not Operator.LTEQ):
        raise _bad("expected a deadline as lteq with a moment or a duration, got another constraint")
    if any(consequence.consequences for consequence in duty.consequences):
        raise _bad("expected consequences without consequences of their own, got some")


def _bad(message: str) -> Invalid:
    return Invalid("policy.shape", message, hint=Text("Write the duty as the reference shows.", "请按参考文档书写义务。"))
