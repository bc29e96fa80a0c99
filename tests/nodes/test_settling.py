"""A released job is settled: every party recomputes the statement, and none takes in one that does not follow from its counts."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from small_space import PURPOSE, agree, ask, counts, hang_up, kinds, publish, sign, until, wire

from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import MethodQuestion, SqlQuestion
from chengshu.kernel.errors import Conflict, NotFound, Tampered
from chengshu.kernel.money import Fen
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.settlement.model import differences
from chengshu.testing import Space

PRICE = Fen(100_001)


@dataclass(frozen=True)
class Settled:
    """A space in which one job was valued and settled."""

    road: Node
    fleet: Node
    firm: Node
    room: Node
    inputs: list[InputChoice]
    standing: Standing
    signed: dict[str, Any]

    @property
    def statement(self) -> str:
        return str(self.signed["document"]["statement"])


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory, plug_in: None) -> Iterator[Settled]:
    del plug_in
    with Space(tmp_path_factory.mktemp("settled")) as space:
        road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
        room = space.add("room", clean_room=True)
        methods = Methods(frozenset({"small.worth", "small.unsaid"}))
        policy = to_odrl(Policy((Purpose(frozenset({PURPOSE})), Environment(room.identity.did), methods, OutputForm(Form.AGGREGATE))))
        publish(road, "counts", policy=policy)
        publish(fleet, "trips", policy=policy, table=counts(vehicles=range(30, 60)))
        inputs = [InputChoice(one.identity.did, name, agree(firm, one, name)) for one, name in ((road, "counts"), (fleet, "trips"))]
        parties = {"counts": road.identity.did, "trips": fleet.identity.did}
        standing = ask(firm, room, inputs, question=MethodQuestion("small.worth", {"parties": parties, "n": 100}))
        assert standing.state == "RELEASED"
        signed = room.settlements.settle(job=standing.job, payer=firm.identity.did, price=PRICE)
        for node in (road, fleet, firm):
            until(lambda node=node: node.settlements.every() != [])  # type: ignore[misc]  # mypy does not infer a lambda's default
        yield Settled(road, fleet, firm, room, inputs, standing, signed)
    hang_up(*space.nodes.values())


def test_the_payments_are_the_contributions_and_sum_to_the_price(settled: Settled) -> None:
    payments = settled.signed["document"]["payments_fen"]
    assert sum(payments.values()) == PRICE
    # road sees 40 of 100, fleet 30, both together 60: the Shapley values are 35/100 and 25/100
    assert settled.signed["document"]["shares"] == {settled.road.identity.did: "7/20", settled.fleet.identity.did: "1/4"}
    assert payments == {settled.road.identity.did: 58_334, settled.fleet.identity.did: 41_667}


def test_every_party_has_the_same_statement_and_recomputes_it(settled: Settled) -> None:
    for node in (settled.road, settled.fleet, settled.firm, settled.room):
        (kept,) = node.settlements.every()
        assert kept == settled.signed
        assert node.settlements.get(settled.statement) == settled.signed
        assert differences(kept["document"]) == []


def test_every_journal_balances_and_credits_who_is_owed(settled: Settled) -> None:
    for node in (settled.road, settled.fleet, settled.firm, settled.room):
        journal = node.settlements
        assert journal.imbalance() == 0
        assert journal.balance(settled.road.identity.did) == 58_334
        assert journal.balance(settled.fleet.identity.did) == 41_667
        assert journal.balance(settled.firm.identity.did) == -PRICE


def test_settling_is_an_entry_in_every_partys_log(settled: Settled) -> None:
    job = settled.standing.job
    assert "settlement.computed" in kinds(settled.room, job)
    for node in (settled.road, settled.fleet, settled.firm):
        assert kinds(node, job).count("payment.recorded") == 1


def test_a_statement_that_comes_again_changes_nothing(settled: Settled) -> None:
    answer = wire(settled.room).post(settled.road.identity.did, "/room/statements", settled.signed)
    assert answer == {"differences": []}
    assert len(settled.road.settlements.every()) == 1
    assert kinds(settled.road, settled.standing.job).count("payment.recorded") == 1


def test_a_changed_statement_is_tampered_with_whoever_changed_it(settled: Settled) -> None:
    changed = deepcopy(settled.signed)
    changed["document"]["payments_fen"][settled.road.identity.did] -= 1
    with pytest.raises(Tampered) as caught:
        wire(settled.room).post(settled.road.identity.did, "/room/statements", changed)
    assert caught.value.code == "settlement.bad-signature"


def test_a_statement_that_its_sender_did_not_sign_is_tampered_with(settled: Settled) -> None:
    with pytest.raises(Tampered):
        wire(settled.firm).post(settled.road.identity.did, "/room/statements", settled.signed)


def test_a_statement_that_does_not_follow_from_its_counts_is_not_booked_even_with_the_rooms_signature(settled: Settled) -> None:
    wrong = deepcopy(settled.signed["document"])
    wrong["statement"] = "urn:uuid:11111111-1111-4111-8111-111111111111"
    wrong["payments_fen"][settled.road.identity.did] -= 1000
    wrong["payments_fen"][settled.fleet.identity.did] += 1000
    signed = {"document": wrong, "signer": settled.room.identity.did, "signature": sign(settled.room, wrong)}
    found = wire(settled.room).post(settled.road.identity.did, "/room/statements", signed)["differences"]
    assert len(found) == 2
    assert settled.road.identity.did in "".join(found)
    assert [one["document"]["statement"] for one in settled.road.settlements.every()] == [settled.statement]


def test_another_text_under_a_known_statements_id_is_a_conflict(settled: Settled) -> None:
    other = {**deepcopy(settled.signed["document"]), "payer": settled.fleet.identity.did}
    signed = {"document": other, "signer": settled.room.identity.did, "signature": sign(settled.room, other)}
    with pytest.raises(Conflict) as caught:
        wire(settled.room).post(settled.road.identity.did, "/room/statements", signed)
    assert caught.value.code == "settlement.other-text"


def test_a_job_without_coalition_counts_cannot_be_settled(settled: Settled) -> None:
    with pytest.raises(NotFound):
        settled.room.settlements.settle(job="urn:uuid:22222222-2222-4222-8222-222222222222", payer=settled.firm.identity.did, price=PRICE)


def test_a_method_that_lets_out_what_it_does_not_declare_is_refused(settled: Settled) -> None:
    standing = ask(settled.firm, settled.room, settled.inputs[:1], question=MethodQuestion("small.unsaid", {}))
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert (standing.outcome.refusal.rule, dict(standing.outcome.tables)) == ("undeclared-output", {})


def test_a_method_that_the_room_does_not_have_and_inputs_that_it_does_not_read_are_refused(settled: Settled) -> None:
    unknown = ask(settled.firm, settled.room, settled.inputs, question=MethodQuestion("small.other", {}))
    surplus = ask(settled.firm, settled.room, settled.inputs, question=MethodQuestion("small.unsaid", {}))
    rules = [one.outcome and one.outcome.refusal and one.outcome.refusal.rule for one in (unknown, surplus)]
    assert rules == ["method-unknown", "method-inputs"]


def test_a_method_that_the_contract_does_not_name_is_refused_by_the_holder(settled: Settled) -> None:
    standing = ask(settled.firm, settled.room, settled.inputs[:1], question=SqlQuestion("SELECT COUNT(*) FROM road.counts"))
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert standing.outcome.refusal.rule == "queries"


def test_a_statement_by_a_party_that_did_not_run_the_job_is_not_booked(settled: Settled) -> None:
    made_up = {**deepcopy(settled.signed["document"]), "statement": "urn:uuid:33333333-3333-4333-8333-333333333333"}
    signed = {"document": made_up, "signer": settled.fleet.identity.did, "signature": sign(settled.fleet, made_up)}
    with pytest.raises(Tampered):
        wire(settled.fleet).post(settled.road.identity.did, "/room/statements", signed)
