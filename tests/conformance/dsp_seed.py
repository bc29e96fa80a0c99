"""The agreements that the kit's transfer tests begin with: concluded over the wire, step by step, before the kit starts.

What listens here in the kit's place, under its name and at its address, does what a counterparty has to and no more.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import quote

import httpx

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
WAIT_S = 60
Document = dict[str, Any]
Arrived = tuple[str, Document]


class Counterparty:
    """Negotiates with a node under one name: asks for agreements, and gives those that it is asked for."""

    def __init__(self, *, name: str, secret: str, node_id: str, node_address: str, port: int) -> None:
        self._name = name
        self._node_id = node_id
        self._node_address = node_address
        self._callback = f"http://127.0.0.1:{port}"
        self._arrived: Queue[Arrived] = Queue()
        self._client = httpx.Client(headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        self._port = port
        self.agreements: dict[str, str] = {}
        self._reacts: Mapping[str, Callable[[Document], object]] = {
            "ContractRequestMessage": self._give,
            "ContractAgreementMessage": self._verify,
            "ContractAgreementVerificationMessage": self._finalize,
            "ContractNegotiationEventMessage": lambda _message: self._done.append("finalized by the node"),
        }
        self._done: list[str] = []

    def conclude(self, *, asks: Mapping[str, Document], asked: Sequence[str], begin: Callable[[], object]) -> dict[str, str]:
        """Ask for ``asks`` (offers by product), be asked for ``asked`` once ``begin`` ran; return every agreement's id by product."""
        with self._listening(), self._client:
            for product, offer in asks.items():
                self._post("/negotiations/request", self._request(product, offer))
            begin()
            while len(self._done) < len(asks) + len(asked):
                kind, message = self._arrived.get(timeout=WAIT_S)
                self._reacts[kind](message)
        assert set(self.agreements) == {*asks, *asked}
        return self.agreements

    def _request(self, product: str, offer: Document) -> Document:
        asked = {"consumerPid": f"urn:kit:{product}", "offer": {**offer, "target": product}, "callbackAddress": self._callback}
        return {"@context": CONTEXT, "@type": "ContractRequestMessage", **asked}

    def _give(self, message: Document) -> None:
        offer = message["offer"]
        product = offer["target"]
        parties = {"assigner": self._name, "assignee": self._node_id, "timestamp": "2026-01-01T00:00:00Z"}
        name = f"urn:kit:agreement:{product}"
        agreement = {"@id": name, "@type": "Agreement", "target": product, **parties, "permission": offer["permission"]}
        self.agreements[product] = name
        self._answer(message, "agreement", {"@type": "ContractAgreementMessage", "agreement": agreement}, provider=_pid_for(message))

    def _verify(self, message: Document) -> None:
        self.agreements[message["agreement"]["target"]] = message["agreement"]["@id"]
        self._answer(message, "agreement/verification", {"@type": "ContractAgreementVerificationMessage"})

    def _finalize(self, message: Document) -> None:
        self._answer(message, "events", {"@type": "ContractNegotiationEventMessage", "eventType": "FINALIZED"})
        self._done.append("finalized here")

    def _answer(self, to: Document, path: str, message: Document, *, provider: str | None = None) -> None:
        pids = {"consumerPid": to["consumerPid"], "providerPid": provider or to["providerPid"]}
        theirs = next(pid for pid in pids.values() if not pid.startswith("urn:kit:"))
        self._post(f"/negotiations/{quote(theirs, safe='')}/{path}", {"@context": CONTEXT, **message, **pids})

    def _post(self, path: str, message: Document) -> None:
        self._client.post(self._node_address + path, content=json.dumps(message)).raise_for_status()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        arrived = self._arrived

        class Way(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name that the server calls
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = _opened(message) if message["@type"] == "ContractRequestMessage" else b""
                self.send_response(201 if answer else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                arrived.put((message["@type"], message))

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", self._port), Way) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


def _pid_for(request: Document) -> str:
    return f"urn:kit:{request['offer']['target']}"


def _opened(request: Document) -> bytes:
    pids = {"consumerPid": request["consumerPid"], "providerPid": _pid_for(request), "state": "REQUESTED"}
    return json.dumps({"@context": CONTEXT, "@type": "ContractNegotiation", **pids}).encode()
