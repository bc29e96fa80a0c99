"""Apache Spark's SQL, with the meanings of DuckDB's where the two differ.

Where Spark reads the same word otherwise, another is written: sums of whole numbers would overflow at 64 bits, means of decimals would be
rounded decimals, DATE_TRUNC gives a time with a zone, FLOOR of a double a whole number, DOW counts from one. It is meant for a session
in UTC and in ANSI mode (:mod:`chengshu.cleanroom.engines.spark`). Spark's reference: https://spark.apache.org/docs/latest/api/sql/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from chengshu.cleanroom.engines.dialects.dialect import double
from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import BucketKind, Measure, Ref
from chengshu.cleanroom.relation.released import Constant

FUNCTIONS = (
    "abs",
    "avg",
    "coalesce",
    "count",
    "date_part",
    "date_trunc",
    "floor",
    "max",
    "min",
    "monotonically_increasing_id",
    "nullif",
    "pmod",
    "round",
    "row_number",
    "shiftright",
    "sum",
    "timestamp_micros",
    "unix_micros",
    "xxhash64",
)
"""Every function that is written: a session has no others."""
_WORDS = frozenset(
    {
        "ALL",
        "AND",
        "AS",
        "BIGINT",
        "BY",
        "CASE",
        "CAST",
        "DATE",
        "DECIMAL",
        "DESC",
        "DISTINCT",
        "DOUBLE",
        "ELSE",
        "END",
        "FALSE",
        "FROM",
        "GROUP",
        "HAVING",
        "IN",
        "INNER",
        "IS",
        "JOIN",
        "LAST",
        "LEFT",
        "NOT",
        "NULL",
        "NULLS",
        "ON",
        "OR",
        "ORDER",
        "OVER",
        "PARTITION",
        "SELECT",
        "STRING",
        "THEN",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "TRUE",
        "UNION",
        "WHEN",
        "WHERE",
        "X",
    }
)
_QUOTED = re.compile(r"`[^`]*`|'[^'\\]*'")
_WORD = re.compile(r"[^\W\d]\w*")
_MADE_UP = re.compile(r"([abcdefghnoqrtuwxyz]|__[nskd])\d*(_\d+)?|__(rows|kept|place)")
_WHOLE_DOUBLES = 2**52
"""From here on every double is a whole number."""
_MONDAY_US = 946_857_600_000_000
"""Monday, 3 January 2000, in microseconds since 1970: where DuckDB's TIME_BUCKET begins to count."""
_PARTS = {"dow": ("DOW", " - 1"), "isodow": ("DOW_ISO", "")}
"""Spark counts the days of a week from one, beginning on Sunday; DuckDB from zero."""


def relation_name(product: str) -> str:
    """Return the name of the temporary view that holds a product, another one for every product: the length keeps the parts apart."""
    party, name = product.split(".")
    return f"{len(party)}_{party}_{name}"


def is_ours(sql: str) -> bool:
    """Say whether a statement has only words that questions are written with.

    Spark's SQL can run programs (``SELECT TRANSFORM … USING 'program'``) and read what is not a product; no setting forbids it.
    """
    words = _WORD.findall(_QUOTED.sub(" ", sql))
    return all(word in _WORDS or word.lower() in FUNCTIONS or _MADE_UP.fullmatch(word) for word in words)


