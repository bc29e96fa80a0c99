"""The few ways in which a column may be made coarser, and the constants it may be compared with."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import BucketKind
from chengshu.cleanroom.relation.released import Constant

TRUNCATIONS = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
PARTS = frozenset({"minute", "hour", "day", "dow", "isodow", "doy", "week", "month", "quarter", "year"})
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOST_DECIMALS = 10
"""Of a constant that is compared with a decimal: with more, an engine would make the column's values longer than it can."""

Coarser = tuple[BucketKind | None, str, exp.Column]


def coarser(expression: exp.Expr) -> Coarser | None:
    """Return how an expression makes a column coarser (no kind for the plain column), nothing where it is anything else."""
    match expression:
        case exp.Column():
            return None, "", expression
        case exp.Paren():
            return coarser(expression.this)
        case exp.TimestampTrunc() | exp.DateTrunc():
            return _truncation(expression)
        case exp.Extract() | exp.Year() | exp.Month() | exp.Day() | exp.Hour() | exp.Minute():
            return _part(expression)
        case exp.DateBin():
            return _time_step(expression)
        case exp.Mul() | exp.Floor():
            return _number_step(expression)
        case _:
            return None


def takes(kind: BucketKind | None, column: ColumnType) -> bool:
    """Whether a column of this type can be made coarser in this way without any conversion that could fail."""
    match kind:
        case None:
            return True
        case BucketKind.NUMBER_STEP:
            return column.is_number
        case BucketKind.TIME_STEP:
            return column is ColumnType.TIMESTAMP
        case _:
            return column in {ColumnType.DATE, ColumnType.TIMESTAMP}


def type_after(kind: BucketKind | None, column: ColumnType) -> ColumnType:
    """Return the type of a column made coarser in this way."""
    match kind:
        case None:
            return column
        case BucketKind.NUMBER_STEP:
            return ColumnType.DOUBLE
        case BucketKind.PART:
            return ColumnType.INTEGER
        case _:
            return ColumnType.TIMESTAMP


def constant(expression: exp.Expr, column: ColumnType) -> Constant | None:
    """Return the constant that can be compared with a column of this type without a conversion, nothing where it cannot.

    A conversion that can fail is an oracle: its error tells something about the row it failed on.
    """
    inner = expression.unnest()
    match inner:
        case exp.Literal():
            return _written(inner.name, column) if inner.is_string else _number(inner, column) if column.is_number else None
        case exp.Neg() if column.is_number:
            return _number(inner, column)
        case exp.Boolean() if column is ColumnType.BOOLEAN:
            return Constant(bool(inner.this), column)
        case exp.Cast() if _is_time_literal(inner):
            return _written(inner.this.name, column)
        case _:
            return None


def whole_number(expression: exp.Expr | None) -> int | None:
    """Return the whole number that a literal writes, nothing for anything else."""
    if not isinstance(expression, exp.Literal) or expression.is_string or not expression.name.isascii() or not expression.name.isdigit():
        return None
    return int(expression.name) if len(expression.name) <= 18 else None


def _truncation(expression: exp.Expr) -> Coarser | None:
    unit = _word(expression.args.get("unit"))
    if unit not in TRUNCATIONS or not _only(expression, "this", "unit") or not isinstance(expression.this, exp.Column):
        return None
    return BucketKind.TRUNCATE, unit, expression.this


def _part(expression: exp.Expr) -> Coarser | None:
    if isinstance(expression, exp.Extract):
        unit, column = _word(expression.this), expression.expression
    else:
        unit, column = type(expression).__name__.lower(), expression.this
    if unit not in PARTS or not _only(expression, "this", "expression") or not isinstance(column, exp.Column):
        return None
    return BucketKind.PART, unit, column


def _time_step(expression: exp.Expr) -> Coarser | None:
    interval, column = expression.this, expression.expression
    if not isinstance(interval, exp.Interval) or not isinstance(column, exp.Column) or not _only(expression, "this", "expression"):
        return None
    count = str(interval.this.name) if isinstance(interval.this, exp.Literal) else ""
    unit = _word(interval.args.get("unit")).removesuffix("s")
    if not (count.isascii() and count.isdigit() and int(count[:6]) > 0 and len(count) <= 6 and unit in SECONDS):
        return None
    return BucketKind.TIME_STEP, str(int(count) * SECONDS[unit]), column


def _number_step(expression: exp.Expr) -> Coarser | None:
    if isinstance(expression, exp.Floor):
        column = expression.this.unnest()
        return (BucketKind.NUMBER_STEP, "1", column) if isinstance(column, exp.Column) and _only(expression, "this") else None
    floor, width = expression.this.unnest(), expression.expression.unnest()
    if not isinstance(floor, exp.Floor) or not _only(floor, "this"):
        return None
    division = floor.this.unnest()
    if not isinstance(division, exp.Div) or not isinstance(division.this.unnest(), exp.Column) or division.expression.unnest() != width:
        return None
    step = _number(width, ColumnType.DOUBLE)
    if step is None or not isinstance(step.value, Decimal) or step.value <= 0:
        return None
    return BucketKind.NUMBER_STEP, format(step.value, "f"), division.this.unnest()


def _number(expression: exp.Expr, column: ColumnType) -> Constant | None:
    negative = isinstance(expression, exp.Neg)
    literal = expression.this.unnest() if negative else expression
    if not isinstance(literal, exp.Literal) or literal.is_string:
        return None
    try:
        value = Decimal(literal.name)
    except InvalidOperation:
        return None
    if not value.is_finite() or len(format(value, "f").replace(".", "")) > 18:
        return None
    if column is ColumnType.INTEGER and value != value.to_integral_value():
        return None
    if column is ColumnType.DECIMAL and value != round(value, MOST_DECIMALS):
        return None
    return Constant(-value if negative else value, column)


def _written(written: str, column: ColumnType) -> Constant | None:
    try:
        match column:
            case ColumnType.TEXT:
                return Constant(written, column) if written.isprintable() else None
            case ColumnType.DATE:
                return Constant(date.fromisoformat(written), column)
            case ColumnType.TIMESTAMP:
                moment = datetime.fromisoformat(written)
                return Constant(moment, column) if moment.tzinfo is None else None
            case _:
                return None
    except ValueError:
        return None


def _is_time_literal(cast: exp.Cast) -> bool:
    return (
        isinstance(cast.this, exp.Literal)
        and cast.this.is_string
        and _only(cast, "this", "to", "_type")
        and cast.to.this in {exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMP}
    )


def is_time_literal(expression: exp.Expr) -> bool:
    """Whether a cast is only the way in which a date or a time is written: ``DATE '2026-01-01'``."""
    return isinstance(expression, exp.Cast) and _is_time_literal(expression) and _reads(expression.this.name)


def _reads(written: str) -> bool:
    return _written(written, ColumnType.TIMESTAMP) is not None


def _only(expression: exp.Expr, *names: str) -> bool:
    return all(name in names for name, value in expression.args.items() if value not in (None, False, []))


def _word(expression: object) -> str:
    return str(expression.name).lower() if isinstance(expression, exp.Expr) else ""
