"""What a policy says of a sealed method's parameters: exact comparisons, never met by what is not stated or of another kind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chengshu.kernel.errors import Invalid
from chengshu.policy.constraint import Constraint
from chengshu.policy.evaluation import evaluate
from chengshu.policy.model import (
    Environment,
    Form,
    Methods,
    OutputForm,
    Parameters,
    Policy,
    Prohibition,
    Purpose,
    Queries,
    QueryForm,
    Use,
    UseState,
)
from chengshu.policy.odrl import CS, from_odrl, to_odrl
from chengshu.policy.parameters import ParameterTest, read_test
from chengshu.policy.terms import Operand, Operator
from chengshu.policy.words import policy_words

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
METHOD = Use("did:a", NOON, "research", "did:room", "heat.map", None, Form.AGGREGATE)
USUAL = (Purpose(frozenset({"research"})), Environment("did:room"), Methods(frozenset({"heat.map"})), OutputForm(Form.AGGREGATE))
STATE = UseState(assignee="did:a", uses=0, agreed_at=NOON)


def meeting(operator: Operator, *texts: str) -> Constraint:
    return Constraint(Operand.PARAMETERS, operator, frozenset(map(read_test, texts)))


COARSE = Policy((*USUAL, meeting(Operator.IS_ALL_OF, "cell_m >= 50", 'mode = "coarse"')))


def refused(policy: Policy, parameters: dict[str, Any] | None, **changed: Any) -> str | None:
    use = replace(METHOD, parameters=None if parameters is None else Parameters.of(parameters), **changed)
    refusal = evaluate(policy, use, STATE).refusal()
    return None if refusal is None else refusal.rule


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ({"cell_m": 50, "mode": "coarse"}, None),
        ({"cell_m": 50.0, "mode": "coarse", "other": [1]}, None),
        ({"cell_m": 49.999999999, "mode": "coarse"}, "parameters"),
        ({"cell_m": 50, "mode": "fine"}, "parameters"),
        ({"cell_m": "50", "mode": "coarse"}, "parameters"),
        ({"cell_m": True, "mode": "coarse"}, "parameters"),
        ({"cell_m": [50], "mode": "coarse"}, "parameters"),
        ({"cell_m": None, "mode": "coarse"}, "parameters"),
        ({"mode": "coarse"}, "parameters"),
        ({}, "parameters"),
        (None, "parameters"),
    ],
)
def test_a_method_runs_with_the_agreed_parameters_alone(parameters: dict[str, Any] | None, rule: str | None) -> None:
    assert refused(COARSE, parameters) == rule


def test_a_question_has_no_parameters_and_a_delivery_meets_no_test() -> None:
    policy = Policy((*USUAL, Queries(QueryForm.VETTED_SQL), meeting(Operator.IS_ALL_OF, "cell_m >= 50")))
    findings = evaluate(policy, replace(METHOD, method=None, query=QueryForm.VETTED_SQL, minimum_group=5), STATE).findings
    assert {one.rule: one.satisfied for one in findings}["parameters"]
    rows = Policy((OutputForm(Form.ROWS), meeting(Operator.IS_ALL_OF, "cell_m >= 50")))
    assert refused(rows, None, method=None, output=Form.ROWS) == "parameters"


@pytest.mark.parametrize(
    ("operator", "parameters", "rule"),
    [
        (Operator.IS_ANY_OF, {"a": 1}, None),
        (Operator.IS_ANY_OF, {"grid": {"b": 3}}, None),
        (Operator.IS_ANY_OF, {"a": 2, "grid": 3}, "parameters"),
        (Operator.IS_NONE_OF, {"a": 2}, None),
        (Operator.IS_NONE_OF, {"grid": {"b": 3}}, "parameters"),
    ],
)
def test_any_or_none_of_several(operator: Operator, parameters: dict[str, Any], rule: str | None) -> None:
    assert refused(Policy((*USUAL, meeting(operator, "a = 1", "grid.b > 2"))), parameters) == rule


def test_a_prohibition_bites_where_parameters_meet_it_or_nobody_knows() -> None:
    policy = Policy(USUAL, prohibitions=(Prohibition((meeting(Operator.IS_ANY_OF, "cell_m < 50"),)),))
    assert [refused(policy, one) for one in ({"cell_m": 50}, {"cell_m": 49}, None)] == [None, "prohibition", "prohibition"]


def test_it_goes_through_odrl_and_equal_tests_are_written_alike() -> None:
    assert from_odrl(to_odrl(COARSE)) == COARSE
    assert str(read_test("  cell_m>=5e1 ")) == "cell_m >= 50"
    assert read_test("x = 1.50") == ParameterTest("x", "=", "1.5")
    assert ("permission-1", 'Only where what the method\'s parameters meet is all of cell_m >= 50, mode = "coarse"') in [
        (of, text.en) for of, text in policy_words(COARSE)
    ]


@pytest.mark.parametrize(
    "text",
    ["", "cell_m", "cell_m >=", "cell_m >= many", "cell_m >= [1]", "cell_m >= null", "cell_m >= NaN", "cell_m = 1e999",
     'mode < "b"', "mode > true",
     "1 = 1", "a.b. = 1", "a-b = 1", "a == 1", "a = 1 OR 1 = 1", "a = 12345678901234567890", "a = " + "[" * 900],
)  # fmt: skip
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a comparison of a parameter"):
        read_test(text)
    right = {"leftOperand": CS + "parameter", "operator": "isAllOf", "rightOperand": [text]}
    with pytest.raises(Invalid) as caught:
        from_odrl({"permission": [{"action": "use", "constraint": [right]}]})
    assert caught.value.code == "policy.shape"


def test_a_refusal_names_the_parameters_and_shows_none() -> None:
    refusal = evaluate(COARSE, replace(METHOD, parameters=Parameters.of({"cell_m": 7331, "mode": "fine"})), STATE).refusal()
    assert refusal is not None
    assert "cell_m, mode" in refusal.message
    assert "7331" not in refusal.message
