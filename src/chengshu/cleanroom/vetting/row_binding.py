"""FROM, JOIN and WHERE of a parsed question in our own representation, with the units and records to count them by.

Builds only what it understands and leaves by Invalid for everything else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from chengshu.cleanroom.conditions.cells import within
from chengshu.cleanroom.model import ColumnType, ProductTerms
from chengshu.cleanroom.relation.model import (
    ROW_NUMBER,
    AllOf,
    AnyOf,
    Body,
    Bucket,
    Compare,
    Comparison,
    Condition,
    Derived,
    Join,
    JoinKind,
    Labelled,
    Missing,
    Not,
    Ref,
    Rows,
    Scalar,
    Source,
    Table,
    Union,
    Within,
)
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.unions.parts import parts_of
from chengshu.cleanroom.vetting.agreed_rows import agreed_rows
from chengshu.cleanroom.vetting.buckets import coarser, constant, takes, type_after
from chengshu.cleanroom.vetting.labels import Labels, labels_of
from chengshu.cleanroom.vetting.names import Found, found, table_name
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

COMPARISONS: Mapping[type[exp.Expr], Comparison] = {
    exp.EQ: Comparison.EQ,
    exp.NEQ: Comparison.NE,
    exp.LT: Comparison.LT,
    exp.LTE: Comparison.LE,
    exp.GT: Comparison.GT,
    exp.GTE: Comparison.GE,
}
MIRRORED = {
    Comparison.LT: Comparison.GT,
    Comparison.LE: Comparison.GE,
    Comparison.GT: Comparison.LT,
    Comparison.GE: Comparison.LE,
}


@dataclass(frozen=True, slots=True)
class Unit:
    """What identifies the protected units (``ref``) and the records of one product in scope, and how many units a group needs.

    Where it is ``parted``, other products' rows stand under its own, which have nothing there.
    """

    product: str
    minimum: int
    ref: Ref | None
    record: Ref | None
    parted: bool = False


@dataclass(frozen=True, slots=True)
class RowBinder:
    """Binds FROM, JOIN and WHERE; ``numbered`` says that a join could repeat records, which are then told apart by number.

    In a part of a union (``parted``) they are also told apart where nothing else does.
    """

    terms: Mapping[str, ProductTerms]
    numbered: bool
    parted: bool = False

    def body(self, select: exp.Select, known: Mapping[str, exp.Query]) -> tuple[Body, tuple[Unit, ...]]:
        """Return FROM, JOIN and WHERE of a SELECT, and the units of every product in its scope, in order."""
        inner = dict(known)
        for common in select.ctes:
            inner[common.alias.lower()] = common.this
        if select.args.get("from_") is None:
            raise not_understood("a FROM clause")
        joins = select.args.get("joins") or ()
        bound = [self._source(select.args["from_"].this, inner)] + [self._source(join.this, inner) for join in joins]
        units = tuple(unit for place, (_, own) in enumerate(bound) for unit in _in_scope(own, place))
        sources = tuple(source for source, _ in bound)
        unfiltered = Body(sources[0], tuple(Join(JoinKind.INNER, source, ()) for source in sources[1:]), None)
        joined = tuple(
            Join(_join_kind(join), source, _keys(join, place, unfiltered))
            for place, (join, source) in enumerate(zip(joins, sources[1:], strict=True), start=1)
        )
        where = select.args.get("where")
        written = () if where is None else (filter_of(where.this, unfiltered),)
        return Body(sources[0], joined, within(*written, *self._agreed(sources, joined))), units

    def _agreed(self, sources: Sequence[Source], joins: Sequence[Join]) -> Iterator[Condition]:
        """What the agreements say of the rows of each product in scope."""
        for place, source in enumerate(sources):
            agreed = tuple(agreed_rows(self.terms[source.product].schema, f"t{place}")) if isinstance(source, Table) else ()
            if agreed and place and joins[place - 1].kind is JoinKind.LEFT:
                raise not_understood("a LEFT JOIN to a product of which every row is agreed")
            yield from agreed

    def _source(self, item: exp.Expr, known: Mapping[str, exp.Query]) -> tuple[Source, tuple[Unit, ...]]:
        if isinstance(item, exp.Subquery):
            return self._inner(item.this, known)
        if not isinstance(item, exp.Table) or item.catalog:
            raise not_understood("a product, a sub-query or a common table")
        if not item.db:
            if item.name.lower() not in known:
                raise not_understood("the name of a common table")
            return self._inner(known[item.name.lower()], {name: one for name, one in known.items() if name != item.name.lower()})
        return self._table(table_name(item))

    def _table(self, product: str) -> tuple[Source, tuple[Unit, ...]]:
        if product not in self.terms:
            raise not_understood("a product under contract")
        terms = self.terms[product]
        unit = terms.schema.privacy_unit
        alike = self.parted and (unit is None or terms.schema.dominance_percent is not None)
        numbered = (self.numbered or alike) and terms.smallest_group > 1
        record = Ref("", ROW_NUMBER) if numbered else None
        ref = record if unit is None else Ref("", unit)
        return Table(product, numbered), (Unit(product, terms.smallest_group, ref, record, self.parted),)

    def _inner(self, query: exp.Expr, known: Mapping[str, exp.Query]) -> tuple[Source, tuple[Unit, ...]]:
        return self._united(query) if isinstance(query, exp.Union) else self._derived(_as_select(query), known)

    def _united(self, union: exp.Union) -> tuple[Source, tuple[Unit, ...]]:
        inside = replace(self, parted=True)
        bound = [inside.rows(_as_select(part), {}) for part in parts_of(union)]
        types = {kinds for _, kinds, _ in bound}
        if len(types) != 1 or any(len(units) != 1 for _, _, units in bound):
            raise not_understood("columns of the same types from one product in every part")
        parts = tuple(
            replace(rows, units=_only(place, rows.units[0], len(bound)), records=_only(place, rows.records[0], len(bound)))
            for place, (rows, _, _) in enumerate(bound)
        )
        units = tuple(_renamed(unit, place) for place, (_, _, (unit,)) in enumerate(bound))
        return Union(parts, types.pop()), units

    def _derived(self, select: exp.Select, known: Mapping[str, exp.Query]) -> tuple[Source, tuple[Unit, ...]]:
        rows, _, units = self.rows(select, known)
        return Derived(rows), tuple(_renamed(unit, place) for place, unit in enumerate(units))

    def rows(self, select: exp.Select, known: Mapping[str, exp.Query]) -> tuple[Rows, tuple[ColumnType, ...], tuple[Unit, ...]]:
        """Return the plain rows of a SELECT, the types of its columns, and the units of every product in its scope, in order."""
        if any(select.args.get(clause) for clause in ("group", "having", "order", "limit", "offset", "distinct")):
            raise not_understood("a sub-query of plain rows")
        body, units = self.body(select, known)
        columns = [scalar_of(one.unalias(), body) for one in select.expressions]
        rows = Rows(tuple(scalar for scalar, _ in columns), body, tuple(unit.ref for unit in units), tuple(unit.record for unit in units))
        return rows, tuple(kind for _, kind in columns), units


def _only(place: int, ref: Ref | None, parts: int) -> tuple[Ref | None, ...]:
    """What one part of a union has where every part has a place."""
    return tuple(ref if one == place else None for one in range(parts))


def _in_scope(units: Iterable[Unit], place: int) -> Iterable[Unit]:
    return (replace(unit, ref=_at(unit.ref, place), record=_at(unit.record, place)) for unit in units)


def _at(ref: Ref | None, place: int) -> Ref | None:
    return None if ref is None else Ref(f"t{place}", ref.column)


def _renamed(unit: Unit, place: int) -> Unit:
    """Return a unit as the scope around a sub-query sees it."""
    ref = None if unit.ref is None else Ref("", f"u{place}")
    return replace(unit, ref=ref, record=None if unit.record is None else Ref("", f"r{place}"))


def scalar_of(expression: exp.Expr, body: Body) -> tuple[Scalar, ColumnType]:
    """Return a column, or a listed bucket of one, and the type it has."""
    labels = labels_of(expression.unnest())
    if labels is not None:
        return _labelled(labels, body), labels.type
    how = coarser(expression)
    if how is None:
        raise not_understood("a column or a bucket of one")
    kind, step, column = how
    one = found_of(column)
    if not takes(kind, one.origin.type):
        raise not_understood("a column of a type that can be made coarser in this way")
    ref = ref_of(one, body)
    return (ref if kind is None else Bucket(kind, step, ref)), type_after(kind, one.origin.type)


def _labelled(labels: Labels, body: Body) -> Labelled:
    refs = {ref_of(found_of(column), body) for column in labels.columns}
    if len(refs) != 1:
        raise not_understood("a CASE about one column")
    (ref,) = refs
    return Labelled(ref, tuple((filter_of(condition, body), label) for condition, label in labels.arms), labels.otherwise, labels.type)


def is_scalar(expression: exp.Expr) -> bool:
    """Whether an expression says something of single rows that a group can be named by: a column, a bucket of one, or labels of one."""
    return coarser(expression) is not None or isinstance(expression.unnest(), exp.Case)


def ref_of(one: Found, body: Body) -> Ref:
    """Return the generated name of a traced column."""
    name = one.origin.column.name if isinstance(body.at(one.source), Table) else f"c{one.place}"
    return Ref(f"t{one.source}", name)


def found_of(column: exp.Expr) -> Found:
    """Return what a column node was traced to."""
    one = found(column)
    if one is None:
        raise not_understood("a declared column")
    return one


def filter_of(expression: exp.Expr, body: Body) -> Condition:
    """Return a condition on single rows; raise Invalid for what is not understood."""
    node = expression.unnest()
    match node:
        case exp.And() | exp.Or() | exp.Not():
            return logic_of(node, lambda inner: filter_of(inner, body))
        case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _comparison(node, body)
        case exp.Between() if not node.args.get("symmetric"):
            scalar, kind = scalar_of(node.this, body)
            low = Compare(Comparison.GE, scalar, constant_of(node.args["low"], kind))
            return AllOf((low, Compare(Comparison.LE, scalar, constant_of(node.args["high"], kind))))
        case exp.In() if not (node.args.get("query") or node.args.get("unnest") or node.args.get("field")):
            scalar, kind = scalar_of(node.this, body)
            return Within(scalar, tuple(constant_of(one, kind) for one in node.expressions))
        case exp.Is() if isinstance(node.expression, exp.Null):
            return Missing(scalar_of(node.this, body)[0])
        case exp.Column():
            scalar, kind = scalar_of(node, body)
            return Compare(Comparison.EQ, scalar, constant_of(exp.true(), kind))
        case _:
            raise not_understood("a comparison of a column with a constant")


def _comparison(node: exp.Expr, body: Body) -> Condition:
    operator, left, right = COMPARISONS[type(node)], node.this, node.expression
    if coarser(left) is None:
        operator, left, right = MIRRORED.get(operator, operator), right, left
    scalar, kind = scalar_of(left, body)
    return Compare(operator, scalar, constant_of(right, kind))


def logic_of(node: exp.Expr, bound: Callable[[exp.Expr], Condition]) -> Condition:
    """Return AND, OR or NOT of conditions, each read by ``bound``."""
    match node:
        case exp.And():
            return AllOf(tuple(bound(one) for one in node.flatten()))
        case exp.Or():
            return AnyOf(tuple(bound(one) for one in node.flatten()))
        case _:
            return Not(bound(node.this))


def _join_kind(join: exp.Expr) -> JoinKind:
    side, kind = str(join.args.get("side") or ""), str(join.args.get("kind") or "")
    if any(join.args.get(name) for name in ("method", "using", "global_", "hint", "match_condition")) or kind not in {"", "INNER", "OUTER"}:
        raise not_understood("an inner or left join")
    if side not in {"", "LEFT"}:
        raise not_understood("an inner or left join")
    return JoinKind.LEFT if side else JoinKind.INNER


def _keys(join: exp.Expr, place: int, body: Body) -> tuple[tuple[Ref, Ref], ...]:
    on = join.args.get("on")
    if on is None:
        raise not_understood("ON with equal keys")
    pairs = []
    for one in on.unnest().flatten() if isinstance(on.unnest(), exp.And) else (on,):
        equality = one.unnest()
        if not isinstance(equality, exp.EQ) or not isinstance(equality.this, exp.Column) or not isinstance(equality.expression, exp.Column):
            raise not_understood("equal keys")
        left, right = found_of(equality.this), found_of(equality.expression)
        if left.source == right.source or max(left.source, right.source) != place or left.origin.type is not right.origin.type:
            raise not_understood("keys of the two sides, of one type")
        pairs.append((ref_of(left, body), ref_of(right, body)))
    return tuple(pairs)


def constant_of(expression: exp.Expr, kind: ColumnType) -> Constant:
    """Return a constant that needs no conversion to be compared with a column of this type."""
    one = constant(expression, kind)
    if one is None:
        raise not_understood("a constant of the column's type")
    return one


def _as_select(expression: exp.Expr) -> exp.Select:
    if not isinstance(expression, exp.Select):
        raise not_understood("a SELECT")
    return expression


def not_understood(expected: str) -> Invalid:
    """Return the error for whatever this room does not understand."""
    return Invalid(
        "cleanroom.not-understood",
        f"expected {expected}, got something else",
        hint=Text("See the reference of vetted SQL for what can be asked.", "可询问的内容见受审 SQL 参考。"),
    )
