"""Negotiation as the Dataspace Protocol 2025-1 has it: one table of states for both roles, and what passes between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from chengshu.kernel import contents
from chengshu.kernel.canonical import Digests
from chengshu.kernel.machine import CONSUMER, EITHER, PROVIDER, Machine, Role, Step
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import Policy
from chengshu.policy.odrl import REPLACES, from_odrl
from chengshu.policy.odrl import content as policy_content

Document = Mapping[str, Any]


class State(StrEnum):
    """Where a negotiation stands."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {State.FINALIZED, State.TERMINATED}


@dataclass(frozen=True, slots=True)
class Request:
    """The consumer asks for an offer; ``callback`` is set in the first message and only there.

    ``replaces`` is the agreement that the new one is to take the place of; it counts in the first message.
    """

    offer: Document
    callback: str | None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Propose:
    """The provider makes an offer; ``callback`` is set where it opens the negotiation and only there; ``replaces`` as in a request."""

    offer: Document
    callback: str | None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The consumer accepts the provider's offer."""


@dataclass(frozen=True, slots=True)
class Agree:
    """The provider sends the agreement, with its signature (None: a connector that does not sign)."""

    agreement: Document
    signature: str | None


@dataclass(frozen=True, slots=True)
class Verify:
    """The consumer confirms the agreement, with its signature (None: a connector that does not sign), and what it sees replaced."""

    signature: str | None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Finalize:
    """The provider puts the agreement into force."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Either side ends the negotiation and says why."""

    code: str | None
    reasons: tuple[str, ...]


Content = Request | Propose | Accept | Agree | Verify | Finalize | Terminate
"""What one message says, without the ids that address it."""

CONTENTS: tuple[type[Content], ...] = (Request, Propose, Accept, Agree, Verify, Finalize, Terminate)

MACHINE: Machine[State] = Machine(
    "negotiation",
    [
        Step(None, Request, CONSUMER, State.REQUESTED),
        Step(None, Propose, PROVIDER, State.OFFERED),
        Step(State.REQUESTED, Propose, PROVIDER, State.OFFERED),
        Step(State.REQUESTED, Agree, PROVIDER, State.AGREED),
        Step(State.REQUESTED, Terminate, EITHER, State.TERMINATED),
        Step(State.OFFERED, Request, CONSUMER, State.REQUESTED),
        Step(State.OFFERED, Accept, CONSUMER, State.ACCEPTED),
        Step(State.OFFERED, Terminate, EITHER, State.TERMINATED),
        Step(State.ACCEPTED, Agree, PROVIDER, State.AGREED),
        Step(State.ACCEPTED, Terminate, EITHER, State.TERMINATED),
        Step(State.AGREED, Verify, CONSUMER, State.VERIFIED),
        Step(State.AGREED, Terminate, EITHER, State.TERMINATED),
        Step(State.VERIFIED, Finalize, PROVIDER, State.FINALIZED),
        Step(State.VERIFIED, Terminate, EITHER, State.TERMINATED),
    ],
)
"""Every step there is (Dataspace Protocol 2025-1, contract negotiation state machine); what is not here is refused.

The specification's table and its text differ on who may terminate; as its text says, either side may in every state that is not final.
"""

EVIDENCE: Mapping[type[Content], str] = {
    Request: "negotiation.requested",
    Propose: "negotiation.offered",
    Accept: "negotiation.accepted",
    Agree: "negotiation.agreed",
    Verify: "negotiation.verified",
    Finalize: "negotiation.finalized",
    Terminate: "negotiation.terminated",
}
"""The kind of the evidence entry that each step leaves in both logs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider allows for one product, as it stands in its catalog; ``id`` is opaque and stable while the policy is the same."""

    id: str
    dataset: str
    document: Document

    @property
    def policy(self) -> Policy:
        """The rules; raises Invalid where the document says something that this node does not understand."""
        return from_odrl(self.document)


@dataclass(frozen=True, slots=True)
class Negotiation:
    """One negotiation as this node sees it; ``id`` is our pid, ``peer_pid`` the counterparty's, None until it told us."""

    id: str
    role: Role
    counterparty: str
    peer_pid: str | None
    callback: str | None
    offer: Document
    state: State
    agreement_id: str | None
    code: str | None
    reasons: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    replaces: str | None = None
    """The agreement that the one under negotiation is to take the place of."""
    is_replacing_known: bool = False
    """Whether the counterparty said that it knows so; a connector without this extension of ours never does."""

    @property
    def dataset(self) -> str:
        """The product that the negotiation is about."""
        return str(self.offer["target"])


@dataclass(frozen=True)
class Agreement:
    """A contract as both sides signed it; ``document`` is kept as it was sent, its digest is what the signatures are over."""

    id: str
    negotiation: str
    document: Document
    provider_signature: str | None
    consumer_signature: str | None

    def digest(self, digests: Digests) -> str:
        """Return the digest of the whole agreement."""
        return digests.of(dict(self.document))

    def policy_digest(self, digests: Digests) -> str:
        """Return the digest of the rules alone, equal to that of the offer they came from."""
        return digests.of(policy_content(self.document))

    @cached_property
    def policy(self) -> Policy:
        """The rules, read from the document when they are first asked for."""
        return from_odrl(self.document)

    @property
    def product(self) -> str:
        """The product it is about."""
        return str(self.document["target"])

    @property
    def provider(self) -> str:
        """The id of the party that grants."""
        return str(self.document["assigner"])

    @property
    def consumer(self) -> str:
        """The id of the party that may use."""
        return str(self.document["assignee"])

    @property
    def unsigned_by(self) -> tuple[str, ...]:
        """The parties whose signature is not there: of a concluded agreement, those that do not sign."""
        signatures = ((self.provider, self.provider_signature), (self.consumer, self.consumer_signature))
        return tuple(party for party, signature in signatures if signature is None)


def advance(negotiation: Negotiation, content: Content, *, by: Role, at: datetime) -> Negotiation | Refused:
    """Return the negotiation after ``content`` from the side ``by``, or the refusal that names state and message."""
    state = MACHINE.next(negotiation.state, type(content), by=by)
    if isinstance(state, Refused):
        return state
    moved = replace(_heard(negotiation, content, by=by), state=state, updated_at=at)
    match content:
        case Request(offer) | Propose(offer):
            return replace(moved, offer=offer)
        case Agree(agreement):
            return replace(moved, agreement_id=str(agreement["@id"]))
        case Terminate(code, reasons):
            return replace(moved, code=code, reasons=reasons)
        case _:
            return moved


def to_json(content: Content) -> dict[str, Any]:
    """Return a message's content as JSON-ready values: what waits in the outbox, and what a repeat is recognised by."""
    return contents.written(content)


def from_json(values: Mapping[str, Any]) -> Content:
    """Return the content that :func:`to_json` wrote."""
    return contents.read(CONTENTS, values)


def _heard(negotiation: Negotiation, content: Content, *, by: Role) -> Negotiation:
    """Note where the counterparty says by itself which agreement is replaced."""
    match content:
        case Request() | Propose() | Verify():
            named = content.replaces
        case Agree(agreement):
            named = agreement.get(REPLACES)
        case _:
            named = None
    is_said = by is not negotiation.role and named is not None and named == negotiation.replaces
    return replace(negotiation, is_replacing_known=True) if is_said else negotiation
