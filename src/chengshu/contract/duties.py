"""The verbs of duties: say how each stands, state that one was done, take the assignee's statement, confirm what the provider saw.

A node sees that it was paid, or told of a use; it cannot see that data were erased elsewhere. What it cannot see is fulfilled by a
statement that the assignee signs, and is kept and shown as that: stated, not observed. Events are things that the operator says are
going on, for policies that ask.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.contract import owing_store, store
from chengshu.contract.lookup import found
from chengshu.contract.model import Agreement
from chengshu.contract.owing import every_duty, owed_under
from chengshu.contract.ports import Evidence
from chengshu.identity.model import public_key_of, signs
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock, from_iso, iso
from chengshu.kernel.crypto import is_signed_by
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Denied, Invalid, NotFound
from chengshu.kernel.text import Text
from chengshu.policy.duties import DutyAction, DutyState, Ground, Owed

_LABEL = b"chengshu duty statement 1\n"
_KEYS = frozenset({"agreement", "duty", "occurrence", "action", "by", "at", "words"})
MAX_WORDS = 1000
MAX_NAME = 256


@dataclass(frozen=True, slots=True)
class DutyStanding:
    """One duty as it stands, with what was said of it (None: nothing yet)."""

    agreement: str
    owed: Owed
    state: DutyState
    words: str | None


class Duties:
    """Keeps what was done for duties, each step one transaction with its evidence."""

    def __init__(self, database: Database, *, identity: Identity, evidence: Evidence, digests: Digests, clock: Clock) -> None:
        self._database = database
        self._identity = identity
        self._evidence = evidence
        self._digests = digests
        self._clock = clock

    def standings(self, agreement_id: str | None = None) -> list[DutyStanding]:
        """Return how every duty stands that is owed by now, of one agreement or of all; raises NotFound for an unknown agreement."""
        with self._database.read() as tx:
            every = [one for one, _ in store.every_agreement(tx)] if agreement_id is None else [self._agreement(tx, agreement_id)]
            return [standing for agreement in every for standing in self._of(tx, agreement)]

    def state(self, agreement_id: str, duty: str, *, words: str, occurrence: int = 1) -> dict[str, Any]:
        """Keep, as the assignee, that a duty was done, and return the statement that this node signed for the provider.

        The provider counts the uses, so that this node need not know that one made the duty owed: the provider checks it. Raises NotFound
        where there is no such agreement or duty, Denied for anyone but the assignee, Conflict where it was stated, Invalid for no words.
        """
        _check(words)
        with self._database.write() as tx:
            agreement = self._agreement(tx, agreement_id)
            if agreement.consumer != self._identity.did:
                raise _not_yours("assignee")
            one = self._named(tx, agreement, duty, occurrence)
            statement = self._statement(agreement, one, by=self._identity.did, words=words)
            signature = base64.b64encode(self._identity.signer.sign(_signed(statement, self._digests))).decode()
            self._keep(tx, agreement, one, statement=statement, signature=signature, ground=Ground.STATED)
        return {"statement": statement, "signature": signature}

    def take(self, document: Mapping[str, Any]) -> DutyStanding:
        """Keep, as the provider, what the assignee states in a document that :meth:`state` made there; a repeat changes nothing.

        Raises Invalid for no such document, Denied for another signature than the assignee's, NotFound and Conflict as :meth:`state`.
        """
        statement, signature = _parse(document)
        with self._database.write() as tx:
            agreement = self._agreement(tx, statement["agreement"])
            if agreement.provider != self._identity.did:
                raise _not_yours("provider")
            self._check_signature(agreement, statement, signature)
            kept = owing_store.of(tx, agreement.id).get((statement["duty"], statement["occurrence"]))
            if kept is None or kept["statement"] != statement:
                one = self._open(tx, agreement, statement["duty"], statement["occurrence"])
                self._keep(tx, agreement, one, statement=statement, signature=signature, ground=Ground.STATED)
            return self._one(tx, agreement, statement["duty"], statement["occurrence"])

    def confirm(self, agreement_id: str, duty: str, *, words: str, occurrence: int = 1) -> DutyStanding:
        """Keep, as the provider, that it saw a duty done (the payment came, the report is here); raises as :meth:`state`."""
        _check(words)
        with self._database.write() as tx:
            agreement = self._agreement(tx, agreement_id)
            if agreement.provider != self._identity.did:
                raise _not_yours("provider")
            one = self._open(tx, agreement, duty, occurrence)
            statement = self._statement(agreement, one, by=self._identity.did, words=words)
            self._keep(tx, agreement, one, statement=statement, signature=None, ground=Ground.OBSERVED)
            return self._one(tx, agreement, duty, occurrence)

    # --- events ---------------------------------------------------------------------------------------------------------------------

    def begin(self, event: str, *, reason: str) -> None:
        """Say that an event is going on from now; raises Conflict where it is already, Invalid for no name or reason."""
        _check(reason)
        if not 1 <= len(event) <= MAX_NAME:
            raise Invalid("event.name", f"expected a name of 1 to {MAX_NAME} characters, got another", hint=_WORDS)
        with self._database.write() as tx:
            if any(one["name"] == event for one in owing_store.under_way(tx)):
                raise Conflict("event.going-on", "expected an event that is not going on, got one that is", hint=_EVENTS)
            owing_store.begin(tx, event, since=self._clock(), reason=reason)
            self._evidence.append(tx, "event.begun", event, {"event": event, "reason": reason})

    def end(self, event: str, *, reason: str) -> None:
        """Say that an event is over; raises NotFound where it is not going on, Invalid for no reason."""
        _check(reason)
        with self._database.write() as tx:
            if all(one["name"] != event for one in owing_store.under_way(tx)):
                raise NotFound("event.unknown", "expected an event that is going on, got another", hint=_EVENTS)
            owing_store.end(tx, event)
            self._evidence.append(tx, "event.ended", event, {"event": event, "reason": reason})

    def events(self) -> list[dict[str, Any]]:
        """Return every event that is going on, with since when and why."""
        with self._database.read() as tx:
            return owing_store.under_way(tx)

    # --- inside a transaction -------------------------------------------------------------------------------------------------------

    def _agreement(self, tx: Connection, agreement_id: str) -> Agreement:
        return found(store.get_agreement(tx, agreement_id))[0]

    def _of(self, tx: Connection, agreement: Agreement) -> list[DutyStanding]:
        now, kept = self._clock(), owing_store.of(tx, agreement.id)
        try:
            every = list(owed_under(tx, agreement, agreement.policy, at=now))
        except Invalid:
            return []  # a policy that this node does not understand, signed elsewhere: nothing is used under it either
        words = {key: str(one["statement"]["words"]) for key, one in kept.items()}
        every += [_told(one) for key, one in kept.items() if key not in {(owed.duty, owed.occurrence) for owed in every}]
        return [DutyStanding(agreement.id, one, one.state(now), words.get((one.duty, one.occurrence))) for one in every]

    def _one(self, tx: Connection, agreement: Agreement, duty: str, occurrence: int) -> DutyStanding:
        for standing in self._of(tx, agreement):
            if (standing.owed.duty, standing.owed.occurrence) == (duty, occurrence):
                return standing
        raise NotFound("duty.unknown", "expected a duty that is owed under this agreement by now, got another", hint=_LIST)

    def _open(self, tx: Connection, agreement: Agreement, duty: str, occurrence: int) -> Owed:
        standing = self._one(tx, agreement, duty, occurrence)
        if standing.state is DutyState.FULFILLED:
            raise Conflict("duty.fulfilled", "expected a duty that is still owed, got one that is fulfilled", hint=_LIST)
        return standing.owed

    def _named(self, tx: Connection, agreement: Agreement, duty: str, occurrence: int) -> Owed:
        """A duty of the policy that nothing was kept of yet, owed by what this node knows or not."""
        if (duty, occurrence) in owing_store.of(tx, agreement.id):
            raise Conflict("duty.fulfilled", "expected a duty that was not stated yet, got one that was", hint=_LIST)
        known = {(one.owed.duty, one.owed.occurrence): one.owed for one in self._of(tx, agreement)}
        every = {name: one.action for name, one in every_duty(agreement.policy)}
        if duty not in every or occurrence < 1:
            raise NotFound("duty.unknown", "expected a duty of the agreement's policy, got another", hint=_LIST)
        return known.get((duty, occurrence)) or Owed(duty, every[duty], occurrence, self._clock(), None)

    def _statement(self, agreement: Agreement, one: Owed, *, by: str, words: str) -> dict[str, Any]:
        return {
            "agreement": agreement.id,
            "duty": one.duty,
            "occurrence": one.occurrence,
            "action": one.action.value,
            "by": by,
            "at": iso(self._clock()),
            "words": words,
        }

    def _keep(
        self, tx: Connection, agreement: Agreement, one: Owed, *, statement: Mapping[str, Any], signature: str | None, ground: Ground
    ) -> None:
        """Keep a fulfilment at this node's own time: what a statement says of its time is the assignee's word."""
        now, by = self._clock(), str(statement["by"])
        row = {"agreement": agreement.id, "duty": one.duty, "occurrence": one.occurrence, "at": iso(now), "ground": ground.value, "by": by}
        owing_store.add(tx, {**row, "statement": dict(statement), "signature": signature})
        body = {key: row[key] for key in ("agreement", "duty", "occurrence", "ground", "by")}
        late = one.state(now) is DutyState.OVERDUE
        about = {"product": agreement.product, "action": one.action.value, "late": late, "statement": self._digests.of(dict(statement))}
        self._evidence.append(tx, "duty.fulfilled", agreement.id, {**body, **about})

    def _check_signature(self, agreement: Agreement, statement: Mapping[str, Any], signature: str) -> None:
        consumer = agreement.consumer
        if statement["by"] != consumer or not signs(consumer):
            raise _forged()
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _forged() from error
        if not is_signed_by(public_key_of(consumer), signature=raw, message=_signed(statement, self._digests)):
            raise _forged()


def _told(kept: Mapping[str, Any]) -> Owed:
    """What was stated of a duty that this node itself does not know to be owed."""
    at = from_iso(kept["at"])
    return Owed(kept["duty"], DutyAction(kept["statement"]["action"]), kept["occurrence"], at, None, at, Ground(kept["ground"]))


def _signed(statement: Mapping[str, Any], digests: Digests) -> bytes:
    return _LABEL + digests.of(dict(statement)).encode()


def _parse(document: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    statement, signature = document.get("statement"), document.get("signature")
    texts = _KEYS - {"occurrence"}
    if (
        not isinstance(statement, dict)
        or set(statement) != _KEYS
        or not all(isinstance(statement[key], str) for key in texts)
        or type(statement["occurrence"]) is not int
        or not isinstance(signature, str)
    ):
        raise Invalid("duty.statement", "expected a statement with its signature, got another document", hint=_ASK)
    _check(statement["words"])
    try:
        from_iso(statement["at"])
        canonical(statement)
    except (ValueError, OverflowError) as error:
        raise Invalid("duty.statement", "expected a statement that can be signed, got another document", hint=_ASK) from error
    return statement, signature


def _check(words: str) -> None:
    if not 1 <= len(words.strip()) <= MAX_WORDS:
        raise Invalid("duty.words", f"expected 1 to {MAX_WORDS} characters that say what was done, got another number", hint=_WORDS)


def _not_yours(role: str) -> Denied:
    return Denied("duty.role", f"expected the agreement's {role}, got another party", hint=_ASK)


def _forged() -> Denied:
    return Denied("duty.signature", "expected the assignee's signature over this very statement, got another", hint=_ASK)


_LIST = Text("List what is owed with 'chengshu duty list'.", "用 chengshu duty list 查看应履行的义务。")
_EVENTS = Text("List events with 'chengshu event list'.", "用 chengshu event list 查看正在发生的事件。")
_WORDS = Text("Say it in a sentence.", "请用一句话说明。")
_ASK = Text("The assignee makes it with 'chengshu duty state'.", "由使用方用 chengshu duty state 生成。")
