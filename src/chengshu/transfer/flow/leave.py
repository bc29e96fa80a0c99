"""Whether a delivery may begin: the product's grade, and the policy of the agreement, at every single one."""

from typing import Protocol

from sqlalchemy import Connection

from chengshu.contract.service import Contracts
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import NotFound
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import Form, Use
from chengshu.transfer.flow.model import OWN, Order
from chengshu.transfer.ports import Products


class Leave(Protocol):
    """Whoever says that a delivery may begin."""

    def ask(self, tx: Connection, order: Order) -> Refused | None:
        """Return the refusal that names the first rule against it, None where nothing is."""
        ...

    def spend(self, tx: Connection, order: Order) -> None:
        """Count one use of the agreement."""
        ...


class AgreementLeave:
    """Asks the agreement that this node keeps; where another control plane gives the order, agreement and policy are its affair."""

    def __init__(self, *, own_id: str, contracts: Contracts, products: Products, clock: Clock) -> None:
        self._own_id = own_id
        self._contracts = contracts
        self._products = products
        self._clock = clock

    def ask(self, tx: Connection, order: Order) -> Refused | None:
        """Return why ``order`` may not be delivered on now, or None; call it in the transaction that also counts the use."""
        if self._products.version_of(tx, order.product) is None:
            return Refused(
                "product-unknown",
                "expected a product that is published now, got another",
                Text("A product of the present catalog.", "当前目录中的产品。"),
            )
        graded = self._products.grade_of(tx, order.product).refuses(is_open_to_all=False)
        if graded is not None or order.control != OWN:
            return graded
        try:
            agreement = self._contracts.permit_use(tx, order.agreement, self._use(order))
        except NotFound:
            return unknown_agreement()
        if isinstance(agreement, Refused):
            return agreement
        parties = (agreement.provider, agreement.consumer, agreement.product)
        return None if parties == (self._own_id, order.counterparty, order.product) else unknown_agreement()

    def spend(self, tx: Connection, order: Order) -> None:
        """Count one use; under another control plane's agreements there is nothing here to count."""
        if order.control == OWN:
            self._contracts.record_use(tx, order.agreement, self._use(order))

    def _use(self, order: Order) -> Use:
        return Use(recipient=order.counterparty, at=self._clock(), purpose=order.purpose, environment=order.counterparty, output=Form.ROWS)


def unknown_agreement() -> Refused:
    """Return the refusal for an agreement that is not between these two parties: what others agreed on looks the same as nothing."""
    return Refused(
        "agreement-unknown",
        "expected the id of an agreement in force between these two parties, got another",
        Text("An agreement that both parties concluded.", "双方已签署生效的合约。"),
    )
