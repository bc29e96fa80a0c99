"""Which plans there are, which an owner's policy drops, which is the cheapest: decided on values, without a node."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from chengshu.cleanroom.model import Column, ColumnType, Role, Schema
from chengshu.cleanroom.planning.budgets import Budget, parse_budgets
from chengshu.cleanroom.planning.choosing import Choice, Question, choose
from chengshu.cleanroom.planning.explaining import explained
from chengshu.cleanroom.planning.model import Cost
from chengshu.cleanroom.planning.sources import Held, Source
from chengshu.cleanroom.vetting.vetter import Parsed, read
from chengshu.contract.model import Agreement
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.policy.evaluation import Report, evaluate
from chengshu.policy.model import (
    CountLimit,
    Environment,
    Form,
    MinimumGroup,
    OutputForm,
    Policy,
    Purpose,
    Queries,
    QueryForm,
    Rule,
    Use,
    UseState,
)
from chengshu.policy.odrl import to_odrl

ME, ROAD, FLEET, ROOM, OTHER = (f"did:key:z{name}" for name in ("me", "road", "fleet", "room", "other"))
NOW = datetime(2026, 7, 1, tzinfo=UTC)
COUNTED = "SELECT road, COUNT(DISTINCT vehicle) AS n FROM road.counts GROUP BY road"
JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS n FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"


def schema(product: str, *, minimum_group: int = 5) -> Schema:
    columns = (
        Column("road", ColumnType.TEXT, Role.GROUP),
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("speed", ColumnType.DOUBLE, Role.MEASURE),
    )
    return Schema(product, columns, "vehicle", minimum_group)


def agreement(
    name: str, provider: str, product: str, *, room: str = ROOM, purpose: str = "study", further: Sequence[Rule] = ()
) -> Agreement:
    rules = (
        Purpose(frozenset({purpose})),
        Environment(room),
        Queries(QueryForm.VETTED_SQL),
        OutputForm(Form.AGGREGATE),
        MinimumGroup(7),
        *further,
    )
    document = {**to_odrl(Policy(rules)), "@id": name, "target": product, "assigner": provider, "assignee": ME}
    return Agreement(name, "n", document, None, None)


def held(one: Agreement, *, spent: int = 0, limit: int | None = None) -> Held:
    return Held(one, (Budget("uses", spent, limit, 1),))


def road(*agreements: Held) -> Source:
    return Source("counts", ROAD, "Road", schema("road.counts"), agreements or (held(agreement("a1", ROAD, "counts")),))


def fleet(*agreements: Held) -> Source:
    return Source("trips", FLEET, "Fleet", schema("fleet.trips"), agreements or (held(agreement("a2", FLEET, "trips")),))


def mine() -> Source:
    return Source("counts", ME, "Me", schema("road.counts"), ())


def judge(one: Agreement, use: Use) -> Report:
    return evaluate(one.policy, use, UseState(assignee=ME, uses=0))


def chosen(sql: str, *sources: Source, rooms: Sequence[str] = (ROOM,), purpose: str = "study", only: str | None = None) -> Choice | Refused:
    numbers = count(1)
    parsed = read(sql)
    assert isinstance(parsed, Parsed)
    question = Question(ME, sql, parsed, purpose, sources, rooms, only, NOW)
    return choose(question, judge=judge, digests=Digests(INTERNATIONAL), new_id=lambda: f"job-{next(numbers)}")


def plans(choice: Choice | Refused) -> list[tuple[str, str]]:
    assert isinstance(choice, Choice), choice
    return [(one.plan.placement, one.plan.place) for one in choice.candidates]


def rule(choice: Choice | Refused) -> str:
    assert isinstance(choice, Refused), choice
    return choice.rule


# --- where


def test_own_products_alone_are_computed_at_home_before_any_room() -> None:
    choice = chosen(COUNTED, mine())
    assert plans(choice) == [("local", ME), ("room", ROOM)]
    assert isinstance(choice, Choice)
    assert [one.plan.cost for one in choice.candidates] == [Cost(0, 0), Cost(1, 5)]


def test_own_products_go_to_a_room_where_the_asker_names_it() -> None:
    assert plans(chosen(COUNTED, mine(), only=ROOM)) == [("room", ROOM)]


def test_products_of_one_holder_stay_there_where_its_policy_names_its_own_room() -> None:
    choice = chosen(COUNTED, road(held(agreement("a1", ROAD, "counts", room=ROAD))), rooms=(ROOM, ROAD))
    assert plans(choice) == [("holder", ROAD)]
    assert isinstance(choice, Choice)
    assert [(one.placement, one.place, one.owner, one.refusal.rule) for one in choice.dropped] == [("room", ROOM, ROAD, "environment")]
    assert choice.candidates[0].plan.cost == Cost(0, 2)


def test_a_holder_that_runs_no_room_is_no_place() -> None:
    assert rule(chosen(COUNTED, road(held(agreement("a1", ROAD, "counts", room=ROAD))), rooms=(ROOM,))) == "environment"


def test_a_room_must_be_allowed_by_every_holder() -> None:
    sources = (road(), fleet(held(agreement("a2", FLEET, "trips", room=OTHER))))
    refusal = chosen(JOINED, *sources, rooms=(ROOM, OTHER))
    assert isinstance(refusal, Refused)
    assert (refusal.rule, refusal.facts["owner"]) == ("environment", FLEET)
    assert plans(chosen(JOINED, road(), fleet(), rooms=(OTHER, ROOM))) == [("room", ROOM)]


def test_of_two_agreements_each_place_takes_the_one_that_allows_it() -> None:
    two = road(held(agreement("a1", ROAD, "counts", room=OTHER)), held(agreement("a3", ROAD, "counts")))
    choice = chosen(COUNTED, two, rooms=(ROOM, OTHER))
    assert isinstance(choice, Choice)
    assert {(one.plan.place, one.job.inputs[0].agreement) for one in choice.candidates} == {(ROOM, "a3"), (OTHER, "a1")}


def test_without_any_room_the_refusal_says_so() -> None:
    assert rule(chosen(COUNTED, road(), rooms=())) == "no-room"


def test_fewer_products_over_the_network_are_cheaper_and_equal_rooms_come_in_the_order_they_are_known() -> None:
    both = held(agreement("a1", ROAD, "counts", room=ROOM)), held(agreement("a9", ROAD, "counts", room=OTHER))
    assert plans(chosen(COUNTED, road(*both), rooms=(OTHER, ROOM))) == [("room", OTHER), ("room", ROOM)]
    in_it = fleet(held(agreement("a2", FLEET, "trips", room=ROAD))), road(held(agreement("a1", ROAD, "counts", room=ROAD)))
    choice = chosen(JOINED, *in_it, rooms=(ROOM, ROAD))
    assert plans(choice) == [("room", ROAD)]
    assert isinstance(choice, Choice)
    assert choice.candidates[0].plan.cost == Cost(1, 8)  # what the room holds itself does not move


# --- which agreement


def test_of_two_agreements_the_one_that_allows_the_purpose_is_taken() -> None:
    two = road(held(agreement("old", ROAD, "counts", purpose="planning")), held(agreement("new", ROAD, "counts")))
    choice = chosen(COUNTED, two)
    assert isinstance(choice, Choice)
    assert choice.candidates[0].job.inputs[0].agreement == "new"
    assert choice.candidates[0].terms[0].choices == 2


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([("a", 1, 3), ("b", 0, None)], "b"),  # no limit before a limit
        ([("a", 0, 3), ("b", 2, 3)], "a"),  # the most left
        ([("a", 0, 3), ("b", 0, 3)], "b"),  # the newest
        ([("a", 3, 3), ("b", 1, 3)], "b"),  # one that is used up is none
    ],
)
def test_of_two_agreements_that_allow_it_the_one_with_the_most_left_is_taken(
    counts: list[tuple[str, int, int | None]], expected: str
) -> None:
    limited = [
        held(agreement(name, ROAD, "counts", further=() if limit is None else (CountLimit(limit),)), spent=spent, limit=limit)
        for name, spent, limit in counts
    ]
    choice = chosen(COUNTED, road(*limited))
    assert isinstance(choice, Choice)
    assert choice.candidates[0].job.inputs[0].agreement == expected


def test_an_agreement_that_is_used_up_is_refused_by_its_count() -> None:
    refusal = chosen(COUNTED, road(held(agreement("a1", ROAD, "counts", further=(CountLimit(2),)), spent=2, limit=2)))
    assert isinstance(refusal, Refused)
    assert (refusal.rule, refusal.facts["left"], refusal.facts["product"]) == ("count-limit", 0, "road.counts")


def test_a_purpose_that_no_agreement_allows_is_refused_by_the_owners_rule_and_not_by_the_place() -> None:
    refusal = chosen(COUNTED, road(), rooms=(OTHER, ROOM), purpose="advertising")
    assert isinstance(refusal, Refused)
    assert (refusal.rule, refusal.facts["owner"], refusal.facts["place"]) == ("purpose", ROAD, ROOM)
    assert "Road" in refusal.message


def test_a_policy_that_is_not_understood_allows_nothing() -> None:
    strange = agreement("a1", ROAD, "counts")
    document: dict[str, Any] = {**strange.document, "permission": [{"action": "fly"}]}
    assert rule(chosen(COUNTED, road(held(Agreement("a1", "n", document, None, None))))) == "policy-not-understood"


def test_the_vetting_refuses_before_anything_is_planned_to_run() -> None:
    assert rule(chosen("SELECT vehicle FROM road.counts", road())) == "raw-rows"


# --- what a plan says


def test_each_plan_carries_the_job_that_would_be_signed_with_the_digest_of_its_statement() -> None:
    choice = chosen(COUNTED, road())
    assert isinstance(choice, Choice)
    (one,) = choice.candidates
    assert one.job.leakage == Digests(INTERNATIONAL).of(one.statement)
    assert one.job.inputs[0].minimum_group == 7


def test_an_explanation_has_rules_terms_budgets_before_and_after_and_what_was_dropped() -> None:
    limited = road(held(agreement("a1", ROAD, "counts", further=(CountLimit(9),)), spent=2, limit=9))
    choice = chosen(COUNTED, limited, rooms=(ROOM, OTHER))
    assert isinstance(choice, Choice)
    told = explained(choice)
    assert told["plan"]["place"] == ROOM
    assert {"raw-rows", "group-column"} <= set(told["rules_passed"])
    assert told["terms"][0]["budgets"] == [{"budget": "uses", "spent": 2, "limit": 9, "left": 7, "left_after": 6}]
    assert {"purpose", "environment", "count-limit"} <= set(told["terms"][0]["rules_passed"])
    assert [(one["place"], one["rule"]) for one in told["dropped_plans"]] == [(OTHER, "environment")]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"a": 1},
        {"a": [{"name": "uses"}]},
        {"a": [{"name": "uses", "spent": -1, "limit": 1, "cost": 1}]},
        {"a": [{"name": "p", "spent": "-1", "limit": "1", "cost": "1"}]},
    ],
)
def test_budgets_that_a_holder_tells_otherwise_are_invalid(wrong: object) -> None:
    with pytest.raises(Invalid):
        parse_budgets(wrong)


@pytest.mark.parametrize(
    "budget", [Budget("uses", 2, 9, 1), Budget("uses", 2, None, 1), Budget("privacy", Decimal("0.75"), Decimal(1), Decimal("0.05"))]
)
def test_budgets_go_over_the_wire_as_they_are(budget: Budget) -> None:
    assert parse_budgets({"a1": [json.loads(json.dumps(budget.as_document()))]}) == {"a1": (budget,)}


def test_a_privacy_budget_is_told_exactly_and_is_its_holders_to_judge() -> None:
    budget = Budget("privacy", Decimal("0.75"), Decimal(1), Decimal("0.5"))
    assert budget.shown() == {"budget": "privacy", "spent": "0.75", "limit": "1", "left": "0.25", "left_after": "0"}
    assert budget.refusal() is None  # the same question again costs nothing, and only its holder knows whether it is
