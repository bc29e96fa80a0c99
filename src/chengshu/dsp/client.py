"""The way out: one signed HTTP exchange with another connector, bounded in time and size."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from chengshu.dsp.messages.catalog import Catalog, Dataset
from chengshu.dsp.messages.shapes import CONTEXT, MAX_BYTES, parse, parse_json
from chengshu.dsp.translate.pages import next_link
from chengshu.dsp.translate.words import clean, segment
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import canonical
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Fact, Invalid, NotFound, Unavailable
from chengshu.kernel.outgoing import bounded
from chengshu.kernel.text import Text

TIMEOUT_S = 10.0
CATALOG_PATH = "/catalog/request"
MAX_PAGES = 5_000
_TRY_LATER = frozenset({408, 425, 429})


class DspPeers:
    """Speaks to the parties on the trust list and to nobody else, as :class:`chengshu.kernel.outgoing.Outgoing` allows it."""

    def __init__(self, identity: Identity, *, credentials: CredentialSource, timeout_s: float = TIMEOUT_S) -> None:
        self._identity = identity
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._client = identity.outgoing.client(timeout_s=timeout_s, patience_s=timeout_s)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def post(self, did: str, path: str, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send JSON and return the JSON answer, None where there is no body.

        Raises NotFound for an unknown party or catalog entry; Unavailable for connection errors, time-outs, 5xx, and 404 outside of the
        catalog (the party may not have stored yet what we answer to); Denied for 401 and 403, Conflict for 409, else Invalid.
        """
        return self._exchange("POST", did, path, canonical(dict(message))).document

    def get(self, did: str, path: str) -> dict[str, Any] | None:
        """Return the JSON at ``path``, None where there is no body; raises as :meth:`post`, with NotFound for 404."""
        return self._exchange("GET", did, path, b"").document

    def catalog(self, did: str) -> dict[str, Any]:
        """Return the first page of the party's catalog as it came; raises as :meth:`post`, and Invalid where it is no Catalog."""
        return next(self.catalog_pages(did, most_pages=1))

    def catalog_pages(self, did: str, *, wanted: Sequence[Mapping[str, Any]] = (), most_pages: int = MAX_PAGES) -> Iterator[dict[str, Any]]:
        """Yield the party's Catalog documents page by page as they came, with ``wanted`` as its filter, at most ``most_pages`` of them.

        Each page is asked for once the one before is dealt with. A link is followed below the party's own address only (Denied elsewhere),
        and never twice (Invalid). Raises as :meth:`post`, and Invalid where an answer is no Catalog or there are more pages than MAX_PAGES.
        """
        request = {"@context": [CONTEXT], "@type": "CatalogRequestMessage"} | ({"filter": list(wanted)} if wanted else {})
        path: str | None = CATALOG_PATH
        followed: set[int] = set()
        while path is not None:
            if len(followed) == min(most_pages, MAX_PAGES):
                if most_pages < MAX_PAGES:
                    return
                raise _broken(f"expected a catalog of at most {MAX_PAGES} pages, got a link to more")
            if hash(path) in followed:
                raise _broken("expected a link to a page that was not read yet, got one to a page that was")
            followed.add(hash(path))  # the link itself may be long, and there may be many
            received = self._exchange("POST", did, path, canonical(request))
            answer = received.document or {}
            parse(Catalog, answer)
            yield answer
            path = next_link(received.links, base=received.url)
            if path is not None and not path.startswith(self._identity.get(did).address + "/"):
                raise _elsewhere()

    def dataset(self, did: str, dataset_id: str) -> dict[str, Any]:
        """Return one of the party's Dataset documents as it came; raises as :meth:`get`, and Invalid where it is not one."""
        answer = self.get(did, f"/catalog/datasets/{segment(dataset_id)}") or {}
        parse(Dataset, answer)
        return answer

    def _exchange(self, method: str, did: str, path: str, body: bytes) -> "_Received":
        party = self._identity.get(did)
        url = path if path.startswith(("http://", "https://")) else party.address + path
        if not self._identity.may_name(did, url):
            raise _elsewhere()
        request = self._client.build_request(method, url, content=body or None)
        signed = SignedRequest(method, request.url.raw_path.decode("ascii"), body)
        request.headers["Authorization"] = self._credentials.issue(did, signed)
        if body:
            request.headers["Content-Type"] = "application/json"
        status, answer, links = self._sent(request, party.name_en)
        if not 200 <= status < 300:
            raise _refusal(status, answer, method=method, path=path, name=party.name_en)
        return _Received(parse_json(answer) if answer.strip() else None, links, url)

    def _sent(self, request: httpx.Request, name: str) -> tuple[int, bytes, str | None]:
        until = time.monotonic() + self._timeout_s
        try:
            response = self._client.send(request, stream=True)
            try:
                links = response.headers.get("Link")
                return response.status_code, bounded(response, limit=MAX_BYTES, until=until), links
            finally:
                response.close()
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unavailable(
                "peer.unreachable",
                f"expected {name} to answer, got {silence_of(error)}",
                hint=Text("Check that the party's node runs and that its address is right.", "请确认对方节点正在运行且地址正确。"),
            ) from error


@dataclass(frozen=True, slots=True)
class _Received:
    """An answer: its document, the Link header, and the URL that answered."""

    document: dict[str, Any] | None
    links: str | None
    url: str


def _elsewhere() -> Denied:
    return Denied(
        "peer.address",
        "expected an address with the scheme, host and port that the party is listed with, got another",
        hint=Text("List the party with the address that it uses.", "请按对方实际使用的地址登记该参与方。"),
    )


def _refusal(status: int, answer: bytes, *, method: str, path: str, name: str) -> ChengshuError:
    code, reason, named = _reason(answer)
    message = f"expected {name} to accept {method} {path.rsplit('/', 1)[-1]}, got status {status} ({code}): {reason}"
    hint = Text("The party's own reason is in the message.", "对方给出的原因见消息内容。")
    facts: dict[str, Fact] = {"status": status, "peer_code": code, "peer_type": named}
    if status >= 500 or status in _TRY_LATER:
        return Unavailable("peer.trouble", message, hint=hint, facts=facts)
    if status == 404:
        not_yet = method == "POST" and "/catalog/" not in path
        kind: type[ChengshuError] = Unavailable if not_yet else NotFound
        return kind("peer.not-found", message, hint=hint, facts=facts)
    if status in {401, 403}:
        return Denied("peer.denied", message, hint=hint, facts=facts)
    if status == 409:
        return Conflict("peer.conflict", message, hint=hint, facts=facts)
    return Invalid("peer.refused", message, hint=hint, facts=facts)


def _reason(answer: bytes) -> tuple[str, str, str]:
    """The code, first reason and type of a typed error; a stranger's words are cut and cleaned, and none is fine."""
    try:
        document = parse_json(answer)
    except Invalid:
        return "no code", "no reason given", "no type"
    code, reasons = document.get("code"), document.get("reason")
    first = reasons[0] if isinstance(reasons, list) and reasons else None
    kind = document.get("@type")
    return (
        clean(code) if isinstance(code, str) else "no code",
        clean(first) if isinstance(first, str) else "no reason given",
        clean(kind) if isinstance(kind, str) else "no type",
    )


def _broken(message: str) -> Invalid:
    return Invalid("peer.answer", message, hint=Text("Ask the party's operator.", "请联系对方运营人员。"))
