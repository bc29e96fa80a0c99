"""A policy is a permission with a closed list of frozen rules, and duties; whatever no rule allows is refused.

Three kinds of use exist. A *hand-over* moves the product into the clean room where it may be computed on; a *computation* is one vetted
SQL statement (a query) or one sealed method there; a *delivery* hands the product's rows to the agreement's assignee, outside any room.
A hand-over and a computation need a Purpose and an Environment rule; a method also needs Methods and OutputForm; a query also needs
Queries, OutputForm and MinimumGroup. A delivery needs an OutputForm rule that lets rows out, and nothing else. A result for anyone but
the agreement's own assignee needs Recipient. A rule that is present and touches the use must hold, needed or not: a product that was
offered for the clean room alone is never delivered, since its environment, method, query and group rules touch a delivery too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text


class Form(StrEnum):
    """What leaves the clean room."""

    AGGREGATE = "aggregate"
    ROWS = "rows"


class QueryForm(StrEnum):
    """How a question may be put."""

    VETTED_SQL = "vetted-sql"


class Basis(StrEnum):
    """What a payment is measured by."""

    CONTRIBUTION = "contribution"


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
class Pay:
    """The duty to pay for results, priced by what the product contributed."""

    basis: Basis


Rule = Purpose | TimeWindow | Recipient | Environment | OutputForm | MinimumGroup | CountLimit | Methods | Queries
Duty = Pay

NAMES: dict[type[Rule], str] = {
    TimeWindow: "time-window",
    Recipient: "recipient",
    Purpose: "purpose",
    Environment: "environment",
    Methods: "methods",
    Queries: "queries",
    OutputForm: "output-form",
    MinimumGroup: "minimum-group",
    CountLimit: "count-limit",
}
"""Every kind of rule and its name, in the order of evaluation: the first that fails is the refusal."""

_ORDER = {kind: place for place, kind in enumerate(NAMES)}


@dataclass(frozen=True, slots=True)
class Policy:
    """At most one rule of each kind, kept in the order of evaluation; raises Invalid where a kind comes twice or holds nothing."""

    rules: tuple[Rule, ...]
    duties: tuple[Duty, ...] = ()

    def __post_init__(self) -> None:
        kinds = [type(rule) for rule in self.rules]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise _invalid("policy.repeated", f"expected at most one rule {NAMES[kind]}, got {kinds.count(kind)}")
        if len(self.duties) > 1:
            raise _invalid("policy.repeated", f"expected at most one duty, got {len(self.duties)}")
        for rule in self.rules:
            _check(rule)
        object.__setattr__(self, "rules", tuple(sorted(self.rules, key=lambda rule: _ORDER[type(rule)])))

    def rule(self, kind: type[Rule]) -> Rule | None:
        """Return the rule of this kind, if the policy has one."""
        return next((rule for rule in self.rules if isinstance(rule, kind)), None)

    def admits(self, did: str) -> bool:
        """Say whether the party may hold an agreement on this policy: a policy without Recipient is open to every known party."""
        rule = self.rule(Recipient)
        return not isinstance(rule, Recipient) or did in rule.dids

    def named(self) -> frozenset[str] | None:
        """Return every party that :meth:`admits` could admit where the policy names them; None where it is more than a list of names."""
        rule = self.rule(Recipient)
        return rule.dids if isinstance(rule, Recipient) else None


@dataclass(frozen=True, slots=True)
class Use:
    """One use that is asked for: who receives the result, when, what for (None: nobody says), in which room, by what means.

    ``method`` and ``query`` both None is a hand-over into ``environment``, or, where an ``output`` leaves, a delivery of rows to the
    recipient, whose own id is then the environment; ``output`` is the form that leaves and ``minimum_group`` the smallest group that the
    computation itself guarantees (None: it guarantees none).
    """

    recipient: str
    at: datetime
    purpose: str | None
    environment: str | None
    method: str | None = None
    query: QueryForm | None = None
    output: Form | None = None
    minimum_group: int | None = None

    @property
    def computes(self) -> bool:
        """Whether something is computed, rather than only handed over into the room or delivered."""
        return self.method is not None or self.query is not None

    @property
    def delivers(self) -> bool:
        """Whether the product's own rows go to the recipient, outside any clean room."""
        return not self.computes and self.output is not None


@dataclass(frozen=True, slots=True)
class UseState:
    """What is true of the agreement at the moment of use."""

    assignee: str
    uses: int


