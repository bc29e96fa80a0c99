"""A consumer whose token ends before, while or just after it pulls: it renews, and has the product whole and once, or nothing."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from negotiators import StepClock
from small_signaling import PROVIDER, Json, Listening, driven, listening, registered
from small_space import hang_up, kinds

from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, Unavailable
from chengshu.kernel.machine import Role
from chengshu.node import Node
from chengshu.transfer.flow.model import Extent, Order, Verb
from chengshu.transfer.flow.renewable import HTTP_PULL, TOKEN_LIFE

_NUMBERS = count()


@dataclass
class Quiet:
    """A consumer of which nothing runs by itself, so that a test decides when it fetches, and from whom."""

    node: Node
    provider: Listening
    clock: StepClock

    def started(self, address: Json | None = None, **changes: Any) -> str:
        wanted = {"process": f"process-{next(_NUMBERS)}", "participant": self.node.identity.did, **changes}
        plane, signaling = registered(self.node), self.node.moving.signaling
        asked = Order(
            "", role=Role.CONSUMER, format=HTTP_PULL, extent=Extent.FINITE, product="rows", agreement="a", counterparty=PROVIDER, **wanted
        )
        flow = signaling.prepare(plane, asked, callback=None).flow.id
        signaling.steer(plane, flow, Verb.STARTED, remote=address or self.provider.address())
        return flow

    def fetch(self, flow: str) -> bytes:
        into = self.node.folder / "out"
        into.unlink(missing_ok=True)
        return self.node.moving.receptions.fetch(flow, into).path.read_bytes()

    def nothing_is_left(self) -> bool:
        return [one.name for one in self.node.folder.iterdir() if "out" in one.name] == []


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, StepClock]]:
    clock = StepClock()
    node = driven(tmp_path_factory.mktemp("quiet"), "quiet", clock=clock, plane="http://127.0.0.1:9")
    yield node, clock
    node.moving.close()
    hang_up(node)


@pytest.fixture
def quiet(still: tuple[Node, StepClock]) -> Iterator[Quiet]:
    node, clock = still
    with listening() as provider:
        yield Quiet(node, provider, clock)
    for file in node.folder.glob("out*"):
        file.unlink()


def claims_of(proof: str) -> Json:
    part = proof.split(".")[1]
    claims: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_token_that_ends_in_the_middle_of_a_pull_is_renewed_and_nothing_is_lost_or_doubled(quiet: Quiet) -> None:
    flow = quiet.started()

    def end() -> None:
        quiet.clock.now += TOKEN_LIFE
        quiet.provider.access = "none is good now"

    quiet.provider.cut = end
    assert quiet.fetch(flow) == quiet.provider.product
    assert quiet.provider.pulled == ["Bearer first", "Bearer access-1"]
    ((proof, form),) = quiet.provider.asked
    assert form == {"grant_type": "refresh_token", "refresh_token": "refresh-first"}
    own, claims = quiet.node.identity.did, claims_of(proof)
    assert (claims["iss"], claims["sub"], claims["aud"], claims["token"]) == (own, own, PROVIDER, "first")
    assert kinds(quiet.node, flow)[-2:] == ["delivery.renewed", "delivery.received"]
    assert quiet.fetch(flow) == quiet.provider.product  # with the token that was kept
    assert len(quiet.provider.asked) == 1


def test_a_provider_whose_clock_is_ahead_says_that_the_token_has_ended(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.provider.access = "ended sooner than said"
    assert quiet.fetch(flow) == quiet.provider.product
    assert quiet.provider.pulled == ["Bearer first", "Bearer access-1"]


def test_a_token_is_renewed_a_moment_before_it_ends(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.clock.now += TOKEN_LIFE - timedelta(seconds=5)
    assert quiet.fetch(flow) == quiet.provider.product
    assert quiet.provider.pulled == ["Bearer access-1"]
    quiet.clock.now += TOKEN_LIFE
    assert quiet.fetch(flow) == quiet.provider.product
    assert [form["refresh_token"] for _, form in quiet.provider.asked] == ["refresh-first", "refresh-1"]  # each used once


def test_a_provider_that_rotates_nothing_and_says_no_life_is_renewed_by_what_is_known(quiet: Quiet) -> None:
    flow = quiet.started()

    def answer() -> tuple[int, bytes]:
        quiet.provider.access = f"other-{len(quiet.provider.asked)}"
        return 200, json.dumps({"access_token": quiet.provider.access, "token_type": "Bearer"}).encode()

    quiet.provider.answer = answer
    for expected in (1, 2):
        quiet.clock.now += TOKEN_LIFE
        assert quiet.fetch(flow) == quiet.provider.product
        assert len(quiet.provider.asked) == expected


def test_without_a_refresh_endpoint_the_endpoint_itself_renews(quiet: Quiet) -> None:
    address = quiet.provider.address()
    address["endpointProperties"] = [one for one in address["endpointProperties"] if one["name"] != "refreshEndpoint"]
    flow = quiet.started({**address, "endpoint": f"{quiet.provider.url}/token"})
    quiet.clock.now += TOKEN_LIFE
    assert quiet.fetch(flow) == quiet.provider.product
    assert len(quiet.provider.asked) == 1


def test_many_fetches_at_once_renew_once(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.clock.now += TOKEN_LIFE
    with ThreadPoolExecutor(4) as threads:
        files = [quiet.node.folder / f"out{number}" for number in range(4)]
        list(threads.map(lambda file: quiet.node.moving.receptions.fetch(flow, file), files))
    assert [file.read_bytes() == quiet.provider.product for file in files] == [True] * 4
    assert len(quiet.provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, b'{"error": "invalid_grant"}', Denied),
        (401, b"", Denied),
        (404, b"", Denied),
        (503, b"", Unavailable),
        (429, b"", Unavailable),
        (200, b"[]", Invalid),
        (200, b"{", Invalid),
        (200, b"[" * 70_000, Invalid),
        (200, b'{"token_type": "bearer"}', Invalid),
        (200, b'{"access_token": "a"}', Invalid),
        (200, b'{"access_token": "a\\n", "token_type": "bearer"}', Invalid),
        (200, b'{"access_token": "a", "token_type": "mac"}', Invalid),
        (200, b'{"access_token": "a", "token_type": "bearer", "expires_in": "soon"}', Invalid),
        (200, b'{"access_token": "a", "token_type": "bearer", "expires_in": true}', Invalid),
        (200, b'{"access_token": "a", "token_type": "bearer", "refresh_token": 5}', Invalid),
    ],
)
def test_a_provider_that_does_not_renew_leaves_the_address_as_it_was(
    quiet: Quiet, status: int, content: bytes, kind: type[ChengshuError]
) -> None:
    flow = quiet.started()
    quiet.clock.now += TOKEN_LIFE
    quiet.provider.answer = lambda: (status, content)
    with pytest.raises(kind):
        quiet.fetch(flow)
    assert (quiet.nothing_is_left(), quiet.provider.pulled) == (True, [])
    quiet.provider.answer = None
    assert quiet.fetch(flow) == quiet.provider.product


def test_a_pull_that_is_refused_for_another_reason_is_not_renewed(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.provider.cut = lambda: None  # it breaks off while the token is good
    with pytest.raises(Unavailable):
        quiet.fetch(flow)
    assert (quiet.provider.asked, quiet.nothing_is_left()) == ([], True)
    assert quiet.fetch(flow) == quiet.provider.product


def test_an_address_that_the_control_plane_brings_meanwhile_is_the_address(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.clock.now += TOKEN_LIFE

    def answer() -> tuple[int, bytes]:
        renewed = quiet.provider.renewed()
        quiet.provider.access = "brought"
        quiet.node.moving.signaling.steer(registered(quiet.node), flow, Verb.STARTED, remote=quiet.provider.address())
        return renewed

    quiet.provider.answer = answer
    assert quiet.fetch(flow) == quiet.provider.product
    assert quiet.provider.pulled == ["Bearer brought"]


def test_a_flow_that_is_ended_while_its_token_is_renewed_stays_ended(quiet: Quiet) -> None:
    flow = quiet.started()
    quiet.clock.now += TOKEN_LIFE

    def answer() -> tuple[int, bytes]:
        quiet.node.moving.signaling.steer(registered(quiet.node), flow, Verb.TERMINATE)
        return quiet.provider.renewed()

    quiet.provider.answer = answer
    with pytest.raises(Conflict):
        quiet.fetch(flow)
    assert (quiet.provider.pulled, kinds(quiet.node, flow)[-1]) == ([], "delivery.terminated")


def test_a_token_is_not_renewed_as_a_participant_whose_key_is_elsewhere(quiet: Quiet) -> None:
    flow = quiet.started(participant="did:web:consumer.example")
    assert quiet.fetch(flow) == quiet.provider.product
    quiet.clock.now += TOKEN_LIFE
    with pytest.raises(Conflict, match="whose key this node has"):
        quiet.fetch(flow)
    assert quiet.provider.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"endpointType": "https://w3id.org/idsa/v4.1/HTTP"},
        {"endpoint": "ftp://127.0.0.1/data"},
        {"endpoint": None},
        {"endpoint": ""},
        {"endpointProperties": None},
        {"endpointProperties": [5, {"name": ["authorization"], "value": "a"}, {"name": "authType"}]},
        {"endpointProperties": []},
        {"properties": {"authType": "basic"}},
        {"properties": {"expiresIn": "soon"}},
        {"properties": {"expiresIn": "-1"}},
        {"properties": {"refreshToken": ""}},
        {"properties": {"refreshEndpoint": "file:///etc/passwd"}},
        {"properties": {"refreshEndpoint": "http://user@127.0.0.1/"}},
        {"properties": {"refreshEndpoint": "http://169.254.169.254/token#"}},
    ],
)
def test_an_address_that_is_not_of_the_profile_changes_nothing(quiet: Quiet, changes: Json) -> None:
    address = quiet.provider.address(**changes.get("properties", {})) | {
        key: value for key, value in changes.items() if key != "properties"
    }
    before = kinds(quiet.node)
    with pytest.raises((Invalid, Denied)):
        quiet.started(address)
    assert kinds(quiet.node) == [*before, "delivery.requested"]
