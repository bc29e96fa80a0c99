"""Two nodes in one process, each with its own database, key, log and real socket on loopback, negotiate over the wire."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection

from chengshu.contract.model import Role, State
from chengshu.contract.outbox import Outbox
from chengshu.contract.service import Contracts
from chengshu.dsp.client import DspCourier, DspPeers
from chengshu.dsp.messages import (
    CONTEXT,
    SIGNATURE,
    Catalog,
    ContractNegotiation,
    Dataset,
    parse,
)
from chengshu.dsp.routes import router, unknown_paths
from chengshu.dsp.service import DspCatalog
from chengshu.dsp.translate import segment
from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.keys.file import FileKeys
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.ids import new_id
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks, Worker
from chengshu.policy.model import Basis, CountLimit, Environment, Form, Methods, OutputForm, Pay, Policy, Purpose, Recipient, Use
from chengshu.policy.odrl import to_odrl

ROOM = "did:key:z6MkroomroomroomRoom"
PRODUCT = "urn:product:trajectories/2026=v1"


class StepClock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Products:
    """The products of one node, held in memory."""

    def __init__(self) -> None:
        self.policies: dict[str, dict[str, Any]] = {}

    def policy_of(self, _tx: Connection, dataset_id: str) -> dict[str, Any] | None:
        return self.policies.get(dataset_id)

    def ids(self, _tx: Connection) -> list[str]:
        return sorted(self.policies)

    def entries(self, tx: Connection) -> Sequence[Mapping[str, Any]]:
        return [{"@id": name, "title": "Trajectories"} for name in self.ids(tx)]

    def entry(self, _tx: Connection, dataset_id: str) -> Mapping[str, Any] | None:
        return {"@id": dataset_id, "title": "Trajectories"} if dataset_id in self.policies else None


@dataclass(frozen=True, slots=True)
class Node:
    """What one participant runs."""

    database: Database
    identity: Identity
    credentials: TokenCredentials
    contracts: Contracts
    evidence: Evidence
    products: Products
    peers: DspPeers
    worker: Worker
    tasks: Tasks

    def kinds(self) -> list[str]:
        """The kinds of this node's evidence entries, in order."""
        return [entry.kind for entry in self.evidence.entries(0, 1000)]

    def failures(self) -> list[str]:
        with self.database.read() as tx:
            return [str(task.last_error) for task in self.tasks.failed(tx)]


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path, clock: StepClock, stack: ExitStack) -> Start:
    return starter(tmp_path, clock, stack)


def starter(folder: Path, clock: StepClock, stack: ExitStack) -> Start:
    def start(name: str, *, serving: bool = True) -> Node:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/2025-1"
        node = make_node(folder / name, clock, address)
        stack.callback(node.peers.close)
        stack.callback(node.database.engine.dispose)
        if serving:
            serve(node, listener, stack)
        else:
            listener.close()
        return node

    return start


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """A consumer and a provider for tests in which nothing is ever accepted, so that they can share them."""
    with ExitStack() as stack:
        start = starter(tmp_path_factory.mktemp("idle"), StepClock(), stack)
        provider, consumer = start("provider"), start("consumer", serving=False)
        introduce(provider, consumer)
        provider.products.policies[PRODUCT] = to_odrl(policy_for(consumer))
        yield consumer, provider
        assert provider.contracts.negotiations() == []


def make_node(folder: Path, clock: StepClock, address: str) -> Node:
    signer = FileKeys(folder / "keys").create(INTERNATIONAL)
    database = Database(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    evidence = Evidence(database, signer, "node.example/log", folder / "log", clock)
    identity = Identity(database, signer=signer, address=address, evidence=evidence, clock=clock)
    products, digests = Products(), Digests(INTERNATIONAL)
    tasks = Tasks(clock)
    contracts = Contracts(
        database, tasks=tasks, identity=identity, evidence=evidence, datasets=products, digests=digests, clock=clock, new_id=new_id
    )
    credentials = TokenCredentials(identity, digests=digests, clock=clock, new_id=new_id)
    peers = DspPeers(identity, credentials=credentials, timeout_s=5)
    outbox = Outbox(contracts=contracts, courier=DspCourier(peers))
    worker = Worker(
        database, clock=clock, handlers=outbox.handlers(), on_failed=outbox.on_failed(), given_up=lambda _tx, _task, _error: None
    )
    return Node(database, identity, credentials, contracts, evidence, products, peers, worker, tasks)


def serve(node: Node, listener: socket.socket, stack: ExitStack) -> None:
    app = FastAPI(openapi_url=None)
    catalog = DspCatalog(node.database, identity=node.identity, contracts=node.contracts, source=node.products)
    app.include_router(router(contracts=node.contracts, catalog=catalog, credentials=node.credentials))
    app.include_router(unknown_paths())
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    thread.start()
    stack.callback(stop)


@pytest.fixture
def provider(start: Start) -> Node:
    return start("provider")


@pytest.fixture
def consumer(start: Start, provider: Node) -> Node:
    node = start("consumer")
    introduce(provider, node)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(node))
    return node


