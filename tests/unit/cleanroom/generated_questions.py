"""Questions made up from the grammar of what may be asked, and their answers as plain Python computes them, apart from any engine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema

K = 3
CANARY = "canary"
"""What every key, hidden value and name of a small group begins with: it may stand in no answer."""
TRIPS = Schema(
    "fleet.trips",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("road", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.INTEGER, Role.GROUP),
        Column("wet", ColumnType.BOOLEAN, Role.FILTER),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, lower=Decimal(0), upper=Decimal(64)),
        Column("tips", ColumnType.INTEGER, Role.MEASURE, frozenset({Aggregate.COUNT, Aggregate.SUM, Aggregate.MIN})),
        Column("driver", ColumnType.TEXT, Role.HIDDEN),
    ),
    "vehicle",
    K,
)
ROADS = Schema("city.roads", (Column("road", ColumnType.TEXT, Role.KEY), Column("kind", ColumnType.TEXT, Role.FREE)), None, 1)
TERMS = {one.product: ProductTerms(one) for one in (TRIPS, ROADS)}
ZONES = ("north", "south", "it''s", "")
KINDS = ("ring", "lane")
Row = dict[str, Any]
Test = Callable[[Row], bool | None]
Cells = tuple[Any, ...]


@dataclass(frozen=True)
class Condition:
    """A condition as SQL, and as Python has it: true, false or unknown."""

    sql: str
    holds: Test


@dataclass(frozen=True)
class Group:
    """Something to group by."""

    sql: str
    of: Callable[[Row], Any]


@dataclass(frozen=True)
class Aggregated:
    """One aggregate: its SQL, which column of a row it is about (None: the row), and what it makes of the values there are."""

    sql: str
    column: str | None
    value: Callable[[list[Any]], Any]
    weighs: bool


@dataclass(frozen=True)
class Question:
    """A question of the grammar."""

    groups: tuple[Group, ...]
    aggregates: tuple[Aggregated, ...]
    join: str
    where: Condition | None
    is_nested: bool
    most: float | None

    @property
    def sql(self) -> str:
        """The question as its asker would write it."""
        listed = [f"{group.sql} AS g{place}" for place, group in enumerate(self.groups)]
        listed += [f"{one.sql} AS a{place}" for place, one in enumerate(self.aggregates)]
        where = "" if self.where is None else f" WHERE {self.where.sql}"
        inside = "(SELECT vehicle, road, zone, hour, wet, fare, tips FROM fleet.trips)" if self.is_nested else "fleet.trips"
        source = f"{inside} AS t" + (f" {self.join} city.roads AS r ON t.road = r.road" if self.join else "")
        grouped = f" GROUP BY {', '.join(group.sql for group in self.groups)}" if self.groups else ""
        having = "" if self.most is None else f" HAVING {self.aggregates[0].sql} <= {self.most}"
        return f"SELECT {', '.join(listed)} FROM {source}{where}{grouped}{having}"  # noqa: S608  # of this file


# --- the grammar


def conditions() -> st.SearchStrategy[Condition]:
    """Conditions on what may be filtered, joined by AND, OR and NOT."""
    return st.recursive(_atoms(), _joined, max_leaves=4)


def questions() -> st.SearchStrategy[Question]:
    """Questions that the rules let pass."""
    return st.builds(
        _question, _picked(_groups(), 2), _picked(_aggregates(), 3, least=1), st.sampled_from(_JOINS), _maybe(), st.booleans(), _most()
    )


def rows() -> st.SearchStrategy[list[Row]]:
    """Trips of a few vehicles, blanks and doubles among them; and four of two vehicles in a zone of their own."""
    return st.builds(_rows, st.integers(0, 2**32), st.sampled_from([0, 30, 60, 60]), st.sampled_from([0.0, 0.0, 0.3]))


def registers() -> st.SearchStrategy[list[Row]]:
    """Roads; one may be listed twice, and one not at all."""
    return st.builds(_register, st.integers(0, 2**32), st.sampled_from([False, False, True]))


def _rows(seed: int, count: int, blank: float) -> list[Row]:
    chance = Random(seed)  # noqa: S311  # made-up rows
    zones = [zone.replace("''", "'") for zone in ZONES]
    return [
        {
            "vehicle": _or_blank(chance, blank, f"{CANARY}-v{chance.randrange(7)}"),
            "road": _or_blank(chance, blank, chance.choice(["r0", "r1", "r2"])),
            "zone": _or_blank(chance, blank, chance.choice(zones)),
            "hour": _or_blank(chance, blank, chance.choice([-1, 0, 1, 7, 7, 12])),
            "wet": _or_blank(chance, blank, chance.random() < 0.7),
            "fare": _or_blank(chance, blank, chance.randrange(-8, 300) / 4),
            "tips": _or_blank(chance, blank, chance.randrange(10)),
        }
        for _ in range(count)
    ] + _LONELY


def _register(seed: int, is_doubled: bool) -> list[Row]:  # as Hypothesis gives it
    chance = Random(seed)  # noqa: S311  # made-up rows
    listed = [*chance.sample(["r0", "r1", "r2"], chance.choice([2, 3, 3])), "r9", None]
    listed += [chance.choice(listed)] if is_doubled else []
    return [{"road": road, "kind": _or_blank(chance, 0.2, chance.choice(KINDS))} for road in listed]


def _or_blank(chance: Random, share: float, value: Any) -> Any:
    return None if chance.random() < share else value


SECRET_FARE, SECRET_TIPS = 61.03125, 777_777_777
_JOINS = ("", "", "JOIN", "LEFT JOIN")
_LONELY: list[Row] = [
    {
        "vehicle": f"{CANARY}-v{one}",
        "road": "r0",
        "zone": f"{CANARY}-zone",
        "hour": 23,
        "wet": True,
        "fare": SECRET_FARE,
        "tips": SECRET_TIPS,
    }
    for one in (8, 8, 8, 9)
]


def _question(
    groups: tuple[Group, ...], aggregates: tuple[Aggregated, ...], join: str, where: Condition | None, nested: bool, most: float | None
) -> Question:  # as Hypothesis gives them
    kept = tuple(group for group in groups if join or not group.sql.startswith("r."))
    return Question(kept, aggregates, join, where if join or where is None or "r.kind" not in where.sql else None, nested, most)


def _maybe() -> st.SearchStrategy[Condition | None]:
    return st.one_of(st.none(), st.none(), conditions())


def _most() -> st.SearchStrategy[float | None]:
    return st.sampled_from([None, None, None, None, 3.0, 40.5])


def _picked(found: Sequence[Any], most: int, *, least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(found), min_size=least, max_size=most, unique_by=lambda one: one.sql).map(tuple)


def _groups() -> list[Group]:
    return [
        Group("t.zone", lambda row: row["zone"]),
        Group("t.hour", lambda row: row["hour"]),
        Group("FLOOR(t.hour / 5) * 5", lambda row: None if row["hour"] is None else float(row["hour"] // 5 * 5)),
        Group(
            "CASE WHEN t.zone IN ('north', 'south') THEN 'pole' WHEN NOT t.zone IS NULL THEN 'side' END",
            lambda row: None if row["zone"] is None else "pole" if row["zone"] in ("north", "south") else "side",
        ),
        Group("CASE WHEN t.hour < 6 THEN 0 WHEN t.hour < 9 THEN 1 ELSE 2 END", _part_of_day),
        Group("r.kind", lambda row: row["kind"]),
    ]


def _part_of_day(row: Row) -> int:
    return 2 if row["hour"] is None or row["hour"] >= 9 else int(row["hour"] >= 6)


def _aggregates() -> list[Aggregated]:
    return [
        Aggregated("COUNT(*)", None, len, weighs=True),
        Aggregated("COUNT(DISTINCT t.vehicle)", "vehicle", lambda values: len(set(values)), weighs=False),
        Aggregated("COUNT(t.fare)", "fare", len, weighs=True),
        Aggregated("SUM(t.fare)", "fare", lambda values: _rounded(sum(map(_clipped, values))) if values else None, weighs=True),
        Aggregated(
            "AVG(t.fare)", "fare", lambda values: _rounded(sum(map(_clipped, values)) / len(values)) if values else None, weighs=True
        ),
        Aggregated("SUM(t.tips)", "tips", lambda values: sum(values) if values else None, weighs=True),
        Aggregated("MIN(t.tips)", "tips", lambda values: min(values, default=None), weighs=False),
    ]


def _clipped(fare: float) -> float:
    return min(max(fare, 0.0), 64.0)


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")


def _atoms() -> st.SearchStrategy[Condition]:
    hour, zone = (lambda row: row["hour"]), (lambda row: row["zone"])
    listed = st.lists(st.sampled_from([0, 1, 7]), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(list(_COMPARED)), st.integers(-1, 12)).map(lambda one: _compared("t.hour", hour, *one)),
        st.tuples(st.sampled_from(["=", "<>"]), st.sampled_from(ZONES)).map(lambda one: _compared("t.zone", zone, one[0], one[1])),
        st.tuples(st.sampled_from(["=", "<>"]), st.sampled_from(KINDS)).map(
            lambda one: _compared("r.kind", lambda row: row["kind"], one[0], one[1])
        ),
        listed.map(lambda some: Condition(f"t.hour IN ({', '.join(map(str, some))})", _known(hour, lambda value: value in some))),
        st.integers(-1, 7).map(lambda low: Condition(f"t.hour BETWEEN {low} AND 7", _known(hour, lambda value: low <= value <= 7))),
        st.just(Condition("t.wet", lambda row: row["wet"])),
        st.just(Condition("t.zone IS NULL", lambda row: row["zone"] is None)),
        st.just(Condition("t.hour IS NOT NULL", lambda row: row["hour"] is not None)),
    )


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def _compared(sql: str, of: Callable[[Row], Any], operator: str, constant: Any) -> Condition:
    written = f"'{constant}'" if isinstance(constant, str) else str(constant)
    value = constant.replace("''", "'") if isinstance(constant, str) else constant
    return Condition(f"{sql} {operator} {written}", _known(of, lambda found: _COMPARED[operator](found, value)))


def _known(of: Callable[[Row], Any], test: Callable[[Any], bool]) -> Test:
    return lambda row: None if of(row) is None else test(of(row))


def _joined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.one_of(
        inner.map(lambda one: Condition(f"NOT ({one.sql})", lambda row: None if one.holds(row) is None else not one.holds(row))),
        st.tuples(inner, inner).map(lambda two: Condition(f"({two[0].sql} AND {two[1].sql})", _both(two, unless=False))),
        st.tuples(inner, inner).map(lambda two: Condition(f"({two[0].sql} OR {two[1].sql})", _both(two, unless=True))),
    )


def _both(two: tuple[Condition, Condition], *, unless: bool) -> Test:
    """AND (false wins) or OR (true wins) in three-valued logic (SQL:2016, 6.39)."""

    def holds(row: Row) -> bool | None:
        found = [one.holds(row) for one in two]
        return unless if unless in found else None if None in found else not unless

    return holds


# --- the reference


def table_of(schema: Schema, found: Sequence[Row]) -> pa.Table:
    """The rows as a product's table; hidden columns hold a canary in each."""
    kinds = {ColumnType.TEXT: pa.string(), ColumnType.INTEGER: pa.int64(), ColumnType.DOUBLE: pa.float64(), ColumnType.BOOLEAN: pa.bool_()}
    hidden = f"{CANARY}-driver"
    return pa.table({one.name: pa.array([row.get(one.name, hidden) for row in found], kinds[one.type]) for one in schema.columns})


