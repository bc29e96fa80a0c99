"""All paths of the Dataspace Protocol 2025-1."""

from fastapi import APIRouter, Response

from chengshu.contract.agreements import Agreements
from chengshu.contract.service import Contracts
from chengshu.dsp.routes.agreement import agreement_routes
from chengshu.dsp.routes.catalog import catalog_routes
from chengshu.dsp.routes.door import PATH, VERSION, Door, Family, error_response, hanging_up, json_response, no_such_path
from chengshu.dsp.routes.negotiation import negotiation_routes
from chengshu.dsp.service import DspCatalog

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def router(*, contracts: Contracts, agreements: Agreements, catalog: DspCatalog, door: Door) -> APIRouter:
    """Return the routes of the Dataspace Protocol 2025-1, to be included at the root of an application.

    Unknown senders, unknown pids and pids of others all get 404, so that nobody learns what exists; whatever is against the protocol or
    the state of its process gets 400.
    """
    routes = APIRouter(include_in_schema=False)
    routes.get("/.well-known/dspace-version")(_version)
    catalog_routes(routes, door, catalog)
    negotiation_routes(routes, door, contracts)
    agreement_routes(routes, door, agreements)
    return routes


def unknown_paths() -> APIRouter:
    """Return the routes that answer every other path of the protocol with a typed error; include them after all others."""
    routes = APIRouter(include_in_schema=False)
    routes.api_route(PATH + "/{rest:path}", methods=_METHODS)(_nothing)
    return routes


def _version() -> Response:
    return json_response({"protocolVersions": [{"version": VERSION, "path": PATH, "binding": "HTTPS"}]})


def no_route(path: str) -> Response | None:
    """Return the typed error for a path of the protocol that no route takes, whatever the method; None for any other path."""
    return _nothing(path.removeprefix(PATH + "/")) if path.startswith(PATH + "/") else None


def _nothing(rest: str) -> Response:
    families = {"negotiations": Family.NEGOTIATION, "transfers": Family.TRANSFER, "agreements": Family.AGREEMENT}
    return hanging_up(error_response(families.get(rest.split("/", 1)[0], Family.CATALOG), no_such_path(), {}, ""))
