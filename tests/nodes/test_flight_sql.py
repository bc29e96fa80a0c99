"""The Flight SQL door, by the driver that ordinary tools have: what is asked there is vetted, planned and metered as any other question."""

import json
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions
from pyarrow import flight
from small_space import BY_ROAD, PURPOSE, RAW, Town, born, hang_up, kinds, raised_town, served, until

from certificates import papers
from chengshu.cleanroom.model import Column, ColumnType, Role, Schema
from chengshu.config import FlightSection
from chengshu.flight import messages
from chengshu.flight.door import MOST_AT_ONCE, FlightDoor
from chengshu.flight.errors import told
from chengshu.flight.held import LIFE_S, Held
from chengshu.flight.listing import Listed, like, tables
from chengshu.flight.serving import address_of, opened
from chengshu.identity.keys.client import ClientToken
from chengshu.kernel.errors import Invalid, NotFound, Unavailable
from chengshu.kernel.text import Text
from chengshu.node import KEYS, Node

HEADER = "adbc.flight.sql.rpc.call_header.x-chengshu-"
VEHICLES = 20
"""On each road of :func:`small_space.counts`."""


@pytest.fixture(scope="module")
def door(town: Town) -> Iterator[FlightDoor]:
    ClientToken(town.firm.folder / KEYS).make()
    with opened(town.firm, port=free_port()) as door:
        assert door is not None
        yield door


@pytest.fixture
def connect(town: Town, door: FlightDoor) -> Callable[..., Any]:
    def connected(*, token: str | None = None, purpose: str | None = PURPOSE, **more: str) -> Any:
        known = token or ClientToken(town.firm.folder / KEYS).make()
        return connection(f"grpc://127.0.0.1:{door.port}", token=known, purpose=purpose, **more)

    return connected


def connection(uri: str, *, token: str, purpose: str | None = PURPOSE, **more: str) -> Any:
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}", **more}
    if purpose is not None:
        options[f"{HEADER}purpose"] = purpose
    return adbc.connect(uri, db_kwargs=options, autocommit=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def asked(link: Any, sql: str) -> pa.Table:
    with link.cursor() as cursor:
        cursor.execute(sql)
        table: pa.Table = cursor.fetch_arrow_table()
        return table


@contextmanager
def refused(*words: str) -> Iterator[None]:
    with pytest.raises(adbc_driver_manager.Error) as caught:
        yield
    for word in words:
        assert word in str(caught.value)


# --- questions


def test_a_database_tool_is_answered_with_the_receipt_beside_the_answer(town: Town, connect: Callable[..., Any]) -> None:
    before = len(town.firm.asker.every())
    with connect() as link:
        table = asked(link, BY_ROAD)
    assert [(row["road"], row["vehicles"]) for row in table.to_pylist()] == [("gate", VEHICLES), ("ring", VEHICLES)]
    assert len(town.firm.asker.every()) == before + 1
    beside = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    receipt, statement = json.loads(beside["chengshu.receipt"]), json.loads(beside["chengshu.statement"])
    assert receipt["receipt"]["job"] == beside["chengshu.job"]
    assert town.firm.asker.statement(beside["chengshu.job"]) == statement
    assert receipt["receipt"]["leakage"] == town.firm.digests.of(statement)


def test_an_answer_is_a_data_frame_for_who_wants_one(connect: Callable[..., Any]) -> None:
    with connect() as link, link.cursor() as cursor:
        cursor.execute(BY_ROAD)
        assert list(cursor.fetch_df()["road"]) == ["gate", "ring"]
    with connect() as link, link.cursor() as cursor:
        cursor.execute(BY_ROAD)
        assert cursor.fetch_polars()["road"].to_list() == ["gate", "ring"]


def test_the_same_statement_can_be_asked_again_and_is_another_use(town: Town, connect: Callable[..., Any]) -> None:
    before = len(town.firm.asker.every())
    with connect() as link, link.cursor() as cursor:
        for _ in range(2):
            cursor.execute(BY_ROAD)
            assert cursor.fetchall()
    assert len(town.firm.asker.every()) == before + 2


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (RAW, ["query.raw-rows", "GROUP BY"]),
        ("SELECT COUNT(*) AS n FROM nobody.counts", ["query.unknown-party"]),
        ("SELECT COUNT(*) AS n FROM road.unheard", ["query.no-agreement"]),
        ("DROP TABLE road.counts", ["query.only-select"]),
        ("SELECT 1; SELECT 2", ["query."]),
    ],
)
def test_a_refusal_names_its_rule_and_what_would_pass_and_asks_nothing(
    town: Town, connect: Callable[..., Any], sql: str, words: list[str]
) -> None:
    before = len(town.firm.asker.every())
    with connect() as link, refused(*words):
        asked(link, sql)
    assert len(town.firm.asker.every()) == before
    assert not {"job.refused", "transfer.refused"} & set(kinds(town.road))


