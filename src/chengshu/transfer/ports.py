"""What this room needs from outside."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.catalog.model import Grade
from chengshu.catalog.ports import Rows
from chengshu.catalog.restriction import Restriction
from chengshu.kernel.refusal import Refused


class Products(Protocol):
    """The node's catalogue."""

    def rows(self, product_id: str, *, columns: Collection[str] | None = None, only: Sequence[Restriction] = ()) -> Rows:
        """Return a product's rows, once, ``only`` some and of ``columns`` alone where they are named; not to be trusted before their end.

        Raises Conflict or Invalid where its file is not the one published, Conflict after the last row where that changed meanwhile.
        """
        ...

    def version_of(self, tx: Connection, product_id: str) -> str | None:
        """Return the digest of a published product's data, None where none of that id is published."""
        ...

    def grade_of(self, tx: Connection, product_id: str) -> Grade:
        """Return a product's grade in the caller's transaction."""
        ...


class JobLeave(Protocol):
    """Whoever approved a job: the clean-room side of this node."""

    def refusal(self, tx: Connection, *, job: str, product: str) -> Refused | None:
        """Return why a job may not have a product now, or None where nothing is against it."""
        ...


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...
