"""An agreement's life after signing: whether it may be used now and, once it has ended, how, by whom and why.

Both sides keep what ended an agreement as a set that only grows, and read the standing off it by one rule. So whatever crosses on the way,
is lost and sent again, or comes in another order, both read the same standing; and no ended agreement comes into force again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.contract.model import Agreement, State
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text


class Phase(StrEnum):
    """Where an agreement stands in its life."""

    NOT_CONCLUDED = "NOT_CONCLUDED"
    NOT_YET_VALID = "NOT_YET_VALID"
    IN_FORCE = "IN_FORCE"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    TERMINATED = "TERMINATED"

    @property
    def ended(self) -> bool:
        """Whether nothing brings the agreement into force again."""
        return self in {Phase.EXPIRED, Phase.SUPERSEDED, Phase.TERMINATED}


RULES: Mapping[Phase, str] = {
    Phase.NOT_CONCLUDED: "agreement-not-in-force",
    Phase.NOT_YET_VALID: "agreement-not-yet-valid",
    Phase.EXPIRED: "agreement-expired",
    Phase.SUPERSEDED: "agreement-superseded",
    Phase.TERMINATED: "agreement-terminated",
}
"""The rule by which a use is refused in each phase but the one that allows it."""


@dataclass(frozen=True, slots=True)
class Termination:
    """One party ends an agreement and says why; ``at`` is what its own clock showed."""

    agreement: str
    by: str
    at: datetime
    code: str
    reasons: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON-ready values, whose digest is the same on both sides."""
        return {"agreement": self.agreement, "by": self.by, "at": iso(self.at), "code": self.code, "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class Supersession:
    """A later agreement took this one's place; ``is_mutual`` says whether the counterparty is known to see it so too."""

    agreement: str
    at: datetime
    successor: str
    is_mutual: bool


@dataclass(frozen=True, slots=True)
class Expiry:
    """The time that the policy gives has run out and this node has seen it."""

    agreement: str
    at: datetime


Ending = Termination | Supersession | Expiry


@dataclass(frozen=True, slots=True)
class Life:
    """An agreement as it stands at ``at``: its phase, the time its policy gives it, and what ended it."""

    agreement: Agreement
    at: datetime
    state: State
    phase: Phase
    valid_from: datetime | None
    valid_until: datetime | None
    ending: Ending | None

    def refusal(self) -> Refused | None:
        """Return why nothing may be done under the agreement now, or None where it is in force.

        Its facts are fit for the log: ids, times and the code; the reasons, which are somebody's free words, are in the message alone.
        """
        if self.phase is Phase.IN_FORCE:
            return None
        expected, got, facts = self._difference()
        words = facts.pop("words", "")
        message = f"expected {expected}, got {got}{words}"
        facts |= {"agreement": self.agreement.id, "expected": expected, "got": got}
        return Refused(RULES[self.phase], message, would_pass=_WOULD_PASS, facts=facts)

    def _difference(self) -> tuple[str, str, dict[str, str]]:
        match self.ending:
            case Termination(_, by, at, code, reasons):
                got = f"one that {by} ended at {iso(at)} ({code})"
                return "an agreement that neither side ended", got, {"since": iso(at), "words": "".join(f"; {one}" for one in reasons)}
            case Supersession(_, at, successor):
                got = f"one that {successor} took the place of at {iso(at)}"
                return "an agreement that no other replaced", got, {"since": iso(at)}
        if self.phase is Phase.NOT_CONCLUDED:
            return f"an agreement in state {State.FINALIZED}", str(self.state), {}
        if self.phase is Phase.NOT_YET_VALID and self.valid_from is not None:
            return f"a use from {iso(self.valid_from)} on", iso(self.at), {}
        if self.valid_until is None:
            return "a use before its end", iso(self.at), {}
        return f"a use until {iso(self.valid_until)}", iso(self.at), {"since": iso(self.valid_until)}


def life_of(agreement: Agreement, state: State, *, endings: Collection[Ending], at: datetime) -> Life:
    """Return how an agreement stands at a moment, from the state of its negotiation and all that is known to have ended it."""
    start, end = window_of(agreement)
    ending = leading(endings)
    match ending:
        case Termination():
            phase = Phase.TERMINATED
        case Supersession():
            phase = Phase.SUPERSEDED
        case Expiry():
            phase = Phase.EXPIRED
        case None:
            phase = _running(state, start=start, end=end, at=at)
    return Life(agreement, at, state, phase, start, end, ending)


def leading(endings: Collection[Ending]) -> Ending | None:
    """Return the ending that names the standing: what a party said comes before what followed from another agreement or from time.

    Of two terminations it is the earlier by their senders' own clocks: what both sides hold decides, never who saw what first.
    """
    said = [one for one in endings if isinstance(one, Termination)]
    if said:
        return min(said, key=lambda one: (one.at, one.by))
    replaced = next((one for one in endings if isinstance(one, Supersession)), None)
    return replaced or next((one for one in endings if isinstance(one, Expiry)), None)


def window_of(agreement: Agreement) -> tuple[datetime | None, datetime | None]:
    """Return from when and until when the agreement's policy allows any use at all; None where it is open.

    A policy that this node no longer understands gives no time here; a use under it is refused by the policy itself.
    """
    try:
        return agreement.policy.window
    except Invalid:
        return None, None


def termination_from(document: Mapping[str, Any]) -> Termination:
    """Return the termination that :meth:`Termination.as_document` wrote."""
    return Termination(document["agreement"], document["by"], from_iso(document["at"]), document["code"], tuple(document["reasons"]))


def _running(state: State, *, start: datetime | None, end: datetime | None, at: datetime) -> Phase:
    if state is not State.FINALIZED:
        return Phase.NOT_CONCLUDED
    if start is not None and at < start:
        return Phase.NOT_YET_VALID
    return Phase.EXPIRED if end is not None and at > end else Phase.IN_FORCE


_WOULD_PASS = Text("A use under an agreement that is in force.", "依据当前有效合约的使用。")
