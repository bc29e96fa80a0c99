"""Addresses of others whose token ends: renewed before it does, and once more where a provider says that it has."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from chengshu.identity.claims.client import ClientProofs
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Unavailable
from chengshu.kernel.text import Text
from chengshu.transfer.flow import store
from chengshu.transfer.flow.model import DataFlow, Document, FlowState
from chengshu.transfer.flow.ports import Carrier
from chengshu.transfer.flow.renewable import Renewal, renewal_of, renewed
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.ports import Evidence

_UNAUTHORIZED = 401
_LOCKS = 16


@dataclass(frozen=True, slots=True)
class Held:
    """An address as it is kept: sealed, opened, and when its token ends."""

    sealed: bytes = field(repr=False)
    document: Document = field(repr=False)
    expires_at: datetime | None

    @property
    def renewal(self) -> Renewal | None:
        """How its token is renewed, None where it is not."""
        return renewal_of(self.document)


class Renewals:
    """Gives the address of a pull with a token that is still good.

    A refresh token is used once: threads of this process wait for one another, and one that finds the address changed by another process
    takes that. What a provider gave is kept before it is used.
    """

    def __init__(
        self, database: Database, *, carrier: Carrier, vault: Vault, proofs: ClientProofs, evidence: Evidence, clock: Clock
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._vault = vault
        self._proofs = proofs
        self._evidence = evidence
        self._clock = clock
        self._turns = [threading.Lock() for _ in range(_LOCKS)]

    def current(self, flow: DataFlow) -> Held:
        """Return the address to pull a started flow from, renewed where its token has ended or is about to; raises as :meth:`renew`."""
        held = self._held(flow)
        renewal = held.renewal
        if renewal is None or held.expires_at is None or self._clock() + renewal.margin < held.expires_at:
            return held
        return self.renew(flow, held)

    def mends(self, held: Held, error: ChengshuError) -> bool:
        """Say whether a pull that failed with ``error`` failed because its token had ended, so that renewing it mends that."""
        if held.renewal is None or not isinstance(error, Denied | Unavailable):
            return False
        has_ended = held.expires_at is not None and self._clock() >= held.expires_at
        return error.facts.get("status") == _UNAUTHORIZED or has_ended

    def renew(self, flow: DataFlow, held: Held) -> Held:
        """Renew the token of an address and return the address with the new one.

        Raises Denied where the provider does not renew it, Unavailable where trying again may help, and Conflict where the flow is not
        started any more, or this node has no key of the participant as whom it acts.
        """
        renewal = held.renewal
        if renewal is None:
            return held
        with self._turns[hash(flow.id) % _LOCKS]:
            if (now := self._held(flow)).sealed != held.sealed:
                return now
            proof = self._proofs.issue(flow.order.participant, audience=flow.order.counterparty, access=renewal.access)
            try:
                tokens = self._carrier.renew(flow.names_endpoint, renewal, proof=proof)
            except Denied:
                if (now := self._held(flow)).sealed != held.sealed:
                    return now
                raise
            return self._kept(flow, held, renewed(held.document, tokens))

    def _held(self, flow: DataFlow) -> Held:
        with self._database.read() as tx:
            return self._read(tx, flow)

    def _kept(self, flow: DataFlow, held: Held, document: dict[str, Any]) -> Held:
        """Keep the renewed address, unless the control plane has brought another meanwhile: then that one is the address."""
        renewal = renewal_of(document)
        expires_at = None if renewal is None else self._clock() + renewal.life
        sealed = self._vault.close(document, flow=flow.id)
        with self._database.write() as tx:
            now = self._read(tx, flow)
            if now.sealed != held.sealed:
                return now
            store.save_address(tx, flow.id, address=sealed, expires_at=expires_at)
            self._evidence.append(tx, "delivery.renewed", flow.id, renewal_entry(flow))
        return Held(sealed, document, expires_at)

    def _read(self, tx: Connection, flow: DataFlow) -> Held:
        now, sealed = store.get(tx, flow.id), store.get_address(tx, flow.id)
        if now is None or now.state is not FlowState.STARTED or sealed is None:
            raise Conflict(
                "transfer.nothing-to-pull",
                "expected a started pull whose provider named its address, got one that is not started any more",
                hint=Text("Look at the transfer's standing.", "请查看该传输的当前状态。"),
            )
        return Held(sealed, self._vault.open(sealed, flow=flow.id), now.expires_at)


def renewal_entry(flow: DataFlow) -> dict[str, Any]:
    """Return what the log says of a renewal, on either side: never a token."""
    order = flow.order
    return {"transfer": flow.id, "role": order.role.value, "counterparty": order.counterparty, "product": order.product}
