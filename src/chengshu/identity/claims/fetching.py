"""Everything that verifying claims asks other hosts for, over the one outgoing policy."""

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import httpx

from chengshu.identity.claims.documents import Document, key_document, parsed, web_address
from chengshu.identity.claims.faults import fault
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import Denied, Invalid, Unidentified
from chengshu.kernel.outgoing import Outgoing, bounded

TIMEOUT_S = 5.0
PATIENCE_S = 10.0
MAX_BYTES = 1024 * 1024
KEPT_S = 300.0
MAX_KEPT = 256


@dataclass(frozen=True, slots=True)
class Question:
    """One request: what for (the end of the fault's code), where, and what is sent, if anything."""

    what: str
    url: str
    body: Mapping[str, Any] | None = None
    authorization: str | None = None


class Fetching:
    """Asks for documents, presentations, lists and schemas; each answer bounded in size and time, none by a redirect."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._development = outgoing.development
        self._client = outgoing.client(timeout_s=TIMEOUT_S, patience_s=PATIENCE_S, accept="*/*")
        self._kept: OrderedDict[str, tuple[float, Document]] = OrderedDict()
        self._lock = Lock()

    def text(self, question: Question) -> str:
        """Return the text of an answer of status 200; a fault with the question's code for everything else."""
        headers = {} if question.authorization is None else {"Authorization": question.authorization}
        method = "GET" if question.body is None else "POST"
        try:
            with self._client.stream(method, question.url, json=question.body, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    raise fault(question.what, f"expected status 200, got {response.status_code}")
                return bounded(response, limit=MAX_BYTES, until=time.monotonic() + PATIENCE_S).decode()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise fault(question.what, f"expected an answer, got {silence_of(error)}") from error
        except (Denied, Invalid) as error:
            raise fault(question.what, error.message) from error
        except ValueError as error:
            raise fault(question.what, "expected a text, got other bytes") from error

    def json(self, question: Question) -> Mapping[str, Any]:
        """Return the JSON object of an answer; faults as :meth:`text`."""
        try:
            value = json.loads(self.text(question))
        except (ValueError, RecursionError) as error:
            raise fault(question.what, "expected JSON, got something else") from error
        if not isinstance(value, dict):
            raise fault(question.what, "expected a JSON object, got another kind")
        return value

    def document(self, did: str) -> Document:
        """Return the document of a ``did:web`` or ``did:key``; the former are kept for five minutes, at most 256 of them."""
        if did.startswith("did:key:"):
            return key_document(did)
        with self._lock:
            at, kept = self._kept.get(did, (0.0, None))
        if kept is not None and time.monotonic() - at < KEPT_S:
            return kept
        return self._fresh(did)

    def key(self, did: str, kid: Any, *, purpose: str) -> Mapping[str, Any]:
        """Return a key of ``did`` for ``purpose``; a document that does not have it is asked for once more, for keys change."""
        document = self.document(did)
        try:
            return document.key(kid, purpose=purpose)
        except Unidentified:
            if not did.startswith("did:web:"):
                raise
            return self._fresh(did).key(kid, purpose=purpose)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def _fresh(self, did: str) -> Document:
        found = parsed(did, self.json(Question("document", web_address(did, development=self._development))))
        with self._lock:
            self._kept[did] = (time.monotonic(), found)
            self._kept.move_to_end(did)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found
