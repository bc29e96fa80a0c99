"""The catalog as the protocol shows it to one party, page by page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chengshu.catalog.listing import OWN, Asked, Document, Federated, Listed, Order, Page, Place, Shown
from chengshu.contract.service import Contracts
from chengshu.dsp.messages.catalog import FETCHED_AT, CatalogRequestMessage
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.ports import CatalogSource
from chengshu.dsp.translate.filters import Filter, read_filter
from chengshu.dsp.translate.pages import LARGEST_PAGE, PAGE, PageTokens, link_header
from chengshu.identity.service import Identity
from chengshu.kernel.clock import iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text
from chengshu.policy.odrl import from_odrl
from chengshu.transfer.flow.model import FORMATS

REQUEST_PATH = "/catalog/request"
MAX_PAGE_BYTES = 768 * 1024
"""A page ends early where its datasets are larger together, so that whoever takes no answer above 1 MiB can read it."""


class DspCatalog:
    """Shows each party the products that have an offer for it, and no others."""

    def __init__(self, database: Database, *, identity: Identity, contracts: Contracts, source: CatalogSource, tokens: PageTokens) -> None:
        self._database = database
        self._identity = identity
        self._contracts = contracts
        self._source = source
        self._tokens = tokens

    def catalog(
        self, message: Mapping[str, Any] | None, *, audience: str, token: str | None = None, limit: int | None = None
    ) -> tuple[dict[str, Any], str | None]:
        """Return one page of the catalog for the party ``audience`` and its Link header, None where it is the only page.

        ``message`` is a CatalogRequestMessage, None where ``token`` alone leads to the page. Raises Invalid for a message, a filter or a
        token that is not understood.
        """
        given = Filter() if message is None else read_filter(parse(CatalogRequestMessage, dict(message)).filter)
        asked = self._asked(given, audience=audience, token=token, limit=limit)
        with self._database.read() as tx:
            page = self._source.page(tx, asked, audience=audience, judge=self._judge)
            known = {one.party: one for one in self._source.federated(tx)} if any(one.listed.party != OWN for one in page.shown) else {}
        shown, page = self._fitting(page)
        return self._document(shown, known), self._links(asked, page, audience=audience)

    def dataset(self, dataset_id: str, *, audience: str) -> dict[str, Any]:
        """Return one Dataset document; raise NotFound where there is none, or none for ``audience``."""
        with self._database.read() as tx:
            listed = self._source.entry(tx, dataset_id, audience=audience)
        offers = [] if listed is None else self._judge(listed, audience)
        if listed is None or not offers:
            raise NotFound(
                "catalog.dataset-unknown",
                "expected the id of a dataset in this catalog, got another",
                hint=Text("Read the catalog first.", "请先读取目录。"),
            )
        return {"@context": [CONTEXT], **self._rendered(Shown(listed, tuple(offers)))}

    def _asked(self, given: Filter, *, audience: str, token: str | None, limit: int | None) -> Asked:
        if token is None:
            return Asked(given.wanted, min(limit or given.limit or PAGE, LARGEST_PAGE))
        asked = self._tokens.read(token, audience=audience)
        if given.wanted not in (Filter().wanted, asked.wanted):
            raise Invalid(
                "catalog.page",
                "expected the filter that the page's catalog was asked for with, or none, got another",
                hint=Text("Repeat the first message with the link, or ask from the beginning.", "请随链接重复首条消息，或从头请求。"),
            )
        return asked if limit is None else replace(asked, limit=limit)

    def _judge(self, listed: Listed, audience: str) -> Sequence[Document]:
        if listed.party == OWN:
            made = (self._contracts.offer_under(listed.dataset, policy, audience=audience) for policy in listed.policies)
            return [dict(offer.document) for offer in made if offer is not None]
        return [policy for policy in listed.policies if _admits(policy, audience)]

    def _fitting(self, page: Page) -> tuple[list[tuple[str, dict[str, Any]]], Page]:
        """The page's datasets as documents; those that would make the answer too large are left to the page after."""
        rendered: list[tuple[str, dict[str, Any]]] = []
        size = 0
        for place, one in enumerate(page.shown):
            document = self._rendered(one)
            size += len(json.dumps(document))
            if rendered and size > MAX_PAGE_BYTES:
                return rendered, replace(page, after=page.shown[place - 1].listed.place)
            rendered.append((one.listed.party, document))
        return rendered, page

    def _document(self, shown: Sequence[tuple[str, dict[str, Any]]], known: Mapping[str, Federated]) -> dict[str, Any]:
        own = [document for party, document in shown if party == OWN]
        parties = list(dict.fromkeys(party for party, _ in shown if party != OWN))
        nested = [_nested(known[party], [document for whose, document in shown if whose == party]) for party in parties]
        return {
            "@context": [CONTEXT],
            "@id": f"{self._identity.did}#catalog",
            "@type": "Catalog",
            "participantId": self._identity.did,
            "service": [self._service()],
            **({"dataset": own} if own else {}),  # the protocol forbids an empty array
            **({"catalog": nested} if nested else {}),
        }

    def _rendered(self, one: Shown) -> dict[str, Any]:
        listed = one.listed
        distributions = [{"@type": "Distribution", "format": name, "accessService": self._service()} for name in FORMATS]
        offers = [dict(offer) for offer in one.offers]
        return {"distribution": distributions, **listed.document, "@type": "Dataset", "hasPolicy": offers}

    def _service(self) -> dict[str, Any]:
        return {"@id": f"{self._identity.did}#dsp", "@type": "DataService", "endpointURL": self._identity.address}

    def _links(self, asked: Asked, page: Page, *, audience: str) -> str | None:
        def token(order: Order, beyond: Place | None) -> str | None:
            return None if beyond is None else self._tokens.write(replace(asked, order=order, beyond=beyond), audience=audience)

        before, after = token(Order.BACKWARDS, page.before), token(Order.ONWARDS, page.after)
        return link_header(self._identity.address + REQUEST_PATH, before=before, after=after)


def _nested(known: Federated, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    fetched = {} if known.fetched_at is None else {FETCHED_AT: iso(known.fetched_at)}
    services = {"service": [dict(service) for service in known.services]} if known.services else {}
    return {"@id": known.catalog, "@type": "Catalog", "participantId": known.party, **services, "dataset": datasets, **fetched}


def _admits(policy: Document, audience: str) -> bool:
    """Whether another party's offer may be shown to ``audience``; one that this node does not understand is passed on to nobody."""
    try:
        return from_odrl(policy).admits(audience)
    except Invalid:
        return False
