"""What the live room needs from outside."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection


class Evidence(Protocol):
    """The node's log: an entry written in the transaction of what it proves."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Add an entry to the log within ``tx`` and return its number."""
        ...
