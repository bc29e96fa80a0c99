"""What transfer processes need from outside: the way to the counterparty."""

from typing import Protocol

from chengshu.transfer.process.model import Content, TransferProcess


class Courier(Protocol):
    """Carries one message of a transfer process to the counterparty."""

    def deliver(self, process: TransferProcess, content: Content) -> str | None:
        """Send ``content`` and return the counterparty's pid where its answer names it.

        Raises as :class:`chengshu.contract.ports.Peers`.
        """
        ...
