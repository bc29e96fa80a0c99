"""The C2SP tlog-tiles grammar as pure values: tile paths, entry bundles, the frontier of a growing tree, nodes read from tiles.

Source: https://c2sp.org/tlog-tiles. A tile is 256 consecutive hashes of one level; level L's hashes cover 256**L leaves each.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chengshu.evidence.tree import HASH_BYTES, TreeHash

TILE_WIDTH = 256
TILE_HEIGHT = 8
ENTRIES = "entries"

_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TileName:
    """The place of one tile or entry bundle: ``level`` is None for a bundle; ``width`` is 256 when it is full."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's folder, ``tile/<L>/<N>[.p/<W>]``."""
        level = ENTRIES if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_index_path(self.index)}{partial}"

    @property
    def full(self) -> "TileName":
        """The name of the full tile at the same place."""
        return TileName(self.level, self.index)


def parse_tile_path(path: str) -> TileName | None:
    """Return the tile that a path below the log's folder names, or None when it names none (leading zeros, width 256, ...)."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level = None if match[1] == ENTRIES else int(match[1])
    name = TileName(level, int(match[2].replace("x", "").replace("/", "")), int(match[3] or TILE_WIDTH))
    return name if name.path == path and (level or 0) <= 63 else None


def tile_at(size: int, *, level: int | None, index: int) -> TileName | None:
    """Return the name of the tile at that place in a tree of ``size`` leaves, full or partial; None when the tree has none there."""
    count = size >> (TILE_HEIGHT * (level or 0))
    width = min(TILE_WIDTH, count - index * TILE_WIDTH)
    return TileName(level, index, width) if width > 0 else None


def kept_tile(read: Callable[[str], bytes | None], name: TileName) -> tuple[str, bytes] | None:
    """Return the path and bytes of a tile as ``read`` gives them, or of the full one that took its place; None without either."""
    for candidate in (name, name.full):
        data = read(candidate.path)
        if data is not None:
            return candidate.path, data
    return None


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry after its length as a big-endian uint16."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> tuple[list[bytes], bool]:
    """Return the entries of a bundle as far as its frames hold, and whether they hold to the last byte."""
    entries: list[bytes] = []
    position = 0
    while position + 2 <= len(data):
        end = position + 2 + int.from_bytes(data[position : position + 2], "big")
        if end > len(data):
            return entries, False
        entries.append(data[position + 2 : end])
        position = end
    return entries, position == len(data)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile's hashes, at most 256."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def name(self) -> TileName:
        """Where the tile is kept."""
        return TileName(self.level, self.index, len(self.hashes))

    @property
    def data(self) -> bytes:
        """The tile's bytes as kept."""
        return b"".join(self.hashes)


class Frontier:
    """The right edge of a growing tree: the hashes of its partial tiles, one row a level, which is all that appending needs.

    Memory is at most 255 hashes a level, whatever the size.
    """

    def __init__(self, size: int, rows: Sequence[Sequence[bytes]], hashing: TreeHash) -> None:
        """Stand at ``size`` leaves; ``rows[L]`` holds the ``(size >> 8 * L) % 256`` hashes of level L's partial tile."""
        expected = [(size >> (TILE_HEIGHT * level)) % TILE_WIDTH for level in range(levels(size))]
        if [len(row) for row in rows] != expected:
            raise ValueError(f"expected rows of {expected} hashes, got {[len(row) for row in rows]}")
        self.size = size
        self._rows = [list(row) for row in rows]
        self._hashing = hashing

    def push(self, leaf: bytes) -> list[Tile]:
        """Append one leaf hash and return the tiles that it completed, lowest level first."""
        completed: list[Tile] = []
        self.size += 1
        carry, level = leaf, 0
        while True:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row.append(carry)
            if len(row) < TILE_WIDTH:
                return completed
            completed.append(Tile(level, (self.size >> (TILE_HEIGHT * (level + 1))) - 1, tuple(row)))
            carry = self._hashing.complete_root(row)
            row.clear()
            level += 1

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Append many leaf hashes as :meth:`push` does one by one, and return the tiles that they completed."""
        completed: list[Tile] = []
        position = 0
        while position < len(leaves):
            end = position + TILE_WIDTH - self.size % TILE_WIDTH
            *most, last = leaves[position:end]  # only the last of them can complete a tile
            if not self._rows:
                self._rows.append([])
            self._rows[0] += most
            self.size += len(most)
            completed += self.push(last)
            position = end
        return completed

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The leaf hashes of the last bundle, when it is not full."""
        return tuple(self._rows[0]) if self._rows else ()

    def partials(self) -> list[Tile]:
        """Return the partial tiles of the present size, lowest level first."""
        return [Tile(level, self.size >> (TILE_HEIGHT * (level + 1)), tuple(row)) for level, row in enumerate(self._rows) if row]

    def root(self) -> bytes:
        """Return the root of the tree at the present size."""
        peaks: list[bytes] = []
        for row in reversed(self._rows):
            peaks.extend(_peaks(row, self._hashing))
        return self._hashing.fold(peaks)

    def copy(self) -> "Frontier":
        """Return a frontier that grows on its own from here."""
        return Frontier(self.size, self._rows, self._hashing)


def levels(size: int) -> int:
    """Return how many levels of tiles a tree of ``size`` leaves has."""
    return (size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT


class TileNodes:
    """Nodes of a tree of fixed size, read from its tiles; every tile is read at most once."""

    def __init__(self, size: int, read: Callable[[TileName], bytes], hashing: TreeHash) -> None:
        """Read tiles with ``read``, which MUST return at least ``width`` hashes for a name or raise."""
        self._size = size
        self._read = read
        self._hashing = hashing
        self._tiles: dict[tuple[int, int], bytes] = {}

    def __call__(self, height: int, index: int) -> bytes:
        """Return the hash of the complete subtree of ``2**height`` leaves at ``index``; raise ValueError when the tree has it not."""
        level, inner = divmod(height, TILE_HEIGHT)
        tile_index = index >> (TILE_HEIGHT - inner)
        first = (index << inner) % TILE_WIDTH * HASH_BYTES
        data = self._tile(level, tile_index)[first : first + (HASH_BYTES << inner)]
        return self._hashing.complete_root([data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)])

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles:
            name = tile_at(self._size, level=level, index=index)
            if name is None:
                raise ValueError(f"expected a node of the tree of {self._size} leaves, got one outside of it")
            self._tiles[level, index] = self._read(name)
        return self._tiles[level, index]


def split_hashes(data: bytes) -> list[bytes]:
    """Return a tile's bytes cut into its hashes."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def _peaks(row: Sequence[bytes], hashing: TreeHash) -> list[bytes]:
    """The roots of the complete subtrees that a partial row is made of, largest first."""
    peaks: list[bytes] = []
    position = 0
    while position < len(row):
        step = 1 << ((len(row) - position).bit_length() - 1)
        peaks.append(hashing.complete_root(row[position : position + step]))
        position += step
    return peaks


def _index_path(index: int) -> str:
    """1234067 as ``x001/x234/067``, so that no directory holds more than a thousand names."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
