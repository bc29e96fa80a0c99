"""What this room needs from outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.catalog.restriction import Restriction
from chengshu.kernel.crypto.exchange import ExchangeKey

NewArrival = Callable[[Path, ExchangeKey], "Arrival"]
"""Begins to take a product in, below a folder, encrypted to a key."""

IsSignedBy = Callable[[str, bytes, bytes], bool]
"""Says whether a party (by its id) made a signature over a message."""


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...


class Grants(Protocol):
    """Leave to pull a product once (the transfer room's verbs)."""

    def grant(
        self,
        tx: Connection,
        *,
        product: str,
        agreement: str,
        job: str,
        recipient: str,
        columns: Sequence[str] | None,
        only: Sequence[Restriction],
    ) -> str:
        """Return the secret token of a new grant: of these columns, all where there are none named, and ``only`` some rows."""
        ...

    def close(self, tx: Connection, *, product: str, job: str) -> None:
        """Withdraw every grant of the product for the job that has not been used."""
        ...

    def commitments(self, tx: Connection, *, product: str, job: str) -> frozenset[str]:
        """Return the commitment to each stream of the product that went out for the job."""
        ...


class Deliveries(Protocol):
    """What went out of this node for which job (the transfer room's record)."""

    def delivered(self, tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
        """Return rows and digest of what went out for a job over one product, or None."""
        ...


class InPlace(Deliveries, Protocol):
    """The same record, for uses of products that were computed with where they lie."""

    def used_in_place(self, tx: Connection, *, job: str, product: str, agreement: str, recipient: str, rows: int, data_digest: str) -> None:
        """Meter such a use: of so many rows of the product that has this digest."""
        ...


class Line(Protocol):
    """Where the bytes of a product come from."""

    def readinto(self, into: memoryview, /) -> int:
        """Fill ``into`` and return how many bytes have come for it: fewer where the line ends."""
        ...


class Arrival(Protocol):
    """One product of one job on its way in: encrypted to the job's key, kept where only this process can open it (the transfer room's)."""

    @property
    def media_types(self) -> Collection[str]:
        """What it may be called on the wire."""
        ...

    @property
    def path(self) -> Path:
        """Where its table can be opened once it is whole."""
        ...

    @property
    def pieces(self) -> int:
        """How many pieces of it came whole."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether all of it came."""
        ...

    @property
    def commitment(self) -> str:
        """What came whole, under the digest of its grant, so that its holder alone can tell that this is what it sent."""
        ...

    def asking(self) -> dict[str, Any]:
        """Return what its holder is told beside the token: the key that it is to be encrypted to, and how much of it is here already."""
        ...

    def take(self, line: Line, *, media_type: str, job: str, product: str, token: str) -> None:
        """Take what comes under one of ``media_types``; raise Unavailable where it ends early, and what came before stays."""
        ...

    def close(self) -> None:
        """Give its file back."""
        ...


class Nodes(Protocol):
    """The other nodes of the space, over the network."""

    def post(self, party: str, path: str, message: Mapping[str, Any], *, patience_s: float = 0.0) -> dict[str, Any]:
        """Send a message to a party's node, which may be silent so long, and return its answer; raise Unavailable where none comes."""
        ...

    def fetch(self, party: str, path: str, message: Mapping[str, Any], *, most: int) -> bytes:
        """Send a message to a party's node and return the bytes that it answers with, ``most`` of them; raise as :meth:`post`."""
        ...

    def pull(self, party: str, token: str, into: Arrival, *, job: str, product: str, patience_s: float = 0.0) -> None:
        """Take in what ``into`` lacks of the product that ``token`` grants for a job, from a party's node that may be silent so long."""
        ...
