"""What comes encrypted to one job's key: whole however it is cut and however often it breaks off, or not at all."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.catalog.ports import Rows
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import system_clock
from chengshu.kernel.crypto import INTERNATIONAL, SUITES, Suite
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, Tampered, Unavailable
from chengshu.transfer.model import Grant, GrantState, Position, StopReason
from chengshu.transfer.sealed.arrival import Arrival
from chengshu.transfer.sealed.frames import HEAD, Binding, Form, Kind, framed
from chengshu.transfer.sealed.outgoing import SealedSending
from chengshu.transfer.sending import Delivery, Sending
from chengshu.transfer.streams.arrow import BATCH_ROWS
from chengshu.transfer.streams.encodings import ARROW, PLAIN_ARROW

TOKEN = "token"
CANARY = "canary-7331"


class Book:
    """How sendings ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, Delivery]] = []

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        del grant
        self.ends.append(("completed", delivery))

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        del grant, sent_bytes
        self.ends.append((reason.value, delivery))


@dataclass(frozen=True)
class Way:
    """How a product goes: in which form, and over a line of which pace."""

    form: Form
    is_fast: bool


WAYS = {"as of before": Way(Form.COMPRESSED, False), "packed": Way(Form.PLAIN, False), "plain": Way(Form.PLAIN, True)}
PACKED = WAYS["packed"]


def _sealed(
    table: pa.Table,
    public: bytes,
    *,
    book: Book | None = None,
    after: Position | None = None,
    suite: Suite = INTERNATIONAL,
    way: Way = PACKED,
) -> list[bytes]:
    grant = Grant("g", "p", "a", "j", "room", GrantState.STARTED, system_clock())
    encoding = PLAIN_ARROW if way.form is Form.PLAIN else ARROW
    sending = Sending(book or Book(), grant, Rows.of(table), digests=Digests(suite), encoding=encoding)
    if after is not None:
        sending.skip(after)
    sealed = SealedSending(sending, suite=suite, public=public, binding=_binding(suite), form=way.form)
    sealed.pace.is_fast = way.is_fast
    return [bytes(frame) for frame in sealed]


def _binding(suite: Suite = INTERNATIONAL) -> Binding:
    return Binding("j", "p", Digests(suite).of_bytes(TOKEN.encode()))


