"""Alerts: what no request waits for and somebody should know, as entries of the log."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from chengshu.evidence.service import Evidence
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Fact
from chengshu.kernel.tasks import Task

REPEAT_AFTER = timedelta(hours=1)
"""A trouble that lasts is told again after this long, not every time it is met."""


class Alerts:
    """Writes alerts into the node's log: ``code`` says what happened, the other members of the body are ids, counts and digests."""

    def __init__(self, database: Database, *, evidence: Evidence, own_id: str, clock: Clock) -> None:
        self._database = database
        self._evidence = evidence
        self._own_id = own_id
        self._clock = clock
        self._told: dict[str, datetime] = {}

    def tell(self, tx: Connection, code: str, *, subject: str, facts: Mapping[str, Any]) -> int:
        """Write an alert in the caller's transaction and return its index."""
        return self._evidence.append(tx, "alert.raised", subject, {"code": code, **facts})

    def given_up(self, tx: Connection, task: Task, error: ChengshuError) -> None:
        """Tell of a task that will not be tried again, in the transaction that ends it."""
        facts = {"task": task.seq, "kind": task.kind, "attempts": task.attempts + 1, "waits_for": task.waits_for, "error": error.code}
        self.tell(tx, "task.given-up", subject=task.lane, facts=facts)

    def trouble(self, error: ChengshuError) -> None:
        """Tell of an error that no request waits for, in a transaction of its own; the same code again only after an hour.

        Raises what the database raises when the entry cannot be written.
        """
        now = self._clock()
        told = self._told.get(error.code)
        if told is not None and now - told < REPEAT_AFTER:
            return
        facts: dict[str, Fact] = {"kind": error.kind, **{name: fact for name, fact in error.facts.items() if name not in {"code", "kind"}}}
        with self._database.write() as tx:
            self.tell(tx, error.code, subject=self._own_id, facts=facts)
        self._told[error.code] = now
