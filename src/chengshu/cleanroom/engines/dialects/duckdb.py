"""DuckDB's SQL."""

from datetime import datetime
from decimal import Decimal
from typing import assert_never

from chengshu.cleanroom.engines.dialects.dialect import double
from chengshu.cleanroom.relation.model import BucketKind, Measure


class DuckDBDialect:
    """DuckDB adds whole numbers in 128 bits and takes the mean of decimals in double precision by itself."""

    def identifier(self, name: str) -> str:
        """Return ``name`` in double quotes (SQL:2016, 5.2)."""
        return '"' + name.replace('"', '""') + '"'

    def product(self, product: str) -> str:
        """Return the view that holds a product, in its party's schema."""
        return ".".join(self.identifier(part) for part in product.split("."))

    def text(self, value: str) -> str:
        """Return ``value`` in single quotes; a backslash is a letter like any other."""
        return "'" + value.replace("'", "''") + "'"

    def moment(self, value: datetime) -> str:
        """Return a TIMESTAMP, which has no zone."""
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"

    def numbered(self, relation: str, name: str) -> str:
        """Return the relation with its rows' numbers."""
        return f"(SELECT *, ROW_NUMBER() OVER () AS {self.identifier(name)} FROM {relation})"  # noqa: S608  # declared names, quoted

    def one_in(self, share: int, of: str) -> str:
        """By DuckDB's own hash."""
        return f"HASH({of}) % {share} = 0"

    def bucket(self, kind: BucketKind, step: str, of: str) -> str:
        """Return a column made coarser; time steps begin on Monday, 3 January 2000."""
        match kind:
            case BucketKind.TRUNCATE:
                return f"DATE_TRUNC('{step}', {of})"
            case BucketKind.PART:
                return f"DATE_PART('{step}', {of})"
            case BucketKind.TIME_STEP:
                return f"TIME_BUCKET(INTERVAL '{step} seconds', {of})"
            case BucketKind.NUMBER_STEP:
                width = double(Decimal(step))
                return f"(FLOOR(CAST({of} AS DOUBLE) / {width}) * {width})"
            case _:
                assert_never(kind)

    def total(self, measure: Measure, argument: str) -> str:
        """Return a sum."""
        del measure
        return f"SUM({argument})"

    def mean(self, measure: Measure, argument: str) -> str:
        """Return a mean."""
        del measure
        return f"AVG({argument})"

    def largest_two(self, shares: str, groups: list[str]) -> tuple[str, str, str]:
        """By the aggregate that keeps the n largest."""
        del groups
        return f"({shares})", "MAX(c, 2)[1]", "MAX(c, 2)[2]"

    def shuffled(self, names: list[str], unit: str) -> str:
        """By a hash, then by the values themselves; without columns every row is alike."""
        del unit
        return f" ORDER BY HASH({', '.join(names)}), {', '.join(names)}" if names else ""


DUCKDB = DuckDBDialect()
