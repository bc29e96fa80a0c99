"""Other nodes over HTTP: each request signed for exactly one receiver, path and body; answers bounded in size."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from chengshu.cleanroom.ports import Arrival
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import canonical
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable, Unidentified
from chengshu.kernel.straight import posted
from chengshu.kernel.text import Text

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REASON = 400
MAX_REFUSAL_BYTES = 1_000_000
_KINDS: dict[int, type[ChengshuError]] = {400: Invalid, 401: Unidentified, 403: Denied, 404: NotFound, 409: Conflict, 422: Tampered}


class HttpNodes:
    """Speaks to the parties on the trust list and to nobody else, as :class:`chengshu.kernel.outgoing.Outgoing` allows it."""

    def __init__(self, identity: Identity, *, credentials: CredentialSource, timeout_s: float = TIMEOUT_S) -> None:
        self._identity = identity
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._client = identity.outgoing.client(timeout_s=timeout_s, accept="*/*")

    def post(self, party: str, path: str, message: Mapping[str, Any], *, patience_s: float = 0.0) -> dict[str, Any]:
        """Send JSON to a party's node and return its JSON answer; ``patience_s`` is how long it may be silent, who computes meanwhile.

        Raises Unavailable where trying again may help, and the peer's own kind of error, with its code and reason, otherwise.
        """
        with self._sent(party, path, message, patience_s=patience_s) as response:
            answer = json.loads(b"".join(_bounded(response, MAX_ANSWER_BYTES)) or b"{}")
        if not isinstance(answer, dict):
            raise Invalid("peer.answer", "expected a JSON object as answer, got another kind", hint=_THEIR_WORDS)
        return answer

    def fetch(self, party: str, path: str, message: Mapping[str, Any], *, most: int) -> bytes:
        """Send JSON to a party's node and return the bytes of its answer, at most ``most``; raises as :meth:`post`."""
        with self._sent(party, path, message) as response:
            return b"".join(_bounded(response, most))

    def close(self) -> None:
        """Close the lines to other nodes; the next message opens them again."""
        self._client.close()

    def pull(self, party: str, token: str, into: Arrival, *, job: str, product: str, patience_s: float = 0.0) -> None:
        """Take in what ``into`` lacks of a product; raises as :meth:`post`, and as :meth:`Arrival.take` for what comes.

        Raises Conflict for a holder that sends its rows unencrypted, as nodes of before did; none of them is read.
        ``patience_s`` is how long its holder may be silent, who reads the whole product where it lies before the first of it goes out.
        """
        path, (origin, name) = "/room/data", self._receiver(party)
        body = canonical({"token": token, **into.asking()})
        headers = self._headers(party, path, body)
        patience_s = max(self._timeout_s, patience_s)
        with (
            _reached(name),
            posted(
                self._identity.outgoing, origin + path, body, headers=headers, timeout_s=self._timeout_s, patience_s=patience_s
            ) as answer,
        ):
            if answer.status >= 300:
                raise _refused(answer.status, answer.read(MAX_REFUSAL_BYTES), name=name)
            if answer.media_type not in into.media_types:
                raise _not_sealed(product, expected=into.media_types, got=answer.media_type)
            into.take(answer, media_type=answer.media_type, job=job, product=product, token=token)

    @contextmanager
    def _sent(self, did: str, path: str, message: Mapping[str, Any], *, patience_s: float = 0.0) -> Iterator[httpx.Response]:
        origin, name = self._receiver(did)
        body = canonical(dict(message))
        headers, timeout = self._headers(did, path, body), httpx.Timeout(self._timeout_s, read=max(self._timeout_s, patience_s))
        with _reached(name), self._client.stream("POST", origin + path, content=body, headers=headers, timeout=timeout) as response:
            if response.status_code >= 300:
                raise _refused(response.status_code, b"".join(_bounded(response, MAX_REFUSAL_BYTES)), name=name)
            yield response

    def _headers(self, did: str, path: str, body: bytes) -> dict[str, str]:
        token = self._credentials.issue(did, SignedRequest("POST", path, body))
        return {"Authorization": token, "Content-Type": "application/json"}

    def _receiver(self, did: str) -> tuple[str, str]:
        if did == self._identity.did:
            address, name = self._identity.address, "this node itself"
        else:
            party = self._identity.get(did)
            address, name = party.address, party.name_en
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc}", name


@contextmanager
def _reached(name: str) -> Iterator[None]:
    """Say in our words what a network does."""
    try:
        yield
    except (httpx.TransportError, ValueError) as error:
        raise Unavailable(
            "peer.unreachable",
            f"expected {name} to answer, got {silence_of(error)}",
            hint=Text("Check that the party's node runs and that its address is right.", "请确认对方节点正在运行且地址正确。"),
        ) from error


def _not_sealed(product: str, *, expected: Collection[str], got: str) -> Conflict:
    told = (got or "nothing that says what it is")[:MAX_REASON]
    return Conflict(
        "peer.older",
        f"{product}: expected {' or '.join(expected)}, encrypted to this job, got {told}",
        hint=Text(
            "Ask the holder to renew its node: one of before sends rows in the clear.", "请持有方升级节点：旧版节点以未加密方式发送数据。"
        ),
    )


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    taken = 0
    for chunk in response.iter_raw():
        taken += len(chunk)
        if taken > limit:
            raise Invalid("peer.answer", f"expected an answer of at most {limit} bytes, got more", hint=_THEIR_WORDS)
        yield chunk


def _refused(status: int, body: bytes, *, name: str) -> ChengshuError:
    try:
        document = json.loads(body)
        code, reason = str(document["code"])[:MAX_REASON], str(document["message"])[:MAX_REASON]
    except (ValueError, KeyError, TypeError):
        code, reason = "peer.refused", f"status {status} without a reason"
    kind = _KINDS.get(status, Unavailable)
    return kind(code, f"{name}: {reason}", hint=_THEIR_WORDS)


_THEIR_WORDS = Text("The reason is the other node's own; ask its operator.", "该原因由对方节点给出，请联系其运营人员。")