def test_the_purpose_is_the_askers_word_and_the_owners_rule(town: Town, connect: Callable[..., Any]) -> None:
    with connect(purpose=None) as link, refused("flight.header", "x-chengshu-purpose"):
        asked(link, BY_ROAD)
    with connect(purpose="advertising") as link, refused("query.purpose"):
        asked(link, BY_ROAD)


@pytest.mark.parametrize("wait", ["soon", "0", "-1", "inf", "nan", "3601"])
def test_a_wait_of_another_form_is_refused_by_its_header(connect: Callable[..., Any], wait: str) -> None:
    with connect(**{f"{HEADER}wait": wait}) as link, refused("flight.header", "x-chengshu-wait"):
        asked(link, BY_ROAD)


def test_a_room_can_be_named(town: Town, connect: Callable[..., Any]) -> None:
    with connect(**{f"{HEADER}room": "room"}) as link:
        assert asked(link, BY_ROAD).num_rows == 2
    with connect(**{f"{HEADER}room": "fleet"}) as link, refused("query.environment"):
        asked(link, BY_ROAD)


def test_values_for_parameters_are_refused_before_anything_is_asked(town: Town, connect: Callable[..., Any]) -> None:
    before = len(town.firm.asker.every())
    with connect() as link, link.cursor() as cursor, refused("parameter"):
        cursor.execute("SELECT COUNT(*) AS n FROM road.counts WHERE road = ?", ("ring",))
    assert len(town.firm.asker.every()) == before


# --- who is heard


def test_nobody_is_heard_without_the_nodes_token(town: Town, connect: Callable[..., Any], door: FlightDoor) -> None:
    with connect(token="another") as link:
        with refused("client.token"):
            asked(link, BY_ROAD)
        with refused("client.token"):
            link.adbc_get_objects(depth="tables").read_all()
    client = flight.connect(f"grpc://127.0.0.1:{door.port}")
    with client, pytest.raises(flight.FlightUnauthenticatedError):
        list(client.list_actions())


def test_other_machines_are_not_spoken_to_in_clear_text(town: Town, tmp_path: Path) -> None:
    node = with_flight(town.firm, FlightSection(host="192.0.2.1", port=free_port()))
    with pytest.raises(Invalid) as caught, opened(node):
        pass
    assert caught.value.code == "flight.unencrypted"


