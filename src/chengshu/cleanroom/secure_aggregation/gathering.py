"""The room's side of masked sums: it asks every holder, waits for whoever is slow, goes on without whoever drops out, and adds up.

It sees keys, names of groups and masked numbers. It tells the members who takes part and whose sums have come, and could lie about both:
each member holds that against the signed job, the others' signatures, and what it said itself before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Generic, TypeVar

import pyarrow as pa

from chengshu.cleanroom import store
from chengshu.cleanroom.gate.release import MOST_ROWS, let_out, too_many, too_small
from chengshu.cleanroom.intake.collecting import RETRY_PAUSE_S, Standing
from chengshu.cleanroom.intake.told import check_refusal
from chengshu.cleanroom.model import Job
from chengshu.cleanroom.outcome import Outcome, parse_refusal
from chengshu.cleanroom.ports import IsSignedBy, Nodes
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.secure_aggregation.adding import added
from chengshu.cleanroom.secure_aggregation.form import Form, keys_of
from chengshu.cleanroom.secure_aggregation.packing import packed, packed_all, packed_bits, unpacked, unpacked_all, unpacked_table
from chengshu.cleanroom.secure_aggregation.roster import Card, Roster
from chengshu.cleanroom.secure_aggregation.round import Opening
from chengshu.cleanroom.secure_aggregation.words import Size, Words
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import ChengshuError, Invalid, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

A = TypeVar("A")
PATH = "/room/sums"
_AT_ONCE = 16
_LOOK_S = 0.5
_LONGEST = 500


class Asked(Generic[A]):
    """What came of one step: the answers, by member, and who dropped out in it, with the error."""

    def __init__(self) -> None:
        self.answers: dict[str, A] = {}
        self.gone: dict[str, ChengshuError] = {}

    def take(self, answer: "Future[A]", member: str) -> None:
        """Take what came of asking one member."""
        try:
            self.answers[member] = answer.result()
        except ChengshuError as error:
            self.gone[member] = error


class Gathering:
    """Leads the rounds of jobs whose holders add up their own rows; ``wait`` is how long one may say nothing at a step."""

    def __init__(
        self, nodes: Nodes, *, standing: Standing, wait: timedelta, is_signed_by: IsSignedBy, digests: Digests, clock: Clock
    ) -> None:
        self._nodes = nodes
        self._standing = standing
        self._wait = wait
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock

    def gather(self, job: Job, vetted: VettedQuery, found: store.RoomJob) -> Outcome:
        """Return the answer over the rows of every holder that stayed to the end, or the refusal of one.

        Raises Unavailable where too few stayed, Denied and Invalid for a holder whose keys or answers are none, Tampered where a holder
        opened other secrets than it masked with, Conflict where the job was cancelled.
        """
        form = Form.of(vetted)
        holders = sorted({one.provider for one in job.inputs})
        joined = self._join(holders, found)
        refused = next((one for one in joined.answers.values() if isinstance(one, Refused)), None)
        if refused is not None:
            return Outcome("REFUSED", {}, (), refused)
        told = {one: said for one, said in joined.answers.items() if not isinstance(said, Refused)}
        roster = self._roster(job, found, [card for card, _ in told.values()], joined.gone)
        common, groups = _common({one: told[one][1] for one in roster.members}, form)
        if not 0 < groups.num_rows <= MOST_ROWS:
            return Outcome("REFUSED", {}, (), too_many(MOST_ROWS) if groups.num_rows else too_small(vetted.minimum_group))
        words, gone = self._summed(roster, form.size(groups.num_rows), common, found)
        verdict = let_out(form.totals(words, groups), query=vetted)
        if isinstance(verdict, Refused):
            return Outcome("REFUSED", {}, (), verdict)
        return Outcome("RELEASED", {"answer": verdict.table}, tuple(_notes(job, {**joined.gone, **gone})), None)

    def _roster(self, job: Job, found: store.RoomJob, cards: Sequence[Card], gone: Mapping[str, ChengshuError]) -> Roster:
        """Who takes part, where there are enough; where there are not, the first holder's error, which nobody can make up for."""
        try:
            return Roster.of(cards, job=found.digest, outside={job.consumer, job.room})
        except Invalid:
            if not gone:
                raise
            raise next(iter(gone.values())) from None

    def _join(self, holders: Sequence[str], found: store.RoomJob) -> "Asked[tuple[Card, pa.Table] | Refused]":
        message = {"job": dict(found.document), "signature": found.signature}
        patience = self._wait.total_seconds()

        def ask(member: str) -> tuple[Card, pa.Table] | Refused:
            answer = self._nodes.post(member, f"{PATH}/join", message, patience_s=patience)
            if "refused" in answer:
                check_refusal(answer["refused"])
                return parse_refusal(answer["refused"])
            card = Card.parse(answer.get("card"), "answer.card")
            card.check(job=found.digest, is_signed_by=self._is_signed_by)
            if card.provider != member:
                raise Invalid("peer.answer", "expected a holder's own keys, got those of another", hint=_THEIRS)
            return card, unpacked_table(answer.get("groups"), "answer.groups")

        asked = self._step("its part of the sums", holders, found, ask)
        wrong = next((error for error in asked.gone.values() if not isinstance(error, Unavailable)), None)
        if wrong is not None:  # this is no silence: to go on without it would hide why
            raise wrong
        return asked

    def _summed(
        self, roster: Roster, size: Size, common: Mapping[str, bytes], found: store.RoomJob
    ) -> tuple[Words, dict[str, ChengshuError]]:
        """The sum of what the members have, and who dropped out on the way."""
        gone: dict[str, ChengshuError] = {}
        cards = [one.as_document() for one in roster.cards]
        named = {"job": found.id}

        def share(member: str) -> dict[str, bytes]:
            answer = self._nodes.post(member, f"{PATH}/share", {**named, "cards": cards, "common": packed(common[member])})
            return unpacked_all(answer.get("sealed"), "answer.sealed")

        dealt = self._kept(roster, self._step("its sealed shares", roster.members, found, share), gone)
        dealers = sorted(dealt)

        def contribute(member: str) -> Words:
            sealed = {giver: dealt[giver][member] for giver in dealers if giver != member and member in dealt[giver]}
            message = {**named, "sealed": packed_all(sealed)}
            raw = self._nodes.fetch(member, f"{PATH}/contribute", message, most=size.bytes + 1)
            return _words(raw, size)

        masked = self._kept(roster, self._step("its masked sums", dealers, found, contribute), gone)
        survivors = sorted(masked)

        def confirm(member: str) -> bytes:
            answer = self._nodes.post(member, f"{PATH}/confirm", {**named, "survivors": survivors})
            return unpacked(answer.get("signature"), "answer.signature")

        said = self._kept(roster, self._step("its signature over who is there", survivors, found, confirm), gone)
        lists = {"dealers": dealers, "survivors": survivors}
        signatures = roster.signatures(said, **lists, is_signed_by=self._is_signed_by, digests=self._digests)

        def open_(member: str) -> Opening:
            answer = self._nodes.post(member, f"{PATH}/open", {**named, "signatures": packed_all(signatures)})
            some = (unpacked_all(answer.get(name), f"answer.{name}") for name in ("secrets", "keys"))
            return Opening(unpacked(answer.get("secret"), "answer.secret"), *some)

        openings = self._kept(roster, self._step("what takes the masks away", sorted(signatures), found, open_), gone)
        words = added(roster, masked, openings, dealers=dealers, digests=self._digests)
        return words, {one: error for one, error in gone.items() if one not in masked}

    def _kept(self, roster: Roster, asked: Asked[A], gone: dict[str, ChengshuError]) -> dict[str, A]:
        """The answers of a step, where enough of the members gave one."""
        gone.update(asked.gone)
        if not roster.suffices(asked.answers):
            raise _too_few(gone)
        return asked.answers

    def _step(self, what: str, members: Sequence[str], found: store.RoomJob, ask: Callable[[str], A]) -> Asked[A]:
        """Ask all members at once, each again until it answers or the wait is over; the job's state names those that are waited for."""
        asked, stop = Asked[A](), Event()
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="sums") as pool:
            running = {pool.submit(self._until_answered, partial(ask, one), stop): one for one in members}
            try:
                while running:
                    self._standing.check_goes_on(found.id)
                    self._standing.waits(found.id, f"{what} from {', '.join(sorted(running.values()))}"[:_LONGEST])
                    done, _ = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                    for one in done:
                        asked.take(one, running.pop(one))
            finally:
                stop.set()
        return asked

    def _until_answered(self, ask: Callable[[], A], stop: Event) -> A:
        until = self._clock() + self._wait
        while True:
            try:
                return ask()
            except Unavailable:
                if self._clock() >= until or stop.wait(RETRY_PAUSE_S):
                    raise


