"""The holder's side: nothing leaves this node for a job that this node has not vetted itself.

Neither the asker nor the clean room is trusted. The room hands on the asker's signed job whole; this side checks the signature, its own
agreement and policy, its own schema, and the whole question again, and only then grants one pull of one product.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.catalog.model import DataContract
from chengshu.catalog.service import Catalog
from chengshu.cleanroom import store
from chengshu.cleanroom.extents import under, unfit
from chengshu.cleanroom.gate.differencing import note
from chengshu.cleanroom.intake.keeping import check_received
from chengshu.cleanroom.leave import OWN, use_of
from chengshu.cleanroom.model import Job, JobInput, MethodQuestion, ProductTerms, Schema, SqlQuestion
from chengshu.cleanroom.noise.charging import Charging, stated_terms
from chengshu.cleanroom.outcome import KIND_OF_STATE, UNKNOWN_JOB, check_job
from chengshu.cleanroom.planning.budgets import Budget, of_uses
from chengshu.cleanroom.planning.statement import refuse_statement
from chengshu.cleanroom.ports import Evidence, Grants, IsSignedBy
from chengshu.cleanroom.receipts.issuing import Issuer
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.schemas import schema_of, terms_of
from chengshu.cleanroom.secure_aggregation.fitting import misfit, rows_stay
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Denied, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import Policy
from chengshu.policy.odrl import from_odrl


@dataclass(frozen=True, slots=True)
class Approval:
    """The holder's leave: a secret token that opens one pull of one product for one job."""

    token: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The holder's word that a job asks again what it approved before: the room's kept answer may go out, and no data do."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What may be done: the question as it was vetted (None: a method), and whether it repeats an earlier one."""

    vetted: VettedQuery | None
    is_repeat: bool


