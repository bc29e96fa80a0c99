"""What transfer processes need from outside: the way to the counterparty."""

from typing import Protocol

from sqlalchemy import Connection

from chengshu.kernel.refusal import Refused
from chengshu.transfer.process.model import Content, TransferProcess


class Courier(Protocol):
    """Carries one message of a transfer process to the counterparty."""

    def deliver(self, process: TransferProcess, content: Content) -> str | None:
        """Send ``content`` and return the counterparty's pid where its answer names it.

        Raises as :class:`chengshu.contract.ports.Peers`.
        """
        ...


class Ends(Protocol):
    """What is known of agreements that have ended (the contract room's record)."""

    def ended(self, tx: Connection, agreement_id: str) -> Refused | None:
        """Return what ended an agreement, None where nothing has."""
        ...

    def untold(self, tx: Connection, agreement_id: str) -> Refused | None:
        """Return what ended an agreement where the counterparty does not learn of it from us, else None."""
        ...
