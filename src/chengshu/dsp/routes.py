"""The way in: the protocol's provider and consumer bindings; every answer that is not a document is a typed error."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from chengshu.contract.model import Propose
from chengshu.contract.model import Request as ContractRequest
from chengshu.contract.service import Contracts
from chengshu.dsp import translate
from chengshu.dsp.messages import MAX_BYTES, CatalogRequestMessage, parse, parse_json
from chengshu.dsp.service import DspCatalog
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.ports import CredentialSource
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import ChengshuError, Invalid, NotFound, Unavailable, Unidentified
from chengshu.kernel.text import Text

VERSION = "2025-1"
PATH = f"/{VERSION}"
_UNKNOWN_PID = "urn:chengshu:unknown"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class _Family(StrEnum):
    """The typed error that a path answers with."""

    CATALOG = "CatalogError"
    NEGOTIATION = "ContractNegotiationError"
    TRANSFER = "TransferError"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it came: what a credential vouches for, and the credential."""

    request: SignedRequest
    authorization: str | None

    def json(self) -> dict[str, Any]:
        return parse_json(self.request.body)


async def _call(request: Request) -> _Call:
    """Read the body up to just above the limit, so that a large one is refused without being held."""
    body = bytearray()
    more = True
    while more and len(body) <= MAX_BYTES:
        part = await request.receive()  # a sender that hangs up ends the body too: it then does not match its credential
        body += part.get("body", b"")
        more = part.get("more_body", False)
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    whole = path + b"?" + query if query else path
    return _Call(SignedRequest(request.method, whole.decode("latin-1"), bytes(body)), request.headers.get("Authorization"))


Called = Annotated[_Call, Depends(_call)]
Reader = Callable[[dict[str, Any]], translate.Received]


_FIRST: dict[str, Reader] = {"/request": translate.read_request, "/offers": translate.read_offer}
_LATER: dict[str, Reader] = {
    "/request": translate.read_request,
    "/offers": translate.read_offer,
    "/agreement/verification": translate.read_verification,
    "/agreement": translate.read_agreement,
    "/events": translate.read_event,
    "/termination": translate.read_termination,
}
"""Both bindings in one: a pid is ours alone, so the path below it says enough, and the state machine knows who may say what."""


def router(*, contracts: Contracts, catalog: DspCatalog, credentials: CredentialSource) -> APIRouter:
    """Return the routes of the Dataspace Protocol 2025-1, to be included at the root of an application.

    Unknown senders, unknown pids and pids of others all get 404, so that nobody learns what exists; whatever is against the protocol or
    the negotiation's state gets 400.
    """
    routes = APIRouter(include_in_schema=False)
    door = _Door(contracts, catalog, credentials)
    routes.get("/.well-known/dspace-version")(_version)
    routes.post(PATH + "/catalog/request")(door.catalog)
    routes.get(PATH + "/catalog/datasets/{dataset_id:path}")(door.dataset)
    for path, read in _FIRST.items():
        routes.post(f"{PATH}/negotiations{path}")(_first(door, read))
    for path, read in _LATER.items():
        routes.post(f"{PATH}/negotiations/{{pid:path}}{path}")(_later(door, read))
    routes.get(PATH + "/negotiations/{pid:path}")(door.state)
    return routes


def unknown_paths() -> APIRouter:
    """Return the routes that answer every other path of the protocol with a typed error; include them after all others."""
    routes = APIRouter(include_in_schema=False)
    routes.api_route(PATH + "/{rest:path}", methods=_METHODS)(_nothing)
    return routes


def _version() -> Response:
    return _json({"protocolVersions": [{"version": VERSION, "path": PATH, "binding": "HTTPS"}]})


def _nothing(rest: str) -> Response:
    families = {"negotiations": _Family.NEGOTIATION, "transfers": _Family.TRANSFER}
    return _error(families.get(rest.split("/", 1)[0], _Family.CATALOG), _no_such_path(), {}, "")


def _first(door: "_Door", read: Reader) -> Callable[[_Call], Response]:
    def endpoint(call: Called) -> Response:
        return door.first(call, read)

    return endpoint


