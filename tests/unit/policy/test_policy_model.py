from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.policy.evaluation import evaluate, needs
from chengshu.policy.model import (
    NAMES,
    Basis,
    Columns,
    CountLimit,
    Environment,
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Pay,
    Policy,
    Privacy,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    RowFilter,
    Rule,
    Shown,
    TimeWindow,
    Use,
    UseState,
    differing,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STATE = UseState(assignee="did:a", uses=0)
FULL = Policy(
    (
        Purpose(frozenset({"road-safety", "research"})),
        TimeWindow(NOON - timedelta(days=1), NOON + timedelta(days=1)),
        Recipient(frozenset({"did:a", "did:b"})),
        Environment("did:room"),
        OutputForm(Form.AGGREGATE),
        MinimumGroup(5),
        CountLimit(3),
        Methods(frozenset({"conflicts"})),
        Queries(QueryForm.VETTED_SQL),
        Columns(frozenset({"city"})),
        Shown(frozenset({"city"})),
        RowFilter("city = 'Jinan'"),
    ),
    (Pay(Basis.CONTRIBUTION),),
)
HAND_OVER = Use(recipient="did:a", at=NOON, purpose="research", environment="did:room")
METHOD = replace(HAND_OVER, method="conflicts", output=Form.AGGREGATE)
QUERY = replace(HAND_OVER, query=QueryForm.VETTED_SQL, output=Form.AGGREGATE, minimum_group=5)


def refused_rule(policy: Policy, use: Use, state: UseState = STATE) -> str | None:
    refusal = evaluate(policy, use, state).refusal()
    return None if refusal is None else refusal.rule


def without(kind: type[Rule]) -> Policy:
    return Policy(tuple(rule for rule in FULL.rules if not isinstance(rule, kind)))


@pytest.mark.parametrize("use", [HAND_OVER, METHOD, QUERY, replace(METHOD, recipient="did:b")])
def test_a_use_within_every_rule_is_permitted(use: Use) -> None:
    assert refused_rule(FULL, use) is None


@pytest.mark.parametrize(
    ("use", "rule"),
    [
        (replace(METHOD, purpose="advertising"), "purpose"),
        (replace(METHOD, at=NOON - timedelta(days=1, milliseconds=1)), "time-window"),
        (replace(METHOD, at=NOON + timedelta(days=1, milliseconds=1)), "time-window"),
        (replace(METHOD, recipient="did:c"), "recipient"),
        (replace(METHOD, environment="did:other"), "environment"),
        (replace(METHOD, environment=None), "environment"),
        (replace(METHOD, method="dump"), "methods"),
        (replace(METHOD, output=Form.ROWS), "output-form"),
        (replace(METHOD, output=None), "output-form"),
        (replace(METHOD, minimum_group=4), "minimum-group"),
        (replace(QUERY, minimum_group=4), "minimum-group"),
        (replace(QUERY, minimum_group=None), "minimum-group"),
        (replace(HAND_OVER, output=Form.ROWS), "methods"),
    ],
)
def test_a_use_outside_a_rule_is_refused_by_that_rule(use: Use, rule: str) -> None:
    assert refused_rule(FULL, use) == rule


DELIVERY = Use(recipient="did:a", at=NOON, purpose=None, environment="did:a", output=Form.ROWS)


def test_a_delivery_needs_a_rule_that_lets_rows_out_and_nothing_else() -> None:
    assert refused_rule(Policy((OutputForm(Form.ROWS),)), DELIVERY) is None
    assert refused_rule(Policy(()), DELIVERY) == "output-form"
    assert refused_rule(Policy((OutputForm(Form.AGGREGATE),)), DELIVERY) == "output-form"
    assert refused_rule(Policy((OutputForm(Form.AGGREGATE),)), replace(DELIVERY, output=Form.AGGREGATE)) == "output-form"


def test_a_delivery_keeps_to_the_purpose_rule_that_is_there_and_none_stated_is_none() -> None:
    policy = Policy((OutputForm(Form.ROWS), Purpose(frozenset({"research"}))))
    assert refused_rule(policy, replace(DELIVERY, purpose="research")) is None
    assert refused_rule(policy, replace(DELIVERY, purpose="advertising")) == "purpose"
    assert refused_rule(policy, DELIVERY) == "purpose"


@pytest.mark.parametrize(
    "rule", [Environment("did:room"), Methods(frozenset({"conflicts"})), Queries(QueryForm.VETTED_SQL), MinimumGroup(2)]
)
def test_a_product_offered_for_the_clean_room_is_never_delivered(rule: Rule) -> None:
    assert refused_rule(Policy((OutputForm(Form.ROWS), rule)), DELIVERY) == NAMES[type(rule)]


def test_a_delivery_to_another_than_the_assignee_needs_a_recipient_rule() -> None:
    other = replace(DELIVERY, recipient="did:b", environment="did:b")
    assert refused_rule(Policy((OutputForm(Form.ROWS),)), other) == "recipient"
    assert refused_rule(Policy((OutputForm(Form.ROWS), Recipient(frozenset({"did:b"})))), other) is None


def test_both_ends_of_a_time_window_belong_to_it() -> None:
    for moment in (NOON - timedelta(days=1), NOON + timedelta(days=1)):
        assert refused_rule(FULL, replace(METHOD, at=moment)) is None


def test_the_last_use_of_a_count_is_permitted_and_the_next_is_not() -> None:
    assert refused_rule(FULL, METHOD, UseState("did:a", uses=2)) is None
    assert refused_rule(FULL, METHOD, UseState("did:a", uses=3)) == "count-limit"


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (HAND_OVER, Purpose),
        (HAND_OVER, Environment),
        (METHOD, Methods),
        (METHOD, OutputForm),
        (QUERY, Queries),
        (QUERY, OutputForm),
        (QUERY, MinimumGroup),
        (replace(METHOD, recipient="did:b"), Recipient),
    ],
)
def test_what_no_rule_allows_is_refused(use: Use, kind: type[Rule]) -> None:
    refusal = evaluate(without(kind), use, STATE).refusal()
    assert refusal is not None
    assert refusal.rule == NAMES[kind]
    assert "none in the policy" in refusal.message
    assert refusal.would_pass.zh


