"""A holder's side of masked sums: it judges the job, adds up its own rows under its own gates, and takes each step of the round once.

The room asks five times: to join, to share the secrets among the others, for the masked sums, to confirm whose sums have come, and to
open what is needed to take the masks away. What is kept between these is in this process's memory alone; a node that starts again has
dropped out.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.holder import Holder
from chengshu.cleanroom.leave import JobLeave
from chengshu.cleanroom.model import Job, JobInput
from chengshu.cleanroom.ports import Evidence, InPlace
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.secure_aggregation.computing import Computed, Computing
from chengshu.cleanroom.secure_aggregation.packing import unpacked_bits
from chengshu.cleanroom.secure_aggregation.roster import Card
from chengshu.cleanroom.secure_aggregation.round import Identity, Opening, Round
from chengshu.kernel.canonical import Digests
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Denied, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

A = TypeVar("A")
MOST_ROUNDS = 64
"""So many jobs are kept at once; the oldest is forgotten, and this node has dropped out of it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A holder's card, and the groups of its own rows that are large enough, as a table ``g0…``; nothing else of them is told."""

    card: Card
    groups: pa.Table


@dataclass(slots=True)
class _Kept:
    """One round of this node, and what it has answered in it, so that a repeat gets the same."""

    job: Job
    round: Round
    computed: Computed
    common: list[bool] = field(default_factory=list)
    """Which of this node's groups all members have, once the room has said so."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: dict[str, tuple[object, Any]] = field(default_factory=dict)


class Members:
    """Takes part, in this node's name, in the sums of jobs over its products."""

    def __init__(
        self,
        database: Database,
        *,
        who: Identity,
        holder: Holder,
        computing: Computing,
        leave: JobLeave,
        uses: InPlace,
        evidence: Evidence,
        digests: Digests,
    ) -> None:
        self._database = database
        self._who = who
        self._holder = holder
        self._computing = computing
        self._leave = leave
        self._uses = uses
        self._evidence = evidence
        self._digests = digests
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def join(self, document: Mapping[str, Any], *, signature: str, room: str) -> Joined | Refused:
        """Judge a job, compute its part over this node's rows, and return the keys of a new round and the groups; or the refusal.

        The use is counted as :meth:`Holder.approve` counts it. A repeat before the sums have gone out begins a new round; after that it is
        refused, since two sums of different members would differ by what one holder has. Raises as :meth:`Holder.approve`, and as an
        engine does.
        """
        job = Job.parse(document)
        mine = [one for one in job.inputs if one.provider == self._who.party]
        if not mine:
            raise _not_an_input()
        vetted = self._permitted(document, mine, signature=signature, room=room)
        if isinstance(vetted, Refused):
            return vetted
        with self._database.read() as tx:
            if any(self._has_gone_out(tx, job, one.product) for one in mine):
                return _gone_out()
        with self._turn:  # one at a time, as a room's jobs: each may take the engine's whole memory
            found = self._computing.figures(job, vetted, mine)
        if isinstance(found, Refused):
            return found
        return Joined(self._begin(job, document, found).round.card, found.own.groups)

    def share(self, job: str, cards: Sequence[Card], common: bytes, *, room: str) -> dict[str, bytes]:
        """Return this member's sealed shares for the others; ``common`` is a bit for each group that this one named: whether all have it.

        Raises as :meth:`Round.share`, and Invalid for bits that are of other groups.
        """
        kept = self._find(job, room=room)
        bits = unpacked_bits(common, kept.computed.own.groups.num_rows, "common")
        return self._once(kept, "share", (tuple(cards), tuple(bits)), lambda: self._shared(kept, cards, bits))

    def contribute(self, job: str, sealed: Mapping[str, bytes], *, room: str) -> bytes:
        """Return this member's masked figures; the use is metered before they go out. Raises as :meth:`Round.contribute`.

        Raises Denied where the agreement does not allow the use any more.
        """
        kept = self._find(job, room=room)
        return self._once(kept, "contribute", dict(sealed), lambda: self._contributed(kept, sealed))

    def confirm(self, job: str, survivors: Sequence[str], *, room: str) -> bytes:
        """Return the signature over whose sums have come; raises as :meth:`Round.confirm`."""
        kept = self._find(job, room=room)
        return self._once(kept, "confirm", sorted(survivors), lambda: kept.round.confirm(survivors))

    def open(self, job: str, signatures: Mapping[str, bytes], *, room: str) -> Opening:
        """Return what takes the masks away; raises as :meth:`Round.open`."""
        kept = self._find(job, room=room)
        return self._once(kept, "open", dict(signatures), lambda: kept.round.open(signatures))

    def forget(self, job: str) -> None:
        """Drop what is kept of a round, whose job has ended."""
        with self._lock:
            self._kept.pop(job, None)

    def _permitted(self, document: Mapping[str, Any], mine: Sequence[JobInput], *, signature: str, room: str) -> VettedQuery | Refused:
        """The question as every one of this node's products may be asked it."""
        for one in mine:
            vetted = self._holder.permit(document, signature=signature, product=one.product, room=room)
            if isinstance(vetted, Refused):
                break
        return vetted

    def _begin(self, job: Job, document: Mapping[str, Any], computed: Computed) -> _Kept:
        holders, outside = {one.provider for one in job.inputs}, {job.consumer, job.room}
        begun = Round(self._who, job=self._digests.of(document), holders=holders, outside=outside, digests=self._digests)
        kept = _Kept(job, begun, computed)
        with self._lock:
            self._kept.pop(job.id, None)
            self._kept[job.id] = kept
            while len(self._kept) > MOST_ROUNDS:
                self._kept.popitem(last=False)
        return kept

    def _shared(self, kept: _Kept, cards: Sequence[Card], common: list[bool]) -> dict[str, bytes]:
        sealed = kept.round.share(cards)
        kept.common = common
        return sealed

    def _contributed(self, kept: _Kept, sealed: Mapping[str, bytes]) -> bytes:
        words = kept.round.contribute(sealed, kept.computed.own.vector(kept.common)).as_bytes()
        with self._database.write() as tx:
            for product, rows in kept.computed.rows.items():
                self._meter(tx, kept, product, rows)
        return words

    def _meter(self, tx: Connection, kept: _Kept, product: str, rows: int) -> None:
        job = kept.job
        refused = self._leave.refusal(tx, job=job.id, product=product)
        if self._has_gone_out(tx, job, product):  # of a round that was joined at the same time
            refused = _gone_out()
        if refused is not None:
            raise Denied(f"secure-aggregation.{refused.rule}", refused.message, hint=refused.would_pass)
        approved = next(one for one in store.approvals_of(tx, job.id) if one["product"] == product)
        about = {"job": job.id, "product": product, "agreement": approved["agreement"], "recipient": job.room}
        self._evidence.append(tx, "sum.contributed", job.id, {**about, "members": list(kept.round.members)})
        self._uses.used_in_place(tx, **about, rows=rows, data_digest=approved["data_digest"])

    def _has_gone_out(self, tx: Connection, job: Job, product: str) -> bool:
        return self._uses.delivered(tx, job=job.id, product=product) is not None

    def _find(self, job: str, *, room: str) -> _Kept:
        with self._lock:
            kept = self._kept.get(job)
        if kept is None or kept.job.room != room:
            raise NotFound(
                "secure-aggregation.unknown-round",
                "expected a job that this node has joined, got one that it has not, or does not know any more",
                hint=Text("Sign a new job.", "请签署新的作业。"),
            )
        return kept

    def _once(self, kept: _Kept, step: str, asked: object, answer: Callable[[], A]) -> A:
        """The answer to a step, the first time; to the same request again the same answer, to another one what the round says."""
        with kept.lock:
            if step in kept.answers and kept.answers[step][0] == asked:
                again: A = kept.answers[step][1]
                return again
            found = answer()
            kept.answers[step] = (asked, found)
            return found


def _gone_out() -> Refused:
    return Refused(
        "summed-once",
        "job: expected a job whose masked sums have not gone out, got one whose sums have",
        Text("Sign a new job; it is a use of its own.", "请签署新的作业；它是一次新的使用。"),
    )


def _not_an_input() -> NotFound:
    return NotFound(
        "cleanroom.not-an-input",
        "expected a job that names a product of this node, got another",
        hint=Text("Name the product in the job's inputs.", "请在作业的输入中列出该产品。"),
    )
