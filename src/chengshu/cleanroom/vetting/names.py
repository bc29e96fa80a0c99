"""Where every column of a parsed question comes from: lineage through aliases, joins, sub-queries and common tables.

``annotate`` writes what it finds onto the tree's column nodes; ``origin_of`` and the others read it back. What cannot be
traced to a declared column is left without an origin, and the rules refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from chengshu.cleanroom.model import Column, ColumnType, ProductTerms
from chengshu.cleanroom.unions.merging import merged
from chengshu.cleanroom.unions.parts import parts_of
from chengshu.cleanroom.vetting.buckets import coarser, type_after
from chengshu.cleanroom.vetting.tree import every, own_nodes

_FOUND = "chengshu.found"
_SOURCES = "chengshu.sources"
_Index = dict[str, list[tuple[int, "Origin"]]]


@dataclass(frozen=True, slots=True)
class Origin:
    """A declared column behind a name.

    ``unit`` is the place, among the protected units of the scope, of those whom the value is about; ``bucketed`` says that
    the value was made coarser on the way, and ``type`` is the type it then has. A column of a UNION ALL has the declared columns of its
    ``parts`` behind it, the units of which stand in the scope from ``unit`` on.
    """

    product: str
    column: Column
    type: ColumnType
    unit: int = 0
    bucketed: bool = False
    parts: tuple["Origin", ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """The products whose values these are: one, or those of a union."""
        return tuple(one.product for one in self.parts) or (self.product,)

    @property
    def owners(self) -> tuple[int, ...]:
        """The places of the units of those products."""
        return tuple(range(self.unit, self.unit + len(self.products)))


@dataclass(frozen=True, slots=True)
class Found:
    """What a column node refers to: a column (``place`` is its name's place) of the n-th source."""

    source: int
    place: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class Scope:
    """One source in FROM or JOIN: its alias, its columns in order, and the products whose units it carries."""

    alias: str
    columns: tuple[tuple[str, Origin | None], ...]
    units: tuple[str, ...]
    product: str | None = None


def annotate(query: exp.Select, terms: Mapping[str, ProductTerms]) -> None:
    """Write lineage onto the tree: sources on each SELECT, origins on each column that can be traced."""
    _annotate(query, terms, {})


def found(column: exp.Expr) -> Found | None:
    """Return what a column node refers to, nothing where it cannot be traced."""
    value = column.meta.get(_FOUND)
    return value if isinstance(value, Found) else None


def origin_of(column: exp.Expr) -> Origin | None:
    """Return the declared column behind a column node, nothing where it cannot be traced."""
    one = found(column)
    return None if one is None else one.origin


def sources_of(select: exp.Select) -> tuple[Scope | None, ...]:
    """Return the sources of an annotated SELECT in order, nothing where one is not known."""
    value: tuple[Scope | None, ...] = select.meta.get(_SOURCES, ())
    return value


def alias_target(select: exp.Select, column: exp.Expr) -> exp.Expr | None:
    """Return the selected expression that a bare name or an ordinal in GROUP BY, HAVING or ORDER BY stands for."""
    if isinstance(column, exp.Literal) and not column.is_string and column.name.isdigit():
        place = int(column.name) - 1
        return select.expressions[place].unalias() if 0 <= place < len(select.expressions) else None
    if not isinstance(column, exp.Column) or column.table:
        return None
    named = [one for one in select.expressions if isinstance(one, exp.Alias) and one.alias.lower() == column.name.lower()]
    return named[0].unalias() if len(named) == 1 else None


def _annotate(select: exp.Select, terms: Mapping[str, ProductTerms], outer: Mapping[str, Scope]) -> Scope:
    known = dict(outer)
    for common in select.ctes:
        if isinstance(common.this, exp.Select | exp.Union):
            known[common.alias.lower()] = replace(_rows(common.this, terms, known), alias=common.alias.lower())
    items = [select.args["from_"].this] if select.args.get("from_") else []
    items += [join.this for join in select.args.get("joins") or ()]
    scopes = tuple(_scope(item, terms, known) for item in items)
    select.meta[_SOURCES] = scopes
    indexes = tuple(_index(scope) for scope in scopes)
    resolved: dict[tuple[bool, str, str, str], Found | None] = {}  # a name means the same wherever one SELECT writes it
    for node in own_nodes(select, exp.Column):
        written = (bool(node.args.get("catalog")), node.db, node.table, node.name)
        if written not in resolved:
            resolved[written] = _resolve(node, scopes, indexes)
        node.meta[_FOUND] = resolved[written]
    return Scope("", tuple(_output(one) for one in select.expressions), _units(scopes))


def _rows(query: exp.Select | exp.Union, terms: Mapping[str, ProductTerms], known: Mapping[str, Scope]) -> Scope:
    """What a sub-query or common table gives: the columns of a union have the names of its first part's."""
    if isinstance(query, exp.Select):
        return _annotate(query, terms, known)
    parts = [_annotate(part, terms, known) for part in parts_of(query) if isinstance(part, exp.Select)]
    names = [name for name, _ in parts[0].columns]
    places = zip(*([origin for _, origin in part.columns] for part in parts), strict=False)  # a rule counts them
    columns = tuple((name, _merged(origins)) for name, origins in zip(names, places, strict=False))
    return Scope("", columns, tuple(product for part in parts for product in part.units))


def _merged(origins: tuple[Origin | None, ...]) -> Origin | None:
    known = tuple(one for one in origins if one is not None)
    if len(known) != len(origins) or len({one.type for one in known}) != 1:
        return None
    column = merged(tuple(replace(one.column, type=one.type) for one in known))
    return Origin(known[0].product, column, column.type, bucketed=any(one.bucketed for one in known), parts=known)


def _scope(item: exp.Expr, terms: Mapping[str, ProductTerms], known: Mapping[str, Scope]) -> Scope | None:
    alias = item.alias_or_name.lower()
    if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Select | exp.Union):
        return replace(_rows(item.this, terms, known), alias=alias)
    if not isinstance(item, exp.Table):
        return None
    if not item.db:
        common = known.get(item.name.lower())
        return None if common is None else replace(common, alias=alias)
    product = table_name(item)
    if item.catalog or product not in terms:
        return None
    schema = terms[product].schema
    columns = tuple((column.name.lower(), Origin(product, column, column.type)) for column in schema.columns)
    return Scope(alias, columns, (product,), product)


