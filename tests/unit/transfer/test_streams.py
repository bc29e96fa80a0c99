"""Rows go out as a stream in bounded pieces, the same pieces whenever the rows are the same."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.ports import Rows
from chengshu.transfer.streams.arrow import BATCH_ROWS, PIECE_BYTES, cut, to_stream


def _pieces(table: pa.Table) -> list[bytes]:
    return list(to_stream(Rows(table.schema, cut(table.to_batches()))))


@given(rows=st.integers(0, 300), chunk=st.integers(1, 97))
def test_a_table_survives_the_stream_however_it_lies_in_memory(rows: int, chunk: int) -> None:
    table = pa.table(
        {"n": pa.array(range(rows), pa.int64()), "name": pa.array([f"row {n}" if n % 3 else None for n in range(rows)], pa.string())}
    )
    cut_up = pa.Table.from_batches(table.to_batches(max_chunksize=chunk), table.schema)
    with pa.ipc.open_stream(b"".join(_pieces(cut_up))) as reader:
        assert reader.read_all().equals(table)


def test_a_long_table_goes_out_in_pieces_and_an_end() -> None:
    assert len(_pieces(pa.table({"n": range(3 * BATCH_ROWS)}))) == 4


def test_wide_rows_go_out_in_smaller_pieces_and_a_single_row_is_never_cut() -> None:
    wide = pa.table({"text": ["x" * (PIECE_BYTES // 2)] * 5 + ["y" * (2 * PIECE_BYTES)]})
    sizes = [batch.num_rows for batch in cut(wide.to_batches())]
    assert (sum(sizes), max(sizes) <= 2) == (6, True)


def test_the_same_rows_give_the_same_pieces() -> None:
    table = pa.table({"n": range(2 * BATCH_ROWS), "text": [f"{n % 97}" for n in range(2 * BATCH_ROWS)]})
    assert _pieces(table) == _pieces(table)
