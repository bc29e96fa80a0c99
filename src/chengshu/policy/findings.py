"""How one rule fared, in words that say what was expected, what came, and what would pass."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chengshu.kernel.clock import iso
from chengshu.kernel.text import Language, Text
from chengshu.policy.constraint import Constraint, Elapsed, Fact, Facts, Logical, Silence, Value, flat, join, judge
from chengshu.policy.duties import DutyState, Owed
from chengshu.policy.model import Prohibition
from chengshu.policy.parameters import Parameters
from chengshu.policy.rules import (
    NAMES,
    Columns,
    CountLimit,
    MinimumGroup,
    NamedRule,
    Privacy,
    RowFilter,
    Rule,
    Shown,
    TimeWindow,
    comparisons,
)
from chengshu.policy.terms import Action, Joint, Operand, Operator
from chengshu.policy.words import STATES, condition_words, duty_words, rule_words, shown


@dataclass(frozen=True, slots=True)
class Finding:
    """How one rule fared: what it expected, what the use has, and what would pass."""

    rule: str
    constraint: str
    expected: str
    got: str
    satisfied: bool
    would_pass: Text

    def as_dict(self, language: Language) -> dict[str, object]:
        """Return the finding as JSON-ready values."""
        return {
            "rule": self.rule,
            "constraint": self.constraint,
            "expected": self.expected,
            "got": self.got,
            "satisfied": self.satisfied,
            "would_pass": self.would_pass.of(language),
        }


def finding(rule: Rule, facts: Facts) -> Finding:
    """Return how a rule of a permission fares: what does not apply to the use is satisfied, what nobody stated is not."""
    match rule:
        case TimeWindow():
            return _time(rule, facts)
        case MinimumGroup():
            return _group(rule, facts)
        case CountLimit():
            return _count(rule, facts)
        case Privacy():
            return _privacy(rule, facts)
        case Columns() | Shown() | RowFilter():
            return _part(rule, facts)
        case Constraint():
            return _compared(rule, facts)
        case Logical():
            return _joined(rule, facts)
        case _:
            return _one_of(rule, facts)


def missing(kind: type[NamedRule]) -> Finding:
    """Return the finding for a rule that a use needs and a permission lacks."""
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


def of_action(allowed: Action, asked: Action) -> Finding:
    """Return the finding for a permission that is about another action."""
    return Finding(
        rule="action",
        constraint="is",
        expected=allowed.value,
        got=asked.value,
        satisfied=False,
        would_pass=Text(f"A permission whose action covers {asked}.", f"允许行为涵盖 {asked} 的许可。"),
    )


def of_prohibition(prohibition: Prohibition, name: str, facts: Facts, *, is_active: bool) -> Finding:
    """Return the finding for a prohibition: which of its rules hold, and what would be outside it."""
    parts = [condition_words(one) for one in prohibition.conditions]
    en = " and ".join(part.en for part in parts) or "in every case"
    zh = "，且".join(part.zh for part in parts) or "一律适用"
    known = dict.fromkeys(one.operand for one in flat(prohibition.conditions))
    return Finding(
        rule="prohibition",
        constraint=name,
        expected=f"no {prohibition.action} where {en}" if parts else f"no {prohibition.action}",
        got=", ".join(f"{operand} {_told(facts.get(operand, Silence.UNSAID))}" for operand in known) or "this use",
        satisfied=not is_active,
        would_pass=Text(f"A use that is not one where {en}.", f"不属于下列情形的使用：{zh}。"),
    )


def of_duty(owed: Owed, at: datetime) -> Finding:
    """Return the finding for something that is owed: it bars uses while it is overdue, or is the unpaid price of what was."""
    state, name = owed.state(at), duty_words(owed.action)
    until = iso(owed.due_at) if owed.due_at else "no deadline"
    return Finding(
        rule="duty-overdue" if state is DutyState.OVERDUE else "duty",
        constraint=owed.duty,
        expected=f"{owed.action} fulfilled ({until})",
        got=state.value,
        satisfied=not owed.blocks(at),
        would_pass=Text(
            f"The same use once the duty is fulfilled: {name.en[0].lower()}{name.en[1:]}.",
            f"履行义务后即可同样使用：{name.zh}（当前：{STATES[state].zh}）。",
        ),
    )


def _holds(rule: NamedRule, facts: Facts) -> bool:
    return join(Joint.AND, [judge(one, facts) for one in comparisons(rule)]) in {True, Silence.APART}


def _one_of(rule: Any, facts: Facts) -> Finding:
    (comparison,) = comparisons(rule)
    expected = " or ".join(sorted(str(value) for value in comparison.values))
    name = NAMES[type(rule)]
    return Finding(
        rule=name,
        constraint="is one of",
        expected=expected,
        got=_plain(facts.get(comparison.operand, Silence.UNSAID)),
        satisfied=_holds(rule, facts),
        would_pass=Text(f"A use with {name} {expected}.", f"{name} 为 {expected} 的使用。"),
    )


def _time(rule: TimeWindow, facts: Facts) -> Finding:
    start = iso(rule.not_before) if rule.not_before else "any time"
    end = iso(rule.not_after) if rule.not_after else "any time"
    return Finding(
        rule=NAMES[TimeWindow],
        constraint="lies between",
        expected=f"{start} to {end}",
        got=_plain(facts.get(Operand.TIME, Silence.UNSAID)),
        satisfied=_holds(rule, facts),
        would_pass=Text(f"A use from {start} to {end}.", f"在 {start} 至 {end} 之间使用。"),
    )


def _group(rule: MinimumGroup, facts: Facts) -> Finding:
    got = facts.get(Operand.GROUP, Silence.UNSAID)
    return Finding(
        rule=NAMES[MinimumGroup],
        constraint="is at least",
        expected=f"groups of at least {rule.k}",
        got=f"groups of at least {got}" if isinstance(got, int) else "no guaranteed group size",
        satisfied=_holds(rule, facts),
        would_pass=Text(f"A computation that reports groups of at least {rule.k}.", f"仅输出不少于 {rule.k} 个主体的分组结果。"),
    )


def _count(rule: CountLimit, facts: Facts) -> Finding:
    number = facts.get(Operand.COUNT, Silence.UNSAID)
    return Finding(
        rule=NAMES[CountLimit],
        constraint="is less than",
        expected=f"fewer than {rule.uses} uses so far",
        got=str(number - 1) if isinstance(number, int) else _plain(number),
        satisfied=_holds(rule, facts),
        would_pass=Text("A new agreement: this one's uses are spent.", "本合约的使用次数已用完，请签订新合约。"),
    )


def _privacy(rule: Privacy, facts: Facts) -> Finding:
    loss, records = (facts.get(one, Silence.UNSAID) for one in (Operand.PRIVACY_LOSS, Operand.CONTRIBUTION))
    noisy = Silence.UNSAID not in {loss, records}
    words = rule_words(rule)
    return Finding(
        rule=NAMES[Privacy],
        constraint="is at most",
        expected=f"an answer with noise of rho at most {_amount(rule.loss)}, of at most {rule.most_records} records of a unit",
        got=f"rho {_told(loss)}, {_told(records)} records of a unit" if noisy else "an answer without noise",
        satisfied=_holds(rule, facts),
        would_pass=Text(f"A vetted question whose answer carries noise. {words.en}", f"由净室加噪后回答的受审问题。{words.zh}"),
    )


def _part(rule: Columns | Shown | RowFilter, facts: Facts) -> Finding:
    """A clean room, and the holder that hands rows to it, keep to the part of a product that is agreed; a delivery is of all of it."""
    satisfied = _holds(rule, facts)
    return Finding(
        rule=NAMES[type(rule)],
        constraint="keeps to",
        expected="a use that keeps to the part of the product that is agreed",
        got="one in a clean room" if satisfied else "a delivery of the whole product",
        satisfied=satisfied,
        would_pass=Text("A question or a sealed method in a clean room.", "在净室中提问或使用封装方法。"),
    )


def _amount(value: Value | None) -> str:
    return "none" if value is None else shown(value)


def _compared(rule: Constraint, facts: Facts) -> Finding:
    words = rule_words(rule)
    return Finding(
        rule=rule.operand.value,
        constraint=rule.operator.value,
        expected=(" and " if rule.operator is Operator.IS_ALL_OF else " or ").join(sorted(map(shown, rule.values))),
        got=_told(facts.get(rule.operand, Silence.UNSAID)),
        satisfied=judge(rule, facts) in {True, Silence.APART},
        would_pass=Text(f"A use of which this holds: {words.en}.", f"满足以下条件的使用：{words.zh}。"),
    )


def _joined(rule: Logical, facts: Facts) -> Finding:
    words = rule_words(rule)
    known = dict.fromkeys(one.operand for one in flat([rule]))
    return Finding(
        rule=rule.joint.value,
        constraint=f"of {len(rule.parts)}",
        expected=words.en,
        got=", ".join(f"{operand} {_told(facts.get(operand, Silence.UNSAID))}" for operand in known),
        satisfied=judge(rule, facts) in {True, Silence.APART},
        would_pass=Text(f"A use of which this holds: {words.en}.", f"满足以下条件的使用：{words.zh}。"),
    )


def _plain(fact: Fact) -> str:
    """What the use has, where the usual rules tell it: nothing is none, whatever the reason."""
    return "none" if isinstance(fact, Silence) or fact == frozenset() else _told(fact)


def _told(fact: Fact) -> str:
    match fact:
        case Silence():
            return fact.value
        case frozenset():
            return ", ".join(sorted(fact)) or "none"
        case Elapsed(since, now):
            return f"{iso(since)} to {iso(now)}"
        case Parameters():
            return str(fact)
        case _:
            return shown(fact)
