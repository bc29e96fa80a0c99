"""One Java process of this one, and in it one Spark application for each question, with nothing in it but the question's tables.

An application lives as long as its question: what it keeps on disk is in the question's folder and goes with it. The Java process stays,
because to start it takes seconds, to start an application in it a tenth of one. pyspark allows one application in a process at a time,
so questions wait for one another.
"""

import atexit
import logging
import os
import re
import shutil
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.cleanroom.engines.dialects.spark import FUNCTIONS, is_ours
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

LEAST_JAVA = 17
"""Spark 4 needs it: https://spark.apache.org/docs/latest/#downloading"""
_WAIT_S = 0.2
_EACH = threading.Lock()
"""Held by the one question that has an application."""


@dataclass(slots=True)
class _Java:
    """The Java process there is, none at first, and the words that it was started with."""

    gateway: Any = None
    words: tuple[str, ...] = ()


_JAVA = _Java()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Spark computes: ``local[2]`` for two threads of this process's Java, ``spark://host:7077`` for a stand-alone cluster.

    ``memory_mib`` is what the Java process may have for its data, and each of a cluster's executors; ``java`` are further options of it.
    """

    master: str
    memory_mib: int
    java: str = ""

    @property
    def is_local(self) -> bool:
        """Whether nothing runs outside of this machine."""
        return self.master.startswith("local")


@contextmanager
def application(cluster: Cluster, *, scratch: Path, is_over: Callable[[], bool]) -> Iterator[Any]:
    """Start a Spark session with its temporary files in ``scratch``, for the block; wait for another's end unless it ``is_over``.

    Raises Invalid ``cleanroom.spark-absent``, saying what to install, where Spark or its Java is not there, and TimeoutError when it
    is over before it has begun.
    """
    while not _EACH.acquire(timeout=_WAIT_S):
        if is_over():
            raise TimeoutError
    try:
        session = _session(cluster, scratch)
        try:
            yield session
        finally:
            _end(session)
    finally:
        _EACH.release()


def kill() -> None:
    """End the Java process whatever it does, and the question in it; the next one starts another."""
    if _JAVA.gateway is not None:
        _JAVA.gateway.proc.kill()


def close() -> None:
    """End the Java process unless a question runs in it."""
    if _EACH.acquire(blocking=False):
        try:
            _end_java()
        finally:
            _EACH.release()


atexit.register(close)


def locked(session: Any) -> Any:
    """Take from a session every function that no question of ours is written with, and return it.

    Spark has functions that call Java (``reflect``), read files or make up rows; a session has a registry of its own.
    """
    state, java = session._jsparkSession.sessionState(), session.sparkContext._jvm  # noqa: SLF001  # pyspark has no word for the registry
    registry, some = state.functionRegistry(), java.scala.Option.apply
    names = [java.org.apache.spark.sql.catalyst.FunctionIdentifier(name, some("builtin"), some("system")) for name in FUNCTIONS]
    kept = [(name, registry.lookupFunction(name).get(), registry.lookupFunctionBuilder(name).get()) for name in names]
    registry.clear()
    for name, said, built in kept:
        registry.registerFunction(name, said, built)
    state.tableFunctionRegistry().clear()
    return session


def asked(session: Any, sql: str) -> Any:
    """Return the rows to be of one SELECT in the words of questions; anything else that Spark's SQL can say is not run (ValueError)."""
    if not is_ours(sql):
        raise ValueError("expected a question")
    session._jsparkSession.sessionState().sqlParser().parseQuery(sql)  # noqa: SLF001  # pyspark's sql() would run a command at once
    return session.sql(sql)


def settings(cluster: Cluster, scratch: Path) -> Mapping[str, str]:
    """Return what an application is started with: times in UTC, errors in place of wrong values, no files by SQL, no web pages."""
    told = {
        "spark.app.name": "chengshu",
        "spark.master": cluster.master,
        "spark.driver.memory": f"{cluster.memory_mib}m",
        "spark.driver.maxResultSize": f"{cluster.memory_mib // 2}m",
        "spark.executor.memory": f"{cluster.memory_mib}m",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "none"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.runSQLOnFiles": "false",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.log.level": "OFF",
    }
    if cluster.is_local:
        told |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "8"}
    return told


