"""Whether a node answers at its address, and whether it could be served there."""

import socket
import time

import httpx

from chengshu.cli.verbs import POLL_S, Document
from chengshu.kernel.errors import Unavailable
from chengshu.kernel.text import Text
from chengshu.node import Node

PROBE_S = 2.0


def await_service(node: Node, *, timeout_s: float) -> Document:
    """Wait until the node is being served; return what it says of itself. Raises Unavailable after ``timeout_s`` seconds."""
    address = node.settings.serve.address
    until = time.monotonic() + timeout_s
    while True:
        answer = health(address)
        if answer is not None and answer.get("node") == node.identity.did:
            return answer
        if time.monotonic() >= until:
            raise Unavailable(
                "serve.silent",
                f"expected the node to answer at {address} within {timeout_s:g} s, got no answer of its own",
                hint=Text(f"Serve it with 'chengshu serve --node {node.folder}'.", f"请用 chengshu serve --node {node.folder} 启动节点。"),
            )
        time.sleep(POLL_S)


def health(address: str) -> Document | None:
    """Return what the node at ``address`` says of itself, or None when nothing answers as a node would."""
    try:
        answer = httpx.get(address + "/health", timeout=PROBE_S, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def port_is_free(host: str, port: int) -> bool:
    """Say whether nothing listens on ``host:port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
