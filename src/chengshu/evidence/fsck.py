"""One pass over a log's files that finds any changed byte and names where: the checker that ships with the log.

The tree is rebuilt from the entries and compared with every tile and with the signed root. Memory is one bundle, whatever the size.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.model import Entry, parse_entry
from chengshu.evidence.storage.files import CHECKPOINT, FileTiles
from chengshu.evidence.tiles import (
    TILE_WIDTH,
    Frontier,
    Tile,
    TileName,
    decode_bundle,
    parse_tile_path,
    split_hashes,
    tile_at,
)
from chengshu.evidence.tree import HASH_BYTES
from chengshu.kernel.errors import Fact, Invalid, Tampered
from chengshu.kernel.text import Text

Visit = Callable[[Entry], None]


def check_files(files: FileTiles, checkpoint: Checkpoint, *, visit: Visit) -> tuple[str, ...]:
    """Rebuild the tree from the entries and find it equal to the tiles and to the checkpoint's root.

    ``visit`` sees every entry in order; what it saw counts only when this function returns. Returns the paths of files that lie
    beyond the checkpoint (an interrupted publication), which nothing signed covers. Raises Tampered, whose facts name the ``file``
    and, for entries, the ``index`` of the first bad one; Invalid for an entry that is signed and yet not an entry.
    """
    reading = _Reading(files, checkpoint, visit)
    for index in range(-(-checkpoint.size // TILE_WIDTH)):
        reading.take(index)
    reading.conclude()
    return tuple(path for path in files.paths() if not _is_covered(files, path, size=checkpoint.size))


@dataclass(frozen=True, slots=True)
class _Difference:
    """The first place where an entry and its hash in the tile disagree."""

    index: int
    bundle: str
    tile: str


class _Reading:
    """Entries and level-0 tiles read side by side; which of two that differ is bad is only known at the end, from the signed root."""

    def __init__(self, files: FileTiles, checkpoint: Checkpoint, visit: Visit) -> None:
        self._files = files
        self._checkpoint = checkpoint
        self._visit = visit
        self._hashing = checkpoint.hashing
        self._frontier = Frontier(0, [], self._hashing)
        self._difference: _Difference | None = None
        self._bad_tile: str | None = None
        self._bad_entry: Invalid | None = None

    def take(self, index: int) -> None:
        """Read the bundle and the tile at ``index``."""
        first = index * TILE_WIDTH
        tile_path, hashes = _hashes(self._files, _name(self._checkpoint.size, level=0, index=index))
        bundle_path, entries = self._entries(_name(self._checkpoint.size, level=None, index=index), hashes)
        leaves = self._hashing.leaves(entries)
        difference = _first_difference(leaves, hashes)
        if self._difference is None and difference is not None:
            self._difference = _Difference(first + difference, bundle_path, tile_path)
        for number, (entry, leaf) in enumerate(zip(entries, leaves, strict=True), first):
            self._see(number, entry)
            for tile in self._frontier.push(leaf):
                self._compare(tile)

    def conclude(self) -> None:
        """Judge what was read by the signed root."""
        for tile in self._frontier.partials():
            self._compare(tile)
        if self._frontier.root() == self._checkpoint.root:
            if self._difference is not None:
                raise _tampered(self._difference.tile, "the hashes of the entries, which lead to the signed root", "other hashes")
            if self._bad_tile is not None:
                raise _tampered(self._bad_tile, "the hashes of the entries, which lead to the signed root", "other hashes")
            if self._bad_entry is not None:
                raise self._bad_entry
        elif self._difference is not None:
            index, bundle = self._difference.index, self._difference.bundle
            raise _tampered(bundle, f"entry {index} as it was hashed and signed", "another one", index=index)
        else:
            where = "" if self._bad_tile is None else f" (first seen in {self._bad_tile})"
            raise _tampered(CHECKPOINT, "the root of these entries", f"another root: entries and tiles were rewritten together{where}")

    def _entries(self, name: TileName, hashes: list[bytes]) -> tuple[str, list[bytes]]:
        """The bundle's entries, once its frames are whole and as many as its name says."""
        path, data = self._files.tile(name)
        entries, whole = decode_bundle(data)
        width = name.width if path == name.path else TILE_WIDTH
        if not whole or len(entries) != width:
            difference = _first_difference(self._hashing.leaves(entries[: name.width]), hashes)
            bad = name.index * TILE_WIDTH + (min(len(entries), width) if difference is None else difference)
            raise _tampered(path, f"{width} whole entries", f"a bundle that is broken from entry {bad} on", index=bad)
        return path, entries[: name.width]

    def _see(self, index: int, data: bytes) -> None:
        if self._difference is not None or self._bad_entry is not None:
            return
        try:
            self._visit(parse_entry(index, data))
        except Invalid as error:
            self._bad_entry = error

    def _compare(self, tile: Tile) -> None:
        """Compare a tile above level 0 with its file, as long as everything below it was good."""
        if tile.level == 0 or self._difference is not None or self._bad_tile is not None:
            return
        path, hashes = _hashes(self._files, tile.name)
        if tuple(hashes) != tile.hashes:
            self._bad_tile = path


