"""What a side decides on its own: whether a request gets an agreement, whether an agreement is the one that was asked for."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.contract.model import Agreement, Document, Negotiation, Offer, Request
from chengshu.identity.model import public_key_of, signs
from chengshu.kernel.canonical import Digests, canonical, plain
from chengshu.kernel.clock import iso
from chengshu.kernel.crypto import Signer, is_signed_by
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import NAMES, Recipient, differing
from chengshu.policy.odrl import REPLACES, content, from_odrl
from chengshu.policy.sameness import same_rules

ENDED_BY_OPERATOR = "terminated-by-operator"
"""The code that a termination has where its operator gives none."""

AGREEMENT_KNOWN = Refused(
    "agreement-known",
    "expected an agreement id that is new here, got one in use",
    would_pass=Text("An agreement with an id of its own.", "使用全新标识的合约。"),
)
MAX_CODE = 256
_LABEL = b"chengshu agreement 1\n"


class Decide(StrEnum):
    """Who takes a node's own steps in negotiations and transfers: the node as soon as it may, or its operator, one verb at a time."""

    AUTOMATIC = "automatic"
    BY_HAND = "by-hand"


class Objections(StrEnum):
    """What an operator makes of what this node has against an agreement: it stands, or is set aside for this one negotiation."""

    STAND = "STAND"
    SET_ASIDE = "SET_ASIDE"


def make_offer(dataset: str, policy: Mapping[str, Any], *, assigner: str, digests: Digests) -> Offer:
    """Return a product's offer as a catalog carries it; its id depends on product, provider and policy alone."""
    rules = content(policy)
    name = plain(digests.of({"assigner": assigner, "dataset": dataset, "policy": rules}))
    offer_id = f"urn:chengshu:offer:{name}"
    return Offer(offer_id, dataset, {"@id": offer_id, "@type": "Offer", "assigner": assigner, **rules})


def grant(requested: Document, ours: Offer | None, *, consumer: str) -> Offer | Refused:
    """Return the provider's own offer that ``requested`` is, unmodified and meant for ``consumer``, or why there is no agreement."""
    if ours is None or requested["@id"] != ours.id:
        return Refused(
            "offer-unknown",
            "expected the id of an offer that the catalog holds now, got another",
            would_pass=Text("A current offer from the catalog.", "目录中当前有效的报价。"),
        )
    modified = _modified(requested, ours)
    if modified is not None:
        return Refused(
            "offer-modified",
            f"expected the offer as the catalog holds it, got one that differs in {modified}",
            would_pass=Text("The offer unmodified.", "未经修改的报价。"),
        )
    return ours if ours.policy.admits(consumer) else _not_a_recipient()


def concede(on_the_table: Document, ours: Offer | None, *, consumer: str) -> Offer | Refused:
    """Return the offer that a provider agrees to of its own will, as it lies on the table, or why that could never be kept.

    The rules may be other than the catalog's; an offer that carries none is the catalog's by its id. Raises Invalid where they say
    something that this node does not understand, so that nobody signs what they cannot keep.
    """
    if ours is None or not content(on_the_table):
        return grant(on_the_table, ours, consumer=consumer)
    assigner = ours.document["assigner"]
    conceded = Offer(str(on_the_table["@id"]), ours.dataset, {**on_the_table, "assigner": assigner})
    return conceded if conceded.policy.admits(consumer) else _not_a_recipient()


def ask_for(negotiation: Negotiation, policy: Document | None) -> Request:
    """Return the consumer's counter-offer: the offer on the table under other terms.

    Raises Invalid where there are none, or this node does not understand them.
    """
    if policy is None:
        raise Invalid(
            "contract.counter-offer",
            "expected the terms that this node asks for, got none",
            hint=Text("Name a policy, or accept the offer as it is.", "请给出策略，或直接接受该报价。"),
        )
    from_odrl(policy)
    envelope = {key: value for key, value in negotiation.offer.items() if key in {"@id", "@type", "target", "assigner"}}
    return Request({**envelope, **content(policy)}, callback=None)


def check_code(code: str) -> None:
    """Raise Invalid for a termination's code that no message can carry."""
    if not 0 < len(code) <= MAX_CODE:
        raise Invalid(
            "contract.code",
            f"expected a code of 1 to {MAX_CODE} characters, got {len(code)}",
            hint=Text("Put the words into the reason.", "请将说明文字写入理由。"),
        )


