"""The verbs of an agreement's life: terminate, renew, amend, take the counterparty's termination, say how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from chengshu.contract import life_store, store
from chengshu.contract.decision import make_offer
from chengshu.contract.life import Life, Phase, Supersession, Termination, termination_from
from chengshu.contract.life_store import Told
from chengshu.contract.lives import Lives
from chengshu.contract.lookup import found
from chengshu.contract.model import Agreement, Document, State
from chengshu.contract.ports import Evidence, Heralds
from chengshu.contract.replacing import check_amendment, check_renewal, prolonged
from chengshu.contract.service import Contracts
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, NotFound, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Handler, OnFailed, Tasks
from chengshu.kernel.text import Text
from chengshu.policy.odrl import content

TELL = "contract.tell-termination"
"""The kind of task that tells the counterparty of a termination; patient: the other side may be away for days."""

MAX_CODE = 64
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agreement stands, what is still owed under it, and for whom our word waits and why (None: for nobody)."""

    life: Life
    due: tuple[str, ...]
    waits_for: str | None
    why: Text | None


class Agreements:
    """Ends agreements and says how they stand; every step is one transaction with its evidence, and the counterparty is told afterwards."""

    def __init__(
        self,
        database: Database,
        *,
        tasks: Tasks,
        identity: Identity,
        evidence: Evidence,
        contracts: Contracts,
        heralds: Heralds,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._identity = identity
        self._contracts = contracts
        self._lives = Lives(own_id=identity.did, evidence=evidence, digests=digests, clock=clock)
        self._heralds = heralds
        self._digests = digests
        self._clock = clock

    # --- ending one -----------------------------------------------------------------------------------------------------------------

    def terminate(self, agreement_id: str, *, code: str, reason: str) -> Standing:
        """End an agreement with a code and a reason that the counterparty is told; uses end now, duties that arose stay owed.

        Raises NotFound where there is none, Conflict where it is not concluded or has ended, Invalid for a code or reason that is none.
        """
        _check_words(code, reason)
        with self._database.write() as tx:
            agreement, state = found(store.get_agreement(tx, agreement_id))
            life = self._lives.of(tx, agreement, state)
            refused = life.refusal()
            if refused is not None and life.phase is not Phase.NOT_YET_VALID:
                raise Conflict(f"contract.{refused.rule}", refused.message, hint=_NOTHING_TO_END, facts=refused.facts)
            termination = Termination(agreement_id, self._identity.did, self._clock(), code, (" ".join(reason.split()),))
            self._lives.terminate(tx, agreement, termination)
            name = self._identity.get(self._counterparty(agreement)).name_en
            self._tasks.defer(tx, TELL, termination.as_document(), lane=agreement_id, waits_for=name)
            return self._standing(tx, agreement, state)

    def receive_termination(self, sender: str, termination: Termination) -> Life:
        """Take ``sender``'s word that it ended an agreement, and return how the agreement stands; a repeat changes nothing.

        What crossed it on the way does not matter: both sides keep every end they know of. Raises NotFound for an agreement that is not
        ``sender``'s, Conflict for another word than its first, Unavailable where our own copy is not concluded yet.
        """
        with self._database.write() as tx:
            agreement, state = self._shared(tx, sender, termination.agreement)
            known = [one for one in life_store.of(tx, agreement.id) if isinstance(one, Termination) and one.by == sender]
            if known and known[0] != termination:
                raise Conflict("contract.other-termination", "expected the termination first sent, got another", hint=_FIRST_WORD)
            if state is not State.FINALIZED:
                raise Unavailable(
                    "contract.not-concluded",
                    f"expected an agreement in state {State.FINALIZED}, got {state}",
                    hint=Text("Send it again once the negotiation is final here.", "请在本方协商完成后重新发送。"),
                )
            if not known:
                self._lives.terminate(tx, agreement, termination)
            return self._lives.of(tx, agreement, state)

    # --- replacing one --------------------------------------------------------------------------------------------------------------

    def renew(self, agreement_id: str, *, offer: Document | None = None, until: datetime | None = None) -> str:
        """Negotiate the same terms with a later end, as ``offer`` has it or until ``until``; return the negotiation's id.

        Once it is final the old agreement is superseded on both sides. Without either the provider's own present offer is taken. Raises
        NotFound where there is none, Conflict where it has been ended or replaced, or where the terms are others or end no later.
        """
        agreement = self._contracts.agreement(agreement_id)
        document = prolonged(agreement, until=until) if until is not None else self._offer(agreement, offer)
        check_renewal(agreement, document)
        return self._replace(agreement, document)

    def amend(self, agreement_id: str, *, offer: Document | None = None) -> str:
        """Negotiate other terms, as ``offer`` has them; return the negotiation's id. Otherwise as :meth:`renew`."""
        agreement = self._contracts.agreement(agreement_id)
        document = self._offer(agreement, offer)
        check_amendment(agreement, document)
        return self._replace(agreement, document)

    def _offer(self, agreement: Agreement, offer: Document | None) -> Document:
        if offer is not None:
            return offer
        with self._database.read() as tx:
            offers = self._contracts.offers_for(tx, agreement.product, audience=agreement.consumer)
        if agreement.provider != self._identity.did or not offers:
            raise NotFound("contract.no-offer", "expected an offer on the agreement's product, got none", hint=_NO_OFFER)
        return offers[0].document

    def _replace(self, agreement: Agreement, document: Document) -> str:
        if agreement.provider == self._identity.did:
            about = {"dataset": agreement.product, "replaces": agreement.id}
            return self._contracts.offer(agreement.consumer, policy=content(document), **about)
        named = make_offer(agreement.product, document, assigner=agreement.provider, digests=self._digests).document
        offer = document if isinstance(document.get("@id"), str) else named
        return self._contracts.request(agreement.provider, dataset=agreement.product, offer=offer, replaces=agreement.id)

    # --- time -----------------------------------------------------------------------------------------------------------------------

    def expire(self) -> list[str]:
        """Record which agreements have run out since this was last asked, and return their ids."""
        due = self.next_expiry()
        if due is None or due >= self._clock():
            return []
        with self._database.write() as tx:
            return self._lives.expire(tx)

    def next_expiry(self) -> datetime | None:
        """Return when the next of the agreements that nothing has ended runs out, None where none does."""
        with self._database.read() as tx:
            due = life_store.next_to_expire(tx)
        return None if due is None else due[1]

    # --- for whatever runs under one ------------------------------------------------------------------------------------------------

    def ended(self, tx: Connection, agreement_id: str) -> Refused | None:
        """Return what ended an agreement, in the caller's transaction; None where nothing has, or there is none."""
        row = store.get_agreement(tx, agreement_id)
        life = None if row is None else self._lives.of(tx, *row)
        return life.refusal() if life is not None and life.phase.ended else None

    def untold(self, tx: Connection, agreement_id: str) -> Refused | None:
        """Return what ended an agreement where no message of ours tells the counterparty so, and none of its own will; else None."""
        row = store.get_agreement(tx, agreement_id)
        life = None if row is None else self._lives.of(tx, *row)
        if life is None:
            return None
        one_sided = isinstance(life.ending, Supersession) and not life.ending.is_mutual
        deaf = life_store.told(tx, agreement_id, by=self._identity.did) in {Told.NOT_UNDERSTOOD, Told.REFUSED}
        return life.refusal() if one_sided or deaf else None

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def standing(self, agreement_id: str) -> Standing:
        """Return how an agreement stands; raise NotFound where there is none."""
        with self._database.read() as tx:
            return self._standing(tx, *found(store.get_agreement(tx, agreement_id)))

    def standings(self) -> list[Standing]:
        """Return how every agreement that was ever concluded stands, oldest first."""
        with self._database.read() as tx:
            return [self._judged(tx, life) for life in self._lives.every(tx) if life.phase is not Phase.NOT_CONCLUDED]

    def seen_by(self, sender: str, agreement_id: str) -> Life:
        """Return how an agreement stands for its counterparty; raise NotFound for anyone else, with the same words."""
        with self._database.read() as tx:
            return self._lives.of(tx, *self._shared(tx, sender, agreement_id))

    # --- telling the counterparty ---------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {TELL: self.tell}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {TELL: self.failed}

    def tell(self, payload: Mapping[str, Any]) -> None:
        """Tell the counterparty of a termination; sending it twice does no harm. Raises as :class:`chengshu.contract.ports.Peers`."""
        termination = termination_from(payload)
        with self._database.read() as tx:
            agreement, _ = found(store.get_agreement(tx, termination.agreement))
        is_understood = self._heralds.tell(self._counterparty(agreement), termination)
        self._save_told(termination, Told.TOLD if is_understood else Told.NOT_UNDERSTOOD)

    def failed(self, payload: Mapping[str, Any], _error: ChengshuError) -> None:
        """Record that the counterparty would not take our word; the agreement has ended here all the same."""
        self._save_told(termination_from(payload), Told.REFUSED)

    def _save_told(self, termination: Termination, told: Told) -> None:
        with self._database.write() as tx:
            life_store.save_told(tx, termination.agreement, by=termination.by, told=told)

    # --- inside a transaction -------------------------------------------------------------------------------------------------------

    def _shared(self, tx: Connection, sender: str, agreement_id: str) -> tuple[Agreement, State]:
        row = store.get_agreement(tx, agreement_id)
        is_theirs = row is not None and sender != self._identity.did and sender in {row[0].provider, row[0].consumer}
        return found(row if is_theirs else None)

    def _counterparty(self, agreement: Agreement) -> str:
        return agreement.consumer if agreement.provider == self._identity.did else agreement.provider

    def _standing(self, tx: Connection, agreement: Agreement, state: State) -> Standing:
        return self._judged(tx, self._lives.of(tx, agreement, state))

    def _judged(self, tx: Connection, life: Life) -> Standing:
        due = due_of(life.agreement)
        if isinstance(life.ending, Supersession) and not life.ending.is_mutual:
            return Standing(life, due, None, _ONE_SIDED)
        told = life_store.told(tx, life.agreement.id, by=self._identity.did) if life.phase is Phase.TERMINATED else None
        if told in {None, Told.TOLD}:
            return Standing(life, due, None, None)
        if told is not Told.WAITING:
            return Standing(life, due, None, _NOT_UNDERSTOOD if told is Told.NOT_UNDERSTOOD else _REFUSED)
        head = next((task for task in self._tasks.waiting(tx, lane=life.agreement.id) if task.kind == TELL), None)
        attempts, last = (0, "-") if head is None else (head.attempts, head.last_error or "-")
        why = Text(f"not told yet ({attempts} attempts; last: {last})", f"对方尚未收到（{attempts} 次尝试；最近：{last}）")
        return Standing(life, due, self._identity.get(self._counterparty(life.agreement)).name_en, why)


def due_of(agreement: Agreement) -> tuple[str, ...]:
    """Return the names of the duties that an agreement lays on its consumer: they stay owed after its end for what was used."""
    try:
        return tuple(sorted({duty.action.value for _, duty in agreement.policy.owing()}))
    except Invalid:  # a policy of an older form, which nothing is allowed under any more
        return ()


def _check_words(code: str, reason: str) -> None:
    if not 0 < len(code) <= MAX_CODE or not all(one.islower() or one.isdigit() or one == "-" for one in code) or not code.isascii():
        raise Invalid(
            "contract.termination-code",
            f"expected a code of 1 to {MAX_CODE} small letters, digits and hyphens, got another text",
            hint=Text("For example: purpose-ended, breach, not-needed.", "例如：purpose-ended、breach、not-needed。"),
        )
    if not 0 < len(reason.strip()) <= MAX_REASON or not reason.isprintable():
        raise Invalid(
            "contract.termination-reason",
            f"expected a reason of 1 to {MAX_REASON} printable characters, got another text",
            hint=Text("Say in a sentence why the agreement ends.", "请用一句话说明终止原因。"),
        )


_NOTHING_TO_END = Text("Look at it with 'chengshu contract show ID'.", "用 chengshu contract show ID 查看。")
_NO_OFFER = Text("Read the holder's catalogue and pass one of its offers.", "请读取持有方目录并使用其中的报价。")
_FIRST_WORD = Text("An agreement is ended once; the first word counts.", "合约只能终止一次，以首次通知为准。")
_ONE_SIDED = Text(
    "the counterparty did not say that it knows of the replacement: for it the old agreement may still be in force",
    "对方未表示知晓替换：对其而言旧合约可能仍然有效",
)
_NOT_UNDERSTOOD = Text(
    "the counterparty's connector has no message for this: it is told by the end of every transfer under the agreement",
    "对方连接器没有此类消息：以终止该合约下全部传输的方式告知",
)
_REFUSED = Text("the counterparty refused to take the message; the agreement has ended here", "对方拒绝接收该消息；本方合约已终止")
