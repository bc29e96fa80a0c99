"""Pulls by the HTTP profile of Data Plane Signaling over real sockets: the public kit's five cases, and the attacks on renewal."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest
from negotiators import StepClock
from small_signaling import PROVIDER, Json, Listening, address_of, driven_node, listening, order, properties, say
from small_space import hang_up, kinds, publish, until
from wallet import Key, Wallet, served_wallet

from chengshu.kernel.canonical import plain
from chengshu.kernel.database import metadata
from chengshu.node import Node
from chengshu.policy.model import Form, OutputForm, Policy
from chengshu.policy.odrl import to_odrl
from chengshu.transfer.flow.renewable import HTTP_PULL, HTTP_PUSH, TOKEN_LIFE

NOWHERE = "https://127.0.0.1:9/data"
"""The kit names a host of example.com; here it is one on this machine where nobody listens."""


@dataclass
class World:
    """A provider and a consumer, each driven by a control plane, and the client as whom the kit renews."""

    giver: Node
    taker: Node
    client: Wallet
    control: Listening
    clock: StepClock

    def start(self, **changes: Any) -> tuple[str, Json]:
        """Start a pull at the provider; return the flow and its address."""
        answer = say(self.giver, "start", order(PROVIDER, self.client.did("holder"), **changes))
        assert (answer.status_code, answer.json()["state"]) == (200, "STARTED"), answer.text
        return answer.json()["dataFlowId"], answer.json()["dataAddress"]

    def proof(self, access: str, **changes: Any) -> str:
        """The client's signature over a token."""
        now = int(self.clock().timestamp())
        return f"Bearer {self.client.token(**{'aud': PROVIDER, 'token': access, 'iat': now, 'exp': now + 600, **changes})}"

    def renew(self, address: Json, *, refresh: str | None = None, proof: str | None = None) -> httpx.Response:
        """Ask the refresh endpoint of an address as the kit does."""
        named = properties(address)
        form = {"grant_type": "refresh_token", "refresh_token": named["refreshToken"] if refresh is None else refresh}
        headers = {"Authorization": self.proof(named["authorization"]) if proof is None else proof}
        return httpx.post(named["refreshEndpoint"], data=form, headers=headers, trust_env=False)


