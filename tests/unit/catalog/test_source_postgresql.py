"""Products in tables of a real PostgreSQL server: what is handed out is what was published, or it says why not."""

# ruff: noqa: S608  # statements for servers of the tests' own

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import pg8000.native as driver
import pytest
from places import ORDERS, Shop, contract, publish_orders, until_bytes_wait

from certificates import papers
from chengshu.catalog.place import TablePlace, Technology
from chengshu.kernel.errors import Conflict, Denied, Invalid, Unavailable
from databases import GUARDED, USER, Cluster, cluster


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


def run(server: Cluster, *statements: str) -> None:
    with closing(driver.Connection(USER, host="127.0.0.1", port=server.port)) as connection:
        for statement in statements:
            connection.run(statement)


def place(server: Cluster, table: str = "orders", **options: object) -> TablePlace:
    return replace(TablePlace("sales", Technology.POSTGRESQL, "127.0.0.1", server.port, USER, "public", table), **options)


def entry(server: Cluster, **options: object) -> dict[str, object]:
    return {"type": "postgresql", "host": "127.0.0.1", "port": server.port, "database": USER, "user": USER, **options}


@pytest.fixture
def shop(tmp_path, server) -> Shop:
    run(
        server,
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "CREATE TABLE orders (id int PRIMARY KEY, name text, price numeric(10,2), paid boolean)",
        "INSERT INTO orders VALUES (2, '名😀', 1.50, true), (1, 'a, \"b\"', NULL, false), (3, '', 20.25, NULL), (4, NULL, 0, NULL)",
    )
    return Shop(tmp_path, {"sales": entry(server)})


def test_a_table_is_published_and_handed_out_in_the_order_of_its_key(shop, server):
    publish_orders(shop, place(server))
    assert shop.kinds() == ["product.published", "offer.made"]
    assert list(shop.spool.iterdir()) == []


def test_the_digest_is_of_the_rows_alone(shop, server):
    before = shop.read(contract(place(server), **ORDERS)).digest
    run(
        server,
        "UPDATE orders SET name = name",
        "ALTER TABLE orders ADD COLUMN note text, ALTER COLUMN id TYPE bigint",
        "VACUUM FULL orders",
    )
    held = shop.read(contract(place(server), **ORDERS))
    assert (held.digest, held.extra_columns) == (before, ("note",))
    run(server, "UPDATE orders SET name = 'A' WHERE id = 1")
    assert shop.read(contract(place(server), **ORDERS)).digest != before


def test_a_table_without_a_key_is_ordered_by_its_columns_whatever_order_its_rows_were_written_in(shop, server):
    run(server, "CREATE TABLE bag (word text, n int)", "INSERT INTO bag VALUES ('b', 1), ('B', 2), ('a', 3), (NULL, 4), ('a', 1)")
    first = shop.read(contract(place(server, "bag"), word="string", n="int32"))
    run(server, "CREATE TABLE again AS SELECT * FROM bag ORDER BY n DESC", "DROP TABLE bag", "ALTER TABLE again RENAME TO bag")
    again = shop.read(contract(place(server, "bag"), word="string", n="int32"))
    assert first.table.to_pydict() == again.table.to_pydict() == {"word": ["B", "a", "a", "b", None], "n": [2, 1, 3, 1, 4]}
    assert first.digest == again.digest


