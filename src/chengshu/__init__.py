"""Chengshu 乘数: a trusted data space in one package."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from chengshu.kernel.version import VERSION

if TYPE_CHECKING:
    from chengshu.client.connections import Connection

__version__ = VERSION
__all__ = ["__version__", "connect"]


def connect(node: str | Path, *, token: str | None = None) -> "Connection":
    """Return a connection to a node, by its folder or its address, that questions can be asked through; use it as a context.

    At an address the node asks for its client token: ``token``, or the environment's ``CHENGSHU_TOKEN``. Raises as
    :func:`chengshu.client.connections.opened`.
    """
    # by name: whoever takes in one room of the package, as the verifier that is handed out does, takes in no client with it
    connection: Connection = import_module("chengshu.client.connections").opened(node, token=token)
    return connection
