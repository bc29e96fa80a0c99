"""Parts of the composition root that are a matter of their own: witnessing, anchoring, and what follows from the settings alone."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from chengshu import config
from chengshu.anchor.chains.chosen import account_of, chain_at, host_of
from chengshu.anchor.service import Anchors, Place
from chengshu.catalog.sources.access import FILE_NAME as SOURCES
from chengshu.catalog.sources.opening import PlacesOfRows
from chengshu.cleanroom.cell.order import MethodLimits, Sealing
from chengshu.cleanroom.engines.choosing import Engines
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.process import ProcessEngine
from chengshu.cleanroom.engines.spark.application import Cluster
from chengshu.cleanroom.engines.spark.engine import SparkEngine
from chengshu.cleanroom.secure_aggregation.round import Identity as Member
from chengshu.evidence.checkpoint import VerifierKey, parse_vkey
from chengshu.evidence.service import Evidence
from chengshu.evidence.storage.files import FileTiles
from chengshu.evidence.storage.http import HttpTiles
from chengshu.evidence.witnessing.mirror import LocalTiles, RemoteTiles
from chengshu.evidence.witnessing.quorum import QuorumPolicy, read_policy
from chengshu.identity.model import CLEAN_ROOM, Party, public_key_of, signs
from chengshu.identity.proving import Claims
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import Signer, is_signed_by
from chengshu.kernel.database import Database
from chengshu.kernel.outgoing import Outgoing, is_loopback, networks_of, outgoing_of
from chengshu.kernel.tasks import Tasks
from chengshu.witness.cosignatures import Cosignatures
from chengshu.witness.gossip import Gossip
from chengshu.witness.keys.file import FileCosigners
from chengshu.witness.ports import KnownLog
from chengshu.witness.service import Witness
from chengshu.witness.witnesses.http import HttpWitnesses

SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a node keeps its keys and its log, and below which paths others reach its parts."""

    folder: Path
    keys: Path
    log: Path
    protocol_path: str
    log_path: str
    witness_path: str


def witnessing(
    places: Places, settings: config.Settings, *, database: Database, evidence: Evidence, identity: Identity, clock: Clock
) -> tuple[Witness, Cosignatures, Gossip]:
    """Return what cosigns others' checkpoints, what gathers cosignatures for this node's own, and what compares."""
    witnesses = HttpWitnesses(identity.outgoing)
    policy = partial(policy_at, places.folder / settings.witness.policy)
    cosigners = FileCosigners(places.keys, name=f"{settings.node.handle}/witness")

    def logs() -> list[KnownLog]:
        others = [_log_of(party, places) for party in identity.list() if party.did != identity.did]
        return [KnownLog(parse_vkey(evidence.vkey), None), *(log for log in others if log is not None)]

    def key_of(origin: str) -> VerifierKey | None:
        return next((log.key for log in logs() if log.url is not None and log.origin == origin), None)

    def sources() -> dict[str, str]:
        found = {
            one.name_en: one.address.removesuffix(places.protocol_path) + places.witness_path
            for one in identity.list()
            if one.did != identity.did
        }
        named = policy()
        known = {url.rstrip("/") for url in found.values()}
        further = {one.name: one.url for one in (named.witnesses if named else ()) if one.url and one.url.rstrip("/") not in known}
        return found | further

    def tiles(log: KnownLog) -> RemoteTiles:
        return LocalTiles(FileTiles(places.log)) if log.url is None else HttpTiles(log.url, outgoing=identity.outgoing)

    witness = Witness(database, cosigners=cosigners.load, key_of=key_of, evidence=evidence, clock=clock)
    cosignatures = Cosignatures(database, log=evidence, folder=places.log, policy=policy, witnesses=witnesses, clock=clock)
    gossip = Gossip(
        database, sources=sources, logs=logs, held=witness.last, witnesses=witnesses, tiles=tiles, evidence=evidence, clock=clock
    )
    return witness, cosignatures, gossip


def anchoring(keys: Path, chosen: config.AnchorSection, *, database: Database, evidence: Evidence, tasks: Tasks, clock: Clock) -> Anchors:
    """Return what anchors checkpoints on the chosen chain, if one is."""
    place = chain = None
    if chosen.chain is not None and chosen.url is not None and chosen.contract is not None:
        place = Place(chosen.chain, chosen.contract, host_of(chosen.url))
        account = account_of(keys, chosen.account)
        chain = chain_at(chosen.chain, chosen.url, contract=chosen.contract, group=chosen.group, account=account)
    every = None if chosen.every_hours is None else timedelta(hours=chosen.every_hours)
    return Anchors(database, log=evidence, tasks=tasks, place=place, chain=chain, every=every, clock=clock)


