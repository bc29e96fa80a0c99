"""What there is to ask about, as tools list it: parties as schemas, their products as tables, columns with their types and roles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.model import ColumnType, Role, Schema
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.version import VERSION
from chengshu.node import Node

PRODUCT = "PRODUCT"
"""The one type of table there is."""
CATALOGS = pa.schema([pa.field("catalog_name", pa.string(), nullable=False)])
DB_SCHEMAS = pa.schema([pa.field("catalog_name", pa.string()), pa.field("db_schema_name", pa.string(), nullable=False)])
TABLE_TYPES = pa.schema([pa.field("table_type", pa.string(), nullable=False)])
TABLES = pa.schema(
    [*DB_SCHEMAS, pa.field("table_name", pa.string(), nullable=False), pa.field("table_type", pa.string(), nullable=False)]
).set(1, pa.field("db_schema_name", pa.string()))
TABLES_WITH_SCHEMAS = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
_ARROW = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DECIMAL: pa.decimal128(38, 9),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.TEXT: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
}
_VALUES = ("string_value", "bool_value", "bigint_value", "int32_bitmask", "string_list", "int32_to_int32_list_map")
_VALUE_TYPES = (pa.string(), pa.bool_(), pa.int64(), pa.int32(), pa.list_(pa.string()), pa.map_(pa.int32(), pa.list_(pa.int32())))
SQL_INFO = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field(
            "value",
            pa.dense_union([pa.field(name, kind) for name, kind in zip(_VALUES, _VALUE_TYPES, strict=True)]),
            nullable=False,
        ),
    ]
)
_TOLD: dict[int, tuple[int, Any]] = {
    0: (0, "Chengshu"),  # the server's name
    1: (0, VERSION),
    2: (0, pa.__version__),  # the version of Arrow
    3: (1, True),  # read only
    4: (1, True),  # SQL is understood
    5: (1, False),  # Substrait is not
    8: (3, 0),  # no transactions
    9: (1, False),  # no CancelQuery: whoever hangs up cancels
    504: (0, '"'),  # what identifiers are quoted by
}
"""What FlightSql.proto's SqlInfo numbers are answered with: which member of the union, and the value."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One product that questions can name: its party, its table, and its schema where its holder told it."""

    party: str
    table: str
    schema: Schema | None


def listed(node: Node, *, party: str | None = None, table: str | None = None, with_schemas: bool) -> list[Listed]:
    """Return this node's own products and those that it has an agreement in force on, by the names that questions use.

    ``party`` and ``table`` are patterns as LIKE has them. Only ``with_schemas`` holders are asked; the schema of one that does not answer
    is missing.
    """
    matching = (one for one in _products(node, with_schemas=with_schemas) if like(one.party, party) and like(one.table, table))
    return sorted({(one.party, one.table): one for one in matching}.values(), key=lambda one: (one.party, one.table))


def db_schemas(node: Node, *, pattern: str | None) -> pa.Table:
    """Return the parties whose products can be asked about."""
    names = sorted({one.party for one in _products(node, with_schemas=False) if like(one.party, pattern)})
    return pa.table([[None] * len(names), names], schema=DB_SCHEMAS)


def tables(found: list[Listed], *, with_schemas: bool) -> pa.Table:
    """Return products as Flight SQL lists tables."""
    columns: list[list[Any]] = [[None] * len(found), [one.party for one in found], [one.table for one in found], [PRODUCT] * len(found)]
    if not with_schemas:
        return pa.table(columns, schema=TABLES)
    return pa.table([*columns, [_arrow(one.schema).serialize().to_pybytes() for one in found]], schema=TABLES_WITH_SCHEMAS)


def sql_info(asked: list[int]) -> pa.Table:
    """Return what this server says of itself: of the numbers that are asked for and that it has a word on, all where none is named."""
    told = {number: one for number, one in _TOLD.items() if not asked or number in asked}
    members: list[list[Any]] = [[] for _ in _VALUES]
    kinds, offsets = [], []
    for kind, value in told.values():
        kinds.append(kind)
        offsets.append(len(members[kind]))
        members[kind].append(value)
    values = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()),
        pa.array(offsets, pa.int32()),
        [pa.array(one, kind) for one, kind in zip(members, _VALUE_TYPES, strict=True)],
        list(_VALUES),
    )
    return pa.table([pa.array(list(told), pa.uint32()), values], schema=SQL_INFO)


def _products(node: Node, *, with_schemas: bool) -> Iterator[Listed]:
    for one in node.catalog.products():
        yield Listed(node.settings.node.handle, one.contract.table.lower(), node.holder.schema(one.id) if with_schemas else None)
    own = node.identity.did
    held = dict.fromkeys((one.provider, one.product) for one in node.contracts.agreements() if one.consumer == own != one.provider)
    handles = {one.did: one.handle for one in node.identity.list()}
    for provider, product in held:
        if handles.get(provider):
            yield _others(node, provider, product, handle=handles[provider] or "", with_schemas=with_schemas)


def _others(node: Node, provider: str, product: str, *, handle: str, with_schemas: bool) -> Listed:
    if with_schemas:
        try:
            schema = node.asker.schema(provider, product)
        except ChengshuError:
            return Listed(handle, product, None)
        return Listed(handle, schema.product.partition(".")[2], schema)
    return Listed(handle, product, None)


def _arrow(schema: Schema | None) -> pa.Schema:
    """The columns that a question may name; what is hidden is not shown, and the role stands in each field's metadata."""
    columns = () if schema is None else (one for one in schema.columns if one.role is not Role.HIDDEN)
    return pa.schema([pa.field(one.name, _ARROW[one.type], metadata={"chengshu.role": one.role.value}) for one in columns])


def like(name: str, pattern: str | None) -> bool:
    """Say whether a name is as LIKE has it, in either case.

    What stands between two ``%`` is looked for once, at its first place, so that no pattern takes long.
    """
    if pattern is None:
        return True
    first, *rest = ("".join("." if letter == "_" else re.escape(letter) for letter in part) for part in pattern.lower().split("%"))
    between = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.fullmatch(first + between + (f".*{rest[-1]}" if rest else ""), name) is not None
