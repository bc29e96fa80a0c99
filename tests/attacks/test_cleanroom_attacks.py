"""What a patient asker would try against the clean room.

Attacks that a question or two make are files in ``corpus/``. Each one here runs twice too: against an unprotected control, where it must
succeed (or the test proves nothing), and against the room. The victim is one driver, v07, whose fare only the fleet may know.
"""

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

SECRET = 7331.25
TABLE = pa.table(
    {
        "vehicle": [f"v{i % 20:02d}" for i in range(40)],
        "zone": ["airport" if i % 20 == 7 else ("east" if i % 2 else "west") for i in range(40)],
        "kind": ["night" if i % 20 == 7 else "day" for i in range(40)],
        "lonely": [None if i % 20 != 7 else SECRET for i in range(40)],
        "fare": [SECRET if i % 20 == 7 else 100.0 + i for i in range(40)],
        "driver": [f"driver-{i % 20:02d}" for i in range(40)],
        "code": ["secret-code" if i % 20 == 7 else "1" for i in range(40)],
    }
)
MEASURE = frozenset({Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG})
SCHEMA = Schema(
    "fleet.jobs",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("kind", ColumnType.TEXT, Role.FILTER),
        Column("lonely", ColumnType.DOUBLE, Role.MEASURE, MEASURE),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, MEASURE),
        Column("driver", ColumnType.TEXT, Role.HIDDEN),
        Column("code", ColumnType.TEXT, Role.GROUP),
    ),
    "vehicle",
    5,
)
OTHER = Schema("toll.gates", (Column("vehicle", ColumnType.TEXT, Role.KEY), Column("gate", ColumnType.TEXT, Role.FREE)), None, 5)
GATES = pa.table({"vehicle": ["v07"] * 30, "gate": ["g1"] * 30})
TERMS = {"fleet.jobs": ProductTerms(SCHEMA), "toll.gates": ProductTerms(OTHER)}
TABLES = {"fleet.jobs": TABLE, "toll.gates": GATES}
ENGINE = DuckDBEngine("256MB", 1, 20.0)


def _unprotected(sql: str) -> list[tuple[Any, ...]]:
    """Answer as a plain database would."""
    with duckdb.connect(":memory:") as database:
        for name, table in TABLES.items():
            party, product = name.split(".")
            database.register(f"t_{product}", table)
            database.execute(f"CREATE SCHEMA {party}")
            database.execute(f"CREATE VIEW {name} AS SELECT * FROM t_{product}")  # noqa: S608  # the attack
        return database.execute(sql).fetchall()


def _room(sql: str) -> Released | Refused:
    query = vet(sql, TERMS)
    if isinstance(query, Refused):
        return query
    return release(ENGINE.run(query, TABLES), query=query)


def _shown(verdict: Released | Refused) -> list[tuple[Any, ...]]:
    return [] if isinstance(verdict, Refused) else [tuple(row.values()) for row in verdict.table.to_pylist()]


def test_joined_copies_of_one_record_do_not_make_a_group() -> None:
    sql = "SELECT g.gate, COUNT(j.fare) AS n FROM fleet.jobs j JOIN toll.gates g ON g.vehicle = j.vehicle GROUP BY g.gate"
    assert _unprotected(sql) == [("g1", 60)]
    verdict = _room(sql)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "group-too-small"


def test_a_record_repeated_by_a_join_does_not_drown_the_others_in_a_mean() -> None:
    """The asker brings a product of its own in which the victim stands a hundred thousand times and four others once."""
    copies = ["v07"] * 100_000 + ["v01", "v02", "v03", "v04"]
    tables = {"fleet.jobs": TABLE, "toll.gates": pa.table({"vehicle": copies, "gate": ["g1"] * len(copies)})}
    sql = "SELECT AVG(j.fare) AS fare, COUNT(DISTINCT j.vehicle) AS n FROM fleet.jobs j JOIN toll.gates g ON g.vehicle = j.vehicle"
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery)
    result = ENGINE.run(query, tables)
    assert result.column("a1").to_pylist() == [5]
    assert abs(result.column("a0")[0].as_py() - SECRET) < 1
    verdict = release(result, query=query)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "join-fan-out"
    once = dict(tables, **{"toll.gates": pa.table({"vehicle": [f"v{i:02d}" for i in range(9)], "gate": ["g1"] * 9})})
    assert isinstance(release(ENGINE.run(query, once), query=query), Released)