def test_every_kind_of_column_comes_exactly(shop, server):
    run(
        server,
        "CREATE DOMAIN cents AS numeric(15,2)",
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE TABLE kinds (i2 smallint, i8 bigint, big numeric(20,0), exact numeric(30,10), c cents, f4 real, f8 double precision,"
        " d date, at timestamptz(3), plain timestamp, u uuid, m mood, ch char(4), ns int[], xs float8[], ws text[])",
        "INSERT INTO kinds VALUES (-32768, 9223372036854775807, 9223372036854775806, 12345678901234567890.0123456789, 0.10, 0.1, 'NaN',"
        " '2024-02-29', '2026-01-01 08:00:00.123+08', '2026-01-01 08:00:00', '00000000-0000-0000-0000-0000000000ff', 'glad', 'ab',"
        " '{1,NULL,3}', '{0.5}', '{\"a,b\",\"\\\"\"}')",
    )
    wanted = {"i2": "int16", "i8": "int64", "big": "int64", "exact": "string", "c": "float64", "f4": "float32", "f8": "float64"}
    wanted |= {"d": "date32", "at": "timestamp_ms", "plain": "string", "u": "string", "m": "string", "ch": "string"}
    wanted |= {"ns": "list<int64>", "xs": "list<float64>", "ws": "list<string>"}
    (row,) = shop.read(contract(place(server, "kinds"), **wanted)).table.to_pylist()
    assert str(row.pop("f8")) == "nan"
    assert row.pop("f4") == pytest.approx(0.1, abs=1e-8)
    assert row == {
        "i2": -32768,
        "i8": 2**63 - 1,
        "big": 2**63 - 2,
        "exact": "12345678901234567890.0123456789",
        "c": 0.1,
        "d": date(2024, 2, 29),
        "at": datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC),
        "plain": "2026-01-01 08:00:00",
        "u": "00000000-0000-0000-0000-0000000000ff",
        "m": "glad",
        "ch": "ab",
        "ns": [1, None, 3],
        "xs": [0.5],
        "ws": ["a,b", '"'],
    }


@pytest.mark.parametrize(
    ("type_", "wanted", "got"),
    [
        ("json", "string", "json"),
        ("jsonb", "string", "jsonb"),
        ("bytea", "string", "bytea"),
        ("xml", "string", "xml"),
        ("int4range", "string", "int4range"),
        ("timestamp", "timestamp_ms", "timestamp without time zone"),
        ("numeric", "float64", "numeric"),
        ("numeric(16,2)", "float64", r"numeric\(16,2\)"),
        ("numeric(10,2)", "int64", r"numeric\(10,2\)"),
        ("bigint", "float64", "bigint"),
        ("text", "int64", "text"),
        ("double precision", "float32", "double precision"),
    ],
)
def test_a_type_that_would_be_guessed_at_or_lose_something_is_refused_by_its_name(shop, server, type_, wanted, got):
    run(server, f"CREATE TABLE odd (id int PRIMARY KEY, x {type_})", "INSERT INTO odd VALUES (1, NULL)")
    with pytest.raises(Invalid, match=f"column x: expected a type that becomes {wanted}, got {got}$") as caught:
        shop.publish(contract(place(server, "odd"), id="int64", x=wanted))
    assert caught.value.code == "source.column-type"


