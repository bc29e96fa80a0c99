"""One byte string for one value."""

import pytest

from chengshu.kernel.canonical import canonical, digest
from chengshu.kernel.errors import Invalid


def test_members_are_sorted_and_nothing_is_spaced() -> None:
    assert canonical({"b": 1, "a": ["x", None, True]}) == b'{"a":["x",null,true],"b":1}'


def test_the_digest_of_the_empty_object_is_the_published_one() -> None:
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, {"a": object()}])
def test_what_json_cannot_carry_exactly_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        canonical(value)
    assert caught.value.code == "canonical.not-json"
    assert str(2**60) not in caught.value.message
