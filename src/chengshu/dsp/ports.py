"""What the protocol needs from the catalog."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection


class CatalogSource(Protocol):
    """The products of this node as DCAT datasets.

    An entry has ``@id`` and whatever describes the product; ``distribution`` may be left out. Offers, ``@type`` and a missing
    distribution are added here.
    """

    def entries(self, tx: Connection) -> Sequence[Mapping[str, Any]]:
        """Return every published product, sorted by id."""
        ...

    def entry(self, tx: Connection, dataset_id: str) -> Mapping[str, Any] | None:
        """Return one published product, or None where there is none with this id."""
        ...
