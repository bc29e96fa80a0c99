"""How a room comes by a job's products: every holder is asked until it has answered, and a stream that breaks off goes on where it was."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from chengshu.cleanroom import store
from chengshu.cleanroom.intake.told import checked
from chengshu.cleanroom.model import JobInput
from chengshu.cleanroom.outcome import parse_refusal
from chengshu.cleanroom.ports import Arrival, Nodes
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import Conflict, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

A = TypeVar("A")
RETRY_PAUSE_S = 0.5
MOST_BREAKS = 64
"""So often one product may break off and go on: each time something of it must have come, or the wait goes on as for silence."""

CHANGED_AT_HOLDER = {
    "product.changed": "product-changed",
    "product.file-changed": "product-changed",
    "product.schema-drift": "schema-drift",
    "transfer.other-rows": "product-changed",
}
"""What a holder says that no longer has what it published, and the rule by which its product is refused then."""

_AS_NOW = Text(
    "Ask the holder to publish what it has now as a new version, then sign a new job.", "请持有方将当前数据发布为新版本，然后签署新的作业。"
)


class Standing(Protocol):
    """What is known of a job while it runs."""

    def waits(self, job: str, what: str) -> None:
        """Have it said for whom a job waits, and why."""
        ...

    def check_goes_on(self, job: str) -> None:
        """Raise Conflict where a job has ended meanwhile."""
        ...


class Collecting:
    """Asks holders; ``wait`` is how long one may say nothing, or send nothing more of a product, before it is given up."""

    def __init__(self, nodes: Nodes, *, standing: Standing, wait: timedelta, clock: Clock) -> None:
        self._nodes = nodes
        self._standing = standing
        self.wait = wait
        self._clock = clock

    def collect(self, part: JobInput, found: store.RoomJob, into: Arrival) -> Path | Refused | Unavailable:
        """Take one holder's product in, or return its refusal, or its silence once the wait is over.

        A stream that breaks off is asked for again from where it was, under a new grant, which is no second use. The job's state names the
        holder, the reason and how much has come.
        """
        self._standing.waits(found.id, f"{part.alias} from its holder")
        return self._until_answered(part, found, partial(self._handed_over, part, found, into), into)

    def told(self, part: JobInput, found: store.RoomJob, **more: str) -> dict[str, Any] | Unavailable:
        """Return what a holder says to a job, or its silence once the wait is over."""
        return self._until_answered(part, found, partial(self._said, part, found, **more), None)

    def _until_answered(self, part: JobInput, found: store.RoomJob, ask: Callable[[], A], into: Arrival | None) -> A | Unavailable:
        until, breaks, had = self._clock() + self.wait, 0, 0
        while True:
            self._standing.check_goes_on(found.id)
            try:
                return ask()
            except Unavailable as error:
                silence = error
            if into is not None and into.pieces > had:
                until, breaks, had = self._clock() + self.wait, breaks + 1, into.pieces
            if self._clock() >= until or breaks >= MOST_BREAKS:
                return silence
            so_far = f", {had} pieces of it are here" if had else ""
            self._standing.waits(found.id, f"{part.alias} from its holder ({silence.code}{so_far})")
            time.sleep(RETRY_PAUSE_S)

    def _said(self, part: JobInput, found: store.RoomJob, **more: str) -> dict[str, Any]:
        """Ask a holder once what it says to a job."""
        message = {"job": found.document, "signature": found.signature, "product": part.product}
        answer = self._nodes.post(part.provider, "/room/inputs", {**message, **more})
        return checked(answer, of=part.alias, may_repeat="repeats" in more)

    def _handed_over(self, part: JobInput, found: store.RoomJob, into: Arrival) -> Path | Refused:
        """Ask a holder once; it refuses the job, hands over what is missing, or says that it no longer has what it published."""
        answer = self._said(part, found)
        if "refused" in answer:
            return parse_refusal(answer["refused"])
        try:
            self._nodes.pull(part.provider, answer["token"], into, job=found.id, product=part.product, patience_s=self.wait.total_seconds())
        except Conflict as error:
            if error.code not in CHANGED_AT_HOLDER:
                raise
            return Refused(CHANGED_AT_HOLDER[error.code], f"{part.alias}: {error.message}", _AS_NOW)
        return into.path
