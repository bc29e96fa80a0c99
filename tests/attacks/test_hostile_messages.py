"""Hostile input at every path of the Dataspace Protocol: every answer is a typed error or what the protocol allows, none is a 500.

The paths are read off the application and the messages off their shapes, so that a new path or message is covered by itself.
"""

import gzip
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from fastapi.routing import APIRoute
from small_deliveries import Pair, raised_pair

from chengshu.api.app import create_app
from chengshu.dsp.messages import agreement, catalog, negotiation, policy, transfer  # noqa: F401  # every shape there is
from chengshu.dsp.messages.shapes import CONTEXT, MAX_BYTES, Message, parse
from chengshu.dsp.routes import door
from chengshu.dsp.translate.words import segment
from chengshu.identity.credentials.request import SignedRequest
from chengshu.transfer.flow.model import Extent

ERRORS = {
    "catalog": "CatalogError",
    "negotiations": "ContractNegotiationError",
    "transfers": "TransferError",
    "agreements": agreement.ERROR,
}
NO_VALUE = object()
NOT_HTTP = b"Invalid HTTP request received."
USUAL = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"}


@dataclass
class Target:
    """A served provider with one negotiation, transfer and agreement, and the party that attacks it with valid credentials."""

    pair: Pair
    ids: dict[str, str]
    client: httpx.Client
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.pair.provider.identity.address

    def paths(self, method: str) -> list[str]:
        """Every path of the protocol that takes this method, for the negotiation, transfer and agreement that are there."""
        routes = [one for one in all_routes(create_app(self.pair.provider).routes) if method in one.methods]
        below = [one.path.removeprefix("/2025-1") for one in routes if one.path.startswith("/2025-1/") and "{rest" not in one.path]
        return sorted({re.sub(r"\{[^}]*\}", segment(self.ids[path.split("/")[1]]), path) for path in below})

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        """One request with a valid credential of the attacker's."""
        url = self.address + path
        whole = httpx.URL(url).raw_path.decode()
        signed = self.pair.consumer.credentials.issue(self.pair.provider.identity.did, SignedRequest(method, whole, body))
        return self.client.request(method, url, content=body, headers={"Authorization": signed, **headers})

    def kind_at(self, path: str) -> type[Message]:
        """The message that a path takes, as the door itself says it."""
        answer = self.send("POST", path, json.dumps({"@context": [CONTEXT], "@type": "?"}).encode()).json()
        name = answer["reason"][0].partition(":")[0]
        return next(kind for kind in shapes(Message) if kind.__name__ == name)


def all_routes(routes: Iterable[Any]) -> list[APIRoute]:
    """The routes of an application, those of its routers too."""
    found: list[APIRoute] = []
    for one in routes:
        if isinstance(one, APIRoute):
            found.append(one)
        elif hasattr(one, "original_router"):
            found += all_routes(one.original_router.routes)
    return found


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with raised_pair(tmp_path_factory.mktemp("hostile")) as pair, httpx.Client(trust_env=False, timeout=30) as client:
        _, transfer_pid = pair.started("rows", extent=Extent.NON_FINITE)
        negotiation_pid = pair.provider.contracts.negotiations()[0].id
        ids = {"catalog": "rows", "negotiations": negotiation_pid, "transfers": transfer_pid, "agreements": pair.agreements["rows"]}
        yield Target(pair, ids, client)


def shapes(kind: type[Message]) -> list[type[Message]]:
    return [one for below in kind.__subclasses__() for one in (below, *shapes(below))]


def faults(answer: httpx.Response, path: str) -> list[str]:
    """What is wrong with an answer; none where it is an acceptance or a typed error of the path's family."""
    name = f"{answer.request.method} {path}"
    if answer.status_code in {200, 201}:
        return []
    if answer.content == NOT_HTTP and answer.request.method not in USUAL:
        return []  # a method that the server's own parser does not take for HTTP
    if answer.status_code not in {400, 404}:
        return [f"{name}: status {answer.status_code}"]
    try:
        document = answer.json()
    except ValueError:
        return [f"{name}: no JSON but {answer.content[:80]!r}"]
    expected = ERRORS.get(path.split("/")[1], "CatalogError") if "/" in path else "CatalogError"
    is_typed = document.get("@type") == expected and document.get("@context") == [CONTEXT]
    has_words = isinstance(document.get("code"), str) and bool(document.get("reason")) and all(document["reason"])
    has_pids = expected == "CatalogError" or all(document.get(pid) for pid in ("consumerPid", "providerPid"))
    return [] if is_typed and has_words and (has_pids or expected == agreement.ERROR) else [f"{name}: {document}"]