@dataclass(frozen=True, slots=True)
class SparkDialect:
    """Spark's words for one question; ``kinds`` are the types of the columns that it adds up."""

    kinds: Mapping[Ref, ColumnType]

    def identifier(self, name: str) -> str:
        """Return ``name`` in backticks: Spark takes double quotes for a text."""
        return "`" + name.replace("`", "``") + "`"

    def product(self, product: str) -> str:
        """Return the temporary view that holds a product: such views have no schema."""
        return self.identifier(relation_name(product))

    def text(self, value: str) -> str:
        """Return the bytes of ``value``: in quotes Spark would read backslashes as escapes, and two texts side by side as one."""
        return f"CAST(X'{value.encode().hex()}' AS STRING)"

    def moment(self, value: datetime) -> str:
        """Return a TIMESTAMP_NTZ: Spark's TIMESTAMP has a zone."""
        return f"TIMESTAMP_NTZ '{value.isoformat(sep=' ')}'"

    def numbered(self, relation: str, name: str) -> str:
        """Return the relation with numbers that Spark makes up without bringing all rows to one place, as ROW_NUMBER would."""
        number = f"MONOTONICALLY_INCREASING_ID() AS {self.identifier(name)}"
        return f"(SELECT *, {number} FROM {relation})"  # noqa: S608  # declared names, quoted

    def one_in(self, share: int, of: str) -> str:
        """By Spark's hash of 64 bits, which has a sign."""
        return f"PMOD(XXHASH64({of}), {share}) = 0"

    def bucket(self, kind: BucketKind, step: str, of: str) -> str:
        """Return a column made coarser, of DuckDB's type."""
        match kind:
            case BucketKind.TRUNCATE:
                return f"CAST(DATE_TRUNC('{step}', CAST({of} AS TIMESTAMP)) AS TIMESTAMP_NTZ)"
            case BucketKind.PART:
                part, shift = _PARTS.get(step, (step, ""))
                return f"CAST(DATE_PART('{part}', CAST({of} AS TIMESTAMP_NTZ)){shift} AS BIGINT)"
            case BucketKind.TIME_STEP:
                moment, width = f"UNIX_MICROS(CAST({of} AS TIMESTAMP))", int(step) * 1_000_000
                return f"CAST(TIMESTAMP_MICROS({moment} - PMOD({moment} - {_MONDAY_US}, {width})) AS TIMESTAMP_NTZ)"
            case BucketKind.NUMBER_STEP:
                return _number_step(of, double(Decimal(step)))
            case _:
                assert_never(kind)

    def total(self, measure: Measure, argument: str) -> str:
        """Return a sum; of whole numbers from two halves of 32 bits, whose own sums fit into 64, put together as decimals."""
        if self._kind(measure) is not ColumnType.INTEGER:
            return f"SUM({argument})"
        wide = f"CAST({argument} AS BIGINT)"
        high, low = f"SUM(SHIFTRIGHT({wide}, 32))", f"SUM({wide} & {2**32 - 1})"
        return f"(CAST({high} AS DECIMAL(38, 0)) * {2**32} + CAST({low} AS DECIMAL(38, 0)))"

    def mean(self, measure: Measure, argument: str) -> str:
        """Return a mean: of whole numbers and decimals from the exact sum, as DuckDB does."""
        if self._kind(measure) is ColumnType.DOUBLE:
            return f"AVG({argument})"
        return f"(CAST({self.total(measure, argument)} AS DOUBLE) / NULLIF(COUNT({argument}), 0))"

    def largest_two(self, shares: str, groups: list[str]) -> tuple[str, str, str]:
        """By ranks in each group."""
        among = f"PARTITION BY {', '.join(groups)} " if groups else ""
        ranked = f"(SELECT *, ROW_NUMBER() OVER ({among}ORDER BY c DESC NULLS LAST) AS __place FROM ({shares}))"  # noqa: S608  # generated
        first, second = (f"MAX(CASE WHEN __place = {place} THEN c END)" for place in (1, 2))
        return ranked, first, second

    def shuffled(self, names: list[str], unit: str) -> str:
        """By a hash, then by the values themselves; Spark wants some order, also where every row is alike."""
        return f" ORDER BY XXHASH64({', '.join(names)}), {', '.join(names)}" if names else f" ORDER BY {unit}"

    def _kind(self, measure: Measure) -> ColumnType | None:
        match measure.of:
            case Constant(type=kind):
                return kind
            case Ref() as ref:
                return self.kinds[ref]
            case None:
                return None


def _number_step(of: str, width: str) -> str:
    """Spark's FLOOR makes a BIGINT of a double, which large numbers and what is no number do not fit into."""
    quotient = f"(CAST({of} AS DOUBLE) / {width})"
    return f"(CASE WHEN ABS({quotient}) < {_WHOLE_DOUBLES} THEN CAST(FLOOR({quotient}) AS DOUBLE) ELSE {quotient} END * {width})"
