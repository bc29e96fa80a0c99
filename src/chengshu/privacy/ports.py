"""What this room needs from outside."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...
