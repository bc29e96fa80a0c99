"""A published log held against the database that it was published from."""

from typing import Any

import pytest
from sqlalchemy import delete, update

from chengshu.evidence import store
from chengshu.kernel.errors import NotFound, Tampered

ROWS = store.evidence_entries


def _files(log: Any) -> dict[str, bytes]:
    return {str(path.relative_to(log.folder)): path.read_bytes() for path in log.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("published", [1, 5, 256, 300, 512])
def test_an_untouched_database_is_equal_to_what_was_published_and_nothing_is_written(log: Any, published: int) -> None:
    log.fill(published)
    log.evidence.publish()
    log.fill(3)
    before = _files(log)
    assert log.evidence.compare().size == published
    assert _files(log) == before


@pytest.mark.parametrize("index", [0, 7, 255, 256, 299])
def test_one_bit_of_one_published_entry_in_the_database_is_found_though_nothing_is_new(log: Any, index: int) -> None:
    log.fill(300)
    log.evidence.publish()
    with log.database.write() as tx:
        [(_, data)] = store.find(tx, start=index, stop=index + 1)
        flipped = bytes([data[0] ^ 1, *data[1:]])
        tx.execute(update(ROWS).where(ROWS.c.index == index).values(data=flipped))
    with pytest.raises(Tampered) as caught:
        log.evidence.compare()
    assert (caught.value.code, caught.value.facts) == ("evidence.database-rewritten", {"index": index})


@pytest.mark.parametrize("index", [0, 7, 255, 256, 299])
def test_a_published_entry_that_is_gone_from_the_database_is_found(log: Any, index: int) -> None:
    log.fill(300)
    log.evidence.publish()
    with log.database.write() as tx:
        tx.execute(delete(ROWS).where(ROWS.c.index == index))
    with pytest.raises(Tampered) as caught:
        log.evidence.compare()
    assert (caught.value.code, caught.value.facts) == ("evidence.database-rewritten", {"index": index})


@pytest.mark.parametrize("gone", [254, 255, 256, 400])
def test_a_row_that_is_gone_before_it_was_published_stops_the_publication(log: Any, gone: int) -> None:
    log.fill(200)
    log.evidence.publish()
    log.fill(300)
    with log.database.write() as tx:
        tx.execute(delete(ROWS).where(ROWS.c.index == gone))
    with pytest.raises(Tampered) as caught:
        log.evidence.publish()
    assert caught.value.facts == {"index": gone}
    assert log.evidence.checkpoint().size == 200


def test_a_log_that_is_not_there_is_not_compared(log: Any) -> None:
    log.fill(3)
    with pytest.raises(NotFound) as caught:
        log.evidence.compare()
    assert caught.value.code == "evidence.not-published"
    assert not log.folder.exists()