def test_rows_of_a_product_without_units_are_told_apart_in_a_join() -> None:
    few = {"fleet.jobs": TABLE, "toll.gates": pa.table({"vehicle": ["v01"], "gate": ["g1"]})}
    shared = Schema("toll.gates", (Column("vehicle", ColumnType.TEXT, Role.KEY),), None, 2)
    public = replace(SCHEMA, privacy_unit=None, minimum_group=1)
    terms = {"fleet.jobs": ProductTerms(public), "toll.gates": ProductTerms(shared)}
    query = vet("SELECT COUNT(*) FROM fleet.jobs j JOIN toll.gates g ON g.vehicle = j.vehicle", terms)
    assert isinstance(query, VettedQuery)
    result = ENGINE.run(query, few)
    assert result.column("__rows").to_pylist() == [2]
    assert isinstance(release(result, query=query), Refused)


ORACLES = {
    "a cast": "SELECT CAST(code AS INTEGER) FROM fleet.jobs",
    "error()": "SELECT error('leak: ' || code) FROM fleet.jobs WHERE vehicle = 'v07'",
    "a comparison that converts": "SELECT COUNT(*) FROM fleet.jobs WHERE code = 1",
    "a time format": "SELECT strptime(code, '%Y') FROM fleet.jobs",
}


@pytest.mark.parametrize("sql", ORACLES.values(), ids=ORACLES.keys())
def test_an_engines_error_text_never_leaves(sql: str) -> None:
    with pytest.raises(duckdb.Error) as control:
        _unprotected(sql)
    assert "secret-code" in str(control.value)
    assert isinstance(vet(sql, TERMS), Refused)
    with pytest.raises(Invalid) as caught:
        ENGINE.run(_bypassing(sql), TABLES)
    said = json.dumps(caught.value.as_dict()) + "".join(traceback.format_exception(caught.value))
    assert "secret-code" not in said
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


REACHING_OUT: dict[str, Callable[[Path], str]] = {
    "reads a file": lambda file: f"SELECT content FROM read_text('{file}')",  # noqa: S608  # the attack
    "reads a file as a table": lambda file: f"SELECT * FROM '{file}'",  # noqa: S608  # the attack
    "lists files": lambda file: f"SELECT file FROM glob('{file.parent}/*')",  # noqa: S608  # the attack
    "writes a file": lambda file: f"COPY (SELECT 1) TO '{file}.out'",
    "attaches a database": lambda file: f"ATTACH '{file}.db' AS x",
    "exports the database": lambda file: f"EXPORT DATABASE '{file}.dir'",
    "runs two statements": lambda _: "SELECT 1; SELECT 2",
    "explains": lambda _: "EXPLAIN SELECT 1",
    "creates a table": lambda _: "CREATE TABLE x AS SELECT 1",
    "sets a limit": lambda _: "SET threads = 4",
    "calls a function": lambda _: "CALL pragma_version()",
}


