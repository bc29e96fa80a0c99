"""Tables as Arrow IPC streams on the wire and as Arrow files on disk, written and read in bounded pieces."""

from collections.abc import Iterable, Iterator
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu.kernel.errors import Invalid, Unavailable
from chengshu.kernel.text import Text

BATCH_ROWS = 65_536
MEDIA_TYPE = "application/vnd.apache.arrow.stream"


def to_stream(table: pa.Table) -> Iterator[bytes]:
    """Yield ``table`` as an Arrow IPC stream, at most one record batch of ``BATCH_ROWS`` rows in memory at a time."""
    sink = BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            writer.write_batch(batch)
            yield _drain(sink)
    yield _drain(sink)


def rows_within(table: pa.Table, *, pieces: int) -> int:
    """Return how many rows the first ``pieces`` pieces hold that :func:`to_stream` yields: a batch each, and none in the last one."""
    return sum(batch.num_rows for batch in table.to_batches(max_chunksize=BATCH_ROWS)[:pieces])


def into_file(chunks: Iterable[bytes], path: Path, *, limit_bytes: int) -> None:
    """Write the table that :func:`to_stream` sent into a file, one record batch in memory at a time, for :func:`open_file` to map.

    Raises Unavailable when the stream ends early (no file is left then) and Invalid when it is above ``limit_bytes``.
    """
    try:
        source = _Chunks(chunks, limit_bytes)
        with pa.ipc.open_stream(pa.PythonFile(source, mode="r")) as reader, pa.ipc.new_file(path, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        _expect_end(source)
    except (pa.ArrowInvalid, EOFError, OSError) as error:
        path.unlink(missing_ok=True)
        raise Unavailable(
            "transfer.broken-stream",
            "expected one whole Arrow stream, got one that ends early, goes on or cannot be read",
            hint=Text("The transfer may be tried again under a new grant.", "可以用新的授权重新传输。"),
        ) from error
    except Invalid:
        path.unlink(missing_ok=True)
        raise


def _expect_end(source: "_Chunks") -> None:
    """Read to the very end: only then has the holder recorded that the whole product went out."""
    if source.read():
        raise EOFError("more than one stream")


def _drain(sink: BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


class _Chunks(BufferedIOBase):
    """A readable file over an iterator of byte chunks, with a limit on what may come."""

    def __init__(self, chunks: Iterable[bytes], limit_bytes: int) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self._left = limit_bytes
        self._limit = limit_bytes

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size is None or size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._left -= len(chunk)
            if self._left < 0:
                raise _too_large(self._limit)
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        end = have if size is None or size < 0 else min(size, have)
        self._rest = data[end:]
        return data[:end]

    def readinto(self, buffer: Any, /) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _too_large(limit: int) -> Invalid:
    return Invalid(
        "transfer.too-large",
        f"expected a stream of at most {limit} bytes, got more",
        hint=Text("Raise the limit or publish a smaller product.", "请提高上限或发布更小的产品。"),
    )
