"""A real chain in this process (py-evm), a log on a real database, and anchors of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import chengshu.node  # noqa: F401  # brings every room's store, and so every table
from chengshu.anchor.chains.evm import EvmChain
from chengshu.anchor.chains.evm_accounts import NodeAccount
from chengshu.anchor.chains.evm_library import recursion_limit_kept
from chengshu.anchor.ports import Chain
from chengshu.anchor.service import ANCHOR_TASK, Anchors, Place
from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.worker import Worker
from databases import database_at

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture(scope="module")
def web3() -> Any:
    with recursion_limit_kept():
        from web3 import EthereumTesterProvider, Web3  # noqa: PLC0415  # so that no test of another room runs with their limit

        return Web3(EthereumTesterProvider())


@pytest.fixture
def chain(web3: Any) -> EvmChain:
    contract = EvmChain(lambda: web3, contract="", account=NodeAccount()).deploy()
    return EvmChain(lambda: web3, contract=contract, account=NodeAccount())


@dataclass
class Anchoring:
    """A log with its anchors, a worker for their tasks, and a clock that stands until it is moved."""

    database: Database
    evidence: Evidence
    anchors: Anchors
    tasks: Tasks
    worker: Worker
    now: datetime

    def grow(self, count: int = 1) -> None:
        with self.database.write() as tx:
            for number in range(count):
                self.evidence.append(tx, "token.issued", f"t{number}", {"n": number})
        self.evidence.publish()

    def kinds(self) -> list[str]:
        return [one.kind for one in self.evidence.entries(0, self.evidence.size())]


Opening = Callable[..., Anchoring]


@pytest.fixture
def anchoring(tmp_path: Path) -> Iterator[Opening]:
    """Open anchors of a log in a folder: the same folder again is the same node, started anew."""

    def opening(chain: Chain, *, every: timedelta | None = None) -> Anchoring:
        database = database_at(tmp_path / "node.db")
        metadata.create_all(database.engine)
        made: list[Anchoring] = []

        def clock() -> datetime:
            return made[0].now if made else START

        evidence = Evidence(database, SIGNER, "road/log", tmp_path / "log", clock)
        tasks = Tasks(clock)
        place = Place(chain.name, chain.contract, "chain.example")
        anchors = Anchors(database, log=evidence, tasks=tasks, place=place, chain=chain, every=every, clock=clock)
        worker = Worker(
            database,
            clock=clock,
            handlers={ANCHOR_TASK: anchors.run},
            on_failed={ANCHOR_TASK: anchors.abandon},
            given_up=lambda _tx, _task, _error: None,
            patient={ANCHOR_TASK},
        )
        made.append(Anchoring(database, evidence, anchors, tasks, worker, START))
        opened.append(database)
        return made[0]

    opened: list[Database] = []
    yield opening
    for database in opened:
        database.close()
