"""A policy: permissions, prohibitions and obligations over closed lists of terms; whatever no permission allows is refused.

Three kinds of use exist. A *hand-over* moves the product into the clean room where it may be computed on; a *computation* is one vetted
SQL statement (a query) or one sealed method there; a *delivery* hands the product's rows to the agreement's assignee, outside any room.
A hand-over and a computation need a Purpose and an Environment rule; a method also needs Methods and OutputForm; a query also needs
Queries, OutputForm and MinimumGroup. A delivery needs an OutputForm rule that lets rows out, and nothing else. A result for anyone but
the agreement's own assignee needs Recipient. A rule that is present and touches the use must hold, needed or not: a product that was
offered for the clean room alone is never delivered, since its environment, method, query and group rules touch a delivery too.

A use is permitted where one permission allows it, no prohibition is about it, and no duty that it depends on is overdue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.constraint import Condition, Constraint, Facts, Logical, flat, join, judge
from chengshu.policy.duties import Basis, Deed, Duty, DutyAction, DutyState, Ground, Owed, Pay
from chengshu.policy.parameters import Parameters
from chengshu.policy.rules import (
    NAMES,
    Columns,
    CountLimit,
    Environment,
    Form,
    Methods,
    MinimumGroup,
    NamedRule,
    OutputForm,
    Privacy,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    RowFilter,
    Rule,
    Shown,
    TimeWindow,
    comparisons,
    normal,
)
from chengshu.policy.terms import Action, Joint, Operand, Operator
from chengshu.policy.values import Place

__all__ = [
    "NAMES",
    "Action",
    "Basis",
    "Columns",
    "Constraint",
    "CountLimit",
    "Deed",
    "Duty",
    "DutyAction",
    "DutyState",
    "Environment",
    "Extent",
    "Form",
    "Ground",
    "Logical",
    "Methods",
    "MinimumGroup",
    "OutputForm",
    "Owed",
    "Parameters",
    "Pay",
    "Permission",
    "Place",
    "Policy",
    "Privacy",
    "Prohibition",
    "Purpose",
    "Queries",
    "QueryForm",
    "Recipient",
    "RowFilter",
    "Rule",
    "Shown",
    "TimeWindow",
    "Use",
    "UseState",
    "differing",
]
# The room's words in one place: whoever states or reads a policy needs no other file of this room.


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be done where every rule holds, and what is owed for it; raises Invalid as :func:`~chengshu.policy.rules.normal`."""

    rules: tuple[Rule, ...] = ()
    duties: tuple[Duty, ...] = ()
    action: Action = Action.USE
    conditions: tuple[Condition, ...] = field(init=False, repr=False, compare=False)
    """The rules as comparisons, alone and joined."""

    def __post_init__(self) -> None:
        if len({duty.action for duty in self.duties}) < len(self.duties):
            raise _invalid("policy.repeated", "expected at most one duty of a kind, got two")
        object.__setattr__(self, "rules", normal(self.rules))
        object.__setattr__(self, "conditions", conditions(self.rules))

    def rule(self, kind: type[NamedRule]) -> Rule | None:
        """Return the rule of this kind, if there is one."""
        return next((rule for rule in self.rules if isinstance(rule, kind)), None)

    @property
    def window(self) -> tuple[datetime | None, datetime | None]:
        """From when and until when it allows anything, as its rule on time says; None where it is open."""
        rule = self.rule(TimeWindow)
        return (rule.not_before, rule.not_after) if isinstance(rule, TimeWindow) else (None, None)

    def lasting(self, until: datetime) -> "Permission":
        """Return the same permission ending at ``until``."""
        others = [rule for rule in self.rules if not isinstance(rule, TimeWindow)]
        return replace(self, rules=(*others, TimeWindow(self.window[0], until)))

    def may_admit(self, facts: Facts) -> bool:
        """Say whether it could allow a use of which these facts are known: no rule fails for them."""
        return join(Joint.AND, [judge(one, facts) for one in self.conditions]) is not False