def pull(address: Json, access: str | None = None) -> httpx.Response:
    token = properties(address)["authorization"] if access is None else access
    return httpx.get(address["endpoint"], headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert "access_token" not in answer.json()
    return answer.status_code, answer.json()["error"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, clock = tmp_path_factory.mktemp("renewal"), StepClock()
    with (
        served_wallet("-") as client,
        listening() as control,
        driven_node(folder, "giver", clock=clock, plane=control.url) as giver,
        driven_node(folder, "taker", clock=clock, plane=control.url) as taker,
    ):
        publish(giver, "rows", policy=to_odrl(Policy((OutputForm(Form.ROWS),))))
        yield World(giver, taker, client, control, clock)
    hang_up(giver, taker)


# --- the public kit's cases (eclipse-dataspacetck/dps-tck, verification/dataplane/http/pull) --------------------------------------------


def test_dp_p_http_pull_01_01_the_address_is_of_the_profile_and_its_token_is_renewed(world: World) -> None:
    flow, address = world.start()
    named = properties(address)
    assert (address["endpointType"], named["authType"]) == (HTTP_PULL, "bearer")
    assert address["endpoint"].startswith(("http://", "https://"))
    assert named["refreshEndpoint"].startswith(("http://", "https://"))
    assert named["authorization"]
    assert named["refreshToken"]
    assert named["expiresIn"].isdecimal()
    assert say(world.giver, f"{flow}/status").json()["state"] == "STARTED"
    answer = world.renew(address)
    given = answer.json()
    assert (answer.status_code, given["token_type"], given["expires_in"]) == (200, "Bearer", int(TOKEN_LIFE.total_seconds()))
    assert given["access_token"] not in {"", named["authorization"]}
    assert given["refresh_token"] not in {"", named["refreshToken"]}
    assert answer.headers["Cache-Control"] == "no-store"
    assert kinds(world.giver, flow) == ["delivery.started", "delivery.renewed"]


def test_dp_p_http_pull_02_01_a_refresh_token_that_was_never_issued_is_refused(world: World) -> None:
    flow, address = world.start()
    assert refused(world.renew(address, refresh="invalid-refresh-token")) == (400, "invalid_grant")
    assert kinds(world.giver, flow) == ["delivery.started"]


def test_dp_p_http_pull_02_02_a_client_token_for_another_audience_is_refused(world: World) -> None:
    _, address = world.start()
    proof = world.proof(properties(address)["authorization"], aud="did:web:invalid-audience")
    assert refused(world.renew(address, proof=proof)) == (401, "invalid_client")
    assert world.renew(address).status_code == 200  # and nothing was used up


def test_dp_c_http_pull_01_01_a_renewable_address_is_accepted(world: World) -> None:
    prepared = say(world.taker, "prepare", order("did:web:consumer.example", PROVIDER)).json()
    assert (prepared["state"], "dataAddress" in prepared) == ("PREPARED", False)
    named = {"authorization": "a", "authType": "bearer", "refreshToken": "r", "expiresIn": "300", "refreshEndpoint": NOWHERE}
    answer = say(world.taker, f"{prepared['dataFlowId']}/started", {"messageId": "m", "dataAddress": address_of(NOWHERE, **named)})
    assert answer.status_code == 200
    assert say(world.taker, f"{prepared['dataFlowId']}/status").json()["state"] == "STARTED"


def test_dp_c_http_pull_02_01_an_address_that_cannot_be_renewed_is_rejected(world: World) -> None:
    flow = say(world.taker, "prepare", order("did:web:consumer.example", PROVIDER)).json()["dataFlowId"]
    address = address_of(NOWHERE, authorization="a", authType="bearer")
    assert say(world.taker, f"{flow}/started", {"messageId": "m", "dataAddress": address}).status_code == 400
    assert say(world.taker, f"{flow}/status").json()["state"] == "PREPARED"


# --- what a provider refuses --------------------------------------------------------------------------------------------------------------


def test_a_refresh_token_is_used_once_and_its_access_token_ends_with_it(world: World) -> None:
    _, address = world.start()
    first = properties(address)
    given = world.renew(address).json()
    again = world.renew(address, proof=world.proof(given["access_token"]))
    assert refused(again) == (400, "invalid_grant")
    old = pull(address)
    assert (old.status_code, old.headers["WWW-Authenticate"], old.json()["code"]) == (
        401,
        'Bearer error="invalid_token"',
        "transfer.token-over",
    )
    next_one = world.renew(address, refresh=given["refresh_token"], proof=world.proof(given["access_token"]))
    assert next_one.status_code == 200
    assert len({first["authorization"], given["access_token"], next_one.json()["access_token"]}) == 3
    assert pull(address, given["access_token"]).status_code == 401
    assert pull(address, first["authorization"]).status_code == 404  # what was void before is unknown
    assert pa.ipc.open_stream(pull(address, next_one.json()["access_token"]).content).read_all().num_rows == 200


def test_one_of_many_that_use_a_refresh_token_at_once_gets_tokens(world: World) -> None:
    flow, address = world.start()
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: world.renew(address), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400, 400]
    assert kinds(world.giver, flow).count("delivery.renewed") == 1


@pytest.mark.parametrize("between", ["another renewal", "suspend", "terminate"])
def test_what_happens_between_finding_a_refresh_token_right_and_renewing_counts(world: World, between: str) -> None:
    flow_id, address = world.start()
    flows, database, refresh = world.giver.moving.flows, world.giver.database, properties(address)["refreshToken"]
    with database.read() as tx:
        found = flows.find_renewable(tx, flow_id, refresh)
    assert found is not None
    if between == "another renewal":
        assert world.renew(address).status_code == 200
    else:
        assert say(world.giver, f"{flow_id}/{between}").status_code == 200
    with database.write() as tx:
        assert flows.renew(tx, found, refresh) is None


def test_a_refresh_token_renews_its_own_flow_alone(world: World) -> None:
    _, mine = world.start()
    _, other = world.start()
    foreign = properties(other)["refreshToken"]
    assert refused(world.renew(mine, refresh=foreign)) == (400, "invalid_grant")
    assert refused(world.renew(mine, refresh=foreign, proof=world.proof(properties(other)["authorization"]))) == (400, "invalid_grant")
    assert refused(world.renew(mine, refresh=properties(mine)["authorization"])) == (400, "invalid_grant")
    assert [world.renew(one).status_code for one in (mine, other)] == [200, 200]


def test_another_party_does_not_renew_what_is_bound_to_the_counterparty(world: World, caplog: pytest.LogCaptureFixture) -> None:
    _, address = world.start()
    access = properties(address)["authorization"]
    issuer, strange = world.client.did("issuer"), Key()
    its_own = {"iss": issuer, "sub": issuer, "header": {"kid": f"{issuer}#key-1"}, "key": world.client.issuer_key}
    proofs = {
        "dcp-client": world.proof(access, **its_own),  # a real party with a real key, and not the one that it is bound to
        "dcp-signature": world.proof(access, key=strange),
        "dcp-key": world.proof(access, header={"kid": f"{issuer}#key-1"}, key=world.client.issuer_key),
        "dcp-access": world.proof("another token"),
        "dcp-malformed": "Bearer nonsense",
        "dcp-claims": world.proof(access, jti=None),
    }
    for reason, proof in proofs.items():
        with caplog.at_level(logging.WARNING):
            assert refused(world.renew(address, proof=proof)) == (401, "invalid_client")
        assert f"identity.{reason}]" in caplog.text  # why is for the log of the provider's operator alone
        caplog.clear()
    assert world.renew(address).status_code == 200


def test_nobody_is_asked_for_a_key_before_the_refresh_token_is_found_right(world: World) -> None:
    _, address = world.start(counterPartyId=world.client.did("unheard-of"))
    came = len(world.client.came)
    assert refused(world.renew(address, refresh="wrong")) == (400, "invalid_grant")
    assert len(world.client.came) == came
    claims = {"iss": world.client.did("unheard-of"), "sub": world.client.did("unheard-of")}
    assert refused(world.renew(address, proof=world.proof(properties(address)["authorization"], **claims))) == (401, "invalid_client")
    assert len(world.client.came) > came


@pytest.mark.parametrize(
    ("ahead_s", "life_s", "status"), [(20, 600, 200), (-20, 600, 200), (300, 600, 401), (-900, 600, 401), (0, 3600, 401), (-60, 31, 200)]
)
def test_clocks_may_differ_by_half_a_minute_and_no_more(world: World, ahead_s: int, life_s: int, status: int) -> None:
    _, address = world.start()
    issued = int(world.clock().timestamp()) + ahead_s
    proof = world.proof(properties(address)["authorization"], iat=issued, exp=issued + life_s)
    assert world.renew(address, proof=proof).status_code == status


def test_a_client_token_is_good_once(world: World) -> None:
    _, address = world.start()
    access = properties(address)["authorization"]
    given = world.renew(address, proof=world.proof(access, jti="twice")).json()
    again = world.renew(address, refresh=given["refresh_token"], proof=world.proof(given["access_token"], jti="twice"))
    assert refused(again) == (401, "invalid_client")


def test_an_access_token_ends_by_the_nodes_clock_and_is_renewed_after_that_too(world: World) -> None:
    flow, address = world.start()
    world.clock.now += TOKEN_LIFE
    assert (pull(address).status_code, pull(address, "made up").status_code) == (401, 404)
    assert kinds(world.giver, flow) == ["delivery.started"]  # nothing was begun, nothing counted
    given = world.renew(address).json()
    assert pull(address, given["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("verbs", "status"), [("suspend", 400), ("suspend resume", 400), ("terminate", 400), ("completed", 400), ("", 200)]
)
def test_tokens_of_a_flow_that_was_suspended_or_ended_are_not_renewed(world: World, verbs: str, status: int) -> None:
    flow, address = world.start()
    for verb in verbs.split():
        answer = say(world.giver, f"{flow}/{verb}")
        assert answer.status_code == 200
    assert world.renew(address).status_code == status
    if verbs == "suspend resume":  # another address came with the answer, and that one is renewed
        assert world.renew(answer.json()["dataAddress"]).status_code == 200
    assert pull(address).status_code == (404 if verbs else 401)


def test_no_token_is_kept_in_clear_or_said_in_the_log(world: World) -> None:
    flow, address = world.start()
    given = world.renew(address).json()
    named = properties(address)
    secrets = [named["authorization"], named["refreshToken"], given["access_token"], given["refresh_token"]]
    with world.giver.database.read() as tx:
        kept = [repr(tuple(row)) for table in metadata.sorted_tables for row in tx.execute(table.select())]
    said = [repr(one.body) for one in world.giver.evidence.entries(0, world.giver.evidence.size())]
    assert any(flow in row for row in kept)
    assert [secret for secret in secrets if any(secret in text for text in [*kept, *said])] == []


def test_a_form_that_is_no_refresh_is_told_as_oauth_has_it(world: World) -> None:
    _, address = world.start()
    named = properties(address)

    def ask(content: str, query: str = "") -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": world.proof(named["authorization"])}
        return httpx.post(named["refreshEndpoint"] + query, content=content, headers=headers, trust_env=False)

    right = f"grant_type=refresh_token&refresh_token={named['refreshToken']}"
    assert refused(ask("")) == (400, "unsupported_grant_type")
    assert refused(ask("grant_type=password&refresh_token=x")) == (400, "unsupported_grant_type")
    assert refused(ask("grant_type=refresh_token")) == (400, "invalid_request")
    assert refused(ask(right, f"?{right}")) == (400, "invalid_request")
    assert refused(ask(right + "&scope=" + "x" * 5000)) == (400, "invalid_request")
    assert httpx.get(named["refreshEndpoint"], trust_env=False).status_code == 405
    assert ask("", f"?{right}").status_code == 200  # the profile's own example says it in the query


def test_a_pull_by_the_profile_says_as_whom_it_is_renewed(world: World) -> None:
    assert say(world.giver, "start", order(PROVIDER, "x", participantId=None)).status_code == 400
    assert (
        say(world.giver, "start", {key: value for key, value in order(PROVIDER, "x").items() if key != "participantId"}).status_code == 400
    )


def test_a_pull_by_its_older_name_has_a_token_that_lasts_with_the_flow(world: World) -> None:
    answer = say(world.giver, "start", order(PROVIDER, "them", profile="HttpData-PULL")).json()
    assert {"refreshToken", "expiresIn"} & properties(answer["dataAddress"]).keys() == set()
    world.clock.now += timedelta(days=30)
    assert pull(answer["dataAddress"]).status_code == 200


def test_a_push_by_the_profile_has_an_address_of_its_type_and_a_token_that_lasts(world: World) -> None:
    address = say(world.taker, "prepare", order("us", "them", profile=HTTP_PUSH)).json()["dataAddress"]
    assert (address["endpointType"], properties(address).keys()) == (HTTP_PUSH, {"authorization", "authType"})
    world.clock.now += timedelta(days=30)
    headers = {"Authorization": f"Bearer {properties(address)['authorization']}"}
    assert httpx.post(address["endpoint"], content=b"x", headers=headers, trust_env=False).json()["bytes"] == 1


# --- what a consumer does -----------------------------------------------------------------------------------------------------------------


def test_a_consumer_renews_what_ended_before_it_came_and_has_the_product_once(world: World) -> None:
    us = world.taker.identity.did
    started = say(world.giver, "start", order(PROVIDER, us)).json()
    wanted = order(us, PROVIDER)
    flow = say(world.taker, "prepare", wanted).json()["dataFlowId"]
    world.clock.now += TOKEN_LIFE  # on its way the token has ended; the address says that it is good for all of its life
    assert say(world.taker, f"{flow}/started", {"messageId": "m", "dataAddress": started["dataAddress"]}).status_code == 200
    until(lambda: _told(world, wanted) == ["completed"])
    assert kinds(world.taker, flow) == [
        "delivery.requested",
        "delivery.started",
        "delivery.renewed",
        "delivery.received",
        "delivery.completed",
    ]
    assert kinds(world.giver, started["dataFlowId"]) == ["delivery.started", "delivery.renewed", "delivery.completed"]
    (file,) = (world.taker.folder / "received").glob(f"{plain(world.taker.digests.of_bytes(flow.encode()))[:32]}*")
    assert pa.ipc.open_stream(file.read_bytes()).read_all().num_rows == 200


def test_what_cannot_be_renewed_is_told_and_another_address_goes_on(world: World) -> None:
    us, provider = world.taker.identity.did, world.control
    wanted = order(us, PROVIDER)
    flow = say(world.taker, "prepare", wanted).json()["dataFlowId"]
    used = provider.address(refreshToken="used", expiresIn="0")
    assert say(world.taker, f"{flow}/started", {"messageId": "m", "dataAddress": used}).status_code == 200
    until(lambda: _told(world, wanted) == ["errored"])
    assert "transfer.not-renewed" in provider.told[-1][1]["error"]
    assert say(world.taker, f"{flow}/status").json()["state"] == "STARTED"
    say(world.taker, f"{flow}/suspend")
    say(world.taker, f"{flow}/resume", {"messageId": "m", "dataAddress": provider.address()})
    until(lambda: _told(world, wanted) == ["errored", "completed"])
    assert kinds(world.taker, flow)[-2:] == ["delivery.received", "delivery.completed"]


def _told(world: World, wanted: Json) -> list[str]:
    """What the control plane was told of a process."""
    return [path.rpartition("/")[2] for path, _ in world.control.told if f"/transfers/{wanted['processId']}/" in path]
