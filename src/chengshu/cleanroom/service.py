"""The clean room: takes signed jobs, vets them, collects what every holder approves, runs, and lets out only what passes the gate.

Of jobs whose holders add up their own rows it collects masked sums instead (:mod:`chengshu.cleanroom.secure_aggregation`).
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from chengshu import plugins
from chengshu.cleanroom import store
from chengshu.cleanroom.cell.order import Layer
from chengshu.cleanroom.cell.words import STOPPED
from chengshu.cleanroom.engines.choosing import Engines
from chengshu.cleanroom.engines.engine import Engine, Spill
from chengshu.cleanroom.engines.process import ProcessEngine, open_table
from chengshu.cleanroom.gate.differencing import Guard
from chengshu.cleanroom.gate.release import OutputColumn, TableSpec, release, release_table
from chengshu.cleanroom.intake.collecting import Collecting
from chengshu.cleanroom.intake.keeping import Kept
from chengshu.cleanroom.model import ColumnType, Job, MethodQuestion, ProductTerms, SqlQuestion
from chengshu.cleanroom.noise import answers, protected
from chengshu.cleanroom.noise.answers import ProtectedAnswer
from chengshu.cleanroom.outcome import KIND_OF_STATE, UNKNOWN_JOB, Outcome, parse_refusal, sign_receipt
from chengshu.cleanroom.planning.statement import refuse_statement
from chengshu.cleanroom.ports import Evidence, IsSignedBy, NewArrival, Nodes
from chengshu.cleanroom.provenance import SOURCES, sources
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.secure_aggregation.fitting import misfit
from chengshu.cleanroom.secure_aggregation.gathering import Gathering
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.cleanroom.workplace import Workplace
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, NotFound, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.methods.sealed import OutputTable, SealedMethod

RUN_TASK = "room.run"
RECEIPT_TASK = "room.receipt"
CANCELLED = "cleanroom.cancelled: cancelled by its asker"
"""The note of a job that its asker ended."""


class Cleanroom:
    """The neutral place: trusted with nothing but the rows that holders approved for a job.

    ``input_wait`` is how long it waits for a holder that does not answer.
    """

    def __init__(
        self,
        database: Database,
        place: Workplace,
        *,
        own_id: str,
        signer: Signer,
        nodes: Nodes,
        engines: Engines,
        methods: ProcessEngine,
        new_arrival: NewArrival,
        input_wait: timedelta,
        tasks: Tasks,
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        digests: Digests,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._signer = signer
        self._nodes = nodes
        self._engines = engines
        self._methods = methods
        self._place = place
        self._new_arrival = new_arrival
        self._collecting = Collecting(nodes, standing=self, wait=input_wait, clock=clock)
        self._gathering = Gathering(nodes, standing=self, wait=input_wait, is_signed_by=is_signed_by, digests=digests, clock=clock)
        self._tasks = tasks
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._seal = seal
        self._clock = clock

    def recover(self) -> None:
        """Remove what jobs that a crash ended have left in the workspace; call before the room's workers start."""
        self._place.clear()

    def receive(self, document: Mapping[str, Any], *, signature: str, sender: str) -> None:
        """Take in a job from its asker; vet it and, if it passes, defer running it. A repeat changes nothing.

        Raises Denied when the sender did not sign it or it is for another room, Conflict for another text under a known id.
        """
        job = Job.parse(document)
        self._check_sender(job, document, signature=signature, sender=sender)
        verdict = self._verdict(job)
        fingerprint = self._digests.of(document)
        with self._database.write() as tx:
            known = store.find_room_job(tx, job.id)
            if known is not None:
                if known.digest != fingerprint:
                    raise Conflict("cleanroom.other-job", "expected the job first sent under this id, got another text", hint=_NEW_ID)
                return
            kept = store.RoomJob(job.id, job.consumer, document, signature, fingerprint, "RECEIVED", "the room's worker", None)
            store.add_room_job(tx, kept, at=iso(self._clock()))
            body = {"job": job.id, "consumer": job.consumer, "purpose": job.purpose, "job_digest": fingerprint}
            self._evidence.append(tx, "job.submitted", job.id, body)
            if verdict is not None:  # in this transaction: a job that nothing will run must not be kept without its end
                self._end(tx, job, document, Outcome("REFUSED", {}, (), verdict))
                return
            self._evidence.append(tx, "job.vetted", job.id, body)
            self._tasks.defer(tx, RUN_TASK, {"job": job.id}, lane=job.id, waits_for="the room's worker")

    def standing(self, job: str, *, sender: str) -> dict[str, Any]:
        """Return a job's state, for whom it waits and, once it has ended, outcome and receipt; raise NotFound for anyone but its asker."""
        found = self._find(job)
        if found.consumer != sender:
            raise _unknown()
        ended = self._ended(found) or {"outcome": None, "receipt": None}
        return {"state": found.state, "waits_for": found.waits_for, **ended}

    def cancel(self, job: str, *, sender: str) -> dict[str, Any]:
        """End a job that has not ended, in its asker's name; return its standing. Raises NotFound for anyone but its asker.

        What holders approved stays counted: they gave their data away. A question that runs is interrupted; a sealed method runs to its
        end, and what it returns is dropped. A repeat changes nothing, nor does a job that has ended.
        """
        with self._database.write() as tx:
            found = store.find_room_job(tx, job)
            if found is None or found.consumer != sender:
                raise _unknown()
            if found.outcome is None:
                fingerprint = {"job": job, "consumer": sender, "job_digest": found.digest}
                self._evidence.append(tx, "job.cancelled", job, fingerprint)
                self._end(tx, Job.parse(found.document), found.document, Outcome("FAILED", {}, (CANCELLED,), None))
        return self.standing(job, sender=sender)

    def run(self, payload: Mapping[str, Any]) -> None:
        """Run a vetted job to its end (the handler of ``room.run``); a repeat after a crash starts it afresh."""
        found = self._find(payload["job"])
        if found.outcome is not None:
            return
        job = Job.parse(found.document)
        outcome, record = self._ran(job, found)
        with self._database.write() as tx:
            now = store.find_room_job(tx, job.id)
            ended = None if now is None else self._ended(now)
            if ended is None:
                if outcome.kept is not None:
                    answers.save(tx, outcome.kept, seal=self._seal)
                self._end(tx, job, found.document, outcome, record)
            else:  # cancelled meanwhile; a holder that has approved since knows of no end yet
                self._evidence.append(tx, "job.cleared", job.id, {"job": job.id, **record})
                self._tell(tx, job, ended["receipt"])

    def waits(self, job: str, what: str) -> None:
        """Have it said for whom a job waits, and why, while it collects its products."""
        self._save_state(job, state="COLLECTING", waits_for=what)

    def check_goes_on(self, job: str) -> None:
        """Raise Conflict where a job was cancelled meanwhile."""
        if self._is_over(job):
            raise _cancelled()

    def abandon(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """End a job whose running was given up, so that its asker is told."""
        found = self._find(payload["job"])
        if found.outcome is None:
            outcome = Outcome("FAILED", {}, (f"{error.code}: {error.message}",), None)
            with self._database.write() as tx:
                self._end(tx, Job.parse(found.document), found.document, outcome)

    def send_receipt(self, payload: Mapping[str, Any]) -> None:
        """Send a receipt to one holder (the handler of ``room.receipt``); one that approved nothing for the job needs none."""
        try:
            self._nodes.post(payload["holder"], "/room/receipts", payload["receipt"])
        except NotFound as error:
            if error.code != UNKNOWN_JOB:
                raise

    def walls(self) -> tuple[frozenset[Layer], str]:
        """Return the walls that stand round a method on this machine, and what its seal lacks, nothing where it is whole."""
        return self._methods.layers()

    def unfinished(self) -> list[dict[str, Any]]:
        """Return id, state and what each unfinished job waits for."""
        with self._database.read() as tx:
            return store.unfinished(tx)

    def released_table(self, job: str, *, table: str) -> pa.Table:
        """Return one released table of a job of this room; raise NotFound when there is none."""
        found = self._find(job)
        ended = self._ended(found)
        outcome = None if ended is None else Outcome.parse(ended["outcome"])
        if outcome is None or table not in outcome.tables:
            raise _unknown()
        return outcome.tables[table]

    def job(self, job: str) -> Job:
        """Return a job of this room as its asker signed it; raise NotFound when there is none."""
        return Job.parse(self._find(job).document)

    def _check_sender(self, job: Job, document: Mapping[str, Any], *, signature: str, sender: str) -> None:
        if job.consumer != sender or job.room != self._own_id:
            raise Denied(
                "cleanroom.not-yours", "expected a job of its sender for this room, got one of another or for another", hint=_NEW_ID
            )
        if not self._is_signed_by(sender, base64.b64decode(signature), canonical(dict(document))):
            raise Denied("cleanroom.signature", "expected a job signed by its asker, got another signature", hint=_NEW_ID)

    def _verdict(self, job: Job) -> Refused | None:
        match job.question:
            case SqlQuestion(sql=sql):
                verdict = vet(sql, _terms(job))
                if isinstance(verdict, Refused):
                    return verdict
                missing = None if verdict.protection is None else protected.missing_library()
                return missing or misfit(job, verdict) or refuse_statement(job, verdict, _terms(job), digests=self._digests)
            case MethodQuestion(method=name):
                return _method_verdict(name, job) or misfit(job, None) or refuse_statement(job, None, _terms(job), digests=self._digests)

    def _ran(self, job: Job, found: store.RoomJob) -> tuple[Outcome, Mapping[str, Any]]:
        """Return how a job ended, and the record of what it was given and that nothing of it is left."""
        kept, folder = Kept(self._new_arrival, digests=self._digests), None
        try:
            with self._place.folder() as folder:
                outcome = self._summed(job, found) if job.sums_up else self._outcome(job, found, kept, folder)
        except ChengshuError as error:
            outcome = Outcome("FAILED", {}, (f"{error.code}: {error.message}",), None)
        finally:
            record = kept.end(folder)
        return outcome, record

    def _summed(self, job: Job, found: store.RoomJob) -> Outcome:
        assert isinstance(job.question, SqlQuestion)  # noqa: S101  # a method is a misfit, and was refused
        vetted = vet(job.question.sql, _terms(job))
        return Outcome("REFUSED", {}, (), vetted) if isinstance(vetted, Refused) else self._gathering.gather(job, vetted, found)

    def _outcome(self, job: Job, found: store.RoomJob, kept: Kept, folder: Path) -> Outcome:
        vetted = vet(job.question.sql, _terms(job)) if isinstance(job.question, SqlQuestion) else None
        again = self._again(job, vetted, found)
        if again is not None:
            return again
        optional = _sealed(job).optional if isinstance(job.question, MethodQuestion) else frozenset[str]()
        files: dict[str, Path] = {}
        notes: list[str] = []
        for part in job.inputs:
            collected = self._collecting.collect(part, found, kept.begin(part, folder))
            name = part.alias.partition(".")[2]
            match collected:
                case Path():
                    files[part.alias] = collected
                case Refused() if name not in optional:
                    return Outcome("REFUSED", {}, tuple(notes), collected)
                case Refused():
                    notes.append(f"without {part.alias}: refused by its holder, rule {collected.rule}")
                case Unavailable() if name not in optional:
                    raise collected
                case Unavailable():
                    notes.append(f"without {part.alias}: its holder did not answer within {self._collecting.wait.total_seconds():g} s")
        self._save_state(job.id, state="RUNNING", waits_for="the computation")
        return self._computed(job, vetted, files, notes, folder)

    def _again(self, job: Job, vetted: VettedQuery | Refused | None, found: store.RoomJob) -> Outcome | None:
        """Return the answer that is kept for the same question, where every holder agrees that it still is the answer; None where not."""
        if not isinstance(vetted, VettedQuery) or vetted.protection is None:
            return None
        with self._database.read() as tx:
            kept = answers.find(tx, protected.question_key(job, vetted, digests=self._digests), seal=self._seal)
        if kept is None:
            return None
        for part in job.inputs:
            told = self._collecting.told(part, found, repeats=kept.job)
            if isinstance(told, Unavailable):
                raise told
            if "refused" in told:
                return Outcome("REFUSED", {}, (), parse_refusal(told["refused"]))
            if "repeated" not in told:
                return None
        return protected.outcome(kept.released, vetted, repeats=kept.job)

    def _computed(
        self, job: Job, vetted: VettedQuery | Refused | None, files: Mapping[str, Path], notes: list[str], folder: Path
    ) -> Outcome:
        match job.question:
            case SqlQuestion():
                if not isinstance(vetted, VettedQuery):
                    return Outcome("REFUSED", {}, tuple(notes), vetted)
                tables = {alias: open_table(path) for alias, path in files.items()}
                engine = self._engines.choose(tables)
                outcome = self._answered(job, vetted, tables, engine, self._place.spill_in(folder))
                return replace(outcome, notes=tuple(notes), engine=engine.name)
            case MethodQuestion(method=name, parameters=parameters):
                inputs = {alias.partition(".")[2]: path for alias, path in files.items()}
                results = self._methods.run(name, files=inputs, parameters=parameters)
                if isinstance(results, Refused):
                    return Outcome("REFUSED", {}, tuple(notes), results)
                outcome = _gated(_sealed(job), results, smallest=max(one.schema.minimum_group for one in job.inputs), notes=notes)
                return (
                    outcome if outcome.state != "RELEASED" else replace(outcome, tables=_beside(outcome.tables, sources(job.inputs, files)))
                )

    def _answered(self, job: Job, vetted: VettedQuery, tables: Mapping[str, pa.Table], engine: Engine, spill: Spill) -> Outcome:
        """Compute a question, hold it against the earlier ones, and let out what passes the gate."""
        result = engine.run(vetted, tables, spill=spill, stopped=lambda: self._is_over(job.id))
        if vetted.protection is not None:
            return self._protected(job, vetted, result)
        guard = Guard(self._database, engine=engine, digests=self._digests)
        held = guard.held(job, vetted, result, tables=tables, spill=spill, stopped=lambda: self._is_over(job.id))
        verdict = held if isinstance(held, Refused) else release(held, query=vetted)
        if isinstance(verdict, Refused):
            return Outcome("REFUSED", {}, (), verdict)
        return Outcome("RELEASED", {"answer": verdict.table}, (), None)

    def _protected(self, job: Job, vetted: VettedQuery, result: pa.Table) -> Outcome:
        """Add the noise, once, and keep what it came to for whoever asks the same again."""
        assert vetted.protection is not None  # noqa: S101  # only protected questions come here
        released = protected.noised(result, vetted.protection)
        question = protected.question_key(job, vetted, digests=self._digests)
        return replace(protected.outcome(released, vetted), kept=ProtectedAnswer(question, job.id, released))

    def _end(
        self, tx: Connection, job: Job, document: Mapping[str, Any], outcome: Outcome, record: Mapping[str, Any] | None = None
    ) -> None:
        """End a job; ``record`` is what it was given and that nothing of it is left, None where it never ran."""
        result, now = outcome.as_document(), iso(self._clock())
        receipt = sign_receipt(result, job=dict(document), at=now, signer=self._signer, digests=self._digests, deleted=record)
        kept = self._seal.close({"outcome": result, "receipt": receipt}, job=job.id)
        store.save_room_job(tx, job.id, state=outcome.state, waits_for="", outcome=kept)
        body = {"job": job.id, "receipt_digest": self._digests.of(receipt)}
        if outcome.refusal is not None:
            body["rule"] = outcome.refusal.rule
            if outcome.refusal.rule in STOPPED and isinstance(job.question, MethodQuestion):
                stopped = {"job": job.id, "method": job.question.method, "rule": outcome.refusal.rule, **outcome.refusal.facts}
                self._evidence.append(tx, "method.stopped", job.id, stopped)
        if record is not None:
            self._evidence.append(tx, "job.cleared", job.id, {"job": job.id, **record})
        if outcome.state == "RELEASED":
            self._evidence.append(tx, "job.run", job.id, body)
        self._evidence.append(tx, KIND_OF_STATE[outcome.state], job.id, body)
        self._tell(tx, job, receipt)

    def _tell(self, tx: Connection, job: Job, receipt: Mapping[str, Any]) -> None:
        for holder in sorted({one.provider for one in job.inputs}):
            self._tasks.defer(tx, RECEIPT_TASK, {"holder": holder, "receipt": receipt}, lane=f"receipt {holder}", waits_for=holder)

    def _save_state(self, job: str, *, state: str, waits_for: str) -> None:
        with self._database.write() as tx:
            store.save_unfinished(tx, job, state=state, waits_for=waits_for)

    def _is_over(self, job: str) -> bool:
        return self._find(job).outcome is not None

    def _ended(self, found: store.RoomJob) -> dict[str, Any] | None:
        return None if found.outcome is None else self._seal.open(found.outcome, job=found.id)

    def _find(self, job: str) -> store.RoomJob:
        with self._database.read() as tx:
            found = store.find_room_job(tx, job)
        if found is None:
            raise _unknown()
        return found


def _terms(job: Job) -> dict[str, ProductTerms]:
    return job.terms({})


def _sealed(job: Job) -> SealedMethod:
    assert isinstance(job.question, MethodQuestion)  # noqa: S101  # the callers have matched the question already
    method: SealedMethod = plugins.method(job.question.method)
    return method


def _method_verdict(name: str, job: Job) -> Refused | None:
    if name not in plugins.method_names():
        return Refused(
            "method-unknown",
            "question.method: the room does not have this method",
            Text(f"One of: {', '.join(plugins.method_names())}.", f"可用方法：{'、'.join(plugins.method_names())}。"),
        )
    method = _sealed(job)
    given = {one.alias.partition(".")[2] for one in job.inputs}
    missing = sorted(method.required - given)
    unknown = sorted(given - method.required - method.optional)
    if missing or unknown:
        return Refused(
            "method-inputs",
            f"inputs: missing {', '.join(missing) or 'none'}; not read by the method {', '.join(unknown) or 'none'}",
            Text(
                f"Inputs {', '.join(sorted(method.required))}; optional {', '.join(sorted(method.optional)) or 'none'}.",
                f"必需输入：{'、'.join(sorted(method.required))}；可选输入：{'、'.join(sorted(method.optional)) or '无'}。",
            ),
        )
    return None


def _gated(method: SealedMethod, results: Mapping[str, pa.Table], *, smallest: int, notes: list[str]) -> Outcome:
    released: dict[str, pa.Table] = {}
    for name, table in sorted(results.items()):
        declared = method.outputs.get(name)
        if declared is None:
            return Outcome("REFUSED", {}, tuple(notes), _undeclared())
        verdict = release_table(table, _spec(declared, smallest=smallest))
        if isinstance(verdict, Refused):
            notes.append(f"table {name}: held back, rule {verdict.rule}")
            continue
        released[name] = verdict.table
    return Outcome("RELEASED", released, tuple(notes), None)


def _beside(tables: Mapping[str, pa.Table], told: pa.Table) -> dict[str, pa.Table]:
    """The method's tables and the room's own; a method cannot tell in the room's name whose data are whose."""
    return {**tables, SOURCES: told}


def _spec(declared: OutputTable, *, smallest: int) -> TableSpec:
    columns = tuple(OutputColumn(column, ColumnType(kind)) for column, kind in declared.columns.items())
    return TableSpec(columns, minimum_group=smallest, most_rows=declared.most_rows)


def _undeclared() -> Refused:
    # not its name, which the method made up after it had seen the data
    return Refused(
        "undeclared-output",
        "question.method: the method returned a table that it does not declare",
        Text("A method lets out only the tables that it declares.", "方法只能输出其声明的表。"),
    )


_NEW_ID = Text("Sign a new job for this room with an id of its own.", "请使用新的标识为本净室重新签署作业。")


def _cancelled() -> Conflict:
    return Conflict("cleanroom.cancelled", "expected a job that goes on, got one that its asker cancelled", hint=_NEW_ID)


def _unknown() -> NotFound:
    return NotFound(
        UNKNOWN_JOB,
        "expected the id of a job of this room that is yours, got another",
        hint=Text("Only a job's asker can follow it.", "只有作业的使用方可以查询。"),
    )
