"""Products in a table or view of a database: read in one snapshot, in one order, whole or not at all; the digest is that of the rows.

A connection that breaks ends the reading as Unavailable, whatever had come by then: rows are handed on only once the last one is here.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from chengshu.catalog.model import Column, DataContract
from chengshu.catalog.place import TablePlace
from chengshu.catalog.ports import Found, Held, Rows
from chengshu.catalog.sources.cells import arrow_schema
from chengshu.catalog.sources.content import ContentDigest
from chengshu.catalog.sources.faults import ADD_COLUMN, fault
from chengshu.catalog.sources.kinds import TableColumn
from chengshu.catalog.sources.spool import spooled
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_OTHER_TYPE = Text(
    "Change the type in the data contract, or publish a view that casts or leaves out the column.",
    "请修改数据合同中的类型，或改为发布对该列做转换（或去除该列）的视图。",
)
_FILL = Text("Publish the table once it has rows.", "请在表中有数据后发布。")


class Snapshot(Protocol):
    """One state of one table, for as long as it is looked at."""

    def columns(self) -> tuple[TableColumn, ...]:
        """Return the table's columns in their order; raise Invalid where there is no such table or view."""
        ...

    def key(self) -> Sequence[str]:
        """Return the columns of the primary key, in its order; none where there is no such key."""
        ...

    def batches(self, contract: DataContract, columns: tuple[TableColumn, ...]) -> Iterator[pa.RecordBatch]:
        """Yield all rows in the contract's types, ordered by the primary key, by every column of the contract where there is none."""
        ...


class Tables(Protocol):
    """One technology of databases."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Log in and begin a snapshot; raise Unavailable, or what the server's refusal means."""
        ...


class TableSource:
    """One table or view, as one contract says."""

    def __init__(self, place: TablePlace, contract: DataContract, *, tables: Tables, digests: Digests, spool: Path | None) -> None:
        self.name = str(place)
        self._contract = contract
        self._tables = tables
        self._digests = digests
        self._spool = spool

    def columns(self) -> tuple[Found, ...]:
        """Return what columns the table has now."""
        with self._tables.snapshot() as snapshot:
            return tuple(Found(column.name, column.type, column.becomes) for column in snapshot.columns())

    def read(self, *, published: str | None = None) -> Held:
        """Return the table's rows; that they are the published ones is for the caller to see by their digest."""
        del published
        schema = arrow_schema(self._contract)
        content = ContentDigest(self._digests, schema)
        with self._tables.snapshot() as snapshot:
            there = snapshot.columns()
            wanted = tuple(self._fitting(column, there) for column in self._contract.columns)
            table = spooled(content.over(snapshot.batches(self._contract, wanted)), schema, folder=self._spool)
        if table.num_rows == 0:
            raise fault(self.name, "empty", expected="at least one row", got="none", hint=_FILL)
        extra = tuple(column.name for column in there if self._contract.column(column.name) is None)
        return Held(table, extra, content.digest())

    def passing(self, *, published: str, columns: Collection[str] | None) -> Rows | None:
        """Return None: rows are handed on only once the last one is here."""
        del published, columns
        return None

    def _fitting(self, column: Column, there: tuple[TableColumn, ...]) -> TableColumn:
        found = next((one for one in there if one.name == column.name), None)
        if found is None:
            raise self._misfit("missing-column", column, expected="the column", got="a table without it", hint=ADD_COLUMN)
        if column.physical_type not in found.becomes:
            raise self._misfit(
                "column-type", column, expected=f"a type that becomes {column.physical_type}", got=found.type, hint=_OTHER_TYPE
            )
        return found

    def _misfit(self, code: str, column: Column, *, expected: str, got: str, hint: Text) -> Invalid:
        return fault(self.name, code, column=column.name, expected=expected, got=got, hint=hint)
