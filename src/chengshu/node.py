"""The composition root: the only place where concrete classes meet."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from chengshu import config, migrations, wiring
from chengshu.anchor.service import ANCHOR_TASK, Anchors
from chengshu.catalog.listings import Listings
from chengshu.catalog.service import Catalog
from chengshu.cleanroom.asker import OUTCOME_TASK, Asker
from chengshu.cleanroom.engines.spark import application as spark
from chengshu.cleanroom.holder import Holder
from chengshu.cleanroom.leave import JobLeave
from chengshu.cleanroom.local import LocalRuns
from chengshu.cleanroom.nodes.http import HttpNodes
from chengshu.cleanroom.noise.budgets import Budgets
from chengshu.cleanroom.noise.charging import Charging
from chengshu.cleanroom.planning.service import Queries
from chengshu.cleanroom.planning.sources import Sources
from chengshu.cleanroom.receipts.book import USE_RECEIPT_TASK, Receipts
from chengshu.cleanroom.receipts.countersigning import Countersigner
from chengshu.cleanroom.receipts.issuing import Issuer
from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.secure_aggregation.computing import Computing
from chengshu.cleanroom.secure_aggregation.member import Members
from chengshu.cleanroom.service import RECEIPT_TASK, RUN_TASK, Cleanroom
from chengshu.cleanroom.workplace import Workplace
from chengshu.contract.agreements import TELL, Agreements
from chengshu.contract.decision import Decide
from chengshu.contract.duties import Duties
from chengshu.contract.outbox import Outbox
from chengshu.contract.papers import papers
from chengshu.contract.service import Contracts
from chengshu.contract.steps import SEND_LAST
from chengshu.dsp.client import DspPeers
from chengshu.dsp.couriers import DspCourier, DspTransferCourier
from chengshu.dsp.federation import Federation
from chengshu.dsp.heralds import DspHeralds
from chengshu.dsp.service import DspCatalog
from chengshu.dsp.translate.pages import PageTokens
from chengshu.evidence.alerts import Alerts
from chengshu.evidence.packs.export import Exports
from chengshu.evidence.service import Evidence
from chengshu.evidence.witnessing.quorum import QuorumPolicy
from chengshu.identity.claims.holder import Holder as Wallet
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.keys.file import FileKeys, suite_checked
from chengshu.identity.keys.shared import SharedSecrets
from chengshu.identity.model import did_key
from chengshu.identity.ports import CredentialSource
from chengshu.identity.proving import assemble as assemble_proving
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock, system_clock
from chengshu.kernel.crypto import SUITES, Signer
from chengshu.kernel.database import Database
from chengshu.kernel.databases.chosen import database_of
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.ids import NewId, new_id
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.worker import Worker
from chengshu.live.service import Directives, Permits
from chengshu.policy.values import Place
from chengshu.privacy.service import Ledger
from chengshu.settlement.service import SEND_TASK, Settlements
from chengshu.transfer.carriers.http import HttpCarrier
from chengshu.transfer.flow.model import FORMATS
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.monitor import Monitor
from chengshu.transfer.moving import Given, Moving, assemble
from chengshu.transfer.sealed.arrival import Arrival
from chengshu.transfer.service import Transfers
from chengshu.transfer.signaling.registry import read_control_planes
from chengshu.wiring import Places, anchoring, claims_of, is_signed_by_party, known_rooms, policy_at, rows_in_place, witnessing
from chengshu.witness.cosignatures import Cosignatures
from chengshu.witness.gossip import Gossip
from chengshu.witness.service import Witness

KEYS = "keys"
LOG = "log"
WORK = "work"
RECEIVED = "received"
DATABASE = "node.db"
DATABASE_PASSWORD = "database.password"  # noqa: S105  # the name of a file below KEYS
PROTOCOL_PATH = "/2025-1"
"""Below a node's address: where its Dataspace Protocol endpoints are."""

LOG_PATH = "/log"
WITNESS_PATH = "/witness"
"""Below a node's address: where its log is served, and where others have their checkpoints cosigned."""

DATA_PATH = "/data/flows"
"""Below a node's address: where products are pulled from and pushed to."""

PlugCredentials = Callable[[Identity, CredentialSource], CredentialSource]
"""Makes, of a node's identity and its own credentials, those that it shall use: how a plug-in brings a scheme of its own."""

MAX_PRODUCT_BYTES = 4 * 1024 * 1024 * 1024
MAX_INPUT_BYTES = 4 * MAX_PRODUCT_BYTES
"""Of a product that comes into the clean room, whose pieces count as they are before they are packed."""