def _hashes(files: FileTiles, name: TileName) -> tuple[str, list[bytes]]:
    """The path and hashes of a tile, once its length is what its name says."""
    path, data = files.tile(name)
    width = name.width if path == name.path else TILE_WIDTH
    if len(data) != width * HASH_BYTES:
        raise _tampered(path, f"{width * HASH_BYTES} bytes", f"{len(data)}")
    return path, split_hashes(data)[: name.width]


def _is_covered(files: FileTiles, path: str, *, size: int) -> bool:
    """Whether the checkpoint covers a whole file under ``tile/``; Tampered when the part it covers is not what the log holds there.

    Besides the tiles of the present size there are partial tiles of earlier sizes, which the log still owes to holders of earlier
    checkpoints, and files beyond the checkpoint after an interrupted publication.
    """
    name = parse_tile_path(path)
    if name is None:
        raise _tampered(path, "only tiles and entry bundles in this folder", "another file")
    present = tile_at(size, level=name.level, index=name.index)
    if present is None:
        return False
    data = files.read(path)
    if present == name or data is None:  # present: compared already; None: a live log has just put a full tile in its place
        return True
    _, good = files.tile(present)
    mine, owed = _items(name, data), _items(present, good)
    width = min(name.width, present.width)
    difference = _first_difference(mine[:width], owed[:width])
    if difference is None and len(mine) == name.width:
        return name.width <= present.width
    index = name.index * TILE_WIDTH + (len(mine) if difference is None else difference)
    raise _tampered(
        path, "the same as in the newer file of the same place", "something else", index=None if name.level is not None else index
    )


def _items(name: TileName, data: bytes) -> list[bytes]:
    """The entries of a bundle or the hashes of a tile; an incomplete last one is one item too many, which no count forgives."""
    if name.level is not None:
        return split_hashes(data)
    entries, whole = decode_bundle(data)
    return entries if whole else [*entries, b"incomplete"]


def _name(size: int, *, level: int | None, index: int) -> TileName:
    name = tile_at(size, level=level, index=index)
    if name is None:
        raise ValueError(f"expected a tile of the tree of {size} leaves")
    return name


def _first_difference(left: list[bytes], right: list[bytes]) -> int | None:
    return next((place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)


def _tampered(file: str, expected: str, got: str, *, index: int | None = None) -> Tampered:
    facts: dict[str, Fact] = {"file": file} if index is None else {"file": file, "index": index}
    return Tampered(
        "evidence.tampered",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Keep this copy as it is: it is evidence. Get another copy from the log's operator or a witness, and compare.",
            "请原样保留此副本，它本身就是证据。请向日志运营方或见证方另取一份并比对。",
        ),
        facts=facts,
    )
