"""What the log says of a negotiation's steps and of the agreements that come of them."""

from typing import Any

from chengshu.contract.model import Agreement, Content, Negotiation, to_json
from chengshu.kernel.canonical import Digests


def step_entry(negotiation: Negotiation, content: Content, *, digests: Digests) -> dict[str, Any]:
    """Return the body of the entry that proves the step to where ``negotiation`` stands now, which ``content`` was."""
    body: dict[str, Any] = {
        "negotiation": negotiation.id,
        "role": negotiation.role.value,
        "counterparty": negotiation.counterparty,
        "product": negotiation.dataset,
        "state": negotiation.state.value,
        "message": digests.of(to_json(content)),
    }
    known = {"peer_pid": negotiation.peer_pid, "agreement": negotiation.agreement_id, "code": negotiation.code}
    return body | {name: value for name, value in known.items() if value is not None}


def signed_entry(agreement: Agreement, *, digests: Digests) -> dict[str, Any]:
    """Return the body of the entry that proves that both sides signed ``agreement``, or which of them signs nothing."""
    body: dict[str, Any] = {
        "agreement": agreement.id,
        "product": agreement.product,
        "policy_digest": agreement.policy_digest(digests),
        "provider": agreement.provider,
        "consumer": agreement.consumer,
    }
    return body | ({"unsigned": agreement.unsigned_by[0]} if agreement.unsigned_by else {})
