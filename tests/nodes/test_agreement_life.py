"""Two nodes with an agreement that ends: by a party's word, by a later agreement, by time; each side sees the same, whoever is away."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from negotiators import (
    PRODUCT,
    Node,
    Start,
    StepClock,
    a_use,
    call,
    first_offer,
    introduce,
    make_node,
    message,
    negotiated,
    policy_for,
    serve,
    serve_app,
    settle,
)

from chengshu.contract.life import Phase
from chengshu.contract.model import State
from chengshu.dsp.messages.agreement import ERROR, STANDING, TERMINATION
from chengshu.dsp.translate.words import segment
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import CountLimit, Policy, TimeWindow
from chengshu.policy.odrl import REPLACES, to_odrl


def agreed(consumer: Node, provider: Node) -> str:
    """Conclude one agreement and return its id."""
    pid, _ = negotiated(consumer, provider)
    return str(consumer.contracts.negotiation(pid).agreement_id)


def phases(agreement: str, *nodes: Node) -> list[Phase]:
    return [node.agreements.standing(agreement).life.phase for node in nodes]


def refused_by(node: Node, agreement: str, clock: StepClock, consumer: Node) -> Refused | None:
    with node.database.write() as tx:
        verdict = node.contracts.permit_use(tx, agreement, a_use(clock, consumer))
    return verdict if isinstance(verdict, Refused) else None


def windowed(consumer: Node, clock: StepClock, *, days: int, uses: int = 2) -> Policy:
    """The usual policy, valid from now for so many days."""
    usual = tuple(rule for rule in policy_for(consumer).rules if not isinstance(rule, CountLimit))
    return Policy((*usual, CountLimit(uses), TimeWindow(clock.now, clock.now + timedelta(days=days))), policy_for(consumer).duties)


# --- a party's word


@pytest.mark.parametrize("ender", ["consumer", "provider"])
def test_either_side_ends_an_agreement_and_both_refuse_its_use_and_say_who_when_and_why(
    consumer: Node, provider: Node, clock: StepClock, ender: str
) -> None:
    agreement = agreed(consumer, provider)
    one, other = (consumer, provider) if ender == "consumer" else (provider, consumer)
    told = one.agreements.terminate(agreement, code="purpose-ended", reason="the study is over")
    assert (told.waits_for, told.due) == (one.identity.get(other.identity.did).name_en, ("compensate",))
    settle(consumer, provider)
    assert phases(agreement, consumer, provider) == [Phase.TERMINATED, Phase.TERMINATED]
    assert one.agreements.standing(agreement).waits_for is None
    for node in (consumer, provider):
        refused = refused_by(node, agreement, clock, consumer)
        assert refused is not None
        assert refused.rule == "agreement-terminated"
        for word in (one.identity.did, "2026-11-24T08:00:00.000Z", "purpose-ended", "the study is over"):
            assert word in refused.message
        assert node.contracts.agreements() == []
    (ours,) = (entry.body for entry in consumer.evidence.entries(0, 100) if entry.kind == "agreement.terminated")
    (theirs,) = (entry.body for entry in provider.evidence.entries(0, 100) if entry.kind == "agreement.terminated")
    assert ours == theirs


@dataclass
class Coming:
    """A party that can go away, and come back at its address as itself or as another connector."""

    node: Node
    port: int
    present: ExitStack

    def leave(self) -> None:
        self.present.close()

    def come_back(self) -> None:
        serve(self.node, socket.create_server(("127.0.0.1", self.port)), self.present)

    def come_as(self, app: FastAPI) -> None:
        serve_app(app, socket.create_server(("127.0.0.1", self.port)), self.present)


@pytest.fixture
def coming(tmp_path: Path, clock: StepClock, stack: ExitStack) -> Coming:
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    node = make_node(tmp_path / "coming", clock, f"http://127.0.0.1:{port}/2025-1")
    stack.callback(node.peers.close)
    stack.callback(node.database.engine.dispose)
    present = stack.enter_context(ExitStack())
    serve(node, listener, present)
    return Coming(node, port, present)


def test_an_end_that_the_other_side_is_away_for_waits_and_says_so(coming: Coming, provider: Node, clock: StepClock) -> None:
    consumer = coming.node
    introduce(provider, consumer)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(consumer))
    agreement = agreed(consumer, provider)
    coming.leave()
    provider.agreements.terminate(agreement, code="breach", reason="not paid")
    for _ in range(12):  # longer than any impatient task is tried
        provider.worker.run_due()
        clock.now += timedelta(hours=6)
    standing = provider.agreements.standing(agreement)
    assert standing.why is not None
    assert (standing.waits_for, "peer.unreachable" in standing.why.en) == (provider.identity.get(consumer.identity.did).name_en, True)
    assert phases(agreement, provider, consumer) == [Phase.TERMINATED, Phase.IN_FORCE]
    coming.come_back()
    clock.now += timedelta(hours=6)
    settle(provider, consumer)
    assert phases(agreement, provider, consumer) == [Phase.TERMINATED, Phase.TERMINATED]
    assert provider.agreements.standing(agreement).waits_for is None


def test_a_connector_without_the_message_is_said_not_to_have_it(coming: Coming, consumer: Node, clock: StepClock) -> None:
    provider = coming.node
    introduce(provider, consumer)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(consumer))
    agreement = agreed(consumer, provider)
    coming.leave()
    coming.come_as(FastAPI(openapi_url=None))  # answers every path with a framework's own 404
    consumer.agreements.terminate(agreement, code="not-needed", reason="no longer used")
    settle(consumer)
    standing = consumer.agreements.standing(agreement)
    assert standing.waits_for is None
    assert standing.why is not None
    assert "no message for this" in standing.why.en


def test_a_message_that_comes_again_changes_nothing_and_another_word_is_refused(consumer: Node, provider: Node) -> None:
    agreement = agreed(consumer, provider)
    consumer.agreements.terminate(agreement, code="not-needed", reason="changed our mind")
    settle(consumer, provider)
    before = provider.kinds()
    said = {"agreementId": agreement, "timestamp": "2026-11-24T08:00:00.000Z", "code": "not-needed"}
    path = f"/agreements/{segment(agreement)}/termination"
    again = call(provider, consumer, "POST", path, message(TERMINATION, reason=["changed our mind"], **said))
    assert (again.status_code, again.json()) == (200, message(STANDING, agreementId=agreement, state="TERMINATED"))
    other = call(provider, consumer, "POST", path, message(TERMINATION, reason=["for another reason"], **said))
    assert (other.status_code, other.json()["@type"], other.json()["code"]) == (400, ERROR, "contract.other-termination")
    assert provider.kinds() == before


def test_both_sides_end_it_at_once_and_read_one_standing(consumer: Node, provider: Node, clock: StepClock) -> None:
    agreement = agreed(consumer, provider)
    consumer.agreements.terminate(agreement, code="not-needed", reason="no longer used")
    clock.now += timedelta(seconds=1)
    provider.agreements.terminate(agreement, code="breach", reason="not paid")
    settle(consumer, provider)
    ours, theirs = (node.agreements.standing(agreement).life for node in (consumer, provider))
    assert ours.ending == theirs.ending
    assert getattr(ours.ending, "by", None) == consumer.identity.did
    assert [node.kinds().count("agreement.terminated") for node in (consumer, provider)] == [2, 2]


def test_an_agreement_of_others_looks_unknown_to_whoever_asks_or_ends_it(start: Start, consumer: Node, provider: Node) -> None:
    agreement = agreed(consumer, provider)
    stranger = start("stranger")
    introduce(provider, stranger)
    said = message(TERMINATION, agreementId=agreement, timestamp="2026-11-24T08:00:00Z", code="mine", reason=["mine"])
    path = f"/agreements/{segment(agreement)}"
    known = [call(provider, stranger, "POST", path + "/termination", said), call(provider, stranger, "GET", path)]
    made_up = [
        call(provider, stranger, "POST", "/agreements/urn%3Anone/termination", said),
        call(provider, stranger, "GET", "/agreements/urn%3Anone"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in (*known, *made_up)] == [(404, "contract.agreement-unknown")] * 4
    assert [one.json()["reason"] for one in known] == [one.json()["reason"] for one in made_up]
    assert phases(agreement, consumer, provider) == [Phase.IN_FORCE, Phase.IN_FORCE]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"agreementId": "urn:other"},
        {"agreementId": None},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-11-24T08:00:00"},
        {"timestamp": "2026-19-24T08:00:00Z"},
        {"code": ""},
        {"code": 7},
        {"reason": []},
        {"reason": "none"},
        {"@type": "ContractNegotiationTerminationMessage"},
    ],
)
def test_a_message_that_is_none_is_refused_by_name_and_ends_nothing(consumer: Node, provider: Node, spoilt: dict[str, object]) -> None:
    agreement = agreed(consumer, provider)
    said = {"agreementId": agreement, "timestamp": "2026-11-24T08:00:00Z", "code": "breach", "reason": ["not paid"]}
    sent = {key: value for key, value in {**message(TERMINATION, **said), **spoilt}.items() if value is not None}
    answer = call(provider, consumer, "POST", f"/agreements/{segment(agreement)}/termination", sent)
    assert (answer.status_code, answer.json()["@type"], answer.json()["code"]) == (400, ERROR, "message.invalid")
    assert phases(agreement, provider) == [Phase.IN_FORCE]


@pytest.mark.parametrize(("code", "reason"), [("", "why"), ("Not Needed", "why"), ("x" * 65, "why"), ("code", " "), ("code", "a\nb")])
def test_a_code_or_reason_that_is_none_ends_nothing(consumer: Node, provider: Node, code: str, reason: str) -> None:
    agreement = agreed(consumer, provider)
    with pytest.raises(Invalid):
        consumer.agreements.terminate(agreement, code=code, reason=reason)
    assert phases(agreement, consumer) == [Phase.IN_FORCE]


def test_what_has_ended_or_is_not_there_cannot_be_ended(consumer: Node, provider: Node) -> None:
    agreement = agreed(consumer, provider)
    consumer.agreements.terminate(agreement, code="not-needed", reason="no longer used")
    with pytest.raises(Conflict) as caught:
        consumer.agreements.terminate(agreement, code="not-needed", reason="again")
    assert caught.value.code == "contract.agreement-terminated"
    with pytest.raises(NotFound):
        consumer.agreements.terminate("urn:none", code="not-needed", reason="again")


# --- time


def test_an_agreement_expires_with_its_policys_time_and_never_comes_back(consumer: Node, provider: Node, clock: StepClock) -> None:
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=1))
    agreement = agreed(consumer, provider)
    assert provider.agreements.next_expiry() == clock.now + timedelta(days=1)
    assert (provider.agreements.expire(), phases(agreement, provider)) == ([], [Phase.IN_FORCE])
    clock.now += timedelta(days=1, seconds=1)
    refused = refused_by(provider, agreement, clock, consumer)
    assert refused is not None
    assert refused.rule == "agreement-expired"
    assert "2026-11-25T08:00:00.000Z" in refused.message
    assert (provider.agreements.expire(), provider.agreements.expire()) == ([agreement], [])
    assert provider.kinds().count("agreement.expired") == 1
    clock.now -= timedelta(days=1)  # an operator may set a clock back; that revives nothing
    assert phases(agreement, provider) == [Phase.EXPIRED]
    assert provider.agreements.next_expiry() is None


def test_an_agreement_is_not_yet_valid_before_its_policys_time_and_may_be_ended_then(
    consumer: Node, provider: Node, clock: StepClock
) -> None:
    later = TimeWindow(clock.now + timedelta(days=1), None)
    provider.products.policies[PRODUCT] = to_odrl(Policy((*policy_for(consumer).rules, later)))
    agreement = agreed(consumer, provider)
    refused = refused_by(provider, agreement, clock, consumer)
    assert refused is not None
    assert (refused.rule, phases(agreement, consumer)) == ("agreement-not-yet-valid", [Phase.NOT_YET_VALID])
    consumer.agreements.terminate(agreement, code="not-needed", reason="no longer used")
    assert phases(agreement, consumer) == [Phase.TERMINATED]


# --- a later agreement


def replaced(consumer: Node, provider: Node, agreement: str) -> str:
    """Ask for the provider's present offer in the place of an agreement; return the negotiation's id."""
    offer = first_offer(consumer, provider)
    return consumer.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer, replaces=agreement)


def test_a_replacement_supersedes_the_old_agreement_on_both_sides_and_both_signed_it(
    consumer: Node, provider: Node, clock: StepClock
) -> None:
    old = agreed(consumer, provider)
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=9))
    pid = replaced(consumer, provider, old)
    settle(consumer, provider)
    new = str(consumer.contracts.negotiation(pid).agreement_id)
    assert phases(old, consumer, provider) == [Phase.SUPERSEDED, Phase.SUPERSEDED]
    assert phases(new, consumer, provider) == [Phase.IN_FORCE, Phase.IN_FORCE]
    for node in (consumer, provider):
        assert node.contracts.agreement(new).document[REPLACES] == old
        assert node.agreements.standing(old).why is None
        (entry,) = (one for one in node.evidence.entries(0, 100) if one.kind == "agreement.superseded")
        assert (entry.body["agreement"], entry.body["successor"], entry.body["known_to_counterparty"]) == (old, new, True)
        refused = refused_by(node, old, clock, consumer)
        assert refused is not None
        assert (refused.rule, new in refused.message) == ("agreement-superseded", True)


def test_a_provider_proposes_a_replacement_that_the_consumer_accepts(consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    provider.contracts.offer(consumer.identity.did, dataset=PRODUCT, replaces=old)
    provider.worker.run_due()
    proposed = next(one for one in consumer.contracts.negotiations() if one.state is State.OFFERED)
    assert (proposed.replaces, phases(old, consumer, provider)) == (old, [Phase.IN_FORCE, Phase.IN_FORCE])
    consumer.contracts.accept(proposed.id)
    settle(consumer, provider)
    assert phases(old, consumer, provider) == [Phase.SUPERSEDED, Phase.SUPERSEDED]
    assert [node.agreements.standing(old).why for node in (consumer, provider)] == [None, None]


def test_of_two_replacements_of_one_agreement_one_is_concluded(consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    pids = [replaced(consumer, provider, old) for _ in range(2)]
    settle(consumer, provider)
    ended = sorted((consumer.contracts.negotiation(pid).state, consumer.contracts.negotiation(pid).code) for pid in pids)
    assert [state for state, _ in ended] == [State.FINALIZED, State.TERMINATED]
    assert ended[1][1] == "agreement-superseded"
    assert [one.id for one in consumer.contracts.agreements()] == [one.id for one in provider.contracts.agreements()]
    assert len(consumer.contracts.agreements()) == 1


def test_an_agreement_ended_while_its_replacement_is_negotiated_ends_the_negotiation(consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    pid = replaced(consumer, provider, old)
    consumer.worker.run_due()  # the request is there, and agreed to
    provider.agreements.terminate(old, code="breach", reason="not paid")
    settle(consumer, provider)
    negotiation = consumer.contracts.negotiation(pid)
    assert (negotiation.state, negotiation.code) == (State.TERMINATED, "agreement-terminated")
    assert phases(old, consumer, provider) == [Phase.TERMINATED, Phase.TERMINATED]
    assert consumer.contracts.agreements() == provider.contracts.agreements() == []


def test_only_the_parties_of_an_agreement_replace_it(start: Start, consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    stranger = start("stranger")
    introduce(provider, stranger)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(consumer, stranger))
    offer = first_offer(stranger, provider)
    for made_up in (old, "urn:none"):
        with pytest.raises(Conflict) as caught:
            stranger.contracts.request(provider.identity.did, dataset=PRODUCT, offer=offer, replaces=made_up)
        assert caught.value.code == "contract.agreement-unknown"
        request = message(
            "ContractRequestMessage",
            consumerPid=f"urn:mine:{made_up}",
            offer={**offer, "target": PRODUCT},
            callbackAddress=stranger.identity.address,
            **{REPLACES: made_up},
        )
        assert call(provider, stranger, "POST", "/negotiations/request", request).status_code == 201
    refused = [one for one in provider.contracts.negotiations() if one.counterparty == stranger.identity.did]
    assert [(one.state, one.code) for one in refused] == [(State.TERMINATED, "agreement-unknown")] * 2
    assert refused[0].reasons == refused[1].reasons
    assert phases(old, provider) == [Phase.IN_FORCE]


def test_a_provider_that_does_not_know_of_replacements_leaves_it_to_our_side_and_we_say_so(
    consumer: Node, provider: Node, clock: StepClock
) -> None:
    old = agreed(consumer, provider)
    pid = replaced(consumer, provider, old)
    request = message(
        "ContractRequestMessage",
        consumerPid=pid,
        offer=dict(consumer.contracts.negotiation(pid).offer),
        callbackAddress=consumer.identity.address,
    )
    call(provider, consumer, "POST", "/negotiations/request", request)  # what such a provider reads of the request
    while provider.worker.run_due():
        pass
    assert consumer.contracts.negotiation(pid).state is State.VERIFIED
    consumer.worker.run_due()
    settle(provider)
    assert consumer.contracts.negotiation(pid).state is State.FINALIZED
    assert phases(old, consumer, provider) == [Phase.SUPERSEDED, Phase.IN_FORCE]
    why = consumer.agreements.standing(old).why
    assert why is not None
    assert "may still be in force" in why.en
    (entry,) = (one for one in consumer.evidence.entries(0, 100) if one.kind == "agreement.superseded")
    assert entry.body["known_to_counterparty"] is False


def test_a_renewal_is_the_same_terms_for_longer_and_nothing_else(consumer: Node, provider: Node, clock: StepClock) -> None:
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=1))
    old = agreed(consumer, provider)
    with pytest.raises(Conflict) as caught:
        consumer.agreements.renew(old, offer=first_offer(consumer, provider))
    assert caught.value.code == "contract.not-later"
    provider.products.policies[PRODUCT] = to_odrl(_counted(windowed(consumer, clock, days=9), uses=9))
    with pytest.raises(Conflict) as caught:
        consumer.agreements.renew(old, offer=first_offer(consumer, provider))
    assert (caught.value.code, "count-limit" in caught.value.message) == ("contract.not-a-renewal", True)
    clock.now += timedelta(days=2)  # it has run out meanwhile, and may be renewed all the same
    assert phases(old, consumer) == [Phase.EXPIRED]
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=9))
    pid = consumer.agreements.renew(old, offer=first_offer(consumer, provider))
    settle(consumer, provider)
    assert consumer.contracts.negotiation(pid).state is State.FINALIZED
    assert phases(old, consumer, provider) == [Phase.SUPERSEDED, Phase.SUPERSEDED]


def _counted(policy: Policy, *, uses: int) -> Policy:
    return Policy((*(rule for rule in policy.rules if not isinstance(rule, CountLimit)), CountLimit(uses)), policy.duties)


def test_an_agreement_without_an_end_cannot_be_renewed_and_one_with_the_same_terms_is_no_amendment(consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    for verb, code in ((consumer.agreements.renew, "not-later"), (consumer.agreements.amend, "not-an-amendment")):
        with pytest.raises(Conflict) as caught:
            verb(old, offer=first_offer(consumer, provider))
        assert caught.value.code == f"contract.{code}"


def test_the_holder_amends_with_its_present_offer_once_the_asker_accepts(consumer: Node, provider: Node) -> None:
    old = agreed(consumer, provider)
    provider.products.policies[PRODUCT] = to_odrl(_counted(policy_for(consumer), uses=9))
    provider.agreements.amend(old)
    provider.worker.run_due()
    proposed = next(one for one in consumer.contracts.negotiations() if one.state is State.OFFERED)
    consumer.contracts.accept(proposed.id)
    settle(consumer, provider)
    assert phases(old, consumer, provider) == [Phase.SUPERSEDED, Phase.SUPERSEDED]
    (new,) = consumer.contracts.agreements()
    assert new.policy.rule(CountLimit) == CountLimit(9)


@pytest.mark.parametrize("verb", ["renew", "amend"])
def test_an_agreement_that_a_party_ended_cannot_be_replaced(consumer: Node, provider: Node, clock: StepClock, verb: str) -> None:
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=1))
    old = agreed(consumer, provider)
    consumer.agreements.terminate(old, code="not-needed", reason="no longer used")
    provider.products.policies[PRODUCT] = to_odrl(windowed(consumer, clock, days=2))
    with pytest.raises(Conflict) as caught:
        getattr(consumer.agreements, verb)(old, offer=first_offer(consumer, provider))
    assert caught.value.code == "contract.agreement-terminated"
