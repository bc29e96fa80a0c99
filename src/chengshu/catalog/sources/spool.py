"""Rows on their way in: kept on the disk in a file without a name, so that memory stays bounded and a crash leaves nothing behind."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from chengshu.kernel.errors import Unavailable, in_words
from chengshu.kernel.text import Text

BATCH_ROWS = 65_536


@contextmanager
def nameless(folder: Path | None) -> Iterator[IO[bytes]]:
    """Open a file for the time of the block that nobody else can open and that is gone with it; Unavailable where the disk is full."""
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            yield file
    except OSError as error:
        raise Unavailable(
            "source.spool",
            f"expected room on this node's disk for the rows on their way in, got {in_words(error)}",
            hint=Text("Free some space, then try again.", "请释放磁盘空间后重试。"),
        ) from error


def path_of(file: IO[bytes]) -> Path:
    """Return the path under which this process can open a nameless file again (proc(5), /proc/self/fd)."""
    return Path(f"/proc/self/fd/{file.fileno()}")


def spooled(batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, folder: Path | None) -> pa.Table:
    """Return all rows as one table of batches of at most ``BATCH_ROWS`` rows that lies on the disk and is mapped into memory.

    What ``batches`` raises is raised, and nothing is kept then. The disk is given back when the table is forgotten.
    """
    with nameless(folder) as file:
        with pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema) as writer:
            for batch in batches:
                for part in pa.Table.from_batches([batch]).to_batches(max_chunksize=BATCH_ROWS):
                    writer.write_batch(part)
        file.flush()
        with pa.memory_map(str(path_of(file))) as mapped:
            return pa.ipc.open_file(mapped).read_all()
