"""The usual rules by name, each a frozen value that stands for one comparison or a few, and the normal form of a list of rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.constraint import Constraint, Logical, Value
from chengshu.policy.terms import Operand, Operator
from chengshu.policy.values import Duration


class Form(StrEnum):
    """What leaves the clean room."""

    AGGREGATE = "aggregate"
    ROWS = "rows"


class QueryForm(StrEnum):
    """How a question may be put."""

    VETTED_SQL = "vetted-sql"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Only for one of these purpose codes."""

    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Only from ``not_before`` to ``not_after``, both included; either may be open."""

    not_before: datetime | None
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Only these parties may hold the agreement and receive results."""

    dids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Environment:
    """Only inside the clean room that this party runs."""

    room: str


@dataclass(frozen=True, slots=True)
class OutputForm:
    """Only results of this form leave."""

    form: Form


@dataclass(frozen=True, slots=True)
class MinimumGroup:
    """A query's results are about groups of at least ``k`` subjects; a sealed method keeps the rule it was approved with."""

    k: int


@dataclass(frozen=True, slots=True)
class CountLimit:
    """At most ``uses`` uses under one agreement."""

    uses: int


@dataclass(frozen=True, slots=True)
class Methods:
    """Only these sealed methods may read the product."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Queries:
    """Questions may be put in this form; without this rule none may."""

    form: QueryForm


@dataclass(frozen=True, slots=True)
class Privacy:
    """Answers carry noise: at most ``loss`` (rho of zCDP) each and at most ``budget`` for all of them together.

    At most ``contributions`` records of one protected unit stand behind an answer (None: one). All answers within any ``window`` count
    together; None: all that there ever are. A part of these terms alone is no rule: what lacks loss or budget is refused.
    """

    loss: Decimal | None
    budget: Decimal | None
    contributions: int | None = None
    window: Duration | None = None

    @property
    def most_records(self) -> int:
        """The records of one protected unit that may stand behind an answer."""
        return self.contributions or 1


@dataclass(frozen=True, slots=True)
class Columns:
    """Only these columns are used: no other leaves the holder."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """Only these columns' values are shown, as names of groups or as least and greatest ones."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Only rows of which this condition holds are used: no other leaves the holder. It is written as one in WHERE."""

    condition: str


NamedRule = (
    Purpose
    | TimeWindow
    | Recipient
    | Environment
    | OutputForm
    | MinimumGroup
    | CountLimit
    | Methods
    | Queries
    | Privacy
    | Columns
    | Shown
    | RowFilter
)
Rule = NamedRule | Constraint | Logical
"""What must hold of a use: a usual rule by name, any other comparison, or several joined."""

NAMES: Mapping[type[NamedRule], str] = {
    TimeWindow: Operand.TIME.value,
    Recipient: Operand.RECIPIENT.value,
    Purpose: Operand.PURPOSE.value,
    Environment: Operand.ENVIRONMENT.value,
    Methods: Operand.METHOD.value,
    Queries: Operand.QUERY.value,
    OutputForm: Operand.OUTPUT.value,
    MinimumGroup: Operand.GROUP.value,
    CountLimit: Operand.COUNT.value,
    Privacy: Operand.PRIVACY_BUDGET.value,
    Columns: Operand.COLUMN.value,
    Shown: Operand.SHOWN.value,
    RowFilter: Operand.ROWS.value,
}
"""Every usual rule and its name, in the order of evaluation: the first that fails is the refusal."""

_PLACE = {operand: place for place, operand in enumerate(Operand)}


def operand_of(kind: type[NamedRule]) -> Operand:
    """Return the operand that a usual rule is about."""
    return Operand(NAMES[kind])


def comparisons(rule: NamedRule) -> tuple[Constraint, ...]:
    """Return what a usual rule says, as comparisons that must all hold."""
    operand = operand_of(type(rule))
    match rule:
        case TimeWindow(start, end):
            bounds = ((Operator.GTEQ, start), (Operator.LTEQ, end))
            return tuple(Constraint(operand, operator, moment) for operator, moment in bounds if moment is not None)
        case Purpose(values) | Recipient(values) | Methods(values) | Columns(values) | Shown(values):
            return (Constraint(operand, Operator.IS_ANY_OF, frozenset[Value](values)),)
        case MinimumGroup(number):
            return (Constraint(operand, Operator.GTEQ, number),)
        case CountLimit(number):
            return (Constraint(operand, Operator.LTEQ, number),)
        case Environment(text) | RowFilter(text):
            return (Constraint(operand, Operator.EQ, text),)
        case OutputForm(form) | Queries(form):
            return (Constraint(operand, Operator.EQ, form.value),)
        case Privacy(loss, budget, contributions, window):
            stated = (
                (Operand.PRIVACY_BUDGET, Operator.LTEQ, budget),
                (Operand.PRIVACY_LOSS, Operator.LTEQ, loss),
                (Operand.CONTRIBUTION, Operator.LTEQ, contributions),
                (Operand.PRIVACY_WINDOW, Operator.EQ, window),
            )
            return tuple(Constraint(about, operator, value) for about, operator, value in stated if value is not None)


