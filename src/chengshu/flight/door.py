"""The Flight SQL server: whoever shows the node's client token asks in SQL, and is answered through the one entry for questions.

A question runs when its flight is asked for (``GetFlightInfo``); its answer is fetched by ticket (``DoGet``). The purpose comes with every
call as a header, for tools that know nothing of purposes.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import flight

from chengshu.cleanroom.asker import Standing
from chengshu.cleanroom.planning.explaining import described
from chengshu.client.following import follow
from chengshu.client.result import Result, denied, result_of
from chengshu.flight import listing, messages
from chengshu.flight.errors import told
from chengshu.flight.held import Held
from chengshu.identity.keys.client import ClientToken
from chengshu.kernel.errors import ChengshuError, Invalid, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import KEYS, Node

PURPOSE_HEADER = "x-chengshu-purpose"
ROOM_HEADER = "x-chengshu-room"
WAIT_HEADER = "x-chengshu-wait"
WAIT_S = 60.0
LONGEST_WAIT_S = 3600.0
MOST_AT_ONCE = 16
MOST_STATEMENTS = 1024
MOST_KEPT_BYTES = 256 * 1024 * 1024
_CALL = "call"
_CREATE, _CLOSE = "CreatePreparedStatement", "ClosePreparedStatement"


@dataclass(frozen=True, slots=True)
class Asking:
    """What the headers of a call say beside the question."""

    purpose: str
    room: str | None
    wait_s: float


class _Call(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow ships no types
    def __init__(self, headers: Mapping[str, list[str | bytes]]) -> None:
        self._headers = {name.lower(): values for name, values in headers.items()}

    def header(self, name: str) -> str | None:
        """Return a header's one value, None where there is none or several."""
        values = self._headers.get(name, [])
        value = values[0] if len(values) == 1 else None
        return value if isinstance(value, str) else None

    def asking(self) -> Asking:
        """Return what the headers ask for; raise Invalid, naming the header, for what is missing or of another form."""
        purpose, wait = self.header(PURPOSE_HEADER), self.header(WAIT_HEADER) or str(WAIT_S)
        if not purpose:
            raise _header(PURPOSE_HEADER, expected="the purpose of the question", got="none")
        try:
            seconds = float(wait)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= LONGEST_WAIT_S:
            raise _header(WAIT_HEADER, expected=f"seconds to wait, up to {LONGEST_WAIT_S:g}", got="something else")
        return Asking(purpose, self.header(ROOM_HEADER) or None, seconds)


