"""A product whose answers carry noise, small enough to be computed twice: trips of vehicles, and a public register of their makes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.model import Column, ColumnType, Privacy, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet

ENGINE = DuckDBEngine("256MB", 1, 30.0)
NUMBER = ColumnType.DOUBLE
TRIPS = Schema(
    "road.trips",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("road", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.INTEGER, Role.FILTER),
        Column("speed", NUMBER, Role.MEASURE, lower=Decimal(-5), upper=Decimal("12.5")),
        Column("load", ColumnType.INTEGER, Role.MEASURE, lower=Decimal(0), upper=Decimal(7)),
        Column("weight", NUMBER, Role.MEASURE, lower=Decimal(0)),
    ),
    "vehicle",
    2,
)
MAKES = Schema("road.makes", (Column("vehicle", ColumnType.TEXT, Role.FREE), Column("make", ColumnType.TEXT, Role.FREE)), None, 1)
_TYPES = {
    "vehicle": pa.string(),
    "road": pa.string(),
    "hour": pa.int64(),
    "speed": pa.float64(),
    "load": pa.int64(),
    "weight": pa.float64(),
}
Row = tuple[str | None, str | None, int | None, float | None, int | None]


def terms(*, contributions: int = 2, rho: str = "0.5") -> dict[str, ProductTerms]:
    return {"road.trips": ProductTerms(TRIPS, privacy=Privacy(Decimal(rho), contributions)), "road.makes": ProductTerms(MAKES)}


def vetted(sql: str, *, contributions: int = 2) -> VettedQuery:
    found = vet(sql, terms(contributions=contributions))
    assert isinstance(found, VettedQuery), found
    assert found.protection is not None
    return found


def table(rows: Sequence[Row]) -> pa.Table:
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(5)]
    named = dict(zip(_TYPES, [*columns, [1.0] * len(rows)], strict=True))
    return pa.table({name: pa.array(values, _TYPES[name]) for name, values in named.items()})


def computed(query: VettedQuery, rows: Sequence[Row], makes: Sequence[tuple[str, str]] = ()) -> pa.Table:
    """What the engine makes of rows, before any noise."""
    register = pa.table(
        {"vehicle": pa.array([one for one, _ in makes], pa.string()), "make": pa.array([one for _, one in makes], pa.string())}
    )
    return ENGINE.run(query, {"road.trips": table(rows), "road.makes": register})
