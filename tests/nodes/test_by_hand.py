"""Two nodes whose operators take every step: counter-offers to and fro, agreement on them, and what a person may not do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from negotiators import PRODUCT, Node, Start, call, first_offer, introduce, message, policy_for, settle

from chengshu.contract.decision import Decide, Objections, signature_of
from chengshu.contract.model import Agree, Agreement, Negotiation, Propose, State
from chengshu.contract.standing import TURNS
from chengshu.dsp.translate.words import segment
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import CountLimit, Policy, Recipient
from chengshu.policy.odrl import to_odrl


@pytest.fixture
def provider(start: Start) -> Node:
    return start("provider", decide=Decide.BY_HAND)


@pytest.fixture
def consumer(start: Start, provider: Node) -> Node:
    node = start("consumer", decide=Decide.BY_HAND)
    introduce(provider, node)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(node))
    return node


def terms(consumer: Node, uses: int) -> dict[str, Any]:
    """The catalog's rules with another number of uses."""
    rules = policy_for(consumer).rules
    return to_odrl(Policy(tuple(CountLimit(uses) if isinstance(rule, CountLimit) else rule for rule in rules)))


def requested(consumer: Node, provider: Node) -> tuple[str, str]:
    pid = consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=first_offer(consumer, provider))
    settle(consumer, provider)
    return pid, str(consumer.contracts.negotiation(pid).peer_pid)


def states(consumer: Node, provider: Node, pids: tuple[str, str]) -> tuple[str, str]:
    settle(consumer, provider)
    return consumer.contracts.negotiation(pids[0]).state.value, provider.contracts.negotiation(pids[1]).state.value


