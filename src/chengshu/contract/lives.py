"""The ends of agreements inside a caller's transaction: read, kept and proved; what replaces what is decided here."""

from collections.abc import Iterator

from sqlalchemy import Connection

from chengshu.contract import life_store, store
from chengshu.contract.life import Expiry, Life, Phase, Supersession, Termination, life_of
from chengshu.contract.model import Agreement, Negotiation, State
from chengshu.contract.ports import Evidence
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.machine import Role
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text


class Lives:
    """What the contract room's services know of agreements' lives; it opens no transaction of its own."""

    def __init__(self, *, own_id: str, evidence: Evidence, digests: Digests, clock: Clock) -> None:
        self._own_id = own_id
        self._evidence = evidence
        self._digests = digests
        self._clock = clock

    def of(self, tx: Connection, agreement: Agreement, state: State) -> Life:
        """Return how an agreement stands now, given the state of its negotiation."""
        return life_of(agreement, state, endings=life_store.of(tx, agreement.id), at=self._clock())

    def every(self, tx: Connection) -> Iterator[Life]:
        """Yield how every agreement stands now, oldest first."""
        endings, now = life_store.every(tx), self._clock()
        for agreement, state in store.every_agreement(tx):
            yield life_of(agreement, state, endings=endings.get(agreement.id, ()), at=now)

    def terminate(self, tx: Connection, agreement: Agreement, termination: Termination) -> None:
        """Keep and prove that a party ended an agreement; the counterparty is to be told where it is ours."""
        is_ours = termination.by == self._own_id
        life_store.add(tx, termination, told=life_store.Told.WAITING if is_ours else None)
        body = {
            "agreement": agreement.id,
            "product": agreement.product,
            "by": termination.by,
            "code": termination.code,
            "message": self._digests.of(termination.as_document()),
        }
        self._evidence.append(tx, "agreement.terminated", agreement.id, body)

    def supersede(self, tx: Connection, negotiation: Negotiation) -> None:
        """Keep and prove that the agreement of a finalized negotiation takes the place of the one that the negotiation names, if any.

        A second replacement of one agreement changes nothing: the first is what both sides have.
        """
        if negotiation.replaces is None or negotiation.agreement_id is None:
            return
        found = store.get_agreement(tx, negotiation.replaces)
        if found is None or any(isinstance(one, Supersession) for one in life_store.of(tx, negotiation.replaces)):
            return
        mutual = negotiation.is_replacing_known
        life_store.add(tx, Supersession(negotiation.replaces, self._clock(), negotiation.agreement_id, mutual))
        body = {
            "agreement": negotiation.replaces,
            "product": found[0].product,
            "successor": negotiation.agreement_id,
            "negotiation": negotiation.id,
            "known_to_counterparty": mutual,
        }
        self._evidence.append(tx, "agreement.superseded", negotiation.replaces, body)

    def expire(self, tx: Connection) -> list[str]:
        """Keep and prove which agreements have run out since this was last asked, and return their ids; none comes back after that."""
        out: list[str] = []
        now = self._clock()
        while (due := life_store.next_to_expire(tx)) is not None and due[1] < now:
            found = store.get_agreement(tx, due[0])
            life_store.add(tx, Expiry(due[0], now))
            product = "" if found is None else found[0].product
            self._evidence.append(tx, "agreement.expired", due[0], {"agreement": due[0], "product": product, "valid_until": iso(due[1])})
            out.append(due[0])
        return out

    def refuse_replacing(self, tx: Connection, replaced: str, negotiation: Negotiation) -> Refused | None:
        """Return why a negotiation's agreement cannot take the place of ``replaced``, or None where it can.

        Only an agreement between the same two parties in the same roles is known here. One that has expired may still be replaced; one
        that a party ended, or that has a successor, may not.
        """
        found = store.get_agreement(tx, replaced)
        if found is None or (found[0].provider, found[0].consumer) != self._parties(negotiation):
            return Refused("agreement-unknown", "expected the id of an agreement between these two parties, got another", _CURRENT)
        life = self.of(tx, *found)
        if life.agreement.product != negotiation.dataset:
            return Refused("agreement-of-another-product", "expected an offer on the agreement's own product, got one on another", _CURRENT)
        return life.refusal() if life.phase in {Phase.NOT_CONCLUDED, Phase.SUPERSEDED, Phase.TERMINATED} else None

    def _parties(self, negotiation: Negotiation) -> tuple[str, str]:
        """The provider and the consumer of what is being negotiated."""
        if negotiation.role is Role.PROVIDER:
            return self._own_id, negotiation.counterparty
        return negotiation.counterparty, self._own_id


_CURRENT = Text(
    "An agreement of these two parties on this product that neither of them ended.", "双方就该产品签署且未被任何一方终止的合约。"
)