class Holder:
    """Judges other nodes' jobs over this node's products."""

    def __init__(
        self,
        database: Database,
        *,
        own_id: str,
        handle: str,
        catalog: Catalog,
        contracts: Contracts,
        grants: Grants,
        charging: Charging,
        issuer: Issuer,
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._handle = handle
        self._catalog = catalog
        self._contracts = contracts
        self._grants = grants
        self._charging = charging
        self._issuer = issuer
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock

    def schema(self, product: str) -> Schema:
        """Return the schema that this node publishes for one of its products."""
        found = self._catalog.get(product)
        return schema_of(found.contract, handle=self._handle, policy=from_odrl(found.policy))

    def named(self, name: str) -> str | None:
        """Return the id of this node's product that questions call ``name``, ``party.product``; None where there is none."""
        handle, _, table = name.partition(".")
        if handle != self._handle:
            return None
        return next((one.id for one in self._catalog.products() if one.contract.table.lower() == table), None)

    def budgets(self, product: str, agreements: Sequence[str], *, consumer: str) -> dict[str, tuple[Budget, ...]]:
        """Return what each of a consumer's agreements on a product still allows, and what one more use takes of it; nothing is spent.

        An agreement that is another's, about another product or unknown is left out.
        """
        found: dict[str, tuple[Budget, ...]] = {}
        with self._database.read() as tx:
            for name in agreements:
                known = self._contracts.find(tx, name)
                if known is None or (known[0].provider, known[0].product, known[0].consumer) != (self._own_id, product, consumer):
                    continue
                uses = of_uses(self._contracts.spent(tx, name), limit=known[0].policy.most_uses)
                noise = self._charging.budget(tx, known[0])
                found[name] = (uses,) if noise is None else (uses, noise)
        return found

    def approve(
        self, document: Mapping[str, Any], *, signature: str, product: str, room: str, repeats: str | None = None
    ) -> Approval | Repeated | Refused:
        """Judge a job that ``room`` hands on for one of this node's products.

        Returns the grant, or the refusal with its rule. A repeat of the very job over the very data, while it has not ended, is judged
        again in everything and granted again without counting a second use. Where the agreement keeps a privacy budget, what the answer
        costs is reserved first, unless the room says that the job ``repeats`` an earlier one, and it does: nothing is handed over then.
        Raises Denied when the signature or the room is not the
        job's own, Conflict for another job under the id of one that was approved.
        """
        job = Job.parse(document)
        if job.sums_up:
            return rows_stay()
        with self._database.write() as tx:
            allowed = self._allowed(tx, job, document, signature=signature, product=product, room=room, repeats=repeats)
            if isinstance(allowed, Refused):
                return allowed
            if allowed.is_repeat:
                return Repeated()
            part = self._part(job, product)
            columns = part.schema.askable if isinstance(job.question, SqlQuestion) else self._covered(part)
            about = {"product": product, "agreement": part.agreement, "job": job.id, "recipient": room}
            return Approval(self._grants.grant(tx, **about, columns=columns, only=part.schema.rows))

    def permit(self, document: Mapping[str, Any], *, signature: str, product: str, room: str) -> VettedQuery | Refused:
        """Judge a job of which this node adds up its own rows and hands over a masked sum; return the question as it may be computed.

        It is judged and counted as by :meth:`approve`, and nothing is granted. Raises as that does.
        """
        job = Job.parse(document)
        with self._database.write() as tx:
            allowed = self._allowed(tx, job, document, signature=signature, product=product, room=room)
        if isinstance(allowed, Refused):
            return allowed
        assert allowed.vetted is not None  # noqa: S101  # a method is a misfit, and was refused
        return allowed.vetted

    def _allowed(
        self,
        tx: Connection,
        job: Job,
        document: Mapping[str, Any],
        *,
        signature: str,
        product: str,
        room: str,
        repeats: str | None = None,
    ) -> "_Allowed | Refused":
        """Judge a job over one product, count the use and reserve what it costs."""
        self._check_sender(job, document, signature=signature, room=room)
        part = self._part(job, product)
        data = self._catalog.get(product).data_digest
        fingerprint = self._digests.of(document)
        known = self._known(tx, job, fingerprint=fingerprint)
        verdict = _over(known.get(product), data=data) or self._graded(tx, job) or self._judge(tx, job, counted=known.keys())
        vetted = verdict if isinstance(verdict, VettedQuery) else None
        is_repeat = repeats is not None and self._charging.is_repeat(tx, job, part, vetted, of=repeats, data=data)
        refusal = verdict if isinstance(verdict, Refused) else None
        if refusal is None and not is_repeat:
            refusal = self._charging.reserve(tx, job, part, vetted)
        body = {
            "job": job.id,
            "product": product,
            "agreement": part.agreement,
            "consumer": job.consumer,
            "job_digest": fingerprint,
        }
        if refusal is not None:
            self._evidence.append(tx, "job.refused", job.id, {**body, "rule": refusal.rule})
            return refusal
        if product not in known:
            kept = {"signature": signature, "data_digest": data, "job_digest": fingerprint}
            self._keep(tx, job, document, part, body, **kept)
            if vetted is not None and vetted.protection is None:
                note(tx, job, vetted, digests=self._digests)
        return _Allowed(vetted, is_repeat)

    def _keep(
        self, tx: Connection, job: Job, document: Mapping[str, Any], part: JobInput, body: Mapping[str, Any], **kept: str | int | None
    ) -> None:
        """Count the use and keep the approval."""
        uses = None if part.agreement == OWN else self._contracts.record_use(tx, part.agreement, use_of(job, part, at=self._clock()))
        store.add_approval(tx, document, product=part.product, agreement=part.agreement, at=iso(self._clock()), uses=uses, **kept)
        self._evidence.append(tx, "job.vetted", job.id, body)
        self._evidence.append(tx, "job.approved", job.id, body)

    def take_receipt(self, signed: Mapping[str, Any], *, room: str) -> None:
        """Record the room's receipt for a job that this node approved, after which the job opens nothing any more.

        A use receipt is issued for each product that the room was given. A repeat changes nothing. Raises Denied when the receipt is not
        this room's to give, NotFound for a job that this node let nothing out for, Tampered for one that is not about exactly the job
        that was approved, Conflict for a second, different one.
        """
        receipt = signed["receipt"]
        if not self._is_signed_by(room, base64.b64decode(signed["signature"]), canonical(receipt)) or receipt["room"] != room:
            raise _denied("receipt", "expected a receipt signed by the room that sends it, got another")
        with self._database.write() as tx:
            rows = [row for row in store.approvals_of(tx, receipt["job"]) if row["room"] == room and row["document"]]
            if not rows:
                raise _unknown()
            check_received(receipt.get("deleted"), provider=self._own_id, sent=self._sent(tx, rows))
            fingerprint = self._digests.of(signed)
            for row in rows:
                check_job(receipt, job=row["document"], digests=self._digests)
                if row["outcome_digest"] not in {None, fingerprint}:
                    raise Conflict("cleanroom.other-receipt", "expected the receipt first given for this job, got another", hint=_KEEP_BOTH)
            for row in rows:
                if row["outcome_digest"] is None:
                    self._charging.commit(tx, row, receipt)
                    self._end(tx, row, state=receipt["state"], fingerprint=fingerprint)

    def _sent(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
        return {row["product"]: self._grants.commitments(tx, product=row["product"], job=row["job"]) for row in rows}

    def _end(self, tx: Connection, row: Mapping[str, Any], *, state: str, fingerprint: str) -> None:
        job = row["job"]
        body = {
            "job": job,
            "product": row["product"],
            "agreement": row["agreement"],
            "outcome": state,
            "receipt_digest": fingerprint,
        }
        self._evidence.append(tx, KIND_OF_STATE[state], job, body)
        store.save_outcome(tx, job, product=row["product"], state=state, digest=fingerprint)
        self._grants.close(tx, product=row["product"], job=job)
        self._issuer.issue(tx, row, outcome=state, room_receipt_digest=fingerprint)

    def _known(self, tx: Connection, job: Job, *, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Return what was approved for this job, by product; raise Conflict where its id was another job's."""
        rows = store.approvals_of(tx, job.id)
        if any(row["job_digest"] != fingerprint for row in rows):
            raise Conflict(
                "cleanroom.other-job",
                "expected the job first approved under this id, got another text",
                hint=Text("Sign another question as a job with an id of its own.", "请使用新的标识签署其他问题。"),
            )
        return {row["product"]: row for row in rows}

    def _check_sender(self, job: Job, document: Mapping[str, Any], *, signature: str, room: str) -> None:
        if job.room != room:
            raise _denied("other-room", "expected a job for the room that hands it on, got one for another")
        if not self._is_signed_by(job.consumer, base64.b64decode(signature), canonical(dict(document))):
            raise _denied("signature", "expected a job signed by its asker, got another signature")

    def _part(self, job: Job, product: str) -> JobInput:
        part = next((one for one in job.inputs if one.provider == self._own_id and one.product == product), None)
        if part is None:
            raise NotFound(
                "cleanroom.not-an-input",
                "expected a product of this node that the job names, got another",
                hint=Text("Name the product in the job's inputs.", "请在作业的输入中列出该产品。"),
            )
        return part

    def _graded(self, tx: Connection, job: Job) -> Refused | None:
        """Refuse a job over an own product that is core now, whatever was agreed while it was not."""
        mine = (part.product for part in job.inputs if part.provider == self._own_id)
        # who an offer is open to was judged when it was made: what is asked here is only whether any use may be made at all
        judged = (self._catalog.grade_of(tx, name).refuses(is_open_to_all=False) for name in mine)
        return next((refused for refused in judged if refused is not None), None)

    def _judge(self, tx: Connection, job: Job, *, counted: Collection[str]) -> VettedQuery | Refused | None:
        """Judge every input that is this node's own, whichever of them is asked for, and the question under the terms of them all.

        Returns the vetted question, nothing for a method.

        ``counted`` are the products of which this very job's use has been counted.
        """
        terms: dict[str, ProductTerms] = {}
        for part in job.inputs:
            if part.provider == self._own_id:
                judged = self._agreed(tx, job, part, counted=part.product in counted)
                if isinstance(judged, Refused):
                    return judged
                terms[part.alias] = judged
        known = job.terms(terms)
        if isinstance(job.question, MethodQuestion):  # the policy's list of methods has already been held against the name
            return misfit(job, None) or refuse_statement(job, None, known, digests=self._digests)
        verdict = vet(job.question.sql, known)
        if isinstance(verdict, Refused):
            return verdict
        return misfit(job, verdict) or refuse_statement(job, verdict, known, digests=self._digests) or verdict

    def _agreed(self, tx: Connection, job: Job, part: JobInput, *, counted: bool) -> ProductTerms | Refused:
        """Return the terms of one own product for this job: its published schema under the policy of the agreement that it names."""
        own = self.schema(part.product)
        if part.agreement == OWN and job.consumer == self._own_id:
            return terms_of(own, None) if part.schema == own else _schema_changed(part)
        try:
            agreement = self._contracts.agreement(part.agreement)
        except NotFound:
            return Refused(
                "agreement-unknown",
                "inputs: the job names an agreement that its holder does not have",
                Text("An agreement in force on this product.", "就该产品有效的合约。"),
            )
        if (agreement.provider, agreement.product, agreement.consumer) != (self._own_id, part.product, job.consumer):
            return Refused(
                "agreement-of-another",
                "inputs: the agreement is about another product, or with another party than the job's asker",
                Text("Use your own agreement on this product.", "请使用本方就该产品签署的合约。"),
            )
        try:
            left = under(own, agreement.policy.extent)
        except Invalid as error:  # the product was published again since, in a form that the agreement does not fit
            return unfit(error)
        if part.schema != left:
            return _schema_changed(part)
        verdict = self._contracts.permit_use(tx, part.agreement, use_of(job, part, at=self._clock()))
        if not isinstance(verdict, Refused):
            return _terms(left, verdict.policy, job, part)
        if verdict.rule == "count-limit" and counted:
            return _terms(left, agreement.policy, job, part)  # a repeat of the last counted use is the same use
        return verdict

    def _covered(self, part: JobInput) -> list[str] | None:
        """The columns that a sealed method may have: those of the agreement where it lists some, lists within rows among them."""
        listed = None if part.agreement == OWN else self._contracts.agreement(part.agreement).policy.extent.columns
        if listed is None:
            return None
        named = {name.lower() for name in listed}
        return [one.name for one in self._catalog.get(part.product).contract.columns if one.name.lower() in named]

    def check_offer(self, contract: DataContract, policy: Policy) -> None:
        """Raise Invalid where an offer is of columns or rows that a product under this contract does not have."""
        under(schema_of(contract, handle=self._handle, policy=policy), policy.extent)


def _terms(own: Schema, policy: Policy, job: Job, part: JobInput) -> ProductTerms | Refused:
    """The terms of a question, with its noise; a sealed method has none, and was judged by the permission that lists it."""
    return stated_terms(own, policy, part) if isinstance(job.question, SqlQuestion) else terms_of(own, policy)


def _schema_changed(part: JobInput) -> Refused:
    return Refused(
        "schema-changed",
        f"inputs: the job carries another schema of {part.schema.product} than its holder publishes and its agreement leaves of it",
        Text("Fetch the schema again and sign a new job.", "请重新获取数据结构并签署新的作业。"),
    )


def _over(known: Mapping[str, Any] | None, *, data: str) -> Refused | None:
    """Refuse what was approved once and is no repeat of it: the job has ended, or there are other data now."""
    if known is not None and known["outcome_digest"] is not None:
        return Refused(
            "job-ended",
            "job: expected a job that has not ended, got one whose receipt this holder has",
            Text("Sign a new job; it is a use of its own.", "请签署新的作业；它是一次新的使用。"),
        )
    if known is not None and known["data_digest"] != data:
        return Refused(
            "product-changed",
            "inputs: the product was published again since this job was approved",
            Text("Sign a new job over the product as it is now.", "请就产品的当前版本签署新的作业。"),
        )
    return None


def _denied(rule: str, message: str) -> Denied:
    return Denied(
        f"cleanroom.{rule}",
        message,
        hint=Text("A room hands on the job exactly as its asker signed it.", "净室必须原样转交使用方签署的作业。"),
    )


_KEEP_BOTH = Text("Keep both; the log holds the digest of the first.", "请保留两份；日志中有第一份的摘要。")


def _unknown() -> NotFound:
    return NotFound(
        UNKNOWN_JOB,
        "expected the id of a job that this node let its data into, got another",
        hint=Text("A receipt is for the holders that approved the job.", "回执仅供批准该作业的持有方。"),
    )
