"""Products in tables of a real MariaDB server: what is handed out is what was published, or it says why not."""

# ruff: noqa: S608  # statements for servers of the tests' own

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from places import ORDERS, Shop, contract, publish_orders

from certificates import papers
from chengshu.catalog.place import TablePlace, Technology
from chengshu.catalog.sources import spool
from chengshu.kernel.errors import Conflict, Denied, Invalid, Unavailable
from mariadb import ADMIN, Server
from mariadb import server as running

SALES = "sales"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def place(server: Server, table: str = "orders", **options: object) -> TablePlace:
    return replace(TablePlace("shop", Technology.MARIADB, "127.0.0.1", server.port, SALES, None, table), **options)


def entry(server: Server, **options: object) -> dict[str, object]:
    return {"type": "mariadb", "host": "127.0.0.1", "port": server.port, "database": SALES, "user": ADMIN, **options}


@pytest.fixture
def shop(tmp_path, server) -> Shop:
    server.run(
        f"DROP DATABASE IF EXISTS {SALES}",
        f"CREATE DATABASE {SALES} CHARACTER SET utf8mb4",
        f"USE {SALES}",
        "CREATE TABLE orders (id int PRIMARY KEY, name text, price decimal(10,2), paid tinyint(1)) ENGINE=InnoDB",
        "INSERT INTO orders VALUES (2, '名😀', 1.50, 1), (1, 'a, \"b\"', NULL, 0), (3, '', 20.25, NULL), (4, NULL, 0, NULL)",
    )
    return Shop(tmp_path, {"shop": entry(server)})


def test_a_table_is_published_and_handed_out_in_the_order_of_its_key(shop, server):
    publish_orders(shop, place(server))
    assert list(shop.spool.iterdir()) == []


def test_every_kind_of_column_comes_exactly(shop, server):
    server.run(
        f"USE {SALES}",
        "CREATE TABLE kinds (i1 tinyint unsigned, u8 bigint unsigned, big decimal(20,0), exact decimal(30,10), c decimal(15,2), f4 float,"
        " f8 double, d date, at timestamp(3), plain datetime(6), e enum('a','é'), s set('x','y'), ch char(4), y year, t time,"
        " latin varchar(10) CHARACTER SET latin1)",
        "SET time_zone = '+08:00'",
        "INSERT INTO kinds VALUES (255, 9223372036854775807, 9223372036854775806, 12345678901234567890.0123456789, 0.10, 16777217, 0.1,"
        " '2024-02-29', '2026-01-01 08:00:00.123', '2026-01-01 08:00:00.5', 'é', 'x,y', 'ab', 2026, '08:00:00', 'Café')",
    )
    wanted = {"i1": "int16", "u8": "int64", "big": "int64", "exact": "string", "c": "float64", "f4": "float32", "f8": "float64"}
    wanted |= {"d": "date32", "at": "timestamp_ms", "plain": "string", "e": "string", "s": "string", "ch": "string", "y": "int32"}
    wanted |= {"t": "string", "latin": "string"}
    (row,) = shop.read(contract(place(server, "kinds"), **wanted)).table.to_pylist()
    assert row == {
        "i1": 255,
        "u8": 2**63 - 1,
        "big": 2**63 - 2,
        "exact": "12345678901234567890.0123456789",
        "c": 0.1,
        "f4": 16777216.0,  # what a FLOAT holds of 16777217; MariaDB itself would show 16777200
        "f8": 0.1,
        "d": date(2024, 2, 29),
        "at": datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC),
        "plain": "2026-01-01 08:00:00.500000",
        "e": "é",
        "s": "x,y",
        "ch": "ab",
        "y": 2026,
        "t": "08:00:00",
        "latin": "Café",
    }


@pytest.mark.parametrize(
    ("type_", "wanted", "got"),
    [
        ("json", "string", "json"),
        ("blob", "string", "blob"),
        ("varbinary(8)", "string", r"varbinary\(8\)"),
        ("bit(3)", "int64", r"bit\(3\)"),
        ("point", "string", "point"),
        ("datetime", "timestamp_ms", "datetime"),
        ("decimal(16,2)", "float64", r"decimal\(16,2\)"),
        ("decimal(10,2)", "int64", r"decimal\(10,2\)"),
        ("bigint unsigned", "float64", r"bigint\(20\) unsigned"),
        ("text", "int64", "text"),
        ("double", "float32", "double"),
    ],
)
def test_a_type_that_would_be_guessed_at_or_lose_something_is_refused_by_its_name(shop, server, type_, wanted, got):
    server.run(f"USE {SALES}", f"CREATE TABLE odd (id int PRIMARY KEY, x {type_})", "INSERT INTO odd VALUES (1, NULL)")
    with pytest.raises(Invalid, match=f"column x: expected a type that becomes {wanted}, got {got}$") as caught:
        shop.publish(contract(place(server, "odd"), id="int64", x=wanted))
    assert caught.value.code == "source.column-type"


ZERO = "a date with a year, month or day of zero (as 0000-00-00), which is no date"
RANGE = "a number in another form or outside the type's range"


