"""Nodes whose data planes a control plane drives, and the provider of a pull by the HTTP profile, each on a real socket of loopback."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
from negotiators import StepClock

from chengshu import testing
from chengshu.cli import verbs
from chengshu.kernel.secret_files import put_secret
from chengshu.node import KEYS, Node, open_node
from chengshu.transfer.flow.renewable import HTTP_PULL
from chengshu.transfer.signaling.registry import FILE_NAME, ControlPlane

SECRET = "secret-of-the-kit-1"
PROVIDER = "did:web:provider.example"
"""The participant as whom a provider acts."""

_NUMBERS = count()
Json = dict[str, Any]


@contextmanager
def driven_node(folder: Path, handle: str, *, clock: StepClock, plane: str) -> Iterator[Node]:
    """A served node with a registered control plane at ``plane``, on a clock that the test moves."""
    listener = socket.create_server(("127.0.0.1", 0))
    node = driven(folder, handle, clock=clock, plane=plane, port=int(listener.getsockname()[1]))
    running = testing._served(node, listener)
    try:
        yield node
    finally:
        testing._stop(*running)
        node.moving.close()


def driven(folder: Path, handle: str, *, clock: StepClock, plane: str, port: int = 9) -> Node:
    """The same, and nothing of it runs by itself."""
    verbs.init(folder / handle, verbs.Birth(handle, handle.capitalize(), f"{handle}（测试）", port=port))
    put_secret(folder / handle / KEYS / FILE_NAME, json.dumps([{"name": "kit", "url": plane, "accepts": SECRET}]).encode())
    return open_node(folder / handle, clock=clock)


def registered(node: Node) -> ControlPlane:
    return node.moving.signaling.planes.get("kit")


def say(node: Node, path: str, body: Json | None = None) -> httpx.Response:
    """One message of the control plane, or the question how a flow stands."""
    url, headers = f"{node.settings.serve.address}/signaling/dataflows/{path}", {"Authorization": SECRET}
    if path.endswith("/status"):
        return httpx.get(url, headers=headers, trust_env=False)
    return httpx.post(url, json={"messageId": "m"} if body is None else body, headers=headers, trust_env=False)


def order(us: str, them: str, **changes: Any) -> Json:
    """The first message of a pull by the HTTP profile, on behalf of ``us``."""
    return {
        "messageId": "m",
        "participantId": us,
        "counterPartyId": them,
        "dataspaceContext": "space",
        "processId": f"process-{next(_NUMBERS)}",
        "agreementId": "urn:agreement",
        "datasetId": "rows",
        "profile": HTTP_PULL,
        "claims": {},
        **changes,
    }


def properties(address: Json) -> dict[str, str]:
    return {one["name"]: one["value"] for one in address["endpointProperties"]}


def address_of(endpoint: str, **named: str) -> Json:
    """The address of a pull by the HTTP profile."""
    listed = [{"name": name, "value": value} for name, value in named.items()]
    return {"@type": "DataAddress", "endpointType": HTTP_PULL, "endpoint": endpoint, "endpointProperties": listed}


@dataclass
class Listening:
    """A control plane that only takes callbacks, or a provider that answers as a test has it."""

    url: str = ""
    told: list[tuple[str, Json]] = field(default_factory=list)
    product: bytes = b"road,vehicle\n" * 4096
    access: str = "first"
    refresh: str = "refresh-first"
    answer: Callable[[], tuple[int, bytes]] | None = None
    cut: Callable[[], None] | None = None
    asked: list[tuple[str, Json]] = field(default_factory=list)
    pulled: list[str | None] = field(default_factory=list)

    def address(self, **changes: str) -> Json:
        named = {"authorization": self.access, "authType": "bearer", "refreshToken": self.refresh, "expiresIn": "300"}
        return address_of(f"{self.url}/data", **{**named, "refreshEndpoint": f"{self.url}/token", **changes})

    def renewed(self) -> tuple[int, bytes]:
        """The answer of a provider that renews: another access token and another refresh token each time."""
        number = len(self.asked)
        self.access, self.refresh = f"access-{number}", f"refresh-{number}"
        given = {"access_token": self.access, "token_type": "bearer", "expires_in": 300, "refresh_token": self.refresh}
        return 200, json.dumps(given).encode()


class _Answering(BaseHTTPRequestHandler):
    place: Listening

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/token"):
            self.place.told.append((self.path, json.loads(body)))
            return self._send(200, b"")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.place.asked.append((str(self.headers["Authorization"]), form))
        if form["refresh_token"] != self.place.refresh:
            return self._send(400, b'{"error": "invalid_grant"}')
        return self._send(*(self.place.answer or self.place.renewed)())

    def do_GET(self) -> None:
        self.place.pulled.append(self.headers["Authorization"])
        if self.headers["Authorization"] != f"Bearer {self.place.access}":
            return self._send(401, b"")
        cut, self.place.cut = self.place.cut, None
        if cut is None:
            return self._send(200, self.place.product)
        self._send(200, self.place.product, sent=len(self.place.product) // 2)
        return cut()

    def _send(self, status: int, content: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server gives it
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Listening]:
    """Serve one on loopback."""
    place = Listening()
    handler = type("Answering", (_Answering,), {"place": place})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        place.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()