@dataclass(frozen=True, slots=True)
class Finding:
    """How one rule fared: what it expected, what the use has, and what would pass."""

    rule: str
    constraint: str
    expected: str
    got: str
    satisfied: bool
    would_pass: Text


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one use, rule by rule, in the order of evaluation."""

    findings: tuple[Finding, ...]

    @property
    def permitted(self) -> bool:
        """Whether every finding is satisfied."""
        return all(finding.satisfied for finding in self.findings)

    def refusal(self) -> Refused | None:
        """Return the refusal that names the first rule that failed, or None where the use is permitted."""
        for finding in self.findings:
            if not finding.satisfied:
                message = f"rule {finding.rule} ({finding.constraint}): expected {finding.expected}, got {finding.got}"
                return Refused(finding.rule, message, would_pass=finding.would_pass)
        return None


def evaluate(policy: Policy, use: Use, state: UseState) -> Report:
    """Return the verdict of ``policy`` on ``use``: a rule that the use needs and the policy lacks is a finding that fails."""
    needed = needs(use, state)
    findings: list[Finding] = []
    for kind in NAMES:
        rule = policy.rule(kind)
        if rule is not None:
            findings.append(_finding(rule, use, state))
        elif kind in needed:
            findings.append(_missing(kind))
    return Report(tuple(findings))


def needs(use: Use, state: UseState) -> frozenset[type[Rule]]:
    """Return the kinds of rule without which ``use`` is refused."""
    needed: set[type[Rule]] = {OutputForm} if use.delivers else {Purpose, Environment}
    if use.method is not None:
        needed |= {Methods, OutputForm}
    if use.query is not None:
        needed |= {Queries, OutputForm, MinimumGroup}
    if use.recipient != state.assignee:
        needed.add(Recipient)
    return frozenset(needed)


def _missing(kind: type[Rule]) -> Finding:
    name = NAMES[kind]
    return Finding(
        rule=name,
        constraint="no such rule",
        expected=f"a rule {name} that allows this use",
        got="none in the policy",
        satisfied=False,
        would_pass=Text(
            f"An agreement whose policy has a rule {name} that allows this use.",
            f"所依据的合约须含有允许此用途的 {name} 规则。",
        ),
    )


def _finding(rule: Rule, use: Use, state: UseState) -> Finding:
    match rule:
        case TimeWindow():
            return _time(rule, use)
        case MinimumGroup():
            return _group(rule, use)
        case CountLimit():
            return _count(rule, state)
        case _:
            return _one_of(rule, use)


_Membership = Recipient | Purpose | Environment | Methods | Queries | OutputForm


def _one_of(rule: _Membership, use: Use) -> Finding:
    allowed, got, applies = _membership(rule, use)
    name = NAMES[type(rule)]
    expected = " or ".join(sorted(allowed))
    return Finding(
        rule=name,
        constraint="is one of",
        expected=expected,
        got=got if got is not None else "none",
        satisfied=not applies or got in allowed,
        would_pass=Text(f"A use with {name} {expected}.", f"{name} 为 {expected} 的使用。"),
    )


def _membership(rule: _Membership, use: Use) -> tuple[frozenset[str], str | None, bool]:
    """What the rule allows, what the use has, and whether the rule touches the use at all."""
    match rule:
        case Recipient(dids):
            return dids, use.recipient, True
        case Purpose(codes):
            return codes, use.purpose, True
        case Environment(room):
            return frozenset({room}), use.environment, True
        case Methods(names):
            return names, use.method, use.method is not None or use.delivers
        case Queries(query):
            return frozenset({query}), use.query, use.query is not None or use.delivers
        case OutputForm(form):
            # what is delivered are rows, whatever it is called
            return frozenset({form}), Form.ROWS if use.delivers else use.output, use.computes or use.delivers


def _time(rule: TimeWindow, use: Use) -> Finding:
    start = iso(rule.not_before) if rule.not_before else "any time"
    end = iso(rule.not_after) if rule.not_after else "any time"
    after = rule.not_before is None or rule.not_before <= use.at
    before = rule.not_after is None or use.at <= rule.not_after
    return Finding(
        rule=NAMES[TimeWindow],
        constraint="lies between",
        expected=f"{start} to {end}",
        got=iso(use.at),
        satisfied=after and before,
        would_pass=Text(f"A use from {start} to {end}.", f"在 {start} 至 {end} 之间使用。"),
    )


def _group(rule: MinimumGroup, use: Use) -> Finding:
    applies = use.query is not None or use.delivers or use.minimum_group is not None
    return Finding(
        rule=NAMES[MinimumGroup],
        constraint="is at least",
        expected=f"groups of at least {rule.k}",
        got="no guaranteed group size" if use.minimum_group is None else f"groups of at least {use.minimum_group}",
        satisfied=not applies or (use.minimum_group is not None and use.minimum_group >= rule.k),
        would_pass=Text(f"A computation that reports groups of at least {rule.k}.", f"仅输出不少于 {rule.k} 个主体的分组结果。"),
    )


def _count(rule: CountLimit, state: UseState) -> Finding:
    return Finding(
        rule=NAMES[CountLimit],
        constraint="is less than",
        expected=f"fewer than {rule.uses} uses so far",
        got=f"{state.uses}",
        satisfied=state.uses < rule.uses,
        would_pass=Text("A new agreement: this one's uses are spent.", "本合约的使用次数已用完，请签订新合约。"),
    )


def _check(rule: Rule) -> None:
    match rule:
        case Purpose(values) | Recipient(values) | Methods(values):
            sound = bool(values) and all(values)
        case TimeWindow(start, end):
            sound = (start, end) != (None, None) and _printable(start, end) and (start is None or end is None or start <= end)
        case Environment(room):
            sound = bool(room)
        case MinimumGroup(number) | CountLimit(number):
            sound = 1 <= number < 10**9
        case OutputForm() | Queries():
            sound = True
    if not sound:
        raise _invalid("policy.empty-rule", f"expected a rule {NAMES[type(rule)]} that something can satisfy, got one that nothing can")


def _printable(*moments: datetime | None) -> bool:
    """Times carry an offset and whole milliseconds, so that their text form loses nothing."""
    return all(moment is None or (moment.tzinfo is not None and moment.microsecond % 1000 == 0) for moment in moments)


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(code, message, hint=Text("Mend the policy; the reference lists every rule.", "请修正策略；参考文档列出了全部规则。"))


def differing(ours: Policy, theirs: Policy) -> Sequence[str]:
    """Return the names of the rules and duties in which two policies differ, in the order of evaluation."""
    names = [name for kind, name in NAMES.items() if ours.rule(kind) != theirs.rule(kind)]
    return names if ours.duties == theirs.duties else [*names, "pay"]
