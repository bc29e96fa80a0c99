"""The services by which rows leave and come, which need one another: assembled from what the node gives them."""

from dataclasses import dataclass
from pathlib import Path

from chengshu.contract.decision import Decide
from chengshu.contract.service import Contracts
from chengshu.identity.claims.client import ClientProofs
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.ids import NewId
from chengshu.kernel.tasks import MESSAGE_PATIENCE, Handler, OnFailed, Patience, Tasks
from chengshu.transfer.flow.deliveries import Deliveries
from chengshu.transfer.flow.leave import AgreementLeave
from chengshu.transfer.flow.model import OWN
from chengshu.transfer.flow.ports import Carrier
from chengshu.transfer.flow.receptions import Receptions
from chengshu.transfer.flow.renewals import Renewals
from chengshu.transfer.flow.service import PUSH_TASK, DataFlows
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.ports import Evidence, Products
from chengshu.transfer.process.outbox import TransferOutbox
from chengshu.transfer.process.ports import Courier
from chengshu.transfer.process.service import TransferProcesses
from chengshu.transfer.process.steps import SEND, Steps
from chengshu.transfer.service import Transfers
from chengshu.transfer.signaling.authority import TokenAuthority
from chengshu.transfer.signaling.registry import ControlPlanes
from chengshu.transfer.signaling.service import Signaling


@dataclass(frozen=True, slots=True)
class Given:
    """What the node gives: its other services, its ways to others, where flows are opened from outside, where what comes is kept."""

    database: Database
    tasks: Tasks
    identity: Identity
    evidence: Evidence
    products: Products
    contracts: Contracts
    transfers: Transfers
    carrier: Carrier
    courier: Courier
    vault: Vault
    digests: Digests
    clock: Clock
    new_id: NewId
    decide: Decide
    url: str
    folder: Path
    limit_bytes: int
    planes: ControlPlanes
    proofs: ClientProofs


@dataclass(frozen=True, slots=True)
class Moving:
    """Transfer processes, the data flows that they steer, and the bytes that leave and come through those."""

    flows: DataFlows
    processes: TransferProcesses
    deliveries: Deliveries
    receptions: Receptions
    outbox: TransferOutbox
    carrier: Carrier
    signaling: Signaling
    authority: TokenAuthority
    proofs: ClientProofs

    def close(self) -> None:
        """Close the connections to other parties' endpoints."""
        self.carrier.close()
        self.signaling.close()
        self.proofs.close()

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {PUSH_TASK: self.deliveries.push, **self.outbox.handlers(), **self.signaling.handlers()}

    def patience(self) -> dict[str, Patience]:
        """Return how long the worker tries each kind of task."""
        return {SEND: MESSAGE_PATIENCE}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {PUSH_TASK: self.deliveries.failed, **self.outbox.on_failed(), **self.signaling.on_failed()}


def assemble(given: Given) -> Moving:
    """Return the services, each with what it needs."""
    leave = AgreementLeave(own_id=given.identity.did, contracts=given.contracts, products=given.products, clock=given.clock)
    flows = DataFlows(tasks=given.tasks, vault=given.vault, digests=given.digests, clock=given.clock, new_id=given.new_id, url=given.url)
    steps = Steps(
        tasks=given.tasks,
        identity=given.identity,
        evidence=given.evidence,
        flows=flows,
        leave=leave,
        carrier=given.carrier,
        vault=given.vault,
        digests=given.digests,
        clock=given.clock,
        new_id=given.new_id,
        decide=given.decide,
    )
    processes = TransferProcesses(
        given.database, steps=steps, flows=flows, contracts=given.contracts, identity=given.identity, tasks=given.tasks
    )
    receptions = Receptions(
        given.database,
        carrier=given.carrier,
        renewals=Renewals(
            given.database,
            carrier=given.carrier,
            vault=given.vault,
            proofs=given.proofs,
            evidence=given.evidence,
            clock=given.clock,
        ),
        evidence=given.evidence,
        digests=given.digests,
        folder=given.folder,
        limit_bytes=given.limit_bytes,
    )
    signaling = Signaling(
        given.database,
        planes=given.planes,
        vault=given.vault,
        clock=given.clock,
        flows=flows,
        receptions=receptions,
        leave=leave,
        outgoing=given.identity.outgoing,
        tasks=given.tasks,
        evidence=given.evidence,
        digests=given.digests,
        new_id=given.new_id,
        folder=given.folder,
    )
    deliveries = Deliveries(
        given.database,
        flows=flows,
        transfers=given.transfers,
        products=given.products,
        leave=leave,
        controls={OWN: processes, **dict.fromkeys(given.planes.every, signaling)},
        carrier=given.carrier,
        vault=given.vault,
        evidence=given.evidence,
        digests=given.digests,
        clock=given.clock,
        new_id=given.new_id,
    )
    return Moving(
        flows=flows,
        processes=processes,
        deliveries=deliveries,
        receptions=receptions,
        outbox=TransferOutbox(processes=processes, courier=given.courier),
        carrier=given.carrier,
        signaling=signaling,
        authority=TokenAuthority(given.database, flows=flows, proofs=given.proofs, evidence=given.evidence),
        proofs=given.proofs,
    )
