"""The verdict on one use: a pure function of the policy, the use and what is true of the agreement, with a finding for every rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Language
from chengshu.policy.constraint import Elapsed, Fact, Facts, Silence, flat, join, judge
from chengshu.policy.duties import Owed
from chengshu.policy.findings import Finding, finding, missing, of_action, of_duty, of_prohibition
from chengshu.policy.model import (
    Environment,
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Permission,
    Policy,
    Prohibition,
    Purpose,
    Queries,
    Recipient,
    Use,
    UseState,
)
from chengshu.policy.parameters import Parameters
from chengshu.policy.rules import NAMES, NamedRule, operand_of
from chengshu.policy.terms import Action, Joint, Operand


@dataclass(frozen=True, slots=True)
class RuleReport:
    """How one permission, prohibition or obligation fared; ``active`` is one that allows, forbids or bars."""

    name: str
    active: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one use, rule by rule, in the order of evaluation."""

    permissions: tuple[RuleReport, ...]
    prohibitions: tuple[RuleReport, ...] = ()
    obligations: tuple[RuleReport, ...] = ()

    @property
    def chosen(self) -> RuleReport:
        """The first permission that allows the use, or else the one that comes nearest: the fewest findings against it."""
        return min(self.permissions, key=lambda one: (not one.active, sum(not finding.satisfied for finding in one.findings)))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding that the verdict rests on: prohibitions, what is owed, then the chosen permission."""
        return tuple(finding for one in (*self.prohibitions, *self.obligations, self.chosen) for finding in one.findings)

    @property
    def permitted(self) -> bool:
        """Whether a permission allows it, and nothing forbids or bars it."""
        return self.chosen.active and not any(one.active for one in (*self.prohibitions, *self.obligations))

    def refusal(self) -> Refused | None:
        """Return the refusal that names the first rule that failed, or None where the use is permitted."""
        for one in self.findings:
            if not one.satisfied:
                message = f"rule {one.rule} ({one.constraint}): expected {one.expected}, got {one.got}"
                return Refused(one.rule, message, would_pass=one.would_pass)
        return None

    def as_rows(self, language: Language) -> list[dict[str, object]]:
        """Return every finding of every rule as JSON-ready values."""
        return [
            {"of": one.name, "active": one.active, **finding.as_dict(language)}
            for one in (*self.prohibitions, *self.obligations, *self.permissions)
            for finding in one.findings
        ]


def evaluate(policy: Policy, use: Use, state: UseState) -> Report:
    """Return the verdict of ``policy`` on ``use``: a rule that the use needs and a permission lacks is a finding that fails."""
    facts, needed = facts_of(use, state), needs(use, state)
    permissions = []
    for number, permission in enumerate(policy.permissions, 1):
        name = f"permission-{number}"
        judged = judge_permission(permission, action=use.action, facts=facts, needed=needed)
        barred = [of_duty(one, use.at) for one in state.owed if _is_of(one, name)]
        findings = (*judged, *barred)
        permissions.append(RuleReport(name, all(one.satisfied for one in findings), findings))
    prohibitions = [
        judge_prohibition(one, f"prohibition-{number}", action=use.action, facts=facts)
        for number, one in enumerate(policy.prohibitions, 1)
        if one.action.covers(use.action)
    ]
    return Report(tuple(permissions), tuple(prohibitions), tuple(_obligations(state, use)))


def judge_permission(
    permission: Permission, *, action: Action, facts: Facts, needed: frozenset[type[NamedRule]] = frozenset()
) -> tuple[Finding, ...]:
    """Return how every rule of a permission fares, and what it lacks; it allows what was done where all are satisfied."""
    found = [] if permission.action.covers(action) else [of_action(permission.action, action)]
    absent = needed - {kind for kind in needed if operand_of(kind) in {one.operand for one in flat(permission.conditions)}}
    named = {type(rule): rule for rule in permission.rules}
    for kind in NAMES:
        if kind in absent:
            found.append(missing(kind))
        elif kind in named:
            found.append(finding(named[kind], facts))
    return (*found, *(finding(rule, facts) for rule in permission.rules if type(rule) not in NAMES))


def judge_prohibition(prohibition: Prohibition, name: str, *, action: Action, facts: Facts) -> RuleReport:
    """Return whether a prohibition forbids it: every rule holds, or cannot be said not to."""
    truth = join(Joint.AND, [judge(one, facts) for one in prohibition.conditions]) if prohibition.conditions else True
    active = prohibition.action.covers(action) and truth in {True, Silence.UNSAID}
    return RuleReport(name, active, (of_prohibition(prohibition, name, facts, is_active=active),))


def needs(use: Use, state: UseState) -> frozenset[type[NamedRule]]:
    """Return the kinds of rule without which ``use`` is refused."""
    needed: set[type[NamedRule]] = {OutputForm} if use.delivers else {Purpose, Environment}
    if use.method is not None:
        needed |= {Methods, OutputForm}
    if use.query is not None:
        needed |= {Queries, OutputForm, MinimumGroup}
    if use.recipient != state.assignee:
        needed.add(Recipient)
    return frozenset(needed)


def facts_of(use: Use, state: UseState) -> dict[Operand, Fact]:
    """Return what is known of a use, operand by operand."""
    moves = use.computes or use.delivers
    # a clean room keeps to the columns and rows that are agreed; what is delivered are all of them
    whole: Fact = frozenset() if use.delivers else Silence.APART
    touches_group = use.query is not None or use.delivers or use.minimum_group is not None
    first = state.first_use_at if state.first_use_at is not None else use.at
    return {
        Operand.TIME: use.at,
        Operand.RECIPIENT: frozenset({use.recipient}),
        Operand.PURPOSE: _one(use.purpose),
        Operand.ENVIRONMENT: _one(use.environment),
        Operand.METHOD: _means(use.method, use),
        Operand.PARAMETERS: _parameters(use),
        Operand.QUERY: _means(use.query, use),
        # what is delivered are rows, whatever it is called
        Operand.OUTPUT: (frozenset({Form.ROWS.value}) if use.delivers else _one(use.output)) if moves else Silence.APART,
        Operand.GROUP: (Silence.UNSAID if use.minimum_group is None else use.minimum_group) if touches_group else Silence.APART,
        Operand.COUNT: state.uses + 1,
        Operand.PLACE: Silence.UNSAID if use.place is None else use.place,
        Operand.ELAPSED: Silence.UNSAID if state.agreed_at is None else Elapsed(state.agreed_at, use.at),
        Operand.SINCE_FIRST_USE: Elapsed(first, use.at),
        Operand.EVENT: state.events,
        # how much of a budget is left, and from when on it counts, is the ledger's to say: the policy only states it
        Operand.PRIVACY_BUDGET: Silence.APART,
        Operand.PRIVACY_WINDOW: Silence.APART,
        Operand.PRIVACY_LOSS: (Silence.UNSAID if use.privacy_loss is None else use.privacy_loss) if moves else Silence.APART,
        Operand.COLUMN: whole,
        Operand.SHOWN: whole,
        Operand.ROWS: whole,
        Operand.CONTRIBUTION: (Silence.UNSAID if use.contributions is None else use.contributions) if moves else Silence.APART,
    }


def _one(value: str | None) -> Fact:
    return Silence.UNSAID if value is None else frozenset({str(value)})


def _means(value: str | None, use: Use) -> Fact:
    """By what means: in a delivery by none, which a rule on means must hear of; a hand-over or another means has no such thing."""
    if value is not None:
        return frozenset({str(value)})
    return frozenset() if use.delivers else Silence.APART


def _parameters(use: Use) -> Fact:
    """Those of a method, where they are known; a delivery has none, which a rule on them must hear of, and a question is none of theirs."""
    if use.method is not None:
        return Silence.UNSAID if use.parameters is None else use.parameters
    return Parameters.of({}) if use.delivers else Silence.APART


def _obligations(state: UseState, use: Use) -> Sequence[RuleReport]:
    owed = [one for one in state.owed if one.duty.startswith("obligation-")]
    return [RuleReport(one.duty, one.blocks(use.at), (of_duty(one, use.at),)) for one in owed]


def _is_of(owed: Owed, permission: str) -> bool:
    return owed.duty.startswith(f"{permission}/")
