"""The document of the node's own DID, where it has one: the address is the one that the method did:web makes of it."""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter

from chengshu.identity.claims.documents import own_document, web_address
from chengshu.node import Node


def did_router(node: Node) -> APIRouter:
    """Return the one route, or none where the node has no DID of its own beside its key."""
    routes = APIRouter(include_in_schema=False)
    key = node.claims_key
    if key is not None:
        path = urlsplit(web_address(key.did, development=node.identity.outgoing.development)).path

        def document() -> dict[str, Any]:
            return own_document(key.did, key.kid, key.public_jwk())

        routes.get(path)(document)
    return routes
