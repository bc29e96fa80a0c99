"""What a node's protocol door does with messages that come at the wrong time, from the wrong party or in the wrong form."""

import httpx
import pytest
from negotiators import PRODUCT, Node, Start, call, first_offer, introduce, message, negotiated

from chengshu.contract.model import State
from chengshu.dsp.messages.negotiation import ContractNegotiation
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.translate.words import segment
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.errors import Denied, Invalid, Unavailable


def test_a_message_that_does_not_follow_from_the_state_gets_a_typed_400(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid=ours, providerPid=theirs, reason=["changed our mind"])
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    assert (answer.status_code, answer.json()["@type"]) == (400, "ContractNegotiationError")
    assert answer.json()["code"] == "negotiation.negotiation-state"
    assert (answer.json()["consumerPid"], answer.json()["providerPid"]) == (ours, theirs)
    assert provider.contracts.negotiation(theirs).state is State.FINALIZED


def test_a_consumer_cannot_speak_for_the_provider(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    event = message("ContractNegotiationEventMessage", eventType="FINALIZED", consumerPid=ours, providerPid=theirs)
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/events", event)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.negotiation-sender")


def test_an_unknown_pid_and_anothers_pid_both_look_unknown(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger", serving=False)
    introduce(provider, stranger)
    ours, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid=ours, providerPid=theirs)
    foreign = call(provider, stranger, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    unknown = call(provider, stranger, "POST", f"/negotiations/{segment('urn:no/such=pid')}/termination", end)
    watched = call(provider, stranger, "GET", f"/negotiations/{segment(theirs)}")
    assert [answer.status_code for answer in (foreign, unknown, watched)] == [404, 404, 404]
    assert foreign.json() == unknown.json()
    assert watched.json()["@type"] == "ContractNegotiationError"


def test_a_message_that_names_another_peer_pid_is_refused(consumer: Node, provider: Node) -> None:
    _, theirs = negotiated(consumer, provider)
    end = message("ContractNegotiationTerminationMessage", consumerPid="urn:other", providerPid=theirs)
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/termination", end)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.pid")


def test_the_state_is_told_to_the_counterparty(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    seen = consumer.peers.get(provider.identity.did, f"/negotiations/{segment(theirs)}")
    assert seen is not None
    parse(ContractNegotiation, seen)
    assert (seen["consumerPid"], seen["providerPid"], seen["state"]) == (ours, theirs, "FINALIZED")


def test_a_second_request_with_a_used_pid_is_refused(consumer: Node, provider: Node) -> None:
    ours, _ = negotiated(consumer, provider)
    other = dict(consumer.contracts.negotiation(ours).offer) | {"target": "urn:other"}
    request = message("ContractRequestMessage", consumerPid=ours, offer=other, callbackAddress=consumer.identity.address)
    answer = call(provider, consumer, "POST", "/negotiations/request", request)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.pid-in-use")


@pytest.mark.parametrize("callback", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://127.0.0.1:1/x", "http://[", "x"])
def test_a_callback_address_that_is_not_the_senders_is_refused(idle: tuple[Node, Node], callback: str) -> None:
    consumer, provider = idle
    offer = first_offer(consumer, provider) | {"target": PRODUCT}
    request = message("ContractRequestMessage", consumerPid="urn:1", offer=offer, callbackAddress=callback)
    answer = call(provider, consumer, "POST", "/negotiations/request", request)
    assert (answer.status_code, answer.json()["code"]) == (400, "negotiation.callback")


def test_the_client_calls_nobody_outside_the_partys_address(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    with pytest.raises(Denied) as caught:
        consumer.peers.post(provider.identity.did, "http://127.0.0.1:1/x", {})
    assert caught.value.code == "peer.address"


def test_the_client_names_the_peers_reason(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    with pytest.raises(Invalid) as caught:
        consumer.peers.post(provider.identity.did, "/catalog/request", {"@type": "CatalogRequestMessage"})
    assert {name: caught.value.facts[name] for name in ("status", "peer_code")} == {"status": 400, "peer_code": "message.invalid"}
    assert "@context" in caught.value.message


def test_a_message_for_a_pid_the_peer_has_not_stored_yet_is_worth_another_try(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    end = message("ContractNegotiationTerminationMessage", consumerPid="urn:1", providerPid="urn:2")
    with pytest.raises(Unavailable):
        consumer.peers.post(provider.identity.did, "/negotiations/urn%3A2/termination", end)


def test_the_version_document_needs_no_credential(idle: tuple[Node, Node]) -> None:
    _, provider = idle
    root = provider.identity.address.removesuffix("/2025-1")
    answer = httpx.get(f"{root}/.well-known/dspace-version", trust_env=False)
    assert answer.json() == {"protocolVersions": [{"version": "2025-1", "path": "/2025-1", "binding": "HTTPS"}]}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/catalog/request", "CatalogError"),
        ("GET", "/catalog/datasets/x", "CatalogError"),
        ("GET", "/negotiations/urn%3A1", "ContractNegotiationError"),
        ("POST", "/negotiations/request", "ContractNegotiationError"),
        ("POST", "/negotiations/a/b/c", "ContractNegotiationError"),
        ("DELETE", "/negotiations/request", "ContractNegotiationError"),
        ("POST", "/transfers/x/start", "TransferError"),
        ("PUT", "/elsewhere", "CatalogError"),
    ],
)
def test_a_request_without_a_credential_or_a_path_gets_a_typed_404(idle: tuple[Node, Node], method: str, path: str, kind: str) -> None:
    _, provider = idle
    answer = httpx.request(method, provider.identity.address + path, content=b"{}" if method == "POST" else None, trust_env=False)
    assert (answer.status_code, answer.json()["@type"]) == (404, kind)
    assert answer.json()["@context"] == [CONTEXT]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "message.not-json"),
        (b"{", "message.not-json"),
        (b"[]", "message.not-object"),
        (b"\xff\xfe", "message.not-json"),
        (b'{"a": NaN}', "canonical.not-json"),
        (b'{"a": 1, "a": 2}', "message.not-json"),
        (b'{"a": "\\ud800"}', "canonical.not-json"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "message.too-deep"),
        (b"[" * 100_000, "message.not-json"),
        (b"1" * 10_000, "message.not-json"),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "message.too-large"),
        (b'{"@type": "ContractRequestMessage"}', "message.invalid"),
    ],
    ids=str,
)
def test_broken_and_hostile_bodies_get_a_typed_400(idle: tuple[Node, Node], body: bytes, code: str) -> None:
    consumer, provider = idle
    path = "/2025-1/negotiations/request"
    headers = {"Authorization": consumer.credentials.issue(provider.identity.did, SignedRequest("POST", path, body))}
    answer = httpx.post(f"{provider.identity.address}/negotiations/request", content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["@type"], answer.json()["code"]) == (400, "ContractNegotiationError", code)


def test_a_filter_is_refused_rather_than_ignored(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    answer = call(provider, consumer, "POST", "/catalog/request", message("CatalogRequestMessage", filter=["title"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "catalog.filter")


def test_a_replayed_request_gets_a_typed_404(idle: tuple[Node, Node]) -> None:
    consumer, provider = idle
    path = "/2025-1/negotiations/urn%3A1"
    headers = {"Authorization": consumer.credentials.issue(provider.identity.did, SignedRequest("GET", path))}
    url = f"{provider.identity.address}/negotiations/urn%3A1"
    codes = [httpx.get(url, headers=headers, trust_env=False).json()["code"] for _ in range(2)]
    assert codes == ["negotiation.unknown", "identity.token-replayed"]