@dataclass(frozen=True, slots=True)
class Node:
    """One participant: its settings and every service it offers, wired."""

    folder: Path
    settings: config.Settings
    database: Database
    digests: Digests
    tasks: Tasks
    worker: Worker
    identity: Identity
    secrets: SharedSecrets
    claims_key: DcpKey | None
    wallet: Wallet | None
    credentials: CredentialSource
    evidence: Evidence
    exports: Exports
    alerts: Alerts
    catalog: Catalog
    contracts: Contracts
    agreements: Agreements
    monitor: Monitor
    duties: Duties
    peers: DspPeers
    shown: DspCatalog
    transfers: Transfers
    moving: Moving
    federation: Federation
    holder: Holder
    budgets: Budgets
    asker: Asker
    queries: Queries
    nodes: HttpNodes
    room: Cleanroom
    members: Members
    receipts: Receipts
    issuer: Issuer
    countersigner: Countersigner
    settlements: Settlements
    permits: Permits
    directives: Directives
    witness: Witness
    cosignatures: Cosignatures
    gossip: Gossip
    anchors: Anchors

    def close(self) -> None:
        """Close the node's lines to others and its database, and Spark's Java where there is one; it is not used after that."""
        spark.close()
        self.peers.close()
        self.nodes.close()
        self.database.close()

    def quorum_policy(self) -> QuorumPolicy | None:
        """Return the policy that names this node's witnesses, None where the operator made none; raise Invalid where it is wrong."""
        return policy_at(self.folder / self.settings.witness.policy)

    def trouble(self, error: ChengshuError) -> None:
        """Tell the operator of an error that no request waits for, and write it into the log."""
        sys.stderr.write(f"{error.kind} [{error.code}]: {error.message}\n")
        try:
            self.alerts.trouble(error)
        except ChengshuError as further:
            sys.stderr.write(f"{further.kind} [{further.code}]: {further.message}\n")


def own_credentials(_identity: Identity, credentials: CredentialSource) -> CredentialSource:
    """Return the node's own credentials: no plug-in."""
    return credentials


