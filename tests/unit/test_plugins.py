"""Packs and methods are found by entry point, ours the same way as a stranger's."""

import pytest

from chengshu import plugins
from chengshu.kernel.errors import NotFound
from chengshu.methods.sealed import SealedMethod


def test_every_installed_method_says_what_it_reads_and_what_it_may_let_out() -> None:
    for name in plugins.method_names():
        method = plugins.method(name)
        assert isinstance(method, SealedMethod)
        assert method.required.isdisjoint(method.optional)
        assert all(output.columns.get("n") == "integer" for output in method.outputs.values())
        assert callable(method.load())


def test_the_pilots_pack_is_found() -> None:
    assert [root for root in plugins.pack_roots() if (root / "transport" / "av_pilot" / "pack.toml").is_file()]


@pytest.mark.parametrize("look_up", [plugins.method, plugins.source])
def test_an_unknown_name_is_told_with_the_names_there_are(look_up: object) -> None:
    assert callable(look_up)
    with pytest.raises(NotFound, match=r"av_pilot\."):
        look_up("av_pilot.fortune_telling")
