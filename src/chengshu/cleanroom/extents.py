"""What an agreement leaves of a product: a schema with fewer columns that may be used or shown, and with a restriction of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from chengshu.catalog.restriction import Predicate, Restriction
from chengshu.cleanroom.model import MEASURE_AGGREGATES, Aggregate, Column, ColumnType, Role, Schema
from chengshu.cleanroom.vetting.buckets import constant
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.model import Extent

_COMPARISONS: Mapping[type[exp.Expr], Predicate] = {
    exp.EQ: Predicate.AMONG,
    exp.NEQ: Predicate.NOT_AMONG,
    exp.LT: Predicate.LESS,
    exp.LTE: Predicate.AT_MOST,
    exp.GT: Predicate.MORE,
    exp.GTE: Predicate.AT_LEAST,
}
_CONTRARY = {Predicate.AMONG: Predicate.NOT_AMONG, Predicate.MISSING: Predicate.PRESENT}
_SHOWING = frozenset({Aggregate.MIN, Aggregate.MAX})
_UNBOUND = {Role.GROUP: Role.FILTER, Role.FREE: Role.FILTER}
"""What is left of a role where a column's values may not be shown."""


def under(schema: Schema, extent: Extent) -> Schema:
    """Return what is left of a published schema; raise Invalid ``policy.extent`` for a column or a condition that does not fit it."""
    if extent == Extent():
        return schema
    covered = _named(schema, extent.columns, "columns")
    shown = _named(schema, extent.shown, "shown-columns")
    columns = tuple(_left(column, is_covered=column.name in covered, is_shown=column.name in shown) for column in schema.columns)
    rows = () if extent.rows is None else tuple(_read(_parsed(extent.rows).unnest(), schema))
    return replace(schema, columns=columns, rows=rows)


def unfit(error: Invalid) -> Refused:
    """Return the refusal of a use under an agreement of which :func:`under` raised this: its product has another form by now."""
    again = Text("A new agreement on the product as it is now.", "就产品的当前版本重新签订合约。")
    return Refused(str(error.facts.get("rule", "row-filter")), error.message, again)


def _named(schema: Schema, names: frozenset[str] | None, rule: str) -> frozenset[str]:
    """The columns of these names as they are declared; every one where none are named."""
    if names is None:
        return frozenset(column.name for column in schema.columns)
    found = {name: schema.column(name) for name in sorted(names)}
    unknown = [name for name, column in found.items() if column is None]
    if unknown:
        raise _misfit(rule, f"expected columns of {schema.product}, got {unknown[0]}, which is none")
    return frozenset(column.name for column in found.values() if column is not None)


def _left(column: Column, *, is_covered: bool, is_shown: bool) -> Column:
    if not is_covered:
        plain = Column(column.name, column.type, Role.HIDDEN)
        return plain if column.role is Role.HIDDEN else replace(plain, narrowed=True)
    if is_shown or (column.role not in _UNBOUND and not column.permitted & _SHOWING):
        return column
    aggregates = column.aggregates - _SHOWING if column.role is Role.MEASURE else MEASURE_AGGREGATES
    return replace(column, role=_UNBOUND.get(column.role, column.role), aggregates=aggregates, narrowed=True)


def _read(node: exp.Expr, schema: Schema) -> Iterator[Restriction]:
    """What a condition asks of each column; every part of it must hold."""
    match node:
        case exp.And():
            yield from (found for part in node.flatten() for found in _read(part.unnest(), schema))
        case exp.Between() if not node.args.get("symmetric"):
            column = _column(node.this, schema)
            yield Restriction(column.name, Predicate.AT_LEAST, (_value(node.args["low"], column),))
            yield Restriction(column.name, Predicate.AT_MOST, (_value(node.args["high"], column),))
        case exp.Not():
            inner = _single(node.this.unnest(), schema)
            if inner.predicate not in _CONTRARY:
                raise _not_simple()
            yield Restriction(inner.column, _CONTRARY[inner.predicate], inner.values)
        case _:
            yield _single(node, schema)


def _single(node: exp.Expr, schema: Schema) -> Restriction:
    match node:
        case exp.In() if not (node.args.get("query") or node.args.get("unnest") or node.args.get("field")):
            column = _column(node.this, schema)
            return Restriction(column.name, Predicate.AMONG, tuple(_value(one, column) for one in node.expressions))
        case exp.Is() if isinstance(node.expression, exp.Null):
            return Restriction(_column(node.this, schema).name, Predicate.MISSING)
        case exp.Column():
            column = _column(node, schema)
            return Restriction(column.name, Predicate.AMONG, (_value(exp.true(), column),))
        case _ if type(node) in _COMPARISONS:
            column = _column(node.this, schema)
            return Restriction(column.name, _COMPARISONS[type(node)], (_value(node.expression, column),))
        case _:
            raise _not_simple()


def _parsed(condition: str) -> exp.Expr:
    try:
        found = Dialect.get_or_raise("duckdb").parse(condition)
    except Exception as error:  # whatever a parser stumbles over is a text that is no condition
        raise _not_simple() from error
    if len(found) != 1 or not isinstance(found[0], exp.Expr):
        raise _not_simple()
    return found[0]


def _column(node: exp.Expr, schema: Schema) -> Column:
    inner = node.unnest()
    if not isinstance(inner, exp.Column) or inner.table:
        raise _not_simple()
    column = schema.column(inner.name)
    if column is None:
        raise _misfit("row-filter", f"expected columns of {schema.product}, got {inner.name}, which is none")
    if column.type in {ColumnType.DOUBLE, ColumnType.DECIMAL}:
        raise _misfit("row-filter", f"expected a column of texts, whole numbers, truth values or times, got {column.name}, a {column.type}")
    return column


def _value(node: exp.Expr, column: Column) -> str:
    found = constant(node, column.type)
    if found is None:
        raise _misfit("row-filter", f"expected a constant of the type of {column.name}, {column.type}, got something else")
    match found.value:
        case bool():
            return str(found.value).lower()
        case int() | Decimal():
            return str(int(found.value))
        case str():
            return found.value
        case moment:
            return moment.isoformat()


def _not_simple() -> Invalid:
    return _misfit("row-filter", "expected comparisons of single columns with constants, joined by AND, got something else")


def _misfit(rule: str, message: str) -> Invalid:
    return Invalid(
        "policy.extent",
        f"{rule}: {message}",
        hint=Text(
            "For example: city IN ('Jinan', 'Jining') AND seen_on >= DATE '2026-01-01'. Columns go by the names of the data contract.",
            "例如：city IN ('Jinan', 'Jining') AND seen_on >= DATE '2026-01-01'。列名以数据合同为准。",
        ),
        facts={"rule": rule},
    )
