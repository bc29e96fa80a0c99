"""What anchoring needs from outside: a chain, and the node's log."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.anchor.model import Anchored
from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.model import Entry


class Chain(Protocol):
    """One contract on one chain; every call MUST end within seconds or raise Unavailable."""

    @property
    def name(self) -> str:
        """The kind of chain: ``evm`` or ``fisco``."""
        ...

    @property
    def contract(self) -> str:
        """The contract's address."""
        ...

    def chain_id(self) -> str:
        """Return the chain's own name for itself."""
        ...

    def anchor(self, digest: bytes) -> Anchored:
        """Have the contract keep ``digest``, unless it does, and return what it then holds.

        MUST NOT believe a receipt: only what the contract holds counts. Raises Unavailable while the chain has not taken it in.
        """
        ...

    def read(self, digest: bytes) -> Anchored | None:
        """Return what the contract holds for ``digest``, None where it holds nothing.

        Raises Tampered where the contract is another one, or names a block that does not carry the digest.
        """
        ...


class OwnLog(Protocol):
    """The node's log, as it is published."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...

    def checkpoint(self) -> Checkpoint:
        """Return the published checkpoint; raise NotFound before there is one."""
        ...

    def entries(self, start: int, stop: int) -> list[Entry]:
        """Return the committed entries with ``start <= index < stop``."""
        ...
