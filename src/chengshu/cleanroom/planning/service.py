"""The one entry for questions in SQL: plan, explain without spending anything, and ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chengshu.cleanroom.asker import Asker
from chengshu.cleanroom.local import LocalRuns
from chengshu.cleanroom.outcome import UNKNOWN_JOB
from chengshu.cleanroom.planning.choosing import Candidate, Choice, Question, choose
from chengshu.cleanroom.planning.placements.local import LOCAL
from chengshu.cleanroom.planning.sources import Source, Sources
from chengshu.cleanroom.ports import Nodes
from chengshu.cleanroom.vetting.vetter import Parsed, read
from chengshu.contract.model import Agreement
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import NotFound, Unavailable
from chengshu.kernel.ids import NewId
from chengshu.kernel.money import Fen
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.evaluation import Report
from chengshu.policy.model import Use


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked: the job's id, and the plan by which it is done."""

    job: str
    candidate: Candidate


class Queries:
    """Finds products, agreements and a place for a question, says what will come of it, and asks it."""

    def __init__(
        self,
        database: Database,
        *,
        own_id: str,
        rooms: Callable[[], Sequence[str]],
        sources: Sources,
        contracts: Contracts,
        nodes: Nodes,
        asker: Asker,
        local: LocalRuns,
        digests: Digests,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        """``rooms`` are the nodes that this one knows to run a clean room, the preferred ones first."""
        self._database = database
        self._own_id = own_id
        self._rooms = rooms
        self._sources = sources
        self._contracts = contracts
        self._nodes = nodes
        self._asker = asker
        self._local = local
        self._digests = digests
        self._clock = clock
        self._new_id = new_id

    def plan(self, sql: str, *, purpose: str, room: str | None = None) -> Choice | Refused:
        """Return every plan for a question, the cheapest first, or the refusal; nothing is asked, signed or spent by it.

        Only holders are asked, for their schemas and counts. Raises NotFound for a party or an own product that there is not, and
        Unavailable for a holder that does not answer.
        """
        parsed = read(sql)
        if isinstance(parsed, Refused):
            return parsed
        if not parsed.products:
            raise _no_product()
        sources = self._sources.find(parsed.products)
        return sources if isinstance(sources, Refused) else self._choose(sql, parsed, sources, purpose=purpose, room=room)

    def ask(self, sql: str, *, purpose: str, room: str | None = None, price: Fen | None = None) -> Asked | Refused:
        """Ask a question by the cheapest plan whose room answers; return the job, or the refusal, before which nothing was sent.

        Raises as :meth:`plan`, and Unavailable or NotFound where no room that is allowed answers as one: nothing was asked then.
        """
        choice = self.plan(sql, purpose=purpose, room=room)
        if isinstance(choice, Refused):
            return choice
        candidate = self._answering(choice.candidates)
        job = replace(candidate.job, price_fen=price)
        if candidate.plan.placement == LOCAL.name:
            return Asked(self._local.run(job), candidate)
        return Asked(self._asker.send(job), candidate)

    def _choose(self, sql: str, parsed: Parsed, sources: Sequence[Source], *, purpose: str, room: str | None) -> Choice | Refused:
        rooms = self._rooms() if room is None else (room,)
        question = Question(self._own_id, sql, parsed, purpose, sources, rooms, room, self._clock())
        with self._database.read() as tx:

            def judge(agreement: Agreement, use: Use) -> Report:
                return self._contracts.report(tx, agreement, use)

            choice = choose(question, judge=judge, digests=self._digests, new_id=self._new_id)
        if isinstance(choice, Refused):
            return choice
        return replace(choice, candidates=tuple(self._told(one) for one in choice.candidates))

    def _told(self, candidate: Candidate) -> Candidate:
        """A candidate with what is known of the engine."""
        return replace(candidate, engine=self._local.engine) if candidate.plan.place == self._own_id else candidate

    def _answering(self, candidates: Sequence[Candidate]) -> Candidate:
        """The first candidate whose room is there; the first room's silence where none is."""
        silence: Unavailable | NotFound | None = None
        for one in candidates:
            try:
                self._check_room(one)
            except (Unavailable, NotFound) as error:
                silence = silence or error
            else:
                return one
        assert silence is not None  # noqa: S101  # a choice has a candidate
        raise silence

    def _check_room(self, candidate: Candidate) -> None:
        """Ask a room about a job that it does not have: one that says so is there, and nothing was asked of it."""
        if candidate.plan.placement == LOCAL.name:
            return
        try:
            self._nodes.post(candidate.plan.place, "/room/jobs/standing", {"job": candidate.job.id})
        except NotFound as error:
            if error.code != UNKNOWN_JOB:
                raise _no_room(candidate.plan.place) from error


def _no_product() -> NotFound:
    return NotFound(
        "query.no-product",
        "expected party.product names in FROM, got none",
        hint=Text("For example: SELECT COUNT(*) FROM road.counts", "例如：SELECT COUNT(*) FROM road.counts"),
    )


def _no_room(place: str) -> NotFound:
    return NotFound(
        "query.no-room",
        f"expected {place} to run a clean room, got a node that runs none",
        hint=Text("Name another with --room.", "请用 --room 指定其他净室。"),
    )
