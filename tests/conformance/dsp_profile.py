"""The node that the kit tests: an ordinary one that decides by hand, with the kit on its trust list, and somebody who sits at it.

What the kit wants beside the protocol, two addresses at which it asks the node to begin something, stands on top of the node's own
application here, and nowhere in the node.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from tests.conformance.dsp_scripts import AS_CONSUMER, AS_PROVIDER, PROVIDES, RECEIVES, Operator
from tests.conformance.dsp_seed import Counterparty

from chengshu import config
from chengshu.api.app import create_app
from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import Acceptance
from chengshu.catalog.odcs import document_of
from chengshu.cli import verbs
from chengshu.identity.keys.shared import Shared
from chengshu.identity.model import Scheme
from chengshu.kernel.refusal import Refused
from chengshu.node import Node, open_node
from chengshu.policy.model import Form, OutputForm, Policy
from chengshu.policy.odrl import to_odrl
from chengshu.transfer.process.model import Wanted

KIT = "TCK_PARTICIPANT"
SECRET = "only-between-the-kit-and-this-node"
LOOK_S = 0.05
WAIT_S = 20
USE = {"@type": "Offer", "permission": [{"action": "use"}]}
ROWS = {"@type": "Offer", **to_odrl(Policy((OutputForm(Form.ROWS),)))}
FORMAT = "HttpData-PULL"
DATASETS = ["CAT0101", "CAT0102", *AS_PROVIDER]


class Profile:
    """A served node, made anew in ``folder``, and the settings with which the kit finds it; the kit listens at ``kit_port``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._stopping = threading.Event()
        self.troubles: list[BaseException] = []
        self.kit_port = _free_port()

    def __enter__(self) -> Self:
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._port = int(listener.getsockname()[1])
        self.node = self._made()
        self._publish()
        self._serve(listener)
        self._in_thread(self._sit)
        self._agreements = self._concluded()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._stack.close()
        self.node.peers.close()
        self.node.database.engine.dispose()

    def settings(self) -> dict[str, str]:
        """Return the properties that the kit is started with."""
        here, kit = f"http://127.0.0.1:{self._port}", f"http://127.0.0.1:{self.kit_port}"
        fixed = {
            "dataspacetck.dsp.local.connector": "false",
            "dataspacetck.host": "127.0.0.1",
            "dataspacetck.port": str(self.kit_port),
            "dataspacetck.callback.address": kit,
            "dataspacetck.ansi": "false",
            "dataspacetck.debug": "true",
            "dataspacetck.dsp.default.wait": str(WAIT_S),
            "dataspacetck.dsp.connector.agent.id": self.node.identity.did,
            "dataspacetck.dsp.connector.http.url": self.node.identity.address,
            "dataspacetck.dsp.connector.http.base.url": here,
            "dataspacetck.dsp.connector.http.headers.authorization": f"Bearer {SECRET}",
            "dataspacetck.dsp.connector.negotiation.initiate.url": f"{here}/kit/negotiations",
            "dataspacetck.dsp.connector.transfer.initiate.url": f"{here}/kit/transfers",
        }
        named = {f"{_test(name)}_DATASETID": name for name in (*DATASETS, *AS_CONSUMER)}
        offers = {f"{_test(name)}_OFFERID": self._offer(name)["@id"] for name in DATASETS}
        agreements = {f"{_test(product)}_AGREEMENTID": agreement for product, agreement in self._agreements.items()}
        return fixed | named | offers | agreements | {f"{_test(product)}_FORMAT": FORMAT for product in self._agreements}

    def given_up(self) -> list[str]:
        """Return why messages of the node could not be delivered, where any could not."""
        with self.node.database.read() as tx:
            return [str(task.last_error) for task in self.node.tasks.failed(tx)]

    def _made(self) -> Node:
        folder = self._folder / "node"
        verbs.init(folder, verbs.Birth("kit_node", "Node under test", "受测节点", port=self._port))
        chosen = config.load(folder)
        config.write(folder, chosen.model_copy(update={"contract": config.ContractSection(decide="by-hand")}))
        node = open_node(folder)
        card = {"id": KIT, "name_en": "Conformance kit", "name_zh": "符合性测试工具", "address": f"http://127.0.0.1:{self.kit_port}"}
        verbs.add_peer(node, card, scheme=Scheme.STATIC, shared=Shared(SECRET, SECRET))
        return node

    def _publish(self) -> None:
        file = self._folder / "rows.parquet"
        pq.write_table(pa.table({"n": [1, 2, 3]}), file)
        document = document_of(infer_contract(file, owner="kit_node"))
        for name, policy in [*((name, USE) for name in DATASETS), *((name, ROWS) for name in PROVIDES)]:
            outcome = self.node.catalog.publish({**document, "id": name}, source=file, policy=policy, acceptance=Acceptance.CLEAN)
            assert not isinstance(outcome, Refused), outcome

    def _concluded(self) -> dict[str, str]:
        other = Counterparty(
            name=KIT, secret=SECRET, node_id=self.node.identity.did, node_address=self.node.identity.address, port=self.kit_port
        )
        asks = {product: self._offer(product) for product in PROVIDES}

        def begin() -> None:
            for product in RECEIVES:
                self.node.contracts.request(KIT, dataset=product, offer={"@id": f"urn:kit:offer:{product}", **ROWS})

        return other.conclude(asks=asks, asked=list(RECEIVES), begin=begin)

    def _offer(self, dataset: str) -> dict[str, Any]:
        with self.node.database.read() as tx:
            (offer,) = self.node.contracts.offers_for(tx, dataset, audience=KIT)
        return dict(offer.document)

    def _serve(self, listener: socket.socket) -> None:
        app = create_app(self.node)
        app.post("/kit/negotiations")(self._begin_negotiation)
        app.post("/kit/transfers")(self._begin_transfer)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=10)

        thread.start()
        self._stack.callback(stop)

    def _begin_negotiation(self, asked: dict[str, Any]) -> dict[str, str]:
        offer = {"@id": asked["offerId"], **USE}
        return {"consumerPid": self.node.contracts.request(KIT, dataset=asked["datasetId"], offer=offer)}

    def _begin_transfer(self, asked: dict[str, Any]) -> dict[str, str]:
        return {"consumerPid": self.node.moving.processes.request(Wanted(asked["agreementId"], asked["format"]))}

    def _sit(self) -> None:
        operator = Operator(self.node)
        while not self._stopping.wait(LOOK_S):
            operator.look()

    def _in_thread(self, work: Callable[[], None]) -> None:
        def kept() -> None:
            try:
                work()
            except BaseException as error:
                self.troubles.append(error)
                raise

        thread = threading.Thread(target=kept, daemon=True)
        thread.start()
        self._stack.callback(lambda: thread.join(timeout=10))


def _test(name: str) -> str:
    """The kit's name of the test that a dataset or agreement is for: ``ACN0101`` is for ``CN_01_01``."""
    letters = name.rstrip("0123456789")
    area = {"ACN": "CN", "ACNC": "CN_C", "CAT": "CAT", "ATP": "TP", "ATPC": "TP_C"}[letters]
    return f"{area}_{name[-4:-2]}_{name[-2:]}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