def introduce(one: Node, other: Node) -> None:
    for knower, known in ((one, other), (other, one)):
        name = f"Party {known.identity.did[-8:]}"
        knower.identity.add(known.identity.did, name_en=name, name_zh=f"参与方 {name}", address=known.identity.address)


def policy_for(*nodes: Node) -> Policy:
    return Policy(
        (
            Purpose(frozenset({"road-safety"})),
            Recipient(frozenset(node.identity.did for node in nodes)),
            Environment(ROOM),
            Methods(frozenset({"conflicts"})),
            OutputForm(Form.AGGREGATE),
            CountLimit(2),
        ),
        (Pay(Basis.CONTRIBUTION),),
    )


def settle(*nodes: Node) -> None:
    for _ in range(20):
        if sum(node.worker.run_due() for node in nodes) == 0:
            return
    raise AssertionError("expected the nodes to come to rest")


def first_offer(consumer: Node, provider: Node) -> dict[str, Any]:
    (dataset,) = consumer.peers.catalog(provider.identity.did)["dataset"]
    offer: dict[str, Any] = dataset["hasPolicy"][0]
    return offer


def negotiated(consumer: Node, provider: Node) -> tuple[str, str]:
    """Negotiate to the end and return both pids."""
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    settle(consumer, provider)
    return pid, str(consumer.contracts.negotiation(pid).peer_pid)


def call(node: Node, sender: Node, method: str, path: str, document: dict[str, Any] | None = None) -> httpx.Response:
    """One signed exchange, without the client's own checks."""
    body = b"" if document is None else canonical(document)
    url = node.identity.address + path
    signed = SignedRequest(method, httpx.URL(url).raw_path.decode(), body)
    headers = {"Authorization": sender.credentials.issue(node.identity.did, signed)}
    return httpx.request(method, url, content=body, headers=headers, trust_env=False)


def message(kind: str, **members: Any) -> dict[str, Any]:
    return {"@context": [CONTEXT], "@type": kind, **members}


def a_use(clock: StepClock, consumer: Node, **changes: Any) -> Use:
    return Use(
        **{
            "recipient": consumer.identity.did,
            "at": clock(),
            "purpose": "road-safety",
            "environment": ROOM,
            "method": "conflicts",
            "output": Form.AGGREGATE,
            **changes,
        }
    )