@dataclass(frozen=True, slots=True)
class Prohibition:
    """What may not be done where every rule holds, whatever a permission says."""

    rules: tuple[Rule, ...] = ()
    action: Action = Action.USE
    conditions: tuple[Condition, ...] = field(init=False, repr=False, compare=False)
    """The rules as comparisons, alone and joined."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", normal(self.rules))
        object.__setattr__(self, "conditions", conditions(self.rules))
        apart = next((one.operand for one in flat(self.conditions) if one.operand.is_of_answers), None)
        if apart is not None:
            raise _invalid("policy.shape", f"expected {apart.iri} in a permission, got it in a prohibition")


_OF_ANSWERS: tuple[type[NamedRule], ...] = (Privacy, Columns, Shown, RowFilter)
_Named = TypeVar("_Named", bound=NamedRule)


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a product may be used: these columns, of which these are shown, and rows of which this holds; None: all."""

    columns: frozenset[str] | None = None
    shown: frozenset[str] | None = None
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One permission (``rules``, ``duties``, ``action``), further ones beside it, prohibitions, and what is owed whatever is used.

    Rules are kept in the order of evaluation, each usual kind at most once a permission; raises Invalid where one comes twice or holds
    nothing, and where a permission, prohibition or obligation comes twice.
    """

    rules: tuple[Rule, ...]
    duties: tuple[Duty, ...] = ()
    action: Action = Action.USE
    alternatives: tuple[Permission, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    obligations: tuple[Duty, ...] = ()
    permissions: tuple[Permission, ...] = field(init=False, repr=False, compare=False)
    """Every permission: a use needs one of them."""

    def __post_init__(self) -> None:
        first = Permission(self.rules, self.duties, self.action)
        object.__setattr__(self, "rules", first.rules)
        object.__setattr__(self, "permissions", (first, *self.alternatives))
        for name, found in (("permission", self.permissions), ("prohibition", self.prohibitions), ("obligation", self.obligations)):
            if len(set(found)) < len(found):
                raise _invalid("policy.repeated", f"expected every {name} once, got one twice")
        for kind in _OF_ANSWERS:
            if len(self._every(kind)) > 1:
                raise _invalid("policy.shape", f"expected one {NAMES[kind]} in a policy, got permissions with different ones")

    def rule(self, kind: type[NamedRule]) -> Rule | None:
        """Return the first permission's rule of this kind, if it has one."""
        return self.permissions[0].rule(kind)

    @property
    def privacy(self) -> Privacy | None:
        """The privacy budget that some permission states, which then holds for every question; None where answers carry no noise."""
        return next(iter(self._every(Privacy)), None)

    @property
    def extent(self) -> "Extent":
        """What of a product some permission says that may be used, which then holds for every use."""
        return Extent(
            next((one.names for one in self._every(Columns)), None),
            next((one.names for one in self._every(Shown)), None),
            next((one.condition for one in self._every(RowFilter)), None),
        )

    def _every(self, kind: type[_Named]) -> set[_Named]:
        """The rules of a kind that holds for everything, whichever permission states it."""
        return {rule for one in self.permissions for rule in one.rules if isinstance(rule, kind)}

    def admits(self, did: str) -> bool:
        """Say whether the party may hold an agreement on this policy: one without a rule on recipients is open to every known party."""
        facts: Facts = {Operand.RECIPIENT: frozenset({did})}
        barred = any(one.action.covers(Action.USE) and _holds(one.conditions, facts) for one in self.prohibitions)
        return not barred and any(one.may_admit(facts) for one in self.permissions)

    def named(self) -> frozenset[str] | None:
        """Return every party that :meth:`admits` could admit where the policy names them; None where it is more than lists of names."""
        lists = [rule.dids if isinstance(rule := one.rule(Recipient), Recipient) else None for one in self.permissions]
        return None if None in lists else frozenset[str]().union(*(one for one in lists if one is not None))

    @property
    def is_open_to_all(self) -> bool:
        """Whether a party that no rule names may hold an agreement on it."""
        return self.admits("")

    @property
    def least_group(self) -> int:
        """The smallest group that a query's result may be about under any permission; 1 where none says."""
        floors = [1]
        for one in flat([one for permission in self.permissions for one in permission.conditions]):
            if one.operand is Operand.GROUP and one.operator in _FLOORS:
                floors += [value + _FLOORS[one.operator] for value in one.values if isinstance(value, int)]
        return max(floors)

    @property
    def most_uses(self) -> int | None:
        """How many uses one agreement allows at most; None where some permission sets no limit."""
        limits = [_ceiling(permission) for permission in self.permissions]
        return None if None in limits else max(limit for limit in limits if limit is not None)

    @property
    def window(self) -> tuple[datetime | None, datetime | None]:
        """From when and until when some permission allows any use at all; None where it is open."""
        found = [one.window for one in self.permissions]
        starts, ends = [start for start, _ in found], [end for _, end in found]
        start = None if None in starts else min(one for one in starts if one is not None)
        return start, None if None in ends else max(one for one in ends if one is not None)

    def lasting(self, until: datetime) -> "Policy":
        """Return the same policy with every permission ending at ``until``; raises Invalid where one only begins after it."""
        first, *others = (one.lasting(until) for one in self.permissions)
        return replace(self, rules=first.rules, alternatives=tuple(others))

    def speaks_of(self, operand: Operand) -> bool:
        """Say whether any permission or prohibition has a constraint about ``operand``."""
        rules: list[Permission | Prohibition] = [*self.permissions, *self.prohibitions]
        return any(one.operand is operand for one in flat([condition for rule in rules for condition in rule.conditions]))

    def owing(self) -> Iterator[tuple[str, Duty]]:
        """Yield every duty with the name it is known by: ``permission-1/duty-1``, ``obligation-2``; consequences are below theirs."""
        for number, permission in enumerate(self.permissions, 1):
            for place, duty in enumerate(permission.duties, 1):
                yield f"permission-{number}/duty-{place}", duty
        for place, duty in enumerate(self.obligations, 1):
            yield f"obligation-{place}", duty