@pytest.mark.parametrize(
    ("type_", "value", "wanted", "got"),
    [
        ("bigint unsigned", "18446744073709551615", "int64", RANGE),
        ("date", "'0000-00-00'", "date32", ZERO),
        ("date", "'2026-02-00'", "date32", ZERO),
        ("timestamp NULL", "'0000-00-00 00:00:00'", "timestamp_ms", ZERO),
        ("timestamp(6) NULL", "'2026-01-01 00:00:00.123456'", "timestamp_ms", "a time finer than a millisecond"),
        ("tinyint", "2", "bool", RANGE),
    ],
)
def test_a_cell_that_does_not_fit_is_named_by_row_and_column_and_not_shown(shop, server, type_, value, wanted, got):
    server.run(f"USE {SALES}", f"CREATE TABLE odd (id int PRIMARY KEY, x {type_})", f"INSERT INTO odd VALUES (1, NULL), (2, {value})")
    with pytest.raises(Invalid) as caught:
        shop.publish(contract(place(server, "odd"), id="int64", x=wanted))
    assert caught.value.message == f"odd at shop, row 2, column x: expected {wanted}, got {got}"


def test_a_table_without_a_key_is_ordered_by_its_columns_whatever_order_its_rows_were_written_in(shop, server):
    server.run(
        f"USE {SALES}",
        "CREATE TABLE bag (word text, n int)",
        "INSERT INTO bag VALUES ('b', 1), ('B', 2), ('a', 3), (NULL, 4), ('a', 1), ('a ', 0)",
    )
    wanted = contract(place(server, "bag"), word="string", n="int32")
    first = shop.read(wanted)
    server.run(f"USE {SALES}", "CREATE TABLE again AS SELECT * FROM bag ORDER BY n DESC", "DROP TABLE bag", "RENAME TABLE again TO bag")
    assert first.table.to_pydict() == {"word": [None, "B", "a", "a", "a ", "b"], "n": [4, 2, 1, 3, 0, 1]}
    assert shop.read(wanted).digest == first.digest


def test_rows_come_in_batches_and_the_digest_is_that_of_any_cut(shop, server, monkeypatch):
    server.run(
        f"USE {SALES}",
        "CREATE TABLE many (id int PRIMARY KEY, name varchar(20))",
        "INSERT INTO many SELECT seq, CONCAT('n', seq) FROM seq_1_to_100000",
    )
    wanted = contract(place(server, "many"), id="int64", name="string")
    held = shop.read(wanted)
    assert [batch.num_rows for batch in held.table.to_batches()] == [spool.BATCH_ROWS, 100_000 - spool.BATCH_ROWS]
    monkeypatch.setattr("chengshu.catalog.sources.mariadb.BATCH_ROWS", 777)
    assert shop.read(wanted).digest == held.digest


def test_other_rows_than_were_published_are_not_handed_out(shop, server):
    shop.publish(contract(place(server), **ORDERS))
    server.run(f"UPDATE {SALES}.orders SET price = price + 0.01 WHERE id = 2")
    with pytest.raises(Conflict, match="expected the rows as published, got others") as caught:
        shop.catalog.open("orders")
    assert caught.value.code == "product.changed"
    server.run(
        f"UPDATE {SALES}.orders SET price = price - 0.01 WHERE id = 2", f"ALTER TABLE {SALES}.orders ADD COLUMN secret text DEFAULT 'x'"
    )
    assert shop.catalog.open("orders").column_names == list(ORDERS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE sales.orders DROP COLUMN price", "product.schema-drift"),
        ("ALTER TABLE sales.orders MODIFY id varchar(20)", "product.schema-drift"),
        ("RENAME TABLE sales.orders TO sales.sold", "product.schema-drift"),
        ("DELETE FROM sales.orders", "product.changed"),
    ],
)
def test_a_table_of_another_form_than_was_published_is_not_handed_out(shop, server, change, code):
    shop.publish(contract(place(server), **ORDERS))
    server.run(change)
    with pytest.raises(Conflict) as caught:
        shop.catalog.open("orders")
    assert caught.value.code == code


def test_an_empty_table_and_a_table_that_is_not_there_are_not_published(shop, server):
    server.run(f"DELETE FROM {SALES}.orders")
    with pytest.raises(Invalid, match="orders at shop: expected at least one row, got none"):
        shop.publish(contract(place(server), **ORDERS))
    with pytest.raises(Invalid, match="gone at shop: expected a table or view of that name, got none"):
        shop.publish(contract(place(server, "gone"), **ORDERS))


def test_a_view_is_read_as_a_table_is_and_names_of_every_kind_are_names(shop, server):
    server.run(f"USE {SALES}", "CREATE VIEW `o'r\"d; -- %s ``` AS SELECT id AS `i d`, name AS `x%y` FROM orders WHERE id < 3")
    held = shop.read(contract(place(server, "o'r\"d; -- %s `"), **{"i d": "int64", "x%y": "string"}))
    assert held.table.to_pydict() == {"i d": [1, 2], "x%y": ['a, "b"', "名😀"]}