@pytest.mark.parametrize("statement", REACHING_OUT.values(), ids=REACHING_OUT.keys())
def test_the_engine_reaches_nothing_even_when_vetting_is_bypassed(statement: Callable[[Path], str], tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("password\nhunter2\n", encoding="utf-8")
    sql = statement(file)
    _unprotected(sql)
    for made in ("secret.csv.out", "secret.csv.db"):
        (tmp_path / made).unlink(missing_ok=True)
    with pytest.raises(Invalid) as caught:
        ENGINE.run(_bypassing(sql), TABLES)
    assert caught.value.code == "cleanroom.query-failed"
    assert sorted(one.name for one in tmp_path.iterdir() if one.suffix in {".out", ".db"}) == []
    assert isinstance(vet(sql, TERMS), Refused)


def test_the_engine_cannot_be_unlocked_or_extended_or_read_the_callers_variables() -> None:
    hidden_in_python = pa.table({"x": [SECRET]})
    assert duckdb.sql("SELECT x FROM hidden_in_python").fetchall() == [(SECRET,)]
    for sql in ("SELECT x FROM hidden_in_python", "INSTALL httpfs", "SET enable_external_access = true", "SELECT * FROM duckdb_secrets()"):
        with pytest.raises(Invalid):
            ENGINE.run(_bypassing(sql), TABLES)
    assert hidden_in_python.num_rows == 1


UNICODE = {
    "a Cyrillic letter": "SELECT AVG(f\u0430re) FROM fleet.jobs",
    "a full-width name": "SELECT COUNT(\uff44river) FROM fleet.jobs",
    "a zero-width joiner": "SELECT COUNT(dri\u200dver) FROM fleet.jobs",
    "a full-width semicolon": "SELECT COUNT(*) FROM fleet.jobs\uff1b SELECT driver FROM fleet.jobs",
    "a typographic quote": "SELECT COUNT(*) FROM fleet.jobs WHERE kind = \u2018night\u2019",
    "a long s": "SELECT AVG(\u017fare) FROM fleet.jobs",
    "a sign for kelvin": "SELECT COUNT(*) FROM fleet.jobs WHERE \u212aind = 'day'",
    "a sign for kelvin in quotes": "SELECT COUNT(*) FROM fleet.jobs WHERE \"\u212aind\" = 'day'",
    "a sign for kelvin as an alias": "SELECT COUNT(*) FROM fleet.jobs AS \u212a WHERE k.kind = 'day'",
    "a long s in a keyword": "\u017fELECT COUNT(*) FROM fleet.jobs",
    "a dotless i in a keyword": "SELECT COUNT(D\u0131STINCT vehicle) FROM fleet.jobs",
    "letters that are one sign in a keyword": "SELECT zone, COUNT(*) FROM fleet.jobs GROUP BY zone LIMIT 1 o\ufb00set 1",
    "a long s in a function": "SELECT \u017fUM(fare) FROM fleet.jobs",
}


@pytest.mark.parametrize("sql", UNICODE.values(), ids=UNICODE.keys())
def test_a_look_alike_is_never_taken_for_a_declared_name(sql: str) -> None:
    assert isinstance(vet(sql, TERMS), Refused)


def test_names_and_texts_in_any_script_are_no_disguise() -> None:
    columns = (Column("vehicle", ColumnType.TEXT, Role.KEY), Column("stra\u00dfe", ColumnType.TEXT, Role.GROUP))
    streets = Schema("fleet.jobs", (*columns, Column("\u533a\u57df", ColumnType.TEXT, Role.GROUP)), "vehicle", 5)
    sql = (
        "SELECT stra\u00dfe, \u533a\u57df, COUNT(*) AS \u6570\u91cf FROM fleet.jobs WHERE stra\u00dfe <> '\u212a \u017f' "
        'GROUP BY stra\u00dfe, "\u533a\u57df"'
    )
    query = vet(sql, {"fleet.jobs": ProductTerms(streets)})
    assert isinstance(query, VettedQuery), query
    assert "\u212a \u017f" in query.sql


def test_a_constant_cannot_break_out_of_its_quotes() -> None:
    trick = "x''; DROP TABLE fleet.jobs; --' OR ''1''=''1"
    sql = f"SELECT COUNT(*) FROM fleet.jobs WHERE kind = '{trick.replace(chr(39) * 2, chr(39)).replace(chr(39), chr(39) * 2)}'"  # noqa: S608  # the attack
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery)
    assert len(duckdb.extract_statements(query.sql)) == 1
    assert ENGINE.run(query, TABLES).column("a0").to_pylist() == [0]


def test_no_word_of_the_asker_but_typed_constants_is_in_the_generated_statement() -> None:
    query = vet('SELECT zone AS "zone"" x", COUNT(*) AS evil /* hi */ FROM fleet.jobs AS sneaky GROUP BY sneaky.zone', TERMS)
    assert isinstance(query, VettedQuery)
    assert query.sql == (
        'SELECT t0."zone" AS g0, COUNT(*) AS a0, COUNT(*) AS __rows, COUNT(DISTINCT t0."vehicle") AS __n0 '
        'FROM "fleet"."jobs" AS t0 GROUP BY t0."zone"'
    )


