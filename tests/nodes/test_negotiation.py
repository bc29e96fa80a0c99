"""Two nodes negotiate over the wire: from an offer to uses within the agreement, and where it ends instead."""

from datetime import timedelta

import pytest
from negotiators import PRODUCT, Node, Start, StepClock, a_use, call, first_offer, introduce, message, negotiated, policy_for, settle

from chengshu.contract.model import State
from chengshu.dsp.messages.catalog import Catalog, Dataset
from chengshu.dsp.messages.negotiation import SIGNATURE
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.translate.words import segment
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import CountLimit, Policy, Purpose
from chengshu.policy.odrl import to_odrl

pytestmark = pytest.mark.usefixtures("as_published")


def test_an_unmodified_offer_is_agreed_signed_and_finalized_in_both_databases(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    mine, other = consumer.contracts.negotiation(ours), provider.contracts.negotiation(theirs)
    assert (mine.state, other.state) == (State.FINALIZED, State.FINALIZED)
    assert (mine.role, other.role) == (Role.CONSUMER, Role.PROVIDER)
    assert other.peer_pid == ours
    (here,), (there,) = consumer.contracts.agreements(), provider.contracts.agreements()
    assert here.document == there.document
    assert here.policy == policy_for(consumer)
    assert (here.provider_signature, here.consumer_signature) == (there.provider_signature, there.consumer_signature)
    assert None not in (here.provider_signature, here.consumer_signature)
    assert consumer.contracts.standing(ours).waits_for is None


def test_every_step_leaves_the_same_kinds_of_evidence_on_both_sides(consumer: Node, provider: Node) -> None:
    negotiated(consumer, provider)
    steps = ["negotiation.requested", "negotiation.agreed", "agreement.signed", "negotiation.verified", "negotiation.finalized"]
    assert consumer.kinds() == ["peer.added", *steps]
    assert sorted(provider.kinds()) == sorted(["peer.added", *steps])
    (ours,) = (entry for entry in consumer.evidence.entries(0, 100) if entry.kind == "agreement.signed")
    (theirs,) = (entry for entry in provider.evidence.entries(0, 100) if entry.kind == "agreement.signed")
    assert ours.body == theirs.body
    assert set(ours.body) == {"agreement", "product", "policy_digest", "provider", "consumer"}


def test_the_catalog_and_its_datasets_have_the_protocols_shape(consumer: Node, provider: Node) -> None:
    catalog = consumer.peers.catalog(provider.identity.did)
    parse(Catalog, catalog)
    dataset = consumer.peers.dataset(provider.identity.did, PRODUCT)
    parse(Dataset, dataset)
    assert {"@context": [CONTEXT], **catalog["dataset"][0]} == dataset
    assert dataset["hasPolicy"][0]["permission"] == to_odrl(policy_for(consumer))["permission"]
    assert dataset["distribution"][0]["accessService"]["endpointURL"] == provider.identity.address


def test_a_party_outside_an_offers_audience_sees_an_empty_catalog(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger", serving=False)
    introduce(provider, stranger)
    assert "dataset" not in stranger.peers.catalog(provider.identity.did)
    with pytest.raises(NotFound):
        stranger.peers.dataset(provider.identity.did, PRODUCT)


def test_a_party_outside_an_offers_audience_is_refused_by_the_rule_recipient(start: Start, consumer: Node, provider: Node) -> None:
    stranger = start("stranger")
    introduce(provider, stranger)
    pid = stranger.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    settle(stranger, provider)
    ended = stranger.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "recipient")


def test_a_modified_offer_is_terminated_with_a_reason_that_names_the_rule(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    wider = Policy((*(rule for rule in policy_for(consumer).rules if not isinstance(rule, CountLimit)), CountLimit(1000)))
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer | to_odrl(wider))
    settle(consumer, provider)
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "offer-modified")
    assert "count-limit, pay" in ended.reasons[0]
    assert provider.contracts.negotiation(str(ended.peer_pid)).state is State.TERMINATED
    assert provider.contracts.agreements() == []


def test_an_offer_that_left_the_catalog_is_terminated(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    provider.products.policies.clear()
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer)
    settle(consumer, provider)
    assert consumer.contracts.negotiation(pid).code == "offer-unknown"


