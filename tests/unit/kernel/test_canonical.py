"""One byte string for one value."""

import pytest

from chengshu.kernel.canonical import Digests, RunningDigest, canonical, plain
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
