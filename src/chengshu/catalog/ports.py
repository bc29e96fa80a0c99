"""What this room needs from outside."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import Connection

from chengshu.catalog.model import DataContract


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """One column as its source has it now: its type in the source's own words, and the contract's types that it may become.

    ``becomes`` is None where only the cells can tell, as in a CSV; empty where nothing of that type is taken.
    """

    name: str
    type: str
    becomes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Held:
    """All rows of a source in one state of it, in the contract's types; the columns that were kept out; the digest of that state."""

    table: pa.Table
    extra_columns: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows on their way through, once: one batch of them in memory at a time, where their place allows it."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    @classmethod
    def of(cls, table: pa.Table, *, columns: Collection[str] | None = None) -> "Rows":
        """Return the rows of a table, of ``columns`` alone where they are named, in the table's own order."""
        chosen = table if columns is None else table.select([name for name in table.column_names if name in columns])
        return cls(chosen.schema, iter(chosen.to_batches()))


class Source(Protocol):
    """The place that a product's rows are read from; whichever it is, rows come whole, from one state of it, or not at all."""

    @property
    def name(self) -> str:
        """How messages and reports call it; no secret and no address is in it."""
        ...

    def columns(self) -> tuple[Found, ...]:
        """Return what columns are there now; raise Invalid where nothing is, Unavailable where the place does not answer."""
        ...

    def read(self, *, published: str | None = None) -> Held:
        """Return all rows, in bounded memory while they come; raise Invalid, naming row and column, for what is not as the contract says.

        ``published`` is the digest of the state that is wanted, where one is: a source MAY raise Conflict ``product.changed`` as soon as
        it knows that it has another, and the caller MUST compare. Raises Unavailable where the place stops answering.
        """
        ...

    def passing(self, *, published: str, columns: Collection[str] | None) -> Rows | None:
        """Return the rows of the published state as they pass, None for a place that is only read whole.

        Raises as :meth:`read` for what is known before the first of them; a place whose state changes meanwhile raises Conflict at the
        end, and what came before is void. ``columns`` are those that are wanted; None is all.
        """
        ...


class Sources(Protocol):
    """Whatever knows how to read each kind of place."""

    def of(self, contract: DataContract, file: Path | None) -> Source:
        """Return the place of a contract's rows: ``file``, or what the contract names where there is none.

        Raises Invalid where both or neither say it, Denied for a place that this node's operator has not named.
        """
        ...

    def inferred(self, server: str, name: str, *, owner: str) -> DataContract:
        """Return a contract for what is called ``name`` at a server that the operator named: types as found, nothing else claimed."""
        ...
