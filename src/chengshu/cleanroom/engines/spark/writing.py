"""A question in Spark's SQL, from our own representation: the text that the asker wrote never comes here, nor does DuckDB's."""

from collections.abc import Iterator

from chengshu.cleanroom.engines.crossings import crossings_sql
from chengshu.cleanroom.engines.dialects.spark import SparkDialect
from chengshu.cleanroom.engines.rendering import bounded_sql, differences_sql, summary_sql
from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.planning.lineage import Types, type_of, types_of
from chengshu.cleanroom.relation.model import (
    Bounded,
    Crossings,
    Differences,
    Measure,
    Ref,
    Steps,
    VettedQuery,
)


def spark_sql(query: VettedQuery) -> str:
    """Return the statement that computes a question, with the columns that DuckDB's has."""
    types = types_of(query)
    match query.instead:
        case None:
            return summary_sql(query.summary, dialect=SparkDialect(dict(_of_summary(query, types))))
        case Bounded():
            return bounded_sql(query.instead, dialect=SparkDialect(dict(_of_bounded(query.instead, types))))
        case Differences():
            return differences_sql(query.instead, dialect=SparkDialect({}))
        case Crossings():
            return crossings_sql(query.instead, dialect=SparkDialect({}))


def _of_summary(query: VettedQuery, types: Types) -> Iterator[tuple[Ref, ColumnType]]:
    return ((ref, type_of(ref, query.summary.body, types)) for ref in _added(query.summary.measures))


def _of_bounded(bounded: Bounded, types: Types) -> Iterator[tuple[Ref, ColumnType]]:
    """The measures of an answer with noise are of the columns below it, ``t0.c0`` and so on."""
    for ref in _added(bounded.measures):
        column = bounded.columns[int(ref.column.removeprefix("c"))]
        yield ref, ColumnType.INTEGER if isinstance(column, Steps) else type_of(column, bounded.body, types)


def _added(measures: tuple[Measure, ...]) -> Iterator[Ref]:
    return (one.of for one in measures if isinstance(one.of, Ref) and one.function in {Aggregate.SUM, Aggregate.AVG})
