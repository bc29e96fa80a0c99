"""A dry run says what a use at that very moment would be told, and finds the moments at which the answer changes."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from policy_values import NOON, policies, states, uses

from chengshu.policy.constraint import Constraint
from chengshu.policy.evaluation import evaluate
from chengshu.policy.model import (
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Policy,
    Prohibition,
    Purpose,
    Queries,
    QueryForm,
    TimeWindow,
    Use,
    UseState,
)
from chengshu.policy.terms import Operand, Operator
from chengshu.policy.trial import STEP, try_use, uses_of
from chengshu.policy.values import Duration

DAY = timedelta(days=1)
DELIVERY = Use("did:a", NOON, None, "did:a", output=Form.ROWS)
STATE = UseState("did:a", 0, agreed_at=NOON)


def span(policy: Policy, use: Use = DELIVERY) -> tuple[datetime | None, datetime | None]:
    trial = try_use(policy, use, STATE)
    return trial.since, trial.until


def test_a_window_that_has_not_begun_is_told_with_both_its_ends() -> None:
    rows = OutputForm(Form.ROWS)
    assert span(Policy((rows, TimeWindow(NOON + DAY, NOON + 2 * DAY)))) == (NOON + DAY, NOON + 2 * DAY)
    assert span(Policy((rows, TimeWindow(None, NOON + DAY)))) == (NOON, NOON + DAY)
    assert span(Policy((rows, TimeWindow(None, NOON - DAY)))) == (None, None)
    assert span(Policy((rows,))) == (NOON, None)
    assert span(Policy((rows, Constraint(Operand.ELAPSED, Operator.LTEQ, Duration(1, 0))))) == (NOON, NOON + 30 * DAY)
    shut = Prohibition((Constraint(Operand.TIME, Operator.GT, NOON + DAY),))
    assert span(Policy((rows,), prohibitions=(shut,))) == (NOON, NOON + DAY)


@given(policies(), uses, states)
def test_the_moments_of_a_trial_are_those_of_the_evaluation(policy: Policy, use: Use, state: UseState) -> None:
    trial = try_use(policy, use, state)
    assert trial.report == evaluate(policy, use, state)
    if trial.since is None:
        return
    assert trial.since >= use.at
    assert evaluate(policy, replace(use, at=trial.since), state).permitted
    if trial.until is not None:
        assert trial.since <= trial.until
        assert evaluate(policy, replace(use, at=trial.until), state).permitted
        assert not evaluate(policy, replace(use, at=trial.until + STEP), state).permitted


def test_the_uses_to_try_are_those_that_the_policy_speaks_of() -> None:
    rules = (Purpose(frozenset({"study"})), Methods(frozenset({"m"})), Queries(QueryForm.VETTED_SQL), MinimumGroup(7))
    found = list(uses_of(Policy(rules), party="did:a", at=NOON, rooms=("did:room",)))
    assert [(use.purpose, use.method, use.query, use.minimum_group, use.delivers) for use in found] == [
        ("study", None, QueryForm.VETTED_SQL, 7, False),
        ("study", "m", None, None, False),
        ("study", None, None, None, True),
    ]
    wide = Policy((Constraint(Operand.PURPOSE, Operator.IS_A, "research"),))
    assert {use.purpose for use in uses_of(wide, party="did:a", at=NOON, rooms=())} >= {"research", "traffic-study", "academic-research"}
