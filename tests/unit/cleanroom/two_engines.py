"""The same questions for DuckDB and Spark: a product with columns of every type and awkward values, and how two results are compared."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from chengshu.cleanroom.engines.declared import declared
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.spark.application import Cluster, application, asked
from chengshu.cleanroom.engines.spark.engine import viewed
from chengshu.cleanroom.engines.spark.handing_over import as_duckdb_has_it, written
from chengshu.cleanroom.engines.spark.writing import spark_sql
from chengshu.cleanroom.model import Column, ColumnType, Privacy, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet

DUCKDB = DuckDBEngine("256MB", 1, 60.0)
LOCAL = Cluster("local[2]", 1024, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
"""Java compiles quickly rather than well: the tests' tables are small."""
Tables = Mapping[str, pa.Table]
KINDS = {
    "unit": pa.string(),
    "name": pa.string(),
    "small": pa.int32(),
    "whole": pa.int64(),
    "exact": pa.decimal128(18, 4),
    "wide": pa.decimal128(28, 18),
    "number": pa.float64(),
    "odd": pa.float64(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "moment": pa.timestamp("us"),
}
_TYPES = {"small": "integer", "whole": "integer", "exact": "decimal", "wide": "decimal", "number": "double", "odd": "double"} | {
    "unit": "text",
    "name": "text",
    "flag": "boolean",
    "day": "date",
    "moment": "timestamp",
}
_VALUES: dict[str, list[Any]] = {
    "unit": ["u0", "u1", "u2", "u3"],
    "name": ["", "a", "A", "b", "a ", "it's", 'q"', "back\\slash", "\\u0041", "中文", "é", "z`"],
    "small": [-(2**31), -7, -1, 0, 1, 2, 2**31 - 1],
    "whole": [-(2**63), -(2**62), -5, -1, 0, 1, 4, 2**53 + 1, 2**62, 2**63 - 1],
    "exact": [Decimal("-99999999999999.9999"), Decimal("-0.0005"), Decimal(0), Decimal("1.2500"), Decimal("2.0050"), Decimal("1e13")],
    "wide": [Decimal("-9999999999.999999999999999999"), Decimal("0.000000000000000001"), Decimal("1.5"), Decimal("9999999999.5")],
    "number": [-8.25, -1.5, -0.0, 0.0, 0.25, 0.5, 1.5, 2.5, 1e6],
    "odd": [-0.0, 0.0, 1.0, -1e-300, 1e300, 5e-324, 2.0**53, 2.5, -2.5, math.nan, math.inf, -math.inf],
    "flag": [True, False],
    "day": [date(1960, 2, 29), date(1999, 12, 31), date(2000, 1, 3), date(2024, 12, 30), date(2026, 1, 4)],
    "moment": [
        datetime.fromisoformat("1899-12-31 23:59:59.999999"),
        datetime.fromisoformat("1969-12-31 23:59:59.000001"),
        datetime.fromisoformat("1999-12-31 23:30"),
        datetime.fromisoformat("2000-01-03"),
        datetime.fromisoformat("2024-03-31 02:30"),
        datetime.fromisoformat("2026-01-04 17:45:01.5"),
    ],
}


def _columns(role: Role) -> tuple[Column, ...]:
    clipped = {"number": (Decimal("-1.5"), Decimal(2)), "exact": (Decimal("-0.5"), Decimal("1.33333"))} if role is Role.MEASURE else {}
    found = []
    for name, kind in _TYPES.items():
        lower, upper = clipped.get(name, (None, None))
        own = Role.KEY if name == "unit" else role if role is Role.FREE or ColumnType(kind).is_number else Role.GROUP
        found.append(Column(name, ColumnType(kind), own, lower=lower, upper=upper))
    return tuple(found)


PLAIN = Schema("north.rows", _columns(Role.FREE), "unit", 2)
OTHER = Schema("east.rows", PLAIN.columns, None, 2)
CLIPPED = Schema("north.kept", _columns(Role.MEASURE), "unit", 2, 40)
PUBLIC = Schema("south.names", (Column("name", ColumnType.TEXT, Role.FREE), Column("whole", ColumnType.INTEGER, Role.FREE)), None, 1)
TERMS = {one.product: ProductTerms(one) for one in (PLAIN, OTHER, CLIPPED, PUBLIC)}
NOISY = {"north.kept": ProductTerms(CLIPPED, privacy=Privacy(Decimal("0.5"), 40))}


def vetted(sql: str, terms: Mapping[str, ProductTerms] = TERMS) -> VettedQuery:
    """The question as an engine runs it."""
    found = vet(sql, terms)
    assert isinstance(found, VettedQuery), found
    return found


def tables() -> st.SearchStrategy[Tables]:
    """Small tables of awkward values, blanks among them; the register has every name at most once, or one of them twice."""
    return st.builds(_tables, st.integers(0, 2**32), st.sampled_from([40, 12, 1, 0]), st.sampled_from([0.3, 0.0]))


def _tables(seed: int, count: int, blank: float) -> Tables:
    chance = Random(seed)  # noqa: S311  # made-up rows

    def drawn(name: str) -> pa.Array:
        values = [None if chance.random() < blank else chance.choice(_VALUES[name]) for _ in range(count)]
        return pa.array(values, KINDS[name])

    rows, others = (pa.table({name: drawn(name) for name in KINDS}) for _ in range(2))
    narrow = others.set_column(others.column_names.index("whole"), "whole", pa.array([1] * count, pa.int16()))
    names = [*chance.sample(_VALUES["name"], 6), *([None, "a", "a"] if chance.random() < 0.5 else [None])]
    register = pa.table({"name": pa.array(names, pa.string()), "whole": pa.array(range(len(names)), pa.int64())})
    return {"north.rows": rows, "east.rows": narrow, "north.kept": rows, "south.names": register}


@dataclass(frozen=True)
class Spark:
    """One application for many questions, each in a session of its own."""

    session: Any
    folder: Path

    def run(self, query: VettedQuery, given: Tables) -> pa.Table:
        """What Spark makes of a question, as the engine hands it on."""
        known = {one.product: declared(one, given) for one in query.inputs}
        into = self.folder / str(len(list(self.folder.iterdir())))
        files = {one.product: written(one, known[one.product], into=into, parts=2) for one in query.inputs}
        found = asked(viewed(self.session.newSession(), files), spark_sql(query)).toArrow()
        return as_duckdb_has_it(found, query, known)


@contextmanager
def spark_in(folder: Path) -> Iterator[Spark]:
    """Start an application with its files in a folder."""
    (folder / "in").mkdir()
    with application(LOCAL, scratch=folder / "scratch", is_over=lambda: False) as session:
        session.conf.set("spark.sql.shuffle.partitions", "2")
        yield Spark(session, folder / "in")


def said(result: pa.Table) -> tuple[list[str], list[tuple[Any, ...]]]:
    """A result with its types, its rows in an order of their own; what double precision cannot tell apart is the same."""
    rows = [tuple(_same(value) for value in row.values()) for row in result.to_pylist()]
    return [f"{field.name} {field.type}" for field in result.schema], sorted(rows, key=repr)


def _same(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "not a number" if math.isnan(value) else float(f"{value + 0.0:.12g}")
