"""The way out for what the rooms below have to say: their messages in the protocol's form."""

import time
from typing import Any

from chengshu.contract.model import Content, Negotiation
from chengshu.contract.ports import Peers
from chengshu.dsp.translate import transfer
from chengshu.dsp.translate.negotiation import write
from chengshu.identity.model import signs
from chengshu.kernel.errors import Conflict, Invalid
from chengshu.kernel.machine import Role
from chengshu.transfer.process.model import Content as TransferContent
from chengshu.transfer.process.model import TransferProcess

PAUSE_S = 0.2
"""So long a foreign connector is given to keep what it said last."""

AGAIN_S = 0.3
"""So long a message that was refused waits until it is said once more."""


class DspCourier:
    """Delivers the contract room's messages in the protocol's form."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def deliver(self, negotiation: Negotiation, content: Content, message_id: str | None) -> str | None:
        """Send one message and return the counterparty's pid where its answer names it."""
        path, message = write(negotiation, content, message_id)
        answer = _posted(self._peers, negotiation.counterparty, path, message) or {}
        theirs = answer.get("providerPid" if "consumerPid" in message and negotiation.id == message["consumerPid"] else "consumerPid")
        return theirs if isinstance(theirs, str) and 0 < len(theirs) <= 512 else None


class DspTransferCourier:
    """Delivers the transfer room's messages in the protocol's form."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def deliver(self, process: TransferProcess, content: TransferContent) -> str | None:
        """Send one message and return the counterparty's pid where its answer names it."""
        path, message = transfer.write(process, content)
        answer = _posted(self._peers, process.counterparty, path, message) or {}
        theirs = answer.get("providerPid" if process.role is Role.CONSUMER else "consumerPid")
        return theirs if isinstance(theirs, str) and 0 < len(theirs) <= 512 else None


def _posted(peers: Peers, party: str, path: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """Post; to a foreign connector, where it is refused, once more a little later, and then for good.

    A connector that we answered a moment ago may not have kept yet what it said: Eclipse EDC then refuses our next step, or loses it. So a
    foreign one (whose id is no key of a node) is given a moment before each message. A message is the same when it is repeated.
    """
    if signs(party):
        return peers.post(party, path, message)
    time.sleep(PAUSE_S)
    try:
        return peers.post(party, path, message)
    except (Invalid, Conflict):
        time.sleep(AGAIN_S)
        return peers.post(party, path, message)
