"""Trees against the published vectors of Certificate Transparency's reference code, and against the RFC's own recursion."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.evidence.tree import (
    TreeHash,
    consistency_path,
    inclusion_path,
    is_consistent,
    is_included,
    root_of,
)
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL

SHA256, SM3 = TreeHash(INTERNATIONAL.new_hash), TreeHash(NATIONAL.new_hash)
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
H2 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
H34 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H58 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
H5 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
H78 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
H56 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSIONS = [
    (0, 1, []),
    (0, 8, [H2, H34, H58]),
    (5, 8, [H5, H78, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], H34, H5]),
]
CONSISTENCIES = [(1, 1, []), (1, 8, [H2, H34, H58]), (6, 8, [H56, H78, ROOTS[4]]), (2, 5, [H34, H5])]


def nodes_of(leaves: list[bytes], hashing: TreeHash) -> Callable[[int, int], bytes]:
    return lambda height, index: hashing.complete_root(hashing.leaves(leaves[index << height : (index + 1) << height]))


def root_by_the_book(leaves: list[bytes], hashing: TreeHash) -> bytes:
    """MTH of RFC 6962 section 2.1, as written there."""
    if not leaves:
        return hashing.empty
    if len(leaves) == 1:
        return hashing.leaf(leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashing.node(root_by_the_book(leaves[:k], hashing), root_by_the_book(leaves[k:], hashing))


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_reference_code(size: int) -> None:
    assert root_of(size, nodes_of(LEAVES, SHA256), hashing=SHA256).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_the_inclusion_paths_are_those_of_the_reference_code(index: int, size: int, path: list[str]) -> None:
    assert [step.hex() for step in inclusion_path(index, size, nodes=nodes_of(LEAVES, SHA256), hashing=SHA256)] == path


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_the_consistency_paths_are_those_of_the_reference_code(old: int, new: int, path: list[str]) -> None:
    assert [step.hex() for step in consistency_path(old, new, nodes=nodes_of(LEAVES, SHA256), hashing=SHA256)] == path


kinds = st.sampled_from([SHA256, SM3])
trees = st.integers(1, 600).map(lambda size: [size_byte.to_bytes(2, "big") for size_byte in range(size)])


@given(trees, kinds)
def test_the_root_is_the_rfcs_recursion_at_every_size(leaves: list[bytes], hashing: TreeHash) -> None:
    assert root_of(len(leaves), nodes_of(leaves, hashing), hashing=hashing) == root_by_the_book(leaves, hashing)


@given(trees, kinds, st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_for_nothing_else(leaves: list[bytes], hashing: TreeHash, data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, nodes=nodes_of(leaves, hashing), hashing=hashing)
    root, leaf = root_by_the_book(leaves, hashing), hashing.leaf(leaves[index])
    assert is_included(leaf, index=index, size=size, path=path, root=root, hashing=hashing)
    assert not is_included(flipped(leaf), index=index, size=size, path=path, root=root, hashing=hashing)
    assert not is_included(leaf, index=index, size=size, path=path, root=flipped(root), hashing=hashing)
    assert not is_included(leaf, index=index, size=size, path=[*path, leaf], root=root, hashing=hashing)
    assert not is_included(leaf, index=size, size=size, path=path, root=root, hashing=hashing)
    other = data.draw(st.integers(0, size - 1))
    assert is_included(leaf, index=other, size=size, path=path, root=root, hashing=hashing) == (other == index)
    for place in range(len(path)):
        wrong = [*path[:place], flipped(path[place]), *path[place + 1 :]]
        assert not is_included(leaf, index=index, size=size, path=wrong, root=root, hashing=hashing)
        assert not is_included(leaf, index=index, size=size, path=[*path[:place], *path[place + 1 :]], root=root, hashing=hashing)


@given(trees, kinds, st.data())
def test_a_consistency_proof_holds_for_its_sizes_and_for_nothing_else(leaves: list[bytes], hashing: TreeHash, data: st.DataObject) -> None:
    new = len(leaves)
    old = data.draw(st.integers(0, new))
    path = consistency_path(old, new, nodes=nodes_of(leaves, hashing), hashing=hashing)
    old_root, new_root = root_by_the_book(leaves[:old], hashing), root_by_the_book(leaves, hashing)
    assert is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=path, hashing=hashing)
    assert not is_consistent(old=old, old_root=flipped(old_root), new=new, new_root=new_root, path=path, hashing=hashing)
    assert not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=[*path, new_root], hashing=hashing)
    assert not is_consistent(old=new + 1, old_root=old_root, new=new, new_root=new_root, path=path, hashing=hashing)
    if old > 0:
        assert not is_consistent(old=old, old_root=old_root, new=new, new_root=flipped(new_root), path=path, hashing=hashing)
    for place in range(len(path)):
        wrong = [*path[:place], flipped(path[place]), *path[place + 1 :]]
        assert not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=wrong, hashing=hashing)
        assert not is_consistent(
            old=old, old_root=old_root, new=new, new_root=new_root, path=[*path[:place], *path[place + 1 :]], hashing=hashing
        )


@given(trees, kinds, st.data())
def test_rewritten_history_has_no_consistency_proof(leaves: list[bytes], hashing: TreeHash, data: st.DataObject) -> None:
    new = len(leaves)
    old = data.draw(st.integers(1, new))
    rewritten = [*leaves]
    rewritten[data.draw(st.integers(0, old - 1))] = b"another act"
    path = consistency_path(old, new, nodes=nodes_of(rewritten, hashing), hashing=hashing)
    old_root, new_root = root_by_the_book(leaves[:old], hashing), root_by_the_book(rewritten, hashing)
    assert not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=path, hashing=hashing)


def test_places_outside_of_the_tree_have_no_path() -> None:
    with pytest.raises(ValueError, match="expected an index"):
        inclusion_path(8, 8, nodes=nodes_of(LEAVES, SHA256), hashing=SHA256)
    with pytest.raises(ValueError, match="do not shrink"):
        consistency_path(9, 8, nodes=nodes_of(LEAVES, SHA256), hashing=SHA256)
    with pytest.raises(ValueError, match="power of two"):
        SHA256.complete_root([SHA256.empty] * 3)
