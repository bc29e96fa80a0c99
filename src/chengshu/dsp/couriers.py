"""The way out for what the rooms below have to say: their messages in the protocol's form."""

from chengshu.contract.model import Content, Negotiation
from chengshu.contract.ports import Peers
from chengshu.dsp.translate import transfer
from chengshu.dsp.translate.negotiation import write
from chengshu.kernel.machine import Role
from chengshu.transfer.process.model import Content as TransferContent
from chengshu.transfer.process.model import TransferProcess


class DspCourier:
    """Delivers the contract room's messages in the protocol's form."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def deliver(self, negotiation: Negotiation, content: Content, message_id: str | None) -> str | None:
        """Send one message and return the counterparty's pid where its answer names it."""
        path, message = write(negotiation, content, message_id)
        answer = self._peers.post(negotiation.counterparty, path, message) or {}
        theirs = answer.get("providerPid" if "consumerPid" in message and negotiation.id == message["consumerPid"] else "consumerPid")
        return theirs if isinstance(theirs, str) and 0 < len(theirs) <= 512 else None


class DspTransferCourier:
    """Delivers the transfer room's messages in the protocol's form."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def deliver(self, process: TransferProcess, content: TransferContent) -> str | None:
        """Send one message and return the counterparty's pid where its answer names it."""
        path, message = transfer.write(process, content)
        answer = self._peers.post(process.counterparty, path, message) or {}
        theirs = answer.get("providerPid" if process.role is Role.CONSUMER else "consumerPid")
        return theirs if isinstance(theirs, str) and 0 < len(theirs) <= 512 else None
