"""Tables as Arrow IPC streams in memory: how results, kept answers and outcomes are carried."""

import pyarrow as pa


def as_stream(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_stream(data: bytes | memoryview) -> pa.Table:
    """Return the table that a stream holds, whose columns stay in ``data``; raises Arrow's own error for other bytes."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_all()
