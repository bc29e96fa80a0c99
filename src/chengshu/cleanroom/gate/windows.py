"""Window functions over released groups, by DuckDB in a database of its own that holds nothing but what has been released."""

from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.relation.released import Frame, Value, Windowed, WindowFunction

_Column = Callable[[Value], pa.ChunkedArray]
_PEERS_ARE_ALIKE = frozenset({WindowFunction.RANK, WindowFunction.DENSE_RANK})
_STEPS = frozenset({WindowFunction.LAG, WindowFunction.LEAD})
_SUMS = frozenset({WindowFunction.SUM, WindowFunction.AVG})
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
    "enable_external_access": False,
    "threads": 1,
}
"""One thread: sums of doubles are added in one order."""


def windowed(value: Windowed, released: pa.Table, column: _Column) -> pa.ChunkedArray:
    """Return the function's value for each released group; ``column`` says what a value over groups is for each of them.

    Where an order leaves groups alike, functions of single places go by the groups' own values, so that the same question has the same
    answer; blanks come last.
    """
    columns = {"i": pa.chunked_array([pa.array(range(released.num_rows), pa.int64())])}
    columns |= {f"p{place}": column(one) for place, one in enumerate(value.partition)}
    columns |= {f"o{place}": column(key.value) for place, key in enumerate(value.order)}
    columns |= {name: released.column(name) for name in released.column_names if name.startswith("g")}
    if value.of is not None:
        columns["v"] = _summable(column(value.of)) if value.function in _SUMS else column(value.of)
    with duckdb.connect(":memory:", config=_CONFIG) as database:
        database.register("released", pa.table(columns))
        sql = f"SELECT {_call(value)} OVER ({_over(value, list(columns))}) AS w FROM released ORDER BY i"  # noqa: S608  # generated names
        found = database.sql(sql).to_arrow_table().column("w")
    return pc.if_else(pc.is_finite(found), found, pa.scalar(None, found.type)) if pa.types.is_floating(found.type) else found


def _summable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Sums of decimals could have more digits than a decimal has."""
    return values.cast(pa.float64(), safe=False) if pa.types.is_decimal(values.type) else values


def _call(value: Windowed) -> str:
    name = value.function.value.upper()
    if value.function in _STEPS:
        return f"{name}(v, {value.steps})"
    if value.function is WindowFunction.COUNT and value.of is None:
        return "COUNT(*)"
    return f"{name}({'' if value.of is None else 'v'})"


def _over(value: Windowed, names: list[str]) -> str:
    parts = []
    if value.partition:
        parts.append(f"PARTITION BY {', '.join(name for name in names if name.startswith('p'))}")
    keys = [f"o{place} {'DESC' if key.descending else 'ASC'} NULLS LAST" for place, key in enumerate(value.order)]
    if value.frame is not None or value.function in _STEPS or value.function is WindowFunction.ROW_NUMBER:
        keys += [f"{name} ASC NULLS LAST" for name in names if name.startswith("g")]
    if keys:
        parts.append(f"ORDER BY {', '.join(keys)}")
    if value.frame is not None and value.function not in _PEERS_ARE_ALIKE:
        parts.append(_rows(value.frame))
    return " ".join(parts)


def _rows(frame: Frame) -> str:
    before, after = ("UNBOUNDED" if one is None else str(one) for one in (frame.before, frame.after))
    return f"ROWS BETWEEN {before} PRECEDING AND {after} FOLLOWING"
