"""What a clean room that lies would bill: statements whose arithmetic is right and that are true of nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from small_settlement import PRICE, Settled, plugged_in, settled_space
from small_space import ask, kinds, sign, signed_job, until, wire

from chengshu.cleanroom.model import MethodQuestion
from chengshu.kernel.errors import Conflict, Invalid, Unavailable
from chengshu.kernel.ids import new_id
from chengshu.kernel.money import Fen
from chengshu.settlement.model import CoalitionCount, differences, parse, settle


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settled]:
    with plugged_in(), settled_space(tmp_path_factory.mktemp("settled")) as settled:
        yield settled


def _made_up(settled: Settled, job: str, **changes: Any) -> dict[str, Any]:
    """A statement that follows from its own counts and that the room signed: true of nothing else."""
    honest = parse(settled.signed["document"]).order
    order = replace(honest, statement=new_id(), job=job, **changes)
    document = settle(order, at=datetime(2026, 1, 1, tzinfo=UTC)).as_document()
    return {"document": document, "signer": settled.room.identity.did, "signature": sign(settled.room, document)}


def _stranger_alone(n: int) -> tuple[CoalitionCount, ...]:
    return (CoalitionCount(frozenset({"nobody-knows"}), n, n),)


@pytest.fixture(scope="module")
def unsettled(settled: Settled) -> str:
    """A job that was released, is worth 100 fen to its asker, and has not been settled."""
    job = ask(settled.firm, settled.room, settled.inputs, question=settled.worth, price=Fen(100)).job
    for node in (settled.road, settled.fleet):
        until(lambda node=node: "job.released" in kinds(node, job))  # type: ignore[misc]  # mypy does not infer a lambda's default
    return job


LIES: dict[str, dict[str, Any]] = {
    "a price beyond all bounds, all for a stranger": {"price": Fen(10**12), "coalitions": _stranger_alone(1)},
    "the right price for a stranger": {"price": Fen(100), "coalitions": _stranger_alone(1)},
    "one fen more": {"price": Fen(101)},
    "one fen less": {"price": Fen(99)},
    "another payer": {"price": Fen(100), "payer": "did:key:somebody"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_statement_that_is_not_what_the_asker_signed_is_booked_by_nobody(settled: Settled, unsettled: str, lie: str) -> None:
    signed = _made_up(settled, unsettled, **LIES[lie])
    assert differences(signed["document"]) == []  # the arithmetic is right
    for node in (settled.road, settled.fleet, settled.firm):
        before = node.settlements.every()
        assert wire(settled.room).post(node.identity.did, "/room/statements", signed)["differences"] != []
        assert node.settlements.every() == before
        assert node.settlements.balance("nobody-knows") == 0


def test_counts_that_are_not_those_of_the_released_table_are_found_by_the_asker(settled: Settled, unsettled: str) -> None:
    road, fleet = settled.road.identity.did, settled.fleet.identity.did
    tilted = tuple(
        CoalitionCount(frozenset(members), seen, 100) for members, seen in (((), 0), ((road,), 60), ((fleet,), 0), ((road, fleet), 60))
    )
    signed = _made_up(settled, unsettled, price=Fen(100), coalitions=tilted)
    told = wire(settled.room).post(settled.firm.identity.did, "/room/statements", signed)["differences"]
    assert told == ["coalitions: expected the counts of the released table, got others"]
    assert signed not in settled.firm.settlements.every()


def test_a_job_is_billed_once(settled: Settled) -> None:
    again = _made_up(settled, settled.standing.job)
    for node in (settled.road, settled.fleet, settled.firm):
        with pytest.raises(Conflict) as caught:
            wire(settled.room).post(node.identity.did, "/room/statements", again)
        assert caught.value.code == "settlement.second-statement"
        assert node.settlements.balance(settled.road.identity.did) > 0
        assert again not in node.settlements.every()


def test_a_job_that_was_refused_is_not_billed(settled: Settled) -> None:
    inputs = [settled.inputs[0]]
    job = ask(settled.firm, settled.room, inputs, question=MethodQuestion("small.unsaid", {}), price=PRICE).job
    until(lambda: "job.refused" in kinds(settled.road, job))
    signed = _made_up(settled, job)
    for node in (settled.road, settled.firm):
        told = wire(settled.room).post(node.identity.did, "/room/statements", signed)["differences"]
        assert told == ["job: expected one whose result was released, got one that ended as REFUSED"]


def test_a_statement_before_the_end_of_the_job_waits_for_the_receipt(settled: Settled) -> None:
    document, signature = signed_job(settled.firm, settled.room, settled.inputs, question=settled.worth)
    message = {"job": document, "signature": signature, "product": "counts"}
    assert "token" in wire(settled.room).post(settled.road.identity.did, "/room/inputs", message)
    with pytest.raises(Unavailable) as caught:
        wire(settled.room).post(settled.road.identity.did, "/room/statements", _made_up(settled, document["id"]))
    assert caught.value.code == "settlement.not-ended"


def test_amounts_in_parts_of_a_fen_or_as_text_are_no_statement(settled: Settled, unsettled: str) -> None:
    for amount in (100.5, "100", True):
        document = {**_made_up(settled, unsettled, price=Fen(100))["document"], "price_fen": amount}
        signed = {"document": document, "signer": settled.room.identity.did, "signature": sign(settled.room, document)}
        with pytest.raises(Invalid):
            wire(settled.room).post(settled.firm.identity.did, "/room/statements", signed)


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
