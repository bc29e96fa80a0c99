"""Answers that carry noise, from end to end on real nodes: what they cost, who counts it, and what asking again gets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_space import PURPOSE, agree, ask, contract_for, hang_up, kinds, receipt_for, sign, signed_job, until, wire
from typer.testing import CliRunner

from chengshu.catalog.model import Column, DataContract, LogicalType, Product, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli.main import app
from chengshu.kernel.errors import NotFound, Tampered
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, MinimumGroup, OutputForm, Policy, Privacy, Purpose, Queries, QueryForm, Rule
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
PEOPLE = 4000
TRIPS = "SELECT COUNT(DISTINCT vehicle) AS vehicles, AVG(speed) AS speed FROM road.counts WHERE road = 'ring'"

ALL = "SELECT COUNT(*) AS n FROM road.counts"


class Town:
    """A road operator whose answers carry noise, a firm and a rival that ask, a room."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.road, self.firm, self.rival = (space.add(name) for name in ("road", "firm", "rival"))
        self.room = space.add("room", clean_room=True)
        self.publish()
        publish(self.road, public_contract(), makes(), (*usual(self.room), MinimumGroup(1)))
        self.agreements = {asker: agree(asker, self.road, "counts") for asker in (self.firm, self.rival)}
        self.makes = agree(self.firm, self.road, "makes")

    def publish(self, *, version: str = "1.0.0", slower: float = 0.0) -> None:
        rules = (*usual(self.room), MinimumGroup(5), Privacy(Decimal("0.1"), Decimal("0.35"), 3))
        publish(self.road, counts_contract(version), counts(slower=slower), rules)

    def choice(self, asker: Node | None = None) -> InputChoice:
        return InputChoice(self.road.identity.did, "counts", self.agreements[asker or self.firm])

    def ask(self, sql: str, *, asker: Node | None = None, more: tuple[InputChoice, ...] = ()) -> Standing:
        return ask(asker or self.firm, self.room, [self.choice(asker), *more], question=SqlQuestion(sql))

    def budget(self, job: str) -> list[str]:
        return [kind for kind in kinds(self.road, job) if kind.startswith("budget.") and kind != "budget.spent"]


def usual(room: Node) -> tuple[Rule, ...]:
    return (Purpose(frozenset({PURPOSE})), Environment(room.identity.did), Queries(QueryForm.VETTED_SQL), OutputForm(Form.AGGREGATE))


def publish(node: Node, contract: DataContract, table: pa.Table, rules: tuple[Rule, ...]) -> None:
    file = node.folder / "files" / f"{contract.id}.parquet"
    file.parent.mkdir(exist_ok=True)
    pq.write_table(table, file)
    assert isinstance(node.catalog.publish(document_of(contract), source=file, policy=to_odrl(Policy(rules))), Product)


def counts_contract(version: str = "1.0.0") -> DataContract:
    contract = contract_for("counts", owner="road", version=version)
    bounded = [replace(one, minimum=0.0, maximum=120.0) if one.name == "speed" else one for one in contract.columns]
    return replace(contract, columns=tuple(bounded))


def public_contract() -> DataContract:
    columns = tuple(Column(name, LogicalType.STRING, "string", required=True, role=Role.FREE) for name in ("vehicle", "make"))
    return replace(contract_for("makes", owner="road"), columns=columns, privacy_unit=None, minimum_group=1)


