"""Which products hold the same rows: whatever their order, whoever holds them; and public reference data are nobody's."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.cleanroom.model import Column, ColumnType, JobInput, Role, Schema
from chengshu.cleanroom.provenance import sources

COUNTS = pa.table({"vehicle": ["a", "b", "c"], "speed": [1.0, 2.0, None], "tags": [["x"], [], ["y", "z"]]})


def kept(folder: Path, name: str, table: pa.Table) -> Path:
    """The table in an Arrow file, as the room keeps what it pulled."""
    with pa.ipc.new_file(folder / name, table.schema) as writer:
        writer.write_table(table)
    return folder / name


def read(party: str, product: str, *, minimum_group: int = 5) -> JobInput:
    """One product of a party as a job names it."""
    columns = (Column("vehicle", ColumnType.TEXT, Role.KEY),)
    schema = Schema(f"{party}.{product}", columns, None, minimum_group)
    return JobInput(schema=schema, provider=f"did:key:{party}", agreement="urn:a", product=product)


def numbers(folder: Path, tables: dict[str, pa.Table], *, public: frozenset[str] = frozenset()) -> dict[str, int]:
    """The number that each party's one product gets."""
    inputs = [read(party, "data", minimum_group=1 if party in public else 5) for party in tables]
    files = {f"{party}.data": kept(folder, party, table) for party, table in tables.items()}
    return {row["party"]: row["content"] for row in sources(inputs, files).to_pylist()}


def test_the_same_rows_in_another_order_of_rows_and_columns_are_the_same(tmp_path: Path) -> None:
    mixed = COUNTS.take([2, 0, 1]).select(["tags", "speed", "vehicle"])
    found = numbers(tmp_path, {"road": COUNTS, "fleet": mixed, "firm": COUNTS.slice(0, 2)})
    assert found["road"] == found["fleet"] != found["firm"]


def test_one_cell_makes_the_difference(tmp_path: Path) -> None:
    other = COUNTS.set_column(1, "speed", pa.array([1.0, 2.0, 3.0]))
    found = numbers(tmp_path, {"road": COUNTS, "fleet": other})
    assert found["road"] != found["fleet"]


def test_public_reference_data_are_not_told_of(tmp_path: Path) -> None:
    found = numbers(tmp_path, {"road": COUNTS, "fleet": COUNTS}, public=frozenset({"road", "fleet"}))
    assert found == {}


@given(rows=st.lists(st.tuples(st.text(max_size=3), st.integers(-5, 5)), min_size=1, max_size=20), order=st.randoms(use_true_random=False))
def test_any_order_of_any_rows_is_the_same(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], order: Random) -> None:
    mixed = list(rows)
    order.shuffle(mixed)
    tables = {name: pa.table({"a": [a for a, _ in some], "b": [b for _, b in some]}) for name, some in (("one", rows), ("two", mixed))}
    found = numbers(tmp_path_factory.mktemp("rows"), tables)
    assert found["one"] == found["two"]
