"""Everything that is wrong with a log's files, and what the signed root still proves in spite of it.

Where :mod:`chengshu.evidence.fsck` stops at the first bad file, this goes on. It works from the root down: a tile is believed when its
hashes lead to a hash that is believed already, and an entry when its leaf hash is. So one bad file costs the entries in it, no others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.inspecting.damage import Problem, bundle_faults, first_difference
from chengshu.evidence.inspecting.head import find_head
from chengshu.evidence.storage.files import FileTiles
from chengshu.evidence.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Frontier,
    TileName,
    decode_bundle,
    encode_bundle,
    levels,
    parse_tile_path,
    split_hashes,
    tile_at,
)
from chengshu.evidence.tree import HASH_BYTES, TreeHash
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Language, Text

MAX_PROBLEMS = 100
_MAX_TRIES = 4096

Progress = Callable[[int, int], None]
"""Told how many entries were looked at, and how many there are."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found: the problems (at most ``MAX_PROBLEMS``, ``more`` beyond them) and the entries that are no longer proved.

    ``checkpoint`` is None when no signed root could be made out; then nothing is proved. ``unproved`` are ranges, last one included.
    """

    checkpoint: Checkpoint | None
    size: int
    problems: tuple[Problem, ...]
    more: int
    unproved: tuple[tuple[int, int], ...]
    unsigned_files: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def proved(self) -> int:
        """How many entries the signed root proves."""
        return self.size - sum(last - first + 1 for first, last in self.unproved)

    def words(self, language: Language = "en") -> list[str]:
        """Return what was found, one sentence each."""
        texts = [problem.text() for problem in self.problems]
        if self.more:
            texts.append(Text(f"… and {self.more} more problem(s).", f"……另有 {self.more} 处问题。"))
        texts.append(
            Text(
                f"Still proved by the signed root: {self.proved} of {self.size} entries{_ranges(self.unproved, ', all but ')}.",
                f"签名根仍可证明：{self.size} 条中的 {self.proved} 条{_ranges(self.unproved, '，不含第 ')}。",
            )
        )
        if self.unsigned_files:
            count, first = len(self.unsigned_files), self.unsigned_files[0]
            texts.append(
                Text(
                    f"Not judged: {count} file(s) beyond the checkpoint, from {first} on.",
                    f"未判定：{count} 个文件超出检查点，自 {first} 起。",
                )
            )
        return [text.of(language) for text in texts]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the findings as JSON-ready values."""
        return {
            "ok": self.holds,
            "what": "fsck",
            "origin": None if self.checkpoint is None else self.checkpoint.origin,
            "size": self.size,
            "proved": self.proved,
            "unproved": [list(span) for span in self.unproved],
            "problems": [problem.as_dict(language) for problem in self.problems],
            "more": self.more,
            "unsigned_files": list(self.unsigned_files),
            "words": self.words(language),
        }


def inspect(folder: Path, vkey: str | None = None, *, progress: Progress = lambda *_: None) -> Inspection:
    """Look at every file of a log, go on behind whatever is wrong, and return all of it.

    Raises NotFound when there is no log at all and Invalid for a given key that is none.
    """
    files = FileTiles(folder)
    head = find_head(files, vkey)
    finding = _Finding(files, head.size, list(head.problems))
    if head.checkpoint is None:
        finding.lose(0, head.size)
    else:
        finding.go_down(head.checkpoint, progress)
    unsigned = tuple(finding.look_at_the_rest())
    kept = finding.problems[:MAX_PROBLEMS]
    more = len(finding.problems) - len(kept)
    return Inspection(head.checkpoint, head.size, tuple(kept), more, tuple(finding.unproved), unsigned)