def rows_in_place(folder: Path, keys: Path, digests: Digests) -> PlacesOfRows:
    """Return every place that a node reads products from, as its operator named them; rows on their way in wait in the node's folder."""
    return PlacesOfRows(digests, spool=folder / SPOOL, access=keys / SOURCES)


def known_rooms(identity: Identity, *, runs_one: bool) -> tuple[str, ...]:
    """Return the parties on the trust list that run a clean room, in the order of the list, then this node where it runs one."""
    others = [party.did for party in identity.list() if CLEAN_ROOM in party.roles and party.did != identity.did]
    return (*others, identity.did) if runs_one else tuple(others)


def is_signed_by_party(party: str, signature: bytes, message: bytes) -> bool:
    """Say whether a party, by its id, made a signature over a message."""
    return signs(party) and is_signed_by(public_key_of(party), signature=signature, message=message)


def member_of(identity: Identity, signer: Signer) -> Member:
    """Return who this node is in a sum of several holders' rows, and whom it knows."""
    return Member(identity.did, signer, is_signed_by_party, lambda party: any(one.did == party for one in identity.list()))


def claims_of(chosen: config.IdentitySection) -> Claims | None:
    """Return whose claims this node requires and believes, None where the protocol is switched off."""
    if chosen.did is None:
        return None
    issuers: dict[str, frozenset[str]] = {}
    for issuer in chosen.issuers:
        issuers[issuer.did] = issuers.get(issuer.did, frozenset()) | frozenset(issuer.types)
    return Claims(chosen.did, issuers, frozenset(chosen.required), chosen.scopes)


def outgoing_by(folder: Path, settings: config.Settings) -> Outgoing:
    """Return the policy on whom the node calls: that of the settings.

    Where they do not say, development mode is that of a node that only its own machine reaches.
    """
    chosen, local = settings.outgoing, is_loopback(settings.serve.host) and outgoing_of(settings.serve.address).development
    return Outgoing(
        development=local if settings.serve.development is None else settings.serve.development,
        own=settings.serve.address,
        hosts=frozenset(chosen.hosts),
        networks=networks_of(chosen.networks),
        certificates=folder / chosen.certificates if chosen.certificates else None,
    )


def identity_of(
    folder: Path, settings: config.Settings, *, database: Database, signer: Signer, path: str, evidence: Evidence, clock: Clock
) -> Identity:
    """Return a node's identity and its trust list; others reach it at ``path`` below its address."""
    address, outgoing = settings.serve.address + path, outgoing_by(folder, settings)
    return Identity(database, signer=signer, address=address, evidence=evidence, clock=clock, outgoing=outgoing)


def engines_by(chosen: config.CleanroomSection) -> Engines:
    """Return the engines of a node, and which of them its operator lets compute what; Spark's starts nothing before it is asked."""
    return Engines(
        chosen.engine,
        duckdb=DuckDBEngine(chosen.memory_limit, chosen.threads, chosen.timeout_s),
        spark=SparkEngine(Cluster(chosen.spark_master, chosen.spark_memory_mib), chosen.timeout_s, writers=max(chosen.threads, 2)),
        spark_from_rows=chosen.spark_from_rows,
        spark_from_bytes=chosen.spark_from_mib * 2**20,
    )


def _log_of(party: Party, places: Places) -> KnownLog | None:
    """The log of a party on the trust list: named by its handle, signed by the key of its id, served beside its protocol endpoints."""
    if party.handle is None or not signs(party.did):
        return None
    key = VerifierKey(f"{party.handle}/log", public_key_of(party.did))
    return KnownLog(key, party.address.removesuffix(places.protocol_path) + places.log_path)


def policy_at(path: Path) -> QuorumPolicy | None:
    """Return the policy in a file, None where there is none."""
    return read_policy(path) if path.exists() else None


def methods_by(chosen: config.CleanroomSection, *, hidden: Path) -> ProcessEngine:
    """Return what runs sealed methods within the operator's limits; they see nothing below ``hidden``."""
    limits = MethodLimits(chosen.method_cpu_s, chosen.method_memory_mib * 2**20, chosen.timeout_s)
    return ProcessEngine(limits=limits, sealing=Sealing(chosen.method_seal), hidden=hidden)
