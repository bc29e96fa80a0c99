"""Chengshu 乘数: a trusted data space in one package."""

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
    from chengshu.client.connections import opened  # noqa: PLC0415  # start-up: whoever only wants the version loads no node

    return opened(node, token=token)