def normal(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return rules in the order of evaluation, comparisons that have a name under it, each kind once and the two ends of a window joined.

    Raises Invalid where a usual rule comes twice, another rule twice in the same words, or one can never be satisfied.
    """
    named: dict[type[NamedRule], NamedRule] = {}
    others: list[Constraint | Logical] = []
    for each in rules:
        one = _name(each) if isinstance(each, Constraint) else each
        if isinstance(one, Constraint | Logical):
            others.append(one)
            continue
        named[type(one)] = one if type(one) not in named else _joined(named[type(one)], one)
    for kind, rule in named.items():
        check(rule)
        if isinstance(rule, Privacy):
            named[kind] = replace(rule, contributions=rule.most_records)
    if len(set(others)) < len(others):
        raise _invalid("policy.repeated", "expected every constraint once, got one twice")
    return (*_in_order(named.values()), *sorted(others, key=_rank))


def check(rule: NamedRule) -> None:
    """Raise Invalid for a usual rule that nothing can satisfy."""
    match rule:
        case Purpose(values) | Recipient(values) | Methods(values) | Columns(values) | Shown(values):
            sound = bool(values) and all(values)
        case TimeWindow(start, end):
            sound = (start, end) != (None, None) and _printable(start, end) and (start is None or end is None or start <= end)
        case Environment(text) | RowFilter(text):
            sound = bool(text.strip())
        case MinimumGroup(number) | CountLimit(number):
            sound = 1 <= number < 10**9
        case OutputForm() | Queries():
            sound = True
        case Privacy(loss, budget):
            sound = _is_covered(loss, budget)
    if not sound:
        raise _invalid("policy.empty-rule", f"expected a rule {NAMES[type(rule)]} that something can satisfy, got one that nothing can")


def _is_covered(loss: Decimal | None, budget: Decimal | None) -> bool:
    if loss is None or budget is None:
        both = f"{Operand.PRIVACY_LOSS.iri} and {Operand.PRIVACY_BUDGET.iri}"
        raise _invalid("policy.shape", f"expected {both} in one permission, got one of the two alone or neither")
    return loss <= budget


_NAMED: Mapping[tuple[Operand, Operator], Callable[[Any], NamedRule]] = {
    (Operand.TIME, Operator.GTEQ): lambda moment: TimeWindow(moment, None),
    (Operand.TIME, Operator.LTEQ): lambda moment: TimeWindow(None, moment),
    (Operand.PURPOSE, Operator.IS_ANY_OF): Purpose,
    (Operand.RECIPIENT, Operator.IS_ANY_OF): Recipient,
    (Operand.METHOD, Operator.IS_ANY_OF): Methods,
    (Operand.ENVIRONMENT, Operator.EQ): Environment,
    (Operand.OUTPUT, Operator.EQ): lambda form: OutputForm(Form(form)),
    (Operand.QUERY, Operator.EQ): lambda form: Queries(QueryForm(form)),
    (Operand.GROUP, Operator.GTEQ): MinimumGroup,
    (Operand.COUNT, Operator.LTEQ): CountLimit,
    (Operand.PRIVACY_BUDGET, Operator.LTEQ): lambda amount: Privacy(None, amount),
    (Operand.PRIVACY_LOSS, Operator.LTEQ): lambda amount: Privacy(amount, None),
    (Operand.CONTRIBUTION, Operator.LTEQ): lambda most: Privacy(None, None, most),
    (Operand.PRIVACY_WINDOW, Operator.EQ): lambda period: Privacy(None, None, None, period),
    (Operand.COLUMN, Operator.IS_ANY_OF): Columns,
    (Operand.SHOWN, Operator.IS_ANY_OF): Shown,
    (Operand.ROWS, Operator.EQ): RowFilter,
}


def _name(constraint: Constraint) -> Rule:
    """The usual rule that a comparison is, or the comparison itself."""
    name = _NAMED.get((constraint.operand, constraint.operator))
    return constraint if name is None else name(constraint.value)


def _joined(one: NamedRule, other: NamedRule) -> NamedRule:
    """The window that two halves of a window make; nothing else may come twice."""
    if isinstance(one, TimeWindow) and isinstance(other, TimeWindow):
        halves = {(one.not_before is None, one.not_after is None), (other.not_before is None, other.not_after is None)}
        if halves == {(True, False), (False, True)}:
            return TimeWindow(one.not_before or other.not_before, one.not_after or other.not_after)
    if isinstance(one, Privacy) and isinstance(other, Privacy):
        pairs = [(getattr(one, name), getattr(other, name)) for name in Privacy.__slots__]
        if all(None in pair for pair in pairs):
            return Privacy(*(first if second is None else second for first, second in pairs))
    raise _invalid("policy.repeated", f"expected at most one rule {NAMES[type(other)]}, got two")


def _in_order(rules: Iterable[NamedRule]) -> list[NamedRule]:
    return sorted(rules, key=lambda rule: _PLACE[operand_of(type(rule))])


def _rank(rule: Constraint | Logical) -> tuple[int, str]:
    """Comparisons by operand, logical constraints after them; equal policies are written alike."""
    return (_PLACE[rule.operand] if isinstance(rule, Constraint) else len(_PLACE), written(rule))


def written(rule: Constraint | Logical) -> str:
    """Return a text that two rules have in common exactly where they are equal."""
    if isinstance(rule, Logical):
        return f"{rule.joint}({','.join(map(written, rule.parts))})"
    return f"{rule.operand} {rule.operator} {sorted(map(repr, rule.values))}"


def _printable(*moments: datetime | None) -> bool:
    """Times carry an offset and whole milliseconds, so that their text form loses nothing."""
    return all(moment is None or (moment.tzinfo is not None and moment.microsecond % 1000 == 0) for moment in moments)


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(code, message, hint=Text("Mend the policy; the reference lists every rule.", "请修正策略；参考文档列出了全部规则。"))