def test_certificate_and_key_encrypt_the_door(town: Town, tmp_path: Path) -> None:
    made = papers(town.firm.folder / "keys", host="127.0.0.1")
    chosen = FlightSection(port=free_port(), certificate="keys/server.pem", key="keys/server.key")
    token = ClientToken(town.firm.folder / KEYS).make()
    with opened(with_flight(town.firm, chosen)) as door:
        assert door is not None
        address = address_of(door, chosen)
        assert address.startswith("grpc+tls://127.0.0.1:")
        trusted = {DatabaseOptions.TLS_ROOT_CERTS.value: made.authority.read_text()}
        with connection(address, token=token, **trusted) as link:
            assert asked(link, BY_ROAD).num_rows == 2
        with connection(address, token=token) as link, refused("certificate"):
            asked(link, BY_ROAD)
    made.key.chmod(0o644)
    with pytest.raises(Invalid) as caught, opened(with_flight(town.firm, chosen)):
        pass
    assert caught.value.code == "flight.key-file"
    made.key.unlink()
    with pytest.raises(Invalid) as caught, opened(with_flight(town.firm, chosen)):
        pass
    assert caught.value.code == "flight.certificate"


def test_without_a_port_there_is_no_door_and_a_port_in_use_is_named(town: Town, door: FlightDoor) -> None:
    with opened(town.firm) as none:
        assert none is None
    with pytest.raises(Unavailable) as caught, opened(town.firm, port=door.port):
        pass
    assert caught.value.code == "flight.port"
    with pytest.raises(ValueError, match="certificate and its key"):
        FlightSection(port=1, certificate="a.pem")


def with_flight(node: Node, chosen: FlightSection) -> Node:
    """The node with other settings for its door, as if they had been in its file from the beginning."""
    return replace(node, settings=node.settings.model_copy(update={"flight": chosen}))


# --- what there is


def test_a_tool_lists_parties_products_and_columns_by_the_names_that_questions_use(connect: Callable[..., Any]) -> None:
    with connect() as link:
        found = link.adbc_get_objects(depth="all").read_all().to_pylist()
        types = link.adbc_get_table_types()
        info = link.adbc_get_info()
        one = link.adbc_get_table_schema("counts", db_schema_filter="road")
    assert types == ["PRODUCT"]
    assert info["vendor_name"] == "Chengshu"
    parties = {
        schema["db_schema_name"]: {table["table_name"]: table for table in schema["db_schema_tables"]}
        for catalog in found
        for schema in catalog["catalog_db_schemas"]
    }
    assert {"counts", "twice", "other"} <= parties["road"].keys()
    assert "trips" in parties["fleet"]
    assert parties["road"]["counts"]["table_type"] == "PRODUCT"
    columns = [one["column_name"] for one in parties["road"]["counts"]["table_columns"]]
    assert {"road", "vehicle", "speed"} <= set(columns)
    assert one.field("road").type == pa.string()


@pytest.mark.parametrize(("pattern", "names"), [("cou%", ["counts"]), ("%o%", ["counts", "other"]), ("c_unts", ["counts"]), ("c.*", [])])
def test_a_list_is_narrowed_by_patterns(connect: Callable[..., Any], pattern: str, names: list[str]) -> None:
    with connect() as link:
        found = link.adbc_get_objects(depth="tables", db_schema_filter="road", table_name_filter=pattern).read_all().to_pylist()
    tables = [table["table_name"] for catalog in found for schema in catalog["catalog_db_schemas"] for table in schema["db_schema_tables"]]
    assert sorted(tables) == names


def test_a_hidden_column_is_not_listed() -> None:
    columns = (Column("road", ColumnType.TEXT, Role.GROUP), Column("driver", ColumnType.TEXT, Role.HIDDEN))
    listed = tables([Listed("road", "shy", Schema("road.shy", columns, privacy_unit=None, minimum_group=5))], with_schemas=True)
    assert pa.ipc.read_schema(pa.py_buffer(listed.column("table_schema")[0].as_py())).names == ["road"]


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("counts", "%", True),
        ("counts", "", False),
        ("counts", "c%t_", True),
        ("counts", "%c%o%u%", True),
        ("counts", "%s%c%", False),
        ("counts", "COUNTS", True),
        ("a" * 60, "%a" * 30 + "%b", False),
    ],
)
def test_patterns_are_as_like_has_them_and_take_no_time(name: str, pattern: str, matches: bool) -> None:
    assert like(name, pattern) is matches


# --- what is not asked properly


