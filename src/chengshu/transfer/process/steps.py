"""One step of a transfer process inside a caller's transaction: decided, kept, proved, its data flow steered, its message put out."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from chengshu.contract.decision import Decide
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import ChengshuError, Conflict
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.transfer.flow.leave import Leave, unknown_agreement
from chengshu.transfer.flow.model import FORMATS, OWN, PUSH, Direction, Document, Order, Verb, direction_of, endpoint_of
from chengshu.transfer.flow.ports import Carrier
from chengshu.transfer.flow.service import DataFlows
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.ports import Evidence
from chengshu.transfer.process import store
from chengshu.transfer.process.model import (
    EVIDENCE,
    Complete,
    Content,
    Request,
    Start,
    State,
    Suspend,
    Terminate,
    TransferProcess,
    advance,
    to_json,
)
from chengshu.transfer.revoking import revocation

SEND = "transfer.send"
"""The kind of task that sends one message of a transfer process to the counterparty."""

_VERBS: dict[type[Content], Verb] = {Suspend: Verb.SUSPEND, Complete: Verb.COMPLETE, Terminate: Verb.TERMINATE}


class Steps:
    """What :class:`chengshu.transfer.process.service.TransferProcesses` does within one transaction; it opens none of its own."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        identity: Identity,
        evidence: Evidence,
        flows: DataFlows,
        leave: Leave,
        carrier: Carrier,
        vault: Vault,
        digests: Digests,
        clock: Clock,
        new_id: NewId,
        decide: Decide,
    ) -> None:
        self._tasks = tasks
        self._identity = identity
        self._evidence = evidence
        self._flows = flows
        self._leave = leave
        self._carrier = carrier
        self._vault = vault
        self._digests = digests
        self._clock = clock
        self._new_id = new_id
        self._decides = decide

    def open(
        self, tx: Connection, role: Role, *, counterparty: str, product: str | None, content: Request, peer_pid: str | None = None
    ) -> TransferProcess:
        """Keep a new process that ``content`` opens; ``peer_pid`` is None where we open it, ``product`` where the agreement is unknown."""
        now = self._clock()
        process = TransferProcess(
            id=self._new_id(),
            role=role,
            counterparty=counterparty,
            peer_pid=peer_pid,
            callback=content.callback if peer_pid is not None else None,
            agreement_id=content.agreement,
            product=product,
            format=content.format,
            purpose=content.purpose,
            extent=content.extent,
            state=State.REQUESTED,
            code=None,
            reasons=(),
            created_at=now,
            updated_at=now,
        )
        request = None if peer_pid is None else self.digest(content)
        address = None if content.address is None else self._vault.close(content.address, flow=process.id)
        store.add(tx, process, request=request, address=address)
        if role is Role.CONSUMER:
            self._flows.prepare(tx, process.id, order_of(process))
        self._log(tx, process, content)
        return process

    def react(self, tx: Connection, process: TransferProcess, content: Content) -> None:
        """Decide on what came; a provider that is asked to resume a pull gives the new address, or says why it does not."""
        if process.role is not Role.PROVIDER:
            return
        if isinstance(content, Request) and self._decides is Decide.AUTOMATIC:
            begun = self.begin(tx, process)
            if isinstance(begun, Refused):
                self.end(tx, process, begun)
        elif isinstance(content, Start):
            refused = self.refusal(tx, process)
            if refused is not None:
                self.end(tx, process, refused)
            elif direction_of(process.format) is Direction.PULL:
                self.post(tx, process, Start(None))

    def begin(self, tx: Connection, process: TransferProcess) -> TransferProcess | Refused:
        """Start or resume as the provider, or return why not; raises Conflict where neither follows from the state."""
        return self.refusal(tx, process) or self.say(tx, process, Start(None))

    def refusal(self, tx: Connection, process: TransferProcess) -> Refused | None:
        """Return why this node does not deliver now what ``process`` asks for, or None where nothing is against it."""
        if process.product is None:
            return unknown_agreement()
        if process.format not in FORMATS:
            return Refused(
                "format",
                f"expected one of the formats {', '.join(FORMATS)}, got another",
                Text("A format of the dataset's distributions.", "数据集分发方式中的格式。"),
            )
        return self._misaddressed(tx, process) or self._leave.ask(tx, order_of(process))

    def end(self, tx: Connection, process: TransferProcess, refused: Refused) -> TransferProcess:
        """Terminate with a refusal as the reason."""
        return self.say(tx, process, Terminate(refused.rule, (refused.message, refused.would_pass.en, refused.would_pass.zh)))

    def log_revoked(self, tx: Connection, process: TransferProcess, refused: Refused) -> None:
        """Prove by which rule a transfer ceased to be allowed while it was open."""
        about = {"transfer": process.id, "product": process.product or "", "agreement": process.agreement_id}
        body = {**about, "recipient": self._identity.did if process.role is Role.CONSUMER else process.counterparty}
        self._evidence.append(tx, "use.revoked", process.id, {**body, **revocation(refused)})

    def say(self, tx: Connection, process: TransferProcess, content: Content) -> TransferProcess:
        """Take a step of our own: keep it, prove it, and put the message into the outbox; raises Conflict where it does not follow."""
        moved = self.move(tx, process, content, by=process.role)
        self.post(tx, moved, content)
        return moved

    def post(self, tx: Connection, process: TransferProcess, content: Content) -> None:
        """Put a message into the outbox: it is sent after the transaction, with the address that it is to carry then."""
        name = self._identity.get(process.counterparty).name_en
        payload = {"process": process.id, "content": to_json(_without_address(content))}
        self._tasks.defer(tx, SEND, payload, lane=process.id, waits_for=name)

    def move(self, tx: Connection, process: TransferProcess, content: Content, *, by: Role) -> TransferProcess:
        """Keep and prove the step that ``content`` from the side ``by`` is; raises Conflict where it does not follow from the state."""
        moved = advance(process, content, by=by, at=self._clock())
        if isinstance(moved, Refused):
            raise Conflict(f"transfer.{moved.rule}", moved.message, hint=moved.would_pass)
        is_ours = by is process.role
        resumes = is_ours and isinstance(content, Start) and process.role is Role.CONSUMER
        moved = replace(
            moved,
            awaits_address=resumes and direction_of(process.format) is Direction.PULL,
            replied_to=None if is_ours else self.digest(content),
        )
        store.save(tx, moved)
        self._steer(tx, process, content)
        self._log(tx, moved, content)
        return moved

    def learn_address(self, tx: Connection, process: TransferProcess, content: Start) -> TransferProcess:
        """Keep the address that the provider answers our resumption with; the state is what it was."""
        flow = self._flows.get(tx, process.id)
        self._flows.steer(tx, flow, Verb.STARTED, remote=content.address)
        known = replace(process, awaits_address=False, replied_to=self.digest(content))
        store.save(tx, known)
        self._log(tx, known, content)
        return known

    def digest(self, content: Content) -> str:
        """Return the digest by which a repeat of a message is recognised."""
        return self._digests.of(to_json(content))

    def _steer(self, tx: Connection, before: TransferProcess, content: Content) -> None:
        flow = self._flows.find(tx, control=OWN, process=before.id)
        if not isinstance(content, Start):
            if flow is not None:
                self._flows.steer(tx, flow, _VERBS[type(content)])
            return
        if flow is None:
            remote = self._opened(tx, before)
            self._flows.start(tx, before.id, order_of(before), remote=remote)
            return
        verb = Verb.STARTED if before.state is State.REQUESTED else Verb.RESUME
        self._flows.steer(tx, flow, verb, remote=content.address)

    def _misaddressed(self, tx: Connection, process: TransferProcess) -> Refused | None:
        """Why a push cannot go where its request says, or None; an endpoint is the consumer's word, and is not called to find out."""
        if process.format != PUSH:
            return None
        remote = self._opened(tx, process)
        try:
            if remote is None:
                return Refused(
                    "address-missing",
                    "expected a dataAddress with the request of a push, got none",
                    Text("A request with a dataAddress.", "附带数据地址的请求。"),
                )
            self._carrier.check(process.counterparty, endpoint_of(remote))
        except ChengshuError as error:
            return Refused("address", error.message, error.hint)
        return None

    def _opened(self, tx: Connection, process: TransferProcess) -> Document | None:
        sealed = store.get_address(tx, process.id)
        return None if sealed is None else self._vault.open(sealed, flow=process.id)

    def _log(self, tx: Connection, process: TransferProcess, content: Content) -> None:
        body: dict[str, Any] = {
            "transfer": process.id,
            "role": process.role.value,
            "counterparty": process.counterparty,
            "agreement": process.agreement_id,
            "format": process.format,
            "state": process.state.value,
            "message": self._digests.of(to_json(_without_address(content))),
        }
        optional = {"product": process.product, "peer_pid": process.peer_pid, "code": process.code}
        body |= {name: value for name, value in optional.items() if value is not None}
        self._evidence.append(tx, EVIDENCE[type(content)], process.id, body)


def order_of(process: TransferProcess) -> Order:
    """Return what the data plane is asked for on behalf of a process."""
    return Order(
        control=OWN,
        process=process.id,
        role=process.role,
        format=process.format,
        extent=process.extent,
        product=process.product or "",
        agreement=process.agreement_id,
        counterparty=process.counterparty,
        purpose=process.purpose,
    )


def _without_address(content: Content) -> Content:
    """A message without the secrets that it carries on the wire."""
    return replace(content, address=None) if isinstance(content, Request | Start) else content
