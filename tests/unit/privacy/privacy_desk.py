"""A ledger on a real database with a real log, and a clock to turn by hand."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.refusal import Refused
from chengshu.policy.values import Duration
from chengshu.privacy.model import Account, Allowance, Charge, Kind, Loss, Spent, Standing
from chengshu.privacy.service import Ledger
from chengshu.privacy.store import spent
from databases import database_at

START = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = Account("did:firm", "counts")
MONTH = Duration(1, 0)


class Desk:
    """One node's ledger."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.database = database_at(folder / "node.db")
        metadata.create_all(self.database.engine)
        self.evidence = Evidence(self.database, MemorySigner.generate(), "node.example/log", folder / "log", lambda: self.now)
        self.ledger = Ledger(evidence=self.evidence, clock=lambda: self.now)

    def reserve(self, job: str, rho: int, allowance: Allowance, *, account: Account = ACCOUNT, question: str = "q") -> Refused | None:
        with self.database.write() as tx:
            return self.ledger.reserve(tx, charge(job, rho, account=account, question=question), allowance)

    def commit(self, job: str, *, account: Account = ACCOUNT, outcome: str = "RELEASED") -> None:
        with self.database.write() as tx:
            self.ledger.commit(tx, job, product=account.product, outcome=outcome)

    def standing(self, allowance: Allowance, *, account: Account = ACCOUNT) -> Standing:
        with self.database.read() as tx:
            return self.ledger.standing(tx, account, allowance)

    def spent(self, account: Account = ACCOUNT) -> list[Spent]:
        with self.database.read() as tx:
            return spent(tx, account)

    def entries(self) -> list[tuple[str, str]]:
        return [(entry.kind, entry.subject) for entry in self.evidence.entries(0, self.evidence.size())]


def charge(job: str, rho: int, *, account: Account = ACCOUNT, question: str = "q") -> Charge:
    return Charge(job, account, "urn:agreement", Kind.QUESTION, Loss(rho), question)


def main() -> None:
    """Reserve one charge after another until killed, telling each that is durable; or, with ``dying``, be killed inside the act."""

    folder, how = Path(sys.argv[1]), sys.argv[2]
    desk = Desk(folder)
    allowance = Allowance(Loss(1000), None)
    if how == "dying":
        with desk.database.write() as tx:
            desk.ledger.reserve(tx, charge("dying", 7), allowance)
            os.kill(os.getpid(), signal.SIGKILL)
    for place in range(int(how)):
        print(desk.reserve(f"{os.getpid()}-{place}", 10, allowance) is None, flush=True)  # noqa: T201  # this is what is waited for
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
