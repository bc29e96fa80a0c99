import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.contract.model import Accept, Agree, Content, Finalize, Negotiation, Propose, Request, State, Terminate, Verify
from chengshu.dsp.messages import negotiation as messages
from chengshu.dsp.messages.negotiation import SIGNATURE
from chengshu.dsp.messages.shapes import CONTEXT, parse, parse_json
from chengshu.dsp.translate import negotiation as translate
from chengshu.dsp.translate import words
from chengshu.dsp.translate.words import MAX_REASON, segment
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Invalid
from chengshu.kernel.machine import Role

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CONSTRAINT = {"leftOperand": "x", "operator": "eq", "rightOperand": "y"}
OFFER: dict[str, Any] = {"@id": "urn:o", "@type": "Offer", "target": "urn:t", "permission": [{"action": "use", "constraint": [CONSTRAINT]}]}
AGREEMENT: dict[str, Any] = {
    **OFFER,
    "@id": "urn:a",
    "@type": "Agreement",
    "assigner": "did:p",
    "assignee": "did:c",
    "timestamp": "2026-11-24T08:00:00.000Z",
}
PIDS = {"consumerPid": "urn:c", "providerPid": "urn:p"}
READERS = {
    "ContractRequestMessage": translate.read_request,
    "ContractOfferMessage": translate.read_offer,
    "ContractAgreementMessage": translate.read_agreement,
    "ContractAgreementVerificationMessage": translate.read_verification,
    "ContractNegotiationEventMessage": translate.read_event,
    "ContractNegotiationTerminationMessage": translate.read_termination,
}
REQUIRED: dict[str, dict[str, Any]] = {
    "ContractRequestMessage": {"consumerPid": "urn:c", "offer": OFFER, "callbackAddress": "http://c"},
    "ContractOfferMessage": {"providerPid": "urn:p", "offer": OFFER, "callbackAddress": "http://p"},
    "ContractAgreementMessage": {**PIDS, "agreement": AGREEMENT},
    "ContractAgreementVerificationMessage": PIDS,
    "ContractNegotiationEventMessage": {**PIDS, "eventType": "ACCEPTED"},
    "ContractNegotiationTerminationMessage": PIDS,
}


def document(kind: str, **changes: Any) -> dict[str, Any]:
    return {"@context": [CONTEXT], "@type": kind, **copy.deepcopy(REQUIRED[kind]), **changes}