def sheltered_tables(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> list[str]:
    """Return the product of every table in the question that protects somebody from the asker, repeated where it is read twice."""
    names = [table_name(table) for table in every(query, exp.Table) if table.db]
    return [name for name in names if name in terms and terms[name].sheltered]


def table_name(table: exp.Table) -> str:
    """Return ``party.product`` as schemas write it."""
    return f"{table.db}.{table.name}".lower()


def _units(scopes: tuple[Scope | None, ...]) -> tuple[str, ...]:
    return tuple(product for scope in scopes if scope is not None for product in scope.units)


def _index(scope: Scope | None) -> _Index:
    """The places of a source's columns by name; what cannot be traced has none."""
    places: _Index = {}
    for at, (written, origin) in enumerate(() if scope is None else scope.columns):
        if origin is not None:
            places.setdefault(written, []).append((at, origin))
    return places


def _resolve(column: exp.Column, scopes: tuple[Scope | None, ...], indexes: tuple[_Index, ...]) -> Found | None:
    hits: list[Found] = []
    before = 0
    for place, scope in enumerate(scopes):
        if scope is None:
            continue
        if _names(column, scope):
            named = indexes[place].get(column.name.lower(), ())
            hits += [Found(place, at, replace(origin, unit=origin.unit + before) if before else origin) for at, origin in named]
        before += len(scope.units)
    return hits[0] if len(hits) == 1 else None


def _names(column: exp.Column, scope: Scope) -> bool:
    if column.args.get("catalog"):
        return False
    if column.db:
        return f"{column.db}.{column.table}".lower() == scope.product and column.table.lower() == scope.alias
    return not column.table or column.table.lower() == scope.alias


def _output(expression: exp.Expr) -> tuple[str, Origin | None]:
    name = expression.alias_or_name.lower()
    how = coarser(expression.unalias())
    origin = None if how is None else origin_of(how[2])
    if how is None or origin is None or how[0] is None:
        return name, origin
    return name, replace(origin, bucketed=True, type=type_after(how[0], origin.type))
