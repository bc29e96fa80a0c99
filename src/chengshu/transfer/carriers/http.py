"""Products over HTTP, to and from endpoints that other parties name: no redirects, no proxies, no compression, bounded patience."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.outgoing import Outgoing, bounded
from chengshu.kernel.text import Text
from chengshu.transfer.flow.model import BEARER, Endpoint
from chengshu.transfer.flow.ports import Incoming
from chengshu.transfer.flow.renewable import Renewal, Tokens, is_token

TIMEOUT_S = 10.0
MAX_ANSWER = 64 * 1024
MAX_LIFE_S = 10**9
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
        self._asking = outgoing.client(timeout_s=timeout_s, patience_s=timeout_s)
        self._patience_s = timeout_s

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()
        self._asking.close()

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

    def renew(self, party: str | None, renewal: Renewal, *, proof: str) -> Tokens:
        """Ask an endpoint for another access token; raises as :class:`chengshu.transfer.flow.ports.Carrier`."""
        self.check(party, Endpoint(renewal.url, None))
        form = {"grant_type": "refresh_token", "refresh_token": renewal.refresh}
        until = time.monotonic() + self._patience_s
        try:
            with self._asking.stream("POST", renewal.url, data=form, headers={"Authorization": proof}) as response:
                _expect_renewed(response.status_code)
                answer = bounded(response, limit=MAX_ANSWER, until=until)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _silent(error) from error
        return _tokens(answer, before=renewal)

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


def _expect_renewed(status: int) -> None:
    if status == httpx.codes.OK:
        return
    kind = Unavailable if status >= 500 or status in _TRY_LATER else Denied
    raise kind(
        "transfer.not-renewed",
        f"expected the provider to renew the access token, got status {status}",
        hint=Text(
            "The control plane may suspend and resume the flow: that brings another address.", "控制平面可暂停并恢复该数据流以取得新地址。"
        ),
    )


def _tokens(answer: bytes, *, before: Renewal) -> Tokens:
    """What a token response says (RFC 6749, section 5.1); a life that it leaves out is the one before."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise _broken("expected a token response, got something else") from error
    if not isinstance(said, Mapping):
        raise _broken("expected a token response, got something else")
    access, refresh, kind = said.get("access_token"), said.get("refresh_token"), said.get("token_type")
    if not is_token(access) or not (refresh is None or is_token(refresh)) or not (isinstance(kind, str) and kind.lower() == BEARER):
        raise _broken("expected an access token of the type bearer, and perhaps a refresh token, got another answer")
    return Tokens(access, refresh, _life(said.get("expires_in"), before=before))


def _life(seconds: Any, *, before: Renewal) -> timedelta:
    if seconds is None:
        return before.life
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < MAX_LIFE_S:
        raise _broken("expected expires_in to be a number of seconds, got another")
    return timedelta(seconds=seconds)


def _silent(error: Exception) -> Unavailable:
    return Unavailable(
        "transfer.endpoint-silent",
        f"expected the endpoint to send or take the whole product, got {silence_of(error)}",
        hint=Text("Try again; if it stays so, ask the party's operator.", "请重试；若仍如此，请联系对方运营人员。"),
    )


def _broken(message: str) -> Invalid:
    return Invalid("transfer.endpoint-answer", message, hint=Text("Ask the party's operator.", "请联系对方运营人员。"))