def refused(kind: str, value: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        READERS[kind](value)
    return caught.value


@pytest.mark.parametrize("kind", READERS)
def test_a_message_with_what_is_required_is_read(kind: str) -> None:
    READERS[kind](document(kind))


@pytest.mark.parametrize("kind", READERS)
def test_unknown_members_are_allowed(kind: str) -> None:
    READERS[kind](document(kind, **{"http://example.org/extension": {"a": [1]}}))


@pytest.mark.parametrize(("kind", "member"), [(kind, member) for kind in READERS for member in ["@context", "@type", *REQUIRED[kind]]])
@pytest.mark.parametrize("value", ["absent", None, 1, [], {}, ""], ids=str)
def test_a_required_member_that_is_absent_or_of_another_kind_is_named(kind: str, member: str, value: Any) -> None:
    broken = document(kind)
    if value == "absent":
        del broken[member]
    else:
        broken[member] = value
    error = refused(kind, broken)
    assert error.code == "message.invalid"
    assert error.message.startswith(kind)


@pytest.mark.parametrize("member", ["@id", "@type", "target"])
def test_an_offer_without_a_required_member_is_refused(member: str) -> None:
    broken = document("ContractRequestMessage")
    del broken["offer"][member]
    assert f"offer.{member}" in refused("ContractRequestMessage", broken).message


@pytest.mark.parametrize("member", ["@id", "@type", "target", "assigner", "assignee", "timestamp", "permission"])
def test_an_agreement_without_a_required_member_is_refused(member: str) -> None:
    broken = document("ContractAgreementMessage")
    del broken["agreement"][member]
    assert "agreement" in refused("ContractAgreementMessage", broken).message


@pytest.mark.parametrize(
    "constraint",
    [
        {},
        {"leftOperand": "x", "operator": "eq"},
        {"leftOperand": "x", "operator": "in", "rightOperand": "y"},
        {"leftOperand": "x", "operator": "eq", "rightOperand": 5},
        {"leftOperand": "x", "operator": "eq", "rightOperand": True},
        {"and": [CONSTRAINT], "or": [CONSTRAINT]},
        {"and": CONSTRAINT},
        {"and": [{"or": [{}]}]},
        "x",
    ],
    ids=str,
)
def test_a_constraint_outside_the_schema_is_refused_without_its_value(constraint: Any) -> None:
    broken = document("ContractRequestMessage")
    broken["offer"]["permission"][0]["constraint"] = [constraint]
    error = refused("ContractRequestMessage", broken)
    assert "constraint" in error.message
    assert "input" not in error.message


@pytest.mark.parametrize(
    "constraint", [CONSTRAINT, {"and": [CONSTRAINT, {"or": [CONSTRAINT]}]}, CONSTRAINT | {"rightOperand": ["a"]}], ids=str
)
def test_a_constraint_within_the_schema_is_read(constraint: Any) -> None:
    value = document("ContractRequestMessage")
    value["offer"]["permission"][0]["constraint"] = [constraint]
    READERS["ContractRequestMessage"](value)


@pytest.mark.parametrize(
    "members", [{"permission": []}, {"permission": {}}, {"permission": [{}]}, {"permission": [{"action": ["use"]}]}], ids=str
)
def test_rules_outside_the_schema_are_refused(members: dict[str, Any]) -> None:
    broken = document("ContractRequestMessage")
    broken["offer"] |= members
    refused("ContractRequestMessage", broken)


@pytest.mark.parametrize("kind", ["ContractRequestMessage", "ContractOfferMessage"])
def test_exactly_one_of_callback_address_and_the_others_pid_is_expected(kind: str) -> None:
    refused(kind, document(kind, **PIDS))
    neither = document(kind)
    del neither["callbackAddress"]
    refused(kind, neither)
    READERS[kind](neither | PIDS)


@pytest.mark.parametrize(
    "context", [["https://w3id.org/dspace/2024/1/context.json"], [{"a": "b"}], [CONTEXT, {"a": "b"}], "http://other"], ids=str
)
def test_a_context_without_the_protocols_or_with_an_inline_one_is_refused(context: Any) -> None:
    assert (
        "@context"
        in refused(
            "ContractAgreementVerificationMessage", document("ContractAgreementVerificationMessage", **{"@context": context})
        ).message
    )


@pytest.mark.parametrize("context", [[CONTEXT], CONTEXT, ["http://other", CONTEXT]], ids=str)
def test_a_context_may_be_an_array_or_one_string(context: Any) -> None:
    READERS["ContractAgreementVerificationMessage"](document("ContractAgreementVerificationMessage", **{"@context": context}))


@pytest.mark.parametrize("stamp", ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00.5+08:00"])
def test_a_timestamp_is_a_date_and_time(stamp: str) -> None:
    READERS["ContractAgreementMessage"](document("ContractAgreementMessage", agreement={**AGREEMENT, "timestamp": stamp}))
    refused("ContractAgreementMessage", document("ContractAgreementMessage", agreement={**AGREEMENT, "timestamp": stamp[:10]}))


def negotiation(role: Role, callback: str | None = None) -> Negotiation:
    own, peer = ("urn:c", "urn:p") if role is Role.CONSUMER else ("urn:p", "urn:c")
    return Negotiation(own, role, "did:peer", peer, callback, OFFER, State.REQUESTED, None, None, (), NOW, NOW)


@pytest.mark.parametrize(
    ("role", "content", "path"),
    [
        (Role.CONSUMER, Request(OFFER, "http://c"), "/negotiations/request"),
        (Role.CONSUMER, Request(OFFER, None), "/negotiations/urn%3Ap/request"),
        (Role.CONSUMER, Accept(), "/negotiations/urn%3Ap/events"),
        (Role.CONSUMER, Verify("sig"), "/negotiations/urn%3Ap/agreement/verification"),
        (Role.CONSUMER, Verify(None), "/negotiations/urn%3Ap/agreement/verification"),
        (Role.CONSUMER, Terminate("code", ("why",)), "/negotiations/urn%3Ap/termination"),
        (Role.PROVIDER, Propose(OFFER, "http://p"), "/negotiations/offers"),
        (Role.PROVIDER, Propose(OFFER, None), "/negotiations/urn%3Ac/offers"),
        (Role.PROVIDER, Agree(AGREEMENT, "sig"), "/negotiations/urn%3Ac/agreement"),
        (Role.PROVIDER, Finalize(), "/negotiations/urn%3Ac/events"),
        (Role.PROVIDER, Terminate(None, ()), "/negotiations/urn%3Ac/termination"),
    ],
)
def test_what_is_written_is_read_as_the_same_content(role: Role, content: Content, path: str) -> None:
    where, message = translate.write(negotiation(role), content)
    assert where == path
    received = READERS[message["@type"]](parse_json(canonical(message)))
    assert received.content == content
    own = received.consumer_pid if role is Role.CONSUMER else received.provider_pid
    assert own == negotiation(role).id


def test_a_state_has_the_protocols_shape_and_text_for_a_pid_that_is_not_known_yet() -> None:
    parse(messages.ContractNegotiation, translate.state_of(negotiation(Role.PROVIDER)))
    assert translate.state_of(replace(negotiation(Role.CONSUMER), peer_pid=None))["providerPid"] == ""


def test_a_message_goes_below_the_callback_address_with_or_without_its_slash() -> None:
    for callback in ("http://peer/dsp", "http://peer/dsp/"):
        where, _ = translate.write(negotiation(Role.PROVIDER, callback), Finalize())
        assert where == "http://peer/dsp/negotiations/urn%3Ac/events"


def test_a_received_policy_is_kept_structurally_unchanged() -> None:
    odd = {**OFFER, "http://example.org/x": {"deep": [1, 2.5, None]}, "obligation": [{"action": "z", "extra": "y"}]}
    received = translate.read_request(document("ContractRequestMessage", offer=odd))
    assert isinstance(received.content, Request)
    assert canonical(dict(received.content.offer)) == canonical(odd)


def test_a_reason_may_be_an_object_that_holds_a_text() -> None:
    items = [{"message": "too\ndear"}, {"@value": "zu teuer", "@language": "de"}, {"message": 5}, {"other": "x"}, 7, None, ["y"]]
    assert words.reasons_in(items) == ("too dear", "zu teuer")
    assert words.reasons_in(None) == ()


def test_reasons_from_strangers_are_cut_and_cleaned() -> None:
    value = document(
        "ContractNegotiationTerminationMessage", code="c\x1b[31m", reason=["a\nb\x00" + "x" * 1000, {"no": "text"}] + ["r"] * 50
    )
    received = translate.read_termination(value)
    assert isinstance(received.content, Terminate)
    assert received.content.code == "c [31m"
    assert received.content.reasons[0].startswith("a b x")
    assert max(len(reason) for reason in received.content.reasons) <= MAX_REASON
    assert len(received.content.reasons) <= words.MAX_REASONS


def test_a_message_for_another_pid_than_the_paths_is_refused() -> None:
    received = translate.read_verification(document("ContractAgreementVerificationMessage"))
    assert (received.peer_of("urn:c"), received.peer_of("urn:p")) == ("urn:p", "urn:c")
    with pytest.raises(Invalid):
        received.peer_of("urn:x")


def test_the_signature_travels_under_our_own_name() -> None:
    _, message = translate.write(negotiation(Role.CONSUMER), Verify("sig"))
    assert message[SIGNATURE] == "sig"
    assert parse(messages.ContractAgreementVerificationMessage, message).signature == "sig"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def outcome(read: Callable[[Any], object], value: Any) -> str:
    """The code of the refusal, or "read"."""
    try:
        read(value)
    except Invalid as error:
        return error.code
    return "read"


@given(st.sampled_from(sorted(READERS)), st.data())
def test_no_value_anywhere_leads_to_anything_but_a_reading_or_a_refusal(kind: str, data: st.DataObject) -> None:
    value: Any = document(kind)
    place: Any = value
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    assert outcome(READERS[kind], value) in {"read", "message.invalid"}


@given(st.binary(max_size=60))
def test_no_bytes_lead_to_anything_but_an_object_or_a_refusal(raw: bytes) -> None:
    assert outcome(parse_json, raw) in {"read", "message.not-json", "message.not-object", "message.too-deep", "canonical.not-json"}


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_an_id_is_one_segment_of_a_path(identifier: str) -> None:
    assert "/" not in segment(identifier)
