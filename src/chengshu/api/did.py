"""The node's own DID, where it has one: its document at the address that the method did:web makes of it, and its credential service."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from chengshu.dsp.routes.door import Called, json_response
from chengshu.identity.claims.documents import own_document, web_address
from chengshu.identity.claims.faults import unproved
from chengshu.identity.claims.holder import Holder
from chengshu.identity.keys.dcp import DcpKey
from chengshu.kernel.errors import Unidentified
from chengshu.node import Node

PATH = "/dcp"
"""Below a node's address: its credential service (Decentralized Claims Protocol 1.0, section 5)."""


def did_router(node: Node) -> APIRouter:
    """Return the routes of a node with a DID of its own beside its key; none for one without."""
    routes = APIRouter(include_in_schema=False)
    if node.claims_key is not None and node.wallet is not None:
        address = web_address(node.claims_key.did, development=node.identity.outgoing.development)
        routes.get(urlsplit(address).path)(_document(node.claims_key, node.settings.serve.address + PATH))
        routes.post(PATH + "/presentations/query")(_presentations(node.wallet))
    return routes


def _document(key: DcpKey, service: str) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        return own_document(key.did, key.kid, key.public_jwk(), service=service)

    return document


def _presentations(wallet: Holder) -> Callable[[Called], Response]:
    def presentations(call: Called) -> Response:
        try:
            return json_response(dict(wallet.present(call.authorization, call.json())))
        except Unidentified as error:
            raise unproved(error) from error

    return presentations