class _Recognised(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # pyarrow ships no types
    """Lets nobody in but this organisation's own programs, before anything else of a call is looked at."""

    def __init__(self, token: ClientToken) -> None:
        super().__init__()
        self._token = token

    def start_call(self, info: Any, headers: Mapping[str, list[str | bytes]]) -> _Call:
        del info
        call = _Call(headers)
        with told():
            self._token.check(call.header("authorization"))
        return call


class FlightDoor(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Serves one node's questions from its construction until ``shutdown``; ``tls`` is a chain of certificates and its key, in PEM."""

    def __init__(self, node: Node, *, host: str, port: int, tls: tuple[bytes, bytes] | None = None) -> None:
        self._node = node
        self._answers: Held[pa.Table] = Held(MOST_KEPT_BYTES, lambda table: table.nbytes)
        self._statements: Held[str] = Held(MOST_STATEMENTS)
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._is_closing = threading.Event()
        scheme = "grpc" if tls is None else "grpc+tls"
        super().__init__(
            f"{scheme}://{host}:{port}",
            middleware={_CALL: _Recognised(ClientToken(node.folder / KEYS))},
            tls_certificates=None if tls is None else [tls],
        )

    def shutdown(self) -> None:
        """Stop serving; whoever waits for an answer is told so at once."""
        self._is_closing.set()
        super().shutdown()

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Run a question to its end, or name what a list will hold; what comes of it is fetched by the ticket in the answer."""
        with told():
            message = messages.parse(descriptor.command or b"")
            match messages.kind_of(message):
                case "CommandStatementQuery":
                    return self._answered(message.query, context, descriptor)
                case "CommandPreparedStatementQuery":
                    return self._answered(self._statements.find(message.prepared_statement_handle), context, descriptor)
                case _:
                    schema = _schema_of(message)
                    return _info(schema, descriptor, ticket=descriptor.command, rows=-1, size=-1)

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """Return the columns of a list; those of an answer are known when it is there."""
        del context
        with told():
            return flight.SchemaResult(_schema_of(messages.parse(descriptor.command or b"")))

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Hand out an answer or a list."""
        del context
        with told():
            message = messages.parse(ticket.ticket)
            if messages.kind_of(message) == "TicketStatementQuery":
                return flight.RecordBatchStream(self._answers.find(message.statement_handle))
            return flight.RecordBatchStream(self._listed(message))

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Refuse: nothing is written here, and a question's constants stand in its text, which is what is vetted and signed."""
        del context, descriptor, reader, writer
        with told():
            raise Invalid(
                "query.parameter",
                "expected a question without parameters, got values to write or to put in their places",
                hint=Text("Write the constants into the question.", "请将常量直接写入问题。"),
                facts={"rule": "parameter"},
            )

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """Name the actions there are."""
        del context
        return [(_CREATE, "Keep a statement without parameters."), (_CLOSE, "Forget a statement that is kept.")]

    def do_action(self, context: Any, action: Any) -> Iterator[bytes]:
        """Keep or forget a statement; it is vetted when it is asked, for only then is its purpose known."""
        del context
        with told():
            body = action.body.to_pybytes()
            if action.type not in {_CREATE, _CLOSE}:
                raise Invalid("flight.action", f"expected {_CREATE} or {_CLOSE}, got another action", hint=_ONLY_QUESTIONS)
            message = messages.parse(body)
            if action.type == _CREATE:
                handle = self._statements.keep(message.query)
                nothing = pa.schema([]).serialize().to_pybytes()
                answer = messages.packed("ActionCreatePreparedStatementResult", prepared_statement_handle=handle, parameter_schema=nothing)
                return iter([answer])
            self._statements.drop(message.prepared_statement_handle)
            return iter([])

    def _answered(self, sql: str, context: Any, descriptor: Any) -> Any:
        asking: Asking = context.get_middleware(_CALL).asking()
        if not self._free.acquire(blocking=False):
            raise Unavailable(
                "flight.busy",
                f"expected fewer than {MOST_AT_ONCE} questions at once, got as many",
                hint=Text("Ask again when one has been answered.", "请待其他问题得到答复后重试。"),
            )
        try:
            table = _labelled(self._ask(sql, asking, context))
        finally:
            self._free.release()
        ticket = messages.packed("TicketStatementQuery", statement_handle=self._answers.keep(table))
        return _info(table.schema, descriptor, ticket=ticket, rows=table.num_rows, size=table.nbytes)

    def _ask(self, sql: str, asking: Asking, context: Any) -> Result:
        room = None if asking.room is None else self._node.identity.find(asking.room).did
        asked = self._node.queries.ask(sql, purpose=asking.purpose, room=room)
        if isinstance(asked, Refused):
            raise denied(asked)

        def standing() -> Standing:
            self._check_waits(asked.job, context)
            return self._node.asker.standing(asked.job)

        return result_of(follow(standing, timeout_s=asking.wait_s), described(asked.candidate))

    def _check_waits(self, job: str, context: Any) -> None:
        """Leave where nobody waits any more: the client is gone, and the job is cancelled, or this door closes, and the job goes on."""
        if self._is_closing.is_set():
            raise flight.FlightUnavailableError(f"flight.closing: the node stops; the job goes on: 'chengshu job show {job}'")
        if context.is_cancelled():
            try:
                self._node.asker.cancel(job)
            except ChengshuError as error:  # the client hears nothing any more: whoever runs the node does
                self._node.trouble(error)
            raise flight.FlightCancelledError(f"job.cancelled: the client hung up; 'chengshu job show {job}' says how it ended")

    def _listed(self, message: Any) -> pa.Table:
        match messages.kind_of(message):
            case "CommandGetCatalogs":
                return listing.CATALOGS.empty_table()
            case "CommandGetDbSchemas":
                return listing.db_schemas(self._node, pattern=_given(message, "db_schema_filter_pattern"))
            case "CommandGetTableTypes":
                return pa.table([[listing.PRODUCT]], schema=listing.TABLE_TYPES)
            case "CommandGetSqlInfo":
                return listing.sql_info(list(message.info))
            case "CommandGetTables":
                parties, tables = _given(message, "db_schema_filter_pattern"), _given(message, "table_name_filter_pattern")
                found = listing.listed(self._node, party=parties, table=tables, with_schemas=message.include_schema)
                chosen = found if not message.table_types or listing.PRODUCT in message.table_types else []
                return listing.tables(chosen, with_schemas=message.include_schema)
            case _:
                raise _no_list()


def _schema_of(message: Any) -> pa.Schema:
    match messages.kind_of(message):
        case "CommandGetCatalogs":
            return listing.CATALOGS
        case "CommandGetDbSchemas":
            return listing.DB_SCHEMAS
        case "CommandGetTableTypes":
            return listing.TABLE_TYPES
        case "CommandGetSqlInfo":
            return listing.SQL_INFO
        case "CommandGetTables":
            return listing.TABLES_WITH_SCHEMAS if message.include_schema else listing.TABLES
        case _:
            raise _no_list()


def _info(schema: pa.Schema, descriptor: Any, *, ticket: bytes, rows: int, size: int) -> Any:
    return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], rows, size)


def _labelled(result: Result) -> pa.Table:
    """The answer with its job, the signed receipt, the leakage statement and what the room noted in its schema's metadata."""
    beside = {"job": result.job, "receipt": result.receipt, "statement": result.statement, "notes": list(result.notes)}
    written = {f"chengshu.{name}": value if isinstance(value, str) else json.dumps(value) for name, value in beside.items()}
    return result.table.replace_schema_metadata({**(result.table.schema.metadata or {}), **written})


def _given(message: Any, field: str) -> str | None:
    """A pattern that was given; an empty one is none."""
    return getattr(message, field) or None


def _header(name: str, *, expected: str, got: str) -> Invalid:
    return Invalid(
        "flight.header",
        f"{name}: expected {expected}, got {got}",
        hint=Text(
            f"Set the call header {name} on the connection: an ADBC driver takes it as adbc.flight.sql.rpc.call_header.{name}.",
            f"请在连接上设置调用头 {name}：ADBC 驱动的选项为 adbc.flight.sql.rpc.call_header.{name}。",
        ),
    )


def _no_list() -> Invalid:
    return Invalid("flight.not-served", "expected a question about what there is, got another message", hint=_ONLY_QUESTIONS)


_ONLY_QUESTIONS = Text("Ask with SELECT, or list schemas and tables.", "请以 SELECT 提问，或列出模式与表。")
