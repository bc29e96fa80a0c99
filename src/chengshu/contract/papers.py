"""The documents that entries of the log name by digest: the rules of agreements and the contracts and policies of products."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chengshu.catalog.service import Catalog
from chengshu.contract.service import Contracts
from chengshu.evidence.model import Entry
from chengshu.kernel.errors import NotFound
from chengshu.policy.odrl import content as policy_content


def papers(entries: Sequence[Entry], *, contracts: Contracts, catalog: Catalog) -> Iterator[Mapping[str, Any]]:
    """Yield what this node keeps of the agreements signed and the products published in ``entries``, every version of a product.

    Which of them an entry does name is for the caller to find out from their digests. A document that is not kept here is left out.
    """
    for agreement in _named(entries, "agreement", kind="agreement.signed"):
        try:
            document = contracts.agreement(agreement).document
        except NotFound:
            continue
        yield document
        yield policy_content(document)
    for product in _named(entries, "product", kind="product.published"):
        for version in catalog.versions(product):
            yield version.document
            yield version.policy


def _named(entries: Sequence[Entry], field: str, *, kind: str) -> list[str]:
    """The identifiers in that field of the entries of that kind, each once."""
    return list(dict.fromkeys(entry.body[field] for entry in entries if entry.kind == kind and isinstance(entry.body.get(field), str)))
