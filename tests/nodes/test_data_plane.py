"""The bytes of deliveries over real sockets: broken off with their transfer, refused to strangers, whole or not at all."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow as pa
import pytest
from small_deliveries import Pair, raised_pair, state
from small_space import counts, kinds, publish, until

from chengshu.kernel.canonical import canonical
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import ChengshuError, Denied, NotFound, Unavailable
from chengshu.node import Node, open_node
from chengshu.policy.model import Form, OutputForm, Policy
from chengshu.policy.odrl import to_odrl
from chengshu.transfer.flow.model import PUSH, Endpoint, Extent, endpoint_of
from chengshu.transfer.process.model import State
from chengshu.transfer.streams.arrow import BATCH_ROWS
from chengshu.transfer.streams.encodings import ARROW

LONG = 40 * BATCH_ROWS
"""Rows of random numbers, some 20 MB on the wire: more than the sockets between two ends take by themselves."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with raised_pair(tmp_path_factory.mktemp("plane")) as pair:
        names = pa.array(["ring"]).take(pa.array(np.zeros(LONG, int)))
        table = pa.table({"road": names, "vehicle": names, "speed": np.random.default_rng(5).uniform(0, 30, LONG)})
        pair.offer("long", OutputForm(Form.ROWS), table=table)
        yield pair


def endpoint(pair: Pair, theirs: str) -> Endpoint:
    """Where the provider lets a transfer be pulled from."""
    address = pair.provider.moving.processes.address_of(theirs)
    assert address is not None
    return endpoint_of(address)


def get(target: Endpoint, **headers: str) -> httpx.Response:
    authorized = {} if target.header is None else {"Authorization": target.header}
    return httpx.get(target.url, headers={**authorized, **headers}, trust_env=False)


def entry(node: Node, kind: str) -> dict[str, Any]:
    return next(dict(one.body) for one in reversed(node.evidence.entries(0, node.evidence.size())) if one.kind == kind)


