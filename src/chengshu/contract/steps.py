"""One step of a negotiation inside a caller's transaction: decided, kept, proved, and what follows put into the outbox."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from chengshu.contract import store
from chengshu.contract.decision import (
    draft_agreement,
    grant,
    make_offer,
    refuse_agreement,
    refuse_signature,
    signature_of,
)
from chengshu.contract.model import (
    EVIDENCE,
    Accept,
    Agree,
    Agreement,
    Content,
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
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.policy.odrl import content as policy_content

SEND = "contract.send"
"""The kind of task that sends one message to the counterparty."""


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
    ) -> None:
        self._tasks = tasks
        self._identity = identity
        self._evidence = evidence
        self._datasets = datasets
        self._clock = clock
        self._new_id = new_id
        self._digests = digests

    def offer(self, tx: Connection, dataset: str) -> Offer | None:
        """Return this node's own offer for a product as its policy stands, or None where there is no such product."""
        policy = self._datasets.policy_of(tx, dataset)
        return None if policy is None else make_offer(dataset, policy, assigner=self._identity.did, digests=self._digests)

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
        )
        store.add_negotiation(tx, negotiation, offer=self._digests.of(dict(negotiation.offer)))
        self._log(tx, negotiation, content)
        return negotiation

    def react(self, tx: Connection, negotiation: Negotiation, content: Content, *, before: Negotiation | None = None) -> None:
        """Decide on what came and put our answer into the outbox; some messages leave the decision to a person, or end the matter."""
        match content:
            case Request() | Accept():
                self._decide(tx, negotiation)
            case Propose(offer):
                if before is not None and canonical(policy_content(before.offer)) == canonical(policy_content(offer)):
                    self.say(tx, negotiation, Accept())
            case Agree():
                self._examine(tx, negotiation, content)
            case Verify(signature):
                self._conclude(tx, negotiation, signature)
            case Finalize() | Terminate():
                pass

    def _decide(self, tx: Connection, negotiation: Negotiation) -> None:
        ours = self.offer(tx, negotiation.dataset)
        offer = grant(negotiation.offer, ours, consumer=negotiation.counterparty)
        if isinstance(offer, Refused):
            self._end(tx, negotiation, offer)
            return
        document = draft_agreement(negotiation, offer, agreement_id=self._new_id(), at=self._clock())
        draft = Agreement(document["@id"], negotiation.id, document, provider_signature=None, consumer_signature=None)
        signed = replace(draft, provider_signature=signature_of(draft, self._identity.signer, digests=self._digests))
        store.add_agreement(tx, signed, digest=signed.digest(self._digests))
        self.say(tx, negotiation, Agree(document, signed.provider_signature))

    def _examine(self, tx: Connection, negotiation: Negotiation, content: Agree) -> None:
        agreement = Agreement(str(content.agreement["@id"]), negotiation.id, content.agreement, content.signature, None)
        refused = refuse_agreement(negotiation, agreement, consumer=self._identity.did, digests=self._digests)
        signature = signature_of(agreement, self._identity.signer, digests=self._digests)
        signed = replace(agreement, consumer_signature=signature)
        if refused is None and not store.add_agreement(tx, signed, digest=signed.digest(self._digests)):
            refused = Refused(
                "agreement-known",
                "expected an agreement id that is new here, got one in use",
                would_pass=Text("An agreement with an id of its own.", "使用全新标识的合约。"),
            )
        if refused is not None:
            self._end(tx, negotiation, refused)
            return
        self._log_signed(tx, signed)
        self.say(tx, negotiation, Verify(signature))

    def _conclude(self, tx: Connection, negotiation: Negotiation, signature: str | None) -> None:
        agreement, _ = found(store.get_agreement(tx, str(negotiation.agreement_id)))
        refused = refuse_signature(agreement, signature, signer=agreement.consumer, digests=self._digests)
        if refused is not None:
            self._end(tx, negotiation, refused)
            return
        store.save_consumer_signature(tx, agreement.id, signature)
        self._log_signed(tx, replace(agreement, consumer_signature=signature))
        self.say(tx, negotiation, Finalize())

    def _end(self, tx: Connection, negotiation: Negotiation, refused: Refused) -> None:
        reasons = (refused.message, refused.would_pass.en, refused.would_pass.zh)
        self.say(tx, negotiation, Terminate(refused.rule, reasons))

    def say(self, tx: Connection, negotiation: Negotiation, content: Content) -> Negotiation:
        """Take a step of our own: keep it, prove it, and put the message into the outbox; raises Conflict where it does not follow."""
        moved = self.move(tx, negotiation, content, by=negotiation.role)
        self.post(tx, moved, content)
        return moved

    def post(self, tx: Connection, negotiation: Negotiation, content: Content) -> None:
        """Put a message into the outbox: it is sent after the transaction."""
        name = self._identity.get(negotiation.counterparty).name_en
        payload = {"negotiation": negotiation.id, "content": to_json(content)}
        self._tasks.defer(tx, SEND, payload, lane=negotiation.id, waits_for=name)

    def move(self, tx: Connection, negotiation: Negotiation, content: Content, *, by: Role) -> Negotiation:
        """Keep and prove the step that ``content`` from the side ``by`` is; raises Conflict where it does not follow from the state."""
        moved = advance(negotiation, content, by=by, at=self._clock())
        if isinstance(moved, Refused):
            raise Conflict(f"negotiation.{moved.rule}", moved.message, hint=moved.would_pass)
        store.save_negotiation(tx, moved, offer=self._digests.of(dict(moved.offer)))
        self._log(tx, moved, content)
        return moved

    def remember(self, tx: Connection, negotiation: Negotiation, content: Content) -> None:
        """Keep the digest of a message that came, so that its repeat is recognised."""
        message = self._digests.of(to_json(content))
        store.add_received(tx, negotiation.id, message=message, kind=type(content).__name__, at=self._clock())

    def _log(self, tx: Connection, negotiation: Negotiation, content: Content) -> None:
        body: dict[str, Any] = {
            "negotiation": negotiation.id,
            "role": negotiation.role.value,
            "counterparty": negotiation.counterparty,
            "product": negotiation.dataset,
            "state": negotiation.state.value,
            "message": self._digests.of(to_json(content)),
        }
        if negotiation.peer_pid is not None:
            body["peer_pid"] = negotiation.peer_pid
        if negotiation.agreement_id is not None:
            body["agreement"] = negotiation.agreement_id
        if negotiation.code is not None:
            body["code"] = negotiation.code
        self._evidence.append(tx, EVIDENCE[type(content)], negotiation.id, body)

    def _log_signed(self, tx: Connection, agreement: Agreement) -> None:
        body: dict[str, Any] = {
            "agreement": agreement.id,
            "product": agreement.product,
            "policy_digest": agreement.policy_digest(self._digests),
            "provider": agreement.provider,
            "consumer": agreement.consumer,
        }
        if agreement.unsigned_by:
            body["unsigned"] = agreement.unsigned_by[0]
        self._evidence.append(tx, "agreement.signed", agreement.id, body)