def call(town: Town, door: FlightDoor, *, timeout: float = 60.0) -> tuple[Any, Any]:
    """A bare client, and the headers that it has to send with each call."""
    token = ClientToken(town.firm.folder / KEYS).make()
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"x-chengshu-purpose", PURPOSE.encode())]
    return flight.connect(f"grpc://127.0.0.1:{door.port}"), flight.FlightCallOptions(headers=headers, timeout=timeout)


def question(sql: str) -> Any:
    return flight.FlightDescriptor.for_command(messages.packed("CommandStatementQuery", query=sql))


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"\xff\xff",
        messages.packed("TicketStatementQuery", statement_handle=b"x"),
        b"\n/x/arrow.flight.protocol.sql.CommandStatementUpdate",
    ],
)
def test_what_is_no_question_is_refused_without_a_fault(town: Town, door: FlightDoor, command: bytes) -> None:
    client, options = call(town, door)
    with client:
        for ask in (client.get_flight_info, client.get_schema):
            with pytest.raises(pa.ArrowInvalid, match=r"flight\."):
                ask(flight.FlightDescriptor.for_command(command), options)


def test_what_an_error_came_from_is_not_told(town: Town, door: FlightDoor) -> None:
    """pyarrow writes the traceback of some errors into their status, with all that they were raised from."""
    client, options = call(town, door)
    with client, pytest.raises(pa.ArrowKeyError, match=r"query\.unknown-party") as caught:
        client.get_flight_info(question("SELECT COUNT(*) AS n FROM nobody.counts"), options)
    assert "direct cause" not in str(caught.value)
    assert "During handling" not in str(caught.value)


@pytest.mark.parametrize("kind", [Invalid, NotFound, Unavailable, ValueError])
def test_no_error_takes_a_value_along_from_what_it_came_from(kind: type[Exception]) -> None:
    with pytest.raises(pa.ArrowException) as caught, told():
        try:
            float("7331.25 m/s")
        except ValueError as error:
            raise (kind("some.code", "expected, got", hint=Text("h", "h")) if kind is not ValueError else error) from error
    assert "7331.25" not in "".join(traceback.format_exception(caught.value))


def test_an_unknown_handle_and_an_unknown_action_are_told_apart(town: Town, door: FlightDoor) -> None:
    client, options = call(town, door)
    with client:
        ticket = flight.Ticket(messages.packed("TicketStatementQuery", statement_handle=b"none"))
        with pytest.raises(pa.ArrowKeyError, match=r"flight\.handle"):
            client.do_get(ticket, options).read_all()
        with pytest.raises(pa.ArrowInvalid, match=r"flight\.action"):
            list(client.do_action(flight.Action("BeginTransaction", b""), options))
        closed = messages.packed("ActionClosePreparedStatementRequest", prepared_statement_handle=b"none")
        assert list(client.do_action(flight.Action("ClosePreparedStatement", closed), options)) == []
        assert [one.type for one in client.list_actions(options)] == ["CreatePreparedStatement", "ClosePreparedStatement"]


def test_a_ticket_can_be_fetched_again_while_it_is_kept(town: Town, door: FlightDoor) -> None:
    client, options = call(town, door)
    with client:
        info = client.get_flight_info(question(BY_ROAD), options)
        first, second = (client.do_get(info.endpoints[0].ticket, options).read_all() for _ in range(2))
    assert first == second
    assert info.total_records == first.num_rows == 2


# --- a client that hangs up, a crowd, and what is forgotten


def test_who_hangs_up_cancels_the_job_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder falls silent once the plan is made: the room waits for it, until the asker's tool goes away."""
    with raised_town(tmp_path) as town, opened(town.firm, port=free_port()) as door:
        assert door is not None
        silent_once_planned(town, monkeypatch)
        client, options = call(town, door, timeout=2.0)
        with client, pytest.raises(flight.FlightTimedOutError):
            client.get_flight_info(question(BY_ROAD), options)
        (job,) = (row["id"] for row in town.firm.asker.every())
        until(lambda: "job.cancelled" in kinds(town.room, job))
        until(lambda: "job.failed" in kinds(town.firm, job))


