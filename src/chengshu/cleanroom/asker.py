"""The asker's side: build a job over products under agreement, sign it, send it, and check the receipt that comes back."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chengshu.cleanroom import store
from chengshu.cleanroom.extents import under
from chengshu.cleanroom.known import KnownJob, known_job
from chengshu.cleanroom.model import Job, JobInput, Question, Schema
from chengshu.cleanroom.outcome import KIND_OF_STATE, Outcome, check_receipt
from chengshu.cleanroom.planning.statement import Document, signed, stated
from chengshu.cleanroom.ports import Evidence, IsSignedBy, Nodes
from chengshu.cleanroom.schemas import privacy_of
from chengshu.cleanroom.sealing import Seal
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import NotFound, Unavailable
from chengshu.kernel.ids import NewId
from chengshu.kernel.money import Fen
from chengshu.kernel.text import Text
from chengshu.policy.model import Policy

OUTCOME_TASK = "job.outcome"
"""The kind of task that asks the clean room how a job of this node ended, when somebody else needs to know."""


@dataclass(frozen=True, slots=True)
class InputChoice:
    """One product to read: who holds it and under which agreement (``own`` for one's own)."""

    holder: str
    product: str
    agreement: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands: its state, for whom it waits and why, and the outcome once there is one."""

    job: str
    state: str
    waits_for: str
    outcome: Outcome | None
    receipt: dict[str, Any] | None


class Asker:
    """Asks clean rooms questions in this node's name."""

    def __init__(
        self,
        database: Database,
        *,
        own_id: str,
        signer: Signer,
        nodes: Nodes,
        contracts: Contracts,
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        digests: Digests,
        seal: Seal,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._signer = signer
        self._nodes = nodes
        self._contracts = contracts
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._seal = seal
        self._clock = clock
        self._new_id = new_id

    def schema(self, holder: str, product: str) -> Schema:
        """Return the schema that a holder publishes for a product."""
        return Schema.parse(self._nodes.post(holder, "/room/schemas", {"product": product}))

    def part(self, choice: InputChoice) -> JobInput:
        """Return a product as a job names it: with what is agreed of its holder's schema, the smallest group and the noise."""
        schema = self.schema(choice.holder, choice.product)
        policy = self._policy(choice.agreement)
        if policy is None:
            return JobInput(schema, choice.holder, choice.agreement, choice.product)
        left = under(schema, policy.extent)
        return JobInput(left, choice.holder, choice.agreement, choice.product, policy.least_group, privacy_of(policy))

    def submit(self, *, room: str, purpose: str, question: Question, inputs: Sequence[InputChoice], price: Fen | None = None) -> str:
        """Sign a job and hand it to ``room``; return its id. Raises Unavailable when a node does not answer: nothing was asked then.

        ``price`` is what this node pays for the answer, shared by contribution; without one the job is not paid for.
        """
        parts = tuple(self.part(one) for one in inputs)
        job = Job(self._new_id(), self._own_id, room, purpose, question, parts, price_fen=price)
        statement = stated(job, job.terms({}))
        return self.send(job if statement is None else replace(job, leakage=self._digests.of(statement)))

    def send(self, job: Job) -> str:
        """Sign a job of this node and hand it to its room; return its id. Raises as :meth:`submit`."""
        document = job.as_document()
        signature = base64.b64encode(self._signer.sign(canonical(document))).decode()
        with self._database.write() as tx:
            store.add_asked(tx, document=document, signature=signature, at=iso(self._clock()))
            store.add_asked_inputs(tx, document)
            self._evidence.append(tx, "job.submitted", job.id, submission(job, document, self._digests))
        self._nodes.post(job.room, "/room/jobs", {"job": document, "signature": signature})
        return job.id

    def standing(self, job: str) -> Standing:
        """Ask the room how a job stands; the first time it has ended, check the receipt and record the end.

        Raises Tampered when the receipt does not cover exactly this job and this outcome.
        """
        asked = self._find(job)
        if asked["room"] == self._own_id and asked["outcome"] is not None:  # it was computed here, and nobody else knows of it
            kept = self._seal.open(asked["outcome"], job=job)
            return Standing(job, asked["state"], "", Outcome.parse(kept["outcome"]), kept["receipt"])
        answer = self._nodes.post(asked["room"], "/room/jobs/standing", {"job": job})
        outcome = answer["outcome"]
        if outcome is None:
            return Standing(job, answer["state"], answer["waits_for"], None, None)
        check_receipt(answer["receipt"], outcome=outcome, job=asked["document"], is_signed_by=self._is_signed_by, digests=self._digests)
        if asked["receipt_digest"] is None:
            self._record(job, answer, asked["document"])
        return Standing(job, answer["state"], "", Outcome.parse(outcome), answer["receipt"])

    def cancel(self, job: str) -> Standing:
        """Tell the room to end a job of this node that has not ended, and return how it stands then; what holders counted stays counted."""
        asked = self._find(job)
        if asked["room"] != self._own_id or asked["outcome"] is None:  # what was computed here has ended
            self._nodes.post(asked["room"], "/room/jobs/cancel", {"job": job})
        return self.standing(job)

    def learn_outcome(self, payload: Mapping[str, Any]) -> None:
        """Record how a job ended (the handler of ``job.outcome``); raise Unavailable while it has not, or its room does not answer."""
        standing = self.standing(payload["job"])
        if standing.outcome is None:
            raise Unavailable(
                "job.waiting",
                f"expected the job to have ended, got state {standing.state}, waiting for {standing.waits_for}",
                hint=Text("It is asked for again by itself.", "系统会自动再次查询。"),
            )

    def statement(self, job: str) -> Document | None:
        """Return the leakage statement of a job that this node asked for, computed anew; None where the job was signed without one."""
        asked = Job.parse(self._find(job)["document"])
        return signed(asked, asked.terms({}), digests=self._digests)

    def known(self, job: str) -> KnownJob | None:
        """Return what this node knows of a job that it asked for or approved, its end included; None for a job it has no part in.

        The asker's node looks up how the job ended where it has not yet; raises as :meth:`standing`.
        """
        with self._database.read() as tx:
            found = known_job(tx, job, seal=self._seal)
        if found is None or found.state is not None or found.job.consumer != self._own_id:
            return found
        self.standing(job)
        with self._database.read() as tx:
            return known_job(tx, job, seal=self._seal)

    def every(self) -> list[dict[str, Any]]:
        """Return id, room, state and time of every job that this node asked for."""
        with self._database.read() as tx:
            return store.every_asked(tx)

    def _record(self, job: str, answer: dict[str, Any], document: dict[str, Any]) -> None:
        kept = self._seal.close({"outcome": answer["outcome"], "receipt": answer["receipt"]}, job=job)
        with self._database.write() as tx:
            known = store.find_asked(tx, job)
            if known is None or known["receipt_digest"] is not None:
                return  # two looked at once: the end is one act, and one entry
            fingerprint = self._digests.of(answer["receipt"])
            store.save_asked(tx, job, state=answer["state"], outcome=kept, receipt_digest=fingerprint)
            body = {"job": job, "room": document["room"], "receipt_digest": fingerprint}
            self._evidence.append(tx, KIND_OF_STATE[answer["state"]], job, body)

    def _policy(self, agreement: str) -> Policy | None:
        """Return what an agreement asks for; None where there is none: one's own product, or an id that its holder will not know either."""
        try:
            return self._contracts.agreement(agreement).policy
        except NotFound:
            return None

    def _find(self, job: str) -> dict[str, Any]:
        with self._database.read() as tx:
            row = store.find_asked(tx, job)
        if row is None:
            raise NotFound(
                "cleanroom.unknown-job",
                "expected the id of a job that this node asked for, got an unknown one",
                hint=Text("List them with 'chengshu job list'.", "用 chengshu job list 查看全部作业。"),
            )
        return row


def submission(job: Job, document: Mapping[str, Any], digests: Digests) -> dict[str, Any]:
    """Return what the asker's log says of a job that is asked: what for, of which room, and the digests of job and leakage statement."""
    told = {} if job.leakage is None else {"leakage": job.leakage}
    return {"job": job.id, "room": job.room, "purpose": job.purpose, "job_digest": digests.of(document), **told}
