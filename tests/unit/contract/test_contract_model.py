from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from chengshu.contract.decision import (
    draft_agreement,
    grant,
    make_offer,
    refuse_agreement,
    refuse_signature,
    signature_of,
)
from chengshu.contract.model import (
    CONTENTS,
    Accept,
    Agree,
    Agreement,
    Content,
    Finalize,
    Negotiation,
    Offer,
    Propose,
    Request,
    State,
    Terminate,
    Verify,
    advance,
    from_json,
    to_json,
)
from chengshu.identity.model import did_key
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.machine import Role, pids
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import CountLimit, Policy, Purpose, Recipient
from chengshu.policy.odrl import to_odrl

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OFFER = {"@id": "urn:o", "@type": "Offer", "target": "urn:t", "permission": [{"action": "use"}]}
AGREEMENT = {"@id": "urn:a", "@type": "Agreement", "target": "urn:t", "assigner": "p", "assignee": "c", "permission": [{"action": "use"}]}
MESSAGES: tuple[Content, ...] = (
    Request(OFFER, None),
    Propose(OFFER, None),
    Accept(),
    Agree(AGREEMENT, "sig"),
    Verify("sig"),
    Finalize(),
    Terminate("code", ("why",)),
)

# Dataspace Protocol 2025-1, contract negotiation: from, sender, message, to. C consumer, P provider.
TABLE = """
REQUESTED P Propose OFFERED      REQUESTED P Agree AGREED       REQUESTED C Terminate TERMINATED  REQUESTED P Terminate TERMINATED
OFFERED C Request REQUESTED      OFFERED C Accept ACCEPTED      OFFERED C Terminate TERMINATED    OFFERED P Terminate TERMINATED
ACCEPTED P Agree AGREED          ACCEPTED C Terminate TERMINATED                                  ACCEPTED P Terminate TERMINATED
AGREED C Verify VERIFIED         AGREED C Terminate TERMINATED                                    AGREED P Terminate TERMINATED
VERIFIED P Finalize FINALIZED    VERIFIED C Terminate TERMINATED                                  VERIFIED P Terminate TERMINATED
"""
_WORDS = TABLE.split()
STEPS = {tuple(_WORDS[place : place + 3]): _WORDS[place + 3] for place in range(0, len(_WORDS), 4)}


def negotiation(state: State = State.REQUESTED, role: Role = Role.PROVIDER) -> Negotiation:
    return Negotiation("urn:mine", role, "did:peer", "urn:theirs", None, OFFER, state, None, None, (), NOW, NOW)


def _label(value: object) -> str:
    return str(getattr(value, "name", type(value).__name__))


@pytest.mark.parametrize(("state", "by", "content"), list(product(State, Role, MESSAGES)), ids=_label)
def test_every_state_sender_and_message_agree_with_the_published_table(state: State, by: Role, content: Content) -> None:
    moved = advance(negotiation(state), content, by=by, at=NOW)
    expected = STEPS.get((state.value, by.value[0], type(content).__name__))
    assert (None if isinstance(moved, Refused) else moved.state) == expected


def test_the_table_covers_every_message() -> None:
    assert {name for _, _, name in STEPS} == {kind.__name__ for kind in CONTENTS}


@pytest.mark.parametrize("content", MESSAGES, ids=lambda content: type(content).__name__)
def test_a_message_survives_the_outbox(content: Content) -> None:
    assert from_json(to_json(content)) == content


def test_a_refused_step_names_state_and_message() -> None:
    refused = advance(negotiation(State.FINALIZED), Terminate(None, ()), by=Role.CONSUMER, at=NOW)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.message) == ("negotiation-state", "expected nothing more in state FINALIZED, got Terminate")


def test_a_step_keeps_what_the_message_says() -> None:
    other = OFFER | {"@id": "urn:o2"}
    offered = advance(negotiation(), Propose(other, None), by=Role.PROVIDER, at=NOW)
    assert isinstance(offered, Negotiation)
    assert offered.offer == other
    ended = advance(offered, Terminate("c", ("r",)), by=Role.CONSUMER, at=NOW)
    assert isinstance(ended, Negotiation)
    assert (ended.code, ended.reasons, ended.state.final) == ("c", ("r",), True)


def test_each_side_knows_both_pids_by_their_roles() -> None:
    assert pids(negotiation(role=Role.CONSUMER)) == {Role.CONSUMER: "urn:mine", Role.PROVIDER: "urn:theirs"}
    assert pids(negotiation(role=Role.PROVIDER)) == {Role.CONSUMER: "urn:theirs", Role.PROVIDER: "urn:mine"}


DIGESTS = Digests(INTERNATIONAL)
POLICY = Policy((Purpose(frozenset({"research"})), Recipient(frozenset({"did:c"}))))
OURS = make_offer("urn:t", to_odrl(POLICY), assigner="did:p", digests=DIGESTS)
ASKED = {**OURS.document, "target": "urn:t"}


