"""Several real nodes in one process: own keys, own databases, real sockets on loopback. For our tests and for plugin authors."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from chengshu import config
from chengshu.api.app import KEEP_ALIVE_S, create_app
from chengshu.cli import verbs
from chengshu.config import Cryptography
from chengshu.node import Node, PlugCredentials, open_node, own_credentials

START_S = 20.0
Before = Callable[[ASGIApp], ASGIApp]
"""What stands before a node's application: it may alter what the node is told and what it answers."""


def nothing(app: ASGIApp) -> ASGIApp:
    """Stand before nothing: the node is honest."""
    return app


class Space:
    """A small data space: nodes that know one another, each served from a thread of this process."""

    def __init__(self, folder: Path, *, cryptography: Cryptography = "international") -> None:
        self._folder = folder
        self._cryptography = cryptography
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, handle: str, *, clean_room: bool = False, witness: bool = False, plug: PlugCredentials = own_credentials) -> Node:
        """Create a node, serve it, and make it known to every node that is there already, and they to it.

        With ``witness`` it cosigns the others' checkpoints; ``plug`` puts other credentials in the place of its own.
        """
        listener = _listener(0)
        folder = self._folder / handle
        title = handle.replace("_", " ").capitalize()
        port = listener.getsockname()[1]
        birth = verbs.Birth(handle, title, f"{title}（测试）", port=port, clean_room=clean_room, cryptography=self._cryptography)
        verbs.init(folder, birth)
        if witness:
            config.enable_witness(folder)
        node = open_node(folder, plug=plug)
        card = verbs.describe(node)
        for other in self.nodes.values():
            verbs.add_peer(other, card)
            verbs.add_peer(node, verbs.describe(other))
        self.nodes[handle] = node
        self._serve(node, listener)
        return node

    def stop(self, handle: str) -> None:
        """Stop serving one node; its folder stays as it is."""
        place = list(self.nodes).index(handle)
        _stop(*self._servers[place])

    def start(self, handle: str, *, before: Before = nothing) -> None:
        """Serve a node that was stopped again, at the address that the others know; what stands ``before`` it may lie in its name."""
        place = list(self.nodes).index(handle)
        node = open_node(self.nodes[handle].folder)
        self._servers[place] = _served(node, _listener(node.settings.serve.port), before)

    def close(self) -> None:
        """Stop serving every node."""
        for server, thread in self._servers:
            _stop(server, thread)

    def _serve(self, node: Node, listener: socket.socket) -> None:
        self._servers.append(_served(node, listener))


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was served a moment ago may be served again
    listener.bind(("127.0.0.1", port))
    return listener


def _served(node: Node, listener: socket.socket, before: Before = nothing) -> tuple[uvicorn.Server, threading.Thread]:
    app = before(create_app(node))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_keep_alive=KEEP_ALIVE_S))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not server.started:
        if time.monotonic() > until:
            raise TimeoutError(f"expected the node {node.settings.node.handle} to serve within {START_S:g} s")
        time.sleep(0.01)
    return server, thread


def _stop(server: uvicorn.Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join(timeout=10)
