"""Which rows of a product somebody may have: restrictions of single columns, all of which hold of each of these rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Predicate(StrEnum):
    """What is asked of a value."""

    AMONG = "among"
    NOT_AMONG = "not-among"
    LESS = "less"
    AT_MOST = "at-most"
    MORE = "more"
    AT_LEAST = "at-least"
    MISSING = "missing"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Restriction:
    """What holds of one column in each row.

    ``values`` are texts, whatever the column holds: whole numbers in decimal, ``true`` and ``false``, dates and times in ISO 8601, times
    in UTC without a zone. As many as ``predicate`` takes: one or more for membership, one for order, none for whether there is a value.
    """

    column: str
    predicate: Predicate
    values: tuple[str, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """Return the restriction as JSON values."""
        return {"column": self.column, "predicate": self.predicate.value, **({"values": list(self.values)} if self.values else {})}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Restriction":
        """Return the restriction of a document that :meth:`as_document` made."""
        return cls(document["column"], Predicate(document["predicate"]), tuple(document.get("values", ())))
