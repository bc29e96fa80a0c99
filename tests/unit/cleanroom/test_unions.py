"""One question of several owners' rows: every owner's terms hold as if it had been asked alone, whatever the others' rows are."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product as pairs
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom import store
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.differencing import Guard
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import (
    Aggregate,
    Column,
    ColumnType,
    Job,
    JobInput,
    Operators,
    Privacy,
    ProductTerms,
    Role,
    Schema,
    SqlQuestion,
)
from chengshu.cleanroom.planning.lineage import group_keys, outputs
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.unions.merging import merged
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import metadata
from chengshu.kernel.refusal import Refused
from databases import database_at

ENGINE = DuckDBEngine("256MB", 1, 30.0)
STAGED = DuckDBEngine("256MB", 1, 30.0, staged_from=0, few_rows=0)
FEW = DuckDBEngine("256MB", 1, 30.0, staged_from=0)
K = {"north.rides": 3, "south.rides": 2, "asker.rides": 1}
Row = tuple[str, str | None, int | None]


def schema(product: str, *, unit: str | None = "vehicle", dominance: int | None = None, kind: ColumnType = ColumnType.INTEGER) -> Schema:
    columns = (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("fare", kind, Role.MEASURE, frozenset(Aggregate)),
    )
    return Schema(product, columns, unit, K[product], dominance)


def terms(*schemas: Schema) -> dict[str, ProductTerms]:
    return {one.product: ProductTerms(one, of_asker=one.product.startswith("asker.")) for one in schemas}


def table(rows: Sequence[Row], kind: pa.DataType | None = None) -> pa.Table:
    vehicles, zones, fares = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"vehicle": pa.array(vehicles, pa.string()), "zone": pa.array(zones, pa.string()), "fare": pa.array(fares, kind or pa.int64())}
    )


def union(*products: str, columns: str = "zone, fare") -> str:
    return "(" + " UNION ALL ".join(f"SELECT {columns} FROM {one}" for one in products) + ") AS d"  # noqa: S608  # of this file


def answered(
    sql: str, known: dict[str, ProductTerms], tables: Mapping[str, pa.Table], engine: DuckDBEngine = ENGINE
) -> list[tuple[object, ...]] | str:
    query = vet(sql, known)
    assert isinstance(query, VettedQuery), query
    verdict = release(engine.run(query, tables), query=query)
    return verdict.rule if isinstance(verdict, Refused) else sorted((tuple(row.values()) for row in verdict.table.to_pylist()), key=repr)


rides = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["gate", "hill", None]), st.one_of(st.none(), st.integers(0, 9))))
UNITS = st.sampled_from(["vehicle", None])


def enough(product: str, unit: str | None, rows: list[Row], *, valued: bool) -> bool:
    some = [row for row in rows if not valued or row[2] is not None]
    return (len(some) if unit is None else len({row[0] for row in some})) >= K[product]


@settings(max_examples=40)
@given(rides, rides, UNITS, UNITS)
def test_a_group_leaves_where_it_would_leave_of_every_owner_alone_and_is_their_sum(
    north: list[Row], south: list[Row], of_north: str | None, of_south: str | None
) -> None:
    known = terms(schema("north.rides", unit=of_north), schema("south.rides", unit=of_south))
    sql = f"SELECT zone, COUNT(*) AS n, SUM(fare) AS s FROM {union('north.rides', 'south.rides')} GROUP BY zone"  # noqa: S608  # of this file
    expected = []
    for zone in ("gate", "hill", None):
        ours, theirs = ([row for row in rows if row[1] == zone] for rows in (north, south))
        if all(enough("north.rides", of_north, ours, valued=one) and enough("south.rides", of_south, theirs, valued=one) for one in (0, 1)):
            both = [*ours, *theirs]
            expected.append((zone, len(both), sum(row[2] or 0 for row in both)))
    tables = {"north.rides": table(north), "south.rides": table(south)}
    for engine in (ENGINE, STAGED, FEW):
        found = answered(sql, known, tables, engine)
        wanted = sorted(expected, key=repr)
        assert found == (wanted or "group-too-small")


@pytest.mark.parametrize("unit", ["vehicle", None])
def test_units_of_every_part_are_proved_from_part_of_its_rows_and_none_that_is_not_there(unit: str | None) -> None:
    known = terms(schema("north.rides", unit=unit), schema("south.rides", unit=unit))
    north = [(f"n{place % 40}", zone, place % 7) for place in range(3000) for zone in ("gate", "hill")]
    south = [(f"s{place % 40}", "gate", place % 5) for place in range(3000)]
    south += [("lonely", "hill", 1) for _ in range(3000)]  # many rows of one vehicle
    sql = f"SELECT zone, COUNT(*) AS n, SUM(fare) AS s FROM {union('north.rides', 'south.rides')} GROUP BY zone"  # noqa: S608  # of this file
    gate = ("gate", 6000, sum(place % 7 + place % 5 for place in range(3000)))
    hill = ("hill", 6000, sum(place % 7 + 1 for place in range(3000)))
    for engine in (ENGINE, STAGED, FEW):
        found = answered(sql, known, {"north.rides": table(north), "south.rides": table(south)}, engine)
        assert found == ([gate] if unit else [gate, hill])


def test_rows_of_ones_own_make_no_group_large() -> None:
    known = terms(schema("north.rides"), schema("asker.rides"))
    own = table([(f"o{place}", "gate", 1) for place in range(50)])
    sql = f"SELECT zone, SUM(fare) AS s FROM {union('north.rides', 'asker.rides')} GROUP BY zone"  # noqa: S608  # of this file
    few = table([("a", "gate", 700), ("a", "gate", 1), ("b", "gate", 2)])
    assert answered(sql, known, {"north.rides": few, "asker.rides": own}) == "group-too-small"
    three = table([("a", "gate", 700), ("b", "gate", 1), ("c", "gate", 2)])
    assert answered(sql, known, {"north.rides": three, "asker.rides": own}) == [("gate", 753)]


@pytest.mark.parametrize("unit", ["vehicle", None])
@pytest.mark.parametrize("engine", [ENGINE, STAGED, FEW], ids=["whole", "staged", "few rows"])
def test_the_rule_on_large_contributors_looks_at_the_owners_own_rows_alone(unit: str | None, engine: DuckDBEngine) -> None:
    known = terms(schema("north.rides", unit=unit, dominance=10), schema("south.rides"))
    sql = f"SELECT SUM(fare) AS s FROM {union('north.rides', 'south.rides')}"  # noqa: S608  # of this file
    many = table([(f"s{place}", "gate", 500) for place in range(9)])
    one_large = table([("a", "gate", 900), ("b", "gate", 3), ("c", "gate", 2), ("d", "gate", 1)])
    assert answered(sql, known, {"north.rides": one_large, "south.rides": many}, engine) == "group-too-small"
    mixed = table([("a", "gate", 90), ("b", "gate", 80), ("c", "gate", 70), ("d", "gate", 60)])
    assert answered(sql, known, {"north.rides": mixed, "south.rides": many}, engine) == [(4800,)]
    one_of_south = table([("x", "gate", 99_999), ("y", "gate", 1)])  # whose owner has no such rule
    assert answered(sql, known, {"north.rides": mixed, "south.rides": one_of_south}, engine) == [(100_300,)]


def test_no_decimal_of_one_owner_makes_a_question_of_both_fail() -> None:
    known = terms(schema("north.rides", kind=ColumnType.DECIMAL), schema("south.rides", kind=ColumnType.DECIMAL))
    sql = f"SELECT COUNT(fare) AS n, MAX(fare) AS most FROM {union('north.rides', 'south.rides')}"  # noqa: S608  # of this file
    long = table([(name, "gate", Decimal(9) * 10**26) for name in "abc"], pa.decimal128(28, 0))  # type: ignore[misc]  # decimals here
    fine = table([(name, "gate", Decimal("0.000000000000000001")) for name in "abc"], pa.decimal128(28, 18))  # type: ignore[misc]  # decimals here
    assert answered(sql, known, {"north.rides": long, "south.rides": fine}) == [(6, 9e26)]


@pytest.mark.parametrize("engine", [ENGINE, STAGED, FEW], ids=["whole", "staged", "few rows"])
def test_a_union_is_read_through_sub_queries_and_common_tables(engine: DuckDBEngine) -> None:
    known = terms(schema("north.rides", unit=None), schema("south.rides"))
    sql = (
        "WITH u AS (SELECT zone AS z, fare FROM north.rides WHERE zone = 'gate' UNION ALL SELECT zone, fare FROM south.rides) "
        "SELECT here, SUM(f) AS s FROM (SELECT z AS here, fare AS f FROM u WHERE NOT z = 'hill') AS inside GROUP BY here"
    )
    north = table([(name, zone, 1) for name in "abc" for zone in ("gate", "hill")])
    south = table([(name, zone, 10) for name in "xy" for zone in ("gate", "hill")])
    assert answered(sql, known, {"north.rides": north, "south.rides": south}, engine) == [("gate", 23)]


def test_every_owner_is_named_in_what_a_group_and_a_sum_come_from() -> None:
    known = terms(schema("north.rides"), schema("south.rides"))
    query = vet(f"SELECT zone, SUM(fare) AS s FROM {union('north.rides', 'south.rides')} GROUP BY zone", known)  # noqa: S608  # of this file
    assert isinstance(query, VettedQuery)
    assert group_keys(query) == (("north.rides", ("zone",)), ("south.rides", ("zone",)))
    assert outputs(query) == (
        ("zone", (("group-key", "north.rides.zone"), ("group-key", "south.rides.zone"))),
        ("s", (("sum", "north.rides.fare"), ("sum", "south.rides.fare"))),
    )
    assert {one.product: sorted(column.name for column in one.columns) for one in query.inputs} == {
        "north.rides": ["fare", "vehicle", "zone"],
        "south.rides": ["fare", "vehicle", "zone"],
    }


def test_a_product_whose_answers_carry_noise_stands_in_no_union() -> None:
    known = terms(schema("north.rides"), schema("asker.rides"))
    known["north.rides"] = ProductTerms(schema("north.rides"), privacy=Privacy(Decimal("0.1")))
    verdict = vet(f"SELECT COUNT(*) FROM {union('north.rides', 'asker.rides')}", known)  # noqa: S608  # of this file
    assert isinstance(verdict, Refused)
    assert verdict.rule == "privacy-join"


ALLOWS = {
    "group": frozenset({Role.GROUP, Role.FREE}),
    "filter": frozenset({Role.FILTER, Role.GROUP, Role.FREE}),
    "join": frozenset({Role.KEY, Role.FREE}),
}


@pytest.mark.parametrize(("one", "other"), list(pairs(Role, Role)))
@pytest.mark.parametrize("kind", [ColumnType.TEXT, ColumnType.INTEGER])
def test_a_column_of_a_union_may_be_used_as_both_owners_permit_and_no_further(one: Role, other: Role, kind: ColumnType) -> None:
    columns = (Column("a", kind, one), Column("b", kind, other, frozenset({Aggregate.COUNT, Aggregate.MIN})))
    whole = merged(columns)
    assert whole.permitted <= columns[0].permitted & columns[1].permitted
    assert [use for use, roles in ALLOWS.items() if whole.role in roles and not {one, other} <= roles] == []
    if one is other:
        assert whole.role is one


def test_a_column_of_a_union_may_be_compared_as_both_owners_list_and_no_further() -> None:
    columns = (
        Column("a", ColumnType.TEXT, Role.FILTER, operators=frozenset({Operators.EQUAL, Operators.ORDER})),
        Column("b", ColumnType.TEXT, Role.GROUP, operators=frozenset({Operators.EQUAL, Operators.MISSING})),
    )
    assert merged(columns).operators == {Operators.EQUAL}


class Room:
    """The guard of one room on a real database; north's rides may stand beside the asker's own."""

    def __init__(self, folder: Path) -> None:
        self.database = database_at(folder / "room.db")
        metadata.create_all(self.database.engine)
        self.guard = Guard(self.database, engine=ENGINE, digests=Digests(INTERNATIONAL))
        self.count = 0

    def ask(self, sql: str, tables: Mapping[str, pa.Table], *, consumer: str = "did:key:firm") -> list[tuple[object, ...]] | str:
        self.count += 1
        read = [one for one in tables if one in sql]
        holders = {"north.rides": "did:key:north", "south.rides": "did:key:south", "asker.rides": consumer}
        parts = tuple(JobInput(schema(one), holders[one], "urn:agreement", "rides") for one in read)
        job = Job(f"job-{self.count}", consumer, "did:key:room", "study", SqlQuestion(sql), parts)
        query = vet(sql, job.terms({}))
        assert isinstance(query, VettedQuery), query
        here = {one: tables[one] for one in read}
        with self.database.write() as tx:
            kept = store.RoomJob(job.id, consumer, job.as_document(), "", "", "RUNNING", "", None)
            store.add_room_job(tx, kept, at="2026-01-01T00:00:00.000Z")
        held = self.guard.held(job, query, ENGINE.run(query, here), tables=here)
        verdict = held if isinstance(held, Refused) else release(held, query=query)
        with self.database.write() as tx:
            store.save_room_job(tx, job.id, state="RELEASED" if isinstance(verdict, Released) else "REFUSED")
        return [tuple(row.values()) for row in verdict.table.to_pylist()] if isinstance(verdict, Released) else verdict.rule


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.database.close()


TABLES = {
    "north.rides": table([*((f"n{place}", "gate", 10) for place in range(6)), ("victim", "hill", 77)]),
    "south.rides": table([(f"s{place}", zone, 5) for place in range(4) for zone in ("gate", "hill")]),
    "asker.rides": table([("own", "gate", 1), ("own", "hill", 1)]),
}
ALONE = "SELECT SUM(fare) AS s FROM north.rides"


@pytest.mark.parametrize(("other", "adds"), [("asker.rides", 1), ("south.rides", 20)])
@pytest.mark.parametrize("is_inside", [True, False], ids=["in-the-part", "outside"])
def test_one_ride_is_not_found_by_subtracting_a_union_from_a_question_of_one_product(
    room: Room, other: str, adds: int, *, is_inside: bool
) -> None:
    within = f"(SELECT zone, fare FROM north.rides WHERE zone = 'gate' UNION ALL SELECT zone, fare FROM {other} WHERE zone = 'gate') AS d"  # noqa: S608  # of this file
    outside = f"{union('north.rides', other)} WHERE zone = 'gate'"
    sql = f"SELECT SUM(fare) AS s FROM {within if is_inside else outside}"  # noqa: S608  # of this file
    assert room.ask(ALONE, TABLES) == [(137,)]
    assert room.ask(sql, TABLES) == "differencing"
    assert room.ask(sql, TABLES, consumer="did:key:stranger") == [(60 + adds,)]  # who has asked nothing before; 137 - 60 is the victim


def test_a_union_of_the_same_rows_is_no_other_question(room: Room) -> None:
    assert room.ask(ALONE, TABLES) == [(137,)]
    assert room.ask(f"SELECT SUM(fare) AS s FROM {union('north.rides', 'south.rides')}", TABLES) == [(177,)]  # noqa: S608  # of this file
    assert room.ask(f"SELECT SUM(fare) AS s FROM {union('south.rides', 'north.rides')}", TABLES) == [(177,)]  # noqa: S608  # of this file


def test_of_an_earlier_union_each_part_is_held_against(room: Room) -> None:
    whole = f"SELECT SUM(fare) AS s FROM {union('north.rides', 'south.rides')}"  # noqa: S608  # of this file
    assert room.ask(whole, TABLES) == [(177,)]
    assert room.ask(f"{ALONE} WHERE zone = 'gate'", TABLES) == "differencing"
    south = "SELECT SUM(fare) AS s FROM south.rides WHERE zone = 'gate'"
    assert room.ask(south, TABLES) == [(20,)]  # four vehicles are beside it
