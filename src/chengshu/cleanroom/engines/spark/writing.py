"""A question in Spark's SQL, from our own representation: the text that the asker wrote never comes here, nor does DuckDB's."""

from collections.abc import Iterator, Mapping
from typing import assert_never

from chengshu.cleanroom.engines.dialects.spark import SparkDialect
from chengshu.cleanroom.engines.rendering import bounded_sql, differences_sql, summary_sql
from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.planning.lineage import Origin, below
from chengshu.cleanroom.relation.model import (
    Body,
    Bounded,
    Bucket,
    BucketKind,
    Derived,
    Differences,
    Measure,
    Ref,
    Scalar,
    Steps,
    Table,
    Union,
    VettedQuery,
)

Types = Mapping[Origin, ColumnType]


def spark_sql(query: VettedQuery) -> str:
    """Return the statement that computes a question, with the columns that DuckDB's has."""
    types = {(one.product, column.name): column.type for one in query.inputs for column in one.columns}
    match query.instead:
        case None:
            return summary_sql(query.summary, dialect=SparkDialect(dict(_of_summary(query, types))))
        case Bounded():
            return bounded_sql(query.instead, dialect=SparkDialect(dict(_of_bounded(query.instead, types))))
        case Differences():
            return differences_sql(query.instead, dialect=SparkDialect({}))


def _of_summary(query: VettedQuery, types: Types) -> Iterator[tuple[Ref, ColumnType]]:
    return ((ref, _type(ref, query.summary.body, types)) for ref in _added(query.summary.measures))


def _of_bounded(bounded: Bounded, types: Types) -> Iterator[tuple[Ref, ColumnType]]:
    """The measures of an answer with noise are of the columns below it, ``t0.c0`` and so on."""
    for ref in _added(bounded.measures):
        column = bounded.columns[int(ref.column.removeprefix("c"))]
        yield ref, ColumnType.INTEGER if isinstance(column, Steps) else _type(column, bounded.body, types)


def _added(measures: tuple[Measure, ...]) -> Iterator[Ref]:
    return (one.of for one in measures if isinstance(one.of, Ref) and one.function in {Aggregate.SUM, Aggregate.AVG})


def _type(column: Scalar, body: Body, types: Types) -> ColumnType:
    """The type of a column of a body, or of a bucket of one; decimals of a union have been made doubles."""
    if isinstance(column, Bucket):
        return ColumnType.DOUBLE if column.kind is BucketKind.NUMBER_STEP else ColumnType.INTEGER
    source = body.source_of(column)
    match source:
        case Table(product=product):
            return types[product, column.column]
        case Derived(rows=rows):
            return _type(below(column, rows), rows.body, types)
        case Union(types=kinds):
            kind = kinds[int(column.column.removeprefix("c"))]
            return ColumnType.DOUBLE if kind is ColumnType.DECIMAL else kind
        case _:
            assert_never(source)
