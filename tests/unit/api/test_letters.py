"""What comes to a node's door from strangers, and from known parties that send what no message is: always one of our answers."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from chengshu.cli import verbs
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.canonical import canonical
from chengshu.node import Node
from chengshu.testing import Space

ROUTES = (
    "/room/jobs",
    "/room/jobs/standing",
    "/room/jobs/cancel",
    "/room/schemas",
    "/room/terms",
    "/room/inputs",
    "/room/data",
    "/room/receipts",
    "/room/statements",
)
OURS = {"kind", "code", "message", "hint", "facts"}


@dataclass(frozen=True)
class Door:
    """A served clean room, and a party that it knows."""

    room: Node
    firm: Node

    def post(self, path: str, body: bytes, *, authorization: str | None = None) -> httpx.Response:
        """Send bytes to the door, signed by the firm unless another authorization is given."""
        signed = self.firm.credentials.issue(self.room.identity.did, SignedRequest("POST", path, body))
        headers = {"Authorization": signed if authorization is None else authorization, "Content-Type": "application/json"}
        return httpx.post(self.room.settings.serve.address + path, content=body, headers=headers, trust_env=False, timeout=10)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with Space(tmp_path_factory.mktemp("door")) as space:
        yield Door(space.add("room", clean_room=True), space.add("firm"))
    for node in space.nodes.values():
        node.peers.close()
        node.asker._nodes._client.close()  # type: ignore[attr-defined]  # the port has no close; the adapter's client has


def said(response: httpx.Response) -> dict[str, Any]:
    """The error in an answer, once it is found to be one of ours."""
    answer = dict(response.json())
    assert answer.keys() == OURS
    return answer


def test_a_node_says_who_it_is_to_anybody(door: Door) -> None:
    answer = httpx.get(door.room.settings.serve.address + "/health", trust_env=False).json()
    assert (answer["node"], answer["name"]["en"]) == (door.room.identity.did, "Room")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/room", "/room/absent", "/"])
def test_there_is_nothing_else_to_see(door: Door, path: str) -> None:
    assert httpx.get(door.room.settings.serve.address + path, trust_env=False).status_code in {401, 404, 405}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x.y.z", "Basic Zmlyb206c2VjcmV0"])
def test_whoever_does_not_prove_who_is_asking_is_unidentified(door: Door, path: str, authorization: str) -> None:
    response = door.post(path, b"{}", authorization=authorization)
    assert (response.status_code, said(response)["kind"]) == (401, "Unidentified")


@pytest.mark.parametrize("path", ROUTES)
def test_a_token_for_another_body_or_another_path_is_no_token(door: Door, path: str) -> None:
    for other in (SignedRequest("POST", path, b"[]"), SignedRequest("POST", "/room/other", b"{}"), SignedRequest("GET", path, b"{}")):
        token = door.firm.credentials.issue(door.room.identity.did, other)
        assert door.post(path, b"{}", authorization=token).status_code == 401


def test_a_token_serves_once(door: Door) -> None:
    token = door.firm.credentials.issue(door.room.identity.did, SignedRequest("POST", "/room/schemas", b"{}"))
    answers = [door.post("/room/schemas", b"{}", authorization=token).status_code for _ in range(2)]
    assert answers == [400, 401]


def test_a_party_that_is_not_on_the_trust_list_is_unidentified(door: Door, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Space(tmp_path_factory.mktemp("stranger")) as space:
        stranger = space.add("stranger")
        verbs.add_peer(stranger, verbs.describe(door.room))  # which does not make the room know the stranger
        token = stranger.credentials.issue(door.room.identity.did, SignedRequest("POST", "/room/schemas", b"{}"))
        assert door.post("/room/schemas", b"{}", authorization=token).status_code == 401
    stranger.peers.close()
    stranger.asker._nodes._client.close()  # type: ignore[attr-defined]  # the port has no close; the adapter's client has


JUNK = base64.b64encode(b"x" * 64).decode()
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"job": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "an empty object": b"{}",
    "members of another kind": canonical({"job": 1, "signature": 2, "product": 3, "token": 4, "receipt": 5, "document": 6, "signer": 7}),
    "empty objects inside": canonical(
        {"job": {}, "signature": "", "product": "", "token": "", "receipt": {}, "document": {}, "signer": ""}
    ),
    "lists inside": canonical({"job": [], "signature": [], "product": [], "token": [], "receipt": [], "document": [], "signer": []}),
    "no base64": canonical({"job": {"id": "x"}, "signature": "%", "product": "x", "receipt": {"room": "x"}, "document": {}, "signer": "x"}),
    "junk signatures": canonical(
        {"job": {"id": "x"}, "signature": JUNK, "receipt": {"room": "x"}, "document": {"statement": "x"}, "signer": "did"}
    ),
    "half a base64": canonical(
        {"job": {}, "signature": "abc", "product": "x", "receipt": {"job": "x", "state": "x", "room": "x"}, "document": {}, "signer": "x"}
    ),
    "very deep": b'{"job":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a number out of range": b'{"job": 1e999}',
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_message_is_answered_by_one_of_our_errors_and_never_by_a_crash(door: Door, path: str, body: str) -> None:
    response = door.post(path, BODIES[body])
    assert 400 <= response.status_code < 500
    error = said(response)
    assert error["kind"] in {"Invalid", "NotFound", "Denied", "Tampered", "Unidentified", "Conflict"}
    assert error["hint"]


def test_a_body_above_the_limit_is_not_read_to_its_end(door: Door) -> None:
    response = door.post("/room/schemas", b'{"product": "' + b"x" * (9 * 1024 * 1024) + b'"}')
    assert (response.status_code, said(response)["code"]) == (400, "api.malformed")


def test_a_product_that_is_not_there_is_not_found(door: Door) -> None:
    response = door.post("/room/schemas", canonical({"product": "absent"}))
    assert (response.status_code, said(response)["code"]) == (404, "product.unknown")


def test_a_node_without_a_clean_room_takes_no_jobs(door: Door) -> None:
    body = json.dumps({"job": {}, "signature": ""}).encode()
    token = door.room.credentials.issue(door.firm.identity.did, SignedRequest("POST", "/room/jobs", body))
    url = door.firm.settings.serve.address + "/room/jobs"
    response = httpx.post(url, content=body, headers={"Authorization": token}, trust_env=False)
    assert response.status_code in {401, 404}
