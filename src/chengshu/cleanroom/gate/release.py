"""The release gate: the last thing between a result and its asker, the same wherever the result was computed.

A group leaves when at least k records and at least k protected units of every product stand behind it, and behind every
value in it, and no join has repeated a record whose value is weighed.
What leaves is rounded. What the asker wanted done with the groups (HAVING, ORDER BY, LIMIT, arithmetic) is done
after the gate on what it let through: done before it, each of them would tell something about the groups left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.gate.finishing import finished
from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import Gate, VettedQuery
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

DIGITS = 6
MOST_ROWS = 100_000
_KINDS: Mapping[ColumnType, tuple[Callable[[pa.DataType], bool], ...]] = {
    ColumnType.BOOLEAN: (pa.types.is_boolean,),
    ColumnType.INTEGER: (pa.types.is_integer,),
    ColumnType.DECIMAL: (pa.types.is_decimal,),
    ColumnType.DOUBLE: (pa.types.is_floating,),
    ColumnType.TEXT: (pa.types.is_string, pa.types.is_large_string),
    ColumnType.DATE: (pa.types.is_date,),
    ColumnType.TIMESTAMP: (pa.types.is_timestamp,),
}


@dataclass(frozen=True, slots=True)
class Released:
    """What may leave the room. How many groups were left out is told to nobody: it would say whether a group with one record exists."""

    table: pa.Table


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One column that a sealed method may return."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a sealed method may return: exactly these columns, each row with the number of units behind it in ``count_column``.

    ``count_column`` is one of the columns; ``most_rows`` and ``digits`` are limits of the room, not of the method.
    """

    columns: tuple[OutputColumn, ...]
    minimum_group: int
    count_column: str = "n"
    most_rows: int = MOST_ROWS
    digits: int = DIGITS


def release(result: pa.Table, *, query: VettedQuery, digits: int = DIGITS) -> Released | Refused:
    """Return the released answer of ``query`` from the engine's ``result``, or the refusal by ``group-too-small`` and others.

    Floating numbers keep ``digits`` significant digits; what is not a number becomes nothing. No group, and only groups that
    are too small, are refused alike: to tell them apart would tell whether one record exists. Raises Invalid where ``result``
    lacks a column that the gate must read.
    """
    passed = passing(result, query=query)
    return passed if isinstance(passed, Refused) else let_out(passed, query=query, digits=digits)


def passing(result: pa.Table, *, query: VettedQuery) -> pa.Table | Refused:
    """Return the groups of ``result`` that may leave, exact and without hidden counts, or the refusal. Raises as :func:`release`."""
    missing = [gate.column for gate in query.gates if gate.column not in result.column_names]
    if missing or not query.gates:
        raise Invalid(
            "cleanroom.gate-columns",
            f"expected the hidden counts of the question, got a result without {len(missing)} of them",
            hint=Text("Run the question as it was vetted.", "请按审定后的问题运行。"),
        )
    keep = _passing(result, tuple(gate for gate in query.gates if gate.rule == "group-too-small"))
    if not keep.any():
        return too_small(query.minimum_group)
    keep &= _passing(result, query.gates)
    if not keep.any():
        return _fan_out()
    visible = [name for name in result.column_names if name not in {gate.column for gate in query.gates}]
    return result.select(visible).filter(pa.array(keep))


def let_out(passed: pa.Table, *, query: VettedQuery, digits: int = DIGITS) -> Released | Refused:
    """Return the answer of ``query`` from groups that have passed the gate: rounded first, and only then computed with."""
    rounded = pa.table({name: _safe(passed.column(name), digits if name.startswith("a") else None) for name in passed.column_names})
    table = finished(rounded, query.finish)
    table = pa.table({name: _safe(table.column(name), None) for name in table.column_names})
    return too_many(MOST_ROWS) if table.num_rows > MOST_ROWS else Released(table)