def test_an_unmodified_offer_is_agreed_signed_and_finalized_in_both_databases(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    mine, other = consumer.contracts.negotiation(ours), provider.contracts.negotiation(theirs)
    assert (mine.state, other.state) == (State.FINALIZED, State.FINALIZED)
    assert (mine.role, other.role) == (Role.CONSUMER, Role.PROVIDER)
    assert other.peer_pid == ours
    (here,), (there,) = consumer.contracts.agreements(), provider.contracts.agreements()
    assert here.document == there.document
    assert here.policy == policy_for(consumer)
    assert (here.provider_signature, here.consumer_signature) == (there.provider_signature, there.consumer_signature)
    assert None not in (here.provider_signature, here.consumer_signature)
    assert consumer.contracts.standing(ours).waits_for is None


def test_every_step_leaves_the_same_kinds_of_evidence_on_both_sides(consumer: Node, provider: Node) -> None:
    negotiated(consumer, provider)
    steps = ["negotiation.requested", "negotiation.agreed", "agreement.signed", "negotiation.verified", "negotiation.finalized"]
    assert consumer.kinds() == ["peer.added", *steps]
    assert sorted(provider.kinds()) == sorted(["peer.added", *steps])
    (ours,) = (entry for entry in consumer.evidence.entries(0, 100) if entry.kind == "agreement.signed")
    (theirs,) = (entry for entry in provider.evidence.entries(0, 100) if entry.kind == "agreement.signed")
    assert ours.body == theirs.body
    assert set(ours.body) == {"agreement", "product", "policy_digest", "provider", "consumer"}


def test_the_catalog_and_its_datasets_have_the_protocols_shape(consumer: Node, provider: Node) -> None:
    catalog = consumer.peers.catalog(provider.identity.did)
    parse(Catalog, catalog)
    dataset = consumer.peers.dataset(provider.identity.did, PRODUCT)
    parse(Dataset, dataset)
    assert {"@context": [CONTEXT], **catalog["dataset"][0]} == dataset
    assert dataset["hasPolicy"][0]["permission"] == to_odrl(policy_for(consumer))["permission"]
    assert dataset["distribution"][0]["accessService"]["endpointURL"] == provider.identity.address


def test_a_party_outside_an_offers_audience_sees_an_empty_catalog(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger", serving=False)
    introduce(provider, stranger)
    assert "dataset" not in stranger.peers.catalog(provider.identity.did)
    with pytest.raises(NotFound):
        stranger.peers.dataset(provider.identity.did, PRODUCT)


def test_a_party_outside_an_offers_audience_is_refused_by_the_rule_recipient(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger")
    introduce(provider, stranger)
    pid = stranger.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    settle(stranger, provider)
    ended = stranger.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "recipient")


def test_a_modified_offer_is_terminated_with_a_reason_that_names_the_rule(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    wider = Policy((*(rule for rule in policy_for(consumer).rules if not isinstance(rule, CountLimit)), CountLimit(1000)))
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer | to_odrl(wider))
    settle(consumer, provider)
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "offer-modified")
    assert "count-limit, pay" in ended.reasons[0]
    assert provider.contracts.negotiation(str(ended.peer_pid)).state is State.TERMINATED
    assert provider.contracts.agreements() == []


def test_an_offer_that_left_the_catalog_is_terminated(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    provider.products.policies.clear()
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer)
    settle(consumer, provider)
    assert consumer.contracts.negotiation(pid).code == "offer-unknown"


def test_unknown_terms_are_refused_by_name_before_anything_is_sent(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    offer["permission"][0]["constraint"].append({"leftOperand": "spatial", "operator": "eq", "rightOperand": "EU"})
    with pytest.raises(Invalid) as caught:
        consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer)
    assert caught.value.code == "policy.unknown-term"
    assert caught.value.facts["term"] == "spatial"
    assert consumer.contracts.negotiations() == []


def test_a_request_for_a_party_that_is_not_listed_is_refused(consumer: Node, provider: Node) -> None:
    with pytest.raises(NotFound):
        consumer.contracts.request("did:key:z6Mknobody", dataset=PRODUCT, offer=first_offer(consumer, provider))


def test_repeated_messages_change_nothing(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    request = message(
        "ContractRequestMessage",
        consumerPid=ours,
        offer=dict(consumer.contracts.negotiation(ours).offer),
        callbackAddress=consumer.identity.address,
    )
    (agreement,) = consumer.contracts.agreements()
    pids = {"consumerPid": ours, "providerPid": theirs}
    agreed = message("ContractAgreementMessage", agreement=dict(agreement.document), **pids) | {SIGNATURE: agreement.provider_signature}
    verified = message("ContractAgreementVerificationMessage", **pids) | {SIGNATURE: agreement.consumer_signature}
    finalized = message("ContractNegotiationEventMessage", eventType="FINALIZED", **pids)
    before = (consumer.kinds(), provider.kinds())
    answers = [
        call(provider, consumer, "POST", "/negotiations/request", request),
        call(consumer, provider, "POST", f"/negotiations/{segment(ours)}/agreement", agreed),
        call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/agreement/verification", verified),
        call(consumer, provider, "POST", f"/negotiations/{segment(ours)}/events", finalized),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
    assert [answer.json()["providerPid"] for answer in answers] == [theirs] * 4
    settle(consumer, provider)
    assert (consumer.kinds(), provider.kinds()) == before
    assert len(provider.contracts.negotiations()) == 1


def test_a_message_that_does_not_follow_from_the_state_gets_a_typed_400(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid=ours, providerPid=theirs, reason=["changed our mind"])
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    assert (answer.status_code, answer.json()["@type"]) == (400, "ContractNegotiationError")
    assert answer.json()["code"] == "negotiation.negotiation-state"
    assert (answer.json()["consumerPid"], answer.json()["providerPid"]) == (ours, theirs)
    assert provider.contracts.negotiation(theirs).state is State.FINALIZED


def test_a_consumer_cannot_speak_for_the_provider(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    event = message("ContractNegotiationEventMessage", eventType="FINALIZED", consumerPid=ours, providerPid=theirs)
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/events", event)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.negotiation-sender")


def test_an_unknown_pid_and_anothers_pid_both_look_unknown(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger", serving=False)
    introduce(provider, stranger)
    ours, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid=ours, providerPid=theirs)
    foreign = call(provider, stranger, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    unknown = call(provider, stranger, "POST", f"/negotiations/{segment('urn:no/such=pid')}/termination", end)
    watched = call(provider, stranger, "GET", f"/negotiations/{segment(theirs)}")
    assert [answer.status_code for answer in (foreign, unknown, watched)] == [404, 404, 404]
    assert foreign.json() == unknown.json()
    assert watched.json()["@type"] == "ContractNegotiationError"


def test_a_message_that_names_another_peer_pid_is_refused(consumer: Node, provider: Node) -> None:
    _, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid="urn:other", providerPid=theirs)
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.pid")


def test_the_state_is_told_to_the_counterparty(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    seen = consumer.peers.get(provider.identity.did, f"/negotiations/{segment(theirs)}")
    assert seen is not None
    parse(ContractNegotiation, seen)
    assert (seen["consumerPid"], seen["providerPid"], seen["state"]) == (ours, theirs, "FINALIZED")


def test_a_second_request_with_a_used_pid_is_refused(consumer: Node, provider: Node) -> None:
    ours, _ = negotiated(consumer, provider)
    other = dict(consumer.contracts.negotiation(ours).offer) | {"target": "urn:other"}
    request = message("ContractRequestMessage", consumerPid=ours, offer=other, callbackAddress=consumer.identity.address)
    answer = call(provider, consumer, "POST", "/negotiations/request", request)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.pid-in-use")


@pytest.mark.parametrize("callback", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://127.0.0.1:1/x", "http://[", "x"])
def test_a_callback_address_that_is_not_the_senders_is_refused(idle: tuple[Node, Node], callback: str) -> None:
    consumer, provider = idle
    offer = first_offer(consumer, provider) | {"target": PRODUCT}
    request = message("ContractRequestMessage", consumerPid="urn:1", offer=offer, callbackAddress=callback)
    answer = call(provider, consumer, "POST", "/negotiations/request", request)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.callback")


def test_an_unreachable_party_is_named_and_the_negotiation_ends_when_patience_does(
    start: Start, consumer: Node, provider: Node, clock: StepClock
) -> None:
    absent = start("absent", serving=False)
    introduce(consumer, absent)
    offer = first_offer(consumer, provider) | {"assigner": absent.identity.did}
    pid = consumer.contracts.request(absent.identity.did, dataset=PRODUCT, offer=offer)
    consumer.worker.run_due()
    standing = consumer.contracts.standing(pid)
    assert standing.waits_for == consumer.identity.get(absent.identity.did).name_en
    assert standing.why is not None
    assert "peer.unreachable" in standing.why.en
    assert standing.negotiation.state is State.REQUESTED
    for _ in range(8):
        clock.now += timedelta(minutes=1)
        consumer.worker.run_due()
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "peer.unreachable")
    assert consumer.contracts.standing(pid).waits_for is None


def test_a_party_that_does_not_know_us_is_asked_again_and_then_given_up(
    start: Start, consumer: Node, provider: Node, clock: StepClock
) -> None:
    shy = start("shy")
    consumer.identity.add(shy.identity.did, name_en="Shy", name_zh="羞", address=shy.identity.address)
    offer = first_offer(consumer, provider) | {"assigner": shy.identity.did}
    pid = consumer.contracts.request(shy.identity.did, dataset=PRODUCT, offer=offer)
    for _ in range(8):
        consumer.worker.run_due()
        clock.now += timedelta(minutes=1)
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "peer.not-found")
    assert "identity.unknown-party" in ended.reasons[0]


def test_a_waiting_negotiation_says_for_whom_and_why(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    standing = consumer.contracts.standing(pid)
    assert standing.waits_for == consumer.identity.get(provider.identity.did).name_en
    assert standing.why is not None
    assert standing.why.en == "to answer our request"


def test_a_negotiation_that_we_end_is_ended_on_the_other_side_with_the_reason(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    consumer.contracts.terminate(pid, reason="the project was cancelled")
    settle(consumer, provider)
    (theirs,) = provider.contracts.negotiations()
    assert (theirs.state, theirs.reasons) == (State.TERMINATED, ("the project was cancelled",))
    assert consumer.contracts.agreements() == provider.contracts.agreements() == []


def test_a_forged_agreement_signature_ends_the_negotiation(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (theirs,) = provider.contracts.negotiations()
    document = {
        "@id": "urn:forged",
        "@type": "Agreement",
        "target": PRODUCT,
        "assigner": provider.identity.did,
        "assignee": consumer.identity.did,
        "timestamp": "2026-11-24T08:00:00Z",
        **to_odrl(policy_for(consumer)),
    }
    agreed = message("ContractAgreementMessage", consumerPid=pid, providerPid=theirs.id, agreement=document) | {SIGNATURE: "AAAA"}
    answer = call(consumer, provider, "POST", f"/negotiations/{segment(pid)}/agreement", agreed)
    assert answer.status_code == 200
    assert consumer.contracts.negotiation(pid).code == "agreement-signature"
    assert consumer.contracts.agreements() == []


def test_an_agreement_with_other_rules_than_asked_for_ends_the_negotiation(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (theirs,) = provider.contracts.negotiations()
    document = {
        "@id": "urn:other",
        "@type": "Agreement",
        "target": PRODUCT,
        "assigner": provider.identity.did,
        "assignee": consumer.identity.did,
        "timestamp": "2026-11-24T08:00:00Z",
        **to_odrl(Policy((Purpose(frozenset({"advertising"})),))),
    }
    agreed = message("ContractAgreementMessage", consumerPid=pid, providerPid=theirs.id, agreement=document)
    call(consumer, provider, "POST", f"/negotiations/{segment(pid)}/agreement", agreed)
    assert consumer.contracts.negotiation(pid).code == "agreement-modified"


def test_an_offer_of_the_provider_waits_for_a_person_and_can_be_accepted(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider) | {"target": PRODUCT}
    proposal = message("ContractOfferMessage", providerPid="urn:theirs", offer=offer, callbackAddress=provider.identity.address)
    answer = call(consumer, provider, "POST", "/negotiations/offers", proposal)
    pid = answer.json()["consumerPid"]
    assert (answer.status_code, answer.json()["state"]) == (201, "OFFERED")
    assert consumer.contracts.standing(pid).waits_for == consumer.identity.did
    assert consumer.contracts.accept(pid).state is State.ACCEPTED


def test_uses_are_allowed_within_the_agreement_and_counted(consumer: Node, provider: Node, clock: StepClock) -> None:
    negotiated(consumer, provider)
    (agreement,) = provider.contracts.agreements()
    use = a_use(clock, consumer)
    for count in (1, 2):
        with provider.database.write() as tx:
            assert provider.contracts.permit_use(tx, agreement.id, use) == agreement
            assert provider.contracts.record_use(tx, agreement.id, use) == count
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, agreement.id, use)
    assert isinstance(refused, Refused)
    assert refused.rule == "count-limit"


def test_a_use_outside_the_agreement_is_refused_by_the_first_rule_against_it(consumer: Node, provider: Node, clock: StepClock) -> None:
    negotiated(consumer, provider)
    (agreement,) = provider.contracts.agreements()
    use = a_use(clock, consumer, purpose="advertising", method="dump")
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, agreement.id, use)
    assert isinstance(refused, Refused)
    assert refused.rule == "purpose"


def test_an_agreement_that_is_not_concluded_allows_nothing(consumer: Node, provider: Node, clock: StepClock) -> None:
    consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (negotiation,) = provider.contracts.negotiations()
    assert negotiation.state is State.AGREED
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, str(negotiation.agreement_id), a_use(clock, consumer))
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-not-in-force"


def test_the_client_calls_nobody_outside_the_partys_address(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    with pytest.raises(Denied) as caught:
        consumer.peers.post(provider.identity.did, "http://127.0.0.1:1/x", {})
    assert caught.value.code == "peer.address"


def test_the_client_names_the_peers_reason(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    with pytest.raises(Invalid) as caught:
        consumer.peers.post(provider.identity.did, "/catalog/request", {"@type": "CatalogRequestMessage"})
    assert caught.value.facts == {"status": 400, "peer_code": "message.invalid"}
    assert "@context" in caught.value.message


def test_a_message_for_a_pid_the_peer_has_not_stored_yet_is_worth_another_try(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    end = message("ContractNegotiationTerminationMessage", consumerPid="urn:1", providerPid="urn:2")
    with pytest.raises(Unavailable):
        consumer.peers.post(provider.identity.did, "/negotiations/urn%3A2/termination", end)


def test_the_version_document_needs_no_credential(idle: tuple[Node, Node]) -> None:
    _, provider = idle
    root = provider.identity.address.removesuffix("/2025-1")
    answer = httpx.get(f"{root}/.well-known/dspace-version", trust_env=False)
    assert answer.json() == {"protocolVersions": [{"version": "2025-1", "path": "/2025-1", "binding": "HTTPS"}]}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/catalog/request", "CatalogError"),
        ("GET", "/catalog/datasets/x", "CatalogError"),
        ("GET", "/negotiations/urn%3A1", "ContractNegotiationError"),
        ("POST", "/negotiations/request", "ContractNegotiationError"),
        ("POST", "/negotiations/a/b/c", "ContractNegotiationError"),
        ("DELETE", "/negotiations/request", "ContractNegotiationError"),
        ("POST", "/transfers/x/start", "TransferError"),
        ("PUT", "/elsewhere", "CatalogError"),
    ],
)
def test_a_request_without_a_credential_or_a_path_gets_a_typed_404(idle: tuple[Node, Node], method: str, path: str, kind: str) -> None:
    _, provider = idle
    answer = httpx.request(method, provider.identity.address + path, content=b"{}" if method == "POST" else None, trust_env=False)
    assert (answer.status_code, answer.json()["@type"]) == (404, kind)
    assert answer.json()["@context"] == [CONTEXT]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "message.not-json"),
        (b"{", "message.not-json"),
        (b"[]", "message.not-object"),
        (b"\xff\xfe", "message.not-json"),
        (b'{"a": NaN}', "canonical.not-json"),
        (b'{"a": 1, "a": 2}', "message.not-json"),
        (b'{"a": "\\ud800"}', "canonical.not-json"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "message.too-deep"),
        (b"[" * 100_000, "message.not-json"),
        (b"1" * 10_000, "message.not-json"),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "message.too-large"),
        (b'{"@type": "ContractRequestMessage"}', "message.invalid"),
    ],
    ids=str,
)
def test_broken_and_hostile_bodies_get_a_typed_400(idle: tuple[Node, Node], body: bytes, code: str) -> None:
    consumer, provider = idle
    path = "/2025-1/negotiations/request"
    headers = {"Authorization": consumer.credentials.issue(provider.identity.did, SignedRequest("POST", path, body))}
    answer = httpx.post(f"{provider.identity.address}/negotiations/request", content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["@type"], answer.json()["code"]) == (400, "ContractNegotiationError", code)


def test_a_filter_is_refused_rather_than_ignored(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    answer = call(provider, consumer, "POST", "/catalog/request", message("CatalogRequestMessage", filter=["title"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "catalog.filter")


def test_a_replayed_request_gets_a_typed_404(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    path = "/2025-1/negotiations/urn%3A1"
    headers = {"Authorization": consumer.credentials.issue(provider.identity.did, SignedRequest("GET", path))}
    url = f"{provider.identity.address}/negotiations/urn%3A1"
    codes = [httpx.get(url, headers=headers, trust_env=False).json()["code"] for _ in range(2)]
    assert codes == ["negotiation.unknown", "identity.token-replayed"]
