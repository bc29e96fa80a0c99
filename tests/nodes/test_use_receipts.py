"""Use receipts on real nodes: issued, countersigned, reconciled; with an asker that is away and a provider that is killed."""

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_space import BY_ROAD, PURPOSE, Town, agree, ask, born, counts, hang_up, kinds, publish, served, until

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cleanroom.receipts.use_receipt import UseReceipt, countersigned_bytes, issued_bytes
from chengshu.cli import publishing, verbs
from chengshu.cli.doctor import examine
from chengshu.evidence.reconciling.reconcile import reconcile
from chengshu.evidence.reconciling.reconciliation import Reconciliation
from chengshu.identity.model import public_key_of
from chengshu.kernel.crypto import is_signed_by
from chengshu.node import Node
from chengshu.testing import Space

JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS both FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"
JOBS = 4


def _reconciled(one: Node, other: Node) -> Reconciliation:
    for node in (one, other):
        node.evidence.publish()
    return reconcile(one.folder, other.folder, vkey_a=one.evidence.vkey, vkey_b=other.evidence.vkey)


def _all_signed(*nodes: Node) -> bool:
    return all(row["state"] == "COUNTERSIGNED" for node in nodes for row in node.receipts.every())


def _entries(node: Node, kind: str) -> list[str]:
    return [str(one.body["receipt_digest"]) for one in node.evidence.entries(0, node.evidence.size()) if one.kind == kind]


def test_a_use_of_two_holders_products_leaves_one_receipt_with_each_and_all_logs_agree(town: Town) -> None:
    job = ask(town.firm, town.room, [town.choice(), town.choice("trips")], question=SqlQuestion(JOINED)).job
    until(lambda: len([row for row in town.firm.receipts.every() if row["job"] == job]) == 2 and _all_signed(town.road, town.fleet))
    standing = town.firm.asker.standing(job)
    for holder, product in ((town.road, "counts"), (town.fleet, "trips")):
        (theirs,), (ours,) = (node.receipts.show(job, product=product) for node in (holder, town.firm))
        assert theirs == ours
        receipt = UseReceipt.parse(ours["receipt"])
        assert (receipt.provider, receipt.consumer, receipt.room) == (
            holder.identity.did,
            town.firm.identity.did,
            town.room.identity.did,
        )
        assert (receipt.agreement, receipt.purpose, receipt.outcome) == (town.agreements[product], PURPOSE, "RELEASED")
        assert receipt.room_receipt_digest == town.firm.digests.of(standing.receipt)
        metered = [
            one for one in holder.evidence.entries(0, holder.evidence.size()) if (one.kind, one.subject) == ("transfer.completed", job)
        ]
        assert [(one.body["rows"], one.body["data_digest"]) for one in metered] == [(receipt.rows, receipt.data_digest)]
        assert ours["signatures_verify"]
        for party, name, message in (
            (receipt.provider, "provider_signature", issued_bytes(receipt)),
            (receipt.consumer, "consumer_signature", countersigned_bytes(receipt)),
        ):
            assert is_signed_by(public_key_of(party), signature=base64.b64decode(ours[name]), message=message)
        assert _entries(holder, "receipt.issued").count(receipt.digest(town.firm.digests)) == 1
        for node in (holder, town.firm):
            assert _entries(node, "receipt.countersigned").count(receipt.digest(town.firm.digests)) == 1
        verdict = _reconciled(holder, town.firm)
        assert verdict.holds, verdict.words()
        assert verdict.receipts == verdict.uses == len(holder.receipts.every())
        assert verdict.waiting == ()


def test_a_use_of_ones_own_product_needs_no_receipt(town: Town) -> None:
    job = ask(town.road, town.room, [InputChoice(town.road.identity.did, "counts", "own")]).job
    until(lambda: "job.released" in kinds(town.road, job))
    assert [row for row in town.road.receipts.every() if row["job"] == job] == []


def test_a_job_that_read_nothing_leaves_no_receipt(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()], purpose="advertising")
    until(lambda: len(kinds(town.road, standing.job)) > 0)
    assert standing.state == "REFUSED"
    assert [row for row in town.road.receipts.every() if row["job"] == standing.job] == []