class SlowReader:
    """A receiver that takes a little and then waits."""

    def __init__(self, target: Endpoint) -> None:
        place = urlsplit(target.url)
        self.line = socket.socket()
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.line.connect((str(place.hostname), int(place.port or 80)))
        self.line.sendall(f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {target.header}\r\n\r\n".encode())
        assert self.line.recv(1000).startswith(b"HTTP/1.1 200")

    def rest(self) -> bytes:
        """Everything that still comes."""
        self.line.settimeout(20)
        pieces = []
        while piece := self.line.recv(1 << 20):
            pieces.append(piece)
        self.line.close()
        return b"".join(pieces)


@pytest.mark.parametrize("by", ["consumer", "provider", "another process of the provider"])
@pytest.mark.parametrize("verb", ["suspend", "terminate"])
def test_a_running_stream_breaks_off_with_its_transfer(pair: Pair, by: str, verb: str) -> None:
    pid, theirs = pair.started("long")
    reader = SlowReader(endpoint(pair, theirs))
    stopped = kinds(pair.provider).count("transfer.stopped")
    node = {"consumer": pair.consumer, "provider": pair.provider}.get(by) or open_node(pair.provider.folder)
    getattr(node.moving.processes, verb)(pid if by == "consumer" else theirs, reason="enough")
    expected = State.SUSPENDED if verb == "suspend" else State.TERMINATED
    until(lambda: state(pair.provider, theirs) is expected)
    until(lambda: kinds(pair.provider).count("transfer.stopped") == stopped + 1)
    found = entry(pair.provider, "transfer.stopped")
    assert (found["reason"], 0 <= found["rows"] < LONG) == ("process-ended", True)
    assert not reader.rest().endswith(b"0\r\n\r\n")


def test_a_receiver_that_hangs_up_leaves_an_entry_and_may_come_again(pair: Pair, tmp_path: Path) -> None:
    pid, theirs = pair.started("long")
    stopped = kinds(pair.provider).count("transfer.stopped")
    SlowReader(endpoint(pair, theirs)).line.close()
    until(lambda: kinds(pair.provider).count("transfer.stopped") == stopped + 1)
    assert entry(pair.provider, "transfer.stopped")["reason"] == "receiver-left"
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    pair.settled(pid, State.COMPLETED)


def test_a_token_opens_its_own_flow_as_long_as_it_is_the_newest(pair: Pair) -> None:
    pid, theirs = pair.started("rows", extent=Extent.NON_FINITE)
    _, another = pair.started("rows", extent=Extent.NON_FINITE)
    first, foreign = endpoint(pair, theirs), endpoint(pair, another)
    assert get(first).status_code == 200
    assert get(Endpoint(first.url, f"{first.authorization}"), Authorization=str(first.authorization)).status_code == 200
    refused = [
        Endpoint(first.url, None),
        Endpoint(first.url, "nonsense"),
        Endpoint(first.url, foreign.authorization),
        Endpoint(first.url, "Basic dTpw"),
        Endpoint(first.url + "x", first.authorization),
    ]
    assert {get(one).status_code for one in refused} == {404}
    pair.consumer.moving.processes.suspend(pid, reason="pause")
    until(lambda: state(pair.provider, theirs) is State.SUSPENDED)
    assert get(first).status_code == 404
    pair.consumer.moving.processes.start(pid)
    until(lambda: state(pair.provider, theirs) is State.STARTED)
    assert (get(first).status_code, get(endpoint(pair, theirs)).status_code) == (404, 200)
    pair.consumer.moving.processes.terminate(pid, reason="enough")
    until(lambda: state(pair.provider, theirs) is State.TERMINATED)
    assert pair.provider.moving.processes.address_of(theirs) is None


def test_no_token_is_kept_in_clear(pair: Pair) -> None:
    pid, theirs = pair.started("rows")
    pushed = pair.request("rows", format_name=PUSH)
    address = pair.consumer.moving.processes.address_of(pushed)
    tokens = [str(endpoint(pair, theirs).authorization), *([] if address is None else [str(endpoint_of(address).authorization)])]
    pair.settled(pushed, State.COMPLETED)
    for node in (pair.provider, pair.consumer):
        with node.database.read() as tx:
            kept = [repr(tuple(row)) for table in metadata.sorted_tables for row in tx.execute(table.select())]
        assert any(theirs in row for row in kept)
        assert any(pid in row for row in kept)
        assert [token for token in tokens if any(token in row for row in kept)] == []


def test_a_receiver_that_takes_no_form_of_ours_is_told_which_there_are(pair: Pair) -> None:
    _, theirs = pair.started("rows")
    answer = get(endpoint(pair, theirs), Accept="text/html")
    assert (answer.status_code, "text/csv" in answer.json()["message"]) == (400, True)


def test_at_most_eight_products_are_on_their_way_at_a_time(pair: Pair) -> None:
    _, theirs = pair.started("long", extent=Extent.NON_FINITE)
    target = endpoint(pair, theirs)
    readers = [SlowReader(target) for _ in range(8)]
    try:
        assert get(target).status_code == 503
    finally:
        for reader in readers:
            reader.line.close()
    deadline = time.monotonic() + 20
    while (answer := get(target)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 200
    pair.provider.moving.processes.terminate(theirs, reason="enough")


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/elsewhere", "file:///etc/passwd", "http://user@127.0.0.1/", "http://["],
)
def test_a_push_to_an_address_that_is_not_the_consumers_is_refused_and_never_called(pair: Pair, url: str) -> None:
    message = {
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "TransferRequestMessage",
        "consumerPid": f"urn:hostile:{url}",
        "agreementId": pair.agreements["rows"],
        "format": PUSH,
        "callbackAddress": pair.consumer.identity.address,
        "dataAddress": {"@type": "DataAddress", "endpointType": "HTTP", "endpoint": url},
    }
    answer = pair.consumer.peers.post(pair.provider.identity.did, "/transfers/request", message)
    assert answer is not None
    process = pair.provider.moving.processes.process(str(answer["providerPid"]))
    assert (process.state, process.code) == (State.TERMINATED, "address")


def test_a_pull_from_an_address_that_is_not_the_providers_is_refused_and_never_called(pair: Pair, tmp_path: Path) -> None:
    for url in ("http://169.254.169.254/", "http://127.0.0.1:1/", pair.provider.identity.address.replace("127.0.0.1", "localhost")):
        with pytest.raises(Denied), pair.consumer.moving.carrier.pull(pair.provider.identity.did, Endpoint(url, "t"), accept="*/*"):
            raise AssertionError("expected no call")


def test_what_comes_by_push_is_kept_whole_or_not_at_all_and_once(pair: Pair) -> None:
    pid = pair.request("room_only", format_name=PUSH)  # the provider refuses; until it has, the endpoint is there
    with pair.consumer.database.read() as tx:
        flow = pair.consumer.moving.flows.get(tx, pid)
    address = pair.consumer.moving.flows.address_of(flow)
    assert address is not None
    pair.settled(pid, State.TERMINATED)
    answer = httpx.post(address["endpoint"], content=b"x", headers={"Authorization": str(endpoint_of(address).header)}, trust_env=False)
    assert answer.status_code == 404
    with pytest.raises(NotFound):
        pair.consumer.moving.receptions.received(pid)


def test_a_push_that_is_cut_off_leaves_nothing_and_one_that_is_repeated_is_kept_once(pair: Pair) -> None:
    pair.space.stop("giver")
    try:
        pid = pair.request("rows", format_name=PUSH)
        with pair.consumer.database.read() as tx:
            address = pair.consumer.moving.flows.address_of(pair.consumer.moving.flows.get(tx, pid))
        assert address is not None
        header = str(endpoint_of(address).header)
        place = urlsplit(address["endpoint"])
        with socket.create_connection((str(place.hostname), int(place.port or 80))) as line:
            head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {header}\r\nContent-Length: 10\r\n\r\n"
            line.sendall(head.encode() + b"short")
        folder = pair.consumer.folder / "received"
        time.sleep(0.5)
        assert "delivery.received" not in kinds(pair.consumer, pid)
        headers = {"Authorization": header, "Content-Type": ARROW.media_type}
        squeezed = httpx.post(address["endpoint"], content=b"x", headers={**headers, "Content-Encoding": "gzip"}, trust_env=False)
        assert squeezed.status_code == 400
        for content in (b"whole", b"again"):
            assert httpx.post(address["endpoint"], content=content, headers=headers, trust_env=False).status_code == 200
        assert pair.consumer.moving.receptions.received(pid).read_bytes() == b"whole"
        assert kinds(pair.consumer, pid).count("delivery.received") == 1
        until(lambda: list(folder.glob(".*")) == [])
        pair.consumer.moving.processes.terminate(pid, reason="not today")
    finally:
        pair.space.start("giver")


def test_a_lasting_push_comes_again_with_each_version(pair: Pair) -> None:
    policy = to_odrl(Policy((OutputForm(Form.ROWS),)))
    pair.offer("series", OutputForm(Form.ROWS))
    pid, theirs = pair.started("series", format_name=PUSH, extent=Extent.NON_FINITE)
    until(lambda: kinds(pair.consumer, pid).count("delivery.received") == 1)
    publish(pair.provider, "series", policy=policy, table=counts(vehicles=range(10)), version="2.0.0")
    until(lambda: kinds(pair.consumer, pid).count("delivery.received") == 2)
    table = pa.ipc.open_stream(pair.consumer.moving.receptions.received(pid).read_bytes()).read_all()
    assert table.num_rows == 50
    assert pair.both(pid) == (State.STARTED, State.STARTED)
    pair.provider.moving.processes.suspend(theirs, reason="pause")
    pair.settled(pid, State.SUSPENDED)
    publish(pair.provider, "series", policy=policy, table=counts(vehicles=range(5)), version="3.0.0")
    time.sleep(1.5)
    assert kinds(pair.consumer, pid).count("delivery.received") == 2
    pair.consumer.moving.processes.start(pid)
    until(lambda: kinds(pair.consumer, pid).count("delivery.received") == 3)
    pair.consumer.moving.processes.terminate(pid, reason="enough")
    pair.settled(pid, State.TERMINATED)


def test_a_provider_that_stops_in_the_middle_goes_on_with_what_it_promised(pair: Pair, tmp_path: Path) -> None:
    pid, theirs = pair.started("long")
    target = endpoint(pair, theirs)
    reader = SlowReader(target)
    pair.space.stop("giver")
    with pytest.raises(Unavailable):
        pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    reader.line.close()
    pair.space.start("giver")
    assert endpoint(pair, theirs) == target
    pair.consumer.moving.receptions.fetch(pid, tmp_path / "out")
    pair.settled(pid, State.COMPLETED)


def test_messages_that_wait_are_sent_after_a_restart_in_their_order(pair: Pair) -> None:
    pid, theirs = pair.started("rows")
    pair.space.stop("taker")
    pair.provider.moving.processes.suspend(theirs, reason="works")
    pair.provider.moving.processes.start(theirs)
    pair.provider.moving.processes.suspend(theirs, reason="works")
    pair.space.stop("giver")
    pair.space.start("taker")
    pair.space.start("giver")
    pair.settled(pid, State.SUSPENDED)
    until(lambda: kinds(pair.consumer, pid).count("delivery.suspended") == 2)
    pair.consumer.moving.processes.terminate(pid, reason="enough")
    pair.settled(pid, State.TERMINATED)


def say(pair: Pair, sender: Node, path: str, kind: str, **members: Any) -> dict[str, Any] | ChengshuError:
    """One message from one of the two, beside what its node would say by itself."""
    other = pair.provider if sender is pair.consumer else pair.consumer
    message = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": kind, **members}
    try:
        return sender.peers.post(other.identity.did, path, message) or {}
    except ChengshuError as error:
        return error


def test_the_same_request_opens_one_transfer_and_another_with_its_pid_none(pair: Pair) -> None:
    asked = {"consumerPid": "urn:mine:1", "agreementId": pair.agreements["rows"], "format": "HttpData-PULL"}
    asked |= {"callbackAddress": pair.consumer.identity.address}
    first, again = (say(pair, pair.consumer, "/transfers/request", "TransferRequestMessage", **asked) for _ in range(2))
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    assert first["providerPid"] == again["providerPid"]
    other = say(pair, pair.consumer, "/transfers/request", "TransferRequestMessage", **asked | {"format": PUSH})
    assert isinstance(other, ChengshuError)
    assert (other.facts["status"], other.facts["peer_code"]) == (400, "transfer.pid-in-use")


def test_a_repeat_changes_nothing_a_wrong_turn_is_told_and_a_foreign_pid_looks_unknown(pair: Pair) -> None:
    pid, theirs = pair.started("rows")
    pids = {"consumerPid": pid, "providerPid": theirs}
    early = say(pair, pair.consumer, f"/transfers/{theirs}/start", "TransferStartMessage", **pids)
    assert isinstance(early, ChengshuError)
    assert early.facts["status"] == 400
    for _ in range(2):
        answer = say(pair, pair.consumer, f"/transfers/{theirs}/suspension", "TransferSuspensionMessage", **pids, reason=["a"])
        assert isinstance(answer, dict)
        assert answer["state"] == "SUSPENDED"
    assert kinds(pair.provider, theirs).count("delivery.suspended") == 1
    wrong = say(pair, pair.consumer, f"/transfers/{theirs}/completion", "TransferCompletionMessage", **pids)
    assert isinstance(wrong, ChengshuError)
    assert (wrong.facts["status"], wrong.facts["peer_code"]) == (400, "transfer.transfer-state")
    for foreign in ("urn:nowhere", pid):
        lost = say(pair, pair.consumer, f"/transfers/{foreign}/termination", "TransferTerminationMessage", **pids)
        assert isinstance(lost, ChengshuError)
        assert lost.facts["status"] == 404
    seen = pair.consumer.peers.get(pair.provider.identity.did, f"/transfers/{theirs}")
    assert seen is not None
    assert (seen["@type"], seen["state"], seen["consumerPid"]) == ("TransferProcess", "SUSPENDED", pid)
    assert pair.provider.peers.get(pair.consumer.identity.did, f"/transfers/{pid}") is not None
    pair.provider.moving.processes.terminate(theirs, reason="enough")


def test_a_start_that_overtakes_the_answer_to_its_request_is_known_by_our_pid(pair: Pair) -> None:
    pair.space.stop("giver")
    pid = pair.request("rows")
    early = say(pair, pair.provider, f"/transfers/{pid}/start", "TransferStartMessage", consumerPid=pid, providerPid="urn:early")
    assert isinstance(early, dict)
    assert early["providerPid"] == "urn:early"
    assert state(pair.consumer, pid) is State.STARTED
    pair.consumer.moving.processes.terminate(pid, reason="enough")
    pair.space.start("giver")


def test_a_process_error_is_typed_with_both_pids(pair: Pair) -> None:
    body = canonical({"@type": "TransferStartMessage"})
    answer = httpx.post(f"{pair.provider.identity.address}/transfers/urn:x/start", content=body, trust_env=False)
    document = answer.json()
    assert (answer.status_code, document["@type"], document["consumerPid"], document["providerPid"]) == (
        404,
        "TransferError",
        "urn:x",
        "urn:x",
    )