@pytest.mark.parametrize(
    ("type_", "value", "wanted", "got"),
    [
        ("timestamptz", "'2026-01-01 00:00:00.123456+00'", "timestamp_ms", "a time finer than a millisecond"),
        ("date", "'infinity'", "date32", "a number in another form or outside the type's range"),
        ("date", "'0044-03-15 BC'", "date32", "text"),
        ("int", "70000", "int16", "a number in another form or outside the type's range"),
        ("numeric(20,0)", "10000000000000000000", "int64", "a number in another form or outside the type's range"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_by_row_and_column_and_not_shown(shop, server, type_, value, wanted, got):
    run(server, f"CREATE TABLE odd (id int PRIMARY KEY, x {type_})", f"INSERT INTO odd VALUES (1, NULL), (2, {value})")
    with pytest.raises(Invalid) as caught:
        shop.publish(contract(place(server, "odd"), id="int64", x=wanted))
    assert caught.value.message == f"public.odd at sales, row 2, column x: expected {wanted}, got {got}"


def test_a_view_is_read_as_a_table_is(shop, server):
    run(server, "CREATE VIEW rounded AS SELECT id, price::double precision AS price FROM orders WHERE id < 3")
    assert shop.read(contract(place(server, "rounded"), id="int64", price="float64")).table.to_pydict() == {
        "id": [1, 2],
        "price": [None, 1.5],
    }
    run(server, "CREATE MATERIALIZED VIEW kept AS SELECT id FROM orders")
    assert shop.read(contract(place(server, "kept"), id="int64")).table.num_rows == 4


def test_other_rows_than_were_published_are_not_handed_out(shop, server):
    shop.publish(contract(place(server), **ORDERS))
    run(server, "UPDATE orders SET price = price + 0.01 WHERE id = 2")
    with pytest.raises(Conflict, match="expected the rows as published, got others") as caught:
        shop.catalog.open("orders")
    assert (caught.value.code, caught.value.facts) == ("product.changed", {"product": "orders", "version": "1.0.0"})
    run(server, "UPDATE orders SET price = price - 0.01 WHERE id = 2")
    assert shop.catalog.open("orders").num_rows == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE orders DROP COLUMN price", "product.schema-drift"),
        ("ALTER TABLE orders ALTER COLUMN id TYPE text", "product.schema-drift"),
        ("ALTER TABLE orders RENAME TO sold", "product.schema-drift"),
        ("ALTER TABLE orders RENAME COLUMN name TO title", "product.schema-drift"),
        ("DELETE FROM orders", "product.changed"),
        ("UPDATE orders SET id = 9223372036854775807", "product.changed"),
    ],
)
def test_a_table_of_another_form_than_was_published_is_not_handed_out(shop, server, change, code):
    shop.publish(contract(place(server), **ORDERS))
    if "9223372036854775807" in change:
        run(server, "ALTER TABLE orders DROP CONSTRAINT orders_pkey, ALTER COLUMN id TYPE numeric(20,0)")
        change = "UPDATE orders SET id = 10000000000000000000"
    run(server, change)
    with pytest.raises(Conflict) as caught:
        shop.catalog.open("orders")
    assert caught.value.code == code


def test_a_column_that_was_added_changes_nothing(shop, server):
    shop.publish(contract(place(server), **ORDERS))
    run(server, "ALTER TABLE orders ADD COLUMN secret text DEFAULT 'x'")
    assert shop.catalog.open("orders").column_names == list(ORDERS)


def test_an_empty_table_is_not_published(shop, server):
    run(server, "DELETE FROM orders")
    with pytest.raises(Invalid, match=r"public.orders at sales: expected at least one row, got none"):
        shop.publish(contract(place(server), **ORDERS))


def test_a_table_that_is_not_there_is_named(shop, server):
    with pytest.raises(Invalid, match=r"public.gone at sales: expected a table or view of that name, got none"):
        shop.publish(contract(place(server, "gone"), **ORDERS))


def test_names_of_every_kind_are_names(shop, server):
    run(
        server,
        """CREATE TABLE "o'r""d; -- ers" ("i d" int PRIMARY KEY, "x:y%s" text)""",
        """INSERT INTO "o'r""d; -- ers" VALUES (1, ':a')""",
    )
    held = shop.read(contract(place(server, """o'r"d; -- ers"""), **{"i d": "int64", "x:y%s": "string"}))
    assert held.table.to_pydict() == {"i d": [1], "x:y%s": [":a"]}


def test_a_reading_sees_one_state_while_others_write(shop, server):
    run(server, "CREATE TABLE pairs (id int PRIMARY KEY, n int)", "INSERT INTO pairs SELECT i, 0 FROM generate_series(1, 200000) i")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            run(server, "UPDATE pairs SET n = n + 1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            numbers = shop.read(contract(place(server, "pairs"), id="int64", n="int64")).table
            assert (numbers.num_rows, len(set(numbers.column("n").to_pylist()))) == (200_000, 1)
    finally:
        stop.set()
        writer.join()


def test_a_contract_is_inferred_and_can_be_published_as_it_is(shop, server):
    run(server, "ALTER TABLE orders ADD COLUMN extra jsonb, ADD COLUMN at timestamptz(3) DEFAULT '2026-01-01Z', ADD COLUMN w numeric")
    inferred = shop.catalog.infer("sales", "public.orders", owner="me")
    assert [(one.name, one.physical_type, one.primary_key, one.role.value) for one in inferred.columns] == [
        ("id", "int64", True, "measure"),
        ("name", "string", False, "hidden"),
        ("price", "float64", False, "measure"),
        ("paid", "bool", False, "hidden"),
        ("at", "timestamp_ms", False, "hidden"),
        ("w", "string", False, "hidden"),
    ]
    assert (inferred.place, inferred.description) == (place(server), "left out: extra (jsonb)")
    assert shop.publish(inferred).rows == 4
    with pytest.raises(Denied, match="names as other in keys"):
        shop.catalog.infer("other", "public.orders", owner="me")


def test_a_place_that_the_operator_has_not_named_is_not_called(shop, server, tmp_path):
    for other in (
        replace(place(server), server="else"),
        place(server, host="localhost"),
        place(server, port=1),
        place(server, database="other"),
    ):
        with pytest.raises(Denied, match=r"names as (sales|else) in keys/sources.toml") as caught:
            shop.publish(contract(other, **ORDERS))
        assert caught.value.code == "source.not-named"
    (tmp_path / "keys" / "sources.toml").chmod(0o640)
    with pytest.raises(Invalid, match="others may read"):
        shop.publish(contract(place(server), **ORDERS))


def test_a_link_local_address_is_called_for_nobody(tmp_path, server):
    shop = Shop(tmp_path, {"sales": entry(server, host="169.254.169.254")})
    with pytest.raises(Denied, match="outside of this machine and its own networks"):
        shop.publish(contract(place(server, host="169.254.169.254"), **ORDERS))


def test_wrong_credentials_and_missing_rights_are_told_without_them(shop, server, tmp_path):
    run(server, f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'right'")
    refused = Shop(tmp_path / "a", {"sales": entry(server, user=GUARDED, password="wr0ng")})
    with pytest.raises(Unavailable, match="expected to be let in") as caught:
        refused.publish(contract(place(server), **ORDERS))
    assert (caught.value.code, "wr0ng" in str(caught.value.as_dict())) == ("source.login", False)
    poor = Shop(tmp_path / "b", {"sales": entry(server, user=GUARDED, password="right")})
    with pytest.raises(Denied, match="expected the right to read it"):
        poor.publish(contract(place(server), **ORDERS))


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_required(shop, server, tmp_path):
    strict = Shop(tmp_path / "strict", {"sales": entry(server, tls="verify-full")})
    with pytest.raises(Unavailable) as caught:
        strict.publish(contract(place(server), **ORDERS))
    assert caught.value.code == "source.certificate"


def test_a_certificate_is_checked_against_the_authority_and_the_name(tmp_path):
    own, other = papers(tmp_path / "own"), papers(tmp_path / "other")
    with cluster() as secured:
        for file in (own.certificate, own.key):
            shutil.copy(file, secured.folder / file.name)
            shutil.chown(secured.folder / file.name, USER if os.geteuid() == 0 else None)
            (secured.folder / file.name).chmod(0o600)
        files = f"ssl_cert_file = '{secured.folder / own.certificate.name}'\nssl_key_file = '{secured.folder / own.key.name}'\n"
        with (secured.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"ssl = on\n{files}")
        with (secured.folder / "data" / "pg_hba.conf").open("w") as rules:
            rules.write("hostssl all all 127.0.0.1/32 trust\n")
        secured.stop()
        secured.start()

        def read(host: str, **options: object) -> int:
            named = entry(secured, host=host, **options)
            return (
                Shop(tmp_path / "shop", {"sales": named})
                .read(contract(place(secured, "pg_am", host=host, schema="pg_catalog"), amname="string"))
                .table.num_rows
            )

        assert read("localhost", tls="verify-full", certificates=str(own.authority)) > 0
        for host, trusted in (("localhost", other), ("127.0.0.1", own)):
            with pytest.raises(Unavailable) as caught:
                read(host, tls="verify-full", certificates=str(trusted.authority))
            assert caught.value.code == "source.certificate"
        with pytest.raises(Unavailable) as caught:  # the default on loopback is without, which this server refuses
            read("localhost")
        assert caught.value.code == "source.login"


def test_a_server_that_vanishes_in_the_middle_is_unavailable_and_leaves_nothing(shop, tmp_path):
    with cluster() as mortal:
        run(mortal, "CREATE TABLE orders (id int PRIMARY KEY, pad text)")
        run(mortal, "INSERT INTO orders SELECT i, repeat('x', 500) FROM generate_series(1, 400000) i")
        doomed = Shop(tmp_path / "doomed", {"sales": entry(mortal)})
        wanted = contract(place(mortal), id="int64", pad="string")
        killer = threading.Thread(target=lambda: (until_bytes_wait(doomed.spool), mortal.stop("immediate")))
        killer.start()
        with pytest.raises(Unavailable, match=r"public.orders at sales: expected it to answer to the end") as caught:
            doomed.publish(wanted)
        killer.join()
        assert caught.value.facts == {"source": "public.orders at sales"}
        assert doomed.catalog.products() == []
        assert list(doomed.spool.iterdir()) == []
        with pytest.raises(Unavailable, match="expected it to answer"):
            doomed.publish(wanted)
        mortal.start()
        assert doomed.publish(wanted).rows == 400_000
