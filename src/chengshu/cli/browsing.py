"""Reading other parties' catalogs, as a program or a person wants it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from chengshu.dsp.messages.catalog import FETCHED_AT
from chengshu.kernel.clock import iso
from chengshu.node import Node

Document = dict[str, Any]


def datasets_of(node: Node, holder: str, *, wanted: Sequence[Mapping[str, Any]], most: int) -> Iterator[Document]:
    """Yield a holder's datasets and those of the catalogs inside its own as they come, at most ``most`` of them."""
    return islice(_every_dataset(node, holder, wanted), most)


def federated(node: Node) -> list[Document]:
    """Return which catalogs of others this node shows inside its own: when each was fetched, and what went wrong last."""
    return [
        {
            "party": one.party,
            "name": node.identity.get(one.party).name_en if node.identity.knows(one.party) else None,
            "fetched": None if one.fetched_at is None else iso(one.fetched_at),
            "tried": None if one.tried_at is None else iso(one.tried_at),
            "trouble": one.trouble,
        }
        for one in node.federation.known()
    ]


def _every_dataset(node: Node, holder: str, wanted: Sequence[Mapping[str, Any]]) -> Iterator[Document]:
    for page in node.peers.catalog_pages(holder, wanted=wanted):
        yield from _of(page)


def _of(catalog: Document) -> Iterator[Document]:
    for dataset in catalog.get("dataset", []):
        yield {
            "dataset": dataset["@id"],
            "title": dataset.get("title"),
            "provider": catalog.get("participantId"),
            "fetched": catalog.get(FETCHED_AT),
            "formats": [one["format"] for one in dataset["distribution"]],
            "offers": [one["@id"] for one in dataset["hasPolicy"]],
        }
    for inner in catalog.get("catalog", []):
        yield from _of(inner)
