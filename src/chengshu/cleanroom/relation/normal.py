"""One form for questions that mean the same, as far as that can be seen from their form: it names them, and is never executed.

Two questions with one normal form have the same answer over any data. The contrary is not promised: a spelling that is not recognised
is only taken for another question.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import (
    AllOf,
    AnyOf,
    Body,
    Bucket,
    Compare,
    Comparison,
    Condition,
    Derived,
    Labelled,
    Measure,
    Missing,
    Not,
    Operand,
    Ref,
    Rows,
    Scalar,
    Source,
    Table,
    Union,
    Within,
)
from chengshu.cleanroom.relation.released import Constant

_CONTRARY = {
    Comparison.EQ: Comparison.NE,
    Comparison.NE: Comparison.EQ,
    Comparison.LT: Comparison.GE,
    Comparison.LE: Comparison.GT,
    Comparison.GT: Comparison.LE,
    Comparison.GE: Comparison.LT,
}


def asked(body: Body, groups: Iterable[Scalar], measures: Iterable[Measure]) -> str:
    """Return a text that two questions have in common only where they compute the same numbers for the same groups."""
    columns, values = tuple(groups), tuple(measures)
    inner, mapping = meanings(body, (*columns, *(scalar for one in values for scalar in scalars_of(one))))
    found = {(one.function, one.distinct, _of(one, mapping), repr(one.column), *_under(one, mapping)) for one in values}
    return repr((normal_body(inner), sorted({repr(mapping[one]) for one in columns}), sorted(map(repr, found))))


def meanings(body: Body, scalars: Iterable[Scalar]) -> tuple[Body, dict[Operand, Scalar]]:
    """Return a body without sub-queries that are alone in FROM, and what each of some values in its scope is there."""
    written = tuple(scalars)
    inner, said = inlined(body, written)
    return inner, dict(zip(written, said, strict=True))


def scalars_of(measure: Measure) -> Iterator[Scalar]:
    """Yield what an aggregate is of, and what its condition is about."""
    if isinstance(measure.of, Ref):
        yield measure.of
    if measure.when is not None:
        yield from operands(measure.when)


def operands(condition: Condition) -> Iterator[Scalar]:
    """Yield every column, or bucket of one, that a condition on rows is about."""
    match condition:
        case Not(of=of):
            yield from operands(of)
        case AllOf(conditions=conditions) | AnyOf(conditions=conditions):
            for one in conditions:
                yield from operands(one)
        case Compare(left=Ref() | Bucket() as left) | Within(left=Ref() | Bucket() as left) | Missing(left=Ref() | Bucket() as left):
            yield left
        case _:
            return


def said_by(condition: Condition, mapping: Mapping[Operand, Scalar]) -> Condition:
    """Return a condition with every column in it, or bucket of one, replaced by what it is mapped to."""
    return _restated(condition, mapping.__getitem__)


def _restated(condition: Condition, by: Callable[[Operand], Operand]) -> Condition:
    """A condition about what ``by`` makes of each value that it is about."""
    into = partial(_restated, by=by)
    match condition:
        case Not(of=of):
            return Not(into(of))
        case AllOf(conditions=conditions):
            return AllOf(tuple(map(into, conditions)))
        case AnyOf(conditions=conditions):
            return AnyOf(tuple(map(into, conditions)))
        case Compare() | Within() | Missing():
            return replace(condition, left=by(condition.left))


def _of(measure: Measure, mapping: Mapping[Operand, Scalar]) -> str | None:
    return repr(mapping[measure.of]) if isinstance(measure.of, Ref) else None if measure.of is None else repr(measure.of)


def _under(measure: Measure, mapping: Mapping[Operand, Scalar]) -> tuple[str, ...]:
    """What an aggregate says of its condition; nothing where it has none, as before there were any."""
    return () if measure.when is None else (repr(normal(said_by(measure.when, mapping))), repr(measure.otherwise))


def normal_body(body: Body) -> Body:
    """Return a body with every condition in normal form, below it too."""
    joins = tuple(replace(join, source=_source(join.source), on=tuple(sorted(join.on, key=repr))) for join in body.joins)
    return Body(_source(body.source), joins, None if body.where is None else normal(body.where))


def normal(condition: Condition) -> Condition:
    """Return a condition that holds, fails and is unknown for exactly the same rows, in normal form."""
    match condition:
        case Not(of=of):
            return _negated(of)
        case AllOf(conditions=conditions):
            return _gathered([normal(one) for one in conditions], AllOf)
        case AnyOf(conditions=conditions):
            return _gathered([normal(one) for one in conditions], AnyOf)
        case Within(left=left, among=among):
            return _among(left, [_constant(one) for one in among])
        case Compare(operator=operator, left=left, right=right):
            return _comparison(operator, left, right)
        case Missing():
            return condition


def _negated(condition: Condition) -> Condition:
    """What NOT comes to; in three-valued logic too, unknown stays unknown throughout."""
    match condition:
        case Not(of=of):
            return normal(of)
        case AllOf(conditions=conditions):
            return _gathered([_negated(one) for one in conditions], AnyOf)
        case AnyOf(conditions=conditions):
            return _gathered([_negated(one) for one in conditions], AllOf)
        case Within(left=left, among=among):
            return _gathered([_comparison(Comparison.NE, left, one) for one in among], AllOf)
        case Compare(operator=operator, left=left, right=right):
            return _comparison(_CONTRARY[operator], left, right)
        case Missing():
            return Not(condition)


def _comparison(operator: Comparison, left: Operand, right: Operand) -> Condition:
    if not isinstance(right, Constant):
        return Compare(operator, left, right)
    constant = _constant(right)
    if operator is Comparison.NE and isinstance(constant.value, bool):
        return Compare(Comparison.EQ, left, replace(constant, value=not constant.value))
    if operator in {Comparison.LT, Comparison.GT}:
        beside = _beside(constant, 1 if operator is Comparison.GT else -1)
        if beside is not None:
            return Compare(Comparison.GE if operator is Comparison.GT else Comparison.LE, left, beside)
    return Compare(operator, left, constant)


def _beside(constant: Constant, step: int) -> Constant | None:
    """The next value of a type that has a next one."""
    match constant.value:
        case Decimal() as value if constant.type is ColumnType.INTEGER:
            return replace(constant, value=(value + step).normalize())
        case datetime():
            return None
        case date() as day if date.min < day < date.max:
            return replace(constant, value=day + timedelta(days=step))
        case _:
            return None


def _constant(constant: Constant) -> Constant:
    if not isinstance(constant.value, Decimal):
        return constant
    value = constant.value.normalize()
    return replace(constant, value=value or Decimal(0))


def _among(left: Operand, among: list[Constant]) -> Condition:
    known = tuple(sorted(dict.fromkeys(among), key=repr))
    return Compare(Comparison.EQ, left, known[0]) if len(known) == 1 else Within(left, known)


def _gathered(conditions: list[Condition], kind: type[AllOf] | type[AnyOf]) -> Condition:
    flat = [part for one in conditions for part in (one.conditions if isinstance(one, kind) else (one,))]
    merged = _bounded(flat, kind)
    if kind is AnyOf:
        merged = _listed(merged)
    known = sorted(dict.fromkeys(merged), key=repr)
    return known[0] if len(known) == 1 else kind(tuple(known))


def _bounded(conditions: list[Condition], kind: type[AllOf] | type[AnyOf]) -> list[Condition]:
    """Of several bounds of one value on one side, the one that decides; a value between a bound and itself is that bound."""
    decides: dict[tuple[Operand, Comparison], Compare] = {}
    others: list[Condition] = []
    for one in conditions:
        if isinstance(one, Compare) and one.operator in {Comparison.GE, Comparison.LE} and isinstance(one.right, Constant):
            key = (one.left, one.operator)
            decides[key] = _decisive(decides[key], one, kind) if key in decides else one
        else:
            others.append(one)
    if kind is AllOf:
        for left in dict.fromkeys(left for left, _ in decides):
            low, high = decides.get((left, Comparison.GE)), decides.get((left, Comparison.LE))
            if low is not None and high is not None and low.right == high.right:
                others.append(Compare(Comparison.EQ, left, low.right))
                del decides[left, Comparison.GE], decides[left, Comparison.LE]
    return [*others, *decides.values()]


def _decisive(one: Compare, other: Compare, kind: type[AllOf] | type[AnyOf]) -> Compare:
    first, second = (bound.right.value for bound in (one, other) if isinstance(bound.right, Constant))
    wants_greater = (one.operator is Comparison.GE) == (kind is AllOf)
    return one if (first > second) == wants_greater else other  # type: ignore[operator]  # constants of one column are of one type


def _listed(conditions: list[Condition]) -> list[Condition]:
    """Several equalities of one value as one list."""
    lists: dict[Operand, list[Constant]] = {}
    others: list[Condition] = []
    for one in conditions:
        match one:
            case Compare(operator=Comparison.EQ, left=left, right=Constant() as right):
                lists.setdefault(left, []).append(right)
            case Within(left=left, among=among):
                lists.setdefault(left, []).extend(among)
            case _:
                others.append(one)
    return [*others, *(_among(left, among) for left, among in lists.items())]


def _source(source: Source) -> Source:
    match source:
        case Table():
            return source
        case Derived(rows=rows):
            return Derived(_rows(rows))
        case Union(parts=parts):
            return replace(source, parts=tuple(map(_rows, parts)))


def _rows(rows: Rows) -> Rows:
    return replace(rows, body=normal_body(rows.body))


def inlined(body: Body, scalars: Iterable[Scalar]) -> tuple[Body, tuple[Scalar, ...]]:
    """Return a body and values in its scope without sub-queries that are alone in FROM: what is said of them is said of the inside."""
    found = tuple(scalars)
    while isinstance(body.source, Derived) and not body.joins:
        rows = body.source.rows
        given: dict[str, Scalar] = {f"c{place}": column for place, column in enumerate(rows.columns)}
        given |= {f"u{place}": unit for place, unit in enumerate(rows.units) if unit is not None}
        given |= {f"r{place}": record for place, record in enumerate(rows.records) if record is not None}
        try:
            said = tuple(_scalar(one, given) for one in found)
            outer = () if body.where is None else (_restated(body.where, partial(_operand, given=given)),)
        except KeyError:
            break
        inner = () if rows.body.where is None else (rows.body.where,)
        conditions = (*inner, *outer)
        body, found = replace(rows.body, where=AllOf(conditions) if conditions else None), said
    return body, found


def _operand(operand: Operand, given: dict[str, Scalar]) -> Operand:
    return _scalar(operand, given) if isinstance(operand, Ref | Bucket | Labelled) else operand


def _scalar(scalar: Scalar, given: dict[str, Scalar]) -> Scalar:
    match scalar:
        case Ref(column=column):
            return given[column]
        case Bucket(of=of):
            return replace(scalar, of=_ref(of, given))
        case Labelled(of=of, arms=arms):
            restated = tuple((_restated(condition, partial(_operand, given=given)), label) for condition, label in arms)
            return replace(scalar, of=_ref(of, given), arms=restated)


def _ref(ref: Ref, given: dict[str, Scalar]) -> Ref:
    inner = given[ref.column]
    if not isinstance(inner, Ref):
        raise KeyError(ref.column)  # a bucket of a bucket is no bucket of a column
    return inner
