"""A control plane on a real socket drives a node's data plane (Data Plane Signaling 1.0), by the public kit's cases and beside them."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from small_space import hang_up, kinds, publish, until

from chengshu.kernel.errors import Invalid
from chengshu.kernel.secret_files import put_secret
from chengshu.node import KEYS, Node
from chengshu.policy.model import Form, OutputForm, Policy
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space
from chengshu.transfer.signaling.registry import FILE_NAME, read_control_planes

SECRETS = {"kit": "secret-of-the-kit-1", "later": "secret-of-the-kit-2"}
CALLBACK = "secret-to-the-kit-0"
_NUMBERS = count()

# The public kit's cases for data planes (eclipse-dataspacetck/dps-tck, spec v1.0-RC3): who we are, then what is said and what must be so.
# "+" sends a DataAddress along, "!" asks for one in the answer, "0" for none, "=" for a state, "<" for a callback.
CASES = {
    "DP_C_PULL:01-01": "prepare0 started =STARTED",
    "DP_C_PULL:01-02": "prepare0 started terminate =TERMINATED",
    "DP_C_PULL:02-01": "prepare0 started suspend =SUSPENDED resume =STARTED",
    "DP_C_PULL:02-02": "prepare0 started suspend =SUSPENDED terminate =TERMINATED",
    "DP_C_PULL:03-01": "prepare0 =PREPARED started+ <completed =COMPLETED",
    "DP_C_PULL:04-01": "prepare0 <prepared =PREPARED",
    "DP_P_PULL:01-01": "start! =STARTED completed =COMPLETED",
    "DP_P_PULL:01-02": "start! =STARTED terminate =TERMINATED",
    "DP_P_PULL:02-01": "start! suspend =SUSPENDED resume! =STARTED",
    "DP_P_PULL:02-02": "start! suspend =SUSPENDED terminate =TERMINATED",
    "DP_P_PULL:04-01": "start0 <started =STARTED",
    "DP_C_PUSH:01-01": "prepare! started =STARTED",
    "DP_C_PUSH:01-02": "prepare! started terminate =TERMINATED",
    "DP_C_PUSH:02-01": "prepare! started suspend =SUSPENDED resume =STARTED",
    "DP_C_PUSH:02-02": "prepare! started suspend =SUSPENDED terminate =TERMINATED",
    "DP_C_PUSH:03-01": "prepare! started =STARTED completed =COMPLETED",
    "DP_C_PUSH:04-01": "prepare0 <prepared =PREPARED",
    "DP_P_PUSH:01-01": "start+0 =STARTED",
    "DP_P_PUSH:01-02": "start+0 =STARTED terminate =TERMINATED",
    "DP_P_PUSH:02-01": "start+0 suspend =SUSPENDED resume =STARTED",
    "DP_P_PUSH:02-02": "start+0 suspend =SUSPENDED terminate =TERMINATED",
    "DP_P_PUSH:03-01": "start+0 =STARTED release <completed =COMPLETED",
    "DP_P_PUSH:04-01": "start+0 <started =STARTED",
}


@dataclass
class Plane:
    """The control plane: it says what a case has it say, takes callbacks, and has an endpoint that rows are pushed to."""

    node: Node
    callbacks: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    sunk: list[bytes] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    refuses: bool = False
    url: str = ""

    def say(self, path: str, body: dict[str, Any] | None = None, *, secret: str = SECRETS["kit"]) -> httpx.Response:
        """One message to the data plane, or the question how a flow stands."""
        url = f"{self.node.settings.serve.address}/signaling/dataflows/{path}"
        headers = {"Authorization": secret}
        if path.endswith("/status"):
            return httpx.get(url, headers=headers, trust_env=False)
        return httpx.post(url, json={"messageId": "m"} if body is None else body, headers=headers, trust_env=False)

    def order(self, **changes: Any) -> dict[str, Any]:
        return {
            "messageId": "m",
            "participantId": "us",
            "counterPartyId": "them",
            "dataspaceContext": "space",
            "processId": f"process-{next(_NUMBERS)}",
            "agreementId": "urn:agreement",
            "datasetId": "rows",
            "callbackAddress": self.url,
            "transferType": "HttpData-PULL",
            "claims": {},
            **changes,
        }

    def sink(self) -> dict[str, Any]:
        """The address of the endpoint that rows are pushed to."""
        properties = [{"name": "authorization", "value": "sink"}, {"name": "authType", "value": "bearer"}]
        return {"endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": f"{self.url}/sink", "endpointProperties": properties}

    def told(self, process: str) -> list[str]:
        return [path.rpartition("/")[2] for path, _, _ in self.callbacks if f"/transfers/{process}/" in path]


def _handler(plane: Plane) -> type[BaseHTTPRequestHandler]:
    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            if self.path.endswith("/sink"):
                plane.gate.wait(20)
                plane.sunk.append(body)
            else:
                plane.callbacks.append((self.path, json.loads(body), self.headers["Authorization"]))
            self.send_response(410 if plane.refuses and self.path.endswith("/sink") else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            whole = b""
            while size := int(self.rfile.readline().strip(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def log_message(self, *_words: Any) -> None: ...

    return Taking


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with Space(tmp_path_factory.mktemp("signaling")) as space:
        node = space.add("plane")
        publish(node, "rows", policy=to_odrl(Policy((OutputForm(Form.ROWS),))))
        plane = Plane(node)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(plane))
        plane.url = f"http://127.0.0.1:{server.server_port}/control"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert plane.say("prepare", plane.order()).status_code == 404  # nobody is registered yet
        entries = [{"name": name, "url": plane.url, "accepts": secret, "sends": CALLBACK} for name, secret in SECRETS.items()]
        entries[1]["answers"] = "later"
        put_secret(node.folder / KEYS / FILE_NAME, json.dumps(entries).encode())
        space.stop("plane")
        space.start("plane")
        yield plane
        plane.gate.set()
        server.shutdown()
        server.server_close()
    node.moving.close()
    hang_up(node)


@pytest.mark.parametrize("case", CASES)
def test_a_case_of_the_public_kit(plane: Plane, case: str) -> None:
    plane.gate.clear()
    direction = "PULL" if "PULL" in case else "PUSH"
    walk = Walk(plane, plane.order(transferType=f"HttpData-{direction}"), SECRETS["later" if case.endswith("04-01") else "kit"])
    try:
        for step in CASES[case].split():
            walk.take(step)
    finally:
        plane.gate.set()


@dataclass
class Walk:
    """One case on its way."""

    plane: Plane
    order: dict[str, Any]
    secret: str
    flow: str = ""

    def take(self, step: str) -> None:
        if step[0] == "=":
            until(lambda: self.plane.say(f"{self.flow}/status", secret=self.secret).json()["state"] == step[1:])
        elif step[0] == "<":
            until(lambda: step[1:] in self.plane.told(self.order["processId"]))
        elif step == "release":
            self.plane.gate.set()
        else:
            self._say(step.rstrip("+!0"), step)

    def _say(self, verb: str, step: str) -> None:
        opens = verb in {"start", "prepare"}
        body = self.order if opens else {"messageId": "m"}
        if "+" in step:
            body |= {"dataAddress": self.plane.sink() if verb == "start" else provided(self.plane)}
        answer = self.plane.say(verb if opens else f"{self.flow}/{verb}", body, secret=self.secret)
        assert answer.status_code == (202 if self.secret == SECRETS["later"] else 200), answer.text
        self.flow = self.flow or answer.json()["dataFlowId"]
        if answer.status_code == 202:
            assert answer.json()["state"] == {"start": "STARTING", "prepare": "PREPARING"}[verb]
            assert answer.headers["Location"] == f"/signaling/dataflows/{self.flow}/status"
        if "!" in step or "0" in step:
            assert ("dataAddress" in answer.json()) is ("!" in step)


def provided(plane: Plane) -> dict[str, Any]:
    """The address of a pull that this data plane itself provides."""
    found: dict[str, Any] = plane.say("start", plane.order()).json()["dataAddress"]
    return found


def test_the_kits_cases_are_all_here() -> None:
    assert [len([case for case in CASES if case.startswith(kind)]) for kind in ("DP_C_PULL", "DP_P_PULL", "DP_C_PUSH", "DP_P_PUSH")] == [
        6,
        5,
        6,
        6,
    ]


def test_a_flow_of_the_kit_carries_the_rows_and_is_told_once(plane: Plane) -> None:
    plane.gate.set()
    order = plane.order()
    started = plane.say("start", order).json()
    properties = {one["name"]: one["value"] for one in started["dataAddress"]["endpointProperties"]}
    headers = {"Authorization": f"Bearer {properties['authorization']}"}
    got = httpx.get(started["dataAddress"]["endpoint"], headers=headers, trust_env=False)
    assert pa.ipc.open_stream(got.content).read_all().num_rows == 200
    until(lambda: plane.told(order["processId"]) == ["completed"])
    path, message, authorization = plane.callbacks[-1]
    assert (path, authorization) == (f"/control/transfers/{order['processId']}/dataflow/completed", f"Bearer {CALLBACK}")
    assert (message["state"], message["dataFlowId"]) == ("COMPLETED", started["dataFlowId"])
    assert httpx.get(started["dataAddress"]["endpoint"], headers=headers, trust_env=False).status_code == 404
    assert kinds(plane.node, started["dataFlowId"]) == ["delivery.started", "delivery.completed"]


def test_a_push_reaches_the_endpoint_that_the_control_plane_named(plane: Plane) -> None:
    plane.gate.set()
    before = len(plane.sunk)
    order = plane.order(transferType="HttpData-PUSH", dataAddress=plane.sink())
    plane.say("start", order)
    until(lambda: plane.told(order["processId"]) == ["completed"])
    assert pa.ipc.open_stream(plane.sunk[before]).read_all().num_rows == 200


def test_a_push_that_nobody_takes_is_told_as_an_error(plane: Plane) -> None:
    plane.gate.set()
    plane.refuses = True
    try:
        order = plane.order(transferType="HttpData-PUSH", dataAddress=plane.sink())
        plane.say("start", order)
        until(lambda: plane.told(order["processId"]) == ["errored"])
        assert "410" in plane.callbacks[-1][1]["error"]
    finally:
        plane.refuses = False


def test_a_refresh_of_the_address_at_a_resumption_makes_the_old_one_void(plane: Plane) -> None:
    first = plane.say("start", plane.order()).json()
    for verb in ("suspend", "resume"):
        answer = plane.say(f"{first['dataFlowId']}/{verb}")
    assert answer.json()["state"] == "STARTED"
    assert answer.json()["dataAddress"] != first["dataAddress"]


def test_a_control_plane_may_ask_for_a_token_as_oauth_has_it(plane: Plane) -> None:
    def ask(**form: str) -> httpx.Response:
        return httpx.post(f"{plane.node.settings.serve.address}/signaling/token", data=form, trust_env=False)

    asked = {"grant_type": "client_credentials", "client_id": "kit", "client_secret": SECRETS["kit"]}
    given = ask(**asked).json()
    assert (given["token_type"], given["expires_in"], SECRETS["kit"] in given["access_token"]) == ("Bearer", 3600, False)
    flow = plane.say("start", plane.order(), secret=f"Bearer {given['access_token']}")
    assert flow.status_code == 200
    other = ask(**asked | {"client_id": "later", "client_secret": SECRETS["later"]}).json()["access_token"]
    assert plane.say(f"{flow.json()['dataFlowId']}/status", secret=f"Bearer {other}").status_code == 404
    assert plane.say("start", plane.order(), secret=f"Bearer {given['access_token'][:-1]}").status_code == 401
    refused = [
        ask(),
        ask(**asked | {"client_id": "later"}),
        ask(**asked | {"client_secret": "x"}),
        ask(**asked | {"grant_type": "password"}),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [
        (400, "unsupported_grant_type"),
        (401, "invalid_client"),
        (401, "invalid_client"),
        (400, "unsupported_grant_type"),
    ]
    assert ask(**asked | {"scope": "x" * 5000}).status_code == 400


def test_a_flow_is_known_by_its_process_too_as_edc_calls_it(plane: Plane) -> None:
    order = plane.order()
    plane.say("start", order)
    assert plane.say(f"{order['processId']}/terminate", {}).json()["state"] == "TERMINATED"
    assert plane.say(f"{order['processId']}/status", secret=SECRETS["later"]).status_code == 404


@pytest.mark.parametrize("secret", ["", "nonsense", "Bearer nonsense", SECRETS["kit"][:-1], "Basic " + SECRETS["kit"]])
def test_a_stranger_is_turned_away(plane: Plane, secret: str) -> None:
    answers = [plane.say("start", plane.order(), secret=secret), plane.say("urn:x/status", secret=secret)]
    assert [answer.status_code for answer in answers] == [401, 401]


def test_a_secret_may_come_with_the_word_bearer(plane: Plane) -> None:
    assert plane.say("start", plane.order(), secret=f"Bearer {SECRETS['kit']}").status_code == 200


def test_a_flow_of_another_control_plane_looks_unknown(plane: Plane) -> None:
    flow = plane.say("start", plane.order()).json()["dataFlowId"]
    for path in (f"{flow}/status", f"{flow}/terminate", "urn:nowhere/suspend"):
        assert plane.say(path, secret=SECRETS["later"]).status_code == 404


@pytest.mark.parametrize(
    ("verb", "change", "status"),
    [
        ("start", {"datasetId": "nothing"}, 403),
        ("start", {"transferType": "carrier-pigeon"}, 400),
        ("start", {"transferType": "HttpData-PUSH"}, 409),
        ("start", {"dataAddress": {"endpoint": "http://127.0.0.1:1/"}}, 400),
        ("start", {"callbackAddress": "http://169.254.169.254/"}, 400),
        ("prepare", {"processId": None}, 400),
        ("prepare", {"datasetId": ""}, 400),
        ("prepare", {"dataAddress": []}, 400),
        ("prepare", {"transferType": None}, 400),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused(plane: Plane, verb: str, change: dict[str, Any], status: int) -> None:
    assert plane.say(verb, plane.order(**change)).status_code == status


def test_a_process_has_one_flow_and_a_step_out_of_turn_is_told(plane: Plane) -> None:
    order = plane.order()
    flow = plane.say("start", order).json()["dataFlowId"]
    assert plane.say("start", order).status_code == 409
    assert plane.say(f"{flow}/resume").status_code == 200  # it is started already
    assert plane.say(f"{flow}/terminate").status_code == 200
    assert [plane.say(f"{flow}/{verb}").status_code for verb in ("suspend", "resume", "completed", "started")] == [409] * 4
    assert plane.say(f"{flow}/terminate").status_code == 200


def test_a_message_is_a_json_object_within_the_limits(plane: Plane) -> None:
    url = f"{plane.node.settings.serve.address}/signaling/dataflows/prepare"
    for content in (b"[]", b"{", b'{"a":1,"a":2}', b" " * (1 << 20) + b"{}  ", b"[" * 100):
        assert httpx.post(url, content=content, headers={"Authorization": SECRETS["kit"]}, trust_env=False).status_code == 400


ENTRY = {"name": "edc", "url": "https://edc.example/signaling", "accepts": "0123456789abcdef"}


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[",
        json.dumps([{**ENTRY, "name": "own"}]),
        json.dumps([{**ENTRY, "accepts": "short"}]),
        json.dumps([{**ENTRY, "url": "ftp://edc"}]),
        json.dumps([{**ENTRY, "more": 1}]),
        json.dumps([{"name": "edc"}]),
        json.dumps([{**ENTRY, "answers": "never"}]),
        json.dumps([ENTRY, {**ENTRY, "name": "other"}]),
        json.dumps([{**ENTRY, "accepts": "0123456789abcdef\n"}]),
    ],
)
def test_a_file_of_control_planes_that_is_wrong_stops_the_node(tmp_path: Path, content: str) -> None:
    put_secret(tmp_path / FILE_NAME, content.encode())
    with pytest.raises(Invalid, match=FILE_NAME):
        read_control_planes(tmp_path)


def test_a_file_of_control_planes_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    put_secret(tmp_path / FILE_NAME, json.dumps([ENTRY]).encode())
    assert read_control_planes(tmp_path).get("edc").url == ENTRY["url"]
    assert ENTRY["accepts"] not in repr(read_control_planes(tmp_path))
    (tmp_path / FILE_NAME).chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        read_control_planes(tmp_path)
    assert read_control_planes(tmp_path / "nowhere").every == {}
