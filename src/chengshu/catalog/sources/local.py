"""A product in a file of this node: its digest is that of the file's bytes."""

from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from chengshu.catalog.model import DataContract, Kind
from chengshu.catalog.ports import Found, Held
from chengshu.catalog.sources.cells import types_for
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
            raise Conflict(
                "product.file-changed",
                f"{self.name}: expected a file that stays as it is while it is published, got one that changed",
                hint=NEW_VERSION,
                facts={"file": self.name},
            )
        return Held(reading.table, reading.extra_columns, before)

    def _as_published(self, published: str) -> Held:
        """The rows of the very file that was published; one that is another is not read at all."""
        if self._path.is_file() and file_digest(self._path, self._digests) != published:
            raise Conflict(
                "product.file-changed",
                f"{self.name}: expected the file as published, got one with another digest",
                hint=NEW_VERSION,
                facts={"file": self.name},
            )
        reading = self._file.read()
        return Held(reading.table, reading.extra_columns, published)


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
