"""Tables go over the wire whole, or not at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid, Unavailable
from chengshu.transfer.streams.arrow import BATCH_ROWS, into_file, to_stream


def _through(chunks: Iterable[bytes], limit_bytes: int) -> pa.Table:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "product.arrow"
        into_file(chunks, path, limit_bytes=limit_bytes)
        return pa.ipc.open_file(path.read_bytes()).read_all()


@given(rows=st.integers(0, 300), piece=st.integers(1, 97))
def test_a_table_survives_the_stream_however_it_is_cut(rows: int, piece: int) -> None:
    table = pa.table({"n": range(rows), "name": [f"row {n}" if n % 3 else None for n in range(rows)]})
    whole = b"".join(to_stream(table))
    cut = [whole[start : start + piece] for start in range(0, len(whole), piece)]
    assert _through(cut, len(whole)).equals(table)


def test_a_long_table_goes_out_in_pieces() -> None:
    table = pa.table({"n": range(3 * BATCH_ROWS)})
    assert len(list(to_stream(table))) == 4


def test_a_stream_that_ends_early_is_told() -> None:
    pieces = list(to_stream(pa.table({"n": range(3 * BATCH_ROWS)})))
    with pytest.raises(Unavailable) as caught:
        _through([pieces[0], pieces[1][:100]], 10**9)
    assert caught.value.code == "transfer.broken-stream"


def test_a_stream_above_the_limit_is_cut_off() -> None:
    with pytest.raises(Invalid) as caught:
        _through(to_stream(pa.table({"n": range(100_000)})), 1000)
    assert caught.value.code == "transfer.too-large"


def test_a_stream_is_taken_to_its_very_end_so_that_its_sender_can_record_it_first(tmp_path: Path) -> None:
    steps: list[str] = []

    def sending() -> Iterator[bytes]:
        yield from to_stream(pa.table({"n": range(10)}))
        steps.append("recorded as gone out")

    into_file(sending(), tmp_path / "product.arrow", limit_bytes=10**9)
    assert steps == ["recorded as gone out"]


def test_a_stream_that_goes_on_after_its_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        into_file([*to_stream(pa.table({"n": range(10)})), b"more"], tmp_path / "product.arrow", limit_bytes=10**9)
    assert caught.value.code == "transfer.broken-stream"
    assert not (tmp_path / "product.arrow").exists()
