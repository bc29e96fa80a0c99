"""SQLite's reading connections are kept, and none of them is used on, or closed over, a file that took the place of its own."""

import shutil
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, event, insert, select

from chengshu.kernel.database import Database
from chengshu.kernel.databases.sqlite import SQLite

numbers = Table("numbers_of_a_test", MetaData(), Column("number", Integer, primary_key=True))


def holding(path: Path, number: int) -> Database:
    database = Database(SQLite(path))
    with database.write() as tx:
        numbers.create(tx)
        tx.execute(insert(numbers).values(number=number))
    return database


def read(database: Database) -> list[int]:
    with database.read() as tx:
        return list(tx.execute(select(numbers.c.number)).scalars())


def test_one_reader_after_another_uses_one_connection(tmp_path: Path) -> None:
    database = holding(tmp_path / "node.db", 1)
    opened = []
    event.listen(database.engine, "connect", lambda connection, _record: opened.append(connection))
    assert [read(database) for _ in range(5)] == [[1]] * 5
    assert len(opened) == 1
    database.close()
    assert read(database) == [1]
    assert len(opened) == 2


def test_every_read_sees_what_was_written_before_it(tmp_path: Path) -> None:
    database = holding(tmp_path / "node.db", 1)
    for number in range(2, 6):
        with database.write() as tx:
            tx.execute(insert(numbers).values(number=number))
        assert read(database)[-1] == number


def test_a_file_in_the_place_of_another_is_read_and_not_harmed(tmp_path: Path) -> None:
    database = holding(tmp_path / "node.db", 1)
    assert read(database) == [1]
    other = holding(tmp_path / "other.db", 2)
    other.close()
    for name in ("node.db", "node.db-wal", "node.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "other.db", tmp_path / "node.db")
    successor = Database(SQLite(tmp_path / "node.db"))
    with successor.write() as tx:
        tx.execute(insert(numbers).values(number=3))
    assert read(database) == [2, 3]
    database.close()
    assert read(successor) == [2, 3]
