"""SQL from our own representation: every name is generated or declared, every constant is typed and quoted here.

What engines write alike stands here, once; what they write differently is said by a dialect (:mod:`chengshu.cleanroom.engines.dialects`).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from chengshu.cleanroom.engines.dialects.dialect import Dialect, double
from chengshu.cleanroom.engines.dialects.duckdb import DUCKDB
from chengshu.cleanroom.model import Aggregate, Column, ColumnType
from chengshu.cleanroom.relation.model import (
    ROW_NUMBER,
    AllOf,
    AnyOf,
    Body,
    Bounded,
    Bucket,
    Cell,
    Compare,
    Condition,
    Derived,
    Differences,
    Join,
    Labelled,
    Measure,
    Missing,
    Not,
    Operand,
    Ref,
    Rows,
    Scalar,
    Single,
    Source,
    Steps,
    Summary,
    Table,
    Union,
    Unique,
    UnitCount,
    Within,
)
from chengshu.cleanroom.relation.released import Constant
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_WIDE = {ColumnType.INTEGER: "BIGINT", ColumnType.DOUBLE: "DOUBLE"}
ROWS = "__rows"


def summary_sql(summary: Summary, *, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that computes ``summary``: columns ``g0…``, ``a0…``, ``__rows``, ``__n0…``, ``__s0…``, ``__k0…``, ``__d0…``."""
    columns = group_columns(summary, dialect=dialect) + measure_columns(summary, dialect=dialect)
    columns += [count_column(place, count, dialect=dialect) for place, count in enumerate(summary.counts)]
    columns += [single_column(place, single, dialect=dialect) for place, single in enumerate(summary.singles)]
    columns += [f"({unique_sql(unique, dialect=dialect)}) AS {unique_name(place)}" for place, unique in enumerate(summary.uniques)]
    plain = grouped_sql(summary, columns, dialect=dialect)
    if not summary.dominances:
        return plain
    groups = [f"f.g{place}" for place, _ in enumerate(summary.groups)]
    marks = "".join(f", d{place}.{dominance_name(place)}" for place, _ in enumerate(summary.dominances))
    joins = [
        f"JOIN ({dominance_sql(summary, place, dialect=dialect)}) AS d{place} ON {same_groups(f'd{place}', groups)}"
        for place, _ in enumerate(summary.dominances)
    ]
    return f"SELECT f.*{marks} FROM ({plain}) AS f {' '.join(joins)}"  # noqa: S608  # generated names