def test_unknown_terms_are_refused_by_name_before_anything_is_sent(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider)
    offer["permission"][0]["constraint"].append({"leftOperand": "spatial", "operator": "eq", "rightOperand": "EU"})
    with pytest.raises(Invalid) as caught:
        consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer)
    assert caught.value.code == "policy.unknown-term"
    assert caught.value.facts["term"] == "spatial"
    assert consumer.contracts.negotiations() == []


def test_a_request_for_a_party_that_is_not_listed_is_refused(consumer: Node, provider: Node) -> None:
    with pytest.raises(NotFound):
        consumer.contracts.request("did:key:z6Mknobody", dataset=PRODUCT, offer=first_offer(consumer, provider))


def test_repeated_messages_change_nothing(consumer: Node, provider: Node) -> None:
    ours, theirs = negotiated(consumer, provider)
    request = message(
        "ContractRequestMessage",
        consumerPid=ours,
        offer=dict(consumer.contracts.negotiation(ours).offer),
        callbackAddress=consumer.identity.address,
    )
    (agreement,) = consumer.contracts.agreements()
    pids = {"consumerPid": ours, "providerPid": theirs}
    agreed = message("ContractAgreementMessage", agreement=dict(agreement.document), **pids) | {SIGNATURE: agreement.provider_signature}
    verified = message("ContractAgreementVerificationMessage", **pids) | {SIGNATURE: agreement.consumer_signature}
    finalized = message("ContractNegotiationEventMessage", eventType="FINALIZED", **pids)
    before = (consumer.kinds(), provider.kinds())
    answers = [
        call(provider, consumer, "POST", "/negotiations/request", request),
        call(consumer, provider, "POST", f"/negotiations/{segment(ours)}/agreement", agreed),
        call(provider, consumer, "POST", f"/negotiations/{segment(theirs)}/agreement/verification", verified),
        call(consumer, provider, "POST", f"/negotiations/{segment(ours)}/events", finalized),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
    assert [answer.json()["providerPid"] for answer in answers] == [theirs] * 4
    settle(consumer, provider)
    assert (consumer.kinds(), provider.kinds()) == before
    assert len(provider.contracts.negotiations()) == 1


def test_an_unreachable_party_is_named_and_the_negotiation_ends_when_patience_does(
    start: Start, consumer: Node, provider: Node, clock: StepClock
) -> None:
    absent = start("absent", serving=False)
    introduce(consumer, absent)
    offer = first_offer(consumer, provider) | {"assigner": absent.identity.did}
    pid = consumer.contracts.request(absent.identity.did, dataset=PRODUCT, offer=offer)
    consumer.worker.run_due()
    standing = consumer.contracts.standing(pid)
    assert standing.waits_for == consumer.identity.get(absent.identity.did).name_en
    assert standing.why is not None
    assert "peer.unreachable" in standing.why.en
    assert standing.negotiation.state is State.REQUESTED
    for _ in range(8):
        clock.now += timedelta(minutes=1)
        consumer.worker.run_due()
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "peer.unreachable")
    assert consumer.contracts.standing(pid).waits_for is None


def test_a_party_that_does_not_know_us_is_asked_again_and_then_given_up(
    start: Start, consumer: Node, provider: Node, clock: StepClock
) -> None:
    shy = start("shy")
    consumer.identity.add(shy.identity.did, name_en="Shy", name_zh="羞", address=shy.identity.address)
    offer = first_offer(consumer, provider) | {"assigner": shy.identity.did}
    pid = consumer.contracts.request(shy.identity.did, dataset=PRODUCT, offer=offer)
    for _ in range(8):
        consumer.worker.run_due()
        clock.now += timedelta(minutes=1)
    ended = consumer.contracts.negotiation(pid)
    assert (ended.state, ended.code) == (State.TERMINATED, "peer.not-found")
    assert "identity.unknown-party" in ended.reasons[0]