def _later(door: "_Door", read: Reader) -> Callable[[_Call, str], Response]:
    def endpoint(call: Called, pid: str) -> Response:
        return door.later(call, pid, read)

    return endpoint


class _Door:
    """Identifies the sender, calls one verb, and answers with its document or a typed error."""

    def __init__(self, contracts: Contracts, catalog: DspCatalog, credentials: CredentialSource) -> None:
        self._contracts = contracts
        self._catalog = catalog
        self._credentials = credentials

    def catalog(self, call: Called) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            if parse(CatalogRequestMessage, value).filter:
                raise _no_filter()
            return self._catalog.catalog(sender)

        return self._answer(_Family.CATALOG, call, act)

    def dataset(self, call: Called, dataset_id: str) -> Response:
        return self._answer(_Family.CATALOG, call, lambda sender, _: self._catalog.dataset(dataset_id, audience=sender))

    def first(self, call: _Call, read: Reader) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            received = read(value)
            content = received.content
            peer_pid = received.consumer_pid if isinstance(content, ContractRequest) else received.provider_pid
            if not isinstance(content, ContractRequest | Propose) or peer_pid is None:
                raise _no_such_path()
            return translate.state_of(self._contracts.receive_first(sender, peer_pid=peer_pid, content=content))

        return self._answer(_Family.NEGOTIATION, call, act, status=201)

    def later(self, call: _Call, pid: str, read: Reader) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            self._contracts.seen_by(sender, pid)  # a pid that is not the sender's looks unknown, whatever the message is like
            received = read(value)
            peer_pid = received.peer_of(pid)
            moved = self._contracts.receive(sender, own_pid=pid, peer_pid=peer_pid, content=received.content)
            return translate.state_of(moved)

        return self._answer(_Family.NEGOTIATION, call, act, pid=pid)

    def state(self, call: Called, pid: str) -> Response:
        def act(sender: str, _: dict[str, Any]) -> dict[str, Any]:
            return translate.state_of(self._contracts.seen_by(sender, pid))

        return self._answer(_Family.NEGOTIATION, call, act, pid=pid)

    def _answer(
        self, family: _Family, call: _Call, act: Callable[[str, dict[str, Any]], dict[str, Any]], *, pid: str = "", status: int = 200
    ) -> Response:
        value: dict[str, Any] = {}
        try:
            if len(call.request.body) > MAX_BYTES:
                raise _too_large()
            sender = self._credentials.verify(call.authorization, call.request)
            if call.request.method == "POST":
                value = call.json()
            return _json(act(sender, value), status=status)
        except ChengshuError as error:
            return _error(family, error, value, pid)


def _error(family: _Family, error: ChengshuError, value: dict[str, Any], pid: str) -> Response:
    if family is _Family.CATALOG:
        return _json(translate.catalog_error(error), status=_status(error))
    consumer, provider = (_pid(value.get(name)) or pid or _UNKNOWN_PID for name in ("consumerPid", "providerPid"))
    return _json(translate.process_error(error, family, consumer_pid=consumer, provider_pid=provider), status=_status(error))


def _pid(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 512 else None


def _status(error: ChengshuError) -> int:
    match error:
        case Unidentified() | NotFound():
            return 404
        case Unavailable():
            return 503
        case _:
            return 400


def _json(document: dict[str, Any], *, status: int = 200) -> Response:
    return Response(canonical(document), status_code=status, media_type="application/json")


def _no_such_path() -> NotFound:
    return NotFound(
        "dsp.path",
        "expected a path and method of the Dataspace Protocol 2025-1, got another",
        hint=Text("See /.well-known/dspace-version for the versions spoken here.", "请查看 /.well-known/dspace-version 了解所支持的版本。"),
    )


def _no_filter() -> Invalid:
    return Invalid(
        "catalog.filter",
        "expected no filter, got one: this catalog has none",
        hint=Text("Read the whole catalog.", "请读取完整目录。"),
    )


def _too_large() -> Invalid:
    return Invalid(
        "message.too-large",
        f"expected at most {MAX_BYTES} bytes, got more",
        hint=Text("Send a smaller message.", "请发送更小的消息。"),
    )
