"""A real log on a real database in a temporary folder."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import Database, metadata
from databases import database_at

SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass
class Log:
    """A log with its database and folder, and a clock that goes on by a second at every look."""

    database: Database
    evidence: Evidence
    folder: Path

    def append(self, *acts: tuple[str, dict[str, object]]) -> None:
        with self.database.write() as tx:
            for kind, body in acts:
                self.evidence.append(tx, kind, f"urn:about:{kind}", body)

    def fill(self, count: int) -> None:
        first = self.evidence.size()
        self.append(*(("token.issued", {"token": f"t{first + n}"}) for n in range(count)))


def open_log(root: Path) -> Log:
    database = database_at(root / "node.sqlite")
    metadata.create_all(database.engine)
    looks = iter(range(10_000_000))
    evidence = Evidence(database, SIGNER, "node.example/log", root / "log", lambda: START + timedelta(seconds=next(looks)))
    return Log(database, evidence, root / "log")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return open_log(tmp_path)


@pytest.fixture
def new_log() -> Callable[[Path], Log]:
    return open_log
