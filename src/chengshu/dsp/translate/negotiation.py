"""Between the messages of a contract negotiation and the contract room's values."""

from dataclasses import dataclass
from typing import Any

from chengshu.contract.model import Accept, Agree, Content, Finalize, Negotiation, Propose, Request, Terminate, Verify
from chengshu.dsp.messages.negotiation import (
    SIGNATURE,
    ContractAgreementMessage,
    ContractAgreementVerificationMessage,
    ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage,
    ContractOfferMessage,
    ContractRequestMessage,
)
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.translate.words import clean, pids_in_words, reasons_in, segment
from chengshu.kernel.errors import Invalid
from chengshu.kernel.machine import Role
from chengshu.kernel.text import Text
from chengshu.policy.odrl import REPLACES

MAX_ID = 512


@dataclass(frozen=True, slots=True)
class Received:
    """A message as the contract room takes it: the two pids as they were sent, and the content."""

    consumer_pid: str | None
    provider_pid: str | None
    content: Content

    def peer_of(self, own_pid: str) -> str:
        """Return the sender's pid in a message to ``own_pid``; raise Invalid where the message names another."""
        match (self.consumer_pid, self.provider_pid):
            case (str(consumer), str(provider)) if own_pid in {consumer, provider}:
                return provider if consumer == own_pid else consumer
            case _:
                raise Invalid(
                    "message.pid",
                    "expected consumerPid or providerPid to be the pid in the path, got others",
                    hint=Text("Send both pids of the negotiation.", "请发送该协商的双方流程标识。"),
                )


def read_request(value: dict[str, Any]) -> Received:
    """Return what a ContractRequestMessage says; raises Invalid."""
    message = parse(ContractRequestMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Request(value["offer"], message.callback_address, message.replaces))


def read_offer(value: dict[str, Any]) -> Received:
    """Return what a ContractOfferMessage says; raises Invalid."""
    message = parse(ContractOfferMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Propose(value["offer"], message.callback_address, message.replaces))


def read_agreement(value: dict[str, Any]) -> Received:
    """Return what a ContractAgreementMessage says; raises Invalid."""
    message = parse(ContractAgreementMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Agree(value["agreement"], message.signature))


def read_verification(value: dict[str, Any]) -> Received:
    """Return what a ContractAgreementVerificationMessage says; raises Invalid."""
    message = parse(ContractAgreementVerificationMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Verify(message.signature, message.replaces))


def read_event(value: dict[str, Any]) -> Received:
    """Return what a ContractNegotiationEventMessage says; raises Invalid."""
    message = parse(ContractNegotiationEventMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Accept() if message.event_type == "ACCEPTED" else Finalize())


def read_termination(value: dict[str, Any]) -> Received:
    """Return what a ContractNegotiationTerminationMessage says; raises Invalid."""
    message = parse(ContractNegotiationTerminationMessage, value)
    reasons = reasons_in(message.reason)
    return Received(message.consumer_pid, message.provider_pid, Terminate(None if message.code is None else clean(message.code), reasons))


def id_of(value: dict[str, Any]) -> str | None:
    """Return a message's own id, None where it has none that could be one."""
    name = value.get("@id")
    return name if isinstance(name, str) and 0 < len(name) <= MAX_ID else None


def write(negotiation: Negotiation, content: Content, message_id: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return where a message goes (below the counterparty's address, or a whole URL below its callback address) and the message."""
    path, message = _written(negotiation, content)
    named = {} if message_id is None else {"@id": message_id}
    document = {"@context": [CONTEXT], **named, **message, **_pids(negotiation, content)}
    return (negotiation.callback or "").rstrip("/") + path, document


def state_of(negotiation: Negotiation) -> dict[str, Any]:
    """Return a negotiation as its ContractNegotiation document; a pid that the counterparty has yet to tell us is an empty string."""
    return {"@context": [CONTEXT], "@type": "ContractNegotiation", **pids_in_words(negotiation), "state": negotiation.state.value}


def _written(negotiation: Negotiation, content: Content) -> tuple[str, dict[str, Any]]:
    mine = f"/negotiations/{segment(negotiation.peer_pid or '')}"
    match content:
        case Request(offer, callback, replaces):
            message = {"@type": "ContractRequestMessage", "offer": dict(offer), **_replacing(replaces)}
            return _opening(message, callback, first="/negotiations/request", later=f"{mine}/request")
        case Propose(offer, callback, replaces):
            message = {"@type": "ContractOfferMessage", "offer": dict(offer), **_replacing(replaces)}
            return _opening(message, callback, first="/negotiations/offers", later=f"{mine}/offers")
        case Agree(agreement, signature):
            return f"{mine}/agreement", {"@type": "ContractAgreementMessage", "agreement": dict(agreement), **_signed(signature)}
        case Verify(signature, replaces):
            message = {"@type": "ContractAgreementVerificationMessage", **_signed(signature), **_replacing(replaces)}
            return f"{mine}/agreement/verification", message
        case Accept() | Finalize():
            event = "ACCEPTED" if isinstance(content, Accept) else "FINALIZED"
            return f"{mine}/events", {"@type": "ContractNegotiationEventMessage", "eventType": event}
        case Terminate(code, reasons):
            why = ({} if code is None else {"code": code}) | ({"reason": list(reasons)} if reasons else {})
            return f"{mine}/termination", {"@type": "ContractNegotiationTerminationMessage", **why}


def _opening(message: dict[str, Any], callback: str | None, *, first: str, later: str) -> tuple[str, dict[str, Any]]:
    if callback is None:
        return later, message
    return first, message | {"callbackAddress": callback}


def _pids(negotiation: Negotiation, content: Content) -> dict[str, str]:
    """Both pids, except in the message that opens: its sender must not name a pid that its receiver has yet to give."""
    if isinstance(content, Request | Propose) and content.callback is not None:
        return {"consumerPid" if negotiation.role is Role.CONSUMER else "providerPid": negotiation.id}
    return pids_in_words(negotiation)


def _signed(signature: str | None) -> dict[str, str]:
    return {} if signature is None else {SIGNATURE: signature}


def _replacing(agreement_id: str | None) -> dict[str, str]:
    return {} if agreement_id is None else {REPLACES: agreement_id}
