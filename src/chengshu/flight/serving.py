"""Where and how the Flight SQL door opens: as the settings say, never to other machines in clear text."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from chengshu.config import FlightSection
from chengshu.kernel.errors import Invalid, Unavailable, in_words
from chengshu.kernel.outgoing import is_loopback
from chengshu.kernel.secret_files import others_may_read
from chengshu.kernel.text import Text
from chengshu.node import Node

if TYPE_CHECKING:
    from chengshu.flight.door import FlightDoor


@contextmanager
def opened(node: Node, *, port: int | None = None) -> "Iterator[FlightDoor | None]":
    """Serve the node's Flight SQL door for the time of the context, on ``port`` or the settings' one; nothing where there is neither.

    Raises Invalid for a certificate that cannot be read, and where others could listen in; Unavailable for a port that is in use.
    """
    chosen = node.settings.flight
    wanted = port if port is not None else chosen.port
    if wanted is None:
        yield None
        return
    door = _door(node, chosen, wanted)
    thread = threading.Thread(target=door.serve, name="flight", daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.shutdown()
        thread.join()


def address_of(door: "FlightDoor", chosen: FlightSection) -> str:
    """Return the address that a client connects to."""
    return f"{'grpc' if chosen.certificate is None else 'grpc+tls'}://{chosen.host}:{door.port}"


def _door(node: Node, chosen: FlightSection, port: int) -> "FlightDoor":
    tls = None
    if chosen.certificate is not None and chosen.key is not None:
        tls = (_read(node.folder / chosen.certificate), _secret(node.folder / chosen.key))
    elif not is_loopback(chosen.host):
        raise Invalid(
            "flight.unencrypted",
            "flight.host: expected an address of this machine alone, or a certificate and its key, got neither; the token could be read",
            hint=Text(
                "Set certificate and key under [flight] in chengshu.toml.", "请在 chengshu.toml 的 [flight] 中设置 certificate 与 key。"
            ),
        )
    try:  # gRPC and its messages are brought in here alone: a node without this door does not pay for them
        door: FlightDoor = import_module("chengshu.flight.door").FlightDoor(node, host=chosen.host, port=port, tls=tls)
    except (pa.ArrowException, OSError) as error:
        raise Unavailable(
            "flight.port",
            f"expected port {port} on {chosen.host} to be free, and certificate and key to be a pair, got one that cannot be used",
            hint=Text("Set another port under [flight] in chengshu.toml.", "请在 chengshu.toml 的 [flight] 中改用其他端口。"),
        ) from error
    return door


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(
            "flight.certificate",
            f"{path.name}: expected a file in PEM, got {in_words(error)}",
            hint=Text("Certificate and key are files below the node's folder.", "证书与密钥为节点目录下的文件。"),
        ) from error


def _secret(path: Path) -> bytes:
    content = _read(path)
    if others_may_read(path):
        raise Invalid(
            "flight.key-file",
            f"{path.name}: expected a key that only its owner may read, got one that others may read",
            hint=Text("Run chmod 600 on it.", "请对其执行 chmod 600。"),
        )
    return content