class _Finding:
    """One way through a log's files: problems and unproved entries as they are met, in the order of the entries."""

    def __init__(self, files: FileTiles, size: int, problems: list[Problem]) -> None:
        self._files = files
        self._hashing = TreeHash(INTERNATIONAL.new_hash)
        self._size = size
        self.problems = problems
        self.unproved: list[tuple[int, int]] = []

    def lose(self, first: int, stop: int) -> None:
        """Count the entries from ``first`` up to ``stop`` as unproved."""
        if stop <= first:
            return
        if self.unproved and self.unproved[-1][1] == first - 1:
            first = self.unproved.pop()[0]
        self.unproved.append((first, stop - 1))

    def go_down(self, checkpoint: Checkpoint, progress: Progress) -> None:
        """Believe the tree's right edge if it leads to the signed root, and then everything below it that it leads to."""
        self._hashing = checkpoint.hashing
        names = [tile_at(self._size, level=level, index=self._size >> (TILE_HEIGHT * (level + 1))) for level in range(levels(self._size))]
        edge = [name for name in names if name is not None]
        stored = [self._stored(name) for name in edge]
        flat = [position for row in stored for position in row]

        def rows(hashes: Sequence[bytes]) -> list[list[bytes]]:
            taken = iter(hashes)
            return [[] if name is None else [next(taken) for _ in range(name.width)] for name in names]

        believed = _choose(
            flat,
            lambda: [said for name in edge for said in self._from_below(name)],
            lambda hashes: Frontier(self._size, rows(hashes), self._hashing).root() == checkpoint.root,
        )
        if believed is None:
            for name in edge:
                self._tell_missing(name)
            self.problems.append(Problem(edge[-1].path if edge else "checkpoint", None, None, _NO_WAY_TO_ROOT))
            self.lose(0, self._size)
            return
        taken = iter(believed)
        for name, row in reversed([(name, [next(taken) for _ in range(name.width)]) for name in edge]):
            self._believe(name, row, progress)

    def look_at_the_rest(self) -> Iterator[str]:
        """Find what is wrong with files that the tree does not need; yield those that nothing signed covers."""
        bad = {problem.file for problem in self.problems}
        for path in self._files.paths():
            name = parse_tile_path(path)
            if name is None:
                self.problems.append(Problem(path, 0, None, _FOREIGN))
                continue
            present = tile_at(self._size, level=name.level, index=name.index)
            if present is None or name.width > present.width:
                if path not in bad and not (present is not None and name == present.full):
                    yield path
            elif present != name and present.path not in bad and present.full.path not in bad:
                self._compare_owed(name, present)

    def _believe(self, name: TileName, hashes: Sequence[bytes], progress: Progress) -> None:
        """Go on below a tile whose hashes are believed."""
        self._tell_differences(name, hashes)
        if name.level == 0:
            self._read_bundle(name, hashes)
            progress(min(self._size, name.index * TILE_WIDTH + name.width), self._size)
            return
        level = (name.level or 0) - 1
        for place, believed in enumerate(hashes):
            child = TileName(level, name.index * TILE_WIDTH + place)
            found = _choose(self._stored(child), partial(self._from_below, child), partial(self._leads_to, believed))
            if found is not None:
                self._believe(child, found, progress)
                continue
            self._tell_missing(child)
            span = TILE_WIDTH ** (level + 1)
            self.problems.append(Problem(child.path, None, child.index * span, _NO_WAY_UP))
            self.lose(child.index * span, (child.index + 1) * span)

    def _read_bundle(self, name: TileName, leaves: Sequence[bytes]) -> None:
        bundle = TileName(None, name.index, name.width)
        path, data = self._read(bundle)
        first = name.index * TILE_WIDTH
        if data is None:
            self.problems.append(Problem(bundle.path, 0, first, _MISSING))
            self.lose(first, first + name.width)
            return
        if path != bundle.path:  # a live log has put the full bundle in the partial one's place
            data = encode_bundle(decode_bundle(data)[0][: name.width])
        for fault in bundle_faults(data, leaves, self._hashing):
            self.problems.append(Problem(path, fault.offset, first + fault.number, fault.what, fault.exact))
            if not fault.readable:
                self.lose(first + fault.number, first + fault.number + 1)

    def _tell_differences(self, name: TileName, hashes: Sequence[bytes]) -> None:
        """Compare a tile's file with the hashes that are believed: every hash that differs is a problem with its byte."""
        path, data = self._read(name)
        if data is None:
            self._tell_missing(name)
            return
        width = len(hashes) * HASH_BYTES
        if len(data) != (width if path == name.path else TILE_WIDTH * HASH_BYTES):
            self.problems.append(Problem(path, min(len(data), width), None, _LENGTH, exact=True))
        span = TILE_WIDTH ** (name.level or 0)
        for place, believed in enumerate(hashes):
            kept = data[place * HASH_BYTES : (place + 1) * HASH_BYTES]
            if len(kept) == HASH_BYTES and kept != believed:
                offset = place * HASH_BYTES + first_difference(kept, believed)
                self.problems.append(Problem(path, offset, (name.index * TILE_WIDTH + place) * span, _OTHER_HASH, exact=True))

    def _tell_missing(self, name: TileName) -> None:
        if self._read(name)[1] is None:
            self.problems.append(Problem(name.path, 0, None, _MISSING))

    def _compare_owed(self, name: TileName, present: TileName) -> None:
        """Compare a partial tile of an earlier size, which the log still owes, with the good file that grew from it."""
        mine, good = self._files.read(name.path), self._read(present)[1]
        if mine is None or good is None:
            return
        expected = good[: name.width * HASH_BYTES] if name.level is not None else encode_bundle(decode_bundle(good)[0][: name.width])
        if mine != expected:
            offset = first_difference(mine, expected)
            index = name.index * TILE_WIDTH + len(decode_bundle(expected[:offset])[0]) if name.level is None else None
            self.problems.append(Problem(name.path, offset, index, _OWED, exact=True))

    def _stored(self, name: TileName) -> list[bytes | None]:
        """The hashes as the tile's file has them; None where it has none."""
        data = self._read(name)[1] or b""
        hashes = [piece if len(piece) == HASH_BYTES else None for piece in split_hashes(data)[: name.width]]
        return [*hashes, *[None] * (name.width - len(hashes))]

    def _from_below(self, name: TileName) -> list[list[bytes]]:
        """For each hash of the tile, what the files below it say it is: the entries' bundle, and the tile between."""
        first = name.index * TILE_WIDTH
        if name.level == 0:
            leaves = self._leaves(TileName(None, name.index, name.width))
            return [leaves[place : place + 1] for place in range(name.width)]
        said: list[list[bytes]] = []
        for index in range(first, first + name.width):
            below = self._stored(TileName((name.level or 0) - 1, index))
            roots = [self._hashing.complete_root([one for one in below if one is not None])] if None not in below else []
            leaves = self._leaves(TileName(None, index)) if name.level == 1 else []
            if len(leaves) == TILE_WIDTH:
                roots.append(self._hashing.complete_root(leaves))
            said.append(roots)
        return said

    def _leads_to(self, root: bytes, hashes: Sequence[bytes]) -> bool:
        return self._hashing.complete_root(hashes) == root

    def _leaves(self, bundle: TileName) -> list[bytes]:
        data = self._read(bundle)[1]
        return [] if data is None else self._hashing.leaves(decode_bundle(data)[0])

    def _read(self, name: TileName) -> tuple[str, bytes | None]:
        try:
            return self._files.tile(name)
        except Tampered:
            return name.path, None


