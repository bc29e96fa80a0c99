"""A product in a file of this node: its digest is that of the file's bytes."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu.catalog.model import DataContract, Kind
from chengshu.catalog.ports import Found, Held, Rows
from chengshu.catalog.sources.cells import arrow_schema, types_for
from chengshu.catalog.sources.faults import NEW_VERSION
from chengshu.catalog.sources.files import FileSource
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Conflict

READ_BYTES = 1 << 20


class LocalFile:
    """A file on this machine."""

    def __init__(self, path: Path, contract: DataContract, *, digests: Digests, within: Path | None) -> None:
        self._path = path
        self._contract = contract
        self._digests = digests
        self._within = within
        self._file = FileSource(path, contract, within=within)
        self.name = path.name

    def columns(self) -> tuple[Found, ...]:
        """Return the file's columns."""
        self._file.check_file()
        return columns_of(self._file, self._path, self._contract)

    def read(self, *, published: str | None = None) -> Held:
        """Return the file's rows; raise Conflict where it is not the one published, or changes while it is read."""
        if published is not None:
            return self._as_published(published)
        self._file.check_file()
        before = file_digest(self._path, self._digests)
        reading = self._file.read()
        if file_digest(self._path, self._digests) != before:
            raise self._changed("a file that stays as it is while it is published, got one that changed")
        return Held(reading.table, reading.extra_columns, before)

    def passing(self, *, published: str, columns: Collection[str] | None) -> Rows | None:
        """Return the rows of the very file that was published, as they are read; at their end the file must be the same still."""
        before = _identity(self._path)
        self._check_published(published)
        self._file.extra_columns()
        wanted = self._contract if columns is None else _of_columns(self._contract, columns)
        # a CSV's lines are told apart by all of its columns; of Parquet, only what is wanted is read
        narrow = self._contract.kind is not Kind.DOCUMENT and self._file.is_parquet() and bool(wanted.columns)
        file = FileSource(self._path, wanted, within=self._within) if narrow else self._file
        schema = arrow_schema(wanted)
        return Rows(schema, self._read_on(file, schema.names, before=before))

    def _read_on(self, file: FileSource, names: list[str], *, before: tuple[int, ...]) -> Iterator[pa.RecordBatch]:
        for batch in file.batches():
            yield batch.select(names)
        if _identity(self._path) != before:
            raise self._changed("a file that stays as it is while it is read, got one that changed")

    def _as_published(self, published: str) -> Held:
        """The rows of the very file that was published; one that is another is not read at all."""
        self._check_published(published)
        reading = self._file.read()
        return Held(reading.table, reading.extra_columns, published)

    def _check_published(self, published: str) -> None:
        if self._path.is_file() and file_digest(self._path, self._digests) != published:
            raise self._changed("the file as published, got one with another digest")

    def _changed(self, words: str) -> Conflict:
        return Conflict("product.file-changed", f"{self.name}: expected {words}", hint=NEW_VERSION, facts={"file": self.name})


def _of_columns(contract: DataContract, columns: Collection[str]) -> DataContract:
    return replace(contract, columns=tuple(one for one in contract.columns if one.name in columns))


def _identity(path: Path) -> tuple[int, ...]:
    """What no writer leaves as it was: the time of the last change of the file's state is set by the system alone (inode(7))."""
    try:
        told = path.stat()
    except OSError:
        return ()
    return (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns)


def columns_of(file: FileSource, path: Path, contract: DataContract) -> tuple[Found, ...]:
    """Return the columns of a file that is there, as it states them."""
    if contract.kind is Kind.DOCUMENT:
        return (Found("document", "JSON", None),)
    if not file.is_parquet():
        return tuple(Found(name, "text", None) for name in file.names())
    file.names()  # raises, in our words, for a file that is not whole
    return tuple(Found(field.name, str(field.type), types_for(field.type)) for field in pq.read_schema(path))


def file_digest(path: Path, digests: Digests) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return digests.of_pieces(iter(partial(file.read, READ_BYTES), b""))
