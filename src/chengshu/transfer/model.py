"""What is true of a grant."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chengshu.catalog.restriction import Restriction


class GrantState(StrEnum):
    """Where a grant stands."""

    OPEN = "OPEN"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    """Broken off before the whole product had gone out."""
    CLOSED = "CLOSED"
    """Never used, and its job has ended."""


class StopReason(StrEnum):
    """Why a product did not go out whole."""

    RECEIVER_LEFT = "receiver-left"
    SENDING_FAILED = "sending-failed"
    PROCESS_ENDED = "process-ended"
    """Its transfer process was suspended or ended while it ran."""
    REVOKED = "revoked"
    """What allowed it had ceased to; the entry ``use.revoked`` says what."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a product has come that is on its way: so many whole pieces of its stream, and the digest of their bytes."""

    pieces: int
    digest: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave for one recipient to pull one product once, for one job, until it expires.

    It is of some ``columns``, of all where that is None, and ``only`` of rows of which every restriction holds.
    """

    id: str
    product: str
    agreement: str
    job: str
    recipient: str
    state: GrantState
    expires_at: datetime
    columns: tuple[str, ...] | None = None
    only: tuple[Restriction, ...] = ()

    def fault(self, *, recipient: str, now: datetime) -> str | None:
        """Return the name of the rule that forbids ``recipient`` to start now, or None when nothing does."""
        if recipient != self.recipient:
            return "grant-of-another"
        if self.state is GrantState.CLOSED:
            return "job-ended"
        if self.state is not GrantState.OPEN:
            return "grant-used"
        if now >= self.expires_at:
            return "grant-expired"
        return None
