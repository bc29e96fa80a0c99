"""The terms of a privacy budget: stated together or not at all, exact, and kept by every question whatever permission it uses."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chengshu.kernel.errors import Invalid
from chengshu.policy.constraint import Constraint, Logical, Value
from chengshu.policy.evaluation import evaluate
from chengshu.policy.model import (
    Environment,
    Form,
    MinimumGroup,
    OutputForm,
    Permission,
    Policy,
    Privacy,
    Prohibition,
    Purpose,
    Queries,
    QueryForm,
    Use,
    UseState,
)
from chengshu.policy.odrl import CS, XSD, from_odrl, to_odrl
from chengshu.policy.terms import Joint, Operand, Operator
from chengshu.policy.values import Duration
from chengshu.policy.words import policy_words

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
USUAL = (
    Purpose(frozenset({"research"})),
    Environment("did:room"),
    Queries(QueryForm.VETTED_SQL),
    OutputForm(Form.AGGREGATE),
    MinimumGroup(5),
)
BUDGET = Privacy(Decimal("0.1"), Decimal(1), 3, Duration(1, 0))
QUERY = Use("did:a", NOON, "research", "did:room", None, QueryForm.VETTED_SQL, Form.AGGREGATE, 5)
NOISY = replace(QUERY, privacy_loss=Decimal("0.1"), contributions=3)
STATE = UseState(assignee="did:a", uses=0, agreed_at=NOON)


def rule_against(policy: Policy, use: Use) -> str | None:
    refusal = evaluate(policy, use, STATE).refusal()
    return None if refusal is None else refusal.rule


def atom(name: str, operator: str, value: str, kind: str) -> dict[str, Any]:
    return {"leftOperand": CS + name, "operator": operator, "rightOperand": {"@value": value, "@type": XSD + kind}}


def document(*atoms: dict[str, Any]) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": list(atoms)}]}


LOSS, ALL = atom("privacyLoss", "lteq", "0.1", "decimal"), atom("privacyBudget", "lteq", "1", "decimal")


def test_a_budget_goes_through_odrl_and_loses_no_digit() -> None:
    policy = Policy((*USUAL, BUDGET))
    assert from_odrl(to_odrl(policy)) == policy
    fine = Policy((*USUAL, Privacy(Decimal("0.000000001"), Decimal("999.999999999"))))
    assert from_odrl(to_odrl(fine)) == fine
    assert from_odrl(document(LOSS, ALL)).privacy == Privacy(Decimal("0.10"), Decimal("1.0"), 1)


@pytest.mark.parametrize(
    "use",
    [
        QUERY,
        replace(NOISY, privacy_loss=Decimal("0.100000001")),
        replace(NOISY, contributions=4),
        replace(NOISY, contributions=None),
        Use("did:a", NOON, "research", "did:a", output=Form.ROWS),
    ],
)
def test_an_answer_with_less_noise_or_none_is_refused(use: Use) -> None:
    policy = Policy((*USUAL, BUDGET), alternatives=(Permission((OutputForm(Form.ROWS), BUDGET)),))
    assert rule_against(policy, use) is not None
    assert rule_against(Policy((*USUAL, BUDGET)), NOISY) is None
    assert rule_against(Policy((*USUAL, BUDGET)), replace(NOISY, privacy_loss=Decimal("0.01"), contributions=1)) is None


def test_a_hand_over_into_the_room_is_no_answer() -> None:
    assert rule_against(Policy((*USUAL, BUDGET)), Use("did:a", NOON, "research", "did:room")) is None


def test_a_budget_in_one_permission_is_the_policys() -> None:
    plain = Permission((*USUAL[1:], Purpose(frozenset({"flood"}))))
    assert Policy(plain.rules, alternatives=(Permission((*USUAL, BUDGET)),)).privacy == BUDGET
    with pytest.raises(Invalid) as caught:
        Policy((*USUAL, BUDGET), alternatives=(Permission((*USUAL[1:], replace(BUDGET, window=None))),))
    assert caught.value.code == "policy.shape"


@pytest.mark.parametrize(
    "atoms",
    [
        (LOSS,),
        (ALL,),
        (atom("privacyWindow", "eq", "P30D", "duration"),),
        (atom("contribution", "lteq", "2", "integer"), LOSS),
        (LOSS, LOSS, ALL),
        (atom("privacyLoss", "lteq", "2", "decimal"), ALL),
        (atom("privacyLoss", "lteq", "0", "decimal"), ALL),
        (atom("privacyLoss", "lteq", "1e-3", "decimal"), ALL),
        (atom("privacyLoss", "lteq", "0.0000000001", "decimal"), ALL),
        (atom("privacyLoss", "lteq", "0.1", "double"), ALL),
        (atom("privacyLoss", "lt", "0.1", "decimal"), ALL),
        (atom("privacyBudget", "lteq", "1001", "decimal"), LOSS),
        (LOSS, ALL, atom("contribution", "lteq", "0", "integer")),
        (LOSS, ALL, atom("privacyWindow", "eq", "PT0S", "duration")),
        (LOSS, ALL, atom("privacyWindow", "lteq", "P30D", "duration")),
        (LOSS, ALL, atom("privacyDelta", "lteq", "0.1", "decimal")),
        ({"or": [LOSS, ALL]},),
    ],
)
def test_terms_that_are_no_budget_are_refused_when_they_are_read(atoms: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(Invalid) as caught:
        from_odrl(document(*atoms))
    assert caught.value.code in {"policy.shape", "policy.unknown-term", "policy.repeated", "policy.empty-rule"}


@pytest.mark.parametrize(
    "value", [Decimal(0), Decimal("NaN"), Decimal("Infinity"), Decimal(-1), Decimal("1e-10"), Decimal(1001), 1, True, "1"]
)
def test_an_amount_that_is_not_counted_exactly_is_no_amount(value: Value) -> None:
    with pytest.raises(Invalid):
        Constraint(Operand.PRIVACY_LOSS, Operator.LTEQ, value)


def test_a_budget_is_stated_in_a_permission_and_not_within_others() -> None:
    with pytest.raises(Invalid):
        Prohibition((BUDGET,))
    with pytest.raises(Invalid):
        Logical(Joint.OR, (Constraint(Operand.PRIVACY_LOSS, Operator.LTEQ, Decimal("0.1")),))


def test_a_budget_is_said_in_both_languages() -> None:
    words = [text for _, text in policy_words(Policy((*USUAL, BUDGET)))]
    (said,) = (text for text in words if "rho" in text.en)
    assert "0.1 each and 1 within any P1M" in said.en
    assert "at most 3 records" in said.en
    assert "任意 P1M 内累计不超过 1" in said.zh
    (ever,) = (text for _, text in policy_words(Policy((Privacy(Decimal("0.1"), Decimal(1)),))) if "rho" in text.en)
    assert "for all answers that there ever are" in ever.en
