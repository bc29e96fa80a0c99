"""Columns and rows that a policy is about: stated for all permissions alike, kept by a clean room, and no ground for a delivery."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chengshu.kernel.errors import Invalid
from chengshu.policy.constraint import Constraint, Logical
from chengshu.policy.evaluation import evaluate
from chengshu.policy.model import (
    Columns,
    Environment,
    Extent,
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Permission,
    Policy,
    Prohibition,
    Purpose,
    Queries,
    QueryForm,
    RowFilter,
    Rule,
    Shown,
    Use,
    UseState,
)
from chengshu.policy.odrl import CS, from_odrl, to_odrl
from chengshu.policy.terms import Joint, Operand, Operator
from chengshu.policy.words import policy_words

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
USUAL = (
    Purpose(frozenset({"research"})),
    Environment("did:room"),
    Queries(QueryForm.VETTED_SQL),
    Methods(frozenset({"m"})),
    OutputForm(Form.AGGREGATE),
    MinimumGroup(5),
)
COLUMNS, SHOWN, ROWS = Columns(frozenset({"city", "speed"})), Shown(frozenset({"city"})), RowFilter("city = 'Jinan'")
QUERY = Use("did:a", NOON, "research", "did:room", None, QueryForm.VETTED_SQL, Form.AGGREGATE, 5)
STATE = UseState(assignee="did:a", uses=0, agreed_at=NOON)


def refused(policy: Policy, use: Use) -> tuple[str, str] | None:
    refusal = evaluate(policy, use, STATE).refusal()
    return None if refusal is None else (refusal.rule, refusal.would_pass.en)


def test_an_extent_goes_through_odrl() -> None:
    policy = Policy((*USUAL, COLUMNS, SHOWN, ROWS))
    assert from_odrl(to_odrl(policy)) == policy
    assert policy.extent == Extent(frozenset({"city", "speed"}), frozenset({"city"}), "city = 'Jinan'")
    assert Policy(USUAL).extent == Extent()


def test_a_question_and_a_method_are_not_refused_for_it() -> None:
    policy = Policy((*USUAL, COLUMNS, SHOWN, ROWS))
    assert refused(policy, QUERY) is None
    assert refused(policy, replace(QUERY, query=None, method="m", minimum_group=None)) is None


@pytest.mark.parametrize("rule", [COLUMNS, SHOWN, ROWS], ids=lambda rule: type(rule).__name__)
def test_a_delivery_is_refused_by_its_name(rule: Rule) -> None:
    delivery = Use("did:a", NOON, "research", "did:a", output=Form.ROWS)
    assert refused(Policy((OutputForm(Form.ROWS),)), delivery) is None
    name = {Columns: "columns", Shown: "shown-columns", RowFilter: "row-filter"}[type(rule)]  # type: ignore[index]  # of these three only
    assert refused(Policy((OutputForm(Form.ROWS), rule)), delivery) == (name, "A question or a sealed method in a clean room.")


def test_what_one_permission_states_holds_for_every_use() -> None:
    policy = Policy((*USUAL, ROWS), alternatives=(Permission((*USUAL[:5], MinimumGroup(9))),))
    assert policy.extent.rows == ROWS.condition


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy((*USUAL, ROWS), alternatives=(Permission((*USUAL, RowFilter("city = 'Jining'"))),)),
        lambda: Policy((*USUAL, COLUMNS), alternatives=(Permission((*USUAL, Columns(frozenset({"city"})))),)),
        lambda: Policy(USUAL, prohibitions=(Prohibition((ROWS,)),)),
        lambda: Logical(Joint.OR, (Constraint(Operand.ROWS, Operator.EQ, "city = 'Jinan'"),)),
        lambda: Policy((*USUAL, Columns(frozenset()))),
        lambda: Policy((*USUAL, RowFilter(" "))),
        lambda: Policy((*USUAL, ROWS, RowFilter("city = 'Jining'"))),
        lambda: from_odrl(document("column", "eq", "city")),
        lambda: from_odrl(document("rowFilter", "isAnyOf", ["city = 'Jinan'"])),
        lambda: from_odrl(document("rowFilter", "eq", 5)),
    ],
)
def test_another_form_is_refused(make: Any) -> None:
    with pytest.raises(Invalid) as caught:
        make()
    assert caught.value.code.startswith("policy.")


def document(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": [{"leftOperand": CS + name, "operator": operator, "rightOperand": value}]}]}


def test_it_is_said_in_words() -> None:
    words = [text for _, text in policy_words(Policy((COLUMNS, SHOWN, ROWS)))]
    assert [one.en for one in words[1:]] == [
        "Of its columns only city, speed",
        "Values shown only of the columns city",
        "Only rows of which holds: city = 'Jinan'",
    ]
    assert [one.zh for one in words[1:]] == [
        "仅使用以下列：city, speed",
        "仅展示以下列的取值：city",
        "仅限满足以下条件的数据行：city = 'Jinan'",
    ]
