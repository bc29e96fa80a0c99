"""The messages of Arrow Flight SQL that this door understands, as protobuf classes.

Names and field numbers are those of Apache Arrow's FlightSql.proto (package ``arrow.flight.protocol.sql``).
"""

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_PACKAGE = "arrow.flight.protocol.sql"
_Field = descriptor_pb2.FieldDescriptorProto
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
_Shape = tuple[tuple[str, int, int, int], ...]
"""Of each field its name, its number, its type and whether there are many."""

_SHAPES: dict[str, _Shape] = {
    "CommandGetSqlInfo": (("info", 1, _Field.TYPE_UINT32, _MANY),),
    "CommandGetCatalogs": (),
    "CommandGetDbSchemas": (("catalog", 1, _Field.TYPE_STRING, _ONE), ("db_schema_filter_pattern", 2, _Field.TYPE_STRING, _ONE)),
    "CommandGetTables": (
        ("catalog", 1, _Field.TYPE_STRING, _ONE),
        ("db_schema_filter_pattern", 2, _Field.TYPE_STRING, _ONE),
        ("table_name_filter_pattern", 3, _Field.TYPE_STRING, _ONE),
        ("table_types", 4, _Field.TYPE_STRING, _MANY),
        ("include_schema", 5, _Field.TYPE_BOOL, _ONE),
    ),
    "CommandGetTableTypes": (),
    "CommandStatementQuery": (("query", 1, _Field.TYPE_STRING, _ONE), ("transaction_id", 2, _Field.TYPE_BYTES, _ONE)),
    "CommandPreparedStatementQuery": (("prepared_statement_handle", 1, _Field.TYPE_BYTES, _ONE),),
    "TicketStatementQuery": (("statement_handle", 1, _Field.TYPE_BYTES, _ONE),),
    "ActionCreatePreparedStatementRequest": (("query", 1, _Field.TYPE_STRING, _ONE), ("transaction_id", 2, _Field.TYPE_BYTES, _ONE)),
    "ActionCreatePreparedStatementResult": (
        ("prepared_statement_handle", 1, _Field.TYPE_BYTES, _ONE),
        ("dataset_schema", 2, _Field.TYPE_BYTES, _ONE),
        ("parameter_schema", 3, _Field.TYPE_BYTES, _ONE),
    ),
    "ActionClosePreparedStatementRequest": (("prepared_statement_handle", 1, _Field.TYPE_BYTES, _ONE),),
}


def _classes() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="chengshu/flight_sql.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SHAPES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            message.field.add(name=field, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SHAPES}


_CLASSES = _classes()


def kind_of(message: Message) -> str:
    """Return a message's name without its package."""
    return str(message.DESCRIPTOR.name)


def parse(data: bytes) -> Any:
    """Return the Flight SQL message that ``data`` holds, packed as ``google.protobuf.Any``.

    Raises Invalid for bytes that are none, and for a message that this door does not serve, which it names.
    """
    try:
        packed = any_pb2.Any.FromString(data)
        package, _, name = packed.type_url.rpartition("/")[2].rpartition(".")
        if package == _PACKAGE and name in _CLASSES:
            return _CLASSES[name].FromString(packed.value)
    except DecodeError:
        package = name = ""
    if package == _PACKAGE and name.isidentifier() and name.isascii():
        raise Invalid("flight.not-served", f"expected a query or a question about what there is, got {name}", hint=_READ_ONLY)
    raise Invalid("flight.not-flight-sql", "expected a message of Arrow Flight SQL, got something else", hint=_READ_ONLY)


def packed(name: str, **fields: object) -> bytes:
    """Return a message of this name, packed as ``google.protobuf.Any``."""
    message = _CLASSES[name](**fields)
    return any_pb2.Any(type_url=f"type.googleapis.com/{_PACKAGE}.{name}", value=message.SerializeToString()).SerializeToString()


_READ_ONLY = Text(
    "Connect with an ordinary Flight SQL driver and SELECT; nothing can be written, and there are no transactions.",
    "请使用通用的 Flight SQL 驱动并以 SELECT 提问；不支持写入，也没有事务。",
)
