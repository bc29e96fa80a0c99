"""A part of the rows that a proof is made from: of other tables only what joins with it, and never less than that."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines import sampling
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.keys import Keys
from chengshu.cleanroom.engines.proof import Leaf
from chengshu.cleanroom.engines.rendering import ROWS
from chengshu.cleanroom.engines.sampling import blocks_of, followed
from chengshu.cleanroom.gate.release import release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import Body, Join, JoinKind, Ref, Table, VettedQuery
from chengshu.cleanroom.vetting.vetter import vet

EXACT = DuckDBEngine("256MB", 1, 60.0, staged_from=10**9)
PROVED = DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=0)
LINES = Schema(
    "shop.lines",
    (Column("order", ColumnType.INTEGER, Role.KEY), Column("price", ColumnType.INTEGER, Role.MEASURE)),
    "order",
    3,
)
ORDERS = Schema(
    "shop.orders",
    (
        Column("order", ColumnType.INTEGER, Role.KEY),
        Column("person", ColumnType.INTEGER, Role.KEY),
        Column("day", ColumnType.INTEGER, Role.GROUP),
    ),
    "person",
    3,
)
TERMS = {schema.product: ProductTerms(schema) for schema in (LINES, ORDERS)}
JOINED = "SELECT o.day, COUNT(DISTINCT l.order) AS n FROM shop.lines l {} JOIN shop.orders o ON l.order = o.order GROUP BY o.day"


def _body(kind: JoinKind) -> Body:
    join = Join(kind, Table("b.keyed", numbered=False), ((Ref("t0", "key"), Ref("t1", "key")),))
    return Body(Table("a.rows", numbered=False), (join,), None)


@st.composite
def _tables(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """Rows with keys, some missing, and a table of ascending keys with gaps, each in chunks of some size."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from([np.int32, np.int64]))
    keys = np.flatnonzero(random.random(draw(st.sampled_from([0, 1, 900, 20_000]))) < draw(st.sampled_from([0.3, 1.0])))
    values = random.integers(-5, 20_005, draw(st.sampled_from([0, 1, 3, 40])))
    rows = pa.table({"key": pa.array(values, pa.int64(), mask=random.random(len(values)) < 0.1)})
    keyed = pa.table({"key": pa.array(keys.astype(kind)), "name": pa.array([str(key) for key in keys], pa.string_view())})
    chunk = draw(st.sampled_from([1000, 10**6]))
    return rows, pa.Table.from_batches(keyed.to_batches(max_chunksize=chunk), schema=keyed.schema)


@settings(max_examples=100, deadline=None)
@given(tables=_tables())
def test_rows_that_join_with_a_part_are_all_kept_and_others_are_few(tables: tuple[pa.Table, pa.Table]) -> None:
    rows, keyed = tables
    every = {"a.rows": rows, "b.keyed": keyed}
    found = followed(_body(JoinKind.INNER), {Leaf("a.rows", (0,)): rows}, every, Keys(every))
    for leaf, some in found.items():
        assert (leaf, some.schema) == (Leaf("b.keyed", (1,)), keyed.schema)
        assert set(some.column("key").to_pylist()) >= set(rows.column("key").to_pylist()) & set(keyed.column("key").to_pylist())
        assert set(some.column("name").to_pylist()) <= set(keyed.column("name").to_pylist())
        assert some.column("name").to_pylist() == [str(key) for key in some.column("key").to_pylist()]
        assert 10 * some.num_rows < keyed.num_rows


@pytest.mark.parametrize(
    ("kind", "keys", "is_followed"),
    [
        (JoinKind.INNER, pa.array(range(50_000)), True),
        (JoinKind.LEFT, pa.array(range(50_000)), False),  # a row that lost its partner would stay, and fall into another group
        (JoinKind.INNER, pa.array(range(50_000, 0, -1)), False),
        (JoinKind.INNER, pa.array([0, *range(49_999)]), False),
        (JoinKind.INNER, pa.array([None, *range(49_999)], pa.int64()), False),
        (JoinKind.INNER, pa.array(range(15)), False),  # no fewer rows to read
    ],
)
def test_only_large_tables_with_ascending_keys_are_looked_up_and_none_right_of_a_left_join(
    kind: JoinKind, keys: pa.Array, is_followed: bool
) -> None:
    tables = {"a.rows": pa.table({"key": pa.array([7, 30_000])}), "b.keyed": pa.table({"key": keys})}
    found = followed(_body(kind), {Leaf("a.rows", (0,)): tables["a.rows"]}, tables, Keys(tables))
    assert bool(found) is is_followed


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["", "LEFT"]), people=st.sampled_from([3, 40]), gap=st.sampled_from([1, 7]))
def test_a_proof_by_looked_up_rows_never_says_too_much_and_answers_are_the_same(seed: int, kind: str, people: int, gap: int) -> None:
    random = np.random.default_rng(seed)
    orders = np.arange(4000) * gap
    tables = {
        "shop.orders": pa.table({"order": orders, "person": random.integers(0, people, 4000), "day": random.integers(0, 3, 4000)}),
        "shop.lines": pa.table({"order": np.sort(random.integers(0, 4000 * gap, 16_000)), "price": random.integers(0, 9, 16_000)}),
    }
    query = vet(JOINED.format(kind), TERMS)
    assert isinstance(query, VettedQuery), query
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_TIMES", 2)
        proved, exact = (engine.run(query, tables).sort_by("g0") for engine in (PROVED, EXACT))
    counts = [name for name in exact.column_names if name.startswith("__n")]
    assert proved.column(ROWS).to_pylist() == exact.column(ROWS).to_pylist()
    for name in counts:
        assert all(said <= true for said, true in zip(proved.column(name).to_pylist(), exact.column(name).to_pylist(), strict=True))
    assert release(proved, query=query) == release(exact, query=query)


def test_blocks_are_from_all_over_a_table_and_about_the_share_that_was_asked_for() -> None:
    rows = pa.table({"key": range(1_000_000)})
    some = blocks_of(rows, share=0.01).column("key").to_numpy()
    assert 9000 <= len(some) <= 11_000
    assert len(np.unique(some // 100_000)) == 10
