"""The digest of rows themselves, for places that have no bytes of their own: the same for the same rows in the same order.

For each column three hashes run: over one byte a cell (1 there, 0 none), over the length of each text or list (int32), and over the values
(little-endian; text as UTF-8; nothing, or zeros, where there is no cell; every NaN the same). The digest is that of the canonical JSON of
the columns' names, types and hashes and the number of rows. How the rows were cut into batches does not show.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from chengshu.kernel.canonical import Digests


class ContentDigest:
    """Takes rows in as they pass."""

    def __init__(self, digests: Digests, schema: pa.Schema) -> None:
        self._digests = digests
        self._columns = [_ColumnHash(field.name, field.type, digests) for field in schema]
        self._rows = 0

    def over(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches unchanged, taking each into the digest."""
        for batch in batches:
            for hashed, cells in zip(self._columns, batch.columns, strict=True):
                hashed.take(cells)
            self._rows += batch.num_rows
            yield batch

    def digest(self) -> str:
        """Return the digest of the rows so far."""
        return self._digests.of({"rows": self._rows, "columns": [column.as_document() for column in self._columns]})


class _ColumnHash:
    def __init__(self, name: str, kind: pa.DataType, digests: Digests) -> None:
        self._name = name
        self._kind = kind
        self._presence, self._lengths, self._values = (digests.suite.new_hash(b"") for _ in range(3))
        self._items = _ColumnHash(name, kind.value_type, digests) if pt.is_list(kind) else None

    def take(self, cells: pa.Array) -> None:
        self._presence.update(_flat(cells.is_valid(), "u1"))
        if self._items is not None:
            self._lengths.update(_flat(pc.fill_null(pc.list_value_length(cells), 0), "<i4"))
            self._items.take(cells.flatten())
        elif pt.is_string(self._kind):
            texts = pc.fill_null(cells, "")
            self._lengths.update(_flat(pc.binary_length(texts), "<i4"))
            self._values.update(_characters(texts))
        else:
            self._values.update(_fixed(cells))

    def as_document(self) -> dict[str, Any]:
        hashes = {"presence": self._presence, "lengths": self._lengths, "values": self._values}
        document: dict[str, Any] = {"name": self._name, "type": str(self._kind), **{key: one.hexdigest() for key, one in hashes.items()}}
        return document if self._items is None else {**document, "items": self._items.as_document()}


def _fixed(cells: pa.Array) -> bytes:
    kind = cells.type
    if pt.is_boolean(kind):
        return _flat(pc.fill_null(cells, False), "u1")
    if pt.is_timestamp(kind) or pt.is_date32(kind):
        cells = cells.cast(pa.int64() if pt.is_timestamp(kind) else pa.int32())
    numbers = pc.fill_null(cells, 0).to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f":
        numbers = np.where(np.isnan(numbers), np.asarray(np.nan, numbers.dtype), numbers)
    return bytes(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())


def _flat(cells: pa.Array, kind: str) -> bytes:
    return bytes(cells.to_numpy(zero_copy_only=False).astype(kind).tobytes())


def _characters(texts: pa.Array) -> bytes:
    _, offsets, data = texts.buffers()
    if data is None:
        return b""
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bytes(memoryview(data)[int(ends[0]) : int(ends[-1])])
