"""One step of a negotiation inside a caller's transaction: decided, kept, proved, and what follows put into the outbox."""

from dataclasses import replace

from sqlalchemy import Connection

from chengshu.contract import store
from chengshu.contract.decision import (
    AGREEMENT_KNOWN,
    Decide,
    Objections,
    ask_for,
    concede,
    draft_agreement,
    grant,
    make_offer,
    names_others,
    refuse_agreement,
    refuse_signature,
    signature_of,
)
from chengshu.contract.entries import signed_entry, step_entry
from chengshu.contract.lives import Lives
from chengshu.contract.lookup import found, no_product
from chengshu.contract.model import (
    EVIDENCE,
    Accept,
    Agree,
    Agreement,
    Content,
    Document,
    Finalize,
    Negotiation,
    Offer,
    Propose,
    Request,
    State,
    Terminate,
    Verify,
    advance,
    to_json,
)
from chengshu.contract.ports import Datasets, Evidence
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import Conflict
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.policy.odrl import REPLACES, from_odrl
from chengshu.policy.odrl import content as policy_content

SEND = "contract.send"
"""The kind of task that sends one message to the counterparty."""

SEND_LAST = "contract.send-last"
"""The kind of task that sends the word that an agreement is in force; patient: it cannot be taken back, and the other side waits for it."""