def makes() -> pa.Table:
    """A public register: who makes which vehicle, for some that were seen and some that were not."""
    return pa.Table.from_pylist([{"vehicle": f"v{one:05d}", "make": "ab"[one % 2]} for one in range(PEOPLE // 2, 2 * PEOPLE)])


def counts(*, slower: float = 0.0) -> pa.Table:
    """Three sightings of each vehicle, half of them on the ring; one vehicle is alone on a road of its own."""
    rows: list[dict[str, Any]] = [
        {"road": "ring" if one % 2 else "gate", "vehicle": f"v{one:05d}", "speed": 40.0 + one % 5 - slower}
        for one in range(PEOPLE)
        for _ in range(3)
    ]
    return pa.Table.from_pylist([*rows, {"road": "nowhere", "vehicle": "v99999", "speed": 119.0}])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Space(tmp_path_factory.mktemp("noise")) as space:
        town = Town(space)
        yield town
        hang_up(*space.nodes.values())


def rows_of(standing: Standing) -> list[dict[str, Any]]:
    assert standing.outcome is not None
    assert standing.state == "RELEASED", standing.outcome
    rows: list[dict[str, Any]] = standing.outcome.tables["answer"].to_pylist()
    return rows


def rule_of(standing: Standing) -> str:
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None, standing.outcome
    assert dict(standing.outcome.tables) == {}
    return standing.outcome.refusal.rule


def test_an_answer_carries_noise_is_charged_and_costs_nothing_again(served: Town) -> None:
    first = served.ask(TRIPS)
    (row,) = rows_of(first)
    assert abs(row["vehicles"] - PEOPLE / 2) < 40
    assert abs(row["speed"] - 42) < 3
    assert first.receipt is not None
    stated = first.receipt["receipt"]["privacy"]
    assert {name: stated[name] for name in ("mechanism", "product", "unit", "contributions", "rho", "delta")} == {
        "mechanism": "discrete-gaussian", "product": "road.counts", "unit": "vehicle", "contributions": 3, "rho": "0.1", "delta": "0",
    }  # fmt: skip
    until(lambda: served.budget(first.job) == ["budget.reserved", "budget.committed"])

    spellings = [
        TRIPS,
        "select avg(c.speed) as s, count(distinct c.vehicle) as n from road.counts as c where not (c.road <> 'ring') order by 1 limit 5",
        "SELECT COUNT(DISTINCT v), AVG(speed) FROM (SELECT vehicle AS v, speed, road AS r FROM road.counts) x WHERE r IN ('ring', 'ring')",
        "WITH x AS (SELECT vehicle, speed FROM road.counts WHERE road = 'ring') SELECT COUNT(DISTINCT vehicle) * 1 AS n, AVG(speed) FROM x",
    ]
    for sql in spellings:
        again = served.ask(sql)
        (same,) = rows_of(again)
        assert sorted(float(value) for value in same.values()) == sorted(float(value) for value in row.values())
        assert served.budget(again.job) == []
        assert "transfer.started" not in kinds(served.road, again.job)
        assert again.receipt is not None
        assert again.receipt["receipt"]["privacy"]["repeats"] == first.job


def test_a_group_of_one_is_not_seen_and_public_products_may_be_joined(served: Town) -> None:
    standing = served.ask("SELECT road, COUNT(*) AS n FROM road.counts GROUP BY road", asker=served.rival)
    assert [row["road"] for row in rows_of(standing)] == ["gate", "ring"]
    assert standing.receipt is not None
    assert standing.receipt["receipt"]["privacy"]["delta"] == "0.000000001"
    sql = "SELECT m.make, COUNT(DISTINCT c.vehicle) AS n FROM road.makes m LEFT JOIN road.counts c ON c.vehicle = m.vehicle GROUP BY m.make"
    found = rows_of(served.ask(sql, more=(InputChoice(served.road.identity.did, "makes", served.makes),)))
    assert [row["make"] for row in found] == ["a", "b"]
    assert all(abs(row["n"] - PEOPLE / 4) < 60 for row in found)


def test_when_the_budget_is_spent_the_refusal_says_what_is_left(served: Town) -> None:
    answers = [served.ask(f"{ALL} WHERE road <> 'x{place}'", asker=served.rival) for place in range(4)]
    assert [one.state for one in answers] == ["RELEASED", "RELEASED", "REFUSED", "REFUSED"]
    assert rule_of(answers[-1]) == "privacy-budget"
    assert answers[-1].outcome is not None
    assert answers[-1].outcome.refusal is not None
    assert {name: answers[-1].outcome.refusal.facts[name] for name in ("needed", "left", "total")} == {
        "needed": "0.1",
        "left": "0.05",
        "total": "0.35",
    }
    assert "transfer.started" not in kinds(served.road, answers[-1].job)
    again = served.ask(f"{ALL} WHERE NOT road = 'x0'", asker=served.rival)
    assert rows_of(again)[0]["n"] == rows_of(answers[0])[0]["n"]


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT MAX(speed) AS top FROM road.counts", "aggregate-not-permitted"),
        ("SELECT COUNT(*) AS n FROM road.counts a JOIN road.counts b ON a.vehicle = b.vehicle", "joined-count"),
        ("SELECT COUNT(DISTINCT a.vehicle) AS n FROM road.counts a JOIN road.counts b ON a.vehicle = b.vehicle", "privacy-join"),
    ],
)
def test_what_cannot_be_bounded_is_refused_and_costs_nothing(served: Town, sql: str, rule: str) -> None:
    standing = served.ask(sql)
    assert rule_of(standing) == rule
    assert served.budget(standing.job) == []


def test_a_job_that_states_less_noise_than_agreed_is_refused_by_the_holder(served: Town) -> None:
    for change in (None, {"rho": "0.2", "contributions": 3}, {"rho": "0.1", "contributions": 4}):
        document, _ = signed_job(served.firm, served.room, [served.choice()], question=SqlQuestion(TRIPS))
        (part,) = document["inputs"]
        part.pop("privacy")
        if change is not None:
            part["privacy"] = change
        message = {"job": document, "signature": sign(served.firm, document), "product": "counts"}
        answer = wire(served.room).post(served.road.identity.did, "/room/inputs", message)
        assert answer["refused"]["rule"] == "privacy-budget"
        assert served.budget(document["id"]) == []


def test_a_room_that_says_a_job_repeats_another_gets_no_data_for_it(served: Town) -> None:
    first = served.ask(TRIPS)
    document, signature = signed_job(served.firm, served.room, [served.choice()], question=SqlQuestion(TRIPS))
    message = {
        "job": document,
        "signature": signature,
        "product": "counts",
        "repeats": served.firm.asker.standing(first.job).receipt["receipt"]["privacy"]["repeats"],
    }  # type: ignore[index]  # it has ended
    assert wire(served.room).post(served.road.identity.did, "/room/inputs", message) == {"repeated": True}
    assert served.budget(document["id"]) == []
    other, signature = signed_job(
        served.firm, served.room, [served.choice()], question=SqlQuestion("SELECT COUNT(*) AS n FROM road.counts")
    )
    answer = wire(served.room).post(served.road.identity.did, "/room/inputs", {**message, "job": other, "signature": signature})
    assert "repeated" not in answer


def test_a_receipt_over_other_noise_than_was_charged_is_not_taken(served: Town) -> None:
    third = served.space.add("third")
    served.agreements[third] = agree(third, served.road, "counts")
    document, signature = signed_job(third, served.room, [served.choice(third)], question=SqlQuestion(TRIPS))
    message = {"job": document, "signature": signature, "product": "counts"}
    assert "token" in wire(served.room).post(served.road.identity.did, "/room/inputs", message)
    receipt = receipt_for(document)
    for stated in ({}, {"privacy": {"rho": "0.2", "delta": "0"}}):
        body = {**receipt, **stated}
        with pytest.raises(Tampered):
            wire(served.room).post(served.road.identity.did, "/room/receipts", {"receipt": body, "signature": sign(served.room, body)})
    body = {**receipt, "privacy": {"rho": "0.1", "delta": "0"}}
    wire(served.room).post(served.road.identity.did, "/room/receipts", {"receipt": body, "signature": sign(served.room, body)})
    assert served.budget(document["id"]) == ["budget.reserved", "budget.committed"]


def test_over_new_data_the_same_question_is_a_new_one(tmp_path: Path) -> None:
    with Space(tmp_path) as space:
        town = Town(space)
        first = town.ask(TRIPS)
        town.publish(version="1.1.0", slower=20.0)
        second = town.ask(TRIPS)
        assert town.budget(second.job)[:1] == ["budget.reserved"]
        assert rows_of(second)[0]["speed"] < rows_of(first)[0]["speed"] - 10
        hang_up(*space.nodes.values())


def command(node: Node, *words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--node", str(node.folder)])
    return json.loads(result.stdout) if "--json" in words and result.exit_code == 0 else (result.exit_code, result.output)


def test_both_sides_see_the_budget_and_the_holder_every_charge(tmp_path: Path) -> None:
    with Space(tmp_path) as space:
        town = Town(space)
        job = town.ask(TRIPS).job
        until(lambda: town.budget(job)[-1:] == ["budget.committed"])
        agreement = town.agreements[town.firm]
        listed = {row["agreement"]: row for row in command(town.road, "budget", "list", "--json")}
        assert listed.keys() == set(town.agreements.values())
        assert {name: listed[agreement][name] for name in ("total", "per_answer", "contributions", "spent", "left")} == {
            "total": "0.35", "per_answer": "0.1", "contributions": 3, "spent": "0.1", "left": "0.25",
        }  # fmt: skip
        (mine,) = command(town.firm, "budget", "list", "--json")
        assert (mine["total"], mine["spent"], mine["left"]) == ("0.35", None, None)
        (charge,) = command(town.road, "budget", "show", agreement, "--json")["charges"]
        assert (charge["job"], charge["kind"], charge["state"], charge["outcome"], charge["rho"]) == (
            job, "vetted-sql", "COMMITTED", "RELEASED", "0.1",
        )  # fmt: skip
        told = command(town.firm, "budget", "show", agreement, "--json")
        assert (told["spent"], told["left"], "charges" in told) == ("0.1", "0.25", False)
        assert "剩余" in command(town.road, "budget", "show", agreement, "--lang", "zh")[1]
        for node in (town.rival, town.firm):
            code, said = command(node, "budget", "show", agreement if node is town.rival else town.makes, "--lang", "en")
            assert (code, "privacy.no-budget" in said) == (1, True)
        with pytest.raises(NotFound):
            wire(town.rival).post(town.road.identity.did, "/room/budgets", {"agreement": agreement})
        hang_up(*space.nodes.values())