class Came:
    """A line over which these bytes come."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._rest = memoryview(b"".join(chunks))

    def readinto(self, into: memoryview) -> int:
        come = self._rest[: len(into)]
        into[: len(come)] = come
        self._rest = self._rest[len(come) :]
        return len(come)


@contextmanager
def _arriving(*, suite: Suite = INTERNATIONAL, limit: int = 1 << 30) -> Iterator[Arrival]:
    with TemporaryDirectory() as folder:
        arrival = Arrival(Path(folder), key=ExchangeKey(suite), digests=Digests(suite), limit_bytes=limit)
        try:
            yield arrival
            assert list(Path(folder).iterdir()) == [], "expected a file without a name"
        finally:
            arrival.close()


def _take(
    arrival: Arrival, frames: list[bytes], *, job: str = "j", product: str = "p", token: str = TOKEN, form: Form = Form.PLAIN
) -> None:
    assert form.value in arrival.media_types
    arrival.take(Came(frames), media_type=form.value, job=job, product=product, token=token)


def _table(arrival: Arrival) -> pa.Table:
    return pa.ipc.open_file(arrival.path.read_bytes()).read_all()


def _sample(rows: int = 3 * BATCH_ROWS + 5) -> pa.Table:
    return pa.table({"n": pa.array(range(rows), pa.int64()), "text": pa.array([CANARY] * rows, pa.string())})


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES.keys())
@pytest.mark.parametrize("rows", [0, 1, 3 * BATCH_ROWS + 5])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_product_arrives_whole_under_either_profile_and_nothing_of_it_is_readable_on_the_way(suite: Suite, rows: int, way: Way) -> None:
    table, book = _sample(rows), Book()
    with _arriving(suite=suite) as arrival:
        frames = _sealed(table, arrival.public, suite=suite, book=book, way=way)
        _take(arrival, frames, form=way.form)
        assert _table(arrival).equals(table)
        assert not any(CANARY.encode() in frame for frame in frames)
        ((end, delivery),) = book.ends
        assert (end, delivery.rows, delivery.digest) == ("completed", rows, arrival.digest)


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.tuples(st.integers(0, 900_000), st.booleans()), max_size=8), form=st.sampled_from(Form))
def test_a_product_that_breaks_off_at_any_bytes_goes_on_where_it_was_and_is_the_same(cuts: list[tuple[int, bool]], form: Form) -> None:
    """Whether a line is slow is another matter on each connection; it changes nothing."""
    table = pa.table({"n": range(4 * BATCH_ROWS)})
    with _arriving() as arrival:
        for size, is_fast in [*cuts, (1 << 30, True)]:
            after = Position(arrival.pieces, arrival.digest) if arrival.pieces else None
            sent = b"".join(_sealed(table, arrival.public, after=after, way=Way(form, is_fast)))
            with suppress(Unavailable):
                _take(arrival, [sent[:size]], form=form)
            if arrival.is_whole:
                break
        assert _table(arrival).equals(table)


def test_a_product_that_began_to_come_from_a_node_of_before_goes_on_in_its_form_alone() -> None:
    table, old = _sample(), WAYS["as of before"]
    with _arriving() as arrival:
        assert (arrival.asking()["pieces"], len(arrival.media_types)) == ("plain", 2)
        with pytest.raises(Unavailable):
            _take(arrival, _sealed(table, arrival.public, way=old)[:3], form=Form.COMPRESSED)
        asking = arrival.asking()
        assert ("pieces" in asking, asking["after"], arrival.media_types) == (
            False,
            {"pieces": 2, "digest": arrival.digest},
            [Form.COMPRESSED.value],
        )
        _take(arrival, _sealed(table, arrival.public, way=old, after=Position(2, arrival.digest)), form=Form.COMPRESSED)
        assert _table(arrival).equals(table)


def test_how_a_piece_went_over_the_line_shows_neither_in_its_digest_nor_in_what_is_metered() -> None:
    ends = []
    for is_fast in (True, False):
        book = Book()
        _sealed(_sample(), ExchangeKey(INTERNATIONAL).public, book=book, way=Way(Form.PLAIN, is_fast))
        ends += book.ends
    assert ends[0] == ends[1]


def test_a_slow_line_carries_less() -> None:
    packed, plain = (sum(map(len, _sealed(_sample(), ExchangeKey(INTERNATIONAL).public, way=WAYS[way]))) for way in ("packed", "plain"))
    assert packed < plain / 2


def test_what_has_come_is_not_sent_again() -> None:
    table = _sample()
    with _arriving() as arrival:
        whole = _sealed(table, arrival.public)
        with pytest.raises(Unavailable):
            _take(arrival, whole[:3])
        book = Book()
        rest = _sealed(table, arrival.public, after=Position(arrival.pieces, arrival.digest), book=book)
        assert (arrival.pieces, len(rest)) == (2, len(whole) - 2)
        _take(arrival, rest)
        assert _table(arrival).equals(table)
        ((_, delivery),) = book.ends
        assert (delivery.rows, delivery.digest) == (table.num_rows, arrival.digest)


@pytest.mark.parametrize("other", [lambda table: table.slice(1), lambda table: table.slice(0, 5)], ids=["other rows", "fewer rows"])
def test_a_holder_whose_rows_are_others_meanwhile_is_found_out(other: Callable[[pa.Table], pa.Table]) -> None:
    table = _sample()
    with _arriving() as arrival:
        with pytest.raises(Unavailable):
            _take(arrival, _sealed(table, arrival.public)[:3])
        after = Position(arrival.pieces, arrival.digest)
        with pytest.raises(Conflict) as caught:
            _sealed(other(table), arrival.public, after=after)
        assert caught.value.code == "transfer.other-rows"
        with pytest.raises(Tampered):  # and one that lies about what came before
            _take(arrival, _sealed(other(table), arrival.public))


def _swap(frames: list[bytes]) -> list[bytes]:
    return [frames[0], frames[2], frames[1], *frames[3:]]


def _flip(frames: list[bytes]) -> list[bytes]:
    changed = bytearray(frames[1])
    changed[HEAD.size + 40] ^= 1
    return [frames[0], bytes(changed), *frames[2:]]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "two pieces in each other's place": _swap,
    "a piece left out": lambda frames: [frames[0], *frames[2:]],
    "a piece twice": lambda frames: [frames[0], frames[1], *frames[1:]],
    "a bit flipped": _flip,
    "the end before the rest": lambda frames: [frames[0], frames[1], frames[-1]],
    "a piece called the end": lambda frames: [frames[0], framed(Kind.END, frames[1][HEAD.size :][:900])],
    "a packed piece called a plain one": lambda frames: [frames[0], framed(Kind.PIECE, frames[1][HEAD.size :])],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whoever_carries_the_frames_cannot_change_them(change: Callable[[list[bytes]], list[bytes]]) -> None:
    with _arriving() as arrival:
        frames = _sealed(_sample(), arrival.public)
        with pytest.raises(Tampered) as caught:
            _take(arrival, change(frames))
        assert caught.value.code == "transfer.sealed-stream"
        assert not arrival.is_whole


@pytest.mark.parametrize("about", [{"job": "another"}, {"product": "another"}, {"token": "another"}], ids=["job", "product", "grant"])
def test_frames_for_another_job_product_or_grant_do_not_open(about: dict[str, str]) -> None:
    with _arriving() as arrival, pytest.raises(Tampered):
        _take(arrival, (_sealed(_sample(5), arrival.public)), **about)


def test_frames_encrypted_to_another_key_do_not_open() -> None:
    with _arriving() as arrival, pytest.raises(Tampered):
        _take(arrival, (_sealed(_sample(5), ExchangeKey(INTERNATIONAL).public)))


def test_a_key_that_was_dropped_opens_nothing_any_more() -> None:
    key = ExchangeKey(INTERNATIONAL)
    wrapped = INTERNATIONAL.wrap(key.public, INTERNATIONAL.new_data_key(), context=b"")
    assert len(key.unwrap(wrapped, context=b"")) == 32
    key.drop()
    key.drop()
    with pytest.raises(Conflict) as caught:
        key.unwrap(wrapped, context=b"")
    assert (caught.value.code, key.is_dropped) == ("crypto.key-dropped", True)


def test_a_product_above_the_limit_is_cut_off() -> None:
    with _arriving(limit=1000) as arrival, pytest.raises(Invalid) as caught:
        _take(arrival, (_sealed(pa.table({"n": range(100_000)}), arrival.public)))
    assert caught.value.code == "transfer.too-large"


@pytest.mark.parametrize(
    "piece", [b"", b"<html>" * 9, b"\xff" * 64, struct.pack(">Q", 1) + b"html"], ids=["none", "text", "marks", "packed"]
)
@pytest.mark.parametrize("kind", [Kind.PIECE, Kind.PACKED])
def test_a_holder_that_seals_something_else_than_a_table_is_told_without_a_word_of_it(piece: bytes, kind: Kind) -> None:
    binding, data_key = _binding(), INTERNATIONAL.new_data_key()
    with _arriving() as arrival:
        key = INTERNATIONAL.wrap(arrival.public, data_key, context=binding.context(Kind.KEY, place=0))
        body = INTERNATIONAL.seal(data_key, piece, context=binding.context(kind, place=0))
        with pytest.raises(ChengshuError) as caught:
            _take(arrival, [framed(Kind.KEY, key), framed(kind, body)])
        assert caught.value.code in {"transfer.no-table", "transfer.broken-stream", "transfer.too-large"}
        assert "html" not in str(caught.value)


def test_a_piece_that_would_unpack_to_more_than_the_limit_is_not_unpacked() -> None:
    with _arriving(limit=100_000) as arrival:
        frames = _sealed(pa.table({"text": ["x" * 1_000_000]}), arrival.public)
        assert len(frames[1]) < 100_000
        with pytest.raises(Invalid) as caught:
            _take(arrival, frames)
        assert caught.value.code == "transfer.too-large"


@pytest.mark.parametrize(
    "frames", [[], [b"<html>"], [b"\x01\xff\xff\xff\xff"], [framed(Kind.PIECE, b"x" * 40)]], ids=["none", "text", "long", "no key"]
)
def test_bytes_that_are_no_frames_are_told(frames: list[bytes]) -> None:
    with _arriving() as arrival, pytest.raises(ChengshuError):
        _take(arrival, frames)
