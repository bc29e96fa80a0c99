"""What a dialect of SQL must be able to say, and what every one of them says alike."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from chengshu.cleanroom.relation.model import BucketKind, Measure


class Dialect(Protocol):
    """How one engine writes what another writes differently; the same question means the same in every one."""

    def identifier(self, name: str) -> str:
        """Return ``name`` quoted as an identifier."""
        ...

    def product(self, product: str) -> str:
        """Return the relation that holds a product, ``party.product``."""
        ...

    def text(self, value: str) -> str:
        """Return a constant of text, whatever letters are in it."""
        ...

    def moment(self, value: datetime) -> str:
        """Return a constant time without a zone."""
        ...

    def numbered(self, relation: str, name: str) -> str:
        """Return the relation with a column ``name`` that tells its rows apart."""
        ...

    def one_in(self, share: int, of: str) -> str:
        """Return whether a value is among one in so many, by a hash that is the same for the same value."""
        ...

    def bucket(self, kind: BucketKind, step: str, of: str) -> str:
        """Return a column made coarser: a time without a zone, a whole number of 64 bits, or a double."""
        ...

    def total(self, measure: Measure, argument: str) -> str:
        """Return a sum that is exact for whole numbers and decimals, and does not overflow."""
        ...

    def mean(self, measure: Measure, argument: str) -> str:
        """Return a mean in double precision, nothing where there are no values."""
        ...

    def largest_two(self, shares: str, groups: list[str]) -> tuple[str, str, str]:
        """Return a relation of the rows of ``shares``, and the largest and second largest ``c`` of each group of it, nothing for none."""
        ...

    def shuffled(self, names: list[str], unit: str) -> str:
        """Return an order of a unit's rows that no value of theirs stands first in, and that is the same each time."""
        ...


def double(value: Decimal | int) -> str:
    """Return a constant in double precision."""
    return f"CAST({format(value, 'f') if isinstance(value, Decimal) else value} AS DOUBLE)"
