"""How to know, without counting them all, that enough protected units stand behind a group.

Counting the distinct units of every group costs tens of times the question itself. Distinct units among *some* of the rows are never more
than among all of them, so a small part of the rows proves most groups: only those that it does not prove are counted exactly. The proof
holds because the part goes through the very same joins, conditions and groups, over the very same tables: leaving out rows of a source can
then only leave out rows behind a group, unless the source is the right side of a LEFT join, where a row that lost its partner stays.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from chengshu.cleanroom.relation.model import (
    ROW_NUMBER,
    Body,
    Derived,
    Join,
    JoinKind,
    Ref,
    Rows,
    Source,
    Summary,
    Table,
    Union,
    Unique,
    UnitCount,
)

SAMPLE = "__sample.rows"
"""With a number behind it, the product name under which the engine reads the part of a source that a proof is made from."""
_TIMES = 8
"""How many rows of a small group the part should hold for each unit that is to be proved."""
_LEAST, _MOST = 0.005, 0.2
_ENOUGH_ROWS = 100_000
"""Of a large source so many rows are a part to start from, however small a share they are."""
Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One table of a question: which product, the place of its source in each body and of its part in each union, from the outside.

    ``is_part`` says that it stands in a union.
    """

    product: str
    path: Path
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of some tables that a proof is made from: which, how many rows the largest has, and how large a share of each it is."""

    leaves: tuple[Leaf, ...]
    rows: int
    share: float


def counted(summary: Summary) -> tuple[int, ...]:
    """Return the places of the counts that are of distinct units; the others are counts of rows, which cost nothing."""
    return tuple(place for place, count in enumerate(summary.counts) if count.of is not None)


def leaves(body: Body) -> Iterator[Leaf]:
    """Yield the tables that a part of may stand for the whole: all but those on the right of a LEFT join."""
    sources = [body.source, *(join.source if join.kind is JoinKind.INNER else None for join in body.joins)]
    for place, source in enumerate(sources):
        match source:
            case Table(product=product):
                yield Leaf(product, (place,))
            case Derived(rows=rows):
                yield from (replace(one, path=(place, *one.path)) for one in leaves(rows.body))
            case Union(parts=parts):
                for number, part in enumerate(parts):
                    yield from (Leaf(one.product, (place, number, *one.path), is_part=True) for one in leaves(part.body))
            case None:
                continue


def together(leaf: Leaf, body: Body) -> tuple[Leaf, ...]:
    """Return the tables to take a part of along with ``leaf``: with one of a union all of it, since the units of each must be proved."""
    return tuple(one for one in leaves(body) if one.is_part) if leaf.is_part else (leaf,)


def sampled(body: Body, some: tuple[Leaf, ...]) -> Body:
    """Return ``body`` with :data:`SAMPLE` and n in the place of the n-th of some of its tables."""
    for number, leaf in enumerate(some):
        body = _changed(body, leaf.path, f"{SAMPLE}{number}")
    return body


def least_share(rows: int) -> float:
    """Return the share of a source of so many rows that a proof begins with."""
    return min(_LEAST, _ENOUGH_ROWS / max(rows, 1))


def share(smallest: int, *, minimum: int, rows: int) -> float | None:
    """Return the share of the rows to make a proof from, or None where so much would be needed that counting is cheaper.

    ``smallest`` is the number of rows of a small group, ``minimum`` the units to be proved, ``rows`` the size of the source.
    """
    wanted = _TIMES * minimum / max(smallest, 1)
    return None if wanted > _MOST else max(wanted, least_share(rows))


def unique_keys(summary: Summary) -> Mapping[int, tuple[Unique, ...]]:
    """Return for each mark of single records, by place, the keys that prove it where they are unique in their whole products.

    A record stands in a group once when every other source of the join is found by a key that the source holds once. A mark without an
    entry cannot be proved so: there is a sub-query, or a source that no such key leads to.
    """
    found = {place: _leading(summary.body, single.record) for place, single in enumerate(summary.singles)}
    return {place: keys for place, keys in found.items() if keys is not None}


def unnumbered(body: Body) -> Body:
    """Return ``body`` without the generated numbers that tell records apart, but for those that are the units of a sub-query."""
    joins = tuple(replace(join, source=_unnumbered(join.source)) for join in body.joins)
    return replace(body, source=_unnumbered(body.source), joins=joins)


def is_number(body: Body, ref: Ref) -> bool:
    """Say whether what identifies a unit is a generated number, here or in the sub-query that it comes from."""
    match body.source_of(ref):
        case Table():
            return ref.column == ROW_NUMBER
        case Derived(rows=rows):
            return _is_unit_number(rows, ref)
        case Union(parts=parts):
            return any(_is_unit_number(rows, ref) for rows in parts)


def _is_unit_number(rows: Rows, ref: Ref) -> bool:
    unit = next((one for place, one in enumerate(rows.units) if ref.column == f"u{place}"), None)
    return unit is not None and is_number(rows.body, unit)


def by_rows(summary: Summary, is_key: Callable[[str, str], bool]) -> Summary:
    """Return ``summary`` with units counted by their rows where every unit is one record, which a group holds at most once.

    ``is_key`` says of a product and its column that every record has a value there, and no two the same.
    """
    return replace(summary, counts=tuple(_by_rows(summary.body, count, is_key) for count in summary.counts))


def _by_rows(body: Body, count: UnitCount, is_key: Callable[[str, str], bool]) -> UnitCount:
    unit, present = count.of, count.present
    if unit is None or (present is not None and present.source != unit.source):
        return count
    source = body.source_of(unit)
    inner = all(join.kind is JoinKind.INNER for join in body.joins)
    keys = _leading(body, unit)
    if not isinstance(source, Table) or keys is None or (unit.column == ROW_NUMBER and not inner):
        return count
    every = [*keys, *([] if unit.column == ROW_NUMBER else [Unique(source.product, (unit.column,))])]
    if not all(len(key.keys) == 1 and is_key(key.product, key.keys[0]) for key in every):
        return count
    return replace(count, of=None, present=present or (None if inner else unit))


def merged(summary: Summary, never_missing: Callable[[str, str], bool]) -> tuple[Summary, Mapping[int, int]]:
    """Return ``summary`` with every count of units that another one always equals put to that one, by place, and where each was put.

    Keys that an inner join holds equal show the same units; so do all rows and those with a value, where ``never_missing`` says of a
    product and its column that every record has one and no left join could leave one out: no count looks for values then. What
    stands for several is to be as large as the strictest of them asks.
    """
    every = counted(summary)
    counts = [replace(count, present=_looked_for(summary.body, count, never_missing)) for count in summary.counts]
    shown = {place: (_equal_to(summary.body, counts[place].of), counts[place].present, counts[place].cell) for place in every}
    first = {place: next(other for other in every if shown[other] == shown[place]) for place in every}
    for place in set(first.values()):
        strictest = max(counts[other].minimum for other in every if first[other] == place)
        counts[place] = replace(counts[place], minimum=strictest)
    return replace(summary, counts=tuple(counts)), first


def _looked_for(body: Body, count: UnitCount, never_missing: Callable[[str, str], bool]) -> Ref | None:
    """Return the column that must have a value for a row to count; None where every row has one."""
    present = count.present
    if present is None or any(join.kind is not JoinKind.INNER for join in body.joins):
        return present
    source = body.source_of(present)
    return None if isinstance(source, Table) and never_missing(source.product, present.column) else present


def _equal_to(body: Body, unit: Ref | None) -> frozenset[Ref | None]:
    """Return the columns that are equal to a unit's in every row, it among them."""
    equal: set[Ref | None] = {unit}
    inner = [set(pair) for join in body.joins if join.kind is JoinKind.INNER for pair in join.on]
    while any(pair & equal and not pair <= equal for pair in inner):
        equal |= {ref for pair in inner if pair & equal for ref in pair}
    return frozenset(equal)


