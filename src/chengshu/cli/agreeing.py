"""What the command line does with agreements after their signing, and how it shows them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from chengshu.cli import verbs
from chengshu.contract.agreements import Standing
from chengshu.contract.life import Supersession, Termination
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text
from chengshu.node import Node

Document = dict[str, Any]


def standing(node: Node, agreement_id: str) -> Document:
    """Return how an agreement stands: its phase, its time, what ended it, what is still owed, and for whom our word waits and why."""
    return shown(node, node.agreements.standing(agreement_id))


def standings(node: Node) -> list[Document]:
    """Return how every agreement that was ever concluded stands, oldest first."""
    keys = ("agreement", "product", "holder", "asker", "state", "valid_until", "waits_for")
    return [{key: one[key] for key in keys} for one in (shown(node, each) for each in node.agreements.standings())]


def terminate(node: Node, agreement_id: str, *, code: str, reason: str) -> Document:
    """End an agreement and return how it stands then."""
    return shown(node, node.agreements.terminate(agreement_id, code=code, reason=reason))


def renew(node: Node, agreement_id: str, *, until: str | None) -> str:
    """Negotiate the same terms with a later end; return the negotiation's id."""
    if until is not None:
        return node.agreements.renew(agreement_id, until=_moment(until))
    return node.agreements.renew(agreement_id, offer=_present_offer(node, agreement_id))


def amend(node: Node, agreement_id: str, *, policy: Path | None) -> str:
    """Negotiate other terms: those of a file, or the holder's present offer; return the negotiation's id."""
    offer = verbs.read_json(policy) if policy is not None else _present_offer(node, agreement_id)
    return node.agreements.amend(agreement_id, offer=offer)


def shown(node: Node, one: Standing) -> Document:
    """Return a standing as JSON-ready values."""
    life = one.life
    found: Document = {
        "agreement": life.agreement.id,
        "product": life.agreement.product,
        "holder": life.agreement.provider,
        "asker": life.agreement.consumer,
        "policy_digest": life.agreement.policy_digest(node.digests),
        "state": life.phase.value,
        "valid_from": None if life.valid_from is None else iso(life.valid_from),
        "valid_until": None if life.valid_until is None else iso(life.valid_until),
        "ended_at": None if life.ending is None else iso(life.ending.at),
        "ended_by": None,
        "code": None,
        "reason": None,
        "replaced_by": None,
        "due": list(one.due),
        "waits_for": one.waits_for,
        "why": one.why.en if one.why else None,
    }
    match life.ending:
        case Termination(_, by, _, code, reasons):
            found |= {"ended_by": by, "code": code, "reason": "; ".join(reasons)}
        case Supersession(_, _, successor):
            found |= {"replaced_by": successor}
    return found


def _present_offer(node: Node, agreement_id: str) -> Document | None:
    """The holder's present offer on the agreement's product; None where the holder is this node itself, which knows it."""
    agreement = node.contracts.agreement(agreement_id)
    if agreement.provider == node.identity.did:
        return None
    offers = node.peers.dataset(agreement.provider, agreement.product).get("hasPolicy")
    if not offers:
        raise NotFound(
            "contract.no-offer",
            "expected an offer on this product that is open to this node, got none",
            hint=Text("Ask the holder to name this node among the recipients.", "请联系持有方将本节点列为接收方。"),
        )
    return dict(offers[0])


def _moment(text: str) -> datetime:
    try:
        return from_iso(iso(from_iso(text)))
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "agreement.until",
            "expected --until to be a time with an offset (RFC 3339), got another text",
            hint=Text("For example: --until 2027-12-31T23:59:59+08:00", "例如：--until 2027-12-31T23:59:59+08:00"),
        ) from error