def _common(named: Mapping[str, pa.Table], form: Form) -> tuple[dict[str, bytes], pa.Table]:
    """The groups that every member has: as bits, one for each group that the member named, and as they are named.

    Raises Invalid where members name them by other kinds of values, or in another order: their sums could not be added up.
    """
    expected = [f"g{place}" for place in range(form.groups)] or ["all"]
    keys = {member: keys_of(table, form.groups) for member, table in named.items() if table.column_names == expected}
    shared = set.intersection(*map(set, keys.values())) if keys else set()
    bits = {member: [key in shared for key in some] for member, some in keys.items()}
    tables = [named[member].filter(pa.array(some, pa.bool_())) for member, some in bits.items()]
    if len(tables) != len(named) or not all(one.equals(tables[0]) for one in tables):
        raise Invalid("peer.answer", "expected the groups that the question makes, in order, got others", hint=_THEIRS)
    return {member: packed_bits(some) for member, some in bits.items()}, tables[0]


def _words(raw: bytes, size: Size) -> Words:
    try:
        return Words.parse(raw, size)
    except ValueError as error:
        raise Invalid("peer.answer", f"masked sums: {error}", hint=_THEIRS) from error


def _notes(job: Job, gone: Mapping[str, ChengshuError]) -> Iterator[str]:
    return (f"without {one.alias}: its holder dropped out ({gone[one.provider].code})" for one in job.by_name if one.provider in gone)


def _too_few(gone: Mapping[str, ChengshuError]) -> Unavailable:
    why = ", ".join(f"{one} ({error.code})" for one, error in sorted(gone.items()))
    return Unavailable(
        "secure-aggregation.too-few",
        f"expected more than two thirds of the holders, three beside asker and room, to stay, got too few: without {why}",
        hint=Text("Sign a new job once they answer again.", "请待其恢复应答后签署新的作业。"),
    )


_THEIRS = Text("Ask the operators of the holders' nodes which versions they run.", "请联系各持有方节点的运营人员核实版本。")