def _choose(
    stored: Sequence[bytes | None], below: Callable[[], Sequence[Sequence[bytes]]], is_right: Callable[[Sequence[bytes]], bool]
) -> list[bytes] | None:
    """The hashes that lead up, taken from the stored ones and, where those below say otherwise, from there; None when none do."""
    if None not in stored and is_right([one for one in stored if one is not None]):
        return [one for one in stored if one is not None]
    options = [list(dict.fromkeys(one for one in (kept, *said) if one is not None)) for kept, said in zip(stored, below(), strict=True)]
    if not all(options) or prod(len(one) for one in options) > _MAX_TRIES:
        return None
    return next((list(hashes) for hashes in product(*options) if is_right(hashes)), None)


def _ranges(spans: Sequence[tuple[int, int]], before: str) -> str:
    if not spans:
        return ""
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans[:20])
    return before + shown + (" …" if len(spans) > 20 else "")


_MISSING = Text("expected a file of the log, got none", "应有日志文件，实际缺失")
_FOREIGN = Text("expected only tiles and entry bundles in this folder, got another file", "此处只应有分块与条目包，实有其他文件")
_LENGTH = Text("expected a file of another length", "文件长度不符")
_OTHER_HASH = Text("expected the hash that leads to the signed root, got another", "应为通向签名根的哈希，实为其他值")
_OWED = Text("expected the same as in the newer file of the same place, got something else", "应与同一位置的较新文件一致，实为其他内容")
_NO_WAY_UP = Text(
    "neither the tile nor what lies below it leads to the hash above: too much is damaged to tell which entries are good",
    "分块及其下层均不能通向上层哈希：损坏过多，无法判断哪些条目完好",
)
_NO_WAY_TO_ROOT = Text(
    "the last tiles do not lead to the signed root: they were damaged in many places, or the log was rewritten",
    "末端分块不能通向签名根：多处损坏，或日志被改写",
)
