"""How privacy budgets stand: what the holder counted, told to its own operator and to the consumer whose budget it is."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.cleanroom.noise.charging import allowance_of
from chengshu.cleanroom.ports import Nodes
from chengshu.contract.model import Agreement
from chengshu.contract.service import Contracts
from chengshu.kernel.clock import iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Text
from chengshu.policy.literals import amount
from chengshu.policy.model import Privacy
from chengshu.privacy.model import Account, Loss, rho_text
from chengshu.privacy.service import Ledger

BUDGETS_PATH = "/room/budgets"


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What an agreement says about privacy; amounts are rho as exact decimals, ``window`` is a duration (None: it never renews)."""

    agreement: str
    product: str
    provider: str
    consumer: str
    total: str
    per_answer: str
    contributions: int
    window: str | None


class Budgets:
    """Shows privacy budgets under this node's agreements in force; what was spent is the provider's count."""

    def __init__(self, database: Database, *, own_id: str, contracts: Contracts, ledger: Ledger, nodes: Nodes) -> None:
        self._database = database
        self._own_id = own_id
        self._contracts = contracts
        self._ledger = ledger
        self._nodes = nodes

    def every(self) -> list[dict[str, Any]]:
        """Return every budget of this node, on either side; spent and left are None where the other side counts them."""
        kept = [(one, one.policy.privacy) for one in self._contracts.agreements()]
        with self._database.read() as tx:
            return [asdict(_terms(one, privacy)) | self._counted(tx, one, privacy) for one, privacy in kept if privacy is not None]

    def show(self, agreement: str) -> dict[str, Any]:
        """Return one budget and, where this node counts it, every charge; as the consumer of it, what the provider tells now.

        Raises NotFound where there is no such agreement or it keeps no budget, Unavailable where the provider does not answer.
        """
        found, privacy = self._kept(agreement)
        if found.provider != self._own_id:
            return asdict(_terms(found, privacy)) | _told(self._nodes.post(found.provider, BUDGETS_PATH, {"agreement": agreement}))
        with self._database.read() as tx:
            charges = [_charge(row) for row in self._ledger.charges(tx, Account(found.consumer, found.product))]
            return asdict(_terms(found, privacy)) | self._counted(tx, found, privacy) | {"charges": charges}

    def tell(self, agreement: str, *, sender: str) -> dict[str, Any]:
        """Return what is spent and left to the consumer of an agreement; raises NotFound for anybody else."""
        found, privacy = self._kept(agreement)
        if found.consumer != sender or found.provider != self._own_id:
            raise _unknown()
        with self._database.read() as tx:
            return self._counted(tx, found, privacy)

    def _kept(self, agreement: str) -> tuple[Agreement, Privacy]:
        try:
            found = self._contracts.agreement(agreement)
        except NotFound as error:
            raise _unknown() from error
        if found.policy.privacy is None:
            raise _unknown()
        return found, found.policy.privacy

    def _counted(self, tx: Connection, agreement: Agreement, privacy: Privacy) -> dict[str, Any]:
        if agreement.provider != self._own_id:
            return {"spent": None, "left": None, "renews_at": None}
        now = self._ledger.standing(tx, Account(agreement.consumer, agreement.product), allowance_of(privacy))
        return {
            "spent": rho_text(now.spent),
            "left": rho_text(now.left),
            "renews_at": None if now.renews_at is None else iso(now.renews_at),
        }


def _terms(agreement: Agreement, privacy: Privacy) -> BudgetTerms:
    assert privacy.budget is not None and privacy.loss is not None  # noqa: S101, PT018  # a policy without either is refused when it is read
    return BudgetTerms(
        agreement.id,
        agreement.product,
        agreement.provider,
        agreement.consumer,
        amount(privacy.budget),
        amount(privacy.loss),
        privacy.most_records,
        None if privacy.window is None else str(privacy.window),
    )


def _charge(row: dict[str, Any]) -> dict[str, Any]:
    about = {name: row[name] for name in ("job", "agreement", "kind", "state", "outcome", "at")}
    return {**about, "rho": rho_text(Loss(row["rho"], row["delta"]))}


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    """What the provider says, and nothing else that it may have sent."""
    return {name: answer.get(name) if isinstance(answer.get(name), str) else None for name in ("spent", "left", "renews_at")}


def _unknown() -> NotFound:
    return NotFound(
        "privacy.no-budget",
        "expected an agreement in which this node has a privacy budget, got another",
        hint=Text("List them with 'chengshu budget list'.", "用 chengshu budget list 查看。"),
    )