def dominance_sql(summary: Summary, place: int, *, among: str | None = None, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that says of every group, or of those ``among``, whether it passes the n-th p%-rule: 1, else 0."""
    one = summary.dominances[place]
    part = f"ABS(CAST({_within(one.cell, _clipped(scalar_sql(one.of, dialect), one.column, dialect), dialect)} AS DOUBLE))"
    if one.record is not None:
        part = f"CASE WHEN {scalar_sql(one.record, dialect)} IS NOT NULL THEN {part} END"
    units = [] if one.unit is None else [f"{scalar_sql(one.unit, dialect)} AS u"]
    share = part if one.unit is None else f"SUM({part})"
    groups = [f"g{number}" for number, _ in enumerate(summary.groups)]
    shares = select_sql(summary, [*group_columns(summary, dialect=dialect), *units, f"{share} AS c"], among=among, dialect=dialect)
    if one.unit is not None:
        shares += f" GROUP BY {', '.join([*(scalar_sql(group, dialect) for group in summary.groups), scalar_sql(one.unit, dialect)])}"
    relation, *two = dialect.largest_two(shares, groups)
    first, second = (f"COALESCE({one}, 0)" for one in two)
    rest = f"COALESCE(SUM(c), 0) - {first} - {second}"
    mark = f"CASE WHEN 100 * ({rest}) < {one.percent} * {first} THEN 0 ELSE 1 END AS {dominance_name(place)}"
    tail = f" GROUP BY {', '.join(groups)}" if groups else ""
    return f"SELECT {', '.join([*groups, mark])} FROM {relation}{tail}"  # noqa: S608  # generated names


def grouped_sql(
    summary: Summary, columns: list[str], *, body: Body | None = None, among: str | None = None, dialect: Dialect = DUCKDB
) -> str:
    """Return the statement that computes ``columns`` for every group, over ``body`` where it is not the summary's own.

    ``among`` names a relation with columns ``g0…``: only rows of the groups in it are read further.
    """
    grouped = ", ".join(scalar_sql(group, dialect) for group in summary.groups)
    return select_sql(summary, columns, body=body, among=among, dialect=dialect) + (f" GROUP BY {grouped}" if grouped else "")


def select_sql(
    summary: Summary, columns: list[str], *, body: Body | None = None, among: str | None = None, dialect: Dialect = DUCKDB
) -> str:
    """Return the statement that selects ``columns`` of every row behind ``summary``, as :func:`grouped_sql` does of groups."""
    listed = (
        ""
        if among is None
        else f" JOIN {among} AS among ON {same_groups('among', [scalar_sql(group, dialect) for group in summary.groups])}"
    )
    return from_sql(columns, body or summary.body, listed, dialect)


def same_groups(relation: str, groups: list[str]) -> str:
    """Return the condition that a row of ``relation`` is about these group values, blanks included."""
    return " AND ".join(f"{relation}.g{place} IS NOT DISTINCT FROM {group}" for place, group in enumerate(groups)) or "TRUE"


def group_columns(summary: Summary, *, dialect: Dialect = DUCKDB) -> list[str]:
    """Return the columns ``g0…``."""
    return [f"{scalar_sql(group, dialect)} AS g{place}" for place, group in enumerate(summary.groups)]


def measure_columns(summary: Summary, *, dialect: Dialect = DUCKDB) -> list[str]:
    """Return the columns ``a0…`` and ``__rows``."""
    return [*(f"{_measure(measure, dialect)} AS a{place}" for place, measure in enumerate(summary.measures)), f"COUNT(*) AS {ROWS}"]


def count_column(place: int, count: UnitCount, *, dialect: Dialect = DUCKDB) -> str:
    """Return the n-th hidden count, exact, as a column."""
    return f"{_count(count, dialect)} AS {count_name(place)}"


def single_column(place: int, single: Single, *, dialect: Dialect = DUCKDB) -> str:
    """Return the n-th hidden mark of records that stand in a group once, as a column."""
    return f"{_single(single, dialect)} AS {single_name(place)}"


def unit_column(count: UnitCount, *, dialect: Dialect = DUCKDB) -> str:
    """Return as the column ``u`` the unit that a row shows to ``count``; nothing where it shows none."""
    return f"{_shown(count, dialect)} AS u"


def unique_sql(unique: Unique, *, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that says 1 where a product holds each of its join keys once, else 0."""
    product, named = dialect.product(unique.product), [dialect.identifier(key) for key in unique.keys]
    keys = ", ".join(named)
    known = " AND ".join(f"{key} IS NOT NULL" for key in named)  # what is missing equals nothing, and joins nothing
    twice = f"SELECT 1 FROM {product} WHERE {known} GROUP BY {keys} HAVING COUNT(*) > 1"  # noqa: S608  # declared names, quoted
    return f"SELECT CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END FROM ({twice})"  # noqa: S608  # declared names, quoted


def bounded_sql(bounded: Bounded, *, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that computes ``bounded``: columns ``g0…``, ``a0…``, no order."""
    names = [f"c{place}" for place, _ in enumerate(bounded.columns)]
    grouped = [f"t0.{name}" for name in names[: bounded.groups]]
    columns = [f"{name} AS g{place}" for place, name in enumerate(grouped)]
    columns += [f"{_measure(measure, dialect)} AS a{place}" for place, measure in enumerate(bounded.measures)]
    statement = f"SELECT {', '.join(columns)} FROM ({_kept(bounded, names, dialect)}) AS t0"  # noqa: S608  # only generated names
    return statement + (f" GROUP BY {', '.join(grouped)}" if grouped else "")


def _kept(bounded: Bounded, names: list[str], dialect: Dialect) -> str:
    """By a window over each unit's rows, in the order of a hash of what they hold: no value is preferred, and no other unit looked at."""
    columns = [f"{_stepped(column, dialect)} AS {name}" for column, name in zip(bounded.columns, names, strict=True)]
    if bounded.unit is None:
        return from_sql(columns or ["1 AS c0"], bounded.body, "", dialect)
    rows = from_sql([*columns, f"{scalar_sql(bounded.unit, dialect)} AS u0"], bounded.body, "", dialect)
    number = f"ROW_NUMBER() OVER (PARTITION BY u0{dialect.shuffled(names, 'u0')}) AS __kept"
    known = f"SELECT *, {number} FROM ({rows}) WHERE u0 IS NOT NULL"  # noqa: S608  # only generated names
    return f"SELECT * FROM ({known}) WHERE __kept <= {bounded.most}"  # noqa: S608  # only generated names


def _stepped(column: Scalar | Steps, dialect: Dialect) -> str:
    if isinstance(column, Steps):
        return f"CAST(ROUND(CAST({_clipped(scalar_sql(column.of, dialect), column.column, dialect)} AS DOUBLE) * {column.steps}) AS BIGINT)"
    return scalar_sql(column, dialect)


def differences_sql(differences: Differences, *, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that computes ``differences``: columns ``g0…`` and, for each pair of an earlier condition and a unit, three."""
    holds, before = holds_sql(differences.where, dialect), [holds_sql(one, dialect) for one in differences.earlier]
    groups = [scalar_sql(group, dialect) for group in differences.groups]
    columns = [f"{group} AS g{place}" for place, group in enumerate(groups)]
    for place, was in enumerate(before):
        for unit, ref in enumerate(differences.units):
            rows = {"n": f"{holds} AND NOT {was}", "o": f"{was} AND NOT {holds}", "w": was}
            columns += [f"{_units_where(ref, condition, dialect)} AS {name}{place}_{unit}" for name, condition in rows.items()]
    grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
    return f"{from_sql(columns, differences.sources, '', dialect)} WHERE {' OR '.join([holds, *before])}{grouped}"


def holds_sql(condition: Condition | None, dialect: Dialect) -> str:
    """Return whether a condition holds, and false where that is unknown."""
    return "TRUE" if condition is None else f"COALESCE({_condition(condition, dialect)}, FALSE)"


def _units_where(unit: Ref | None, condition: str, dialect: Dialect) -> str:
    shown = "1" if unit is None else scalar_sql(unit, dialect)
    return f"COUNT({'' if unit is None else 'DISTINCT '}CASE WHEN {condition} THEN {shown} END)"


def count_name(place: int) -> str:
    """Return the name of the n-th hidden count."""
    return f"__n{place}"


def single_name(place: int) -> str:
    """Return the name of the n-th hidden mark of records that stand in a group once."""
    return f"__s{place}"


def unique_name(place: int) -> str:
    """Return the name of the n-th hidden mark of a product that holds each of its join keys once."""
    return f"__k{place}"


def dominance_name(place: int) -> str:
    """Return the name of the n-th hidden mark of a sum that no unit makes up."""
    return f"__d{place}"


def from_sql(columns: list[str], body: Body, listed: str, dialect: Dialect) -> str:
    """Return the statement that selects ``columns`` of every row of a body, with what is ``listed`` joined to it."""
    parts = [f"SELECT {', '.join(columns)}", f"FROM {_source(body.source, dialect)} AS t0"]
    parts += [_join(join, place, dialect) for place, join in enumerate(body.joins, start=1)]
    parts += [listed.strip()] if listed else []
    if body.where is not None:
        parts.append(f"WHERE {_condition(body.where, dialect)}")
    return " ".join(parts)


def _source(source: Source, dialect: Dialect) -> str:
    match source:
        case Table(product=product, numbered=numbered):
            return dialect.numbered(dialect.product(product), ROW_NUMBER) if numbered else dialect.product(product)
        case Derived(rows=rows):
            return f"({_rows(rows, dialect)})"
        case Union():
            return f"({_united(source, dialect)})"
        case _:
            assert_never(source)


def _united(union: Union, dialect: Dialect) -> str:
    """By the places of columns: every part has a place for each unit and record of any, or two would stand in one column."""
    known = [f"u{place}" for place, _ in enumerate(union.parts) if any(part.units[place] for part in union.parts)]
    known += [f"r{place}" for place, _ in enumerate(union.parts) if any(part.records[place] for part in union.parts)]
    return " UNION ALL ".join(_part(part, union.types, known, dialect) for part in union.parts)


def _part(part: Rows, types: tuple[ColumnType, ...], known: list[str], dialect: Dialect) -> str:
    kinds = zip(part.columns, types, strict=True)
    columns = [f"{_in_union(column, kind, dialect)} AS c{place}" for place, (column, kind) in enumerate(kinds)]
    own = {f"u{place}": unit for place, unit in enumerate(part.units)} | {f"r{place}": record for place, record in enumerate(part.records)}
    for name in known:
        ref = own[name]
        columns.append(f"{'NULL' if ref is None else scalar_sql(ref, dialect)} AS {name}")
    return from_sql(columns, part.body, "", dialect)


def _in_union(column: Scalar, kind: ColumnType, dialect: Dialect) -> str:
    """Decimals of two products have no type in common that holds them all, so they are made doubles, which never fails."""
    return f"CAST({scalar_sql(column, dialect)} AS DOUBLE)" if kind is ColumnType.DECIMAL else scalar_sql(column, dialect)


def _rows(rows: Rows, dialect: Dialect) -> str:
    columns = [f"{scalar_sql(column, dialect)} AS c{place}" for place, column in enumerate(rows.columns)]
    columns += [f"{scalar_sql(unit, dialect)} AS u{place}" for place, unit in enumerate(rows.units) if unit is not None]
    columns += [f"{scalar_sql(record, dialect)} AS r{place}" for place, record in enumerate(rows.records) if record is not None]
    return from_sql(columns, rows.body, "", dialect)


def _join(join: Join, place: int, dialect: Dialect) -> str:
    keys = " AND ".join(f"{scalar_sql(left, dialect)} = {scalar_sql(right, dialect)}" for left, right in join.on)
    return f"{join.kind} JOIN {_source(join.source, dialect)} AS t{place} ON {keys}"


def _measure(measure: Measure, dialect: Dialect) -> str:
    if measure.of is None and measure.when is None:
        return "COUNT(*)"
    argument = "1" if measure.of is None else scalar_sql(measure.of, dialect)
    if measure.function is not Aggregate.COUNT:
        argument = _clipped(argument, measure.column, dialect)
    if measure.when is not None:
        otherwise = "" if measure.otherwise is None else f" ELSE {_constant(measure.otherwise, dialect)}"
        argument = f"CASE WHEN {_condition(measure.when, dialect)} THEN {argument}{otherwise} END"
    match measure.function:
        case Aggregate.COUNT:
            return f"COUNT({'DISTINCT ' if measure.distinct else ''}{argument})"
        case Aggregate.SUM:
            return dialect.total(measure, argument)
        case Aggregate.AVG:
            return dialect.mean(measure, argument)
        case Aggregate.MIN | Aggregate.MAX:
            return f"{measure.function.value.upper()}({argument})"
        case _:
            assert_never(measure.function)


def _clipped(argument: str, column: Column | None, dialect: Dialect) -> str:
    """Clip by CASE: LEAST and GREATEST cost twice the time, and let a missing value become a bound."""
    arms = ""
    if column is None:
        return argument
    if column.lower is not None:
        bound = _constant(Constant(column.lower, column.type), dialect)
        arms += f" WHEN {argument} < {bound} THEN {bound}"
    if column.upper is not None:
        bound = _constant(Constant(column.upper, column.type), dialect)
        arms += f" WHEN {argument} > {bound} THEN {bound}"
    return f"CASE{arms} ELSE {argument} END" if arms else argument


def _count(count: UnitCount, dialect: Dialect) -> str:
    if count.of is None:
        counted = "1" if count.present is None else scalar_sql(count.present, dialect)
        return "COUNT(*)" if counted == "1" and count.cell is None else f"COUNT({_within(count.cell, counted, dialect)})"
    return f"COUNT(DISTINCT {_shown(count, dialect)})"


def _shown(count: UnitCount, dialect: Dialect) -> str:
    if count.of is None:
        raise _not_sql()
    unit = scalar_sql(count.of, dialect)
    shown = unit if count.present is None else f"CASE WHEN {scalar_sql(count.present, dialect)} IS NOT NULL THEN {unit} END"
    return _within(count.cell, shown, dialect)


def _within(cell: Cell | None, value: str, dialect: Dialect) -> str:
    """A value in the rows of a cell, nothing in others."""
    if cell is None:
        return value
    conditions = [_condition(one, dialect) for one in cell.holds] + [f"NOT {holds_sql(one, dialect)}" for one in cell.lacks]
    return f"CASE WHEN {' AND '.join(conditions)} THEN {value} END"


def _single(single: Single, dialect: Dialect) -> str:
    present, record = scalar_sql(single.present, dialect), scalar_sql(single.record, dialect)
    own = f"CASE WHEN {record} IS NOT NULL THEN {present} END"  # of a union, what stands in the product's own rows
    return f"CASE WHEN COUNT({own}) = COUNT(DISTINCT CASE WHEN {present} IS NOT NULL THEN {record} END) THEN 1 ELSE 0 END"


def scalar_sql(scalar: Operand, dialect: Dialect) -> str:
    """Return what is said of rows: a column, or one made coarser."""
    match scalar:
        case Ref(source=source, column=column):
            return f"{source}.{dialect.identifier(column)}"
        case Bucket(kind=kind, step=step, of=of):
            return dialect.bucket(kind, step, scalar_sql(of, dialect))
        case Labelled():
            return _labelled(scalar, dialect)
        case Constant():
            return _constant(scalar, dialect)
        case _:
            raise _not_sql()


def _condition(condition: Condition, dialect: Dialect) -> str:
    match condition:
        case Compare(operator=operator, left=left, right=right):
            return f"({scalar_sql(left, dialect)} {operator.value} {scalar_sql(right, dialect)})"
        case Within(left=left, among=among):
            return f"({scalar_sql(left, dialect)} IN ({', '.join(_constant(one, dialect) for one in among)}))"
        case Missing(left=left):
            return f"({scalar_sql(left, dialect)} IS NULL)"
        case Not(of=of):
            return f"(NOT {_condition(of, dialect)})"
        case AllOf(conditions=conditions):
            return "(" + " AND ".join(_condition(one, dialect) for one in conditions) + ")"
        case AnyOf(conditions=conditions):
            return "(" + " OR ".join(_condition(one, dialect) for one in conditions) + ")"
        case _:
            assert_never(condition)


def _labelled(scalar: Labelled, dialect: Dialect) -> str:
    """Numbers are made the type that columns of such numbers have."""
    arms = " ".join(f"WHEN {_condition(condition, dialect)} THEN {_constant(label, dialect)}" for condition, label in scalar.arms)
    case = f"CASE {arms}{'' if scalar.otherwise is None else f' ELSE {_constant(scalar.otherwise, dialect)}'} END"
    return f"CAST({case} AS {_WIDE[scalar.type]})" if scalar.type in _WIDE else f"({case})"


def _constant(constant: Constant, dialect: Dialect) -> str:
    match constant.value:
        case bool() as value:
            return "TRUE" if value else "FALSE"
        case int() | Decimal() as value:
            return (
                double(value) if constant.type is ColumnType.DOUBLE else f"({format(value, 'f') if isinstance(value, Decimal) else value})"
            )
        case str() as value:
            return dialect.text(value)
        case datetime() as value:
            return dialect.moment(value)
        case date() as value:
            return f"DATE '{value.isoformat()}'"
        case _ as value:
            assert_never(value)


def _not_sql() -> Invalid:
    return Invalid(
        "cleanroom.not-understood",
        "expected a column, a bucket or a constant, got a value that exists only after release",
        hint=Text("This is a fault of the program; please report it.", "这是程序缺陷，请报告。"),
    )
