"""Every message that a node of ours sends, and every answer it gives, held against the protocol's published JSON schemas."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft201909Validator
from referencing import Registry
from referencing.jsonschema import DRAFT201909

FOLDER = Path(__file__).parents[1] / "data" / "dsp" / "schemas"
_TEXT = {"type": "string", "minLength": 1}
_PROCESS = {"consumerPid": _TEXT, "providerPid": _TEXT}
_WHY = {"code": {"type": "string"}, "reason": {"type": "array", "minItems": 1}}

UNPUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "CatalogError": _WHY,
    "TransferError": _PROCESS | _WHY,
    "TransferCompletionMessage": _PROCESS,
    "TransferSuspensionMessage": _PROCESS | _WHY,
    "TransferTerminationMessage": _PROCESS | _WHY,
}
"""The members of what the kit carries no schema of; pids are required, the others are not."""

seen: dict[str, int] = {}
"""How often each kind of document was held against its schema."""

wrong: list[str] = []
"""What was sent or answered against its schema."""


@cache
def validator(kind: str) -> Draft201909Validator | None:
    """The validator for documents of one ``@type``, None where the protocol has none such (an extension of ours)."""
    if kind in UNPUBLISHED:
        members = dict(UNPUBLISHED[kind])
        head = {"@context": {"type": "array", "items": {"type": "string"}}, "@type": {"const": kind}}
        required = ["@context", "@type", *(name for name in members if name in _PROCESS)]
        return Draft201909Validator({"type": "object", "properties": head | members, "required": required})
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
    found = next(FOLDER.rglob(f"{name}-schema.json"), None)
    return None if found is None else Draft201909Validator(json.loads(found.read_text(encoding="utf-8")), registry=_registry())


@cache
def _registry() -> Registry[Any]:
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.rglob("*.json")]
    return Registry().with_resources([(one["$id"], DRAFT201909.create_resource(one)) for one in schemas])


def check(document: Any, *, of: str) -> None:
    """Remember what is against its schema in one document that a node of ours made."""
    kind = document.get("@type") if isinstance(document, dict) else None
    judge = validator(kind) if isinstance(kind, str) else None
    if judge is None or not isinstance(kind, str):
        return
    seen[kind] = seen.get(kind, 0) + 1
    wrong.extend(
        f"{of}: {kind} at {'/'.join(map(str, fault.absolute_path))}: {fault.message[:300]}" for fault in judge.iter_errors(document)
    )


def watch(client: httpx.Client) -> None:
    """Hold everything that this client sends, and everything that it is answered, against the schemas from now on."""

    def sent(request: httpx.Request) -> None:
        if "/2025-1/" in request.url.path and request.content:
            _check_body(request.content, of=f"sent to {request.url.path}")

    def answered(response: httpx.Response) -> None:
        if "/2025-1/" in response.request.url.path:
            # the body is read once, as the client under watch reads it
            stream, read = response.stream, bytearray()
            response.stream = _Copied(stream, read, lambda: _check_body(bytes(read), of=f"answer of {response.request.url.path}"))

    client.event_hooks = {"request": [sent], "response": [answered]}


def _check_body(body: bytes, *, of: str) -> None:
    try:
        document = json.loads(body)
    except ValueError:
        return
    check(document, of=of)


class _Copied(httpx.SyncByteStream):
    """A stream that keeps what was read of it, and tells when it is closed."""

    def __init__(self, stream: Any, read: bytearray, done: Any) -> None:
        self._stream, self._read, self._done = stream, read, done

    def __iter__(self) -> Any:
        for part in self._stream:
            self._read += part
            yield part

    def close(self) -> None:
        self._stream.close()
        self._done()
