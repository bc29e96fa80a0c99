"""Processes that two parties share, found by their pids: for their owner, and for their counterparty and nobody else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.machine import Role, Sided
from chengshu.kernel.text import Text

if TYPE_CHECKING:
    from dataclasses import Field


class Kept(Sided, Protocol):
    """A process that is kept as a frozen dataclass."""

    __dataclass_fields__: "ClassVar[dict[str, Field[Any]]]"


P = TypeVar("P", bound=Kept)
P_co = TypeVar("P_co", covariant=True)


class Find(Protocol[P_co]):
    """Finds the process that a counterparty knows by its own pid."""

    def __call__(self, tx: Connection, counterparty: str, /, *, role: Role, peer_pid: str) -> P_co | None:
        """Return it, if there is one."""


@dataclass(frozen=True, slots=True)
class Register(Generic[P]):
    """The processes of one kind, called ``name`` in what is said to the counterparty, as their store keeps them."""

    name: str
    get: Callable[[Connection, str], P | None]
    find: Find[P]
    save_peer_pid: Callable[[Connection, P], None]

    def own(self, tx: Connection, pid: str) -> P:
        """Return the process with our pid; raise NotFound where there is none."""
        process = self.get(tx, pid)
        if process is None:
            raise self._unknown()
        return process

    def shared(self, tx: Connection, sender: str, own_pid: str) -> P:
        """Return the process with our pid if ``sender`` is its counterparty; raise NotFound otherwise, with the same words."""
        process = self.get(tx, own_pid)
        if process is None or process.counterparty != sender:
            raise self._unknown()
        return process

    def with_peer(self, tx: Connection, process: P, peer_pid: str) -> P:
        """Return the process with the counterparty's pid, learnt here where its message overtakes its answer to ours; raises Invalid."""
        if process.peer_pid == peer_pid:
            return process
        taken = self.find(tx, process.counterparty, role=process.role, peer_pid=peer_pid)
        if process.peer_pid is not None or taken is not None:
            raise Invalid(
                f"{self.name}.pid",
                f"expected the pid that the counterparty gave this {self.name}, got another",
                hint=Text("Send the pid that the first answer named.", "请使用首次应答中给出的流程标识。"),
            )
        known = replace(process, peer_pid=peer_pid)
        self.save_peer_pid(tx, known)
        return known

    def _unknown(self) -> NotFound:
        return NotFound(
            f"{self.name}.unknown",
            f"expected the id of a {self.name} between these two parties, got one that is not",
            hint=Text("Check the pid and who is asking.", "请核对流程标识与请求方。"),
        )
