"""No value that a product may hold makes a question fail: whether it failed would tell that the value is among the rows it is about.

Haeberlen, Pierce & Narayan, Differential privacy under fire (USENIX Security 2011).
"""

from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, Privacy, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

KINDS = {"i": ColumnType.INTEGER, "d": ColumnType.DOUBLE, "m": ColumnType.DECIMAL}
GROUPS = {**KINDS, "ts": ColumnType.TIMESTAMP, "day": ColumnType.DATE, "s": ColumnType.TEXT}
COLUMNS = (
    Column("u", ColumnType.TEXT, Role.KEY),
    *(Column(f"any_{name}", kind, Role.MEASURE, frozenset(Aggregate)) for name, kind in KINDS.items()),
    *(Column(f"bounded_{name}", kind, Role.MEASURE, lower=Decimal(-10), upper=Decimal(10)) for name, kind in KINDS.items()),
    *(Column(f"by_{name}", kind, Role.GROUP) for name, kind in GROUPS.items()),
)
TERMS = {p: {"a.t": ProductTerms(Schema("a.t", COLUMNS, "u", 1, p))} for p in (None, 30)}
TYPES = {"i": pa.int64(), "d": pa.float64(), "m": pa.decimal128(38, 10), "ts": pa.timestamp("us"), "day": pa.date32(), "s": pa.string()}
MOST = 2**63 - 1
NINES = Decimal("9" * 18 + "." + "9" * 10)
EXTREMES: tuple[dict[str, Any], ...] = (
    {"i": MOST, "d": 1.7e308, "m": NINES, "ts": MOST, "day": 2**31 - 1, "s": "x" * 70_000},
    {"i": -MOST - 1, "d": -1.7e308, "m": -NINES, "ts": -MOST, "day": -(2**31) + 1, "s": "\x00"},
    {"i": 0, "d": float("nan"), "m": Decimal(0), "ts": 0, "day": 0, "s": ""},
    {"i": 1, "d": float("inf"), "m": Decimal("1e-10"), "ts": 253_402_300_800_000_000, "day": 2_932_897, "s": "\ud7ff"},
    {"i": 1, "d": 5e-324, "m": Decimal(1), "ts": -62_135_596_800_000_001, "day": -719_163, "s": "\u00e9"},
)


def _asked(values: str, rest: str = "") -> str:
    return f"SELECT {values} FROM a.t{rest}"  # noqa: S608  # of this file


def _grouped(group: str) -> str:
    return _asked(f"{group} AS g, COUNT(*) AS n", f" GROUP BY {group}")


WEIGHED = [_asked(f"{function}(any_{c}) AS x, {function}(bounded_{c}) AS y") for function in ("SUM", "AVG") for c in KINDS]
QUESTIONS = [
    *WEIGHED,
    *(_asked(f"COUNT(any_{c}) AS n, MIN(any_{c}) AS x, MAX(any_{c}) AS y") for c in KINDS),
    *(_grouped(f"by_{c}") for c in GROUPS),
    *(_grouped(f"FLOOR(by_{c} / 0.001) * 0.001") for c in KINDS),
    *(_grouped(f"date_trunc('{unit}', by_{c})") for unit in ("hour", "week", "year") for c in ("ts", "day")),
    *(_grouped(f"EXTRACT({unit} FROM by_{c})") for unit in ("hour", "week", "year") for c in ("ts", "day")),
    _grouped("time_bucket(INTERVAL '999999 days', by_ts)"),
    *(_asked("COUNT(*) AS n", f" WHERE by_m {one}") for one in ("= 0.0000000001", "<> 123456789012345678", "> -1.5")),
    _asked("COUNT(*) AS n", " WHERE by_d > 100000000000000000 OR by_i < -100000000000000000"),
    _asked("COUNT(*) AS n", " WHERE by_ts < '0001-01-01' OR by_day > '9999-12-31'"),
    _asked("SUM(any_i) * SUM(any_d) AS x, ROUND(AVG(any_d), 12) AS y, SUM(any_i) / NULLIF(SUM(any_d), 0) AS z"),
]
ENGINE = DuckDBEngine("512MB", 1, 60.0)


def _table(values: list[dict[str, Any]]) -> pa.Table:
    columns = {
        one.name: pa.array([row[one.name.rpartition("_")[2]] for row in values], TYPES[one.name.rpartition("_")[2]]) for one in COLUMNS[1:]
    }
    return pa.table({"u": [f"u{place}" for place in range(len(values))], **columns})


TABLES = [_table([EXTREMES[0]] * 5), _table([EXTREMES[1]] * 5), _table([*EXTREMES[:2], *EXTREMES[3:]] * 2), _table(list(EXTREMES))]


@pytest.mark.parametrize("percent", TERMS)
def test_no_extreme_value_makes_a_question_fail(percent: int | None) -> None:
    for sql in QUESTIONS if percent is None else WEIGHED:
        query = vet(sql, TERMS[percent])
        assert isinstance(query, VettedQuery), (sql, query)
        for table in TABLES:
            assert isinstance(release(ENGINE.run(query, {"a.t": table}), query=query), Released | Refused), sql


def test_nor_where_answers_carry_noise() -> None:
    terms = {"a.t": ProductTerms(Schema("a.t", COLUMNS, "u", 1), privacy=Privacy(Decimal("0.01"), 2))}
    values = ", ".join(f"SUM(bounded_{c}) AS s{c}, AVG(bounded_{c}) AS a{c}, COUNT(any_{c}) AS n{c}" for c in KINDS)
    for rest in ("", " GROUP BY by_d", " GROUP BY by_m", " WHERE by_i <> 7 GROUP BY by_s, by_ts, by_day"):
        query = vet(_asked(values, rest), terms)
        assert isinstance(query, VettedQuery), query
        for table in TABLES:
            assert ENGINE.run(query, {"a.t": table}).num_rows > 0


def test_a_constant_with_many_decimals_is_no_oracle_for_a_large_decimal() -> None:
    """An engine brings both sides to one scale, which fails for large values only: the asker chooses how large by the decimals."""
    large = pa.table({"by_m": pa.array([Decimal("9" * 28)], TYPES["m"])})
    with duckdb.connect(":memory:") as database:
        database.register("t", large)
        with pytest.raises(duckdb.Error):
            database.execute("SELECT COUNT(*) FROM t WHERE by_m = 0.00000000000000001").fetchall()
    verdict = vet(_asked("COUNT(*) AS n", " WHERE by_m = 0.00000000000000001"), TERMS[None])
    assert isinstance(verdict, Refused)
    assert verdict.rule == "filter-form"


@pytest.mark.parametrize("asked", ["SELECT SUM(any_m) AS x FROM a.t", "SELECT SUM(any_m) AS x FROM a.t WHERE by_i = 7"])
def test_decimals_that_are_too_long_are_told_by_column_whatever_rows_are_asked_about(asked: str) -> None:
    query = vet(asked, TERMS[None])
    assert isinstance(query, VettedQuery)
    with pytest.raises(Invalid) as caught:
        ENGINE.run(query, {"a.t": _table([{**EXTREMES[2], "m": Decimal("9" * 28)}, *EXTREMES])})
    assert (caught.value.code, caught.value.facts) == ("cleanroom.schema-drift", {"column": "a.t.any_m"})
    assert "999" not in str(caught.value)
    assert caught.value.__context__ is None