def test_a_contract_is_inferred_and_can_be_published_as_it_is(shop, server):
    inferred = shop.catalog.infer("shop", "orders", owner="me")
    assert [(one.name, one.physical_type, one.primary_key) for one in inferred.columns] == [
        ("id", "int64", True),
        ("name", "string", False),
        ("price", "float64", False),
        ("paid", "int64", False),
    ]
    assert shop.publish(inferred).rows == 4


def test_wrong_credentials_and_missing_rights_are_told_without_them(shop, server, tmp_path):
    server.run(
        f"CREATE TABLE {SALES}.none_of_it (x int)",
        "CREATE OR REPLACE USER guarded@'%' IDENTIFIED BY 'right'",
        f"GRANT SELECT ON {SALES}.none_of_it TO guarded@'%'",
    )
    refused = Shop(tmp_path / "a", {"shop": entry(server, user="guarded", password="wr0ng")})
    with pytest.raises(Unavailable, match="expected to be let in") as caught:
        refused.publish(contract(place(server), **ORDERS))
    assert (caught.value.code, "wr0ng" in str(caught.value.as_dict())) == ("source.login", False)
    poor = Shop(tmp_path / "b", {"shop": entry(server, user="guarded", password="right")})
    with pytest.raises((Denied, Invalid), match=r"expected (the right to read it|a table or view of that name)"):
        poor.publish(contract(place(server), **ORDERS))  # to a user without rights MariaDB says that there is nothing


def test_a_certificate_is_checked_and_its_absence_told(shop, server, tmp_path):
    own, other = papers(tmp_path / "own"), papers(tmp_path / "other")
    tmp_path.chmod(0o755)
    strict = Shop(tmp_path / "strict", {"shop": entry(server, tls="verify-full")})
    with pytest.raises(Unavailable) as caught:
        strict.publish(contract(place(server), **ORDERS))
    assert caught.value.code == "source.certificate"
    with running() as secured:
        for file in (own.authority, own.certificate, own.key):
            (secured.folder / file.name).write_bytes(file.read_bytes())
        secured.kill()
        secured.start(f"--ssl-cert={secured.folder / own.certificate.name}", f"--ssl-key={secured.folder / own.key.name}")
        secured.run(
            f"CREATE DATABASE {SALES}", f"CREATE TABLE {SALES}.orders (id int PRIMARY KEY)", f"INSERT INTO {SALES}.orders VALUES (7)"
        )

        def read(host: str, **options: object) -> list[int]:
            named = Shop(tmp_path / "named", {"shop": entry(secured, host=host, tls="verify-full", **options)})
            return named.read(contract(place(secured, host=host), id="int64")).table.column("id").to_pylist()

        assert read("localhost", certificates=str(own.authority)) == [7]
        for host, trusted in (("localhost", other), ("127.0.0.1", own)):
            with pytest.raises(Unavailable) as caught:
                read(host, certificates=str(trusted.authority))
            assert caught.value.code == "source.certificate"


def test_a_server_that_vanishes_between_batches_is_unavailable_and_leaves_nothing(tmp_path, monkeypatch):
    with running() as mortal:
        mortal.run(f"CREATE DATABASE {SALES}", f"CREATE TABLE {SALES}.orders (id int PRIMARY KEY, pad varchar(600))")
        mortal.run(f"USE {SALES}", f"INSERT INTO {SALES}.orders SELECT seq, REPEAT('x', 500) FROM seq_1_to_200000")
        doomed = Shop(tmp_path, {"shop": entry(mortal)})
        wanted = contract(place(mortal), id="int64", pad="string")
        came: list[int] = []

        def counted(batch: object, *arguments: object, **options: object) -> object:
            came.append(1)
            mortal.kill()
            return cast(batch, *arguments, **options)

        from chengshu.catalog.sources.mariadb import cast_batch as cast  # noqa: PLC0415  # the very function, before it is watched

        with monkeypatch.context() as watched:
            watched.setattr("chengshu.catalog.sources.mariadb.cast_batch", counted)
            with pytest.raises(Unavailable, match="orders at shop: expected it to answer to the end") as caught:
                doomed.publish(wanted)
        assert (len(came), caught.value.code) == (1, "source.unavailable")
        assert doomed.catalog.products() == []
        assert list(doomed.spool.iterdir()) == []
        mortal.start()
        assert doomed.publish(wanted).rows == 200_000


def test_a_reading_sees_one_state_while_others_write(shop, server):
    server.run(f"USE {SALES}", "CREATE TABLE pairs (id int PRIMARY KEY, n int)", "INSERT INTO pairs SELECT seq, 0 FROM seq_1_to_100000")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            server.run(f"UPDATE {SALES}.pairs SET n = n + 1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            numbers = shop.read(contract(place(server, "pairs"), id="int64", n="int64")).table
            assert (numbers.num_rows, len(set(numbers.column("n").to_pylist()))) == (100_000, 1)
    finally:
        stop.set()
        writer.join()