BOMBS = {
    "brackets": "SELECT " + "(" * 4000 + "1" + ")" * 4000 + " FROM fleet.jobs",
    "negations": "SELECT COUNT(*) FROM fleet.jobs WHERE " + "NOT " * 4000 + "kind = 'x'",
    "signs": "SELECT COUNT(*) FROM fleet.jobs WHERE 1 = " + "-" * 1 + " -" * 900 + "1",
    "a long list of conditions": "SELECT COUNT(*) FROM fleet.jobs WHERE " + " OR ".join(["kind = 'x'"] * 1300),  # noqa: S608  # the attack
    "a long text": "SELECT COUNT(*) FROM fleet.jobs WHERE kind = '" + "x" * 30000 + "'",
    "a cross join": "SELECT COUNT(*) FROM fleet.jobs a CROSS JOIN fleet.jobs b CROSS JOIN fleet.jobs c",
    "common tables that double": "WITH "  # noqa: S608  # the attack
    + ", ".join(f"d{i} AS (SELECT a.vehicle FROM d{i - 1} a JOIN d{i - 1} b ON a.vehicle = b.vehicle)" for i in range(1, 30))  # noqa: S608  # the attack
    + " SELECT COUNT(*) FROM d29",
    "recursion": "WITH RECURSIVE d AS (SELECT 1 AS x UNION ALL SELECT x FROM d) SELECT COUNT(*) FROM d",
    "a regular expression": "SELECT COUNT(*) FROM fleet.jobs WHERE kind SIMILAR TO '(a*)*b'",
}


@pytest.mark.parametrize("sql", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_before_it_goes_off(sql: str) -> None:
    assert isinstance(vet(sql, TERMS), Refused)


def test_a_hundred_conditions_are_no_bomb() -> None:
    sql = "SELECT COUNT(*) AS n FROM fleet.jobs WHERE " + " OR ".join(f"kind = 'k{i}'" for i in range(100)) + " OR kind = 'day'"  # noqa: S608  # the attack
    assert _shown(_room(sql)) == [(38,)]


def test_a_holder_is_not_bound_by_a_schema_that_the_job_made_up() -> None:
    """A lying coordinator declares the hidden column free; the holder judges by its own terms."""
    lie = replace(SCHEMA, columns=tuple(replace(one, role=Role.FREE) for one in SCHEMA.columns), minimum_group=1, privacy_unit=None)
    sql = "SELECT driver, MAX(fare) FROM fleet.jobs GROUP BY driver"
    assert isinstance(vet(sql, {"fleet.jobs": ProductTerms(lie)}), VettedQuery)
    assert isinstance(vet(sql, TERMS), Refused)


# --- what an asker can do with a product of its own that it joins


VEHICLES = [f"v{i:02d}" for i in range(20)]
WEIGHTS = Schema(
    "asker.notes",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("weight", ColumnType.INTEGER, Role.FREE),
        Column("name", ColumnType.TEXT, Role.FREE),
        Column("label", ColumnType.TEXT, Role.FREE),
    ),
    None,
    1,
)
NOTES = pa.table(
    {
        "vehicle": VEHICLES,
        "weight": [1 << (2 * i) for i in range(20)],
        "name": VEHICLES,
        "label": ["it" if one == "v03" else "other" for one in VEHICLES],
    }
)
OFTEN = pa.table(
    {
        "vehicle": [one for i, one in enumerate(VEHICLES[:14]) for _ in range(2**i)],
        "weight": [place for i in range(14) for place in range(2**i)],
        "name": [f"{place}" for i in range(14) for place in range(2**i)],
        "label": ["x"] * (2**14 - 1),
    }
)
MINE = {
    "public": ProductTerms(WEIGHTS),
    "protected, but the asker's": ProductTerms(replace(WEIGHTS, privacy_unit="vehicle", minimum_group=5), of_asker=True),
}
CHOSEN = {
    "a sum of powers": ("SUM(m.weight)", NOTES, "v03"),
    "a mean of powers": ("AVG(m.weight)", NOTES, "v03"),
    "the least name": ("MIN(m.name)", NOTES, "v01"),
    "the greatest name": ("MAX(m.name)", NOTES, "v19"),
    "a number of different labels": ("COUNT(DISTINCT m.label)", NOTES, "v03"),
    "a number of different doubles": ("COUNT(DISTINCT m.weight)", OFTEN, "v13"),
    "a number of values": ("COUNT(m.weight)", OFTEN, "v03"),
    "a number of rows": ("COUNT(*)", OFTEN, "v03"),
}


def _with(notes: pa.Table, mine: ProductTerms, sql: str, *, without: str = "") -> Released | Refused:
    """The room's answer over the fleet's jobs, with the asker's notes beside them; one vehicle may be missing from the fleet."""
    query = vet(sql, {"fleet.jobs": ProductTerms(SCHEMA), "asker.notes": mine})
    if isinstance(query, Refused):
        return query
    fleet = TABLE.filter(pc.not_equal(TABLE.column("vehicle"), without))
    return release(ENGINE.run(query, {"fleet.jobs": fleet, "asker.notes": notes}), query=query)