_FLOORS = {Operator.GTEQ: 0, Operator.EQ: 0, Operator.GT: 1}
_CEILINGS = {Operator.LTEQ: 0, Operator.EQ: 0, Operator.LT: -1}


@dataclass(frozen=True, slots=True)
class Use:
    """One use that is asked for: who receives the result, when, what for (None: nobody says), in which room, by what means, where.

    ``method`` and ``query`` both None is a hand-over into ``environment``, or, where an ``output`` leaves, a delivery of rows to the
    recipient, whose own id is then the environment; ``output`` is the form that leaves and ``minimum_group`` the smallest group that the
    computation itself guarantees (None: it guarantees none); ``place`` is where it happens, as far as that is known.
    ``parameters`` are those of the method. ``privacy_loss`` is the rho of the noise that the answer carries, which counts at most
    ``contributions`` records of a unit; None: none.
    """

    recipient: str
    at: datetime
    purpose: str | None
    environment: str | None
    method: str | None = None
    query: QueryForm | None = None
    output: Form | None = None
    minimum_group: int | None = None
    place: Place | None = None
    privacy_loss: Decimal | None = None
    contributions: int | None = None
    parameters: Parameters | None = None

    @property
    def computes(self) -> bool:
        """Whether something is computed, rather than only handed over into the room or delivered."""
        return self.method is not None or self.query is not None

    @property
    def delivers(self) -> bool:
        """Whether the product's own rows go to the recipient, outside any clean room."""
        return not self.computes and self.output is not None

    @property
    def action(self) -> Action:
        """What is done, in the words of ODRL: rows that are delivered are read; what a room takes in or computes is derived from."""
        return Action.READ if self.delivers else Action.DERIVE


@dataclass(frozen=True, slots=True)
class UseState:
    """What is true of the agreement at the moment of use: who holds it, uses so far, since when, what is going on, what is owed."""

    assignee: str
    uses: int
    agreed_at: datetime | None = None
    first_use_at: datetime | None = None
    events: frozenset[str] = frozenset()
    owed: tuple[Owed, ...] = ()


def conditions(rules: Sequence[Rule]) -> tuple[Condition, ...]:
    """Return rules as comparisons, in order."""
    found: list[Condition] = []
    for rule in rules:
        found += [rule] if isinstance(rule, Constraint | Logical) else comparisons(rule)
    return tuple(found)


def differing(ours: Policy, theirs: Policy) -> Sequence[str]:
    """Return the names of the rules, and of whatever else, in which two policies differ, in the order of evaluation."""
    names = [name for kind, name in NAMES.items() if ours.rule(kind) != theirs.rule(kind)]
    if _unnamed(ours) != _unnamed(theirs):
        names.append("constraint")
    if ours.duties != theirs.duties:
        names.append("pay")
    fields = {"action": "action", "alternatives": "permissions", "prohibitions": "prohibitions", "obligations": "obligations"}
    return [*names, *(words for name, words in fields.items() if getattr(ours, name) != getattr(theirs, name))]


def _unnamed(policy: Policy) -> list[Rule]:
    return [rule for rule in policy.rules if isinstance(rule, Constraint | Logical)]


def _holds(conditions: Sequence[Condition], facts: Facts) -> bool:
    """Whether a prohibition bites for certain; one without conditions always does."""
    return not conditions or join(Joint.AND, [judge(one, facts) for one in conditions]) is True


def _ceiling(permission: Permission) -> int | None:
    found = [one for one in permission.conditions if isinstance(one, Constraint) and one.operand is Operand.COUNT]
    bounds = [
        value + _CEILINGS[one.operator] for one in found if one.operator in _CEILINGS for value in one.values if isinstance(value, int)
    ]
    return min(bounds, default=None)


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(code, message, hint=Text("Mend the policy; the reference lists every rule.", "请修正策略；参考文档列出了全部规则。"))
