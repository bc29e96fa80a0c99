"""What the paths of negotiations and of transfers share: a message to a process that is there, and where a process stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fastapi import APIRouter, Response

from chengshu.dsp.routes.door import PATH, Call, Called, Door, Family
from chengshu.kernel.errors import Invalid


class Addressed(Protocol):
    """A message that names both pids."""

    def peer_of(self, own_pid: str) -> str:
        """Return the sender's pid in a message to ``own_pid``; raise Invalid where the message names another."""


M = TypeVar("M", bound=Addressed)
P = TypeVar("P")
Document = dict[str, Any]
Reader = Callable[[Document], M]


@dataclass(frozen=True, slots=True)
class Arrival(Generic[M]):
    """A message as its receiver's verb takes it: from whom, to which of our pids, under which pid of theirs."""

    sender: str
    own_pid: str
    peer_pid: str
    message: M
    value: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDoor(Generic[M, P]):
    """The way in to the processes of one family, below ``path``: to each by our pid, for its counterparty alone."""

    door: Door
    family: Family
    path: str
    seen_by: Callable[[str, str], P]
    receive: Callable[[Arrival[M]], P]
    shown: Callable[[P], Document]

    def opening(self, act: Callable[[str, Document], P]) -> Callable[[Call], Response]:
        """Return the endpoint for a message that opens a process by ``act``."""

        def endpoint(call: Called) -> Response:
            return self.door.answer(self.family, call, lambda sender, value: self.shown(act(sender, value)), status=201)

        return endpoint

    def following(self, read: Reader[M]) -> Callable[[Call, str], Response]:
        """Return the endpoint for a message, as ``read`` reads it, to a process that is there."""

        def endpoint(call: Called, pid: str) -> Response:
            return self.door.answer(self.family, call, lambda sender, value: self._taken(sender, pid, value, read), pid=pid)

        return endpoint

    def add_state(self, routes: APIRouter) -> None:
        """Add the path that says where a process stands; after all others, for a pid may have slashes in it."""
        routes.get(f"{PATH}/{self.path}/{{pid:path}}")(self._state)

    def _taken(self, sender: str, pid: str, value: Document, read: Reader[M]) -> Document:
        try:
            message = read(value)
            peer_pid = message.peer_of(pid)
        except Invalid:
            self.seen_by(sender, pid)  # a pid that is not the sender's looks unknown, whatever the message is like
            raise
        return self.shown(self.receive(Arrival(sender, pid, peer_pid, message, value)))

    def _state(self, call: Called, pid: str) -> Response:
        return self.door.answer(self.family, call, lambda sender, _: self.shown(self.seen_by(sender, pid)), pid=pid)
