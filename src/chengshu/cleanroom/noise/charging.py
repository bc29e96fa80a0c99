"""What a holder's product tells in an answer that carries noise is charged to its consumer, by the holder's own terms and its own count."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.leave import OWN
from chengshu.cleanroom.model import Job, JobInput, ProductTerms, Schema, SqlQuestion
from chengshu.cleanroom.noise.protected import loss, question_key
from chengshu.cleanroom.planning.budgets import PRIVACY, Budget
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.schemas import terms_of
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.contract.model import Agreement
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Tampered
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import Policy, Privacy
from chengshu.privacy.model import Account, Allowance, Charge, Kind, Loss, delta_text, loss_of, rho_text
from chengshu.privacy.service import Ledger

MOST_DELTA = 10**9
"""The delta (in 1/10¹⁵) that all grouped answers of one account may come to within its window: 10⁻⁶, a thousand of them."""


def allowance_of(privacy: Privacy) -> Allowance:
    """Return what the terms of a policy allow one consumer."""
    assert privacy.budget is not None  # noqa: S101  # a policy without it is refused when it is read
    return Allowance(loss_of(privacy.budget, delta=MOST_DELTA), privacy.window)


def stated_terms(schema: Schema, policy: Policy, part: JobInput) -> ProductTerms | Refused:
    """Return what a policy makes of a product for a job, with the noise that the job states: at least what the policy asks for."""
    terms = terms_of(schema, policy, privacy=part.privacy)
    wanted = policy.privacy
    if wanted is None or (part.privacy is not None and _is_enough(part, wanted)):
        return terms
    return Refused(
        "privacy-budget",
        f"inputs: expected the job to state noise for {schema.product} as its agreement asks, got a job that states less or none",
        Text("Sign a new job under the agreement as it is.", "请按合约现有条款签署新的作业。"),
    )


class Charging:
    """Reserves, commits and recognises what jobs over this node's products cost; every call is in its caller's transaction."""

    def __init__(self, *, ledger: Ledger, contracts: Contracts, digests: Digests) -> None:
        self._ledger = ledger
        self._contracts = contracts
        self._digests = digests

    def budget(self, tx: Connection, agreement: Agreement) -> Budget | None:
        """Return how the privacy budget of an agreement stands, or None where it keeps none; nothing is charged."""
        privacy = agreement.policy.privacy
        if privacy is None or privacy.budget is None or privacy.loss is None:
            return None
        now = self._ledger.standing(tx, Account(agreement.consumer, agreement.product), allowance_of(privacy))
        return Budget(PRIVACY, Decimal(rho_text(now.spent)), privacy.budget, privacy.loss)

    def reserve(self, tx: Connection, job: Job, part: JobInput, vetted: VettedQuery | None) -> Refused | None:
        """Charge a job for one product where its agreement keeps a budget, or return why it cannot be; a repeat charges nothing."""
        privacy = self._privacy(tx, part)
        if privacy is None or vetted is None:
            return None
        protection = vetted.protection
        if protection is None or protection.product != part.alias:
            return _unread(part.alias)
        charge = Charge(
            job.id,
            Account(job.consumer, part.product),
            part.agreement,
            Kind.QUESTION,
            loss(protection),
            question_key(job, vetted, digests=self._digests),
        )
        return self._ledger.reserve(tx, charge, allowance_of(privacy))

    def is_repeat(self, tx: Connection, job: Job, part: JobInput, vetted: VettedQuery | None, *, of: str, data: str) -> bool:
        """Whether a job asks what the earlier job ``of`` asked, of the same consumer in the same room, over the very same ``data``.

        Then the answer that the room kept is the answer: nothing is handed over, so that nothing new can be computed.
        """
        earlier = next((row for row in store.approvals_of(tx, of) if row["product"] == part.product), None)
        if earlier is None or vetted is None or not earlier["document"]:
            return False
        was = self._ledger.charged(tx, of, product=part.product)
        if (job.consumer, job.room, data) != (earlier["consumer"], earlier["room"], earlier["data_digest"]):
            return False
        if was is None:  # of a product without a budget: the earlier job's own text says what it asked
            return self._asks_the_same(Job.parse(earlier["document"]), job, vetted)
        return bool(was["question"] == question_key(job, vetted, digests=self._digests))

    def commit(self, tx: Connection, row: Mapping[str, Any], receipt: Mapping[str, Any]) -> None:
        """Make final what an approved job was charged; raises Tampered where the room released it and states other noise."""
        charged = self._ledger.charged(tx, row["job"], product=row["product"])
        if charged is None:
            return
        stated = receipt.get("privacy") or {}
        spent = Loss(charged["rho"], charged["delta"])
        if receipt["state"] == "RELEASED" and (stated.get("rho"), stated.get("delta")) != (rho_text(spent), delta_text(spent)):
            raise Tampered(
                "cleanroom.receipt",
                "expected a receipt that states the noise that was charged, got one that states other noise or none",
                hint=Text("Keep the receipt, and ask the clean room's operator.", "请保留回执，并联系净室运营方。"),
            )
        self._ledger.commit(tx, row["job"], product=row["product"], outcome=receipt["state"])

    def _privacy(self, tx: Connection, part: JobInput) -> Privacy | None:
        found = None if part.agreement == OWN else self._contracts.find(tx, part.agreement)
        return None if found is None else found[0].policy.privacy

    def _asks_the_same(self, earlier: Job, job: Job, vetted: VettedQuery) -> bool:
        if not isinstance(earlier.question, SqlQuestion):
            return False
        was = vet(earlier.question.sql, earlier.terms({}))
        if isinstance(was, Refused) or was.protection is None:
            return False
        return question_key(earlier, was, digests=self._digests) == question_key(job, vetted, digests=self._digests)


def _is_enough(part: JobInput, wanted: Privacy) -> bool:
    assert part.privacy is not None and wanted.loss is not None  # noqa: S101, PT018  # as the caller saw; a policy states its loss
    return part.privacy.rho <= wanted.loss and part.privacy.contributions <= wanted.most_records


def _unread(product: str) -> Refused:
    return Refused(
        "privacy-unread",
        f"inputs: expected a question that reads {product}, whose answers carry noise, got one that does not",
        Text("Name only the products that the question reads.", "仅列出问题所读取的产品。"),
    )
