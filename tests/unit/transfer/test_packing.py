"""What goes over a slow line is packed, and unpacked within a limit; a line is slow until it has shown otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.transfer.sealed.packing import LOOK_BYTES, Pace, packed, unpacked


@given(st.binary(max_size=200), st.integers(1, 50))
def test_a_piece_comes_out_as_it_went_in(piece: bytes, times: int) -> None:
    body = packed(piece * times)
    assert body is None or (len(body) < len(piece) * times and unpacked(memoryview(body), longest=1 << 20) == piece * times)


def test_what_repeats_is_packed_and_what_does_not_is_left_as_it_is() -> None:
    assert packed(b"row" * 1000) is not None
    assert packed(b"row") is None


def test_a_piece_longer_than_the_limit_is_not_unpacked() -> None:
    body = packed(b"row" * 1000)
    assert body is not None
    with pytest.raises(Invalid) as caught:
        unpacked(memoryview(body), longest=2999)
    assert caught.value.code == "transfer.too-large"


@pytest.mark.parametrize("body", [b"", b"\0" * 7, b"\0" * 7 + b"\x05hello"])
def test_what_was_not_packed_is_not_unpacked(body: bytes) -> None:
    with pytest.raises((ValueError, OSError)):
        unpacked(memoryview(body), longest=1 << 20)


def test_a_line_is_fast_once_it_has_taken_enough_and_faster_than_it_could_be_packed() -> None:
    pace = Pace()
    pace.packed(LOOK_BYTES, seconds=1.0)
    pace.took(LOOK_BYTES - 1, seconds=0.0)
    assert not pace.is_fast
    pace.took(1, seconds=0.9)
    assert pace.is_fast
    pace.took(LOOK_BYTES, seconds=1.1)
    assert not pace.is_fast
