"""What the contract room needs from outside: the log, the products, and the way to the counterparty."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.contract.life import Termination
from chengshu.contract.model import Content, Negotiation


class Evidence(Protocol):
    """The node's log; an entry is written in the transaction of the step that it proves."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Append one entry about ``subject`` and return its number."""
        ...


class Datasets(Protocol):
    """The products that this node offers."""

    def policy_of(self, tx: Connection, dataset_id: str) -> dict[str, Any] | None:
        """Return the product's policy as ODRL (a document with ``permission``), or None where there is no such product."""
        ...

    def ids(self, tx: Connection) -> list[str]:
        """Return the ids of every product that is published now, sorted."""
        ...


class Peers(Protocol):
    """Other connectors, by id; each call is one HTTP exchange, signed as this node."""

    def post(self, did: str, path: str, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send JSON to the party and return its JSON answer, None where the answer has no body.

        ``path`` is below the party's address, or a whole URL with that address's scheme, host and port. Raises NotFound for an unknown
        party, Unavailable where trying again may help, and Denied, Invalid or Conflict with the party's reason otherwise.
        """
        ...

    def get(self, did: str, path: str) -> dict[str, Any] | None:
        """Return the party's JSON at ``path``; raises as :meth:`post`, and NotFound where there is nothing."""
        ...


class Courier(Protocol):
    """Carries one message of a negotiation to the counterparty."""

    def deliver(self, negotiation: Negotiation, content: Content, message_id: str | None) -> str | None:
        """Send ``content`` as the message ``message_id``, its repeats too, and return the counterparty's pid where its answer names it.

        Raises as :class:`Peers`.
        """
        ...


class Heralds(Protocol):
    """Brings word of an agreement's end to the counterparty."""

    def tell(self, counterparty: str, termination: Termination) -> bool:
        """Send our termination; return False where the counterparty's connector has no such message. Raises as :class:`Peers`."""
        ...
