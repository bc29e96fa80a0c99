"""The composition root: the only place where concrete classes meet."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from chengshu import config, migrations
from chengshu.catalog.service import Catalog
from chengshu.cleanroom.asker import Asker
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.process import ProcessEngine
from chengshu.cleanroom.holder import Holder
from chengshu.cleanroom.nodes.http import HttpNodes
from chengshu.cleanroom.service import RECEIPT_TASK, RUN_TASK, Cleanroom, Limits
from chengshu.contract.outbox import Outbox
from chengshu.contract.service import Contracts
from chengshu.dsp.client import DspCourier, DspPeers
from chengshu.dsp.service import DspCatalog
from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.keys.file import FileKeys
from chengshu.identity.model import public_key_of
from chengshu.identity.service import Identity
from chengshu.kernel.clock import Clock, system_clock
from chengshu.kernel.crypto import Signer, is_signed_by
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.ids import NewId, new_id
from chengshu.kernel.tasks import Tasks, Worker
from chengshu.live.service import Directives, Permits
from chengshu.settlement.service import SEND_TASK, Settlements
from chengshu.transfer.service import Transfers
from chengshu.transfer.streams.arrow import into_file

KEYS = "keys"
LOG = "log"
WORK = "work"
DATABASE = "node.db"
PROTOCOL_PATH = "/2025-1"
"""Below a node's address: where its Dataspace Protocol endpoints are."""

MAX_PRODUCT_BYTES = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Node:
    """One participant: its settings and every service it offers, wired."""

    folder: Path
    settings: config.Settings
    database: Database
    tasks: Tasks
    worker: Worker
    identity: Identity
    credentials: TokenCredentials
    evidence: Evidence
    catalog: Catalog
    contracts: Contracts
    peers: DspPeers
    shown: DspCatalog
    transfers: Transfers
    holder: Holder
    asker: Asker
    room: Cleanroom
    settlements: Settlements
    permits: Permits
    directives: Directives

    def trouble(self, error: ChengshuError) -> None:
        """Tell the operator of an error that no request waits for."""
        sys.stderr.write(f"{error.kind} [{error.code}]: {error.message}\n")


def create_node(folder: Path, settings: config.Settings, *, clock: Clock = system_clock, new_id: NewId = new_id) -> Node:
    """Create a node in ``folder``: key, settings, database and the first entry of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    FileKeys(folder / KEYS).create()
    config.write(folder, settings)
    node = open_node(folder, clock=clock, new_id=new_id)
    with node.database.write() as tx:
        node.evidence.append(tx, "node.started", node.identity.did, {"handle": settings.node.handle})
    name = settings.node
    node.identity.add(node.identity.did, name_en=name.name_en, name_zh=name.name_zh, address=node.identity.address, handle=name.handle)
    return node


def open_node(folder: Path, *, clock: Clock = system_clock, new_id: NewId = new_id) -> Node:
    """Open the node in ``folder``; raise NotFound when there is none and Invalid when its settings or key are wrong."""
    settings = config.load(folder)
    signer = FileKeys(folder / KEYS).load()
    database = Database(folder / DATABASE)
    migrations.upgrade(database)
    return _wired(folder, settings, database=database, signer=signer, clock=clock, new_id=new_id)


def _wired(folder: Path, settings: config.Settings, *, database: Database, signer: Signer, clock: Clock, new_id: NewId) -> Node:
    tasks = Tasks(clock)
    name = settings.node
    evidence = Evidence(database, signer, f"{name.handle}/log", folder / LOG, clock)
    identity = Identity(database, signer=signer, address=settings.serve.address + PROTOCOL_PATH, evidence=evidence, clock=clock)
    credentials = TokenCredentials(identity, clock=clock, new_id=new_id)
    catalog = Catalog(database, evidence=evidence, clock=clock, new_id=new_id)
    contracts = Contracts(database, tasks=tasks, identity=identity, evidence=evidence, datasets=catalog, clock=clock, new_id=new_id)
    peers = DspPeers(identity, credentials=credentials)
    outbox = Outbox(contracts=contracts, courier=DspCourier(peers))
    nodes = HttpNodes(identity, credentials=credentials, keep_stream=partial(into_file, limit_bytes=MAX_PRODUCT_BYTES))
    transfers = Transfers(database, products=catalog, evidence=evidence, clock=clock, new_id=new_id)
    holder = Holder(
        database,
        own_id=identity.did,
        handle=name.handle,
        catalog=catalog,
        contracts=contracts,
        grants=transfers,
        evidence=evidence,
        is_signed_by=_is_signed_by,
        clock=clock,
    )
    asker = Asker(
        database,
        own_id=identity.did,
        signer=signer,
        nodes=nodes,
        contracts=contracts,
        evidence=evidence,
        is_signed_by=_is_signed_by,
        clock=clock,
        new_id=new_id,
    )
    limits = settings.cleanroom
    room = Cleanroom(
        database,
        own_id=identity.did,
        signer=signer,
        nodes=nodes,
        engine=DuckDBEngine(limits.memory_limit, limits.threads, limits.timeout_s),
        methods=ProcessEngine(timeout_s=limits.timeout_s),
        limits=Limits(timedelta(seconds=limits.input_wait_s), folder / WORK),
        tasks=tasks,
        evidence=evidence,
        is_signed_by=_is_signed_by,
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
        is_signed_by=_is_signed_by,
        clock=clock,
        new_id=new_id,
    )
    handlers = {RUN_TASK: room.run, RECEIPT_TASK: room.send_receipt, SEND_TASK: settlements.send, **outbox.handlers()}
    shown = DspCatalog(database, identity=identity, contracts=contracts, source=catalog)
    return Node(
        folder=folder,
        settings=settings,
        database=database,
        tasks=tasks,
        worker=Worker(database, clock=clock, handlers=handlers, on_failed={RUN_TASK: room.abandon, **outbox.on_failed()}),
        identity=identity,
        credentials=credentials,
        evidence=evidence,
        catalog=catalog,
        contracts=contracts,
        peers=peers,
        shown=shown,
        transfers=transfers,
        holder=holder,
        asker=asker,
        room=room,
        settlements=settlements,
        permits=Permits(database, evidence=evidence, clock=clock, new_id=new_id, signer=signer),
        directives=Directives(database, evidence=evidence, clock=clock),
    )


def _is_signed_by(party: str, signature: bytes, message: bytes) -> bool:
    return is_signed_by(public_key_of(party), signature=signature, message=message)
