"""Products over HTTP, to and from endpoints that other parties name: no redirects, no proxies, no compression, bounded patience."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httpx

from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.outgoing import Outgoing
from chengshu.kernel.text import Text
from chengshu.transfer.flow.model import Endpoint
from chengshu.transfer.flow.ports import Incoming

TIMEOUT_S = 10.0
_TRY_LATER = frozenset({408, 425, 429})

MayName = Callable[[str, str], bool]
"""Says whether a party (by its id) may have this node call that URL; raises NotFound for a party that is not known."""


class HttpCarrier:
    """One GET for a pull and one POST for a push; an endpoint is a stranger's word, and is checked before every call.

    The connection itself is checked as :class:`chengshu.kernel.outgoing.Outgoing` has it.
    """

    def __init__(self, outgoing: Outgoing, *, may_name: MayName, timeout_s: float = TIMEOUT_S) -> None:
        self._outgoing = outgoing
        self._may_name = may_name
        self._client = outgoing.client(timeout_s=timeout_s, accept="*/*")

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def check(self, party: str | None, endpoint: Endpoint) -> None:
        """Raise Denied where the party may not have this node call that endpoint."""
        self._outgoing.check(endpoint.url)
        if party is not None and not self._may_name(party, endpoint.url):
            raise Denied(
                "transfer.endpoint-foreign",
                "expected an endpoint with the scheme, host and port that the party is listed with, or on a listed host, got another",
                hint=Text(
                    "List the party with the address that it uses, or the host in [outgoing] hosts.",
                    "请按对方实际使用的地址登记该参与方，或将该主机列入 [outgoing] hosts。",
                ),
            )

    @contextmanager
    def pull(self, party: str | None, endpoint: Endpoint, *, accept: str) -> Iterator[Incoming]:
        """Open what is at an endpoint; raises as :class:`chengshu.transfer.flow.ports.Carrier`."""
        self.check(party, endpoint)
        try:
            with self._client.stream("GET", endpoint.url, headers={"Accept": accept} | _authorized(endpoint)) as response:
                _expect_success(response)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise _broken("expected a product without compression, got one with")
                yield Incoming(response.headers.get("Content-Type"), response.iter_raw())
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _silent(error) from error

    def push(self, party: str | None, endpoint: Endpoint, chunks: Iterable[bytes], *, media_type: str) -> None:
        """Send bytes to an endpoint and wait until it has taken them; raises as :class:`chengshu.transfer.flow.ports.Carrier`."""
        self.check(party, endpoint)
        headers = {"Content-Type": media_type} | _authorized(endpoint)
        try:
            with self._client.stream("POST", endpoint.url, content=iter(chunks), headers=headers) as response:
                _expect_success(response)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _silent(error) from error


def _authorized(endpoint: Endpoint) -> dict[str, str]:
    return {} if endpoint.header is None else {"Authorization": endpoint.header}


def _expect_success(response: httpx.Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    message = f"expected the endpoint to take part in the transfer, got status {status}"
    hint = Text("The transfer may have been suspended or ended; look at its standing.", "传输可能已被暂停或终止，请查看其状态。")
    if status >= 500 or status in _TRY_LATER:
        raise Unavailable("transfer.endpoint-trouble", message, hint=hint, facts={"status": status})
    kinds: dict[int, type[ChengshuError]] = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict}
    raise kinds.get(status, Invalid)("transfer.endpoint-refused", message, hint=hint, facts={"status": status})


def _silent(error: Exception) -> Unavailable:
    return Unavailable(
        "transfer.endpoint-silent",
        f"expected the endpoint to send or take the whole product, got {silence_of(error)}",
        hint=Text("Try again; if it stays so, ask the party's operator.", "请重试；若仍如此，请联系对方运营人员。"),
    )


def _broken(message: str) -> Invalid:
    return Invalid("transfer.endpoint-answer", message, hint=Text("Ask the party's operator.", "请联系对方运营人员。"))
