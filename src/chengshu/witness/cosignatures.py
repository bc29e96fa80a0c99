"""The log's side: every witness of the policy is asked for each checkpoint, each on its own, and what comes is put into the note."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from chengshu.evidence.checkpoint import Checkpoint, open_checkpoint, parse_vkey
from chengshu.evidence.storage.files import CHECKPOINT, FileTiles
from chengshu.evidence.witnessing.cosignature import signature_lines
from chengshu.evidence.witnessing.mirror import WITNESSED
from chengshu.evidence.witnessing.quorum import QuorumPolicy, QuorumVerdict, Witness, judge
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, NotFound
from chengshu.kernel.text import Text
from chengshu.witness import store
from chengshu.witness.alarm import sound
from chengshu.witness.asking import Contradiction, ask_witness
from chengshu.witness.model import SPLIT_VIEW, SplitView, body_digest, with_lines
from chengshu.witness.ports import OwnLog, Witnesses

ROUND = timedelta(seconds=5)
"""How long a checkpoint that has not met its quorum is asked about before a newer one takes its place."""
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)

Trouble = Callable[[ChengshuError], None]


@dataclass(frozen=True, slots=True)
class Waited:
    """A witness whose cosignature the newest checkpoint lacks, and why as far as it is known."""

    witness: Witness
    why: str | None
    tried_at: datetime | None


@dataclass(frozen=True, slots=True)
class QuorumStatus:
    """How the newest checkpoint stands, whom it waits for, and the size of the newest one that counts (None: there is none)."""

    verdict: QuorumVerdict
    waited: tuple[Waited, ...]
    witnessed_size: int | None


class Cosignatures:
    """Gathers cosignatures for this node's checkpoints; a dead witness delays nobody but itself.

    ``policy`` is read anew whenever it is needed; None means that no witness is configured. Nothing that goes as it should is an entry
    of the log.
    """

    def __init__(
        self,
        database: Database,
        *,
        log: OwnLog,
        folder: Path,
        policy: Callable[[], QuorumPolicy | None],
        witnesses: Witnesses,
        clock: Clock,
        round_length: timedelta = ROUND,
    ) -> None:
        self._database = database
        self._log = log
        self._key = parse_vkey(log.vkey)
        self._folder = folder
        self._policy = policy
        self._witnesses = witnesses
        self._clock = clock
        self._round_length = round_length
        self._lock = threading.RLock()
        self._round: Checkpoint | None = None
        self._began = clock()
        self._asking: set[str] = set()
        self._failed: dict[str, int] = {}
        self._again: dict[str, datetime] = {}

    def ask_due(self, trouble: Trouble) -> list[threading.Thread]:
        """Ask every witness that owes a cosignature and is not being asked, each in a thread of its own, and return at once.

        A witness that failed is asked again after a wait that doubles up to a minute. ``trouble`` hears of errors, also of those in the
        threads.
        """
        policy = self._policy()
        if policy is None or not policy.witnesses:
            return []
        with self._lock:
            checkpoint = self._current(policy)
            due = [] if checkpoint is None else [one for one in policy.witnesses if self._is_due(one, checkpoint)]
            self._asking.update(one.name for one in due)
        return [self._start(one, checkpoint, policy, trouble) for one in due if checkpoint is not None]

    def collect(self, trouble: Trouble) -> QuorumStatus:
        """Ask every witness now, wait for all of them, and return how the newest checkpoint stands; raise NotFound without a policy."""
        with self._lock:
            self._again.clear()
            self._round = None
        for thread in self.ask_due(trouble):
            thread.join()
        return self.status()

    def status(self) -> QuorumStatus:
        """Return how the published checkpoint stands by the policy; raise NotFound without a policy or a checkpoint."""
        policy = self._policy()
        if policy is None:
            raise NotFound(
                "witness.no-policy",
                "expected a policy file with witnesses, got none",
                hint=Text("Make one with 'chengshu witness init'.", "请用 chengshu witness init 创建。"),
            )
        files = FileTiles(self._folder)
        verdict = judge(self._log.checkpoint().note, key=self._key, policy=policy)
        with self._database.read() as tx:
            asked = store.asked(tx)
        waited = tuple(
            Waited(one.witness, asked[one.witness.name].error, asked[one.witness.name].tried_at)
            if one.witness.name in asked
            else Waited(one.witness, None, None)
            for one in verdict.standings
            if one.timestamp is None
        )
        note = files.read(WITNESSED)
        return QuorumStatus(verdict, waited, None if note is None else open_checkpoint(note, key=self._key, file=WITNESSED).size)

    def _current(self, policy: QuorumPolicy) -> Checkpoint | None:
        """The checkpoint to ask about: the newest, unless the one before is young and still short of its quorum."""
        try:
            newest = self._log.checkpoint()
        except NotFound:
            return None
        now, asked_about = self._clock(), self._round
        settled = asked_about is None or asked_about.size > newest.size or judge(asked_about.note, key=self._key, policy=policy).met
        if asked_about is None or (newest.size != asked_about.size and (settled or now - self._began > self._round_length)):
            self._round, self._began = newest, now
        return self._round

    def _is_due(self, witness: Witness, checkpoint: Checkpoint) -> bool:
        if witness.url is None or witness.name in self._asking or self._again.get(witness.name, self._clock()) > self._clock():
            return False
        return not any(line.is_by(witness.key) for line in signature_lines(checkpoint.note))

    def _start(self, witness: Witness, checkpoint: Checkpoint, policy: QuorumPolicy, trouble: Trouble) -> threading.Thread:
        thread = threading.Thread(target=self._ask, args=(witness, checkpoint, policy, trouble), name=f"asks-{witness.name}", daemon=True)
        thread.start()
        return thread

    def _ask(self, witness: Witness, checkpoint: Checkpoint, policy: QuorumPolicy, trouble: Trouble) -> None:
        try:
            self._ask_one(witness, checkpoint, policy)
        except ChengshuError as error:
            trouble(error)
        finally:
            with self._lock:
                self._asking.discard(witness.name)

    def _ask_one(self, witness: Witness, checkpoint: Checkpoint, policy: QuorumPolicy) -> None:
        with self._database.read() as tx:
            known = store.asked(tx).get(witness.name)
        old = known.size if known is not None and known.size <= checkpoint.size else 0
        try:
            line = ask_witness(witness, checkpoint, old=old, log=self._log, key=self._key, witnesses=self._witnesses)
        except Contradiction as found:
            self._put_off(witness, old, found.error)
            self._sound(witness, checkpoint, found)
            raise found.error from found
        except ChengshuError as error:
            self._put_off(witness, old, error)
            raise
        self._take(checkpoint, line, policy)
        with self._lock:
            self._failed.pop(witness.name, None)
            self._again.pop(witness.name, None)
        self._save(store.Asked(witness.name, checkpoint.size, self._clock(), None))

    def _take(self, checkpoint: Checkpoint, line: str, policy: QuorumPolicy) -> None:
        """Put a line into the round's note, and into the published one where that is still of the same size and root."""
        files = FileTiles(self._folder)
        with self._lock, files.publishing():
            asked_about = self._round
            whole = (
                asked_about.note
                if asked_about is not None and body_digest(asked_about.note) == body_digest(checkpoint.note)
                else checkpoint.note
            )
            whole = with_lines(whole, (line,))
            published = files.read(CHECKPOINT)
            if published is not None and body_digest(published) == body_digest(whole):
                whole = with_lines(published, tuple(one.text for one in signature_lines(whole)))
                if whole != published:
                    files.write(CHECKPOINT, whole)
            if asked_about is not None and asked_about.size == checkpoint.size:
                self._round = replace(asked_about, note=whole)
            self._keep_witnessed(files, whole, policy)
            files.flush()

    def _keep_witnessed(self, files: FileTiles, note: bytes, policy: QuorumPolicy) -> None:
        verdict = judge(note, key=self._key, policy=policy)
        before = files.read(WITNESSED)
        size = -1 if before is None else open_checkpoint(before, key=self._key, file=WITNESSED).size
        if verdict.met and verdict.checkpoint.size >= size and note != before:
            files.write(WITNESSED, note)

    def _put_off(self, witness: Witness, old: int, error: ChengshuError) -> None:
        with self._lock:
            failures = self._failed.get(witness.name, 0)
            self._failed[witness.name] = failures + 1
            self._again[witness.name] = self._clock() + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10))
        self._save(store.Asked(witness.name, old, self._clock(), f"{error.code}: {error.message}"))

    def _save(self, asked: store.Asked) -> None:
        with self._database.write() as tx:
            store.save_asked(tx, asked)

    def _sound(self, witness: Witness, checkpoint: Checkpoint, found: Contradiction) -> None:
        if found.shown is None:
            return
        seen_at = f"witness {witness.name}"
        view = SplitView(checkpoint.origin, SPLIT_VIEW, checkpoint.note, found.shown, seen_at, self._clock())
        with self._database.write() as tx:
            sound(tx, view, evidence=self._log)