@pytest.mark.parametrize("mine", MINE.values(), ids=MINE.keys())
@pytest.mark.parametrize(("chosen", "notes", "victim"), CHOSEN.values(), ids=CHOSEN.keys())
def test_values_that_the_asker_chose_do_not_tell_who_is_in_a_group(chosen: str, notes: pa.Table, victim: str, mine: ProductTerms) -> None:
    joined = f"SELECT {chosen} AS x FROM {{}} j JOIN {{}} m ON j.vehicle = m.vehicle WHERE j.zone = 'east'"  # noqa: S608  # the attack
    with duckdb.connect(":memory:") as database:
        database.register("with_victim", TABLE)
        database.register("without_victim", TABLE.filter(pc.not_equal(TABLE.column("vehicle"), victim)))
        database.register("notes", notes)
        present, absent = (database.execute(joined.format(name, "notes")).fetchall() for name in ("with_victim", "without_victim"))
    assert present != absent
    verdict = _with(notes, mine, joined.format("fleet.jobs", "asker.notes"))
    assert verdict == _with(notes, mine, joined.format("fleet.jobs", "asker.notes"), without=victim)
    assert isinstance(verdict, Refused)
    assert verdict.rule == ("join-fan-out" if chosen == "COUNT(*)" else "joined-value")


@pytest.mark.parametrize("mine", MINE.values(), ids=MINE.keys())
def test_one_vehicle_that_the_asker_lists_twice_is_no_oracle_for_its_being_in_a_group(mine: ProductTerms) -> None:
    """A gate that left out only the groups in which somebody is repeated would name the group of that one."""
    doubled = pa.concat_tables([NOTES, NOTES.slice(1, 1)])  # v01 twice
    for value in ("COUNT(*)", "AVG(j.fare)", "SUM(j.fare)", "COUNT(j.fare)"):
        sql = f"SELECT j.zone, {value} AS x FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle GROUP BY j.zone"  # noqa: S608  # the attack
        told = [_with(doubled, mine, sql, without=absent) for absent in ("", "v01", "v02")]
        assert {one.rule for one in told if isinstance(one, Refused)} == {"join-fan-out"}
        assert len([one for one in told if isinstance(one, Refused)]) == 3
        assert isinstance(_with(NOTES, mine, sql), Released)


def test_an_asker_may_choose_whom_to_ask_about_and_how_to_group_them_as_long_as_groups_are_large() -> None:
    sql = (
        "SELECT m.label, COUNT(DISTINCT j.vehicle) AS vehicles, AVG(j.fare) AS fare, COUNT(*) AS jobs "
        "FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle GROUP BY m.label"
    )
    fares = [one["fare"] for one in TABLE.to_pylist() if one["vehicle"] != "v03"]  # the only one of its label is left out
    for mine in MINE.values():
        assert _shown(_with(NOTES, mine, sql)) == [("other", 19, float(f"{sum(fares) / 38:.6g}"), 38)]


def test_an_asker_that_asks_of_its_own_products_alone_is_held_to_nothing_of_this() -> None:
    terms = {"asker.notes": MINE["protected, but the asker's"], "fleet.jobs": ProductTerms(SCHEMA, of_asker=True)}
    sql = "SELECT SUM(m.weight) AS x FROM fleet.jobs j JOIN asker.notes m ON j.vehicle = m.vehicle"
    assert isinstance(vet(sql, terms), VettedQuery)


def test_products_of_two_owners_are_counted_by_unit_and_not_by_pair() -> None:
    pairs = "SELECT COUNT(*) AS n FROM fleet.jobs j JOIN toll.gates g ON j.vehicle = g.vehicle"
    verdict = vet(pairs, TERMS)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "joined-count"
    assert isinstance(vet(pairs.replace("*", "DISTINCT j.vehicle"), TERMS), VettedQuery)


def _bypassing(sql: str) -> VettedQuery:
    vetted = vet("SELECT COUNT(*), COUNT(code) FROM fleet.jobs WHERE kind = 'day'", TERMS)
    assert isinstance(vetted, VettedQuery)
    return replace(vetted, sql=sql)