def _unnumbered(source: Source) -> Source:
    match source:
        case Table():
            return replace(source, numbered=False)
        case Derived(rows=rows):
            return source if _is_counted_by_number(rows) else Derived(_without_numbers(rows))
        case Union(parts=parts):
            return source if any(map(_is_counted_by_number, parts)) else replace(source, parts=tuple(map(_without_numbers, parts)))


def _without_numbers(rows: Rows) -> Rows:
    return replace(rows, body=unnumbered(rows.body), records=(None,) * len(rows.records))


def _is_counted_by_number(rows: Rows) -> bool:
    return any(unit is not None and is_number(rows.body, unit) for unit in rows.units)


def _changed(body: Body, path: Path, product: str) -> Body:
    place, rest = path[0], path[1:]
    return body.put(place, _replaced(body.at(place), rest, product))


def _replaced(source: Source, path: Path, product: str) -> Source:
    match source:
        case Table():
            return replace(source, product=product)
        case Derived(rows=rows):
            return Derived(replace(rows, body=_changed(rows.body, path, product)))
        case Union(parts=parts):
            number, rest = path[0], path[1:]
            changed = replace(parts[number], body=_changed(parts[number].body, rest, product))
            return replace(source, parts=(*parts[:number], changed, *parts[number + 1 :]))


def _leading(body: Body, record: Ref) -> tuple[Unique, ...] | None:
    """Return the keys by which, from one source on, every other source is found; None where some are not, or are no tables."""
    sources = {f"t{place}": source for place, source in enumerate(body.sources)}
    reached, keys = {record.source}, []
    while len(reached) < len(sources):
        step = next((one for one in (_step(sources, name, body.joins, reached) for name in sources if name not in reached) if one), None)
        if step is None:
            return None
        name, key = step
        reached.add(name)
        keys.append(key)
    return tuple(dict.fromkeys(keys)) if all(isinstance(source, Table) for source in sources.values()) else None


def _step(sources: Mapping[str, Source], name: str, joins: tuple[Join, ...], reached: set[str]) -> tuple[str, Unique] | None:
    """Return a source that equal keys lead to from those already reached, with its side of the keys."""
    source = sources[name]
    columns = {
        mine.column
        for join in joins
        for pair in join.on
        for mine, other in (pair, pair[::-1])
        if mine.source == name and other.source in reached
    }
    return (name, Unique(source.product, tuple(sorted(columns)))) if columns and isinstance(source, Table) else None
