"""The witness's side: a checkpoint of a known log is cosigned when, and only when, it continues the one that was cosigned before."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, open_note
from chengshu.evidence.witnessing.cosignature import Cosigner, CosignerKey, cosign, note_body, signature_lines
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Invalid, Tampered
from chengshu.witness import store
from chengshu.witness.alarm import sound
from chengshu.witness.model import Answer, Held, Outcome, SplitView, Submission, decide, parse_submission, with_lines
from chengshu.witness.ports import Evidence

SUBMITTED = "submitted to this witness"


class Witness:
    """Cosigns the logs of the parties on the trust list; an ordinary cosignature is no entry of this node's own log.

    Two nodes that witness one another would otherwise make their logs grow for ever. ``cosigners`` is asked when a key is first needed;
    ``key_of`` gives the key of a log by its origin, None for a log that is not known.
    """

    def __init__(
        self,
        database: Database,
        *,
        cosigners: Callable[[], tuple[Cosigner, ...]],
        key_of: Callable[[str], VerifierKey | None],
        evidence: Evidence,
        clock: Clock,
    ) -> None:
        self._database = database
        self._cosigners = cosigners
        self._key_of = key_of
        self._evidence = evidence
        self._clock = clock

    def cosigner_keys(self) -> tuple[CosignerKey, ...]:
        """Return the keys that others check this witness's cosignatures with; they are made when they are not there yet."""
        return tuple(cosigner.key for cosigner in self._cosigners())

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a submission (C2SP tlog-witness ``add-checkpoint``).

        What is cosigned is decided, signed and kept in one transaction, before anything is answered, so that of two submissions at once
        neither can take back the other. A signed checkpoint that speaks against its log is kept with the one that it contradicts, and
        is an entry of this node's log.
        """
        try:
            submission = parse_submission(body)
        except Invalid as error:
            return Answer(Outcome.MALFORMED, error.message)
        key = self._key_of(submission.origin)
        if key is None:
            return Answer(Outcome.UNKNOWN_LOG, "expected a log of a party on this witness's trust list, got another")
        try:
            open_note(submission.note, key=key)
        except Tampered as error:
            return Answer(Outcome.NOT_SIGNED, error.message)
        try:
            checkpoint = open_checkpoint(submission.note, key=key)
        except ChengshuError as error:
            return Answer(Outcome.MALFORMED, error.message)
        cosigners = self._cosigners()
        with self._database.write() as tx:
            return self._decide(tx, submission, replace(checkpoint, note=_signed_by(key, checkpoint.note)), cosigners)

    def last(self, origin: str) -> bytes | None:
        """Return the note of a log that was cosigned last, with the log's signature and this witness's; None where there is none."""
        with self._database.read() as tx:
            held = store.get(tx, origin)
        return None if held is None else held.note

    def held(self) -> list[Held]:
        """Return what was cosigned last of every log, by origin."""
        with self._database.read() as tx:
            return store.every(tx)

    def views(self) -> list[SplitView]:
        """Return every pair of notes that this node keeps because they do not fit one another, oldest first."""
        with self._database.read() as tx:
            return store.views(tx)

    def _decide(self, tx: Connection, submission: Submission, checkpoint: Checkpoint, cosigners: tuple[Cosigner, ...]) -> Answer:
        held = store.get(tx, checkpoint.origin)
        decision = decide(submission, checkpoint, held)
        if decision.alarm is not None and held is not None:
            view = SplitView(checkpoint.origin, decision.alarm, held.note, checkpoint.note, SUBMITTED, self._clock())
            sound(tx, view, evidence=self._evidence)
        if decision.outcome is not Outcome.COSIGNED:
            return _declined(decision.outcome, held)
        now = self._clock()
        lines = tuple(cosign(cosigner, checkpoint, timestamp=int(now.timestamp())) for cosigner in cosigners)
        store.save(tx, Held(checkpoint.origin, checkpoint.size, checkpoint.root, with_lines(checkpoint.note, lines), now))
        return Answer(Outcome.COSIGNED, "".join(line + "\n" for line in lines))


def _declined(outcome: Outcome, held: Held | None) -> Answer:
    match outcome:
        case Outcome.OTHER_SIZE | Outcome.OTHER_ROOT:
            return Answer(outcome, f"{0 if held is None else held.size}\n")
        case Outcome.NOT_CONSISTENT:
            return Answer(outcome, "expected a proof that this checkpoint continues the one cosigned last, got none that holds")
        case _:
            return Answer(outcome, "expected an old size of at most the checkpoint's, got a larger one")


def _signed_by(key: VerifierKey, note: bytes) -> bytes:
    """The note with the log's own signature alone: whatever else came with it was not looked at, and is not passed on."""
    mine = [line.text for line in signature_lines(note) if (line.name, line.key_id) == (key.name, key.key_id)]
    return note_body(note) + b"\n" + "".join(line + "\n" for line in mine).encode()
