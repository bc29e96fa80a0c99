"""The tlog-tiles grammar: paths, bundles, frontier, nodes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.evidence.tiles import Frontier, Tile, TileName, TileNodes, decode_bundle, encode_bundle, parse_tile_path, tile_at
from chengshu.evidence.tree import TreeHash, root_of
from chengshu.kernel.crypto import INTERNATIONAL

SHA256 = TreeHash(INTERNATIONAL.new_hash)
PATHS = [
    (TileName(0, 0), "tile/0/000"),
    (TileName(0, 273, 112), "tile/0/273.p/112"),
    (TileName(1, 1234067), "tile/1/x001/x234/067"),
    (TileName(None, 1000, 7), "tile/entries/x001/000.p/7"),
    (TileName(63, 999), "tile/63/999"),
]
NOT_PATHS = [
    "tile/0/0",
    "tile/00/000",
    "tile/0/x000/001",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/07",
    "tile/64/000",
    "tile/0/000.p",
    "tile/data/000",
    "tile/0/٠٠٠",
    "checkpoint",
]


@pytest.mark.parametrize(("name", "path"), PATHS)
def test_a_tiles_path_is_written_and_read_as_the_standard_says(name: TileName, path: str) -> None:
    assert name.path == path
    assert parse_tile_path(path) == name


@pytest.mark.parametrize("path", NOT_PATHS)
def test_another_spelling_names_no_tile(path: str) -> None:
    assert parse_tile_path(path) is None


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_standards_example() -> None:
    names = [tile_at(70_000, level=level, index=index) for level, index in [(0, 272), (0, 273), (0, 274), (1, 0), (1, 1), (2, 0), (2, 1)]]
    expected = [TileName(0, 272), TileName(0, 273, 112), None, TileName(1, 0), TileName(1, 1, 17), TileName(2, 0, 1), None]
    assert names == expected


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == (entries, True)


def test_a_torn_bundle_gives_what_is_whole_and_says_so() -> None:
    data = encode_bundle([b"first", b"second"])
    assert decode_bundle(data[:-1]) == ([b"first"], False)
    assert decode_bundle(data + b"\x00") == ([b"first", b"second"], False)


def grown(size: int) -> tuple[Frontier, dict[TileName, Tile]]:
    frontier = Frontier(0, [], SHA256)
    tiles: dict[TileName, Tile] = {}
    for index in range(size):
        tiles |= {tile.name: tile for tile in frontier.push(SHA256.leaf(str(index).encode()))}
    return frontier, tiles | {tile.name: tile for tile in frontier.partials()}


@settings(max_examples=25)
@given(st.one_of(st.integers(0, 700), st.sampled_from([255, 256, 257, 511, 512, 513])))
def test_the_frontier_the_tiles_and_the_tree_have_one_root(size: int) -> None:
    leaves = [SHA256.leaf(str(index).encode()) for index in range(size)]
    frontier, tiles = grown(size)
    expected = root_of(size, lambda height, index: SHA256.complete_root(leaves[index << height : (index + 1) << height]), hashing=SHA256)
    assert frontier.root() == expected
    assert root_of(size, TileNodes(size, lambda name: tiles[name].data, SHA256), hashing=SHA256) == expected


def test_beyond_sixty_five_thousand_leaves_there_is_a_third_level() -> None:
    frontier, tiles = grown(66_000)
    assert {name for name in tiles if name.level == 2} == {TileName(2, 0, 1)}
    assert {name for name in tiles if name.level == 1} == {TileName(1, 0), TileName(1, 1, 1)}
    assert root_of(66_000, TileNodes(66_000, lambda name: tiles[name].data, SHA256), hashing=SHA256) == frontier.root()


def test_a_frontier_goes_on_from_its_partial_tiles() -> None:
    frontier, _ = grown(300)
    rows: list[tuple[bytes, ...]] = [(), ()]
    for tile in frontier.partials():
        rows[tile.level] = tile.hashes
    again = Frontier(300, rows, SHA256)
    for index in range(300, 600):
        again.push(SHA256.leaf(str(index).encode()))
    assert again.root() == grown(600)[0].root()
    with pytest.raises(ValueError, match="expected rows"):
        Frontier(301, rows, SHA256)


def test_a_node_outside_of_the_tree_is_refused() -> None:
    _, tiles = grown(5)
    nodes = TileNodes(5, lambda name: tiles[name].data, SHA256)
    with pytest.raises(ValueError, match="outside"):
        nodes(0, 256)
    with pytest.raises(ValueError, match="power of two"):
        nodes(3, 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 100, 254, 255, 256, 257, 600]), max_size=5))
def test_many_leaves_at_once_complete_the_same_tiles_as_one_by_one(steps: list[int]) -> None:
    whole, parts = Frontier(0, [], SHA256), Frontier(0, [], SHA256)
    for step in steps:
        leaves = [SHA256.leaf(str(index).encode()) for index in range(whole.size, whole.size + step)]
        expected = [tile for leaf in leaves for tile in whole.push(leaf)]
        assert parts.extend(leaves) == expected
        assert (parts.size, parts.partials(), parts.root()) == (whole.size, whole.partials(), whole.root())
