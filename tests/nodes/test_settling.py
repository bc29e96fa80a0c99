"""A released job is settled: every party recomputes the statement, and none takes in one that does not follow from its counts."""

from collections.abc import Iterator
from copy import deepcopy

import pytest
from small_settlement import PRICE, Settled, plugged_in, settled_space
from small_space import PURPOSE, ask, kinds, sign, until, wire

from chengshu.cleanroom.model import MethodQuestion, SqlQuestion
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Tampered
from chengshu.kernel.money import Fen
from chengshu.settlement.model import differences


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settled]:
    with plugged_in(), settled_space(tmp_path_factory.mktemp("settled")) as settled:
        yield settled


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
    other = {**deepcopy(settled.signed["document"]), "computed_at": "2026-01-01T00:00:00.000Z"}
    signed = {"document": other, "signer": settled.room.identity.did, "signature": sign(settled.room, other)}
    with pytest.raises(Conflict) as caught:
        wire(settled.room).post(settled.road.identity.did, "/room/statements", signed)
    assert caught.value.code == "settlement.other-text"


def test_a_job_without_coalition_counts_cannot_be_settled(settled: Settled) -> None:
    with pytest.raises(NotFound):
        settled.room.settlements.settle("urn:uuid:22222222-2222-4222-8222-222222222222")
    counted = ask(settled.firm, settled.room, settled.inputs[:1], question=MethodQuestion("small.unsaid", {}), price=PRICE)
    with pytest.raises(NotFound):
        settled.room.settlements.settle(counted.job)


def test_settling_a_job_again_gives_its_first_statement(settled: Settled) -> None:
    assert settled.room.settlements.settle(settled.standing.job) == settled.signed
    assert [one["document"]["statement"] for one in settled.room.settlements.every()] == [settled.statement]
    assert kinds(settled.room, settled.standing.job).count("settlement.computed") == 1


def test_a_job_whose_asker_named_no_price_cannot_be_settled(settled: Settled) -> None:
    job = ask(settled.firm, settled.room, settled.inputs, question=settled.worth).job
    with pytest.raises(Invalid) as caught:
        settled.room.settlements.settle(job)
    assert caught.value.code == "settlement.no-price"


def test_a_statement_that_comes_before_its_asker_has_looked_at_the_job_is_booked_all_the_same(settled: Settled) -> None:
    """The asker's node fetches the outcome by itself: it books nothing that it cannot hold against the table."""
    job = settled.firm.asker.submit(
        room=settled.room.identity.did, purpose=PURPOSE, question=settled.worth, inputs=settled.inputs, price=Fen(7)
    )
    until(lambda: settled.room.room.standing(job, sender=settled.firm.identity.did)["outcome"] is not None)
    signed = settled.room.settlements.settle(job)
    for node in (settled.road, settled.fleet, settled.firm):
        until(lambda node=node: signed in node.settlements.every())  # type: ignore[misc]  # mypy does not infer a lambda's default
    assert kinds(settled.firm, job) == ["job.submitted", "job.released", "payment.recorded"]


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