def create_node(folder: Path, settings: config.Settings, *, clock: Clock = system_clock, new_id: NewId = new_id) -> Node:
    """Create a node in ``folder``: key, settings, database and the first entry of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    FileKeys(folder / KEYS).create(SUITES[settings.space.cryptography])
    config.write(folder, settings)
    node = _opened(folder, start=migrations.begin_anew, plug=own_credentials, clock=clock, new_id=new_id)
    with node.database.write() as tx:
        node.evidence.append(tx, "node.started", node.identity.did, {"handle": settings.node.handle})
    name = settings.node
    node.identity.add(node.identity.did, name_en=name.name_en, name_zh=name.name_zh, address=node.identity.address, handle=name.handle)
    return node


def open_node(folder: Path, *, clock: Clock = system_clock, new_id: NewId = new_id, plug: PlugCredentials = own_credentials) -> Node:
    """Open the node in ``folder``; raise NotFound when there is none and Invalid when its settings or key are wrong.

    ``plug`` puts other credentials in the place of the node's own.
    """
    return _opened(folder, start=migrations.begin_again, plug=plug, clock=clock, new_id=new_id)


def _opened(folder: Path, *, start: Callable[[Database], None], plug: PlugCredentials, clock: Clock, new_id: NewId) -> Node:
    settings = config.load(folder)
    keys = FileKeys(folder / KEYS)
    signer = keys.load()
    suite = suite_checked(signer, SUITES[settings.space.cryptography])
    seal = Seal(suite, keys.data_key(suite))
    named = f"{settings.node.handle} {did_key(signer.public_key)}"
    database = database_of(settings.database.chosen, file=folder / DATABASE, secret_file=folder / KEYS / DATABASE_PASSWORD, owner=named)
    start(database)
    migrations.upgrade(database, close=lambda outcome, job: seal.close(outcome, job=job))
    node = _wired(folder, settings, database=database, signer=signer, seal=seal, plug=plug, clock=clock, new_id=new_id)
    node.catalog.list_all()
    return node


def _wired(
    folder: Path,
    settings: config.Settings,
    *,
    database: Database,
    signer: Signer,
    seal: Seal,
    plug: PlugCredentials,
    clock: Clock,
    new_id: NewId,
) -> Node:
    tasks = Tasks(clock)
    digests = Digests(seal.suite)
    evidence = Evidence(database, signer, f"{settings.node.handle}/log", folder / LOG, clock)
    identity = wiring.identity_of(folder, settings, database=database, signer=signer, path=PROTOCOL_PATH, evidence=evidence, clock=clock)
    alerts = Alerts(database, evidence=evidence, own_id=identity.did, clock=clock)
    proving = assemble_proving(identity, folder / KEYS, claims=claims_of(settings.identity), digests=digests, clock=clock, new_id=new_id)
    credentials = plug(identity, proving.credentials)
    catalog = Catalog(
        database, evidence=evidence, digests=digests, clock=clock, new_id=new_id, sources=rows_in_place(folder, folder / KEYS, digests)
    )
    contracts = Contracts(
        database,
        tasks=tasks,
        identity=identity,
        evidence=evidence,
        datasets=catalog,
        digests=digests,
        clock=clock,
        new_id=new_id,
        decide=Decide(settings.contract.decide),
        places={place.party: Place(place.at) for place in settings.policy.places},
    )
    peers = DspPeers(identity, credentials=credentials)
    outbox = Outbox(contracts=contracts, courier=DspCourier(peers))
    agreements = Agreements(
        database,
        tasks=tasks,
        identity=identity,
        evidence=evidence,
        contracts=contracts,
        heralds=DspHeralds(peers),
        digests=digests,
        clock=clock,
    )
    nodes = HttpNodes(identity, credentials=credentials)
    transfers = Transfers(
        database,
        products=catalog,
        leave=JobLeave(contracts=contracts, clock=clock),
        evidence=evidence,
        digests=digests,
        clock=clock,
        new_id=new_id,
    )
    federation = Federation(
        database,
        listings=Listings(database, clock=clock, formats=set(FORMATS)),
        tasks=tasks,
        identity=identity,
        peers=peers,
        parties=settings.catalog.federate,
        every=timedelta(minutes=settings.catalog.refresh_minutes),
        clock=clock,
    )
    moving = assemble(
        Given(
            database=database,
            tasks=tasks,
            identity=identity,
            evidence=evidence,
            products=catalog,
            contracts=contracts,
            transfers=transfers,
            carrier=HttpCarrier(identity.outgoing, may_name=identity.may_name),
            courier=DspTransferCourier(peers),
            vault=Vault(seal.suite, seal.key),
            digests=digests,
            clock=clock,
            new_id=new_id,
            decide=Decide(settings.contract.decide),
            url=settings.serve.address + DATA_PATH,
            folder=folder / RECEIVED,
            limit_bytes=MAX_PRODUCT_BYTES,
            planes=read_control_planes(folder / KEYS),
            proofs=proving.proofs,
        )
    )
    receipts = Receipts(database, tasks=tasks, evidence=evidence, is_signed_by=is_signed_by_party, digests=digests, clock=clock)
    issuer = Issuer(
        database,
        own_id=identity.did,
        signer=signer,
        book=receipts,
        contracts=contracts,
        deliveries=transfers,
        nodes=nodes,
        tasks=tasks,
        evidence=evidence,
        is_signed_by=is_signed_by_party,
        digests=digests,
        clock=clock,
    )
    countersigner = Countersigner(
        database,
        own_id=identity.did,
        signer=signer,
        book=receipts,
        contracts=contracts,
        tasks=tasks,
        evidence=evidence,
        is_signed_by=is_signed_by_party,
        digests=digests,
    )
    ledger = Ledger(evidence=evidence, clock=clock)
    holder = Holder(
        database,
        own_id=identity.did,
        handle=settings.node.handle,
        catalog=catalog,
        contracts=contracts,
        grants=transfers,
        charging=Charging(ledger=ledger, contracts=contracts, digests=digests),
        issuer=issuer,
        evidence=evidence,
        is_signed_by=is_signed_by_party,
        digests=digests,
        clock=clock,
    )
    asker = Asker(
        database,
        own_id=identity.did,
        signer=signer,
        nodes=nodes,
        contracts=contracts,
        evidence=evidence,
        is_signed_by=is_signed_by_party,
        digests=digests,
        seal=seal,
        clock=clock,
        new_id=new_id,
    )
    limits = settings.cleanroom
    at = Workplace(folder / WORK, limits.spill_limit)
    engines = wiring.engines_by(limits)
    room = Cleanroom(
        database,
        at,
        own_id=identity.did,
        signer=signer,
        nodes=nodes,
        engines=engines,
        methods=wiring.methods_by(limits, hidden=folder),
        new_arrival=lambda place, key: Arrival(place, key=key, digests=digests, limit_bytes=MAX_INPUT_BYTES),
        input_wait=timedelta(seconds=limits.input_wait_s),
        tasks=tasks,
        evidence=evidence,
        is_signed_by=is_signed_by_party,
        digests=digests,
        seal=seal,
        clock=clock,
    )
    settlements = Settlements(
        database,
        room=room,
        known=asker.known,
        nodes=nodes,
        tasks=tasks,
        evidence=evidence,
        signer=signer,
        own_id=identity.did,
        is_signed_by=is_signed_by_party,
        digests=digests,
        clock=clock,
        new_id=new_id,
    )
    anchors = anchoring(folder / KEYS, settings.anchor, database=database, evidence=evidence, tasks=tasks, clock=clock)
    worker = Worker(
        database,
        clock=clock,
        handlers={
            RUN_TASK: room.run,
            RECEIPT_TASK: room.send_receipt,
            USE_RECEIPT_TASK: issuer.send,
            OUTCOME_TASK: asker.learn_outcome,
            SEND_TASK: settlements.send,
            ANCHOR_TASK: anchors.run,
            **outbox.handlers(),
            **moving.handlers(),
            **federation.handlers(),
            **agreements.handlers(),
        },
        on_failed={
            RUN_TASK: room.abandon,
            ANCHOR_TASK: anchors.abandon,
            **outbox.on_failed(),
            **moving.on_failed(),
            **federation.on_failed(),
            **agreements.on_failed(),
        },
        given_up=alerts.given_up,
        desk=tasks.desk,
        patience=outbox.patience() | moving.patience(),
        patient={RECEIPT_TASK, USE_RECEIPT_TASK, OUTCOME_TASK, ANCHOR_TASK, TELL, SEND_LAST},
    )
    witness, cosignatures, gossip = witnessing(
        Places(folder, folder / KEYS, folder / LOG, PROTOCOL_PATH, LOG_PATH, WITNESS_PATH),
        settings,
        database=database,
        evidence=evidence,
        identity=identity,
        clock=clock,
    )
    return Node(
        folder=folder,
        settings=settings,
        database=database,
        digests=digests,
        tasks=tasks,
        worker=worker,
        identity=identity,
        secrets=proving.secrets,
        claims_key=proving.claims_key,
        wallet=proving.holder,
        credentials=credentials,
        evidence=evidence,
        alerts=alerts,
        exports=Exports(
            folder / LOG,
            signer=signer,
            origin=f"{settings.node.handle}/log",
            papers=partial(papers, contracts=contracts, catalog=catalog),
            witness_policy=folder / settings.witness.policy,
        ),
        catalog=catalog,
        contracts=contracts,
        agreements=agreements,
        monitor=Monitor(transfers=transfers, processes=moving.processes, agreements=agreements, log_size=evidence.size, clock=clock),
        duties=Duties(database, identity=identity, evidence=evidence, digests=digests, clock=clock),
        peers=peers,
        shown=DspCatalog(
            database, identity=identity, contracts=contracts, source=federation.listings, tokens=PageTokens(seal.suite, seal.key)
        ),
        transfers=transfers,
        moving=moving,
        federation=federation,
        holder=holder,
        budgets=Budgets(database, own_id=identity.did, contracts=contracts, ledger=ledger, nodes=nodes),
        asker=asker,
        queries=Queries(
            database,
            own_id=identity.did,
            rooms=partial(known_rooms, identity, runs_one=limits.enabled),
            sources=Sources(identity=identity, nodes=nodes, contracts=contracts, holder=holder),
            contracts=contracts,
            nodes=nodes,
            asker=asker,
            local=LocalRuns(database, at, signer=signer, catalog=catalog, engines=engines, seal=seal, clock=clock, evidence=evidence),
            digests=digests,
            clock=clock,
            new_id=new_id,
        ),
        nodes=nodes,
        room=room,
        members=Members(
            database,
            who=wiring.member_of(identity, signer),
            holder=holder,
            computing=Computing(database, at, catalog=catalog, engines=engines, digests=digests),
            leave=JobLeave(contracts=contracts, clock=clock),
            uses=transfers,
            evidence=evidence,
            digests=digests,
        ),
        receipts=receipts,
        issuer=issuer,
        countersigner=countersigner,
        settlements=settlements,
        permits=Permits(database, evidence=evidence, clock=clock, new_id=new_id, signer=signer, digests=digests),
        directives=Directives(database, evidence=evidence, digests=digests, clock=clock),
        witness=witness,
        cosignatures=cosignatures,
        gossip=gossip,
        anchors=anchors,
    )
