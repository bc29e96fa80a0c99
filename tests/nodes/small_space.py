"""A road operator, a fleet, a firm that asks, and a clean room: the smallest space in which a job has all of its sides."""

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu import config
from chengshu.catalog.model import Column, DataContract, LogicalType, Product, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import Job, Question, SqlQuestion
from chengshu.cleanroom.nodes.http import HttpNodes
from chengshu.cli import answering, publishing, verbs
from chengshu.identity.keys.file import FileKeys
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.ids import new_id
from chengshu.kernel.money import Fen
from chengshu.kernel.text import Text
from chengshu.node import KEYS, Node, open_node
from chengshu.testing import Space
from chengshu.transfer.sealed.arrival import Arrival

WAIT_S = 120.0
PURPOSE = "traffic-study"
SECRET = 7331.25
BY_ROAD = "SELECT road, COUNT(DISTINCT vehicle) AS vehicles, AVG(speed) AS speed FROM road.counts GROUP BY road ORDER BY road"
_WIRES: dict[Path, HttpNodes] = {}
RAW = "SELECT vehicle, speed FROM road.counts"


@dataclass(frozen=True)
class Town:
    """A served space with products under agreement."""

    space: Space
    road: Node
    fleet: Node
    firm: Node
    room: Node
    agreements: dict[str, str]

    def choice(self, product: str = "counts", *, agreement: str | None = None) -> InputChoice:
        """A product of the road operator under the firm's agreement on it."""
        holder = self.fleet if product == "trips" else self.road
        return InputChoice(holder.identity.did, product, self.agreements[product] if agreement is None else agreement)


@contextmanager
def raised_town(folder: Path) -> Iterator[Town]:
    """Serve the town below ``folder`` for the time of the context, every product under agreement with the firm."""
    with Space(folder) as space:
        road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
        room = space.add("room", clean_room=True)
        terms = publishing.Terms(room.identity.did, [PURPOSE])
        publish(road, "counts", policy=publishing.offer_of(terms))
        publish(road, "other", policy=publishing.offer_of(terms))
        publish(road, "twice", policy=publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE], uses=2)))
        publish(fleet, "trips", policy=publishing.offer_of(terms), table=counts(vehicles=range(30, 60)))
        agreements = {name: agree(firm, road, name) for name in ("counts", "other", "twice")}
        agreements["trips"] = agree(firm, fleet, "trips")
        yield Town(space, road, fleet, firm, room, agreements)
    hang_up(*space.nodes.values())


def counts(*, vehicles: range = range(40)) -> pa.Table:
    """Five sightings of each vehicle; even ones drive on the ring, odd ones through the gate, and one speed is nobody else's business."""
    rows = [
        {"road": "gate" if one % 2 else "ring", "vehicle": f"v{one:03d}", "speed": SECRET if (one, k) == (7, 0) else 10.0 + one % 2 + k}
        for one in vehicles
        for k in range(5)
    ]
    return pa.Table.from_pylist(rows)


def contract_for(name: str, *, owner: str, version: str = "1.0.0") -> DataContract:
    """The data contract of one product with the columns of :func:`counts`."""
    return DataContract(
        id=name,
        version=version,
        table=name,
        name=Text(f"Sightings {name}", f"观测 {name}"),
        owner=owner,
        description="vehicles seen on roads",
        columns=(
            Column("road", LogicalType.STRING, "string", required=True, role=Role.GROUP),
            Column("vehicle", LogicalType.STRING, "string", required=True, role=Role.KEY),
            Column("speed", LogicalType.NUMBER, "float64", role=Role.MEASURE, aggregates=("count", "sum", "avg")),
        ),
        privacy_unit="vehicle",
        minimum_group=5,
    )


def publish(node: Node, name: str, *, policy: dict[str, Any], table: pa.Table | None = None, version: str = "1.0.0") -> Product:
    """Publish :func:`counts` (or another table of its columns) as a product of ``node``."""
    file = node.folder / "files" / f"{name}.parquet"
    file.parent.mkdir(exist_ok=True)
    pq.write_table(counts() if table is None else table, file)
    document = document_of(contract_for(name, owner=node.settings.node.handle, version=version))
    product = node.catalog.publish(document, source=file, policy=policy)
    assert isinstance(product, Product)
    return product


def agree(asker: Node, holder: Node, product: str) -> str:
    """Negotiate the offered contract over the wire and return the agreement's id once it is in force on both sides."""
    negotiation = verbs.request(asker, holder.identity.did, product)
    (outcome,) = verbs.await_agreements(asker, [negotiation], timeout_s=WAIT_S)
    assert outcome["state"] == "FINALIZED"
    return str(outcome["agreement"])


def ask(
    asker: Node,
    room: Node,
    inputs: Sequence[InputChoice],
    *,
    question: Question | None = None,
    purpose: str = PURPOSE,
    price: Fen | None = None,
) -> Standing:
    """Ask and follow to the end."""
    question = question or SqlQuestion(BY_ROAD)
    return verbs.ask(asker, question, room=room.identity.did, purpose=purpose, inputs=inputs, timeout_s=WAIT_S, price=price)