class Steps:
    """What :class:`chengshu.contract.service.Contracts` does within one transaction; it opens none of its own."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        identity: Identity,
        evidence: Evidence,
        datasets: Datasets,
        clock: Clock,
        new_id: NewId,
        digests: Digests,
        decide: Decide,
        lives: Lives,
    ) -> None:
        self._tasks = tasks
        self._identity = identity
        self._evidence = evidence
        self._datasets = datasets
        self._clock = clock
        self._new_id = new_id
        self._digests = digests
        self._decide = decide
        self._lives = lives

    def offer(self, tx: Connection, dataset: str) -> Offer | None:
        """Return this node's own offer for a product as its policy stands, or None where there is no such product."""
        policy = self._datasets.policy_of(tx, dataset)
        return None if policy is None else make_offer(dataset, policy, assigner=self._identity.did, digests=self._digests)

    def proposal(self, tx: Connection, dataset: str, policy: Document | None) -> Document:
        """Return our offer for a product as a message carries it, under ``policy`` or else as the catalog has it; raises NotFound."""
        ours = self.offer(tx, dataset)
        if ours is None:
            raise no_product()
        if policy is not None:
            from_odrl(policy)
            ours = make_offer(dataset, policy, assigner=self._identity.did, digests=self._digests)
        return {**ours.document, "target": dataset}

    def counter(self, tx: Connection, negotiation: Negotiation, policy: Document | None) -> Request | Propose:
        """Return our side's answer with other terms; a consumer's names the offer that it answers. Raises NotFound, Invalid."""
        if negotiation.role is Role.PROVIDER:
            return Propose(self.proposal(tx, negotiation.dataset, policy), callback=None)
        return ask_for(negotiation, policy)

    def open(
        self, tx: Connection, role: Role, *, counterparty: str, content: Request | Propose, peer_pid: str | None = None
    ) -> Negotiation:
        """Keep a new negotiation that ``content`` opens; ``peer_pid`` is None where we open it."""
        now = self._clock()
        negotiation = Negotiation(
            id=self._new_id(),
            role=role,
            counterparty=counterparty,
            peer_pid=peer_pid,
            callback=content.callback if peer_pid is not None else None,
            offer=content.offer,
            state=State.REQUESTED if isinstance(content, Request) else State.OFFERED,
            agreement_id=None,
            code=None,
            reasons=(),
            created_at=now,
            updated_at=now,
            replaces=content.replaces,
            is_replacing_known=peer_pid is not None and content.replaces is not None,
        )
        store.add_negotiation(tx, negotiation, offer=self._digests.of(dict(negotiation.offer)))
        self._log(tx, negotiation, content)
        return negotiation

    def react(self, tx: Connection, negotiation: Negotiation, content: Content, *, before: Negotiation | None = None) -> None:
        """Keep what came and, unless every step is its operator's, decide on it and put our answer into the outbox.

        Raises Conflict where an agreement's id is in use and nobody but its sender can mend that.
        """
        refused = self._keep(tx, negotiation, content)
        if self._decide is Decide.AUTOMATIC:
            self._answer(tx, negotiation, content, refused, before)
        elif refused is not None:
            raise Conflict(f"negotiation.{refused.rule}", refused.message, hint=refused.would_pass)

    def _keep(self, tx: Connection, negotiation: Negotiation, content: Content) -> Refused | None:
        match content:
            case Agree(document, signature):
                agreement = Agreement(str(document["@id"]), negotiation.id, document, signature, None)
                if not store.add_agreement(tx, agreement, digest=agreement.digest(self._digests)):
                    return AGREEMENT_KNOWN
            case Verify(signature):
                store.save_consumer_signature(tx, str(negotiation.agreement_id), signature)
            case Request() | Propose():
                return self.refuse_replacing(tx, negotiation)
        return None

    def _answer(
        self, tx: Connection, negotiation: Negotiation, content: Content, refused: Refused | None, before: Negotiation | None
    ) -> None:
        """Take the step that follows, or end the negotiation with what is against it."""
        outcome = refused if refused is not None else self._next(tx, negotiation, content, before)
        if isinstance(outcome, Refused):
            self._end(tx, negotiation, outcome)

    def _next(self, tx: Connection, negotiation: Negotiation, content: Content, before: Negotiation | None) -> Negotiation | Refused | None:
        """Take the step that follows; some messages leave the decision to a person, or end the matter."""
        match content:
            case Request():
                return self.agree(tx, negotiation, grant(negotiation.offer, self._ours(tx, negotiation), consumer=negotiation.counterparty))
            case Accept():
                return self.agree(tx, negotiation, self.conceded(tx, negotiation))
            case Propose(offer) if before is not None and _same(before.offer, offer):
                return self.say(tx, negotiation, Accept())
            case Agree():
                return self.verify(tx, negotiation)
            case Verify():
                return self.finalize(tx, negotiation)
            case Propose() | Finalize() | Terminate():
                return None

    def conceded(self, tx: Connection, negotiation: Negotiation) -> Offer | Refused:
        """Return the offer on the table as the provider may agree to it, or why it may not.

        Raises Conflict where agreeing does not follow from the state, and Invalid for terms unknown here.
        """
        self.check(negotiation, Agree({"@id": ""}, None))
        return concede(negotiation.offer, self._ours(tx, negotiation), consumer=negotiation.counterparty)

    def agree(self, tx: Connection, negotiation: Negotiation, offer: Offer | Refused) -> Negotiation | Refused:
        """Send the signed agreement on ``offer``, or return why there is none; raises Conflict where it does not follow."""
        if isinstance(offer, Refused):
            return offer
        ended = self.refuse_replacing(tx, negotiation)
        if ended is not None:
            return ended
        document = draft_agreement(negotiation, offer, agreement_id=self._new_id(), at=self._clock())
        draft = Agreement(document["@id"], negotiation.id, document, provider_signature=None, consumer_signature=None)
        signed = replace(draft, provider_signature=signature_of(draft, self._identity.signer, digests=self._digests))
        moved = self.say(tx, negotiation, Agree(document, signed.provider_signature))
        store.add_agreement(tx, signed, digest=signed.digest(self._digests))
        return moved

    def verify(self, tx: Connection, negotiation: Negotiation, objections: Objections = Objections.STAND) -> Negotiation | Refused:
        """Confirm and sign the agreement that came, or return what there is against it; raises Conflict where it does not follow.

        With objections set aside, other rules or another product than asked for are signed as they came, unless this node does not
        understand them (Invalid); a wrong signature is never set aside. An agreement between others than the two who negotiate is
        confirmed at most: it is neither signed nor kept, and allows nobody anything.
        """
        self.check(negotiation, Verify(None))
        agreement, _ = found(store.get_agreement(tx, str(negotiation.agreement_id)))
        refused = refuse_agreement(negotiation, agreement, consumer=self._identity.did, digests=self._digests)
        ended = self.refuse_replacing(tx, negotiation)
        if ended is not None:
            return ended
        if refused is not None and objections is Objections.STAND:
            return refused
        if names_others(negotiation, agreement, consumer=self._identity.did):
            store.remove_agreement(tx, negotiation.id)
            return self.say(tx, negotiation, Verify(None))
        from_odrl(agreement.document)
        forged = refuse_signature(agreement, agreement.provider_signature, signer=agreement.provider, digests=self._digests)
        if forged is not None:
            return forged
        signature = signature_of(agreement, self._identity.signer, digests=self._digests)
        store.save_consumer_signature(tx, agreement.id, signature)
        self._log_signed(tx, replace(agreement, consumer_signature=signature))
        named = agreement.document.get(REPLACES)
        return self.say(tx, negotiation, Verify(signature, replaces=named if isinstance(named, str) else None))

    def finalize(self, tx: Connection, negotiation: Negotiation) -> Negotiation | Refused:
        """Put the agreement into force that the consumer confirmed, or return why not; raises Conflict where it does not follow."""
        self.check(negotiation, Finalize())
        agreement, _ = found(store.get_agreement(tx, str(negotiation.agreement_id)))
        forged = refuse_signature(agreement, agreement.consumer_signature, signer=agreement.consumer, digests=self._digests)
        refused = forged or self.refuse_replacing(tx, negotiation)
        if refused is not None:
            return refused
        self._log_signed(tx, agreement)
        return self.say(tx, negotiation, Finalize())

    def refuse_replacing(self, tx: Connection, negotiation: Negotiation) -> Refused | None:
        """Return why the agreement under negotiation cannot take the place of the one that it is to replace; None where it can."""
        return None if negotiation.replaces is None else self._lives.refuse_replacing(tx, negotiation.replaces, negotiation)

    def _ours(self, tx: Connection, negotiation: Negotiation) -> Offer | None:
        return self.offer(tx, negotiation.dataset)

    def _end(self, tx: Connection, negotiation: Negotiation, refused: Refused) -> None:
        if negotiation.state is State.AGREED:
            store.remove_agreement(tx, negotiation.id)
        reasons = (refused.message, refused.would_pass.en, refused.would_pass.zh)
        self.say(tx, negotiation, Terminate(refused.rule, reasons))

    def say(self, tx: Connection, negotiation: Negotiation, content: Content) -> Negotiation:
        """Take a step of our own: keep it, prove it, and put the message into the outbox; raises Conflict where it does not follow."""
        moved = self.move(tx, negotiation, content, by=negotiation.role)
        self.post(tx, moved, content)
        return moved

    def post(self, tx: Connection, negotiation: Negotiation, content: Content) -> None:
        """Put a message into the outbox, with an id by which its repeats are known; it is sent after the transaction."""
        name = self._identity.get(negotiation.counterparty).name_en
        payload = {"negotiation": negotiation.id, "content": to_json(content), "message": self._new_id()}
        kind = SEND_LAST if isinstance(content, Finalize) else SEND
        self._tasks.defer(tx, kind, payload, lane=negotiation.id, waits_for=name)

    def move(self, tx: Connection, negotiation: Negotiation, content: Content, *, by: Role) -> Negotiation:
        """Keep and prove the step that ``content`` from the side ``by`` is; raises Conflict where it does not follow from the state."""
        moved = self.check(negotiation, content, by=by)
        offer = self._digests.of(dict(moved.offer)) if isinstance(content, Request | Propose) else None
        store.save_negotiation(tx, moved, offer=offer)
        self._log(tx, moved, content)
        if moved.state is State.FINALIZED:
            self._lives.supersede(tx, moved)
        return moved

    def check(self, negotiation: Negotiation, content: Content, *, by: Role | None = None) -> Negotiation:
        """Return what the step that ``content`` is leads to, ours where nobody is named; raises Conflict where it does not follow."""
        moved = advance(negotiation, content, by=by or negotiation.role, at=self._clock())
        if isinstance(moved, Refused):
            raise Conflict(f"negotiation.{moved.rule}", moved.message, hint=moved.would_pass)
        return moved

    def digest_of(self, content: Content, message_id: str | None) -> str:
        """Return what a message that came is known again by.

        Offers go to and fro: there, its words alone do not tell a repeat from the same words said a second time, but the sender's id of
        the message does. Everything else is said once in a negotiation, under whatever id.
        """
        again = isinstance(content, Request | Propose) and content.callback is None and message_id is not None
        return self._digests.of(to_json(content) | ({"message": message_id} if again else {}))

    def remember(self, tx: Connection, negotiation: Negotiation, content: Content, message: str) -> bool:
        """Keep the digest ``message`` of what came; return False for a repeat, of which it is kept already."""
        return store.add_received(tx, negotiation.id, message=message, kind=type(content).__name__, at=self._clock())

    def _log(self, tx: Connection, negotiation: Negotiation, content: Content) -> None:
        self._evidence.append(tx, EVIDENCE[type(content)], negotiation.id, step_entry(negotiation, content, digests=self._digests))

    def _log_signed(self, tx: Connection, agreement: Agreement) -> None:
        self._evidence.append(tx, "agreement.signed", agreement.id, signed_entry(agreement, digests=self._digests))


def _same(one: Document, other: Document) -> bool:
    """Whether two offers are on the same product and have equal rules."""
    return one["target"] == other["target"] and canonical(policy_content(one)) == canonical(policy_content(other))
