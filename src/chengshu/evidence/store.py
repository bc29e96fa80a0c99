"""What the log keeps in the node's database: one row an entry, numbered without a gap from 0."""

from collections.abc import Iterable, Sequence
from itertools import count as counting
from itertools import islice

from sqlalchemy import Column, Connection, LargeBinary, Table, bindparam, func, insert, literal, select

from chengshu.kernel.database import LONG, metadata

evidence_entries = Table(
    "evidence_entries",
    metadata,
    Column("index", LONG, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

_NEXT = select(func.coalesce(func.max(evidence_entries.c.index) + 1, literal(0)), bindparam("data", type_=LargeBinary))
_ADD = insert(evidence_entries).from_select(["index", "data"], _NEXT).returning(evidence_entries.c.index)

_COUNT = select(func.coalesce(func.max(evidence_entries.c.index) + 1, literal(0)))
_FIND = (
    select(evidence_entries.c.index, evidence_entries.c.data)
    .where(evidence_entries.c.index >= bindparam("start"), evidence_entries.c.index < bindparam("stop"))
    .order_by(evidence_entries.c.index)
)
_ADD_NUMBERED = insert(evidence_entries)
_BATCH = 1000


def add(tx: Connection, data: bytes) -> int:
    """Append one entry in the caller's transaction and return its index: one statement, the number is taken under the write lock."""
    return int(tx.execute(_ADD, {"data": data}).scalar_one())


def add_many(tx: Connection, entries: Iterable[bytes]) -> range:
    """Append entries in the caller's transaction, in their order, and return their indices; memory is one thousand entries."""
    first = end = count(tx)
    rows = zip(counting(first), entries, strict=False)
    while batch := [{"index": index, "data": data} for index, data in islice(rows, _BATCH)]:
        tx.execute(_ADD_NUMBERED, batch)
        end += len(batch)
    return range(first, end)


def count(tx: Connection) -> int:
    """Return how many entries there are; the last index plus one."""
    return int(tx.execute(_COUNT).scalar_one())


def find(tx: Connection, *, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
    """Return index and bytes of the entries in ``[start, stop)``, in order."""
    return [(index, data) for index, data in tx.execute(_FIND, {"start": start, "stop": stop})]