def expected(question: Question, trips: Sequence[Row], roads: Sequence[Row]) -> dict[Cells, Cells] | str:
    """What the question should be answered: values by group; or the rule that refuses it."""
    behind = behind_groups(question, trips, roads)
    large = {group: rows for group, rows in behind.items() if _passes(question, rows)}
    if not large:
        return "group-too-small"
    if question.join and any(one.weighs for one in question.aggregates) and _twice(roads):
        return "join-fan-out"
    answers = {group: tuple(_value(one, rows) for one in question.aggregates) for group, rows in large.items()}
    return {
        group: cells for group, cells in answers.items() if question.most is None or (cells[0] is not None and cells[0] <= question.most)
    }


def behind_groups(question: Question, trips: Sequence[Row], roads: Sequence[Row]) -> dict[Cells, list[Row]]:
    """The rows behind each group of a question; ``n`` numbers those of one join, whatever the question asks of them."""
    behind: dict[Cells, list[Row]] = {}
    for place, row in enumerate(_together(question, trips, roads)):
        if question.where is None or question.where.holds(row):
            behind.setdefault(tuple(group.of(row) for group in question.groups), []).append({**row, "n": place})
    return behind


def _together(question: Question, trips: Sequence[Row], roads: Sequence[Row]) -> Iterator[Row]:
    for trip in trips:
        partners = [road for road in roads if question.join and road["road"] is not None and road["road"] == trip["road"]]
        if partners:
            yield from ({**trip, "kind": road["kind"]} for road in partners)
        elif question.join != "JOIN":
            yield {**trip, "kind": None}


def _passes(question: Question, found: Sequence[Row]) -> bool:
    """At least K records, K vehicles, and K vehicles with a value for each aggregate."""
    needed = [None, *(one.column for one in question.aggregates if one.column not in {None, "vehicle"})]
    units = [{row["vehicle"] for row in found if column is None or row[column] is not None} - {None} for column in needed]
    return len(found) >= K and all(len(some) >= K for some in units)


def _value(one: Aggregated, found: Sequence[Row]) -> Any:
    return one.value([row if one.column is None else row[one.column] for row in found if one.column is None or row[one.column] is not None])


def _twice(roads: Sequence[Row]) -> bool:
    keys = [road["road"] for road in roads if road["road"] is not None]
    return len(set(keys)) < len(keys)
