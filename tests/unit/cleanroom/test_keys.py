"""What tables say about their keys is what counting all of their values says, or nothing."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines import keys as room
from chengshu.cleanroom.engines.keys import Keys

FIRST_DAY = date(2026, 1, 1)


def _keys(chunk: int = 10**6, **columns: pa.Array) -> Keys:
    table = pa.table(columns)
    return Keys({"a.rows": pa.Table.from_batches(table.to_batches(max_chunksize=chunk), schema=table.schema)})


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Two columns, either of which may go up, with equal rows or none, and the size of chunks."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.sampled_from([0, 1, 2, 50, 400]))
    first = random.integers(0, draw(st.sampled_from([3, 40, 10**6])), rows)
    second = random.integers(-3, draw(st.sampled_from([3, 10**6])), rows)
    if draw(st.booleans()):
        first = np.sort(first)
    swap = draw(st.booleans())
    one, other = (second, first) if swap else (first, second)
    return one.tolist(), other.tolist(), draw(st.sampled_from([1, 7, 64, 1000]))


@settings(max_examples=300, deadline=None)
@given(pairs=_pairs(), looked_at=st.sampled_from([1, 5, 70, 65_536]))
def test_what_is_said_of_two_columns_is_true(pairs: tuple[list[int], list[int], int], looked_at: int) -> None:
    one, other, chunk = pairs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_LOOKED_AT", looked_at)
        keys = _keys(chunk, one=pa.array(one, pa.int64()), other=pa.array(other, pa.int32()))
        said = keys.is_unique("a.rows", ("one", "other"))
        assert keys.is_ascending("a.rows", "one") is all(a < b for a, b in pairwise(one))
    once = max(Counter(zip(one, other, strict=True)).values(), default=1) == 1
    assert said in {once, None}
    goes_up = any(sorted(values) == values for values in (one, other))
    longest = min(max(Counter(values).values(), default=1) for values in (one, other) if sorted(values) == values) if goes_up else None
    if longest is not None and longest <= 60:
        assert said is once


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ([1, 1, 2, 2], [1, 2, 1, 2], True),
        ([1, 1, 2, 2], [1, 1, 1, 2], False),
        ([1, 2, 1, 2], [1, 1, 2, 2], True),
        ([1, 2, 1, 2], [2, 1, 2, 1], None),
        ([1] * 200, list(range(200)), True),
        ([1] * 200, [*range(100), *range(100)], None),
    ],
    ids=["apart", "equal", "the second goes up", "none goes up", "the second is strictly ascending", "a long run"],
)
def test_two_columns_are_a_key(one: list[int], other: list[int], said: bool | None) -> None:
    assert _keys(one=pa.array(one), other=pa.array(other)).is_unique("a.rows", ("one", "other")) is said


def test_equal_rows_are_found_across_what_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOKED_AT", 2)
    assert _keys(one=pa.array([1, 2, 2, 3]), other=pa.array([5, 7, 7, 5])).is_unique("a.rows", ("one", "other")) is False


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None, 3]),
        pa.array(["a", "b"]),
        pa.array([1.0, 2.0]),
        pa.array([1, 2, 2]),
        pa.array([2, 1]),
        pa.array([FIRST_DAY, FIRST_DAY]),
    ],
    ids=["missing", "texts", "doubles", "twice", "down", "the same day"],
)
def test_other_columns_are_not_said_to_ascend(values: pa.Array) -> None:
    keys = _keys(one=values)
    assert not keys.is_ascending("a.rows", "one")
    assert keys.is_unique("a.rows", ("one",)) is None
    assert keys.is_unique("a.rows", ("one", "one")) is not True


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_days_ascend(kind: pa.DataType) -> None:
    days = pa.array([FIRST_DAY + timedelta(one) for one in range(5)], kind)
    keys = _keys(2, one=days, other=pa.array([1] * 5))
    assert keys.is_ascending("a.rows", "one")
    assert keys.is_unique("a.rows", ("other", "one")) is True
