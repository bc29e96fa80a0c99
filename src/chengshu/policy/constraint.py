"""Constraints: one comparison of a left operand with a value, or several joined; judged against what is known of a use.

What is known of an operand is a *fact*: a value, ``UNSAID`` where it bears on the use and nobody told, or ``APART`` where the use has no
such thing (a hand-over has no method). A comparison is then true, false, ``UNSAID`` or ``APART``. In a logical constraint what is APART
counts as not written, and what is UNSAID makes the whole UNSAID unless the rest decides it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.parameters import Parameters, ParameterTest
from chengshu.policy.terms import Joint, Kind, Operand, Operator, broader
from chengshu.policy.values import Duration, Place

MAX_DEPTH = 8
MAX_CONSTRAINTS = 2000
MAX_LISTED = 1000
LOSS_DIGITS = 9
"""Decimals of an amount of privacy loss."""
MAX_LOSS = Decimal(1000)
"""The largest amount of privacy loss that a policy states; anything near it protects nobody."""
MAX_CONTRIBUTION = 1_000_000


class Silence(Enum):
    """Why there is no value."""

    UNSAID = "not stated"
    APART = "does not apply"


@dataclass(frozen=True, slots=True)
class Elapsed:
    """How long something has lasted, as the two moments that a duration is laid between."""

    since: datetime
    now: datetime


Value = str | int | Decimal | datetime | Duration | Place | ParameterTest
Fact = frozenset[str] | int | Decimal | datetime | Elapsed | Place | Parameters | Silence
Facts = Mapping[Operand, Fact]
Truth = bool | Silence


@dataclass(frozen=True, slots=True)
class Constraint:
    """One comparison; raises Invalid where the operator makes no sense for the operand, or the value is not of its kind."""

    operand: Operand
    operator: Operator
    value: Value | frozenset[Value]

    def __post_init__(self) -> None:
        if self.operator not in self.operand.operators:
            raise Invalid(
                "policy.unknown-term",
                f"expected {' or '.join(sorted(self.operand.operators))} with {self.operand.iri}, got operator {self.operator}",
                hint=_MEND,
                facts={"place": "operator", "term": self.operator.value},
            )
        if self.operator.listed != isinstance(self.value, frozenset) or not 1 <= len(self.values) <= MAX_LISTED:
            raise _bad(f"expected {'a list of values' if self.operator.listed else 'one value'} with {self.operator}, got another form")
        if not all(_is_of(self.operand, value) for value in self.values):
            raise _bad(f"expected a value of the kind {self.operand.kind} for {self.operand.iri}, got another")

    @property
    def values(self) -> frozenset[Value]:
        """The right operand as a set, of one where it is no list."""
        return self.value if isinstance(self.value, frozenset) else frozenset({self.value})


@dataclass(frozen=True, slots=True)
class Logical:
    """Several constraints joined; raises Invalid for none, and for more or deeper ones than a node judges."""

    joint: Joint
    parts: "tuple[Constraint | Logical, ...]"

    def __post_init__(self) -> None:
        if not self.parts or len(list(flat([self]))) > MAX_CONSTRAINTS or _depth(self) > MAX_DEPTH:
            raise _bad(f"expected one to {MAX_CONSTRAINTS} constraints in {self.joint}, at most {MAX_DEPTH} deep, got others")
        apart = next((one.operand for one in flat(self.parts) if one.operand.is_of_answers), None)
        if apart is not None:
            raise _bad(f"expected {apart.iri} beside the other constraints of a permission, got it within {self.joint}")


Condition = Constraint | Logical


def flat(conditions: "Sequence[Condition]") -> list[Constraint]:
    """Return every single comparison in ``conditions``, in order."""
    found: list[Constraint] = []
    for one in conditions:
        found += [one] if isinstance(one, Constraint) else flat(one.parts)
    return found


def judge(condition: Condition, facts: Facts) -> Truth:
    """Say whether ``condition`` holds of ``facts``; a fact that is not there is UNSAID."""
    if isinstance(condition, Logical):
        return join(condition.joint, [judge(part, facts) for part in condition.parts])
    fact = facts.get(condition.operand, Silence.UNSAID)
    return fact if isinstance(fact, Silence) else _compare(condition, fact)


def join(joint: Joint, found: Sequence[Truth]) -> Truth:
    """Return what several judgements come to when joined."""
    said = [one for one in found if one is not Silence.APART]
    if not said:
        return Silence.APART
    true, unsaid = sum(one is True for one in said), sum(one is Silence.UNSAID for one in said)
    match joint:
        case Joint.AND | Joint.AND_SEQUENCE:
            return False if true + unsaid < len(said) else unsaid == 0 or Silence.UNSAID
        case Joint.OR:
            return true > 0 or (Silence.UNSAID if unsaid else False)
        case Joint.XONE:
            return False if true > 1 else Silence.UNSAID if unsaid else true == 1


def _compare(constraint: Constraint, fact: "frozenset[str] | int | Decimal | datetime | Elapsed | Place | Parameters") -> bool:
    values = constraint.values
    match fact:
        case Place():
            return _placed(constraint.operator, fact, [value for value in values if isinstance(value, Place)])
        case Parameters():
            return _met(constraint.operator, [fact.meet(value) for value in values if isinstance(value, ParameterTest)])
        case frozenset():
            return _sorted(constraint.operator, fact, frozenset(value for value in values if isinstance(value, str)))
        case Elapsed():
            return _ordered(
                constraint.operator, [_sign(fact.now, value.after(fact.since)) for value in values if isinstance(value, Duration)]
            )
        case datetime():
            return _ordered(constraint.operator, [_sign(fact, value) for value in values if isinstance(value, datetime)])
        case int():
            return _ordered(constraint.operator, [_sign(fact, value) for value in values if isinstance(value, int)])
        case Decimal():
            return _ordered(constraint.operator, [_sign(fact, value) for value in values if isinstance(value, Decimal)])


def _sign(one: "int | Decimal | datetime", other: "int | Decimal | datetime") -> int:
    return (one > other) - (one < other)  # type: ignore[operator]  # both are of the operand's one kind


def _ordered(operator: Operator, signs: Sequence[int]) -> bool:
    """Compare by the order: each sign says on which side of one right value the left one lies."""
    match operator:
        case Operator.NEQ | Operator.IS_NONE_OF:
            return 0 not in signs
        case Operator.GT:
            return signs[0] > 0
        case Operator.GTEQ:
            return signs[0] >= 0
        case Operator.LT:
            return signs[0] < 0
        case Operator.LTEQ:
            return signs[0] <= 0
        case _:
            return 0 in signs


def _sorted(operator: Operator, left: frozenset[str], right: frozenset[str]) -> bool:
    """Compare sets of codes; isA, isPartOf and hasPart alone follow what is a part of what."""
    match operator:
        case Operator.NEQ | Operator.IS_NONE_OF:
            return not left & right
        case Operator.IS_A | Operator.IS_PART_OF:
            return any(right <= broader(one) for one in left)
        case Operator.HAS_PART:
            return all(left & broader(one) for one in right)
        case Operator.IS_ALL_OF:
            return right <= left
        case _:
            return bool(left & right)


def _met(operator: Operator, met: Sequence[bool]) -> bool:
    """Say whether as many of the tests of parameters are met as the operator wants."""
    match operator:
        case Operator.IS_ALL_OF:
            return all(met)
        case Operator.IS_NONE_OF:
            return not any(met)
        case _:
            return any(met)


def _placed(operator: Operator, left: Place, right: Sequence[Place]) -> bool:
    match operator:
        case Operator.EQ:
            return left.equals(right[0])
        case Operator.NEQ:
            return not left.equals(right[0])
        case Operator.HAS_PART:
            return right[0].lies_in(left)
        case Operator.IS_NONE_OF:
            return not any(left.meets(one) for one in right)
        case Operator.IS_ALL_OF:
            return all(left.lies_in(one) for one in right)
        case _:
            return any(left.lies_in(one) for one in right)


def _is_of(operand: Operand, value: Value) -> bool:
    match operand.kind:
        case Kind.MOMENT:
            return isinstance(value, datetime) and value.tzinfo is not None and value.microsecond % 1000 == 0
        case Kind.DURATION:
            return isinstance(value, Duration) and value.months >= 0 and value.millis >= 0
        case Kind.LOSS | Kind.BOUND | Kind.PERIOD:
            return _is_of_privacy(operand.kind, value)
        case Kind.COUNT:
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
        case Kind.PLACE | Kind.PARAMETER:
            return isinstance(value, Place if operand.kind is Kind.PLACE else ParameterTest)
        case Kind.CHOICE:
            return isinstance(value, str) and value in operand.choices
        case _:
            return isinstance(value, str) and bool(value)


def _is_of_privacy(kind: Kind, value: Value) -> bool:
    match kind:
        case Kind.LOSS:
            return isinstance(value, Decimal) and is_loss(value)
        case Kind.BOUND:
            return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CONTRIBUTION
        case _:
            return isinstance(value, Duration) and value.months >= 0 and value.millis >= 0 and value != Duration(0, 0)


def is_loss(value: Decimal) -> bool:
    """Whether an amount of privacy loss (rho of zero-concentrated differential privacy) is one that is counted exactly."""
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -LOSS_DIGITS and 0 < value <= MAX_LOSS


def _depth(condition: Condition) -> int:
    return 1 + max(map(_depth, condition.parts)) if isinstance(condition, Logical) else 0


_MEND = Text("Mend the policy; the reference lists every operand with its operators.", "请修正策略；参考文档列出了每个操作数及其运算符。")


def _bad(message: str) -> Invalid:
    return Invalid("policy.shape", message, hint=_MEND)