def test_a_report_lists_every_rule_with_expected_and_got() -> None:
    report = evaluate(FULL, replace(METHOD, purpose="advertising"), STATE)
    assert [finding.rule for finding in report.findings] == [name for kind, name in NAMES.items() if kind is not Privacy]
    (failed,) = (finding for finding in report.findings if not finding.satisfied)
    assert (failed.rule, failed.expected, failed.got) == ("purpose", "research or road-safety", "advertising")
    assert not report.permitted


def test_the_first_rule_in_the_order_of_evaluation_is_the_refusal() -> None:
    assert refused_rule(FULL, replace(METHOD, purpose="x", recipient="did:c", at=NOON + timedelta(days=9))) == "time-window"


def test_the_order_in_which_rules_are_written_does_not_matter() -> None:
    assert Policy(tuple(reversed(FULL.rules)), FULL.duties) == FULL


@pytest.mark.parametrize(
    "rules",
    [
        (CountLimit(1), CountLimit(2)),
        (Purpose(frozenset()),),
        (Methods(frozenset({""})),),
        (TimeWindow(None, None),),
        (TimeWindow(NOON, NOON - timedelta(seconds=1)),),
        (TimeWindow(NOON.replace(tzinfo=None), None),),
        (TimeWindow(NOON.replace(microsecond=1), None),),
        (MinimumGroup(0),),
        (CountLimit(0),),
        (CountLimit(10**9),),
        (Environment(""),),
    ],
)
def test_a_policy_with_a_rule_that_nothing_can_satisfy_cannot_be_made(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(Invalid):
        Policy(rules)


def test_what_differs_between_two_policies_is_named() -> None:
    other = Policy((*without(CountLimit).rules, CountLimit(9)))
    assert differing(FULL, other) == ["count-limit", "pay"]
    assert differing(FULL, FULL) == []


kinds = st.sets(st.sampled_from(sorted(NAMES, key=lambda kind: NAMES[kind])))
uses = st.builds(
    Use,
    recipient=st.sampled_from(["did:a", "did:b", "did:c"]),
    at=st.integers(-50, 50).map(lambda hours: NOON + timedelta(hours=hours)),
    purpose=st.sampled_from(["research", "advertising"]),
    environment=st.sampled_from(["did:room", "did:other", None]),
    method=st.sampled_from(["conflicts", "dump", None]),
    query=st.sampled_from([QueryForm.VETTED_SQL, None]),
    output=st.sampled_from([Form.AGGREGATE, Form.ROWS, None]),
    minimum_group=st.sampled_from([None, 4, 5]),
)
states = st.builds(UseState, assignee=st.just("did:a"), uses=st.integers(0, 5))


@given(kinds, uses, states)
def test_a_permitted_use_has_every_rule_that_it_needs(kept: set[type[Rule]], use: Use, state: UseState) -> None:
    policy = Policy(tuple(rule for rule in FULL.rules if type(rule) in kept))
    report = evaluate(policy, use, state)
    assert report.permitted == (report.refusal() is None)
    if report.permitted:
        assert needs(use, state) <= kept


@given(kinds, uses, states)
def test_one_rule_more_never_allows_what_the_needed_ones_refuse(kept: set[type[Rule]], use: Use, state: UseState) -> None:
    some = Policy(tuple(rule for rule in FULL.rules if type(rule) in kept | needs(use, state)))
    if evaluate(FULL, use, state).permitted:
        assert evaluate(some, use, state).permitted


@given(uses, states)
def test_the_empty_policy_allows_nothing(use: Use, state: UseState) -> None:
    assert not evaluate(Policy(()), use, state).permitted
