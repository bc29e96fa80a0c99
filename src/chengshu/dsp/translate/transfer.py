"""Between the messages of a transfer process and the transfer room's values."""

from dataclasses import dataclass
from typing import Any

from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.messages.transfer import (
    EXTENT,
    PURPOSE,
    TransferCompletionMessage,
    TransferRequestMessage,
    TransferStartMessage,
    TransferSuspensionMessage,
    TransferTerminationMessage,
)
from chengshu.dsp.translate.words import clean, pids_in_words, reasons_in, segment
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.transfer.flow.model import Extent
from chengshu.transfer.process.model import Complete, Content, Request, Start, Suspend, Terminate, TransferProcess


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a process that is there: the two pids as they were sent, and the content."""

    consumer_pid: str
    provider_pid: str
    content: Content

    def peer_of(self, own_pid: str) -> str:
        """Return the sender's pid in a message to ``own_pid``; raise Invalid where the message names another."""
        if own_pid not in {self.consumer_pid, self.provider_pid}:
            raise Invalid(
                "message.pid",
                "expected consumerPid or providerPid to be the pid in the path, got others",
                hint=Text("Send both pids of the transfer.", "请发送该传输的双方流程标识。"),
            )
        return self.provider_pid if self.consumer_pid == own_pid else self.consumer_pid


def read_request(value: dict[str, Any]) -> tuple[str, Request]:
    """Return the consumer's pid and what a TransferRequestMessage says; raises Invalid."""
    message = parse(TransferRequestMessage, value)
    purpose = None if message.purpose is None else clean(message.purpose)
    extent, address = Extent(message.extent), value.get("dataAddress")
    return message.consumer_pid, Request(message.agreement_id, message.format, message.callback_address, purpose, extent, address)


def read_start(value: dict[str, Any]) -> Received:
    """Return what a TransferStartMessage says; raises Invalid."""
    message = parse(TransferStartMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Start(value.get("dataAddress")))


def read_suspension(value: dict[str, Any]) -> Received:
    """Return what a TransferSuspensionMessage says; raises Invalid."""
    message = parse(TransferSuspensionMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Suspend(*_why(message)))


def read_completion(value: dict[str, Any]) -> Received:
    """Return what a TransferCompletionMessage says; raises Invalid."""
    message = parse(TransferCompletionMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Complete())


def read_termination(value: dict[str, Any]) -> Received:
    """Return what a TransferTerminationMessage says; raises Invalid."""
    message = parse(TransferTerminationMessage, value)
    return Received(message.consumer_pid, message.provider_pid, Terminate(*_why(message)))


def write(process: TransferProcess, content: Content) -> tuple[str, dict[str, Any]]:
    """Return where a message goes (below the counterparty's address, or a whole URL below its callback address) and the message."""
    path, message = _written(process, content)
    return (process.callback or "").rstrip("/") + path, {"@context": [CONTEXT], **message}


def state_of(process: TransferProcess) -> dict[str, Any]:
    """Return a process as its TransferProcess document; a pid that the counterparty has yet to tell us is an empty string."""
    return {"@context": [CONTEXT], "@type": "TransferProcess", **pids_in_words(process), "state": process.state.value}


def _written(process: TransferProcess, content: Content) -> tuple[str, dict[str, Any]]:
    mine = f"/transfers/{segment(process.peer_pid or '')}"
    match content:
        case Request():
            return "/transfers/request", {"@type": "TransferRequestMessage", "consumerPid": process.id, **_asked(content)}
        case Start(address):
            there = {} if address is None else {"dataAddress": dict(address)}
            return f"{mine}/start", {"@type": "TransferStartMessage", **pids_in_words(process), **there}
        case Suspend(code, reasons):
            return f"{mine}/suspension", {"@type": "TransferSuspensionMessage", **pids_in_words(process), **_said(code, reasons)}
        case Complete():
            return f"{mine}/completion", {"@type": "TransferCompletionMessage", **pids_in_words(process)}
        case Terminate(code, reasons):
            return f"{mine}/termination", {"@type": "TransferTerminationMessage", **pids_in_words(process), **_said(code, reasons)}


def _asked(request: Request) -> dict[str, Any]:
    asked: dict[str, Any] = {"agreementId": request.agreement, "format": request.format, "callbackAddress": request.callback}
    if request.address is not None:
        asked["dataAddress"] = dict(request.address)
    if request.purpose is not None:
        asked[PURPOSE] = request.purpose
    if request.extent is Extent.NON_FINITE:
        asked[EXTENT] = request.extent.value
    return asked


def _said(code: str | None, reasons: tuple[str, ...]) -> dict[str, Any]:
    return ({} if code is None else {"code": code}) | ({"reason": list(reasons)} if reasons else {})


def _why(message: TransferSuspensionMessage | TransferTerminationMessage) -> tuple[str | None, tuple[str, ...]]:
    reasons = reasons_in(message.reason)
    return None if message.code is None else clean(message.code), reasons