def test_a_waiting_negotiation_says_for_whom_and_why(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    standing = consumer.contracts.standing(pid)
    assert standing.waits_for == consumer.identity.get(provider.identity.did).name_en
    assert standing.why is not None
    assert standing.why.en == "to answer our request"


def test_a_negotiation_that_we_end_is_ended_on_the_other_side_with_the_reason(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    consumer.contracts.terminate(pid, reason="the project was cancelled")
    settle(consumer, provider)
    (theirs,) = provider.contracts.negotiations()
    assert (theirs.state, theirs.reasons) == (State.TERMINATED, ("the project was cancelled",))
    assert consumer.contracts.agreements() == provider.contracts.agreements() == []


def test_a_forged_agreement_signature_ends_the_negotiation(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (theirs,) = provider.contracts.negotiations()
    document = {
        "@id": "urn:forged",
        "@type": "Agreement",
        "target": PRODUCT,
        "assigner": provider.identity.did,
        "assignee": consumer.identity.did,
        "timestamp": "2026-11-24T08:00:00Z",
        **to_odrl(policy_for(consumer)),
    }
    agreed = message("ContractAgreementMessage", consumerPid=pid, providerPid=theirs.id, agreement=document) | {SIGNATURE: "AAAA"}
    answer = call(consumer, provider, "POST", f"/negotiations/{segment(pid)}/agreement", agreed)
    assert answer.status_code == 200
    assert consumer.contracts.negotiation(pid).code == "agreement-signature"
    assert consumer.contracts.agreements() == []


def test_an_agreement_with_other_rules_than_asked_for_ends_the_negotiation(consumer: Node, provider: Node) -> None:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (theirs,) = provider.contracts.negotiations()
    document = {
        "@id": "urn:other",
        "@type": "Agreement",
        "target": PRODUCT,
        "assigner": provider.identity.did,
        "assignee": consumer.identity.did,
        "timestamp": "2026-11-24T08:00:00Z",
        **to_odrl(Policy((Purpose(frozenset({"advertising"})),))),
    }
    agreed = message("ContractAgreementMessage", consumerPid=pid, providerPid=theirs.id, agreement=document)
    call(consumer, provider, "POST", f"/negotiations/{segment(pid)}/agreement", agreed)
    assert consumer.contracts.negotiation(pid).code == "agreement-modified"


def test_an_offer_of_the_provider_waits_for_a_person_and_can_be_accepted(consumer: Node, provider: Node) -> None:
    offer = first_offer(consumer, provider) | {"target": PRODUCT}
    proposal = message("ContractOfferMessage", providerPid="urn:theirs", offer=offer, callbackAddress=provider.identity.address)
    answer = call(consumer, provider, "POST", "/negotiations/offers", proposal)
    pid = answer.json()["consumerPid"]
    assert (answer.status_code, answer.json()["state"]) == (201, "OFFERED")
    assert consumer.contracts.standing(pid).waits_for == consumer.identity.did
    assert consumer.contracts.accept(pid).state is State.ACCEPTED


def test_uses_are_allowed_within_the_agreement_and_counted(consumer: Node, provider: Node, clock: StepClock) -> None:
    negotiated(consumer, provider)
    (agreement,) = provider.contracts.agreements()
    use = a_use(clock, consumer)
    for count in (1, 2):
        with provider.database.write() as tx:
            assert provider.contracts.permit_use(tx, agreement.id, use) == agreement
            assert provider.contracts.record_use(tx, agreement.id, use) == count
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, agreement.id, use)
    assert isinstance(refused, Refused)
    assert refused.rule == "count-limit"


def test_a_use_outside_the_agreement_is_refused_by_the_first_rule_against_it(consumer: Node, provider: Node, clock: StepClock) -> None:
    negotiated(consumer, provider)
    (agreement,) = provider.contracts.agreements()
    use = a_use(clock, consumer, purpose="advertising", method="dump")
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, agreement.id, use)
    assert isinstance(refused, Refused)
    assert refused.rule == "purpose"


def test_an_agreement_that_is_not_concluded_allows_nothing(consumer: Node, provider: Node, clock: StepClock) -> None:
    consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    consumer.worker.run_due()
    (negotiation,) = provider.contracts.negotiations()
    assert negotiation.state is State.AGREED
    with provider.database.write() as tx:
        refused = provider.contracts.permit_use(tx, str(negotiation.agreement_id), a_use(clock, consumer))
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-not-in-force"
