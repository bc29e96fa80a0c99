"""The way out for word of an agreement's end: a message of our own that other connectors do not have."""

from chengshu.contract.life import Termination
from chengshu.contract.ports import Peers
from chengshu.dsp.messages.agreement import ERROR, STANDING
from chengshu.dsp.translate.agreement import path_of, write_termination
from chengshu.kernel.errors import ChengshuError


class DspHeralds:
    """Tells the counterparty that an agreement was ended."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def tell(self, counterparty: str, termination: Termination) -> bool:
        """Send the termination; return False where the party's connector shows that it has no such message."""
        try:
            answer = self._peers.post(counterparty, path_of(termination.agreement), write_termination(termination)) or {}
        except ChengshuError as error:
            if error.facts.get("status") in _NO_SUCH_MESSAGE and error.facts.get("peer_type") != ERROR:
                return False
            raise
        return answer.get("@type") == STANDING


_NO_SUCH_MESSAGE = frozenset({400, 404, 405, 501})
"""What a connector answers to a path or message that it does not have; one that has it answers with our own kind of error."""
