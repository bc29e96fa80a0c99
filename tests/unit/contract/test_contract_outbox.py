"""Two contract rooms joined by a courier that loses messages and answers: what was decided is said exactly once."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from chengshu.contract.model import Accept, Agree, Content, Finalize, Negotiation, Propose, Request, State, Terminate, Verify, to_json
from chengshu.contract.outbox import Outbox
from chengshu.contract.service import Contracts
from chengshu.evidence.service import Evidence
from chengshu.identity.model import Scheme
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import Conflict, Invalid, Unavailable
from chengshu.kernel.ids import new_id
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.kernel.worker import Worker
from chengshu.policy.model import Environment, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from databases import database_at

POLICY = to_odrl(Policy((Purpose(frozenset({"research"})), Environment("did:room"))))
LOST = Unavailable("peer.unreachable", "expected an answer, got none", hint=Text("Wait.", "请等待。"))


class StepClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Products:
    def policy_of(self, _tx: Connection, dataset_id: str) -> dict[str, Any] | None:
        return POLICY if dataset_id == "urn:t" else None

    def ids(self, _tx: Connection) -> list[str]:
        return ["urn:t"]


class Road:
    """Hands messages over in the process; ``weather`` says of each trip whether the message or its answer is lost."""

    def __init__(self, weather: list[str]) -> None:
        self.weather = weather
        self.to: Contracts | None = None
        self.sender = ""
        self.sent: list[str] = []

    def deliver(self, negotiation: Negotiation, content: Content, message_id: str | None) -> str | None:
        trip = self.weather.pop(0) if self.weather else "fine"
        if trip == "message lost":
            raise LOST
        assert self.to is not None
        self.sent.append(type(content).__name__)
        answered = self._hand_over(self.to, negotiation, content, message_id)
        if trip == "answer lost":
            raise LOST
        return answered.id

    def _hand_over(self, to: Contracts, negotiation: Negotiation, content: Content, message_id: str | None) -> Negotiation:
        if isinstance(content, Request | Propose) and content.callback is not None:
            return to.receive_first(self.sender, peer_pid=negotiation.id, content=content)
        pids = {"own_pid": str(negotiation.peer_pid), "peer_pid": negotiation.id}
        return to.receive(self.sender, **pids, content=content, message_id=message_id)


@dataclass(frozen=True, slots=True)
class Side:
    database: Database
    identity: Identity
    contracts: Contracts
    evidence: Evidence
    worker: Worker
    road: Road


def side(folder: Path, clock: StepClock, weather: list[str]) -> Side:
    folder.mkdir()
    database = database_at(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", folder / "log", clock)
    identity = Identity(database, signer=signer, address=f"http://{folder.name}/2025-1", evidence=evidence, clock=clock)
    contracts = Contracts(
        database,
        tasks=Tasks(clock),
        identity=identity,
        evidence=evidence,
        datasets=Products(),
        digests=Digests(INTERNATIONAL),
        clock=clock,
        new_id=new_id,
    )
    road = Road(weather)
    outbox = Outbox(contracts=contracts, courier=road)
    worker = Worker(
        database, clock=clock, handlers=outbox.handlers(), on_failed=outbox.on_failed(), given_up=lambda _tx, _task, _error: None
    )
    return Side(database, identity, contracts, evidence, worker, road)


def join(consumer: Side, provider: Side) -> None:
    for one, other in ((consumer, provider), (provider, consumer)):
        name = one.identity.address.split("/")[2]
        other.identity.add(one.identity.did, name_en=name, name_zh=name, address=one.identity.address)
        one.road.to, one.road.sender = other.contracts, one.identity.did


def offer_of(provider: Side, consumer: Side) -> dict[str, Any]:
    with provider.database.read() as tx:
        (offer,) = provider.contracts.offers_for(tx, "urn:t", audience=consumer.identity.did)
    return dict(offer.document)


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def pair(tmp_path: Path, clock: StepClock) -> tuple[Side, Side]:
    consumer, provider = side(tmp_path / "consumer", clock, []), side(tmp_path / "provider", clock, [])
    join(consumer, provider)
    return consumer, provider


def requested(consumer: Side, provider: Side) -> str:
    return consumer.contracts.request(provider.identity.did, dataset="urn:t", offer=offer_of(provider, consumer))


trips = st.lists(st.sampled_from(["fine", "message lost", "answer lost"]), max_size=6)


@settings(max_examples=8, deadline=None)
@example(["answer lost"] * 6, ["answer lost"] * 6, [])
@given(trips, trips, st.lists(st.booleans(), max_size=12))
def test_whatever_is_lost_on_the_way_both_sides_end_alike_and_nothing_is_done_twice(
    there: list[str], back: list[str], turns: list[bool]
) -> None:
    clock = StepClock()
    with TemporaryDirectory() as folder:
        consumer, provider = side(Path(folder) / "consumer", clock, there), side(Path(folder) / "provider", clock, back)
        join(consumer, provider)
        pid = requested(consumer, provider)
        for turn in [*turns, *[True, False] * 12]:
            (consumer if turn else provider).worker.run_due()
            clock.now += timedelta(seconds=30)
        ours = consumer.contracts.negotiation(pid)
        (theirs,) = provider.contracts.negotiations()
        assert (ours.state, theirs.state) == (State.FINALIZED, State.FINALIZED)
        assert (ours.peer_pid, theirs.peer_pid) == (theirs.id, ours.id)
        for node in (consumer, provider):
            kinds = [entry.kind for entry in node.evidence.entries(0, 100)]
            assert len(kinds) == len(set(kinds)) == 6
        (here,), (other,) = consumer.contracts.agreements(), provider.contracts.agreements()
        assert replace(here, negotiation="") == replace(other, negotiation="")


def test_a_message_that_the_negotiation_overtook_is_not_sent(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    consumer.contracts.terminate(pid, reason="changed our mind")
    consumer.worker.run_due()
    assert consumer.road.sent == []
    assert provider.contracts.negotiations() == []


def test_a_negotiation_that_has_ended_cannot_be_ended_again(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    consumer.contracts.terminate(pid, reason="changed our mind")
    with pytest.raises(Conflict):
        consumer.contracts.terminate(pid, reason="again")


def test_a_second_pid_for_one_negotiation_is_refused(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    learn(consumer, pid, "urn:theirs")
    with pytest.raises(Invalid):
        learn(consumer, pid, "urn:other")


def test_one_pid_for_two_negotiations_is_refused(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    learn(consumer, requested(consumer, provider), "urn:theirs")
    with pytest.raises(Invalid):
        learn(consumer, requested(consumer, provider), "urn:theirs")


def test_an_agreement_may_overtake_the_answer_to_the_request(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    (negotiation,) = consumer.contracts.negotiations()
    content = Request(negotiation.offer, consumer.identity.address)
    provider.contracts.receive_first(consumer.identity.did, peer_pid=pid, content=content)
    provider.worker.run_due()
    assert consumer.contracts.negotiation(pid).state is State.VERIFIED
    assert consumer.contracts.negotiation(pid).peer_pid == provider.contracts.negotiations()[0].id


def test_a_providers_offer_with_the_rules_we_asked_for_is_accepted_at_once(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    offer = {**offer_of(provider, consumer), "target": "urn:t"}
    proposal = Propose(offer, None)
    told = consumer.contracts.receive(provider.identity.did, own_pid=pid, peer_pid="urn:theirs", content=proposal)
    assert (told.state, consumer.contracts.negotiation(pid).state) == (State.OFFERED, State.ACCEPTED)


def test_a_providers_offer_with_other_rules_waits_for_a_person(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    learn(consumer, pid, "urn:theirs")
    other = {"@id": "urn:o", "@type": "Offer", "target": "urn:t", **to_odrl(Policy((Purpose(frozenset({"other"})),)))}
    consumer.contracts.receive(provider.identity.did, own_pid=pid, peer_pid="urn:theirs", content=Propose(other, None))
    consumer.worker.run_due()
    standing = consumer.contracts.standing(pid)
    assert (standing.negotiation.state, standing.waits_for) == (State.OFFERED, consumer.identity.did)
    assert consumer.contracts.accept(pid).state is State.ACCEPTED


def an_agreement(provider: str, consumer: str) -> dict[str, Any]:
    parties = {"assigner": provider, "assignee": consumer}
    return {"@id": "urn:a", "@type": "Agreement", "target": "urn:t", **parties, "timestamp": "2026-11-24T08:00:00Z", **POLICY}


def test_an_agreement_that_a_party_with_a_key_did_not_sign_ends_the_negotiation(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    document = an_agreement(provider.identity.did, consumer.identity.did)
    consumer.contracts.receive(provider.identity.did, own_pid=pid, peer_pid="urn:theirs", content=Agree(document, None))
    assert consumer.contracts.negotiation(pid).state is State.TERMINATED


def of_a_foreign_connector(here: Side, party: str) -> None:
    address = "http://connector/api/protocol/2025-1"
    here.identity.add(party, name_en="Connector", name_zh="外部连接器", address=address, scheme=Scheme.STATIC)


@pytest.mark.parametrize("party", ["provider", "did:web:provider.example", "urn:connector:a/b=c d", "连接器", "x" * 512])
def test_a_provider_whose_id_is_no_key_does_not_sign_and_the_agreement_says_so(tmp_path: Path, clock: StepClock, party: str) -> None:
    consumer = side(tmp_path / "consumer", clock, [])
    of_a_foreign_connector(consumer, party)
    offer = {"@id": "urn:o", "@type": "Offer", "target": "urn:t", "assigner": party, **POLICY}
    pid = consumer.contracts.request(party, dataset="urn:t", offer=offer)
    consumer.contracts.receive(party, own_pid=pid, peer_pid="urn:p", content=Agree(an_agreement(party, consumer.identity.did), None))
    assert consumer.contracts.negotiation(pid).state is State.VERIFIED
    agreement = consumer.contracts.agreement("urn:a")
    assert (agreement.unsigned_by, agreement.consumer_signature is None) == ((party,), False)
    (entry,) = [entry for entry in consumer.evidence.entries(0, 100) if entry.kind == "agreement.signed"]
    assert entry.body["unsigned"] == party


def test_a_signature_from_a_party_whose_id_is_no_key_is_worth_nothing(tmp_path: Path, clock: StepClock) -> None:
    consumer = side(tmp_path / "consumer", clock, [])
    of_a_foreign_connector(consumer, "provider")
    pid = consumer.contracts.request("provider", dataset="urn:t", offer={"@id": "urn:o", "@type": "Offer", "target": "urn:t", **POLICY})
    document = an_agreement("provider", consumer.identity.did)
    consumer.contracts.receive("provider", own_pid=pid, peer_pid="urn:p", content=Agree(document, "A" * 86))
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "agreement-signature")


def test_a_consumer_whose_id_is_no_key_verifies_without_a_signature_and_the_agreement_says_so(tmp_path: Path, clock: StepClock) -> None:
    provider = side(tmp_path / "provider", clock, [])
    of_a_foreign_connector(provider, "consumer")
    with provider.database.read() as tx:
        (offer,) = provider.contracts.offers_for(tx, "urn:t", audience="consumer")
    asked = Request({**offer.document, "target": "urn:t"}, "http://connector/api/protocol/2025-1")
    pid = provider.contracts.receive_first("consumer", peer_pid="urn:c", content=asked).id
    provider.contracts.receive("consumer", own_pid=pid, peer_pid="urn:c", content=Verify(None))
    assert provider.contracts.negotiation(pid).state is State.FINALIZED
    (agreement,) = provider.contracts.agreements()
    assert (agreement.unsigned_by, agreement.provider_signature is None) == (("consumer",), False)


def test_an_agreement_id_that_is_in_use_ends_the_second_negotiation(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    first, second = requested(consumer, provider), requested(consumer, provider)
    for _ in range(3):
        consumer.worker.run_due()
        provider.worker.run_due()
    assert {consumer.contracts.negotiation(pid).state for pid in (first, second)} == {State.FINALIZED}
    (taken, _) = consumer.contracts.agreements()
    third = requested(consumer, provider)
    again = Agree(taken.document, taken.provider_signature)
    consumer.contracts.receive(provider.identity.did, own_pid=third, peer_pid="urn:third", content=again)
    assert consumer.contracts.negotiation(third).code == "agreement-known"
    assert len(consumer.contracts.agreements()) == 2


def test_a_repeat_of_any_message_leaves_no_second_evidence(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    for _ in range(3):
        consumer.worker.run_due()
        provider.worker.run_due()
    (agreement,) = provider.contracts.agreements()
    (theirs,) = provider.contracts.negotiations()
    before = [node.evidence.size() for node in pair]
    to_consumer: list[Content] = [Agree(agreement.document, agreement.provider_signature), Finalize()]
    for content in to_consumer:
        consumer.contracts.receive(provider.identity.did, own_pid=pid, peer_pid=theirs.id, content=content)
    provider.contracts.receive(consumer.identity.did, own_pid=theirs.id, peer_pid=pid, content=Verify(agreement.consumer_signature))
    assert [node.evidence.size() for node in pair] == before
    with pytest.raises(Conflict):
        provider.contracts.receive(consumer.identity.did, own_pid=theirs.id, peer_pid=pid, content=Accept())
    with pytest.raises(Conflict):
        provider.contracts.receive(consumer.identity.did, own_pid=theirs.id, peer_pid=pid, content=Terminate(None, ()))


@pytest.mark.parametrize("signature", [None, "AAAA"])
def test_an_agreement_that_the_consumer_did_not_sign_never_comes_into_force(pair: tuple[Side, Side], signature: str | None) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    (asked,) = consumer.contracts.negotiations()
    request = Request(asked.offer, consumer.identity.address)
    theirs = provider.contracts.receive_first(consumer.identity.did, peer_pid=pid, content=request).id
    provider.contracts.receive(consumer.identity.did, own_pid=theirs, peer_pid=pid, content=Verify(signature))
    ended = provider.contracts.negotiation(theirs)
    assert (ended.state, ended.code) == (State.TERMINATED, "agreement-signature")
    assert provider.contracts.agreements() == []
    assert "agreement.signed" not in [entry.kind for entry in provider.evidence.entries(0, 100)]


def learn(side: Side, pid: str, peer_pid: str) -> None:
    with side.database.write() as tx:
        side.contracts.learn(tx, pid, peer_pid)


class Confused:
    """A courier whose counterparty names another pid in every answer."""

    def deliver(self, _negotiation: Negotiation, _content: Content, message_id: str | None) -> str | None:
        return f"urn:another:{message_id}"


def test_a_later_answer_that_names_another_pid_changes_nothing(pair: tuple[Side, Side]) -> None:
    consumer, provider = pair
    pid = requested(consumer, provider)
    consumer.worker.run_due()
    before = consumer.contracts.negotiation(pid)
    content = to_json(Request(before.offer, consumer.identity.address))
    Outbox(contracts=consumer.contracts, courier=Confused()).send({"negotiation": pid, "content": content, "message": "7"})
    assert consumer.contracts.negotiation(pid) == before