def own(tx: Connection, negotiation_id: str) -> Negotiation:
    """Return the negotiation with our id; raise NotFound where there is none."""
    negotiation = store.get_negotiation(tx, negotiation_id)
    if negotiation is None:
        raise _unknown()
    return negotiation


def shared(tx: Connection, sender: str, own_pid: str) -> Negotiation:
    """Return the negotiation with our id if ``sender`` is its counterparty; raise NotFound otherwise, with the same words."""
    negotiation = store.get_negotiation(tx, own_pid)
    if negotiation is None or negotiation.counterparty != sender:
        raise _unknown()
    return negotiation


def with_peer(tx: Connection, negotiation: Negotiation, peer_pid: str) -> Negotiation:
    """Return the negotiation with the counterparty's pid, learnt here where its message overtakes its answer to ours; raises Invalid."""
    if negotiation.peer_pid == peer_pid:
        return negotiation
    taken = store.find_negotiation(tx, negotiation.counterparty, role=negotiation.role, peer_pid=peer_pid)
    if negotiation.peer_pid is not None or taken is not None:
        raise Invalid(
            "negotiation.pid",
            "expected the pid that the counterparty gave this negotiation, got another",
            hint=Text("Send the pid that the first answer named.", "请使用首次应答中给出的流程标识。"),
        )
    known = replace(negotiation, peer_pid=peer_pid)
    store.save_peer_pid(tx, negotiation.id, peer_pid)
    return known


def found(row: tuple[Agreement, State] | None) -> tuple[Agreement, State]:
    """Return the agreement that was looked for; raise NotFound where there is none."""
    if row is None:
        raise NotFound(
            "contract.agreement-unknown",
            "expected the id of an agreement of this node, got one that is not here",
            hint=Text("List the agreements that are in force.", "请查看当前有效的合约。"),
        )
    return row


def _unknown() -> NotFound:
    return NotFound(
        "negotiation.unknown",
        "expected the id of a negotiation between these two parties, got one that is not",
        hint=Text("Check the pid and who is asking.", "请核对流程标识与请求方。"),
    )