def release_table(table: pa.Table, spec: TableSpec) -> Released | Refused:
    """Return what a sealed method may let out of ``table``, or the refusal.

    Columns are exactly the declared ones, of the declared kinds, in the declared order; rows whose count is below the smallest
    group, or missing, are left out; floating numbers are rounded.
    """
    refusal = _declared(table, spec)
    if refusal is not None:
        return refusal
    keep = _at_least(table.column(spec.count_column), spec.minimum_group)
    if not keep.any():
        return too_small(spec.minimum_group)
    passed = table.filter(pa.array(keep))
    if passed.num_rows > spec.most_rows:
        return too_many(spec.most_rows)
    columns = {one.name: _safe(passed.column(one.name), spec.digits) for one in spec.columns}
    return Released(pa.table(columns))


def _passing(result: pa.Table, gates: tuple[Gate, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    keep = np.ones(result.num_rows, dtype=np.bool_)
    for gate in gates:
        keep &= _at_least(result.column(gate.column), gate.minimum)
    return keep


def _at_least(counts: pa.ChunkedArray, minimum: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    passes = pc.fill_null(pc.greater_equal(counts, minimum), fill_value=False)
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = passes.to_numpy()
    return mask


def _safe(values: pa.ChunkedArray, digits: int | None) -> pa.ChunkedArray:
    """Return floating numbers rounded, not-a-number as nothing, and whole sums as whole numbers where they fit."""
    if pa.types.is_floating(values.type):
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        if digits is not None:
            numbers = _significant(numbers, digits)
        return pa.chunked_array([pa.array(numbers, pa.float64(), from_pandas=True)])
    if pa.types.is_decimal(values.type) and values.type.scale == 0 and _fits(values):
        return values.cast(pa.int64())
    return values


def _fits(whole: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(whole).as_py()
    return all(bound is None or -(2**63) <= bound < 2**63 for bound in bounds.values())


def _significant(numbers: np.ndarray[tuple[int], np.dtype[np.float64]], digits: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Round as printing does: exact to the decimal, unlike a division by a power of ten."""
    return np.array([float(f"{number:.{digits}g}") for number in numbers], dtype=np.float64)


def _declared(table: pa.Table, spec: TableSpec) -> Refused | None:
    names = [one.name for one in spec.columns]
    if sorted(table.column_names) != sorted(names):
        undeclared = sum(1 for name in table.column_names if name not in names)
        return Refused(
            "undeclared-column",
            f"expected exactly the {len(names)} declared columns, got {table.num_columns}, {undeclared} of them undeclared",
            Text("Only the columns that the method declares.", "仅限方法所声明的列。"),
        )
    if spec.count_column not in names or not pa.types.is_integer(table.schema.field(spec.count_column).type):
        return _wrong_type(spec.count_column, "a whole number of units behind each row")
    for one in spec.columns:
        if not any(test(table.schema.field(one.name).type) for test in _KINDS[one.type]):
            return _wrong_type(one.name, one.type.value)
    return None


def _wrong_type(column: str, expected: str) -> Refused:
    return Refused(
        "wrong-type",
        f"column {column}: expected {expected}, got another kind of value, or no such column",
        Text("The types that the method declares.", "方法所声明的类型。"),
        {"column": column},
    )


def too_small(minimum: int) -> Refused:
    """Return the refusal of an answer none of whose groups is large enough."""
    return Refused(
        "group-too-small",
        f"expected at least one group with {minimum} or more records and protected units, got none",
        Text("A coarser grouping or a wider condition.", "更粗的分组或更宽的条件。"),
        {"minimum_group": minimum},
    )


def _fan_out() -> Refused:
    return Refused(
        "join-fan-out",
        "expected each record once in a group, got a join that repeats the records whose values are summed, averaged or counted",
        Text(
            "Join to a product with one record for each key, or use COUNT(DISTINCT …).",
            "请与每个键仅一条记录的产品连接，或使用 COUNT(DISTINCT …)。",
        ),
    )


def too_many(most: int) -> Refused:
    """Return the refusal of an answer with more rows than the room carries."""
    return Refused(
        "too-many-rows",
        f"expected at most {most} rows, got more",
        Text("A coarser grouping, or LIMIT.", "更粗的分组，或使用 LIMIT。"),
        {"most_rows": most},
    )
