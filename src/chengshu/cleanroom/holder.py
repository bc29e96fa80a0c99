"""The holder's side: nothing leaves this node for a job that this node has not vetted itself.

Neither the asker nor the clean room is trusted. The room hands on the asker's signed job whole; this side checks the signature, its own
agreement and policy, its own schema, and the whole question again, and only then grants one pull of one product.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.catalog.service import Catalog
from chengshu.cleanroom import store
from chengshu.cleanroom.model import Job, JobInput, MethodQuestion, ProductTerms, Schema, SqlQuestion
from chengshu.cleanroom.ports import Evidence, Grants, IsSignedBy
from chengshu.cleanroom.schemas import schema_of, terms_of
from chengshu.cleanroom.vetting import vet
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import canonical, digest
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Denied, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import Form, Policy, QueryForm, Use
from chengshu.policy.odrl import from_odrl

OWN = "own"
"""In the place of an agreement: the asker is the holder itself."""


@dataclass(frozen=True, slots=True)
class Approval:
    """The holder's leave: a secret token that opens one pull of one product for one job."""

    token: str


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
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._handle = handle
        self._catalog = catalog
        self._contracts = contracts
        self._grants = grants
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._clock = clock

    def schema(self, product: str) -> Schema:
        """Return the schema that this node publishes for one of its products."""
        found = self._catalog.get(product)
        return schema_of(found.contract, handle=self._handle, policy=from_odrl(found.policy))

    def approve(self, document: Mapping[str, Any], *, signature: str, product: str, room: str) -> Approval | Refused:
        """Judge a job that ``room`` hands on for one of this node's products.

        Returns the grant, or the refusal with its rule. Raises Denied when the signature or the room is not the job's own. A repeat
        of an approved job is granted again without counting a second use.
        """
        job = Job.parse(document)
        self._check_sender(job, document, signature=signature, room=room)
        part = self._part(job, product)
        with self._database.write() as tx:
            refusal = self._judge(tx, job)
            body = {
                "job": job.id,
                "product": product,
                "agreement": part.agreement,
                "consumer": job.consumer,
                "job_digest": digest(document),
            }
            if refusal is not None:
                self._evidence.append(tx, "job.refused", job.id, {**body, "rule": refusal.rule})
                return refusal
            if not store.approved(tx, job=job.id, product=product):
                self._count(tx, job, part)
                self._evidence.append(tx, "job.vetted", job.id, body)
                self._evidence.append(tx, "job.approved", job.id, body)
            return Approval(self._grants.grant(tx, product=product, agreement=part.agreement, job=job.id, recipient=room))

    def take_receipt(self, signed: Mapping[str, Any], *, room: str) -> None:
        """Record the room's receipt for a job that this node approved; raise Denied when it is not this room's to give."""
        receipt = signed["receipt"]
        if not self._is_signed_by(room, base64.b64decode(signed["signature"]), canonical(receipt)) or receipt["room"] != room:
            raise _denied("receipt", "expected a receipt signed by the room that sends it, got another")
        with self._database.write() as tx:
            waiting = [row for row in store.approvals_of(tx, receipt["job"]) if row["room"] == room and row["outcome_digest"] is None]
            for row in waiting:
                body = {
                    "job": receipt["job"],
                    "product": row["product"],
                    "agreement": row["agreement"],
                    "outcome": receipt["state"],
                    "receipt_digest": digest(signed),
                }
                self._evidence.append(tx, "job.released" if receipt["state"] == "RELEASED" else "job.failed", receipt["job"], body)
                store.save_outcome(tx, receipt["job"], product=row["product"], digest=digest(signed))

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

    def _judge(self, tx: Connection, job: Job) -> Refused | None:
        """Judge every input that is this node's own, whichever of them is asked for, and the question under the terms of them all."""
        terms: dict[str, ProductTerms] = {}
        for part in job.inputs:
            if part.provider == self._own_id:
                judged = self._agreed(tx, job, part)
                if isinstance(judged, Refused):
                    return judged
                terms[part.alias] = judged
        if isinstance(job.question, MethodQuestion):
            return None  # the policy's list of methods has already been held against the name
        verdict = vet(job.question.sql, job.terms(terms))
        return verdict if isinstance(verdict, Refused) else None

    def _agreed(self, tx: Connection, job: Job, part: JobInput) -> ProductTerms | Refused:
        """Return the terms of one own product for this job: its published schema under the policy of the agreement that it names."""
        own = self.schema(part.product)
        if part.schema != own:
            return Refused(
                "schema-changed",
                f"inputs: the job carries another schema of {own.product} than its holder publishes",
                Text("Fetch the schema again and sign a new job.", "请重新获取数据结构并签署新的作业。"),
            )
        if part.agreement == OWN and job.consumer == self._own_id:
            return terms_of(own, None)
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
        verdict = self._contracts.permit_use(tx, part.agreement, self._use(job))
        if not isinstance(verdict, Refused):
            return terms_of(own, verdict.policy)
        if verdict.rule == "count-limit" and store.approved(tx, job=job.id, product=part.product):
            return terms_of(own, agreement.policy)  # a repeat of the last counted use is the same use
        return verdict

    def _use(self, job: Job) -> Use:
        match job.question:
            case SqlQuestion():
                smallest = max(one.schema.minimum_group for one in job.inputs)
                return Use(job.consumer, self._clock(), job.purpose, job.room, None, QueryForm.VETTED_SQL, Form.AGGREGATE, smallest)
            case MethodQuestion(method=name):
                return Use(job.consumer, self._clock(), job.purpose, job.room, name, None, Form.AGGREGATE, None)

    def _count(self, tx: Connection, job: Job, part: JobInput) -> None:
        if part.agreement != OWN:
            self._contracts.record_use(tx, part.agreement, self._use(job))
        store.add_approval(
            tx,
            job=job.id,
            product=part.product,
            agreement=part.agreement,
            consumer=job.consumer,
            room=job.room,
            approved_at=iso(self._clock()),
        )


def _denied(rule: str, message: str) -> Denied:
    return Denied(
        f"cleanroom.{rule}",
        message,
        hint=Text("A room hands on the job exactly as its asker signed it.", "净室必须原样转交使用方签署的作业。"),
    )
