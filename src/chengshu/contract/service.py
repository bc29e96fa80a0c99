"""The contract room's verbs: offer, request, receive, agree, terminate; and leave for one use under an agreement."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from chengshu.contract import store
from chengshu.contract.decision import ENDED_BY_OPERATOR, Decide, Objections, check_code, make_offer
from chengshu.contract.life import Life, Phase
from chengshu.contract.lives import Lives
from chengshu.contract.lookup import NEGOTIATIONS, found, not_their_address, pid_in_use
from chengshu.contract.model import (
    Accept,
    Agreement,
    Content,
    Document,
    Negotiation,
    Offer,
    Propose,
    Request,
    State,
    Terminate,
)
from chengshu.contract.owing import state_of
from chengshu.contract.ports import Datasets, Evidence
from chengshu.contract.standing import Standing, standing
from chengshu.contract.steps import Steps
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.policy.evaluation import Report, evaluate
from chengshu.policy.model import Place, Use
from chengshu.policy.odrl import from_odrl

NOWHERE: Mapping[str, Place] = {}
"""Nobody said where any party's systems stand."""


class Contracts:
    """Negotiates for this node on either side, keeps what was agreed, and says whether a use is within it.

    Every step is one transaction with its evidence; what has to be said to the counterparty leaves through the outbox afterwards.
    """

    def __init__(
        self,
        database: Database,
        *,
        tasks: Tasks,
        identity: Identity,
        evidence: Evidence,
        datasets: Datasets,
        digests: Digests,
        clock: Clock,
        new_id: NewId,
        decide: Decide = Decide.AUTOMATIC,
        places: Mapping[str, Place] = NOWHERE,
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._identity = identity
        self._places = places
        self._digests = digests
        self._evidence = evidence
        self._lives = Lives(own_id=identity.did, evidence=evidence, digests=digests, clock=clock)
        self._steps = Steps(
            tasks=tasks,
            identity=identity,
            evidence=evidence,
            datasets=datasets,
            clock=clock,
            new_id=new_id,
            digests=digests,
            decide=decide,
            lives=self._lives,
        )

    # --- offers ---------------------------------------------------------------------------------------------------------------------

    def offers_for(self, tx: Connection, dataset: str, *, audience: str) -> list[Offer]:
        """Return the offers for one product that the party ``audience`` may ask for; none where there is no such product.

        Raises Invalid where the product's own policy says something outside the closed list.
        """
        offer = self._steps.offer(tx, dataset)
        return [offer] if offer is not None and offer.policy.admits(audience) else []

    def offer_under(self, dataset: str, policy: Document, *, audience: str) -> Offer | None:
        """Return a product's offer under ``policy``; None where ``audience`` may not ask for it or this node does not understand it."""
        offer = make_offer(dataset, policy, assigner=self._identity.did, digests=self._digests)
        try:
            return offer if offer.policy.admits(audience) else None
        except Invalid:
            return None

    # --- our own steps --------------------------------------------------------------------------------------------------------------

    def request(self, counterparty: str, *, dataset: str, offer: Document, replaces: str | None = None) -> str:
        """Ask ``counterparty`` for the contract that ``offer`` (as its catalog holds it) describes; return the negotiation's id.

        The message is sent afterwards. ``replaces`` is the agreement that the new one is to take the place of. Raises NotFound for a
        party that is not on the trust list, Invalid for an offer that is another's or says something this node does not understand, so
        that nobody signs what they cannot keep, and Conflict for an agreement that cannot be replaced.
        """
        party = self._identity.get(counterparty)
        if not isinstance(offer.get("@id"), str) or offer.get("assigner", counterparty) != counterparty:
            raise Invalid(
                "contract.offer",
                "expected an offer with an @id from the counterparty's own catalog, got another",
                hint=Text("Read the counterparty's catalog and pass one of its offers on unchanged.", "请读取对方目录并原样使用其报价。"),
            )
        from_odrl(offer)
        content = Request(dict(offer) | {"@type": "Offer", "target": dataset}, callback=self._identity.address, replaces=replaces)
        with self._database.write() as tx:
            return self._open(tx, Role.CONSUMER, party.did, content)

    def offer(self, counterparty: str, *, dataset: str, policy: Document | None = None, replaces: str | None = None) -> str:
        """Offer a product of ours to ``counterparty`` unasked, under ``policy`` or else as the catalog has it; return the negotiation's id.

        Raises NotFound for an unknown party or product, Invalid for a policy that this node does not understand, and Conflict for an
        agreement that cannot be replaced.
        """
        party = self._identity.get(counterparty)
        with self._database.write() as tx:
            content = Propose(self._steps.proposal(tx, dataset, policy), callback=self._identity.address, replaces=replaces)
            return self._open(tx, Role.PROVIDER, party.did, content)

    def _open(self, tx: Connection, role: Role, counterparty: str, content: Request | Propose) -> str:
        negotiation = self._steps.open(tx, role, counterparty=counterparty, content=content)
        refused = self._steps.refuse_replacing(tx, negotiation)
        if refused is not None:
            raise Conflict(f"contract.{refused.rule}", refused.message, hint=refused.would_pass)
        self._steps.post(tx, negotiation, content)
        return negotiation.id

    def counter(self, negotiation_id: str, *, policy: Document | None = None) -> Negotiation:
        """Answer with a counter-offer: the consumer asks for ``policy``, the provider proposes it, or else what its catalog has.

        Raises NotFound, Conflict for another state, Invalid for a policy that this node does not understand or where a consumer names none.
        """
        with self._database.write() as tx:
            negotiation = NEGOTIATIONS.own(tx, negotiation_id)
            return self._steps.say(tx, negotiation, self._steps.counter(tx, negotiation, policy))

    def accept(self, negotiation_id: str) -> Negotiation:
        """Accept the provider's offer that waits for our decision; raises NotFound, Conflict for another state, Invalid as request."""
        with self._database.write() as tx:
            negotiation = NEGOTIATIONS.own(tx, negotiation_id)
            from_odrl(negotiation.offer)
            return self._steps.say(tx, negotiation, Accept())

    def agree(self, negotiation_id: str) -> Negotiation | Refused:
        """Agree to the offer on the table, a changed one too, and send the signed agreement; return why where it could not be kept.

        Raises NotFound, Conflict for another state, Invalid for terms that this node does not understand.
        """
        with self._database.write() as tx:
            negotiation = NEGOTIATIONS.own(tx, negotiation_id)
            return self._steps.agree(tx, negotiation, self._steps.conceded(tx, negotiation))

    def verify(self, negotiation_id: str, *, objections: Objections = Objections.STAND) -> Negotiation | Refused:
        """Confirm the provider's agreement with our signature; return what there is against it where that stands.

        Raises NotFound, and Conflict for another state.
        """
        with self._database.write() as tx:
            return self._steps.verify(tx, NEGOTIATIONS.own(tx, negotiation_id), objections)

    def finalize(self, negotiation_id: str) -> Negotiation | Refused:
        """Put the agreement into force that the consumer confirmed; return why not where its signature is wanting.

        Raises NotFound, and Conflict for another state.
        """
        with self._database.write() as tx:
            return self._steps.finalize(tx, NEGOTIATIONS.own(tx, negotiation_id))

    def terminate(self, negotiation_id: str, *, reason: str, code: str = ENDED_BY_OPERATOR) -> Negotiation:
        """End a negotiation and tell the counterparty why; raises NotFound, Conflict where it has ended, Invalid for the code."""
        check_code(code)
        with self._database.write() as tx:
            return self._steps.say(tx, NEGOTIATIONS.own(tx, negotiation_id), Terminate(code, (reason,)))

    # --- the counterparty's steps ---------------------------------------------------------------------------------------------------

    def receive_first(self, sender: str, *, peer_pid: str, content: Request | Propose) -> Negotiation:
        """Open a negotiation that ``sender`` asks for or offers, and return it as it was before we decide on it.

        A repeat of the same message returns the negotiation that it opened. Raises Conflict where ``peer_pid`` is in use for another,
        Invalid for a callback address that is not the sender's own.
        """
        if content.callback is None or not self._identity.may_name(sender, content.callback):
            raise not_their_address()
        role = Role.PROVIDER if isinstance(content, Request) else Role.CONSUMER
        message = self._steps.digest_of(content, None)
        with self._database.write() as tx:
            known = store.find_negotiation(tx, sender, role=role, peer_pid=peer_pid)
            if known is not None and store.has_received(tx, known.id, message):
                return known
            if known is not None:
                raise pid_in_use()
            negotiation = self._steps.open(tx, role, counterparty=sender, content=content, peer_pid=peer_pid)
            self._steps.remember(tx, negotiation, content, message)
            self._steps.react(tx, negotiation, content)
        return negotiation

    def receive(self, sender: str, *, own_pid: str, peer_pid: str, content: Content, message_id: str | None = None) -> Negotiation:
        """Take one message of a negotiation from ``sender`` and return the negotiation as it was before we react.

        A repeat of a message changes nothing; ``message_id`` is its sender's own id of it, where it has one. Raises NotFound for a pid
        that is not ours or not of a negotiation with ``sender``, Invalid where ``peer_pid`` is not the counterparty's, Conflict where the
        message does not follow from the state.
        """
        with self._database.write() as tx:
            negotiation = NEGOTIATIONS.with_peer(tx, NEGOTIATIONS.shared(tx, sender, own_pid), peer_pid)
            if not self._steps.remember(tx, negotiation, content, self._steps.digest_of(content, message_id)):
                return negotiation
            moved = self._steps.move(tx, negotiation, content, by=negotiation.role.other)
            self._steps.react(tx, moved, content, before=negotiation)
        return moved

    def seen_by(self, sender: str, own_pid: str) -> Negotiation:
        """Return the negotiation with our pid for its counterparty; raise NotFound for anyone else."""
        with self._database.read() as tx:
            return NEGOTIATIONS.shared(tx, sender, own_pid)

    # --- what the outbox reports ----------------------------------------------------------------------------------------------------

    def learn(self, tx: Connection, negotiation_id: str, peer_pid: str) -> None:
        """Keep the counterparty's pid that its answer named, in the caller's transaction; raises Invalid where we know another."""
        NEGOTIATIONS.with_peer(tx, NEGOTIATIONS.own(tx, negotiation_id), peer_pid)

    def abandon(self, negotiation_id: str, content: Content, *, error: ChengshuError) -> None:
        """End a negotiation because ``content`` could not be delivered, and try to tell the counterparty where it knows of it."""
        with self._database.write() as tx:
            negotiation = NEGOTIATIONS.own(tx, negotiation_id)
            if not negotiation.state.final and not isinstance(content, Terminate):
                self._steps.say(tx, negotiation, Terminate(error.code, (f"{type(content).__name__} not delivered: {error.message}",)))

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def negotiation(self, negotiation_id: str) -> Negotiation:
        """Return the negotiation with our id; raise NotFound where there is none."""
        with self._database.read() as tx:
            return NEGOTIATIONS.own(tx, negotiation_id)

    def negotiations(self) -> list[Negotiation]:
        """Return every negotiation, oldest first."""
        with self._database.read() as tx:
            return store.every_negotiation(tx)

    def standing(self, negotiation_id: str) -> Standing:
        """Return where a negotiation stands and for whom it waits; raises NotFound where there is none."""
        with self._database.read() as tx:
            negotiation = NEGOTIATIONS.own(tx, negotiation_id)
            unsent = self._tasks.waiting(tx, lane=negotiation_id)
        name = self._identity.get(negotiation.counterparty).name_en
        return standing(negotiation, unsent[0] if unsent else None, own_id=self._identity.did, name=name)

    def agreement(self, agreement_id: str) -> Agreement:
        """Return an agreement, in force or not; raise NotFound where there is none."""
        with self._database.read() as tx:
            return found(store.get_agreement(tx, agreement_id))[0]

    def find(self, tx: Connection, agreement_id: str) -> tuple[Agreement, State] | None:
        """Return an agreement with the state of its negotiation, in the caller's transaction; None where there is none."""
        return store.get_agreement(tx, agreement_id)

    def agreements(self) -> list[Agreement]:
        """Return every agreement that is in force now, oldest first; how the others stand is in :class:`Agreements`."""
        with self._database.read() as tx:
            return [life.agreement for life in self._lives.every(tx) if life.phase is Phase.IN_FORCE]

    # --- use ------------------------------------------------------------------------------------------------------------------------

    def permit_use(self, tx: Connection, agreement_id: str, use: Use, *, counted: bool = False) -> Agreement | Refused:
        """Return the agreement that allows ``use`` now, or the refusal that names the first rule against it.

        An agreement that is not in force allows nothing, and the refusal says who or what ended it. A use that was ``counted`` already is
        one of those that the count allowed. Call it in the transaction that also records the use, so that two uses never share the last
        one of a count. Raises NotFound for an unknown agreement.
        """
        agreement, state = found(store.get_agreement(tx, agreement_id))
        refused = self._lives.of(tx, agreement, state).refusal()
        if refused is not None:
            return refused
        return self.report(tx, agreement, use, counted=counted).refusal() or agreement

    def report(self, tx: Connection, agreement: Agreement, use: Use, *, counted: bool = False) -> Report:
        """Return the whole verdict of an agreement's policy on ``use``, in the caller's transaction; being in force is not in it."""
        at = use if use.place is not None or use.environment is None else replace(use, place=self._places.get(use.environment))
        policy = agreement.policy
        return evaluate(policy, at, state_of(tx, agreement, policy, at=use.at, counted=counted))

    def spent(self, tx: Connection, agreement_id: str) -> int:
        """Return how many uses of an agreement this node, as its holder, has counted; in the caller's transaction."""
        return store.count_uses(tx, agreement_id)

    def lives(self, provider: str) -> list[Life]:
        """Return how every agreement stands by which this node may use products of ``provider``, oldest first, ended ones too."""
        with self._database.read() as tx:
            every = list(self._lives.every(tx))
        return [one for one in every if (one.agreement.provider, one.agreement.consumer) == (provider, self._identity.did)]

    def record_use(self, tx: Connection, agreement_id: str, use: Use) -> int:
        """Count one use of an agreement and return how many there are now; raises NotFound for an unknown agreement.

        What was spent and what is left of the count that the agreement allows is an entry of the log.
        """
        agreement, _ = found(store.get_agreement(tx, agreement_id))
        used = store.add_use(tx, agreement_id, at=use.at, recipient=use.recipient, purpose=use.purpose)
        limit = agreement.policy.most_uses
        left = limit - used if limit is not None else None
        body = {"agreement": agreement_id, "product": agreement.product, "budget": "uses", "spent": 1, "used": used, "left": left}
        self._evidence.append(tx, "budget.spent", agreement_id, body)
        return used