def test_a_door_that_closes_keeps_nobody_waiting_and_the_job_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with raised_town(tmp_path) as town, ThreadPoolExecutor(1) as pool:
        silent = silent_once_planned(town, monkeypatch)
        with opened(town.firm, port=free_port()) as door:
            assert door is not None
            client, options = call(town, door)
            waiting = pool.submit(client.get_flight_info, question(BY_ROAD), options)
            until(lambda: silent.is_set() and bool(town.firm.asker.every()))
            until(lambda: "job.vetted" in kinds(town.room))
        with pytest.raises(flight.FlightUnavailableError, match=r"flight\.closing"):
            waiting.result(timeout=30)
        client.close()
        assert "job.cancelled" not in kinds(town.room)


def silent_once_planned(town: Town, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Stop the holder once the plan is made: the room waits for it then."""
    answering, silent = town.firm.queries._answering, threading.Event()

    def then_silent(candidates: Any) -> Any:
        found = answering(candidates)
        town.space.stop("road")
        silent.set()
        return found

    monkeypatch.setattr(town.firm.queries, "_answering", then_silent)
    return silent


def test_more_questions_at_once_than_are_served_are_sent_away_and_nothing_is_asked(town: Town, door: FlightDoor) -> None:
    before = len(town.firm.asker.every())
    client, options = call(town, door)
    for _ in range(MOST_AT_ONCE):
        assert door._free.acquire(blocking=False)
    try:
        with client, pytest.raises(flight.FlightUnavailableError, match=r"flight\.busy"):
            client.get_flight_info(question(BY_ROAD), options)
    finally:
        for _ in range(MOST_AT_ONCE):
            door._free.release()
    assert len(town.firm.asker.every()) == before


def test_many_tools_at_once_are_each_given_their_own_answer(connect: Callable[..., Any]) -> None:
    questions = {"vehicles": "SELECT COUNT(DISTINCT vehicle) AS n FROM road.counts", "rows": "SELECT COUNT(*) AS n FROM road.counts"}

    def ask(what: str) -> tuple[str, int]:
        with connect() as link:
            return what, asked(link, questions[what]).column("n")[0].as_py()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, [*questions] * 4)) == {("vehicles", 2 * VEHICLES), ("rows", 10 * VEHICLES)}


def test_what_is_kept_is_bounded_and_forgotten_after_a_while() -> None:
    now = [0.0]
    held: Held[str] = Held(10, len, now=lambda: now[0])
    first, second = held.keep("12345"), held.keep("67890")
    assert (held.find(first), held.find(second)) == ("12345", "67890")
    third = held.keep("abc")
    assert held.find(third) == "abc"
    with pytest.raises(NotFound):
        held.find(first)
    large = held.keep("x" * 11)
    assert held.find(large) == "x" * 11
    now[0] = LIFE_S
    with pytest.raises(NotFound):
        held.find(large)
    held.drop(large)


def test_a_node_without_a_door_does_not_pay_for_one() -> None:
    """gRPC and its messages take memory in each process that brings them in, and most nodes have no such door."""
    code = "import sys, chengshu.cli.main; print([one for one in ('pyarrow._flight', 'google.protobuf') if one in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.strip() == "[]"


def test_a_served_node_opens_its_door_by_the_option(tmp_path: Path) -> None:
    with ExitStack() as stack:
        node = born(tmp_path / "alone", "alone")
        token, port = ClientToken(node.folder / KEYS).make(), free_port()
        process = served(node, stack, "--flight", str(port))
        with connection(f"grpc://127.0.0.1:{port}", token=token) as link:
            assert link.adbc_get_table_types() == ["PRODUCT"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0
        hang_up(node)
