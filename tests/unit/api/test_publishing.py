"""When a serving node publishes its log."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chengshu.api.work import CALM_S, SOON_S, TROUBLED_S, Publisher
from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import ChengshuError, NotFound
from databases import database_at


class Desk:
    """A log, somebody else who appends to it by a connection of their own, and the publisher that stands by."""

    def __init__(self, root: Path) -> None:
        self.root = root
        signer = MemorySigner.generate()
        self.ours, self.theirs = (
            Evidence(database_at(root / "node.db"), signer, "node.example/log", root / "log", lambda: datetime(2026, 3, 1, tzinfo=UTC))
            for _ in range(2)
        )
        self.database = database_at(root / "node.db")
        metadata.create_all(self.database.engine)
        self.told: list[ChengshuError] = []
        self.stopping = threading.Event()
        self.publisher = Publisher(self.ours, stopping=self.stopping, trouble=self.told.append)

    def append(self) -> None:
        with self.database.write() as tx:
            self.theirs.append(tx, "token.issued", "t", {})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_another_process_appended_is_published_at_the_next_look_and_the_look_after_it_comes_soon(desk: Desk) -> None:
    assert SOON_S <= desk.publisher.step(CALM_S) <= CALM_S
    desk.append()
    assert SOON_S <= desk.publisher.step(CALM_S) <= CALM_S
    assert desk.ours.checkpoint().size == 1


def test_a_log_that_does_not_grow_is_looked_at_less_and_less_but_within_a_second_and_never_published(desk: Desk) -> None:
    desk.publisher.step(SOON_S)
    before = (desk.root / "log/checkpoint").stat().st_mtime_ns
    waits = [SOON_S]
    for _ in range(6):
        waits.append(desk.publisher.step(waits[-1]))
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4, 0.4]
    assert waits[-1] == CALM_S
    assert (desk.root / "log/checkpoint").stat().st_mtime_ns == before


def test_an_error_is_told_and_the_log_is_published_once_it_is_mended(desk: Desk) -> None:
    desk.append()
    desk.publisher.step(SOON_S)
    checkpoint = desk.root / "log/checkpoint"
    good = checkpoint.read_bytes()
    checkpoint.write_bytes(b"torn")
    desk.append()
    assert desk.publisher.step(SOON_S) == TROUBLED_S
    assert [error.kind for error in desk.told] == ["Tampered"]
    checkpoint.write_bytes(good)
    assert SOON_S <= desk.publisher.step(TROUBLED_S) <= CALM_S
    assert desk.ours.checkpoint().size == 2


def test_it_runs_until_it_is_told_to_stop(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.ours.checkpoint()
    thread = threading.Thread(target=desk.publisher.run)
    thread.start()
    desk.append()
    while not (desk.root / "log/checkpoint").exists() or desk.ours.checkpoint().size == 0:
        assert thread.is_alive()
    desk.stopping.set()
    thread.join()
    assert desk.told == []
