"""One way to write each value, and nothing else is read; held against an independent codec."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.evidence.packs.cbor import MAX_DEPTH, Tagged, decode, encode
from chengshu.kernel.errors import Invalid

INTEGERS = st.integers(min_value=-(2**64), max_value=2**64 - 1)
LEAVES = st.none() | st.booleans() | INTEGERS | st.binary(max_size=300) | st.text(max_size=300)
KEYS = INTEGERS | st.binary(max_size=30) | st.text(max_size=30)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)

# RFC 8949 appendix A: value and encoding
EXAMPLES: list[tuple[Any, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("ü水", "65c3bce6b0b4"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (Tagged(18, []), "d280"),
]

# what must not be read, and the byte that is named
REFUSED: list[tuple[str, int]] = [
    ("", 0),
    ("1817", 0),  # 23 in two bytes
    ("190018", 0),  # 24 in three bytes
    ("1a00000100", 0),
    ("5818", 2),  # cut short
    ("5f4101ff", 0),  # indefinite byte string
    ("9f01ff", 0),  # indefinite array
    ("bf616101ff", 0),
    ("ff", 0),
    ("f97e00", 0),  # a float
    ("f7", 0),  # undefined
    ("f818", 0),
    ("0000", 1),  # trailing byte
    ("a2616101616102", 4),  # a key twice
    ("a2616201616102", 4),  # keys out of order
    ("a1f501", 1),  # a key that is no integer or string
    ("61ff", 1),  # not UTF-8
    ("9b7fffffffffffffff", 9),  # an array larger than the text
    ("bb7fffffffffffffff", 9),
    ("1c", 0),
    ("81" * (MAX_DEPTH + 1) + "00", MAX_DEPTH + 1),
]


@pytest.mark.parametrize(("value", "written"), EXAMPLES)
def test_the_standards_examples_are_written_and_read(value: Any, written: str) -> None:
    assert encode(value).hex() == written
    assert decode(bytes.fromhex(written)) == value


@pytest.mark.parametrize(("written", "place"), REFUSED)
def test_what_is_not_deterministic_is_refused_and_the_byte_is_named(written: str, place: int) -> None:
    with pytest.raises(Invalid) as caught:
        decode(bytes.fromhex(written))
    assert caught.value.facts == {"offset": place}


def test_sixteen_levels_are_read() -> None:
    assert decode(bytes.fromhex("81" * MAX_DEPTH + "00")) is not None


@pytest.mark.parametrize("value", [1.5, 2**64, -(2**64) - 1, object(), {1.5: 1}])
def test_what_the_codec_does_not_know_is_not_written(value: Any) -> None:
    with pytest.raises(Invalid):
        encode(value)


@given(VALUES)
def test_every_value_is_written_as_the_other_codec_writes_it_and_read_back(value: Any) -> None:
    written = encode(value)
    assert written == cbor2.dumps(value, canonical=True) or _sorts_otherwise(value)
    assert cbor2.loads(written) == cbor2.loads(cbor2.dumps(value))
    assert decode(written) == value


@given(st.binary(max_size=60))
def test_whatever_is_read_is_written_back_byte_for_byte(data: bytes) -> None:
    try:
        value = decode(data)
    except Invalid:
        return
    assert encode(value) == data


def _sorts_otherwise(value: Any) -> bool:
    """The other codec's canonical order is by length first (RFC 7049); the core order of RFC 8949 is bytewise."""
    match value:
        case dict():
            by_bytes = sorted(encode(key) for key in value)
            return by_bytes != sorted(by_bytes, key=lambda key: (len(key), key)) or any(_sorts_otherwise(one) for one in value.values())
        case list():
            return any(_sorts_otherwise(one) for one in value)
        case _:
            return False
