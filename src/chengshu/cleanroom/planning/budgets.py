"""What an agreement still allows: told by its holder, who alone counts, and shown before and after a use without spending anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chengshu.cleanroom.reading import kind, mapping, sequence, text, whole, wrong
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

USES = "uses"


@dataclass(frozen=True, slots=True)
class Budget:
    """One thing that an agreement allows so much of: its name, how much was spent, how much there is (None: no limit), what a use costs."""

    name: str
    spent: int
    limit: int | None
    cost: int

    @property
    def left(self) -> int | None:
        """What there is still; None where there is no limit."""
        return None if self.limit is None else max(self.limit - self.spent, 0)

    @property
    def left_after(self) -> int | None:
        """What there is after one more use; None where there is no limit."""
        return None if self.left is None else max(self.left - self.cost, 0)

    def refusal(self) -> Refused | None:
        """Return why one more use is beyond it, by the name of the policy's own rule, or None where it is within."""
        if self.left is None or self.left >= self.cost:
            return None
        return Refused(
            "count-limit",
            f"budget {self.name}: expected at least {self.cost} left of {self.limit}, got {self.left}",
            Text("A new agreement with its holder.", "与持有方签署新的合约。"),
            {"budget": self.name, "left": self.left},
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON values, as it goes over the wire."""
        return {"name": self.name, "spent": self.spent, "limit": self.limit, "cost": self.cost}

    def shown(self) -> dict[str, Any]:
        """Return it as a person is shown it: before and after."""
        return {"budget": self.name, "spent": self.spent, "limit": self.limit, "left": self.left, "left_after": self.left_after}


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
        whole(found["spent"], f"{path}.spent", least=0),
        None if limit is None else whole(limit, f"{path}.limit", least=0),
        whole(found["cost"], f"{path}.cost", least=0),
    )
