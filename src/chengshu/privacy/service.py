"""The ledger: what every answer may have told, reserved before anything is computed and never given back."""

from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.errors import Conflict
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.privacy import store
from chengshu.privacy.model import Account, Allowance, Charge, Standing, State, delta_text, refusal, rho_text, standing
from chengshu.privacy.ports import Evidence


class Ledger:
    """Counts privacy losses in its callers' transactions, which MUST be those that also let the data out.

    A charge is spent from the moment it is reserved: a crash, a refusal by somebody else or a receipt that never comes leave it spent.
    Since a database has one writer at a time, two jobs that reach for the last of a budget are decided one after the other.
    """

    def __init__(self, *, evidence: Evidence, clock: Clock) -> None:
        self._evidence = evidence
        self._clock = clock

    def reserve(self, tx: Connection, charge: Charge, allowance: Allowance) -> Refused | None:
        """Charge a job, or return the refusal by ``privacy-budget`` with what is left and when it renews.

        The same charge again changes nothing. Raises Conflict where the job was charged something else for the product.
        """
        product = charge.account.product
        known = store.find(tx, charge.job, product=product)
        if known is not None:
            self._check_same(charge, known)
            return None
        now = self._clock()
        before = store.spent(tx, charge.account)
        refused = refusal(charge.loss, before, allowance, at=now)
        if refused is not None:
            return refused
        store.add(tx, charge, at=iso(now))
        after = standing(store.spent(tx, charge.account), allowance, at=now)
        body = {
            "job": charge.job,
            "product": product,
            "agreement": charge.agreement,
            "consumer": charge.account.consumer,
            "kind": charge.kind.value,
            "rho": rho_text(charge.loss),
            "delta": delta_text(charge.loss),
            "left": rho_text(after.left),
        }
        self._evidence.append(tx, "budget.reserved", charge.job, body)
        return None

    def commit(self, tx: Connection, job: str, *, product: str, outcome: str) -> None:
        """Make a job's charge for a product final with how the job ended; nothing where it was charged nothing, or is final already."""
        known = store.find(tx, job, product=product)
        if known is None or known["state"] == State.COMMITTED:
            return
        store.save(tx, job, product=product, outcome=outcome)
        body = {"job": job, "product": product, "agreement": known["agreement"], "consumer": known["consumer"], "outcome": outcome}
        self._evidence.append(tx, "budget.committed", job, body)

    def charged(self, tx: Connection, job: str, *, product: str) -> dict[str, Any] | None:
        """Return what a job was charged for a product, or None."""
        return store.find(tx, job, product=product)

    def standing(self, tx: Connection, account: Account, allowance: Allowance) -> Standing:
        """Return how an account stands now."""
        return standing(store.spent(tx, account), allowance, at=self._clock())

    def charges(self, tx: Connection, account: Account) -> list[dict[str, Any]]:
        """Return everything that was charged to an account, oldest first."""
        return store.of(tx, account)

    @staticmethod
    def _check_same(charge: Charge, known: dict[str, Any]) -> None:
        same = (charge.account.consumer, charge.agreement, charge.loss.rho, charge.loss.delta, charge.question)
        if same != tuple(known[name] for name in ("consumer", "agreement", "rho", "delta", "question")):
            raise Conflict(
                "privacy.other-charge",
                "expected what this job was charged first, got another charge",
                hint=Text("Sign another question as a job with an id of its own.", "请使用新的标识签署其他问题。"),
            )
