"""What every way in shares: the request as it came, who sent it, and answers that are documents or typed errors."""

import asyncio
import gzip
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from chengshu.dsp.messages.shapes import MAX_BYTES, parse_json
from chengshu.dsp.translate.errors import agreement_error, catalog_error, process_error
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.ports import CredentialSource
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import ChengshuError, Invalid, NotFound, Unavailable, Unidentified
from chengshu.kernel.text import Text

VERSION = "2025-1"
PATH = f"/{VERSION}"
BODY_S = 30.0
WORTH_PACKING = 1024
GZIP_LEVEL = 4
_NONE: Mapping[str, str] = {}
_UNKNOWN_PID = "urn:chengshu:unknown"


class Family(StrEnum):
    """The typed error that a path answers with."""

    CATALOG = "CatalogError"
    NEGOTIATION = "ContractNegotiationError"
    TRANSFER = "TransferError"
    AGREEMENT = "https://w3id.org/chengshu/dsp/AgreementError"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came: what a credential vouches for, and the credential."""

    request: SignedRequest
    authorization: str | None
    query: str = ""
    takes_gzip: bool = False
    is_whole: bool = True

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; raises Invalid."""
        return parse_json(self.request.body)


async def _call(request: Request) -> Call:
    """Read the body up to just above the limit, so that a large one is refused without being held, a trickling one without waiting."""
    body = bytearray()
    more = True
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_S):
            while more and len(body) <= MAX_BYTES:
                part = await request.receive()  # a sender that hangs up ends the body too: it then does not match its credential
                body += part.get("body", b"")
                more = part.get("more_body", False)
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    whole = path + b"?" + query if query else path
    return Call(
        SignedRequest(request.method, whole.decode("latin-1"), bytes(body)),
        request.headers.get("Authorization"),
        query.decode("latin-1"),
        _takes_gzip(request.headers.getlist("Accept-Encoding")),
        is_whole=not more,
    )


Called = Annotated[Call, Depends(_call)]


@dataclass(frozen=True, slots=True)
class Answer:
    """A document with headers of its own."""

    document: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


Act = Callable[[str, dict[str, Any]], dict[str, Any] | Answer]


Together = Callable[[], AbstractContextManager[None]]
"""Lets what is to be remembered of a credential be written in the transaction of the act that it vouches for."""


class Door:
    """Identifies the sender, calls one verb, and answers with its document or a typed error."""

    def __init__(self, credentials: CredentialSource, together: Together) -> None:
        self._credentials = credentials
        self._together = together

    def answer(self, family: Family, call: Call, act: Act, *, pid: str = "", status: int = 200) -> Response:
        """Return what ``act`` makes of the sender and the message (empty for a GET), or the error of ``family`` that it left with.

        A long answer is compressed where the sender asks for it.
        """
        value: dict[str, Any] = {}
        try:
            if len(call.request.body) > MAX_BYTES:
                raise _too_large()
            if not call.is_whole:
                raise _too_slow()
            if "%00" in call.request.path:
                raise no_such_path()  # no id of ours has a NUL, and no database is asked for one
            with self._together():
                sender = self._credentials.verify(call.authorization, call.request)
                if call.request.method == "POST":
                    value = call.json()
                made = act(sender, value)
            answer = made if isinstance(made, Answer) else Answer(made)
            return _packed(json_response(answer.document, status=status, headers=answer.headers), call)
        except ChengshuError as error:
            response = error_response(family, error, value, pid)
            return response if call.is_whole else hanging_up(response)


def hanging_up(response: Response) -> Response:
    """Return an answer after which the line is closed: what a sender still sends would be read and thrown away for as long as it likes."""
    response.headers["Connection"] = "close"
    return response


def error_response(family: Family, error: ChengshuError, value: dict[str, Any], pid: str) -> Response:
    """Return ``error`` as the typed error of ``family``; a process error names the pids of ``value`` where it has any, else ``pid``."""
    if family is Family.CATALOG:
        return json_response(catalog_error(error), status=_status(error))
    if family is Family.AGREEMENT:
        return json_response(agreement_error(error, agreement_id=pid), status=_status(error))
    consumer, provider = (_pid(value.get(name)) or pid or _UNKNOWN_PID for name in ("consumerPid", "providerPid"))
    return json_response(process_error(error, family, consumer_pid=consumer, provider_pid=provider), status=_status(error))


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


def json_response(document: dict[str, Any], *, status: int = 200, headers: Mapping[str, str] = _NONE) -> Response:
    """Return a document as an answer."""
    return Response(canonical(document), status_code=status, media_type="application/json", headers=dict(headers))


def _packed(response: Response, call: Call) -> Response:
    if len(response.body) < WORTH_PACKING:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if call.takes_gzip:
        response.body = gzip.compress(bytes(response.body), compresslevel=GZIP_LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


def _takes_gzip(accepted: list[str]) -> bool:
    """Whether Accept-Encoding (RFC 9110, 12.5.3) names gzip with a weight that is not zero; unasked, nothing is compressed."""
    for one in ",".join(accepted).lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
    return False


def no_such_path() -> NotFound:
    """Return the error for a path that the protocol does not have."""
    return NotFound(
        "dsp.path",
        "expected a path and method of the Dataspace Protocol 2025-1, got another",
        hint=Text("See /.well-known/dspace-version for the versions spoken here.", "请查看 /.well-known/dspace-version 了解所支持的版本。"),
    )


def _too_slow() -> Invalid:
    return Invalid(
        "message.too-slow",
        f"expected the whole message within {BODY_S:g} seconds, got a part of it",
        hint=Text("Send the message at once.", "请一次性发送完整消息。"),
    )


def _too_large() -> Invalid:
    return Invalid(
        "message.too-large",
        f"expected at most {MAX_BYTES} bytes, got more",
        hint=Text("Send a smaller message.", "请发送更小的消息。"),
    )
