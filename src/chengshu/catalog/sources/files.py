"""Products in files on this machine: Parquet, CSV and JSON documents, read in bounded pieces into the contract's types."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from chengshu.catalog.model import DataContract, Kind
from chengshu.catalog.sources.cells import arrow_schema
from chengshu.catalog.sources.faults import ADD_COLUMN, LOOK, MEND, SAY_ENCODING, cast_batch, fault
from chengshu.catalog.sources.undecodable import first_undecodable
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

BATCH_ROWS = 65_536
BLOCK_BYTES = 4 << 20
DOCUMENT_BYTES = 16 << 20
PARQUET_MAGIC = b"PAR1"
PLAIN_LENGTH_BYTES = 4
"""What Parquet's plain encoding takes for the length of a text alone, before the text."""

_MOVE = Text("Move the file into the node's data folder.", "请将文件移入节点的数据目录。")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file held: the contract's columns in the contract's types, and the names of columns that were kept out."""

    table: pa.Table
    extra_columns: tuple[str, ...]


class FileSource:
    """One file read as one contract says; every fault is an Invalid that names file, row, column, what was expected and what kind came.

    Rows are counted from 1 below the header. ``within``, when given, is the only folder the file may really lie in; ``name`` is what
    the file is called in messages, where that is not the name of its path.
    """

    def __init__(self, path: Path, contract: DataContract, *, within: Path | None = None, name: str | None = None) -> None:
        self.path = path
        self.name = path.name if name is None else name
        self._contract = contract
        self._within = within

    def read(self) -> Reading:
        """Return the whole file as one table; only the result and one batch are in memory at a time."""
        extra = self.extra_columns()
        batches = list(self.batches())
        table = pa.Table.from_batches(batches, arrow_schema(self._contract))
        if table.num_rows == 0:
            raise self._fault("empty", expected="at least one row", got="none", hint=LOOK)
        return Reading(table, extra)

    def extra_columns(self) -> tuple[str, ...]:
        """Return the names of columns that are in the file and not in the contract; raise Invalid for columns that are missing."""
        self.check_file()
        if self._contract.kind is Kind.DOCUMENT:
            return ()
        there = self.names()
        self._check_names(there)
        return tuple(name for name in there if self._contract.column(name) is None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the contract's types and column order, at most one row group or block at a time."""
        self.check_file()
        if self._contract.kind is Kind.DOCUMENT:
            yield self._document()
            return
        self._check_names(self.names())
        first_row = 1
        for raw in self._raw_batches():
            yield cast_batch(raw, self._contract, first_row=first_row, name=self.name)
            first_row += raw.num_rows

    def check_file(self) -> None:
        """Raise Invalid unless there is a file to read: not missing, not empty, not a directory, not outside the folder."""
        if self._within is not None and not self.path.resolve().is_relative_to(self._within.resolve()):
            raise self._fault("outside-folder", expected="a file in the node's data folder", got="a path that leads outside", hint=_MOVE)
        if self.path.is_dir():
            raise self._fault("directory", expected="a file", got="a directory", hint=LOOK)
        if not self.path.is_file():
            raise self._fault("missing-file", expected="a file", got="nothing at that path", hint=LOOK)
        if self.path.stat().st_size == 0:
            raise self._fault("empty", expected="at least one row", got="an empty file", hint=LOOK)

    def is_parquet(self) -> bool:
        """Say whether the file is Parquet by its first bytes; raise Invalid for one that is called so and is not."""
        try:
            with self.path.open("rb") as file:
                found = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        except OSError as error:
            raise self._unreadable("a file that may be read") from error
        if not found and self.name.lower().endswith(".parquet"):
            raise self._fault("unreadable", expected="a Parquet file, as its name says", got="other content", hint=LOOK)
        return found

    def names(self) -> list[str]:
        """Return the names of the file's columns, as they stand in it."""
        if not self.is_parquet():
            with self._csv_reader([]) as reader:
                return list(reader.schema.names)
        try:
            return list(pq.read_schema(self.path).names)
        except (pa.ArrowException, OSError):
            pass
        raise self._unreadable("a whole Parquet file")

    def _check_names(self, there: list[str]) -> None:
        for name in there:
            if there.count(name) > 1 and self._contract.column(name) is not None:
                raise self._fault(
                    "duplicate-column", column=name, expected="the column once", got="the column more than once", hint=ADD_COLUMN
                )
        for column in self._contract.columns:
            if column.name not in there:
                raise self._fault("missing-column", column=column.name, expected="the column", got="a file without it", hint=ADD_COLUMN)

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        names = [column.name for column in self._contract.columns]
        if not self.is_parquet():
            yield from self._csv_batches(names)
            return
        broken = False
        try:
            with pq.ParquetFile(self.path) as file:
                repeated = repeated_texts(file)
            with pq.ParquetFile(self.path, read_dictionary=repeated) as file:
                yield from file.iter_batches(batch_size=BATCH_ROWS, columns=names)
        except (pa.ArrowException, OSError):
            broken = True  # left outside the handler, so that no foreign message with cells in it hangs on ours
        if broken:
            raise self._unreadable("a whole Parquet file")

    def _csv_batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        ragged: list[pa_csv.InvalidRow] = []
        with self._csv_reader(names, ragged) as reader:
            while True:
                batch = self._next_batch(reader)
                if ragged:
                    raise self._ragged(ragged[0])
                if batch is None:
                    return
                yield batch

    def _csv_reader(self, names: list[str], ragged: list[pa_csv.InvalidRow] | None = None) -> pa_csv.CSVStreamingReader:
        """Open the CSV with every wanted cell as bytes, so that no cell is guessed at and none can leak into a message."""
        notes = [] if ragged is None else ragged

        def note(row: pa_csv.InvalidRow) -> str:
            notes.append(row)
            return "skip"

        try:
            return pa_csv.open_csv(
                self.path,
                read_options=pa_csv.ReadOptions(encoding=self._encoding(), use_threads=False, block_size=BLOCK_BYTES),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._contract.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=note if self._is_text else None,  # the handler is given the row's text
                    ignore_empty_lines=len(self._contract.columns) > 1,  # in a file of one column an empty line is a missing cell
                ),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=names,
                    column_types=dict.fromkeys(names, pa.binary()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
        except (pa.ArrowException, UnicodeError, OSError) as error:
            failed = type(error)
        raise self._csv_fault(failed)

    def _next_batch(self, reader: pa_csv.CSVStreamingReader) -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None
        except (pa.ArrowException, UnicodeError, OSError) as error:
            failed = type(error)
        raise self._csv_fault(failed)

    def _csv_fault(self, failed: type[Exception]) -> Invalid:
        if issubclass(failed, UnicodeError) or not self._is_text:
            row, column = first_undecodable(self.path, encoding=self._encoding(), delimiter=self._contract.delimiter) or (None, None)
            expected = f"text in {self._contract.encoding}"
            return self._fault("encoding", row=row, column=column, expected=expected, got="bytes that are not", hint=SAY_ENCODING)
        return self._unreadable(f"a CSV file with a header, separated by '{self._contract.delimiter}'")

    @cached_property
    def _is_text(self) -> bool:
        """Whether the whole file can be read in its encoding; what is not UTF-8 is recoded, and so judged, as it is read."""
        if self._encoding() != "utf-8":
            return True
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        except OSError as error:
            raise self._unreadable("a file that may be read") from error
        return True

    def _encoding(self) -> str:
        try:
            "".encode(self._contract.encoding)  # also refuses codecs that are not about text, such as hex
            return codecs.lookup(self._contract.encoding).name
        except LookupError:
            pass
        raise self._fault("encoding", expected="an encoding this system knows", got="another name in the data contract", hint=SAY_ENCODING)

    def _ragged(self, row: pa_csv.InvalidRow) -> Invalid:
        number = None if row.number is None else row.number - 1  # the header is the first physical row
        expected, got = f"{row.expected_columns} cells", f"{row.actual_columns}"
        return self._fault("ragged-row", row=number, expected=expected, got=got, hint=MEND)

    def _document(self) -> pa.RecordBatch:
        if self.path.stat().st_size > DOCUMENT_BYTES:
            raise self._fault("too-large", expected=f"a document of at most {DOCUMENT_BYTES} bytes", got="a larger file", hint=LOOK)
        line: int | None = None
        try:
            text = self.path.read_text(encoding=self._encoding())
            json.loads(text, parse_constant=_no_constant)
            return pa.RecordBatch.from_arrays([pa.array([text])], schema=arrow_schema(self._contract))
        except json.JSONDecodeError as error:
            line = error.lineno
        except (ValueError, RecursionError, OSError):
            pass
        raise self._fault("document", row=line, expected="a JSON document", got="something else from that line on", hint=LOOK)

    def _unreadable(self, expected: str) -> Invalid:
        return self._fault("unreadable", expected=expected, got="one that cannot be read as such", hint=LOOK)

    def _fault(self, code: str, *, expected: str, got: str, hint: Text, row: int | None = None, column: str | None = None) -> Invalid:
        return fault(self.name, code, expected=expected, got=got, hint=hint, row=row, column=column)


def repeated_texts(file: pq.ParquetFile) -> list[str]:
    """Return the columns of texts that a file has as numbers of a dictionary's entries; Arrow reads these twice as fast as dictionaries.

    A file does not say where its writer gave the dictionary up halfway, and such a column is slower to read as one. But texts written out
    take more than four bytes each, so that less than that on average tells.
    """
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    texts = [
        (place, field.name) for place, field in enumerate(file.schema) if field.path == field.name and field.logical_type.type == "STRING"
    ]
    return [name for place, name in texts if all(_is_short(group.column(place)) for group in groups)]


def _is_short(chunk: pq.ColumnChunkMetaData) -> bool:
    return bool(chunk.has_dictionary_page and chunk.total_uncompressed_size < PLAIN_LENGTH_BYTES * chunk.num_values)


def _no_constant(_name: str) -> Any:
    raise ValueError("expected JSON, got NaN or an infinity")
