"""What a person does with permits, as plain functions: bring one into force, see how it stands, admit a vehicle under it."""

from collections.abc import Mapping
from typing import Any

from chengshu.cli.verbs import Document
from chengshu.kernel.refusal import Refused
from chengshu.live.model import Act, Shift
from chengshu.node import Node


def in_force(node: Node, document: Mapping[str, Any], *, reason: str) -> Document | Refused:
    """Take a permit from its document to being in force, as its issuer: draft, submit, approve, publish; each step is in the log."""
    permit = node.permits.draft(document)
    shown = node.digests.of(document)
    for verb, ground in ((node.permits.submit, "application"), (node.permits.approve, "admission"), (node.permits.publish, "admission")):
        outcome = verb(permit.permit_id, Act(permit.issuer, ground, shown, reason))
        if isinstance(outcome, Refused):
            return outcome
    return standing(node, permit.permit_id)


def standing(node: Node, permit_id: str) -> Document:
    """Return a permit's state, digest, and zones, with every transition that led there."""
    state, permit = node.permits.effective(permit_id)
    return {
        "permit": permit_id,
        "state": state.value,
        "digest": node.permits.document_digest(permit_id),
        "zones": [zone.zone_id for zone in permit.zones],
        "notes": [str(note) for note in permit.notes],
        "history": [
            {"at": move.at, "verb": move.verb.value, "to": move.after.value, "actor": move.act.actor, "reason": move.act.reason}
            for move in node.permits.history(permit_id)
        ],
    }


def admit(node: Node, shift: Shift) -> Document | Refused:
    """Sign an admission token for one vehicle and one shift, or say by which rule it is refused."""
    token = node.permits.admit(shift)
    return token if isinstance(token, Refused) else {"permit": shift.permit_id, "vehicle": shift.veh_pid, "token": token}