def test_an_offers_id_depends_on_product_provider_and_policy_alone() -> None:
    assert make_offer("urn:t", {"@id": "x", "assigner": "other", **to_odrl(POLICY)}, assigner="did:p", digests=DIGESTS).id == OURS.id
    others = [
        make_offer("urn:u", to_odrl(POLICY), assigner="did:p", digests=DIGESTS),
        make_offer("urn:t", to_odrl(POLICY), assigner="did:q", digests=DIGESTS),
        make_offer("urn:t", to_odrl(Policy((CountLimit(1),))), assigner="did:p", digests=DIGESTS),
    ]
    assert len({OURS.id, *(other.id for other in others)}) == 4


@pytest.mark.parametrize("asked", [ASKED, {"@id": OURS.id, "@type": "Offer", "target": "urn:t"}, ASKED | {"assigner": "did:p"}])
def test_an_unmodified_offer_or_its_bare_id_is_granted(asked: dict[str, object]) -> None:
    assert grant(asked, OURS, consumer="did:c") == OURS


@pytest.mark.parametrize(
    ("asked", "ours", "rule", "word"),
    [
        (ASKED, None, "offer-unknown", "catalog"),
        (ASKED | {"@id": "urn:x"}, OURS, "offer-unknown", "catalog"),
        (ASKED | {"assigner": "did:x"}, OURS, "offer-modified", "assigner"),
        (ASKED | to_odrl(Policy((CountLimit(1),))), OURS, "offer-modified", "recipient, purpose, count-limit"),
        (ASKED | {"permission": [{"action": "distribute"}]}, OURS, "offer-modified", "distribute"),
        (ASKED | {"prohibition": [{"action": "use"}]}, OURS, "offer-modified", "prohibition"),
        (
            ASKED,
            make_offer("urn:t", to_odrl(Policy((Recipient(frozenset({"did:x"})),))), assigner="did:p", digests=DIGESTS),
            "offer-unknown",
            "catalog",
        ),
    ],
)
def test_a_request_that_is_not_granted_says_why(asked: dict[str, object], ours: Offer | None, rule: str, word: str) -> None:
    refused = grant(asked, ours, consumer="did:c")
    assert isinstance(refused, Refused)
    assert refused.rule == rule
    assert word in refused.message


def test_a_party_that_the_offer_does_not_name_is_refused() -> None:
    refused = grant(ASKED, OURS, consumer="did:other")
    assert isinstance(refused, Refused)
    assert refused.rule == "recipient"


SIGNER = MemorySigner.generate()
PROVIDER = did_key(SIGNER.public_key)


def signed_agreement() -> tuple[Negotiation, Agreement]:
    offer = make_offer("urn:t", to_odrl(POLICY), assigner=PROVIDER, digests=DIGESTS)
    at_provider = replace(negotiation(), counterparty="did:c")
    document = draft_agreement(at_provider, offer, agreement_id="urn:a", at=NOW)
    agreement = Agreement("urn:a", "urn:mine", document, None, None)
    asked = replace(negotiation(role=Role.CONSUMER), counterparty=PROVIDER, offer={**offer.document, "target": "urn:t"})
    return asked, replace(agreement, provider_signature=signature_of(agreement, SIGNER, digests=DIGESTS))


def test_an_agreement_has_the_offers_rules_structurally_unchanged() -> None:
    _, agreement = signed_agreement()
    assert canonical(agreement.document["permission"]) == canonical(to_odrl(POLICY)["permission"])
    assert agreement.policy == POLICY
    assert (agreement.product, agreement.provider, agreement.consumer) == ("urn:t", PROVIDER, "did:c")


def test_the_agreement_that_was_asked_for_is_verified() -> None:
    asked, agreement = signed_agreement()
    assert refuse_agreement(asked, agreement, consumer="did:c", digests=DIGESTS) is None


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"assignee": "did:x"}, "agreement-parties"),
        ({"assigner": "did:x"}, "agreement-parties"),
        ({"target": "urn:x"}, "agreement-parties"),
        (to_odrl(Policy((CountLimit(1),))), "agreement-modified"),
        ({"prohibition": [{"action": "use"}]}, "agreement-modified"),
        ({"timestamp": "2020-01-01T00:00:00Z"}, "agreement-signature"),
    ],
)
def test_another_agreement_is_refused(change: dict[str, object], rule: str) -> None:
    asked, agreement = signed_agreement()
    changed = replace(agreement, document={**agreement.document, **change})
    refused = refuse_agreement(asked, changed, consumer="did:c", digests=DIGESTS)
    assert refused is not None
    assert refused.rule == rule


@pytest.mark.parametrize("signature", ["", "!", "AAAA", "ü", "A" * 86])
def test_a_broken_signature_is_never_accepted(signature: str) -> None:
    _, agreement = signed_agreement()
    refused = refuse_signature(agreement, signature, signer=PROVIDER, digests=DIGESTS)
    assert refused is not None
    assert refused.rule == "agreement-signature"


@pytest.mark.parametrize(
    ("signer", "signature", "is_accepted"),
    [(PROVIDER, None, False), ("connector", None, True), ("did:web:a.example", None, True), ("connector", "A" * 86, False)],
    ids=["a key without", "a word without", "a did:web without", "a word with one"],
)
def test_an_absent_signature_is_accepted_only_from_a_party_whose_id_is_no_key(
    signer: str, signature: str | None, is_accepted: bool
) -> None:
    _, agreement = signed_agreement()
    assert (refuse_signature(agreement, signature, signer=signer, digests=DIGESTS) is None) is is_accepted