# --- every member of every message, missing or of another kind


def sample(schema: dict[str, Any], root: dict[str, Any], within: tuple[str, ...] = ()) -> Any:
    """A value that a JSON schema allows, with every member that it names; a shape within itself (a catalog in a catalog) is left out."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return sample(root["$defs"][name], root, (*within, name))
    if "anyOf" in schema:
        returns = any(f'/{name}"' in json.dumps(schema["anyOf"][0]) for name in within)
        return sample(schema["anyOf"][-1 if returns else 0], root, within)
    fixed = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return fixed[0] if fixed else sample_of_type(schema, root, within)


def sample_of_type(schema: dict[str, Any], root: dict[str, Any], within: tuple[str, ...]) -> Any:
    """A value of the type that a JSON schema names; where it names none, a constraint."""
    match schema.get("type"):
        case "object":
            return {name: sample(one, root, within) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items", {}), root, within)] * schema.get("minItems", 1)
        case "string":
            return "2026-11-27T08:00:00Z" if "pattern" in schema else "urn:a/b=c:1"
        case "integer" | "number":
            return 1
        case "null":
            return None
        case _:
            return {"leftOperand": "count", "operator": "eq", "rightOperand": "1"}


def valid(kind: type[Message]) -> dict[str, Any]:
    """A message of a kind that its own shape accepts."""
    schema = kind.model_json_schema(by_alias=True)
    message = sample(schema, schema) | {"@context": [CONTEXT]}
    if kind.__name__ in {"ContractRequestMessage", "ContractOfferMessage"}:
        del message["callbackAddress"]
    parse(kind, message)
    return message


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where every member of a message is, its members' members too."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A message with another value at one place, or none."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is NO_VALUE:
        del copy[path[0]]  # type: ignore[arg-type]  # the key fits its container
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], new)  # type: ignore[index]  # as above
    return copy


OTHER_VALUES: list[Any] = [NO_VALUE, None, True, 7, 1.5, "", "x" * 5000, "\0", [], [[]], {}, {"@id": {}}, "\u202e\u0007<b>"]


def test_every_message_has_a_valid_sample() -> None:
    kinds = [kind for kind in shapes(Message) if "type" in kind.model_fields]
    assert {len(valid(kind)) > 1 for kind in kinds} == {True}
    assert len(kinds) >= 15


def test_every_member_missing_or_of_another_kind_is_answered_by_a_typed_error(target: Target) -> None:
    found, sent = [], 0
    for path in target.paths("POST"):
        whole = valid(target.kind_at(path))
        for place in places(whole):
            for new in OTHER_VALUES if len(place) == 1 else OTHER_VALUES[:2]:
                body = json.dumps(changed(whole, place, new)).encode()
                found += [f"{fault} with {new!r:.40} at {place}" for fault in faults(target.send("POST", path, body), path)]
                sent += 1
    assert found == []
    assert sent > 500


# --- bodies that are no message at all


def nested(levels: int, opening: bytes, inner: bytes, closing: bytes) -> bytes:
    return opening * levels + inner + closing * levels


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "space": b" \n\t ",
    "broken": b'{"a": ',
    "no object": b"[]",
    "text": b'"x"',
    "number": b"1",
    "huge number": b'{"a": ' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"a": 1e999999}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate in a name": b'{"\\udfff": 1}',
    "a member twice": b'{"@type": "x", "@type": "y"}',
    "NUL": b"\0" * 100,
    "deep objects": nested(5000, b'{"a":', b"1", b"}"),
    "deep arrays": nested(200_000, b"[", b"", b"]"),
    "deep below the limit": b'{"a":' + nested(30, b"[", b"", b"]") + b"}",
    "many members": json.dumps({f"m{number}": number for number in range(50_000)}).encode(),
    "many equal values": b'{"a": [' + b"0," * 300_000 + b"0]}",
    "long name": json.dumps({"x" * 900_000: 1}).encode(),
    "too large": b'{"a": "' + b"x" * MAX_BYTES + b'"}',
    "compressed bomb": gzip.compress(b"0" * 50_000_000),
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "form": b"a=1&b=2",
}

CONTEXTS: dict[str, Any] = {
    "remote": ["https://evil.example/context.jsonld", CONTEXT],
    "remote alone": "https://evil.example/context.jsonld",
    "link-local": [CONTEXT, "http://169.254.169.254/latest/meta-data"],
    "file": [CONTEXT, "file:///etc/passwd"],
    "object": [CONTEXT, {"consumerPid": "@id", "@vocab": "https://evil.example/"}],
    "object alone": {"@import": "https://evil.example/"},
    "recursive": {"@context": {"@context": {"@context": CONTEXT}}},
    "null": None,
    "nothing": [],
    "many": [CONTEXT] * 50_000,
    "number": 7,
    "another version": ["https://w3id.org/dspace/2024/1/context.json"],
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_answered_by_a_typed_error_at_every_path(target: Target, name: str) -> None:
    kind = {"Content-Encoding": "gzip"} if name == "compressed bomb" else {}
    found = []
    for path in target.paths("POST"):
        answer = target.send("POST", path, BODIES[name], **kind)
        found += faults(answer, path) + ([f"{path} took it"] if answer.is_success else [])
    assert found == []


@pytest.fixture
def called() -> Iterator[list[str]]:
    """Every host that this process, served nodes included, looks up or connects to from now on, as the interpreter itself reports it."""
    hosts: list[str] = []
    watching = True

    def heard(event: str, told: tuple[Any, ...]) -> None:
        if watching and event == "socket.getaddrinfo":
            hosts.append(str(told[0]))
        elif watching and event == "socket.connect" and isinstance(told[1], tuple):
            hosts.append(str(told[1][0]))

    sys.addaudithook(heard)  # there is no taking it away again: afterwards it hears nothing
    yield hosts
    watching = False


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_hostile_context_is_never_fetched(target: Target, name: str, called: list[str]) -> None:
    socket.getaddrinfo("localhost", 80)  # what is looked up is seen
    found = []
    for path in target.paths("POST"):
        message = valid(target.kind_at(path)) | {"@context": CONTEXTS[name]}
        found += faults(target.send("POST", path, json.dumps(message).encode()), path)
    assert found == []
    assert {"localhost", "127.0.0.1"} >= set(called) >= {"localhost"}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/ld+json", "a" * 4000]
)
def test_any_content_type_is_read_as_json_or_refused(target: Target, kind: str) -> None:
    found = []
    for path in target.paths("POST"):
        answer = target.send("POST", path, b'{"@type": "?"}', **{"Content-Type": kind})
        found += faults(answer, path)
    assert found == []


# --- paths, methods, headers


STRANGE_IDS = [
    "%00",
    "%ff%fe",
    "..%2f..%2fetc%2fpasswd",
    "%zz",
    "a" * 4000,
    "'%20OR%201=1--",
    "%F0%9F%98%80",
    "urn%3Ax%2Fy%3Dz",
    "//",
    "%2e%2e",
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "PROPFIND"]


@pytest.mark.parametrize("name", STRANGE_IDS)
def test_a_strange_id_is_unknown_and_nothing_else(target: Target, name: str) -> None:
    found = []
    for path in ("/catalog/datasets/", "/negotiations/", "/transfers/", "/agreements/"):
        found += faults(target.send("GET", path + name), path)
        found += faults(target.send("POST", path + name + "/termination", b"{}"), path)
    assert found == []


@pytest.mark.parametrize("method", METHODS)
def test_any_method_at_any_path_is_answered_by_a_typed_error(target: Target, method: str) -> None:
    found = []
    for path in {*target.paths("POST"), *target.paths("GET"), "/", "/nothing", "/negotiations", "/transfers/a/b/c/d", "/catalog"}:
        answer = target.send(method, path)
        if method != "HEAD":  # an answer to HEAD has no body
            found += faults(answer, path)
        assert answer.status_code < 500
    assert found == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1&limit=2", "continuationToken=x", "continuationToken=" + "A" * 8000, "%00=%ff", "a&" * 500]
)
def test_a_hostile_query_is_answered_by_a_typed_error(target: Target, query: str) -> None:
    body = json.dumps({"@context": [CONTEXT], "@type": "CatalogRequestMessage"}).encode()
    for method, content in (("POST", body), ("GET", b"")):
        assert faults(target.send(method, f"/catalog/request?{query}", content), "/catalog/request") == []


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer a.b.c", "Basic eDp5", "x" * 8000, "Bearer " + "é" * 50, "Bearer " + "." * 5000, "{}"]
)
def test_an_absurd_credential_gets_a_typed_404(target: Target, value: str) -> None:
    for path in target.paths("POST"):
        answer = target.client.post(target.address + path, content=b"{}", headers={"Authorization": value.encode("latin-1")})
        assert (answer.status_code, faults(answer, path)) == (404, [])


# --- the wire


def spoken(target: Target, raw: bytes, *, more: Callable[[socket.socket], None] | None = None, wait_s: float = 20.0) -> bytes:
    """What the node answers to bytes on a socket, until it closes or is silent."""
    parts = urlsplit(target.address)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=wait_s) as line:
        answer = b""
        try:
            line.sendall(raw)
            if more is not None:
                more(line)
            while part := line.recv(65536):
                answer += part
                if len(answer) > 1 << 22:
                    break
        except OSError:
            return answer
    return answer


def request(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} /2025-1{path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.mark.parametrize("path", ["/negotiations/request", "/catalog/request", "/transfers/urn/start", "/nothing/here"])
def test_a_chunked_body_without_end_is_cut_off(target: Target, path: str) -> None:
    sent = 0

    def flood(line: socket.socket) -> None:
        nonlocal sent
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            while sent < 256 << 20:
                sent += line.send(chunk)
        except OSError:
            return

    answer = spoken(target, request(path, "Transfer-Encoding: chunked"), more=flood)
    assert sent < 64 << 20
    assert answer == b"" or b"Error" in answer  # a line that is cut while we still speak may lose the answer


def test_a_body_that_trickles_is_not_waited_for_long(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BODY_S", 0.5)  # its own thirty seconds would be waited out here; nothing else of the door is changed
    began = time.monotonic()
    answer = spoken(target, request("/negotiations/request", "Content-Length: 1000", "Connection: close") + b"{")
    assert time.monotonic() - began < 15
    assert b"message.too-slow" in answer


def test_requests_one_behind_the_other_are_answered_in_their_order(target: Target) -> None:
    paths = ["/catalog/request", "/negotiations/request", "/transfers/request", "/negotiations/request"]
    pipelined = b"".join(request(path, "Content-Length: 2") + b"{}" for path in paths[:-1])
    answer = spoken(target, pipelined + request(paths[-1], "Content-Length: 2", "Connection: close") + b"{}").decode()
    assert re.findall(r'"@type":"(\w+)"', answer) == [
        "CatalogError",
        "ContractNegotiationError",
        "TransferError",
        "ContractNegotiationError",
    ]
    assert answer.count("HTTP/1.1 404") == 4


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request("/catalog/request", "Content-Length: -1"),
        request("/catalog/request", "Content-Length: 5", "Content-Length: 6") + b"{}",
        request("/catalog/request", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        request("/catalog/request", "Transfer-Encoding: chunked") + b"zz\r\n",
        request("/catalog/request", *(f"X-{number}: y" for number in range(5000))),
        request("/catalog/request", "X: " + "y" * 1_000_000),
        request("/" + "a" * 200_000),
    ],
    ids=range(11),
)
def test_what_is_no_request_harms_nobody(target: Target, raw: bytes) -> None:
    answer = spoken(target, raw, more=lambda line: line.shutdown(socket.SHUT_WR))
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]


def test_afterwards_the_node_serves_as_before_and_has_not_grown(target: Target) -> None:
    before = psutil.Process().memory_info().rss
    path = "/negotiations/request"
    for name in ("too large", "many members", "many equal values", "deep arrays", "compressed bomb") * 10:
        assert faults(target.send("POST", path, BODIES[name]), path) == []
    assert psutil.Process().memory_info().rss - before < 150 << 20
    assert target.client.get(target.address.removesuffix("/2025-1") + "/health").status_code == 200
    assert target.pair.consumer.peers.catalog(target.pair.provider.identity.did)["dataset"]
