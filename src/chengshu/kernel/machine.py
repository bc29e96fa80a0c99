"""One table of states for both sides of a process: who may say what in which state, and where it leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

S = TypeVar("S", bound=StrEnum)


class Role(StrEnum):
    """On which side of a process somebody stands."""

    CONSUMER = "CONSUMER"
    PROVIDER = "PROVIDER"

    @property
    def other(self) -> "Role":
        """The counterparty's role."""
        return Role.PROVIDER if self is Role.CONSUMER else Role.CONSUMER


class Sided(Protocol):
    """A process as one of its two sides sees it: ``id`` is its own pid, ``peer_pid`` the counterparty's, None until it told us."""

    @property
    def id(self) -> str:
        """Our own pid."""

    @property
    def role(self) -> Role:
        """The side on which we stand."""

    @property
    def counterparty(self) -> str:
        """The id of the party on the other side."""

    @property
    def peer_pid(self) -> str | None:
        """The counterparty's pid."""


def pids(process: Sided) -> Mapping[Role, str | None]:
    """Return both sides' pids of a process; the counterparty's is None until it told us."""
    return {process.role: process.id, process.role.other: process.peer_pid}


CONSUMER = frozenset({Role.CONSUMER})
PROVIDER = frozenset({Role.PROVIDER})
EITHER = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """One row of a table: in the state ``before`` (None: there is no process yet) a message of ``kind`` from one of ``by`` leads on."""

    before: S | None
    kind: type
    by: frozenset[Role]
    after: S


class Machine(Generic[S]):
    """The steps of one kind of process, called ``name``; whatever is no step of it is refused with the rule named after it.

    A kind of message leads to one state, whatever it follows; the table's own rows say so, or this raises ValueError.
    """

    def __init__(self, name: str, steps: Sequence[Step[S]]) -> None:
        self._name = name
        self._steps = {(step.before, step.kind): step for step in steps}
        self._leads_to = {step.kind: step.after for step in steps}
        if len(self._steps) != len(steps) or any(self._leads_to[step.kind] is not step.after for step in steps):
            raise ValueError(f"expected one row for a state and message, and one state for a message, in the table of {name}")

    @property
    def kinds(self) -> tuple[type, ...]:
        """Every kind of message, in the order of the table."""
        return tuple(self._leads_to)

    def is_final(self, state: S) -> bool:
        """Say whether nothing follows ``state``."""
        return not self._kinds_in(state)

    def leads_to(self, kind: type) -> S:
        """Return the state that a message of ``kind`` leads to, wherever it may be sent."""
        return self._leads_to[kind]

    def next(self, state: S | None, kind: type, *, by: Role) -> S | Refused:
        """Return the state after a message of ``kind`` from the side ``by``, or the refusal that names state and message."""
        if not any(by in step.by for step in self._steps.values() if step.kind is kind):
            return self._wrong_sender(f"{kind.__name__} from the {by.other.lower()}", by)
        step = self._steps.get((state, kind))
        if step is None:
            return self._refused("state", f"expected {self._expected(state)} {_in_state(state)}, got {kind.__name__}")
        if by not in step.by:
            return self._wrong_sender(f"{kind.__name__} from the {by.other.lower()} {_in_state(state)}", by)
        return step.after

    def _kinds_in(self, state: S | None) -> list[type]:
        return [kind for before, kind in self._steps if before is state]

    def _expected(self, state: S | None) -> str:
        return " or ".join(kind.__name__ for kind in self._kinds_in(state)) or "nothing more"

    def _wrong_sender(self, expected: str, by: Role) -> Refused:
        return self._refused("sender", f"expected {expected}, got it from the {by.lower()}")

    def _refused(self, what: str, message: str) -> Refused:
        return Refused(
            f"{self._name}-{what}",
            message,
            would_pass=Text("A message that follows from the state of the process.", "与流程当前状态相符的消息。"),
        )


def _in_state(state: StrEnum | None) -> str:
    return "before there is a process" if state is None else f"in state {state}"
