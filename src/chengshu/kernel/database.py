"""One embedded database a node: SQLite in WAL mode behind SQLAlchemy Core, one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.kernel.text import Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)
"""Every room's store declares its tables on this one catalogue, so that migrations see them all."""

BUSY_TIMEOUT_S = 20.0


class Database:
    """Transactions on one database; ``write`` takes the write lock at once, so that a decision and its evidence agree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self.engine, "connect", _configure)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one transaction that may change things; commit at the end, roll back when it is left by an exception."""
        with self._translated(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one consistent snapshot for reading."""
        with self._translated(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            reason = str(error.orig)
            raise Unavailable(
                "database.unavailable",
                f"expected to use the database {self.path.name}, got: {reason}",
                hint=Text(
                    "Free disk space, stop whatever holds the database, or run 'chengshu doctor'.",
                    "请释放磁盘空间、停止占用数据库的程序，或运行 chengshu doctor。",
                ),
            ) from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            raise Tampered(
                "database.damaged",
                f"expected the file {self.path.name} to be a sound database, got: {error.orig}",
                hint=Text(
                    "Keep the file as it is, restore the node's folder from a copy, and run 'chengshu doctor'.",
                    "请保留该文件原样，从备份恢复节点目录，并运行 chengshu doctor。",
                ),
            ) from error


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own; write() and read() do
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
