"""Permissions beside one another, prohibitions over them, duties under them; and what never turns a refusal into leave."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from policy_values import CODES, IN_SQUARE, NOON, OUTSIDE, SQUARE, conditions, is_sound, once, policies, rule_lists, states, uses

from chengshu.kernel.errors import Invalid
from chengshu.policy.constraint import Constraint, Logical, flat
from chengshu.policy.evaluation import evaluate
from chengshu.policy.model import (
    Action,
    Basis,
    CountLimit,
    Deed,
    DutyAction,
    Environment,
    Form,
    MinimumGroup,
    OutputForm,
    Owed,
    Pay,
    Permission,
    Place,
    Policy,
    Prohibition,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    Rule,
    TimeWindow,
    Use,
    UseState,
    differing,
)
from chengshu.policy.terms import Joint, Operand, Operator
from chengshu.policy.values import Duration
from chengshu.policy.words import policy_words

STATE = UseState(assignee="did:a", uses=0, agreed_at=NOON - timedelta(days=10), first_use_at=NOON - timedelta(days=1))
DELIVERY = Use("did:a", NOON, "research", "did:a", output=Form.ROWS)
QUERY = Use("did:a", NOON, "research", "did:room", query=QueryForm.VETTED_SQL, output=Form.AGGREGATE, minimum_group=5)
ROWS = OutputForm(Form.ROWS)
ROOM: tuple[Rule, ...] = (
    Purpose(frozenset({"research"})),
    Environment("did:room"),
    Queries(QueryForm.VETTED_SQL),
    OutputForm(Form.AGGREGATE),
    MinimumGroup(5),
)


def refused(policy: Policy, use: Use = DELIVERY, state: UseState = STATE) -> str | None:
    refusal = evaluate(policy, use, state).refusal()
    return None if refusal is None else refusal.rule


def one(operand: Operand, operator: Operator, value: object) -> Constraint:
    return Constraint(operand, operator, value)  # type: ignore[arg-type]  # the kind of the operand chose the value


def test_one_of_several_permissions_is_enough() -> None:
    both = Policy(ROOM, alternatives=(Permission((ROWS,)),))
    assert (refused(both, DELIVERY), refused(both, QUERY)) == (None, None)
    assert refused(Policy(ROOM), DELIVERY) == "environment"


def test_the_permission_that_comes_nearest_says_what_is_missing() -> None:
    both = Policy(
        (*ROOM, CountLimit(1), Recipient(frozenset({"did:z"}))),
        alternatives=(
            Permission(
                (ROWS, Purpose(frozenset({"x"}))),
            ),
        ),
    )
    assert refused(both, DELIVERY) == "purpose"


def test_a_prohibition_beats_a_permission() -> None:
    barred = Prohibition((one(Operand.PURPOSE, Operator.IS_A, "research"),))
    policy = Policy((ROWS,), prohibitions=(barred,))
    for purpose in ("research", "traffic-study", None):  # what nobody states cannot be said to be something else
        assert refused(policy, replace(DELIVERY, purpose=purpose)) == "prohibition"
    assert refused(policy, replace(DELIVERY, purpose="advertising")) is None


def test_a_prohibition_without_conditions_always_forbids_and_one_of_another_action_never() -> None:
    assert refused(Policy((ROWS,), prohibitions=(Prohibition(),))) == "prohibition"
    assert refused(Policy((ROWS,), prohibitions=(Prohibition(action=Action.READ),))) == "prohibition"
    for action in (Action.DERIVE, Action.SELL, Action.DISTRIBUTE):
        assert refused(Policy((ROWS,), prohibitions=(Prohibition(action=action),))) is None


def test_a_prohibition_on_a_means_that_a_use_has_not_does_not_touch_it() -> None:
    means = Prohibition((one(Operand.METHOD, Operator.EQ, "dump"),))
    assert refused(Policy(ROOM, prohibitions=(means,)), QUERY) is None
    hand_over = Use("did:a", NOON, "research", "did:room")
    assert refused(Policy(ROOM, prohibitions=(means,)), hand_over) is None


def test_a_permission_is_about_its_action_alone() -> None:
    assert refused(Policy((ROWS,), action=Action.READ)) is None
    assert refused(Policy((ROWS,), action=Action.DERIVE)) == "action"
    assert refused(Policy(ROOM, action=Action.DERIVE), QUERY) is None


@pytest.mark.parametrize(
    ("rule", "use", "state", "expected"),
    [
        (one(Operand.PLACE, Operator.IS_PART_OF, SQUARE), replace(DELIVERY, place=IN_SQUARE), STATE, None),
        (one(Operand.PLACE, Operator.IS_PART_OF, SQUARE), replace(DELIVERY, place=OUTSIDE), STATE, "place"),
        (one(Operand.PLACE, Operator.IS_PART_OF, SQUARE), DELIVERY, STATE, "place"),
        (one(Operand.ELAPSED, Operator.LTEQ, Duration(0, 10 * 86_400_000)), DELIVERY, STATE, None),
        (one(Operand.ELAPSED, Operator.LT, Duration(0, 10 * 86_400_000)), DELIVERY, STATE, "elapsed-time"),
        (one(Operand.ELAPSED, Operator.LT, Duration(1, 0)), DELIVERY, replace(STATE, agreed_at=None), "elapsed-time"),
        (one(Operand.SINCE_FIRST_USE, Operator.LTEQ, Duration(0, 86_400_000)), DELIVERY, STATE, None),
        (one(Operand.SINCE_FIRST_USE, Operator.LTEQ, Duration(0, 86_399_999)), DELIVERY, STATE, "since-first-use"),
        (one(Operand.SINCE_FIRST_USE, Operator.LTEQ, Duration(0, 0)), DELIVERY, replace(STATE, first_use_at=None), None),
        (one(Operand.EVENT, Operator.IS_A, "disaster"), DELIVERY, replace(STATE, events=frozenset({"flood"})), None),
        (one(Operand.EVENT, Operator.IS_A, "disaster"), DELIVERY, STATE, "event"),
        (one(Operand.COUNT, Operator.LT, 1), DELIVERY, STATE, "count-limit"),
        (one(Operand.COUNT, Operator.EQ, 1), DELIVERY, STATE, None),
        (one(Operand.PURPOSE, Operator.IS_NONE_OF, frozenset({"advertising"})), DELIVERY, STATE, None),
        (one(Operand.PURPOSE, Operator.IS_NONE_OF, frozenset({"advertising"})), replace(DELIVERY, purpose=None), STATE, "purpose"),
        (one(Operand.METHOD, Operator.EQ, "m"), DELIVERY, STATE, "methods"),
        (
            Logical(Joint.OR, (one(Operand.PURPOSE, Operator.EQ, "x"), one(Operand.RECIPIENT, Operator.EQ, "did:a"))),
            replace(DELIVERY, purpose=None), STATE, None,
        ),
        (
            Logical(Joint.XONE, (one(Operand.PURPOSE, Operator.EQ, "research"), one(Operand.RECIPIENT, Operator.EQ, "did:a"))),
            DELIVERY, STATE, "xone",
        ),
    ],
)  # fmt: skip
def test_each_operand_allows_and_refuses_by_its_name(rule: Rule, use: Use, state: UseState, expected: str | None) -> None:
    assert refused(Policy((ROWS, rule)), use, state) == expected


PENDING = Owed("permission-1/duty-1", DutyAction.DELETE, 1, NOON - timedelta(days=9), NOON + timedelta(days=1))


def test_an_overdue_duty_of_a_permission_bars_that_permission_alone() -> None:
    policy = Policy(
        (ROWS,),
        alternatives=(
            Permission(
                (ROWS, Purpose(frozenset({"research"}))),
            ),
        ),
    )
    late = replace(PENDING, due_at=NOON - timedelta(milliseconds=1))
    assert refused(Policy((ROWS,)), state=replace(STATE, owed=(PENDING,))) is None
    assert refused(Policy((ROWS,)), state=replace(STATE, owed=(replace(PENDING, due_at=NOON),))) is None
    assert refused(Policy((ROWS,)), state=replace(STATE, owed=(late,))) == "duty-overdue"
    assert refused(policy, state=replace(STATE, owed=(late,))) is None
    assert refused(Policy((ROWS,)), state=replace(STATE, owed=(replace(late, fulfilled_at=NOON),))) is None


def test_an_overdue_obligation_bars_every_use_and_so_does_the_unpaid_price_of_one() -> None:
    policy = Policy((ROWS,), alternatives=(Permission((ROWS, CountLimit(9))),))
    late = Owed("obligation-1", DutyAction.INFORM, 1, NOON - timedelta(days=9), NOON - timedelta(days=2))
    assert refused(policy, state=replace(STATE, owed=(late,))) == "duty-overdue"
    paid = replace(late, fulfilled_at=NOON)
    price = Owed("obligation-1/consequence-1", DutyAction.ATTRIBUTE, 1, NOON, None, consequence_of="obligation-1")
    assert refused(policy, state=replace(STATE, owed=(paid, price))) == "duty"
    assert refused(policy, state=replace(STATE, owed=(paid, replace(price, fulfilled_at=NOON)))) is None


def test_a_refusal_names_the_duty_and_says_what_would_pass() -> None:
    late = replace(PENDING, due_at=NOON - timedelta(days=2))
    refusal = evaluate(Policy((ROWS,)), DELIVERY, replace(STATE, owed=(late,))).refusal()
    assert refusal is not None
    assert refusal.message == "rule duty-overdue (permission-1/duty-1): expected delete fulfilled (2026-05-30T12:00:00.000Z), got overdue"
    assert "erase what was received" in refusal.would_pass.en


@given(policies(), uses, states, rule_lists.filter(is_sound), st.sampled_from(Action))
def test_a_prohibition_more_never_turns_a_refusal_into_leave(
    policy: Policy, use: Use, state: UseState, rules: tuple[Rule, ...], action: Action
) -> None:
    further = Prohibition(rules, action)
    assume(further not in policy.prohibitions)
    if evaluate(replace(policy, prohibitions=(*policy.prohibitions, further)), use, state).permitted:
        assert evaluate(policy, use, state).permitted


@given(policies(), uses, states, conditions)
def test_a_constraint_more_turns_a_refusal_into_leave_only_where_it_is_the_rule_that_the_use_needs(
    policy: Policy, use: Use, state: UseState, further: Constraint | Logical
) -> None:
    first, *others = (with_one_more(one, further) for one in policy.permissions)
    assume(len({first, *others}) == len(policy.permissions))
    before, after = evaluate(policy, use, state), evaluate(replace(policy, rules=first.rules, alternatives=tuple(others)), use, state)
    about = {one.operand.value for one in flat([further])}
    for was, now in zip(before.permissions, after.permissions, strict=True):
        failed = [one for one in was.findings if not one.satisfied]
        assert not now.active or all(one.constraint == "no such rule" and one.rule in about for one in failed)


def with_one_more(permission: Permission, further: Constraint | Logical) -> Permission:
    found = once([*permission.conditions, further])
    assume(is_sound(found) and len(found) > len(permission.conditions))
    return replace(permission, rules=found)


@given(policies(), uses, states)
def test_a_verdict_agrees_with_its_findings_and_always_says_what_would_pass(policy: Policy, use: Use, state: UseState) -> None:
    report = evaluate(policy, use, state)
    assert report.permitted == (report.refusal() is None) == all(finding.satisfied for finding in report.findings)
    assert all(row["would_pass"] for row in report.as_rows("zh"))
    assert evaluate(policy, use, state) == report


@given(policies(), uses, states)
def test_whom_a_use_is_permitted_to_the_policy_admits(policy: Policy, use: Use, state: UseState) -> None:
    if evaluate(policy, use, state).permitted:
        assert policy.admits(use.recipient)
        named = policy.named()
        assert named is None or use.recipient in named


@given(policies())
def test_every_policy_can_be_told_in_words(policy: Policy) -> None:
    lines = policy_words(policy)
    assert all(words.en and words.zh for _, words in lines)
    told = {name.partition("/consequence")[0] for name, _ in lines}
    assert {name for name, _ in policy.owing()} <= told
    assert {f"prohibition-{number}" for number in range(1, len(policy.prohibitions) + 1)} <= told


def test_what_a_policy_asks_of_groups_and_counts_is_the_strictest_and_the_most() -> None:
    second = Permission((one(Operand.GROUP, Operator.GT, 9), CountLimit(7)))
    assert Policy((MinimumGroup(5), CountLimit(3)), alternatives=(second,)).least_group == 10
    assert Policy((MinimumGroup(5), CountLimit(3)), alternatives=(second,)).most_uses == 7
    assert Policy((MinimumGroup(5),), alternatives=(second,)).most_uses is None
    assert Policy((one(Operand.COUNT, Operator.LT, 3),)).most_uses == 2
    assert (Policy(()).least_group, Policy(()).most_uses) == (1, None)


def test_who_may_hold_an_agreement_is_who_some_permission_admits_and_no_prohibition_bars() -> None:
    named = Permission((Recipient(frozenset({"did:b"})),))
    policy = Policy((one(Operand.RECIPIENT, Operator.EQ, "did:a"),), alternatives=(named,))
    assert [policy.admits(did) for did in ("did:a", "did:b", "did:c")] == [True, True, False]
    assert not policy.is_open_to_all
    assert (policy.named(), Policy((ROWS,), alternatives=(named,)).named()) == (None, None)
    assert Policy(named.rules, alternatives=(Permission((Recipient(frozenset({"did:c"})),)),)).named() == {"did:b", "did:c"}
    barred = Policy((ROWS,), prohibitions=(Prohibition((one(Operand.RECIPIENT, Operator.EQ, "did:b"),)),))
    assert [barred.admits(did) for did in ("did:a", "did:b")] == [True, False]
    assert barred.is_open_to_all
    elsewhere = Logical(Joint.OR, (one(Operand.RECIPIENT, Operator.EQ, "did:a"), one(Operand.PURPOSE, Operator.EQ, CODES[0])))
    assert Policy((elsewhere,)).is_open_to_all  # for that purpose it is


def test_two_halves_of_a_window_are_one_window_and_everything_comes_once() -> None:
    halves = (TimeWindow(NOON, None), one(Operand.TIME, Operator.LTEQ, NOON + timedelta(days=1)))
    assert Policy(halves).rules == (TimeWindow(NOON, NOON + timedelta(days=1)),)
    twice = one(Operand.PURPOSE, Operator.IS_A, "research")
    for wrong in ((twice, twice), (TimeWindow(NOON, None), TimeWindow(NOON, None)), (CountLimit(1), one(Operand.COUNT, Operator.LTEQ, 2))):
        with pytest.raises(Invalid):
            Policy(wrong)
    with pytest.raises(Invalid):
        Policy((ROWS,), alternatives=(Permission((ROWS,)),))
    with pytest.raises(Invalid):
        Policy((ROWS,), (Pay(Basis.CONTRIBUTION), Pay(Basis.CONTRIBUTION)))
    with pytest.raises(Invalid):
        Deed(DutyAction.COMPENSATE)
    with pytest.raises(Invalid):
        Deed(DutyAction.DELETE, one(Operand.COUNT, Operator.LTEQ, 1))


def test_whatever_two_policies_differ_in_is_named() -> None:
    ours = Policy((ROWS,))
    assert differing(ours, Policy((ROWS, one(Operand.EVENT, Operator.EQ, "flood")))) == ["constraint"]
    assert differing(ours, Policy((ROWS,), prohibitions=(Prohibition(),), obligations=(Deed(DutyAction.INFORM),))) == [
        "prohibitions",
        "obligations",
    ]
    assert differing(ours, Policy((ROWS,), action=Action.READ, alternatives=(Permission((ROWS,)),))) == ["action", "permissions"]


def test_a_place_far_away_is_told_short() -> None:
    ring = ", ".join(f"{west / 100} 0" for west in range(100)) + ", 1 1, 0 0"
    rule = one(Operand.PLACE, Operator.IS_PART_OF, Place(f"POLYGON (({ring}))"))
    assert len(policy_words(Policy((rule,)))[1][1].en) < 300
