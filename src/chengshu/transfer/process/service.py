"""The verbs of transfer processes: request, start, suspend, complete, terminate; receive; and where one stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.contract.model import State as NegotiationState
from chengshu.contract.service import Contracts
from chengshu.identity.service import Identity
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, NotFound
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.policy.model import NAMES, CountLimit
from chengshu.transfer.flow.model import DataFlow, Direction, direction_of
from chengshu.transfer.flow.service import DataFlows
from chengshu.transfer.process import store
from chengshu.transfer.process.lookup import PROCESSES
from chengshu.transfer.process.model import Complete, Content, Request, Start, State, Suspend, Terminate, TransferProcess, Wanted
from chengshu.transfer.process.ports import Ends
from chengshu.transfer.process.steps import Steps

BY_OPERATOR = "by-operator"
"""The code of a suspension or termination that an operator asked for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a transfer stands, for whom it waits and why; both None when nothing is awaited."""

    process: TransferProcess
    waits_for: str | None
    why: Text | None


class TransferProcesses:
    """Transfers for this node on either side of an agreement, and steers the data flow of each.

    Every step is one transaction with its evidence; what has to be said to the counterparty leaves through the outbox afterwards.
    """

    def __init__(
        self, database: Database, *, steps: Steps, flows: DataFlows, contracts: Contracts, identity: Identity, tasks: Tasks
    ) -> None:
        self._database = database
        self._steps = steps
        self._flows = flows
        self._contracts = contracts
        self._identity = identity
        self._tasks = tasks

    # --- our own steps --------------------------------------------------------------------------------------------------------------

    def request(self, wanted: Wanted) -> str:
        """Ask the provider of an agreement for its product; return the process's id. The message is sent afterwards.

        Raises NotFound for an unknown agreement, Conflict for one that is not in force or not ours to use, Invalid for a format that
        this node cannot receive.
        """
        direction_of(wanted.format)
        content = Request(wanted.agreement, wanted.format, self._identity.address, wanted.purpose, wanted.extent, address=None)
        with self._database.write() as tx:
            counterparty, product = self._agreed(tx, wanted.agreement)
            process = self._steps.open(tx, Role.CONSUMER, counterparty=counterparty, product=product, content=content)
            self._steps.post(tx, process, content)
        return process.id

    def start(self, pid: str) -> TransferProcess | Refused:
        """Start a transfer that was requested of us, or resume a suspended one; return it, or why this node does not deliver.

        Raises NotFound, and Conflict where neither follows from the state.
        """
        with self._database.write() as tx:
            process = PROCESSES.own(tx, pid)
            if process.role is Role.PROVIDER:
                return self._steps.begin(tx, process)
            return self._steps.say(tx, process, Start(None))

    def suspend(self, pid: str, *, reason: str) -> TransferProcess:
        """Suspend a started transfer; what runs breaks off. Raises NotFound, and Conflict where it is not started."""
        return self._say(pid, Suspend(BY_OPERATOR, (reason,)))

    def complete(self, pid: str) -> TransferProcess:
        """Complete a started transfer; raises NotFound, and Conflict where it is not started."""
        return self._say(pid, Complete())

    def terminate(self, pid: str, *, reason: str, code: str = BY_OPERATOR) -> TransferProcess:
        """End a transfer with a reason that the counterparty is told; raises NotFound, and Conflict where it has ended."""
        return self._say(pid, Terminate(code, (reason,)))

    def reconsider(self, ends: Ends) -> list[TransferProcess]:
        """Terminate every transfer that nothing permits any more, the rule as reason; return what was ended.

        A delivery of ours is held against its agreement's policy; what is not running, only against the agreement's end. A transfer that
        we take is its provider's to end, unless that does not know of the agreement's end. Uses that are spent end a transfer whose own
        deliveries have not begun: those that have were counted.
        """
        with self._database.read() as tx:
            doubtful = [process.id for process in store.every_open(tx) if self._objection(tx, process, ends) is not None]
        ended = []
        for pid in doubtful:
            with self._database.write() as tx:
                process = PROCESSES.own(tx, pid)
                refused = None if process.state.final else self._objection(tx, process, ends)
                if refused is not None:
                    ended.append(self._steps.end(tx, process, refused))
                    self._steps.log_revoked(tx, process, refused)
        return ended

    def any_open(self) -> bool:
        """Say whether there is a transfer that has not ended."""
        with self._database.read() as tx:
            return store.is_any_open(tx)

    def _objection(self, tx: Connection, process: TransferProcess, ends: Ends) -> Refused | None:
        if process.role is Role.CONSUMER:
            return ends.untold(tx, process.agreement_id)
        if process.state is not State.STARTED:
            return ends.ended(tx, process.agreement_id)
        refused = self._steps.refusal(tx, process)
        spent = refused is not None and refused.rule == NAMES[CountLimit]
        return None if spent and self._flows.has_begun(tx, process.id) else refused

    # --- the counterparty's steps ---------------------------------------------------------------------------------------------------

    def receive_first(self, sender: str, *, peer_pid: str, content: Request) -> TransferProcess:
        """Open a process that ``sender`` requests, and return it as it was before we decide on it.

        A repeat of the same request returns the process that it opened, as it is now. Raises Conflict where ``peer_pid`` is in use for
        another, Invalid for a callback address that is not the sender's own.
        """
        if not self._identity.may_name(sender, content.callback):
            raise Invalid(
                "transfer.callback",
                "expected a callbackAddress with the scheme, host and port that this party is listed with, got another",
                hint=Text("List the party with the address it calls back from.", "请按对方回调地址登记该参与方。"),
            )
        with self._database.write() as tx:
            known = store.find(tx, sender, role=Role.PROVIDER, peer_pid=peer_pid)
            if known is not None and store.get_request(tx, known.id) == self._steps.digest(content):
                return known
            if known is not None:
                raise _pid_conflict()
            product = self._promised(tx, content.agreement, to=sender)
            process = self._steps.open(tx, Role.PROVIDER, counterparty=sender, product=product, content=content, peer_pid=peer_pid)
            self._steps.react(tx, process, content)
        return process

    def receive(self, sender: str, *, own_pid: str, peer_pid: str, content: Content) -> TransferProcess:
        """Take one message of a process from ``sender`` and return the process as it was before we react.

        A repeat of the last message changes nothing. Raises NotFound for a pid that is not ours or not of a transfer with ``sender``,
        Invalid where ``peer_pid`` is not the counterparty's, Conflict where the message does not follow from the state.
        """
        with self._database.write() as tx:
            process = PROCESSES.with_peer(tx, PROCESSES.shared(tx, sender, own_pid), peer_pid)
            if process.replied_to == self._steps.digest(content):
                return process
            if isinstance(content, Start) and process.awaits_address:
                return self._steps.learn_address(tx, process, content)
            moved = self._steps.move(tx, process, content, by=process.role.other)
            self._steps.react(tx, moved, content)
        return moved

    def seen_by(self, sender: str, own_pid: str) -> TransferProcess:
        """Return the process with our pid for its counterparty; raise NotFound for anyone else."""
        with self._database.read() as tx:
            return PROCESSES.shared(tx, sender, own_pid)

    # --- what the outbox and the data plane report ----------------------------------------------------------------------------------

    def learn(self, pid: str, peer_pid: str) -> None:
        """Keep the counterparty's pid that its answer named; raises Invalid where we know another."""
        with self._database.write() as tx:
            PROCESSES.with_peer(tx, PROCESSES.own(tx, pid), peer_pid)

    def abandon(self, pid: str, content: Content, *, error: ChengshuError) -> None:
        """End a process because ``content`` could not be delivered, and try to tell the counterparty where it knows of it."""
        with self._database.write() as tx:
            process = PROCESSES.own(tx, pid)
            if not process.state.final and not isinstance(content, Terminate):
                reason = f"{type(content).__name__} not delivered: {error.message}"
                self._steps.say(tx, process, Terminate(error.code, (reason,)))

    def completed(self, tx: Connection, flow: DataFlow) -> None:
        """Complete the process whose product went out whole, in the caller's transaction."""
        process = PROCESSES.own(tx, flow.order.process)
        if process.state is State.STARTED:
            self._steps.say(tx, process, Complete())

    def errored(self, tx: Connection, flow: DataFlow, *, code: str, reason: str) -> None:
        """Terminate the process whose data flow cannot go on, in the caller's transaction."""
        process = PROCESSES.own(tx, flow.order.process)
        if not process.state.final:
            self._steps.say(tx, process, Terminate(code, (reason,)))

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def process(self, pid: str) -> TransferProcess:
        """Return the process with our id; raise NotFound where there is none."""
        with self._database.read() as tx:
            return PROCESSES.own(tx, pid)

    def processes(self) -> list[TransferProcess]:
        """Return every process, oldest first."""
        with self._database.read() as tx:
            return store.every(tx)

    def address_of(self, pid: str) -> dict[str, Any] | None:
        """Return the address at which the counterparty comes to us for this process, None where it does not."""
        with self._database.read() as tx:
            return self._flows.address_of(self._flows.get(tx, pid))

    def standing(self, pid: str) -> Standing:
        """Return where a transfer stands and for whom it waits; raises NotFound where there is none."""
        with self._database.read() as tx:
            process = PROCESSES.own(tx, pid)
            unsent = [task for lane in (pid, f"{pid}/data") for task in self._tasks.waiting(tx, lane=lane)]
        name = self._identity.get(process.counterparty).name_en
        if unsent:
            head = unsent[0]
            what = "product" if head.lane != pid else str(head.payload["content"]["kind"])
            last = head.last_error or "-"
            english = f"not delivered yet ({what}, {head.attempts} attempts; last: {last})"
            why = Text(english, f"尚未送达（{what}，{head.attempts} 次尝试；最近：{last}）")
            return Standing(process, name, why)
        awaited = _AWAITED.get((process.role, process.state))
        if awaited is None:
            return Standing(process, None, None)
        pulls = direction_of(process.format) is Direction.PULL if process.state is State.STARTED else False
        ours = (process.role, process.state) == (Role.PROVIDER, State.REQUESTED) or (process.role is Role.CONSUMER and pulls)
        return Standing(process, self._identity.did if ours else name, awaited[pulls])

    def _say(self, pid: str, content: Content) -> TransferProcess:
        with self._database.write() as tx:
            return self._steps.say(tx, PROCESSES.own(tx, pid), content)

    def _agreed(self, tx: Connection, agreement_id: str) -> tuple[str, str]:
        """The provider and the product of an agreement that this node may use."""
        found = self._contracts.find(tx, agreement_id)
        if found is None:
            raise NotFound(
                "contract.agreement-unknown",
                "expected the id of an agreement of this node, got one that is not here",
                hint=Text("List the agreements that are in force.", "请查看当前有效的合约。"),
            )
        agreement, state = found
        if state is not NegotiationState.FINALIZED or agreement.consumer != self._identity.did:
            raise Conflict(
                "transfer.agreement",
                "expected an agreement in force that this node may use, got another",
                hint=Text("Request a contract first.", "请先申请合约。"),
            )
        return agreement.provider, agreement.product

    def _promised(self, tx: Connection, agreement_id: str, *, to: str) -> str | None:
        """The product of an agreement between us and the party, None where there is none."""
        found = self._contracts.find(tx, agreement_id)
        if found is None or (found[0].provider, found[0].consumer) != (self._identity.did, to):
            return None
        return found[0].product


_RESUME = Text("to be resumed, by either side", "由任一方恢复")
_AWAITED: Mapping[tuple[Role, State], tuple[Text, Text]] = {
    (Role.CONSUMER, State.REQUESTED): (Text("to start the transfer or refuse it", "启动或拒绝传输"),) * 2,
    (Role.PROVIDER, State.REQUESTED): (Text("to start the transfer or refuse it", "启动或拒绝传输"),) * 2,
    (Role.CONSUMER, State.STARTED): (Text("to push the product", "推送产品"), Text("to fetch the product", "拉取产品")),
    (Role.PROVIDER, State.STARTED): (Text("to end the transfer", "结束传输"), Text("to pull the product", "拉取产品")),
    (Role.CONSUMER, State.SUSPENDED): (_RESUME, _RESUME),
    (Role.PROVIDER, State.SUSPENDED): (_RESUME, _RESUME),
}
"""What is awaited of the other side, or of ours: where a transfer pushes, and where it pulls."""


def _pid_conflict() -> Conflict:
    return Conflict(
        "transfer.pid-in-use",
        "expected a new pid, or the very message that opened this transfer, got another message",
        hint=Text("Open a transfer with a fresh pid.", "请使用新的流程标识发起传输。"),
    )
