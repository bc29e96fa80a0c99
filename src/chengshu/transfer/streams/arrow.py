"""Rows as Arrow IPC streams on the wire, written in bounded pieces."""

from collections.abc import Generator, Iterable, Iterator
from io import BytesIO

import pyarrow as pa

from chengshu.catalog.ports import Rows

BATCH_ROWS = 65_536
PIECE_BYTES = 8 << 20
"""What a batch of wide rows comes to in memory at most, a single row apart."""

COMPRESSION = "zstd"
MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of a stream (Arrow columnar format, IPC streaming format)."""


def to_stream(rows: Rows) -> Generator[bytes]:
    """Yield rows as an Arrow IPC stream, a batch of at most ``BATCH_ROWS`` rows and about ``PIECE_BYTES`` at a time, then its end.

    The same rows, cut into the same batches where they lie, give the same pieces.
    """
    sink = BytesIO()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression=COMPRESSION)) as writer:
        for batch in rows.batches:
            writer.write_batch(batch)
            yield _drain(sink)
    yield _drain(sink)


def to_plain_stream(rows: Rows) -> Generator[bytes | memoryview]:
    """Yield rows as :meth:`to_stream` does, in the same pieces, uncompressed: whoever carries them packs them where that is worth it."""
    begin = rows.schema.serialize().to_pybytes()
    for batch in rows.batches:
        piece = memoryview(batch.serialize()).cast("B")
        yield b"".join((begin, piece)) if begin else piece
        begin = b""
    yield begin + _END


def cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of batches in order, none of the batches empty, and none longer than one piece may be."""
    for batch in batches:
        size = BATCH_ROWS if batch.nbytes <= PIECE_BYTES else max(1, min(BATCH_ROWS, PIECE_BYTES * batch.num_rows // batch.nbytes))
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _drain(sink: BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece
