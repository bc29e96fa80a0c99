"""The engine for scale: the question in Spark's own SQL, over Parquet files in the job's folder, in an application of its own.

As DuckDB's, it is built as if nothing had been vetted: the session knows the question's tables and the few functions that questions are
written with, runs one SELECT and no file by its name, and nothing of Spark's words leaves it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.engines.declared import declared
from chengshu.cleanroom.engines.dialects.spark import relation_name
from chengshu.cleanroom.engines.ends import Ended, deadline, failed, too_large
from chengshu.cleanroom.engines.engine import MOST_ROWS, EngineName, Spill, Stopped, never
from chengshu.cleanroom.engines.spark.application import Cluster, application, asked, kill, locked
from chengshu.cleanroom.engines.spark.handing_over import Files, as_duckdb_has_it, written
from chengshu.cleanroom.engines.spark.sizes import bytes_in, bytes_of
from chengshu.cleanroom.engines.spark.writing import spark_sql
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.kernel.errors import ChengshuError

_PATIENCE_S = 10.0
"""How long Spark is asked to end before its Java process is ended."""


class SparkEngine:
    """Runs vetted questions one at a time, each in a Spark application that lives for the call.

    ``timeout_s`` are seconds from the call to the last row, the waiting for another question's end included. ``writers`` is how many
    files a table is written into at once.
    """

    name: EngineName = "spark"

    def __init__(self, cluster: Cluster, timeout_s: float, *, writers: int = 2) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._writers = writers

    def run(self, query: VettedQuery, tables: Mapping[str, pa.Table], *, spill: Spill | None = None, stopped: Stopped = never) -> pa.Table:
        """Compute as :class:`chengshu.cleanroom.engines.engine.Engine` promises.

        The question's tables are written to ``spill`` beyond its limit, which holds for what Spark writes on this machine; without one they
        are written to a folder of the call's own. Raises Invalid ``cleanroom.spark-absent`` too.
        """
        known = {one.product: declared(one, tables) for one in query.inputs}
        trouble: ChengshuError | None = None
        ended = Ended()
        result: pa.Table | None = None
        with _folder(spill) as folder:
            run = _Run(folder, None if spill is None else bytes_of(spill.limit))
            try:
                with deadline(run.interrupt, self._timeout_s, lambda: run.fills_up() or stopped(), ended):
                    result = self._result(query, known, run, ended)
            except ChengshuError as error:
                trouble = error
            except Exception:  # noqa: BLE001  # whatever pyspark, its lines to Java or Arrow raise: their words can carry a row's value
                trouble = failed() if run.is_full else ended.trouble(self._timeout_s)
        # raised here and not in the except clause: there the engine's own error would hang on ours as its context
        if trouble is not None:
            raise trouble
        if result is None:
            raise too_large()
        return result

    def _result(self, query: VettedQuery, tables: Mapping[str, pa.Table], run: "_Run", ended: Ended) -> pa.Table | None:
        files = {one.product: written(one, tables[one.product], into=run.folder, parts=self._writers) for one in query.inputs}
        with application(self._cluster, scratch=run.scratch, is_over=ended.is_so) as session:
            run.context = session.sparkContext
            try:
                result = asked(viewed(session, files), spark_sql(query)).limit(MOST_ROWS + 1).toArrow()
                if run.fills_up():  # between two looks
                    raise OSError
            finally:
                run.context = None
        return None if result.num_rows > MOST_ROWS else as_duckdb_has_it(result, query, tables)


def viewed(session: Any, files: Mapping[str, Files]) -> Any:
    """Return a session with a temporary view of each product's Parquet files, locked: from here on it can do what a question needs."""
    for product, one in files.items():
        session.read.schema(one.columns).parquet(str(one.folder)).createOrReplaceTempView(f"`{relation_name(product)}`")
    return locked(session)


@dataclass(slots=True)
class _Run:
    """One question at work: its folder, what Spark may write there (None: what it likes), and Spark's context while there is one."""

    folder: Path
    most: int | None
    is_full: bool = False
    context: Any = None
    interrupted_at: float | None = None

    @property
    def scratch(self) -> Path:
        """Where Spark writes."""
        return self.folder / "scratch"

    def fills_up(self) -> bool:
        """Say whether Spark has written more than it may."""
        self.is_full = self.is_full or (self.most is not None and bytes_in(self.scratch) > self.most)
        return self.is_full

    def interrupt(self) -> None:
        """Have Spark end what it computes for this question; its Java process is ended where it does not."""
        context, now = self.context, time.monotonic()
        if context is None:  # it waits for another question's end, or has ended
            return
        self.interrupted_at = self.interrupted_at or now
        if now - self.interrupted_at > _PATIENCE_S:
            kill()
            return
        with suppress(Exception):  # it has ended meanwhile
            context.cancelAllJobs()


@contextmanager
def _folder(spill: Spill | None) -> Iterator[Path]:
    """The folder of Spark's files of one job; its scratch is removed after each question."""
    if spill is None:
        with TemporaryDirectory(prefix="chengshu-spark-") as made:
            yield Path(made)
        return
    folder = spill.folder / "spark"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        rmtree(folder / "scratch", ignore_errors=True)
