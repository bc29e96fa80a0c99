"""The catalog as the protocol shows it to one party."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from chengshu.contract.service import Contracts
from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.dsp.ports import CatalogSource
from chengshu.identity.service import Identity
from chengshu.kernel.database import Database
from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Text

FORMAT = "HttpData-PULL"
"""The distribution's format where a product names none."""


class DspCatalog:
    """Shows each party the products that have an offer for it, and no others."""

    def __init__(self, database: Database, *, identity: Identity, contracts: Contracts, source: CatalogSource) -> None:
        self._database = database
        self._identity = identity
        self._contracts = contracts
        self._source = source

    def catalog(self, audience: str) -> dict[str, Any]:
        """Return the Catalog document for the party ``audience``."""
        with self._database.read() as tx:
            shown = [self._shown(tx, entry, audience) for entry in self._source.entries(tx)]
        datasets = [dataset for dataset in shown if dataset is not None]
        return {
            "@context": [CONTEXT],
            "@id": f"{self._identity.did}#catalog",
            "@type": "Catalog",
            "participantId": self._identity.did,
            "service": [self._service()],
            **({"dataset": datasets} if datasets else {}),  # the protocol forbids an empty array
        }

    def dataset(self, dataset_id: str, *, audience: str) -> dict[str, Any]:
        """Return one Dataset document; raise NotFound where there is none, or none for ``audience``."""
        with self._database.read() as tx:
            entry = self._source.entry(tx, dataset_id)
            shown = None if entry is None else self._shown(tx, entry, audience)
        if shown is None:
            raise NotFound(
                "catalog.dataset-unknown",
                "expected the id of a dataset in this catalog, got another",
                hint=Text("Read the catalog first.", "请先读取目录。"),
            )
        return {"@context": [CONTEXT], **shown}

    def _shown(self, tx: Connection, entry: Mapping[str, Any], audience: str) -> dict[str, Any] | None:
        offers = self._contracts.offers_for(tx, str(entry["@id"]), audience=audience)
        if not offers:
            return None
        distribution = {"@type": "Distribution", "format": FORMAT, "accessService": self._service()}
        return {"distribution": [distribution], **entry, "@type": "Dataset", "hasPolicy": [dict(offer.document) for offer in offers]}

    def _service(self) -> dict[str, Any]:
        return {"@id": f"{self._identity.did}#dsp", "@type": "DataService", "endpointURL": self._identity.address}
