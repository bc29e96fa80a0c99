"""A transaction is whole or not at all."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, select

from chengshu.kernel.database import Database
from chengshu.kernel.databases.sqlite import SQLite
from chengshu.kernel.errors import Tampered, Unavailable
from databases import database_at

catalogue = MetaData()
things = Table("things", catalogue, Column("n", Integer, primary_key=True))


def _count(database: Database) -> int:
    with database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(things)).scalar_one())


def test_leaving_by_an_exception_undoes_everything(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    catalogue.create_all(database.engine)
    with pytest.raises(KeyError), database.write() as tx:
        tx.execute(things.insert().values(n=1))
        raise KeyError("leaving")
    assert _count(database) == 0
    with database.write() as tx:
        tx.execute(things.insert().values(n=1))
    assert _count(database) == 1


def test_a_snapshot_does_not_see_what_is_written_after_it_began(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    catalogue.create_all(database.engine)
    with database.read() as before:
        assert before.execute(select(func.count()).select_from(things)).scalar_one() == 0
        with database.write() as tx:
            tx.execute(things.insert().values(n=1))
        assert before.execute(select(func.count()).select_from(things)).scalar_one() == 0
    assert _count(database) == 1


@pytest.mark.on_sqlite("SQLite can be told how large its disk is")
def test_a_full_disk_is_unavailable_and_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    catalogue.create_all(database.engine)
    with pytest.raises(Unavailable) as caught, database.write() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite's own way of saying that the disk holds no more
        for start in range(0, 100_000, 500):
            tx.execute(things.insert(), [{"n": n} for n in range(start, start + 500)])
    assert caught.value.code == "database.unavailable"
    assert "disk" in caught.value.hint.en
    assert _count(database) == 0


def test_a_file_that_is_no_database_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"not a database, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(Tampered) as caught, Database(SQLite(path)).read():
        pass
    assert caught.value.code == "database.damaged"
