"""What an agreement still allows: told by its holder, who alone counts, and shown before and after a use without spending anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chengshu.cleanroom.reading import decimal, kind, mapping, sequence, text, whole, wrong
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

USES = "uses"
PRIVACY = "privacy"

Amount = int | Decimal
"""Uses are whole numbers, privacy is rho as an exact decimal; never a float."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One thing that an agreement allows so much of: its name, how much was spent, how much there is (None: no limit), what a use costs.

    A question that was asked before takes a use again, but no privacy: there the cost is the most that an answer takes.
    """

    name: str
    spent: Amount
    limit: Amount | None
    cost: Amount

    @property
    def left(self) -> Amount | None:
        """What there is still; None where there is no limit."""
        return None if self.limit is None else max(self.limit - self.spent, self.limit - self.limit)

    @property
    def left_after(self) -> Amount | None:
        """What there is after one more use; None where there is no limit."""
        return None if self.left is None else max(self.left - self.cost, self.left - self.left)

    def refusal(self) -> Refused | None:
        """Return why one more use is beyond it, by the name of the policy's own rule, or None where it is not known to be.

        A privacy budget is its holder's to judge: an answer that was given before is given again and costs nothing.
        """
        if self.name != USES or self.left is None or self.left >= self.cost:
            return None
        return Refused(
            "count-limit",
            f"budget {self.name}: expected at least {self.cost} left of {self.limit}, got {self.left}",
            Text("A new agreement with its holder.", "与持有方签署新的合约。"),
            {"budget": self.name, "left": int(self.left)},
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON values, as it goes over the wire."""
        limit = None if self.limit is None else _written(self.limit)
        return {"name": self.name, "spent": _written(self.spent), "limit": limit, "cost": _written(self.cost)}

    def shown(self) -> dict[str, Any]:
        """Return it as a person is shown it: before and after."""
        amounts = {"spent": self.spent, "limit": self.limit, "left": self.left, "left_after": self.left_after}
        return {"budget": self.name, **{name: None if one is None else _written(one) for name, one in amounts.items()}}


def of_uses(spent: int, *, limit: int | None) -> Budget:
    """Return the count of an agreement's uses, of which each job takes one."""
    return Budget(USES, spent, limit, 1)


def parse_budgets(document: object) -> dict[str, tuple[Budget, ...]]:
    """Return the budgets that a holder told, by agreement; raise Invalid naming the field for anything else."""
    if not isinstance(document, Mapping):
        raise wrong("budgets", expected="an object", got=kind(document))
    return {
        text(name, "budgets"): tuple(_parse(one, f"budgets[{place}]") for place, one in enumerate(sequence(listed, "budgets")))
        for name, listed in document.items()
    }


def _parse(document: object, path: str) -> Budget:
    found = mapping(document, path, required=("name", "spent", "limit", "cost"))
    limit = found["limit"]
    return Budget(
        text(found["name"], f"{path}.name"),
        _amount(found["spent"], f"{path}.spent"),
        None if limit is None else _amount(limit, f"{path}.limit"),
        _amount(found["cost"], f"{path}.cost"),
    )


def _amount(value: object, path: str) -> Amount:
    if not isinstance(value, str):
        return whole(value, path, least=0)
    amount = decimal(value, path)
    if amount < 0:
        raise wrong(path, expected="a decimal number that is not negative", got="a negative one")
    return amount


def _written(amount: Amount) -> int | str:
    return amount if isinstance(amount, int) else format(amount.normalize(), "f")
