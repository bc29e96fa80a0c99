"""What a witness, and a log that asks witnesses, need from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey
from chengshu.evidence.model import ConsistencyProof


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...


class OwnLog(Evidence, Protocol):
    """The node's log, as it is published."""

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        ...

    def checkpoint(self) -> Checkpoint:
        """Return the published checkpoint; raise NotFound before there is one."""
        ...

    def consistency(self, old: int, new: int) -> ConsistencyProof:
        """Return the proof that the log at ``new`` entries only appended to the log at ``old``."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness said to a submission: the protocol's status, and the text."""

    status: int
    text: str


class Witnesses(Protocol):
    """Other nodes' witnesses; a call MUST end within seconds, whoever is at the other end."""

    def submit(self, url: str, body: bytes) -> Reply:
        """Send a submission below the witness's URL and return its reply; raise Unavailable when none comes."""
        ...

    def last(self, url: str, origin: str) -> bytes | None:
        """Return the note of ``origin`` that the witness cosigned last, None where it has none; raise Unavailable when it is silent."""
        ...


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log of a party on the trust list: the key that signs it and where it is served; ``url`` is None for this node's own."""

    key: VerifierKey
    url: str | None

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.key.name