def test_the_places_of_uses_in_the_count_and_what_remains_are_told(town: Town) -> None:
    sql = SqlQuestion(BY_ROAD.replace("road.counts", "road.twice"))
    jobs = [ask(town.firm, town.room, [town.choice("twice")], question=sql).job for _ in range(2)]
    until(lambda: len([row for row in town.firm.receipts.every() if row["job"] in jobs]) == 2)
    receipts = [town.firm.receipts.show(job, product="twice")[0]["receipt"] for job in jobs]
    assert [(one["uses"], one["remaining"]) for one in receipts] == [(1, 1), (2, 0)]


def test_a_receipt_waits_for_an_asker_that_is_away_and_is_signed_when_it_is_back(tmp_path: Path) -> None:
    with Space(tmp_path) as space:
        road, firm = space.add("road"), space.add("firm")
        room = space.add("room", clean_room=True)
        publish(road, "counts", policy=publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE])))
        choice = InputChoice(road.identity.did, "counts", agree(firm, road, "counts"))
        space.stop("firm")
        job = firm.asker.submit(room=room.identity.did, purpose=PURPOSE, question=SqlQuestion(BY_ROAD), inputs=[choice])
        until(lambda: any("peer.unreachable" in str(row["why"]) for row in road.receipts.every()))
        (waiting,) = road.receipts.every()
        assert (waiting["job"], waiting["state"], waiting["waits_for"]) == (job, "ISSUED", firm.identity.did)
        verdict = _reconciled(road, firm)
        assert verdict.holds
        assert [one.waits_for for one in verdict.waiting] == ["firm/log"]
        found = [one for one in examine(road.folder) if one.about.en == f"receipt counts {job}"]
        assert [one.bad for one in found] == [True]
        assert "Firm" in found[0].found.en
        assert "Firm（测试）" in found[0].found.zh
        space.start("firm")
        until(lambda: _all_signed(road) and len(firm.receipts.every()) == 1)
        assert kinds(firm, job) == ["job.submitted", "job.released"]  # nobody looked at the outcome: the node asked for it itself
        verdict = _reconciled(road, firm)
        assert (verdict.holds, verdict.receipts, verdict.waiting) == (True, 1, ())
        assert [one.bad for one in examine(road.folder) if one.about.en.startswith("receipt")] == [False]
    hang_up(*space.nodes.values())


# --- a provider that is killed


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _killed(process: "subprocess.Popen[bytes]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_provider_killed_between_issue_and_countersignature_has_one_receipt_for_each_use(tmp_path: Path, stack: ExitStack) -> None:
    space = stack.enter_context(Space(tmp_path))
    firm, room, road = space.add("firm"), space.add("room", clean_room=True), born(tmp_path / "road", "road")
    for other in (firm, room):
        verbs.add_peer(road, verbs.describe(other))
        verbs.add_peer(other, verbs.describe(road))
    publish(road, "counts", policy=publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE])), table=counts())
    dying = served(road, stack)
    choice = InputChoice(road.identity.did, "counts", agree(firm, road, "counts"))
    space.stop("firm")
    question = SqlQuestion(BY_ROAD)
    jobs = [firm.asker.submit(room=room.identity.did, purpose=PURPOSE, question=question, inputs=[choice]) for _ in range(JOBS)]
    until(lambda: len(road.receipts.every()) == JOBS)
    _killed(dying)
    assert {row["state"] for row in road.receipts.every()} == {"ISSUED"}
    space.start("firm")
    dying = served(road, stack)
    until(lambda: len(_entries(firm, "receipt.countersigned")) >= 1)
    _killed(dying)  # while the countersignatures come in
    served(road, stack)
    until(lambda: _all_signed(road) and len(firm.receipts.every()) == JOBS)
    issued = _entries(road, "receipt.issued")
    assert len(issued) == len(set(issued)) == JOBS
    assert sorted(_entries(road, "receipt.countersigned")) == sorted(_entries(firm, "receipt.countersigned")) == sorted(issued)
    assert sorted(row["job"] for row in firm.receipts.every()) == sorted(jobs)
    verdict = _reconciled(road, firm)
    assert (verdict.holds, verdict.uses, verdict.receipts, verdict.waiting) == (True, JOBS, JOBS, ()), verdict.words()
    hang_up(road, firm, room)