def test_nothing_happens_until_somebody_decides_and_each_side_says_for_whom_it_waits(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    steps: list[Callable[[], object]] = [
        lambda: provider.contracts.counter(pids[1]),
        lambda: consumer.contracts.accept(pids[0]),
        lambda: provider.contracts.agree(pids[1]),
        lambda: consumer.contracts.verify(pids[0]),
        lambda: provider.contracts.finalize(pids[1]),
    ]
    for state, step in zip(("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"), steps, strict=True):
        assert states(consumer, provider, pids) == (state, state)
        for node, pid, role in ((consumer, pids[0], Role.CONSUMER), (provider, pids[1], Role.PROVIDER)):
            waits_for = node.contracts.standing(pid).waits_for
            ours = TURNS[State(state)] is role
            assert (waits_for == node.identity.did) is ours
            assert waits_for is not None
            assert node.contracts.standing(pid).why is not None
        step()
    assert states(consumer, provider, pids) == ("FINALIZED", "FINALIZED")
    assert provider.contracts.standing(pids[1]).waits_for is None


def test_a_counter_offer_of_the_consumer_is_agreed_to_and_signed_as_it_came(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    provider.contracts.counter(pids[1], policy=terms(consumer, 1))
    assert states(consumer, provider, pids) == ("OFFERED", "OFFERED")
    proposed = consumer.contracts.negotiation(pids[0]).offer
    consumer.contracts.counter(pids[0], policy=terms(consumer, 5))
    assert states(consumer, provider, pids) == ("REQUESTED", "REQUESTED")
    asked = provider.contracts.negotiation(pids[1]).offer
    assert (asked["@id"], asked["permission"]) == (proposed["@id"], terms(consumer, 5)["permission"])
    agreed = provider.contracts.agree(pids[1])
    assert isinstance(agreed, Negotiation)
    settle(consumer, provider)
    assert isinstance(consumer.contracts.verify(pids[0]), Negotiation)
    settle(consumer, provider)
    assert isinstance(provider.contracts.finalize(pids[1]), Negotiation)
    assert states(consumer, provider, pids) == ("FINALIZED", "FINALIZED")
    (here,), (there,) = consumer.contracts.agreements(), provider.contracts.agreements()
    assert replace(here, negotiation="") == replace(there, negotiation="")
    assert here.policy.rule(CountLimit) == CountLimit(5)
    assert here.unsigned_by == ()


def test_the_same_terms_may_go_to_and_fro(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    for _ in range(3):
        provider.contracts.counter(pids[1])
        assert states(consumer, provider, pids) == ("OFFERED", "OFFERED")
        consumer.contracts.counter(pids[0], policy=terms(consumer, 9))
        assert states(consumer, provider, pids) == ("REQUESTED", "REQUESTED")
    assert provider.kinds().count("negotiation.requested") == 4
    assert consumer.kinds().count("negotiation.offered") == 3


def test_an_offer_unasked_opens_a_negotiation_that_the_other_side_answers(consumer: Node, provider: Node) -> None:
    ours = provider.contracts.offer(consumer.identity.did, dataset=PRODUCT, policy=terms(consumer, 3))
    settle(consumer, provider)
    (theirs,) = consumer.contracts.negotiations()
    assert (theirs.state, theirs.role, theirs.peer_pid, theirs.dataset) == (State.OFFERED, Role.CONSUMER, ours, PRODUCT)
    consumer.contracts.accept(theirs.id)
    settle(consumer, provider)
    assert isinstance(provider.contracts.agree(ours), Negotiation)
    settle(consumer, provider)
    consumer.contracts.terminate(theirs.id, code="second-thoughts", reason="no longer needed")
    settle(consumer, provider)
    ended = provider.contracts.negotiation(ours)
    assert (ended.state, ended.code, ended.reasons) == (State.TERMINATED, "second-thoughts", ("no longer needed",))


def test_a_node_that_decides_by_itself_keeps_to_an_offer_of_its_own_that_is_accepted(start: Start, consumer: Node) -> None:
    road = start("road")
    introduce(road, consumer)
    road.products.policies[PRODUCT] = to_odrl(policy_for(consumer))
    ours = road.contracts.offer(consumer.identity.did, dataset=PRODUCT, policy=terms(consumer, 3))
    settle(consumer, road)
    (theirs,) = consumer.contracts.negotiations()
    consumer.contracts.accept(theirs.id)
    settle(consumer, road)
    consumer.contracts.verify(theirs.id)
    settle(consumer, road)
    assert road.contracts.negotiation(ours).state is State.FINALIZED
    (agreement,) = road.contracts.agreements()
    assert agreement.policy.rule(CountLimit) == CountLimit(3)


def test_an_offer_on_another_product_with_equal_rules_waits_for_a_person(start: Start, provider: Node) -> None:
    firm = start("firm")
    introduce(firm, provider)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(firm))
    pids = requested(firm, provider)
    theirs = provider.contracts.negotiation(pids[1])
    other = {**theirs.offer, "target": "urn:product:other"}
    firm.contracts.receive(provider.identity.did, own_pid=pids[0], peer_pid=pids[1], content=Propose(other, None))
    assert firm.contracts.negotiation(pids[0]).state is State.OFFERED


def test_nobody_agrees_to_terms_that_the_node_cannot_enforce_or_that_exclude_the_recipient(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    provider.contracts.counter(pids[1])
    settle(consumer, provider)
    strange = {"permission": [{"action": "use", "constraint": [{"leftOperand": "mood", "operator": "eq", "rightOperand": "good"}]}]}
    with pytest.raises(Invalid, match="mood"):
        consumer.contracts.counter(pids[0], policy=strange)
    with pytest.raises(Invalid, match="terms"):
        consumer.contracts.counter(pids[0])
    counter = message("ContractRequestMessage", consumerPid=pids[0], providerPid=pids[1], offer=offer_with(provider, strange))
    assert call(provider, consumer, "POST", f"/negotiations/{segment(pids[1])}/request", counter).status_code == 200
    with pytest.raises(Invalid, match="mood"):
        provider.contracts.agree(pids[1])
    provider.contracts.counter(pids[1])
    others = to_odrl(Policy((Recipient(frozenset({"did:key:zSomebodyElse"})),)))
    counter |= {"offer": offer_with(provider, others)}
    assert call(provider, consumer, "POST", f"/negotiations/{segment(pids[1])}/request", counter).status_code == 200
    refused = provider.contracts.agree(pids[1])
    assert isinstance(refused, Refused)
    assert refused.rule == "recipient"
    assert provider.contracts.negotiation(pids[1]).state is State.REQUESTED


def offer_with(provider: Node, policy: dict[str, Any]) -> dict[str, Any]:
    return {"@id": "urn:any", "@type": "Offer", "target": PRODUCT, "assigner": provider.identity.did, **policy}


def test_a_withdrawn_product_is_neither_offered_nor_agreed_on(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    provider.products.policies.clear()
    refused = provider.contracts.agree(pids[1])
    assert isinstance(refused, Refused)
    assert refused.rule == "offer-unknown"
    with pytest.raises(NotFound):
        provider.contracts.counter(pids[1])
    with pytest.raises(NotFound):
        provider.contracts.offer(consumer.identity.did, dataset=PRODUCT)


def sent(provider: Node, consumer: Node, pids: tuple[str, str], **changes: Any) -> Agreement:
    """An agreement that the provider's side sends past its own node, as it was asked for but for ``changes``; signed as changed."""
    asked = consumer.contracts.negotiation(pids[0]).offer
    parties = {"assigner": provider.identity.did, "assignee": consumer.identity.did, "timestamp": "2026-11-24T08:00:00Z"}
    document = {"@id": "urn:a:1", "@type": "Agreement", "target": PRODUCT, **parties, "permission": asked["permission"], **changes}
    agreement = Agreement("urn:a:1", pids[0], document, None, None)
    signature = signature_of(agreement, provider.identity.signer, digests=Digests(INTERNATIONAL))
    content = Agree(document, signature)
    consumer.contracts.receive(provider.identity.did, own_pid=pids[0], peer_pid=pids[1], content=content)
    return replace(agreement, provider_signature=signature)


def test_an_agreement_on_other_rules_is_signed_only_once_the_objection_is_set_aside(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    sent(provider, consumer, pids, **terms(consumer, 1))
    refused = consumer.contracts.verify(pids[0])
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-modified"
    assert consumer.contracts.negotiation(pids[0]).state is State.AGREED
    assert isinstance(consumer.contracts.verify(pids[0], objections=Objections.SET_ASIDE), Negotiation)
    assert consumer.contracts.agreement("urn:a:1").consumer_signature is not None
    assert "agreement.signed" in consumer.kinds()


@pytest.mark.parametrize("swapped", ["both", "assigner", "assignee"])
def test_an_agreement_between_others_is_at_most_confirmed_and_never_signed_or_kept(consumer: Node, provider: Node, swapped: str) -> None:
    """Signed by this node, it would give the counterparty a right to what this node holds."""
    pids = requested(consumer, provider)
    wrong = {"assigner": consumer.identity.did, "assignee": provider.identity.did}
    sent(provider, consumer, pids, **(wrong if swapped == "both" else {swapped: wrong[swapped]}))
    refused = consumer.contracts.verify(pids[0])
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-parties"
    assert isinstance(consumer.contracts.verify(pids[0], objections=Objections.SET_ASIDE), Negotiation)
    with pytest.raises(NotFound):
        consumer.contracts.agreement("urn:a:1")
    assert "agreement.signed" not in consumer.kinds()
    with consumer.database.read() as tx:
        (task,) = consumer.tasks.waiting(tx)
    assert (task.payload["content"]["kind"], task.payload["content"]["signature"]) == ("Verify", None)


def test_a_wrong_signature_and_terms_unknown_here_are_never_set_aside(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    agreement = sent(provider, consumer, pids)
    other = requested(consumer, provider)
    document = {**agreement.document, "@id": "urn:a:2"}
    forged = Agree(document, agreement.provider_signature)
    consumer.contracts.receive(provider.identity.did, own_pid=other[0], peer_pid=other[1], content=forged)
    refused = consumer.contracts.verify(other[0], objections=Objections.SET_ASIDE)
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-signature"
    third = requested(consumer, provider)
    strange = {"permission": [{"action": "use", "constraint": [{"leftOperand": "mood", "operator": "eq", "rightOperand": "good"}]}]}
    sent(provider, consumer, third, **{"@id": "urn:a:3", **strange})
    with pytest.raises(Invalid, match="mood"):
        consumer.contracts.verify(third[0], objections=Objections.SET_ASIDE)


def test_an_agreement_id_in_use_is_refused_at_the_door(consumer: Node, provider: Node) -> None:
    sent(provider, consumer, requested(consumer, provider))
    second = requested(consumer, provider)
    with pytest.raises(Conflict, match="id that is new here"):
        sent(provider, consumer, second)
    assert consumer.contracts.negotiation(second[0]).state is State.REQUESTED


def test_an_agreement_is_not_finalized_without_the_consumers_signature(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    provider.contracts.agree(pids[1])
    confirmed = message("ContractAgreementVerificationMessage", consumerPid=pids[0], providerPid=pids[1])
    answer = call(provider, consumer, "POST", f"/negotiations/{segment(pids[1])}/agreement/verification", confirmed)
    assert answer.json()["state"] == "VERIFIED"
    refused = provider.contracts.finalize(pids[1])
    assert isinstance(refused, Refused)
    assert refused.rule == "agreement-signature"
    assert provider.contracts.agreements() == []


def test_a_verb_out_of_turn_is_refused_and_names_the_state(consumer: Node, provider: Node) -> None:
    pids = requested(consumer, provider)
    verbs: list[Callable[[], object]] = [
        lambda: consumer.contracts.counter(pids[0], policy=terms(consumer, 1)),
        lambda: consumer.contracts.accept(pids[0]),
        lambda: consumer.contracts.agree(pids[0]),
        lambda: consumer.contracts.verify(pids[0]),
        lambda: provider.contracts.finalize(pids[1]),
        lambda: provider.contracts.verify(pids[1]),
        lambda: provider.contracts.accept(pids[1]),
    ]
    for verb in verbs:
        with pytest.raises(Conflict) as caught:
            verb()
        assert caught.value.code in {"negotiation.negotiation-state", "negotiation.negotiation-sender"}
    assert states(consumer, provider, pids) == ("REQUESTED", "REQUESTED")


@pytest.mark.parametrize("code", ["", "x" * 257])
def test_a_code_that_no_message_can_carry_is_refused(consumer: Node, provider: Node, code: str) -> None:
    pids = requested(consumer, provider)
    with pytest.raises(Invalid) as caught:
        consumer.contracts.terminate(pids[0], code=code, reason="why")
    assert caught.value.code == "contract.code"