def draft_agreement(negotiation: Negotiation, offer: Offer, *, agreement_id: str, at: datetime) -> dict[str, Any]:
    """Return the agreement on ``offer`` with the rules structurally unchanged."""
    return {
        "@id": agreement_id,
        "@type": "Agreement",
        "target": offer.dataset,
        "assigner": offer.document["assigner"],
        "assignee": negotiation.counterparty,
        "timestamp": iso(at),
        **({} if negotiation.replaces is None else {REPLACES: negotiation.replaces}),
        **content(offer.document),
    }


def refuse_agreement(negotiation: Negotiation, agreement: Agreement, *, consumer: str, digests: Digests) -> Refused | None:
    """Return why the consumer does not verify ``agreement``, or None where it is what was asked for, signed by a provider that signs."""
    if agreement.product != negotiation.dataset or names_others(negotiation, agreement, consumer=consumer):
        return Refused(
            "agreement-parties",
            "expected an agreement on the requested product between the negotiating parties, got another",
            would_pass=Text("An agreement that names both parties and the product.", "写明双方与所请求产品的合约。"),
        )
    asked = content(negotiation.offer)
    if asked and canonical(asked) != canonical(content(agreement.document)):
        return Refused(
            "agreement-modified",
            "expected the requested offer's rules unchanged, got others",
            would_pass=Text("An agreement with the requested rules.", "规则与所请求报价一致的合约。"),
        )
    if agreement.document.get(REPLACES) not in {None, negotiation.replaces}:
        return Refused(
            "agreement-modified",
            "expected an agreement that replaces what was asked for and nothing else, got one that replaces another",
            would_pass=Text("An agreement that replaces the one the negotiation names.", "仅替换协商所指明合约的合约。"),
        )
    return refuse_signature(agreement, agreement.provider_signature, signer=agreement.provider, digests=digests)


def names_others(negotiation: Negotiation, agreement: Agreement, *, consumer: str) -> bool:
    """Say whether ``agreement`` is between other parties than those that negotiate: whoever signed it would bind somebody else."""
    return (agreement.provider, agreement.consumer) != (negotiation.counterparty, consumer)


def refuse_signature(agreement: Agreement, signature: str | None, *, signer: str, digests: Digests) -> Refused | None:
    """Return why ``signature`` is not ``signer``'s over ``agreement``, or None where it is, or where ``signer`` signs none and none came.

    A party signs with the key that its id is; where the id is no key there is nothing that a signature could be checked against.
    """
    if not signs(signer):
        return None if signature is None else _unverifiable()
    if signature is not None and is_signed_by(public_key_of(signer), signature=_raw(signature), message=_signed(agreement, digests)):
        return None
    return Refused(
        "agreement-signature",
        f"expected the counterparty's signature over the agreement, got {'none' if signature is None else 'another'}",
        would_pass=Text("The agreement signed with the key of the party's id.", "用该参与方身份标识对应密钥签名的合约。"),
    )


def _unverifiable() -> Refused:
    return Refused(
        "agreement-signature",
        "expected no signature from a party whose id is no key, got one that nothing can be checked against",
        would_pass=Text("The agreement without a signature.", "不带签名的合约。"),
    )


def signature_of(agreement: Agreement, signer: Signer, *, digests: Digests) -> str:
    """Return ``signer``'s signature over the agreement's digest, base64url without padding."""
    return base64.urlsafe_b64encode(signer.sign(_signed(agreement, digests))).rstrip(b"=").decode()


def _signed(agreement: Agreement, digests: Digests) -> bytes:
    # The label in front keeps a signature over an agreement from being taken for one over anything else.
    return _LABEL + agreement.digest(digests).encode()


def _raw(signature: str) -> bytes:
    try:
        return base64.b64decode(signature + "=" * (-len(signature) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""  # no signature at all is what a broken one is worth


def _not_a_recipient() -> Refused:
    return Refused(
        NAMES[Recipient],
        "expected a recipient that the offer names, got another party",
        would_pass=Text("An offer that names this party as recipient.", "将该参与方列为接收方的报价。"),
    )


def _modified(requested: Document, ours: Offer) -> str | None:
    """Name what differs between the requested and the current offer; a request that carries no rules asks for ours by id."""
    if requested.get("assigner", ours.document["assigner"]) != ours.document["assigner"]:
        return "assigner"
    rules = content(requested)
    if not rules or same_rules(rules, content(ours.document)):
        return None
    try:
        names = differing(ours.policy, from_odrl(requested))
    except Invalid as error:
        return f"a part that this node does not understand ({error.message})"
    return ", ".join(names) or "form"
