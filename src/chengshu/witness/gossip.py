"""Comparing what others were shown: checkpoints of one log, as different witnesses hold them, must be of one history."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import pairwise

from chengshu.evidence.checkpoint import Checkpoint, open_checkpoint
from chengshu.evidence.witnessing.mirror import RemoteTiles, is_continued, read_checkpoint
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, NotFound, Tampered, Unavailable
from chengshu.kernel.text import Text
from chengshu.witness.alarm import sound
from chengshu.witness.model import SPLIT_VIEW, SplitView
from chengshu.witness.ports import Evidence, KnownLog, Witnesses

AT_ONCE = 8
TRIES = 3
HERE = "this node"
ITSELF = "the log itself"
Notes = Callable[[str], bytes | None]


class Agreement(StrEnum):
    """What comparing found about one log, short of a split view, which raises."""

    ONE_HISTORY = "one-history"
    NOT_PROVED = "not-proved"
    NOTHING_TO_COMPARE = "nothing-to-compare"


@dataclass(frozen=True, slots=True)
class View:
    """One log's checkpoint as somebody holds it."""

    holder: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found about one log: who holds which size, and who could not be asked or showed something else, with the reason."""

    origin: str
    agreement: Agreement
    views: tuple[View, ...]
    silent: Mapping[str, str]


class Gossip:
    """Asks every witness that this node knows what it cosigned last of a log, and holds the answers against one another.

    ``sources`` gives the witnesses' URLs by name; ``logs`` the logs to compare; ``held`` the note that this node cosigned last;
    ``tiles`` opens a log's files.
    """

    def __init__(
        self,
        database: Database,
        *,
        sources: Callable[[], Mapping[str, str]],
        logs: Callable[[], list[KnownLog]],
        held: Notes,
        witnesses: Witnesses,
        tiles: Callable[[KnownLog], RemoteTiles],
        evidence: Evidence,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sources = sources
        self._logs = logs
        self._held = held
        self._witnesses = witnesses
        self._tiles = tiles
        self._evidence = evidence
        self._clock = clock

    def compare(self, origin: str | None = None) -> list[Comparison]:
        """Compare one log, or every log that this node knows and anybody holds a checkpoint of.

        Raises Tampered (``evidence.split-view``, ``evidence.rollback``) for the first log with two histories, after both signed notes of
        every such log were kept and entered in this node's log; NotFound for an origin that is not known.
        """
        logs = [log for log in self._logs() if origin in {None, log.origin}]
        if origin is not None and not logs:
            raise NotFound(
                "witness.unknown-log",
                "expected the log of a party on the trust list, written handle/log, got another",
                hint=Text("List them with 'chengshu witness list'.", "请用 chengshu witness list 查看。"),
            )
        found: list[Comparison] = []
        alarms: list[Tampered] = []
        for log in logs:
            try:
                found.append(self._compare(log))
            except Tampered as error:
                alarms.append(error)
        if alarms:
            raise alarms[0]
        return found

    def _compare(self, log: KnownLog) -> Comparison:
        for tried in range(1, TRIES + 1):
            views, silent = self._views(log)
            tiles = self._tiles(log)
            try:
                return self._judged(log, views, silent, tiles)
            except NotFound:  # a tile that was replaced while the log grew
                if tried == TRIES:
                    raise
            finally:
                tiles.close()
        raise AssertionError("a try either returns or raises")

    def _judged(self, log: KnownLog, views: list[View], silent: dict[str, str], tiles: RemoteTiles) -> Comparison:
        now: Checkpoint | None = None
        try:
            now = read_checkpoint(tiles, log.key)
        except (Unavailable, NotFound) as error:
            silent[ITSELF] = f"{error.code}: {error.message}"
        else:
            views.append(View(ITSELF, now))  # read last: a log that shows less than a witness holds has taken entries away
        views.sort(key=lambda view: view.checkpoint.size)
        self._refuse_rollback(views, now)
        proved = True
        for older, newer in pairwise(views):
            if older.checkpoint.size == newer.checkpoint.size:
                if older.checkpoint.root != newer.checkpoint.root:
                    raise self._alarm(older, newer, "of the same size have different roots")
            elif now is None:
                proved = False
            elif not is_continued(tiles, old=older.checkpoint, new=newer.checkpoint, size=now.size):
                raise self._alarm(older, newer, "cannot be shown by the log to continue one another")
        several = len(views) > 1
        agreement = Agreement.NOTHING_TO_COMPARE if not several else Agreement.ONE_HISTORY if proved else Agreement.NOT_PROVED
        return Comparison(log.origin, agreement, tuple(views), silent)

    def _refuse_rollback(self, views: list[View], now: Checkpoint | None) -> None:
        if now is None or views[-1].checkpoint.size <= now.size:
            return
        shown = View(ITSELF, now)
        error = self._alarm(shown, views[-1], "show that the log has taken entries away")
        raise Tampered("evidence.rollback", error.message, hint=error.hint, facts=error.facts)

    def _views(self, log: KnownLog) -> tuple[list[View], dict[str, str]]:
        sources = self._sources()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            asked = {name: pool.submit(self._witnesses.last, url, log.origin) for name, url in sources.items()}
        answers: dict[str, Callable[[], bytes | None]] = {name: future.result for name, future in asked.items()}
        answers[HERE] = partial(self._held, log.origin)
        views: list[View] = []
        silent: dict[str, str] = {}
        for name, answer in answers.items():
            try:
                note = answer()
                if note is not None:
                    views.append(View(name, open_checkpoint(note, key=log.key, file=f"the checkpoint at {name}")))
            except ChengshuError as error:
                silent[name] = f"{error.code}: {error.message}"
        return views, silent

    def _alarm(self, older: View, newer: View, why: str) -> Tampered:
        origin = newer.checkpoint.origin
        seen_at = f"{older.holder} | {newer.holder}"
        view = SplitView(origin, SPLIT_VIEW, older.checkpoint.note, newer.checkpoint.note, seen_at, self._clock())
        with self._database.write() as tx:
            sound(tx, view, evidence=self._evidence)
        sizes = f"size {older.checkpoint.size} ({older.holder}) and size {newer.checkpoint.size} ({newer.holder})"
        return Tampered(
            "evidence.split-view",
            f"expected one history of {origin}, got two checkpoints signed by its key that {why}: {sizes}",
            hint=Text(
                "Both signed checkpoints are kept: 'chengshu witness status --json' prints them. Together they prove it to anybody who "
                "knows the log's key; send them to the log's operator and to every party.",
                "两份签名检查点均已保留：chengshu witness status --json 可打印。二者合在一起即为证据，"
                "任何知道该日志公钥的人都可验证；请发送给日志运营方与各参与方。",
            ),
            facts={"origin": origin, "older": older.checkpoint.size, "newer": newer.checkpoint.size},
        )
