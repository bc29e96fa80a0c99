"""Transfers between two served nodes: pulled and pushed, suspended, resumed and ended from either side, and refused by policy."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from small_deliveries import STUDY, Pair, peer, raised_pair, state
from small_space import SECRET, kinds, until

from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.node import Node
from chengshu.policy.model import Form, OutputForm
from chengshu.transfer.flow.model import PULL, PUSH, Extent
from chengshu.transfer.process.model import State, Wanted
from chengshu.transfer.streams.encodings import accepted


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with raised_pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


def rows(path: Path) -> int:
    return int(pa.ipc.open_stream(path.read_bytes()).read_all().num_rows)


def ended(node: Node, pid: str) -> tuple[State, str | None]:
    process = node.moving.processes.process(pid)
    return process.state, process.code


def test_a_finite_pull_completes_by_itself_and_both_logs_have_it(pair: Pair, tmp_path: Path) -> None:
    pid, theirs = pair.started("rows")
    receipt = pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    assert rows(receipt.path) == 200
    pair.settled(pid, State.COMPLETED)
    taken = kinds(pair.consumer, pid)  # whether the provider says that it is done, or the file is whole, may come first
    assert (taken[:2], sorted(taken[2:])) == (["delivery.requested", "delivery.started"], ["delivery.completed", "delivery.received"])
    assert kinds(pair.provider, theirs) == ["delivery.requested", "delivery.started", "delivery.completed"]
    sent = sent_of(pair, theirs)
    assert sent["data_digest"] == receipt.digest
    assert sent["recipient"] == pair.consumer.identity.did


def entries(node: Node, kind: str) -> list[dict[str, object]]:
    return [dict(one.body) for one in node.evidence.entries(0, node.evidence.size()) if one.kind == kind]


def sent_of(pair: Pair, theirs: str) -> dict[str, object]:
    (started,) = (one for one in entries(pair.provider, "transfer.started") if one.get("transfer") == theirs)
    (sent,) = (one for one in entries(pair.provider, "transfer.completed") if one["job"] == started["job"])
    return sent


def test_a_delivery_is_counted_once_and_metered_once(pair: Pair, tmp_path: Path) -> None:
    before = (kinds(pair.provider).count("budget.spent"), kinds(pair.provider).count("use.metered"))
    pid, _ = pair.started("rows")
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    pair.settled(pid, State.COMPLETED)
    assert (kinds(pair.provider).count("budget.spent"), kinds(pair.provider).count("use.metered")) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(("form", "first"), [("text/csv", b'"road","vehicle","speed"'), ("application/x-ndjson", b'{"road":"ring"')])
def test_the_consumer_chooses_the_form(pair: Pair, tmp_path: Path, form: str, first: bytes) -> None:
    pid, _ = pair.started("rows")
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out", encoding=accepted(form))
    assert (tmp_path / "out").read_bytes().startswith(first)
    assert str(SECRET).encode() in (tmp_path / "out").read_bytes()


def test_a_push_arrives_whole_and_completes(pair: Pair) -> None:
    pid, theirs = pushed(pair)
    assert rows(pair.consumer.moving.receptions.received(pid)) == 200
    (came,) = (one for one in entries(pair.consumer, "delivery.received") if one["transfer"] == pid)
    assert came["data_digest"] == sent_of(pair, theirs)["data_digest"]


def pushed(pair: Pair) -> tuple[str, str]:
    pid = pair.request("rows", format_name=PUSH)
    pair.settled(pid, State.COMPLETED)
    return pid, peer(pair.consumer, pid)


@pytest.mark.parametrize("by", ["consumer", "provider"])
def test_a_pull_is_suspended_and_resumed_by_either_side_with_another_token(pair: Pair, tmp_path: Path, by: str) -> None:
    pid, theirs = pair.started("rows")
    first = pair.provider.moving.processes.address_of(theirs)
    node, own = (pair.consumer, pid) if by == "consumer" else (pair.provider, theirs)
    node.moving.processes.suspend(own, reason="maintenance")
    pair.settled(pid, State.SUSPENDED)
    assert [log[-1] for log in (kinds(pair.consumer, pid), kinds(pair.provider, theirs))] == ["delivery.suspended"] * 2
    other, its = (pair.provider, theirs) if by == "consumer" else (pair.consumer, pid)
    assert other.moving.processes.process(its).reasons == ("maintenance",)
    with pytest.raises(Conflict):
        pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    assert not isinstance(node.moving.processes.start(own), Refused)
    pair.settled(pid, State.STARTED)
    until(lambda: not pair.consumer.moving.processes.process(pid).awaits_address)
    second = pair.provider.moving.processes.address_of(theirs)
    assert second is not None
    assert second != first
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    pair.settled(pid, State.COMPLETED)


@pytest.mark.parametrize("by", ["consumer", "provider"])
@pytest.mark.parametrize("before", [State.STARTED, State.SUSPENDED])
def test_a_transfer_is_terminated_by_either_side_with_its_reason(pair: Pair, by: str, before: State) -> None:
    pid, theirs = pair.started("rows")
    node, own = (pair.consumer, pid) if by == "consumer" else (pair.provider, theirs)
    if before is State.SUSPENDED:
        node.moving.processes.suspend(own, reason="first")
        pair.settled(pid, State.SUSPENDED)
    node.moving.processes.terminate(own, reason="no longer needed")
    pair.settled(pid, State.TERMINATED)
    assert pair.consumer.moving.processes.process(pid).reasons == ("no longer needed",)
    assert pair.provider.moving.processes.process(theirs).reasons == ("no longer needed",)
    assert kinds(pair.provider, theirs)[-1] == "delivery.terminated"
    with pytest.raises(Conflict):
        node.moving.processes.start(own)


def test_either_side_may_complete(pair: Pair) -> None:
    pid, _ = pair.started("rows")
    pair.consumer.moving.processes.complete(pid)
    pair.settled(pid, State.COMPLETED)


def test_a_lasting_pull_gives_the_product_each_time_until_it_is_ended(pair: Pair, tmp_path: Path) -> None:
    pid, theirs = pair.started("rows", extent=Extent.NON_FINITE)
    for name in ("first", "second"):
        pair.consumer.moving.receptions.fetch(pid, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert pair.both(pid) == (State.STARTED, State.STARTED)
    begun = [one for one in entries(pair.provider, "transfer.started") if one.get("transfer") == theirs]
    assert len({one["job"] for one in begun}) == 2
    pair.provider.moving.processes.terminate(theirs, reason="enough")
    pair.settled(pid, State.TERMINATED)


@pytest.mark.parametrize(
    ("product", "purpose", "rule"), [("room_only", None, "output-form"), ("study", None, "purpose"), ("study", "x", "purpose")]
)
def test_what_the_policy_does_not_permit_is_terminated_with_the_rule(pair: Pair, product: str, purpose: str | None, rule: str) -> None:
    pid = pair.request(product, purpose=purpose)
    pair.settled(pid, State.TERMINATED)
    assert ended(pair.consumer, pid) == (State.TERMINATED, rule)
    assert ended(pair.provider, peer(pair.consumer, pid)) == (State.TERMINATED, rule)


def test_a_stated_purpose_that_the_policy_names_is_let_through(pair: Pair, tmp_path: Path) -> None:
    pid = pair.request("study", purpose=STUDY)
    until(lambda: state(pair.consumer, pid) is State.STARTED)
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")


def test_a_count_is_spent_by_deliveries_and_the_next_one_is_refused(pair: Pair, tmp_path: Path) -> None:
    pid, _ = pair.started("thrice", extent=Extent.NON_FINITE)
    for name in ("1", "2", "3"):
        pair.consumer.moving.receptions.fetch(pid, tmp_path / name)
    with pytest.raises(Denied):
        pair.consumer.moving.receptions.fetch(pid, tmp_path / "4")
    assert not (tmp_path / "4").exists()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["1", "2", "3"]
    assert entries(pair.provider, "transfer.refused")[-1]["rule"] == "count-limit"
    assert pair.provider.moving.processes.reconsider(pair.provider.agreements) == []
    second = pair.request("thrice")
    pair.settled(second, State.TERMINATED)
    assert ended(pair.consumer, second)[1] == "count-limit"
    pair.consumer.moving.processes.terminate(pid, reason="spent")


def test_an_agreement_that_is_not_between_the_two_looks_like_none(pair: Pair) -> None:
    with pytest.raises(NotFound):
        pair.consumer.moving.processes.request(Wanted("urn:nowhere", PULL))
    with pytest.raises(Conflict):
        pair.provider.moving.processes.request(Wanted(pair.agreements["rows"], PULL))
    with pytest.raises(Invalid):
        pair.consumer.moving.processes.request(Wanted(pair.agreements["rows"], "carrier-pigeon"))


def test_a_product_that_was_withdrawn_ends_what_runs(pair: Pair) -> None:
    pair.offer("soon_gone", OutputForm(Form.ROWS))
    pid, _ = pair.started("soon_gone")
    assert pair.provider.moving.processes.reconsider(pair.provider.agreements) == []
    pair.provider.catalog.withdraw("soon_gone")
    pair.settled(pid, State.TERMINATED)
    assert ended(pair.consumer, pid)[1] == "product-unknown"


def test_standing_names_who_is_waited_for(pair: Pair, tmp_path: Path) -> None:
    pid, theirs = pair.started("rows")

    def waits() -> tuple[str | None, str | None]:
        ours = pair.consumer.moving.processes.standing(pid)
        return ours.waits_for, ours.why and ours.why.en

    # the provider's start can come before its answer to the request, for which the consumer waits until then
    until(lambda: waits()[0] != "Giver")
    assert waits() == (pair.consumer.identity.did, "to fetch the product")
    assert pair.provider.moving.processes.standing(theirs).waits_for == "Taker"
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    pair.settled(pid, State.COMPLETED)
    assert pair.consumer.moving.processes.standing(pid).waits_for is None


def test_a_silent_provider_is_named_with_its_last_word_and_given_up(pair: Pair) -> None:
    pair.space.stop("giver")
    try:
        pid = pair.request("rows")
        until(lambda: "not delivered yet" in str(pair.consumer.moving.processes.standing(pid).why))
        assert pair.consumer.moving.processes.standing(pid).waits_for == "Giver"
        pair.consumer.moving.processes.terminate(pid, reason="not today")
    finally:
        pair.space.start("giver")


def test_every_refusal_of_a_verb_is_an_error_of_ours(pair: Pair) -> None:
    for verb in (pair.consumer.moving.processes.start, pair.consumer.moving.processes.complete):
        with pytest.raises(ChengshuError, match="expected the id of a transfer"):
            verb("urn:nowhere")
