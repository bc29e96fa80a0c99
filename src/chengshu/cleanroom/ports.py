"""What this room needs from outside."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

IsSignedBy = Callable[[str, bytes, bytes], bool]
"""Says whether a party (by its id) made a signature over a message."""


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...


class Grants(Protocol):
    """Leave to pull a product once (the transfer room's verbs)."""

    def grant(self, tx: Connection, *, product: str, agreement: str, job: str, recipient: str, columns: Sequence[str] | None) -> str:
        """Return the secret token of a new grant, of these columns alone or, where there are none named, of the whole product."""
        ...

    def close(self, tx: Connection, *, product: str, job: str) -> None:
        """Withdraw every grant of the product for the job that has not been used."""
        ...


class Deliveries(Protocol):
    """What went out of this node for which job (the transfer room's record)."""

    def delivered(self, tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
        """Return rows and digest of what went out for a job over one product, or None."""
        ...


class Nodes(Protocol):
    """The other nodes of the space, over the network."""

    def post(self, party: str, path: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message to a party's node and return its answer; raise Unavailable when it does not answer."""
        ...

    def pull(self, party: str, token: str, into: Path, *, patience_s: float = 0.0) -> None:
        """Write the product that ``token`` grants, from a party's node that may be silent so long, into an Arrow file."""
        ...
