"""Nodes in one process that negotiate: each with its own database, key, log and real socket on loopback."""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from published_schemas import watch
from sqlalchemy import Connection

from chengshu.catalog.listing import OWN, Asked, Federated, Judge, Listed, Page, Shown
from chengshu.contract.agreements import TELL, Agreements
from chengshu.contract.decision import Decide
from chengshu.contract.outbox import Outbox
from chengshu.contract.service import Contracts
from chengshu.contract.steps import SEND_LAST
from chengshu.dsp.client import DspPeers
from chengshu.dsp.couriers import DspCourier
from chengshu.dsp.heralds import DspHeralds
from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.dsp.routes.door import Door
from chengshu.dsp.routes.protocol import router, unknown_paths
from chengshu.dsp.service import DspCatalog
from chengshu.dsp.translate.pages import PageTokens
from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.keys.file import FileKeys
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.ids import NewId, new_id
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.worker import Worker
from chengshu.policy.model import Basis, CountLimit, Environment, Form, Methods, OutputForm, Pay, Policy, Purpose, Recipient, Use
from databases import database_at

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

    def page(self, tx: Connection, asked: Asked, *, audience: str, judge: Judge) -> Page:
        listed = [self._listed(name) for name in self.ids(tx)]
        shown = [Shown(one, tuple(judge(one, audience))) for one in listed]
        assert len(shown) <= asked.limit  # one page is all there is
        return Page(tuple(one for one in shown if one.offers))

    def entry(self, _tx: Connection, dataset: str, *, audience: str) -> Listed | None:
        return self._listed(dataset) if audience and dataset in self.policies else None

    def federated(self, _tx: Connection) -> list[Federated]:
        return []

    def _listed(self, name: str) -> Listed:
        return Listed(OWN, name, {"@id": name, "title": "Trajectories"}, (self.policies[name],))


@dataclass(frozen=True, slots=True)
class Node:
    """What one participant runs."""

    database: Database
    identity: Identity
    credentials: TokenCredentials
    contracts: Contracts
    agreements: Agreements
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


Start = Callable[..., Node]


def starter(folder: Path, clock: StepClock, stack: ExitStack) -> Start:
    def start(name: str, *, serving: bool = True, **choices: Any) -> Node:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/2025-1"
        node = make_node(folder / name, clock, address, **choices)
        stack.callback(node.peers.close)
        stack.callback(node.database.engine.dispose)
        if serving:
            serve(node, listener, stack)
        else:
            listener.close()
        return node

    return start


def make_node(folder: Path, clock: StepClock, address: str, *, decide: Decide = Decide.AUTOMATIC, new_id: NewId = new_id) -> Node:
    signer = FileKeys(folder / "keys").create(INTERNATIONAL)
    database = database_at(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    evidence = Evidence(database, signer, "node.example/log", folder / "log", clock)
    identity = Identity(database, signer=signer, address=address, evidence=evidence, clock=clock)
    products, digests = Products(), Digests(INTERNATIONAL)
    tasks = Tasks(clock)
    contracts = Contracts(
        database,
        tasks=tasks,
        identity=identity,
        evidence=evidence,
        datasets=products,
        digests=digests,
        clock=clock,
        new_id=new_id,
        decide=decide,
    )
    credentials = TokenCredentials(identity, digests=digests, clock=clock, new_id=new_id)
    peers = DspPeers(identity, credentials=credentials, timeout_s=5)
    watch(peers._client)
    outbox = Outbox(contracts=contracts, courier=DspCourier(peers))
    agreements = Agreements(
        database,
        tasks=tasks,
        identity=identity,
        evidence=evidence,
        contracts=contracts,
        heralds=DspHeralds(peers),
        digests=digests,
        clock=clock,
    )
    worker = Worker(
        database,
        clock=clock,
        handlers=outbox.handlers() | agreements.handlers(),
        on_failed=outbox.on_failed() | agreements.on_failed(),
        given_up=lambda _tx, _task, _error: None,
        patient={TELL, SEND_LAST},
    )
    return Node(database, identity, credentials, contracts, agreements, evidence, products, peers, worker, tasks)


def serve(node: Node, listener: socket.socket, stack: ExitStack) -> None:
    app = FastAPI(openapi_url=None)
    tokens = PageTokens(INTERNATIONAL, INTERNATIONAL.new_data_key())
    catalog = DspCatalog(node.database, identity=node.identity, contracts=node.contracts, source=node.products, tokens=tokens)
    app.include_router(
        router(contracts=node.contracts, agreements=node.agreements, catalog=catalog, door=Door(node.credentials, node.database.together))
    )
    app.include_router(unknown_paths())
    serve_app(app, listener, stack)


def serve_app(app: FastAPI, listener: socket.socket, stack: ExitStack) -> None:
    """Serve any application until the stack is closed."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    thread.start()
    stack.callback(stop)


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
    return exchange(method, url, body, headers)


def exchange(method: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """One request over plain http; certificates are not loaded for it, which takes longer than the request."""
    return httpx.request(method, url, content=body, headers=headers, trust_env=False, verify=False)  # noqa: S501  # as above


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
