"""What is made ready ahead comes in its order, bounded in number, with its errors, and leaves no thread behind."""

import threading
from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.transfer.streams.ahead import Ahead


class Source:
    """Values from 0 on, and what became of them."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.made = 0
        self.is_closed = False
        self.thread: threading.Thread | None = None
        self.reached = threading.Semaphore(0)
        self._count = count
        self._error = error

    def values(self) -> Generator[int]:
        self.thread = threading.current_thread()
        try:
            for value in range(self._count):
                self.made += 1
                self.reached.release()
                yield value
            if self._error is not None:
                raise self._error
        finally:
            self.is_closed = True


def _is_over(source: Source) -> bool:
    assert source.thread is not None
    source.thread.join(timeout=10)
    return source.is_closed and not source.thread.is_alive()


@settings(deadline=None, max_examples=30)
@given(count=st.integers(0, 40), most=st.integers(1, 5))
def test_values_come_whole_and_in_order_from_another_thread(count: int, most: int) -> None:
    source = Source(count)
    ahead = Ahead(source.values(), most=most)
    assert list(ahead) == list(range(count))
    assert source.thread is not threading.current_thread()
    assert _is_over(source)
    assert next(ahead, None) is None


def test_no_more_is_made_than_may_wait_and_one_besides() -> None:
    source = Source(100)
    ahead = Ahead(source.values(), most=3)
    assert next(ahead) == 0
    for _ in range(5):  # the one that was taken, three that wait, and the one that has no place yet
        assert source.reached.acquire(timeout=10)
    assert not source.reached.acquire(timeout=0.2)
    assert source.made == 5
    ahead.close()
    assert _is_over(source)


def test_nothing_is_made_before_it_is_asked_for() -> None:
    source = Source(3)
    ahead = Ahead(source.values(), most=2)
    ahead.close()
    ahead.close()
    assert (source.made, next(ahead, None)) == (0, None)


def test_an_error_comes_after_what_was_made_before_it_and_once() -> None:
    source = Source(2, error=ValueError("no more"))
    ahead = Ahead(source.values(), most=1)
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        next(ahead)
    assert _is_over(source)
    assert next(ahead, None) is None


def test_who_leaves_ends_the_thread_and_closes_the_source_also_where_one_stage_reads_another() -> None:
    source = Source(100)
    first = Ahead(source.values(), most=1)

    def second() -> Generator[int]:
        try:
            yield from first
        finally:
            first.close()

    ahead = Ahead(second(), most=1)
    assert next(ahead) == 0
    ahead.close()
    assert _is_over(source)
    assert next(ahead, None) is None
    ahead.close()
