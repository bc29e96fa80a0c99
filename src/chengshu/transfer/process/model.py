"""Transfer processes as the Dataspace Protocol 2025-1 has them: one table of states for both roles, and what passes between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.kernel import contents
from chengshu.kernel.machine import CONSUMER, EITHER, PROVIDER, Machine, Role, Step
from chengshu.kernel.refusal import Refused
from chengshu.transfer.flow.model import Document, Extent


class State(StrEnum):
    """Where a transfer process stands."""

    REQUESTED = "REQUESTED"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {State.COMPLETED, State.TERMINATED}


@dataclass(frozen=True, slots=True)
class Request:
    """The consumer asks for the product of an agreement; ``address`` is where a push goes to.

    ``purpose`` and ``extent`` are members of our own, which other connectors do not send.
    """

    agreement: str
    format: str
    callback: str
    purpose: str | None
    extent: Extent
    address: Document | None


@dataclass(frozen=True, slots=True)
class Start:
    """The provider starts, or either side resumes; ``address`` is where a pull comes from."""

    address: Document | None


@dataclass(frozen=True, slots=True)
class Suspend:
    """Either side pauses and may say why."""

    code: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Complete:
    """Either side says that everything was transferred."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Either side ends the transfer and says why."""

    code: str | None
    reasons: tuple[str, ...]


Content = Request | Start | Suspend | Complete | Terminate
"""What one message says, without the ids that address it."""

CONTENTS: tuple[type[Content], ...] = (Request, Start, Suspend, Complete, Terminate)

MACHINE: Machine[State] = Machine(
    "transfer",
    [
        Step(None, Request, CONSUMER, State.REQUESTED),
        Step(State.REQUESTED, Start, PROVIDER, State.STARTED),
        Step(State.REQUESTED, Terminate, EITHER, State.TERMINATED),
        Step(State.STARTED, Suspend, EITHER, State.SUSPENDED),
        Step(State.STARTED, Complete, EITHER, State.COMPLETED),
        Step(State.STARTED, Terminate, EITHER, State.TERMINATED),
        Step(State.SUSPENDED, Start, EITHER, State.STARTED),
        Step(State.SUSPENDED, Terminate, EITHER, State.TERMINATED),
    ],
)
"""Every step there is (Dataspace Protocol 2025-1, transfer process state machine); what is not here is refused."""

EVIDENCE: Mapping[type[Content], str] = {
    Request: "delivery.requested",
    Start: "delivery.started",
    Suspend: "delivery.suspended",
    Complete: "delivery.completed",
    Terminate: "delivery.terminated",
}
"""The kind of the evidence entry that each step leaves in both logs."""


@dataclass(frozen=True, slots=True)
class TransferProcess:
    """One transfer as this node sees it; ``id`` is our pid, ``peer_pid`` the counterparty's, None until it told us.

    ``awaits_address`` is set where we resumed a pull: the provider answers with a start message that has the new address. ``replied_to``
    is the digest of the last message that came, None once we have taken a step of our own since: a repeat is recognised by it.
    """

    id: str
    role: Role
    counterparty: str
    peer_pid: str | None
    callback: str | None
    agreement_id: str
    product: str | None
    format: str
    purpose: str | None
    extent: Extent
    state: State
    code: str | None
    reasons: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    awaits_address: bool = False
    replied_to: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a consumer wants transferred: under which agreement, in which format, what for, and whether once or again and again."""

    agreement: str
    format: str
    purpose: str | None = None
    extent: Extent = Extent.FINITE


def advance(process: TransferProcess, content: Content, *, by: Role, at: datetime) -> TransferProcess | Refused:
    """Return the process after ``content`` from the side ``by``, or the refusal that names state and message."""
    state = MACHINE.next(process.state, type(content), by=by)
    if isinstance(state, Refused):
        return state
    moved = replace(process, state=state, updated_at=at, awaits_address=False)
    match content:
        case Suspend(code, reasons) | Terminate(code, reasons):
            return replace(moved, code=code, reasons=reasons)
        case Start():
            return replace(moved, code=None, reasons=())
        case _:
            return moved


def to_json(content: Content) -> dict[str, Any]:
    """Return a message's content as JSON-ready values: what waits in the outbox, and what a repeat is recognised by."""
    return contents.written(content)


def from_json(values: Mapping[str, Any]) -> Content:
    """Return the content that :func:`to_json` wrote."""
    extent = {"extent": Extent(values["extent"])} if "extent" in values else {}
    return contents.read(CONTENTS, {**values, **extent})