def _session(cluster: Cluster, scratch: Path) -> Any:
    spark = _pyspark()
    started = (str(cluster.memory_mib), cluster.java)
    if _JAVA.gateway is None or _JAVA.words != started or _JAVA.gateway.proc.poll() is not None:
        _end_java()
        _start_java(cluster, started)
    conf = _conf(settings(cluster, scratch))
    return spark.sql.SparkSession(spark.SparkContext(conf=conf, gateway=_JAVA.gateway))


def _start_java(cluster: Cluster, words: tuple[str, ...]) -> None:
    _check_java()
    memory = {"spark.driver.memory": f"{cluster.memory_mib}m", "spark.driver.extraJavaOptions": cluster.java, "spark.log.level": "OFF"}
    # what Java writes may quote rows: nobody reads it
    _JAVA.gateway = _pyspark().java_gateway.launch_gateway(
        _conf(memory), popen_kwargs={"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    )
    _JAVA.words = words


def _end_java() -> None:
    if _JAVA.gateway is None:
        return
    gateway, _JAVA.gateway = _JAVA.gateway, None
    context = _pyspark().SparkContext
    context._gateway = context._jvm = None  # noqa: SLF001  # pyspark keeps the first for ever
    with suppress(Exception):  # its lines are broken where Java has died
        gateway.shutdown()
    gateway.proc.stdin.close()  # Spark's Java ends with its standard input
    with suppress(subprocess.TimeoutExpired):
        gateway.proc.wait(10)
    gateway.proc.kill()
    gateway.proc.wait()


def _end(session: Any) -> None:
    try:
        session.stop()
    except Exception:  # noqa: BLE001  # Java has died in some way; what pyspark still believes must not keep the next question out
        kill()
        _pyspark().SparkContext._active_spark_context = None  # noqa: SLF001  # see above


def _conf(told: Mapping[str, str]) -> Any:
    found = _pyspark().SparkConf(loadDefaults=False)
    for name, value in told.items():
        found.set(name, value)
    return found


def _pyspark() -> Any:
    # pandas is not used here, and is imported by pyspark where it is there
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
    try:
        import pyspark  # noqa: PLC0415  # an extra, and slow to import
        import pyspark.sql  # noqa: PLC0415  # see above
    except ImportError:
        pyspark = None
    if pyspark is None:
        raise _absent("pyspark, installed by: pip install 'chengshu[spark]'", "no such library")
    logging.getLogger("SQLQueryContextLogger").disabled = True  # it would write Spark's words, which may quote rows, to standard error
    return pyspark


def _check_java() -> None:
    """Raise Invalid, saying what to install, unless there is a Java that Spark runs on, and nothing sends its files elsewhere."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        raise _absent(f"Java {LEAST_JAVA} or later, on PATH or at JAVA_HOME (Debian: apt-get install default-jre-headless)", "none")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603  # the operator's own Java
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < LEAST_JAVA:
        got = "an unknown one" if found is None else f"Java {found[1]}"
        raise _absent(f"Java {LEAST_JAVA} or later (Debian: apt-get install default-jre-headless)", got)
    if "SPARK_LOCAL_DIRS" in os.environ:
        raise _absent("an environment without SPARK_LOCAL_DIRS, so that a job's files stay in its folder", "one with it")


def _absent(expected: str, got: str) -> Invalid:
    return Invalid(
        "cleanroom.spark-absent",
        f"expected {expected}; got {got}",
        hint=Text(
            'Install what is missing, or set cleanroom.engine = "duckdb" in chengshu.toml.',
            '请安装所缺组件，或在 chengshu.toml 中设置 cleanroom.engine = "duckdb"。',
        ),
    )
