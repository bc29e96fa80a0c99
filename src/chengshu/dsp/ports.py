"""What the protocol needs from the catalog."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from chengshu.catalog.listing import Asked, Federated, Judge, Listed, Page


class CatalogSource(Protocol):
    """The products of this node, and those of the parties whose catalogs it shows, as DCAT datasets.

    A description has ``@id`` and whatever describes the product; ``distribution`` may be missing from this node's own. Offers, ``@type``
    and a missing distribution are added here.
    """

    def page(self, tx: Connection, asked: Asked, *, audience: str, judge: Judge) -> Page:
        """Return one page of what ``audience`` may see, which ``judge`` decides, in the order of party and id."""
        ...

    def entry(self, tx: Connection, dataset: str, *, audience: str) -> Listed | None:
        """Return one product of this node's own that may be ``audience``'s to see, or None."""
        ...

    def federated(self, tx: Connection) -> Sequence[Federated]:
        """Return what is known of every other party's catalog that is shown."""
        ...
