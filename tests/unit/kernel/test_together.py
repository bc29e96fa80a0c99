"""What is to be remembered of a request is written with the act that the request asks for, and never lost."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, select

from chengshu.kernel.database import Database
from databases import database_at

notes = Table("notes", MetaData(), Column("seq", Integer, primary_key=True), Column("text", String(64)))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = database_at(tmp_path / "node.db")
    notes.create(made.engine)
    return made


def note(tx: Connection, text: str) -> None:
    tx.execute(notes.insert().values(text=text))


def seen(database: Database) -> list[str]:
    with database.read() as tx:
        return [str(text) for text in tx.execute(select(notes.c.text).order_by(notes.c.seq)).scalars()]


def test_the_first_act_takes_it_along_before_anything_else(database: Database) -> None:
    with database.together():
        database.first(lambda tx: note(tx, "token"))
        assert seen(database) == []
        with database.write() as tx:
            note(tx, "act")
        with database.write() as tx:
            note(tx, "another act")
    assert seen(database) == ["token", "act", "another act"]


def test_what_no_act_took_along_is_written_at_the_end(database: Database) -> None:
    with database.together():
        database.first(lambda tx: note(tx, "token"))
    assert seen(database) == ["token"]


def test_an_act_that_is_undone_does_not_undo_it_for_good(database: Database) -> None:
    with pytest.raises(KeyError), database.together():
        database.first(lambda tx: note(tx, "token"))
        with database.write() as tx:
            note(tx, "act")
            raise KeyError("leaving")
    assert seen(database) == ["token"]


def test_what_it_refuses_leaves_nothing_of_the_act(database: Database) -> None:
    def refuse(_tx: Connection) -> None:
        raise KeyError("used before")

    with pytest.raises(KeyError, match="used before"), database.together():
        database.first(refuse)
        with database.write() as tx:
            note(tx, "act")
    assert seen(database) == []


def test_it_refuses_also_where_nothing_else_is_written(database: Database) -> None:
    def refuse(_tx: Connection) -> None:
        raise KeyError("used before")

    with pytest.raises(KeyError, match="used before"), database.together():
        database.first(refuse)
    with database.write() as tx:
        note(tx, "later")
    assert seen(database) == ["later"]


def test_outside_of_such_a_block_it_is_done_at_once(database: Database) -> None:
    database.first(lambda tx: note(tx, "token"))
    assert seen(database) == ["token"]