def signed_job(
    asker: Node, room: Node, inputs: Sequence[InputChoice], *, question: Question | None = None, purpose: str = PURPOSE
) -> tuple[dict[str, Any], str]:
    """A job as its asker signs it, for a messenger that does with it what it should not."""
    parts = tuple(asker.asker.part(one) for one in inputs)
    document = Job(new_id(), asker.identity.did, room.identity.did, purpose, question or SqlQuestion(BY_ROAD), parts).as_document()
    return document, sign(asker, document)


def receipt_for(document: dict[str, Any], *, state: str = "RELEASED") -> dict[str, Any]:
    """What an honest room says of the end of a job, unsigned."""
    inputs = [{name: one[name] for name in ("provider", "product", "agreement")} for one in document["inputs"]]
    about = {name: document[name] for name in ("consumer", "room")}
    made_up = {"outcome_digest": "sha256:" + "1" * 64, "at": "2026-01-01T00:00:00.000Z"}
    return {"job": document["id"], "job_digest": Digests(INTERNATIONAL).of(document), **about, "inputs": inputs, "state": state, **made_up}


def sign(node: Node, document: dict[str, Any]) -> str:
    """The node's own signature over a document."""
    return base64.b64encode(FileKeys(node.folder / KEYS).load().sign(canonical(document))).decode()


def wire(node: Node) -> HttpNodes:
    """What ``node`` can say to others, in its own name, about anything it likes."""
    if node.folder not in _WIRES:
        _WIRES[node.folder] = HttpNodes(node.identity, credentials=node.credentials)
    return _WIRES[node.folder]


def arriving(folder: Path) -> Arrival:
    """Where a product may arrive below a folder, encrypted to a key of its own."""
    return Arrival(folder, key=ExchangeKey(INTERNATIONAL), digests=Digests(INTERNATIONAL), limit_bytes=1 << 26)


def pull(node: Node, holder: Node, token: str, into: Path, *, job: str = "a job", product: str = "counts") -> None:
    """Pull what ``token`` grants as ``node``, and write the table that came into a file; no file is left where none did."""
    arrival = arriving(into.parent)
    try:
        wire(node).pull(holder.identity.did, token, arrival, job=job, product=product)
        into.write_bytes(arrival.path.read_bytes())
    finally:
        arrival.close()


def asked_for(token: str, **more: Any) -> dict[str, Any]:
    """The message that asks for the data of a grant, encrypted to some key."""
    return {"token": token, "key": base64.b64encode(ExchangeKey(INTERNATIONAL).public).decode(), **more}


def hang_up(*nodes: Node) -> None:
    """Close every line that :func:`wire` opened, and those of ``nodes``: a socket that is only forgotten warns when it is collected."""
    while _WIRES:
        _WIRES.popitem()[1].close()
    for node in nodes:
        node.peers.close()
        node.nodes.close()


def kinds(node: Node, subject: str | None = None) -> list[str]:
    """The kinds of the entries in a node's log, in order; those about one subject where it is given."""
    return [one.kind for one in node.evidence.entries(0, node.evidence.size()) if subject in {None, one.subject}]


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread or process is doing."""
    last = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < last, "expected it to come about while waiting"
        time.sleep(0.05)


def hasty_room(space: Space, folder: Path, *, input_wait_s: float) -> Node:
    """A clean room that gives a silent holder less time than usual, as its operator may choose in chengshu.toml."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    verbs.init(folder, verbs.Birth("hasty", "Hasty room", "急净室", port=listener.getsockname()[1], clean_room=True))
    settings = config.load(folder)
    config.write(folder, settings.model_copy(update={"cleanroom": settings.cleanroom.model_copy(update={"input_wait_s": input_wait_s})}))
    node = open_node(folder)
    for other in space.nodes.values():
        verbs.add_peer(other, verbs.describe(node))
        verbs.add_peer(node, verbs.describe(other))
    space.nodes["hasty"] = node
    space._serve(node, listener)
    return node


def born(folder: Path, handle: str, *, database: str | None = None) -> Node:
    """A node that knows nobody yet and is not served, at a port that is free; kept by ``database`` instead of the run's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    verbs.init(folder, verbs.Birth(handle, handle.title(), f"{handle} 节点", port=free, database=database))
    return open_node(folder)


def served(node: Node, stack: ExitStack, *options: str) -> "subprocess.Popen[bytes]":
    """Serve a node in a process of its own, and return it once it answers; it is killed when the stack ends."""
    command = [sys.executable, "-m", "chengshu", "serve", "--node", str(node.folder), "--while-input-open", *options]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    stack.callback(process.kill)
    limit = time.monotonic() + 300.0  # it has much to import; how long that takes on a busy machine says nothing
    while (answering.health(node.settings.serve.address) or {}).get("node") != node.identity.did:
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.1)
    return process
