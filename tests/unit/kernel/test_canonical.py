"""One byte string for one value."""

from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from chengshu.kernel.canonical import MAX_EXACT_INTEGER, Digests, RunningDigest, _is_plain, canonical, plain
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import Conflict, Invalid


def test_members_are_sorted_and_nothing_is_spaced() -> None:
    assert canonical({"b": 1, "a": ["x", None, True]}) == b'{"a":["x",null,true],"b":1}'


def test_the_digest_of_the_empty_object_is_the_published_one() -> None:
    assert Digests(INTERNATIONAL).of({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_digest_says_its_hash_and_is_the_same_in_pieces() -> None:
    for suite, prefix in ((INTERNATIONAL, "sha256:"), (NATIONAL, "sm3:")):
        digests = Digests(suite)
        running = RunningDigest(digests)
        assert b"".join(running.over([b"a", b"", b"bc"])) == b"abc"
        assert digests.of_bytes(b"abc") == digests.of_pieces([b"ab", b"c"]) == running.digest() == prefix + suite.hash(b"abc").hex()
        assert plain(running.digest()) == suite.hash(b"abc").hex()


def test_digests_of_two_profiles_are_never_called_different_without_saying_so() -> None:
    ours, theirs = Digests(INTERNATIONAL), Digests(NATIONAL)
    assert ours.agree(ours.of(1), ours.of(1))
    assert not ours.agree(ours.of(1), ours.of(2))
    assert not ours.agree(ours.of(1), None)
    with pytest.raises(Conflict, match="expected a digest of the international profile, got one of the national profile") as caught:
        ours.agree(ours.of(1), theirs.of(1))
    assert (caught.value.code, caught.value.facts) == ("crypto.other-profile", {"expected": "international", "got": "national"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, {"a": object()}])
def test_what_json_cannot_carry_exactly_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        canonical(value)
    assert caught.value.code == "canonical.not-json"
    assert str(2**60) not in caught.value.message


ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.text(
    st.sampled_from('a\x00\x1f"\\/\x7f\u2028é中\ud7ff\ud800\udfff\ue000\uffff😀')
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([MAX_EXACT_INTEGER, -MAX_EXACT_INTEGER, MAX_EXACT_INTEGER + 1, -MAX_EXACT_INTEGER - 1])
    | st.floats()
    | ANY_TEXT
    | st.binary(max_size=2)
)
NAMES = ANY_TEXT | st.integers() | st.none()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(ANY_TEXT, inner) | st.dictionaries(NAMES, inner)
)


def of_the_library(value: Any) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


def of_ours(value: Any) -> bytes | None:
    try:
        return canonical(value)
    except Invalid:
        return None


@given(VALUES)
@example({"\ue000": 1, "😀": 2})
@example({"\ud800": 1})
@example(["\udfff"])
@example({1: 2})
@example({"a": True, "b": (1, [None, "\x7f"])})
def test_the_bytes_and_the_refusals_are_those_of_the_library(value: Any) -> None:
    assert of_ours(value) == of_the_library(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(), lambda v: st.dictionaries(st.text("a中é_"), v)
    )
)
def test_what_entries_are_made_of_takes_the_fast_way_and_gives_the_librarys_bytes(value: Any) -> None:
    assert _is_plain(value)
    assert canonical(value) == rfc8785.dumps(value)


def test_names_are_sorted_by_their_utf_16_units() -> None:
    assert canonical({"\ue000": 1, "😀": 2}) == '{"😀":2,"\ue000":1}'.encode()


def test_a_value_nested_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(Invalid):
        canonical(value)
