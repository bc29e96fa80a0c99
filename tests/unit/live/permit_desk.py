"""A permit authority's desk for the tests of its room: real database, real keys, a clock that can be set."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.live.model import Act, PermitState
from chengshu.live.service import Directives, Permits
from chengshu.methods.pilot.permit import Permit
from databases import database_at

DIGESTS = Digests(INTERNATIONAL)
FIXTURE = Path(__file__).parents[2] / "data" / "permits" / "changan_chongqing.json"
ISSUER = "工业和信息化部"
NOON = datetime(2026, 3, 6, 4, 0, tzinfo=UTC)  # 12:00 in Chongqing
ID = "l3-changan-sc7000aaarbev"


class Log:
    """An evidence log in memory that keeps the order of its entries."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, Any]]] = []

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        assert tx.in_transaction()
        self.entries.append((kind, subject, dict(body)))
        return len(self.entries) - 1


class Desk:
    """A database, a clock that can be set, a log and the service on them."""

    def __init__(self, folder: Path, *, notice: timedelta = timedelta(0)) -> None:
        self.now = NOON
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.log = Log()
        self.signer = MemorySigner.generate()
        self.tokens = 0
        self.permits = Permits(
            self.database, clock=lambda: self.now, new_id=self._id, evidence=self.log, signer=self.signer, digests=DIGESTS, notice=notice
        )
        self.directives = Directives(self.database, clock=lambda: self.now, evidence=self.log, digests=DIGESTS)

    def _id(self) -> str:
        self.tokens += 1
        return f"token-{self.tokens}"

    def active(self, document: dict[str, Any] | None = None) -> Permit:
        permit = self.permits.draft(document or published())
        self.permits.submit(permit.permit_id, act("重庆长安车联", "application"))
        self.permits.approve(permit.permit_id, act(rule="admission"))
        assert self.permits.publish(permit.permit_id, act(rule="admission")) is PermitState.ACTIVE
        return permit


def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    return document


def act(actor: str = ISSUER, rule: str = "R01", evidence: str = "a", reason: str = "left the permitted road") -> Act:
    return Act(actor, rule, DIGESTS.of(evidence), reason)
