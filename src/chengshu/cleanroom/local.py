"""A question over the asker's own products alone, computed on its own node: the same engine and the same gate, and no message."""

import base64

from sqlalchemy import Connection

from chengshu.catalog.service import Catalog
from chengshu.cleanroom import store
from chengshu.cleanroom.asker import submission
from chengshu.cleanroom.engines.choosing import Engines
from chengshu.cleanroom.gate.release import release
from chengshu.cleanroom.model import Job, SqlQuestion
from chengshu.cleanroom.outcome import KIND_OF_STATE, Outcome, sign_receipt
from chengshu.cleanroom.ports import Evidence
from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.cleanroom.workplace import Workplace
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.refusal import Refused


class LocalRuns:
    """Computes jobs in which one node is asker, holder and room; log, receipt and outcome are as those of any other job."""

    def __init__(
        self,
        database: Database,
        place: Workplace,
        *,
        signer: Signer,
        catalog: Catalog,
        engines: Engines,
        evidence: Evidence,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self._database = database
        self._signer = signer
        self._catalog = catalog
        self._engines = engines
        self._place = place
        self._evidence = evidence
        self._digests = Digests(seal.suite)
        self._seal = seal
        self._clock = clock

    @property
    def engine(self) -> str:
        """What a plan says of the engine that computes here."""
        return self._engines.told

    def run(self, job: Job) -> str:
        """Compute a job over own products and keep its end; return its id. What goes wrong with the data is how the job ended."""
        try:
            outcome = self._outcome(job)
        except ChengshuError as error:
            outcome = Outcome("FAILED", {}, (f"{error.code}: {error.message}",), None)
        document, result = job.as_document(), outcome.as_document()
        now = iso(self._clock())
        receipt = sign_receipt(result, job=document, at=now, signer=self._signer, digests=self._digests)
        fingerprint = self._digests.of(receipt)
        kept = self._seal.close({"outcome": result, "receipt": receipt}, job=job.id)
        signature = base64.b64encode(self._signer.sign(canonical(document))).decode()
        with self._database.write() as tx:
            store.add_asked(tx, document=document, signature=signature, at=now)
            store.add_asked_inputs(tx, document)
            store.save_asked(tx, job.id, state=outcome.state, outcome=kept, receipt_digest=fingerprint)
            self._log(tx, job, outcome, fingerprint=fingerprint)
        return job.id

    def _outcome(self, job: Job) -> Outcome:
        assert isinstance(job.question, SqlQuestion)  # noqa: S101  # nothing else is planned to run here
        vetted = vet(job.question.sql, job.terms({}))
        if isinstance(vetted, Refused):
            return Outcome("REFUSED", {}, (), vetted)
        tables = {one.alias: self._catalog.open(one.product) for one in job.inputs}
        engine = self._engines.choose(tables)
        with self._place.folder() as folder:
            verdict = release(engine.run(vetted, tables, spill=self._place.spill_in(folder)), query=vetted)
        if isinstance(verdict, Refused):
            return Outcome("REFUSED", {}, (), verdict, engine=engine.name)
        return Outcome("RELEASED", {"answer": verdict.table}, (), None, engine=engine.name)

    def _log(self, tx: Connection, job: Job, outcome: Outcome, *, fingerprint: str) -> None:
        body = submission(job, job.as_document(), self._digests)
        self._evidence.append(tx, "job.submitted", job.id, body)
        if outcome.state == "RELEASED":
            self._evidence.append(tx, "job.run", job.id, {"job": job.id, "receipt_digest": fingerprint})
        end = {"job": job.id, "room": job.room, "receipt_digest": fingerprint}
        if outcome.refusal is not None:
            end["rule"] = outcome.refusal.rule
        self._evidence.append(tx, KIND_OF_STATE[outcome.state], job.id, end)
