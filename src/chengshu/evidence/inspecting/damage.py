"""Where in a file the damage is: a problem with its byte and its entry, and ways to find them from hashes alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.evidence.tree import TreeHash
from chengshu.kernel.text import Language, Text

MAX_SEARCHED_BYTES = 1024
_MAX_SEARCHES = 4
_FAR = 140_000  # two entries of the largest size
ANY_BYTE = bytes(range(256))
_CLOSE = 0x7D


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the file, the first bad byte when it can be told, and the entry that it belongs to.

    ``exact`` says that ``offset`` is the changed byte itself; otherwise the change is at or after it.
    """

    file: str
    offset: int | None
    index: int | None
    what: Text
    exact: bool = False

    def text(self) -> Text:
        """Return the problem as one sentence."""
        en, zh = self.file, self.file
        if self.offset is not None:
            en += f", byte {self.offset}" if self.exact else f", at or after byte {self.offset}"
            zh += f"，第 {self.offset} 字节" if self.exact else f"，第 {self.offset} 字节或其后"
        if self.index is not None:
            en, zh = f"{en}, entry {self.index}", f"{zh}，第 {self.index} 条"
        return Text(f"{en}: {self.what.en}", f"{zh}：{self.what.zh}")

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the problem as JSON-ready values."""
        return {"file": self.file, "offset": self.offset, "exact": self.exact, "entry": self.index, "text": self.text().of(language)}


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem inside one bundle: the byte, the number of the entry in the bundle, and whether the entry can still be read."""

    offset: int
    number: int
    what: Text
    exact: bool
    readable: bool


def single_change(data: bytes, is_good: Callable[[bytes], bool], *, alphabet: bytes = ANY_BYTE) -> int | None:
    """Return the place of the one byte whose change to some byte of ``alphabet`` makes ``data`` good, or None; costs 256 tries a byte."""
    if len(data) > MAX_SEARCHED_BYTES:
        return None
    tried = bytearray(data)
    for place, byte in enumerate(data):
        for other in alphabet:
            if other != byte:
                tried[place] = other
                if is_good(bytes(tried)):
                    return place
        tried[place] = byte
    return None


def first_difference(left: bytes, right: bytes) -> int:
    """Return the first place where two byte strings differ; the shorter one's length when it begins the other."""
    return next((place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right)))


def bundle_faults(data: bytes, leaves: Sequence[bytes], hashing: TreeHash) -> list[Fault]:
    """Return what is wrong with an entry bundle whose entries' leaf hashes are known to be ``leaves``.

    The reader finds its way again behind a bad length or a bad entry by the hash of the next one.
    """
    bundle = _Bundle(data, leaves, hashing)
    faults: list[Fault] = []
    position = 0
    for number, leaf in enumerate(leaves):
        if bundle.begins(position, leaf):
            position = bundle.declared_end(position) or position
            continue
        fault, following = bundle.fault(position, number, search=len(faults) < _MAX_SEARCHES)
        faults.append(fault)
        if following is None:
            faults.extend(Fault(position, lost, _LOST, exact=False, readable=False) for lost in range(number + 1, len(leaves)))
            return faults
        position = following
    if position != len(data):
        faults.append(Fault(position, len(leaves) - 1, _TRAILING, exact=True, readable=True))
    return faults


class _Bundle:
    """A bundle's bytes, read by the leaf hashes that its entries must have."""

    def __init__(self, data: bytes, leaves: Sequence[bytes], hashing: TreeHash) -> None:
        self._data = data
        self._leaves = leaves
        self._leaf = hashing.leaf

    def begins(self, place: int, leaf: bytes) -> bool:
        """Say whether the entry with that leaf hash begins at ``place``."""
        end = self.declared_end(place)
        return end is not None and self._data[place + 2 : place + 3] == b"{" and self._leaf(self._data[place + 2 : end]) == leaf

    def declared_end(self, place: int) -> int | None:
        """Return where the entry at ``place`` ends by its own length; None beyond the end of the bundle."""
        end = place + 2 + int.from_bytes(self._data[place : place + 2], "big")
        return end if place + 2 <= len(self._data) and end <= len(self._data) else None

    def fault(self, position: int, number: int, *, search: bool) -> tuple[Fault, int | None]:
        """Return what is wrong with the entry at ``position``, and where the next one begins, if that can be told."""
        data, start, leaf = self._data, position + 2, self._leaves[number]
        right_end = self._end_by_hash(start, leaf)
        if right_end is not None:
            length = (right_end - start).to_bytes(2, "big")
            place = position + first_difference(data[position:start], length)
            return Fault(place, number, _LENGTH, exact=True, readable=True), right_end
        after = self._leaves[number + 1] if number + 1 < len(self._leaves) else None
        if after is not None and self.begins(position, after):
            return Fault(position, number, _GONE, exact=True, readable=False), position
        moved = next((place for place in self._places(position) if self.begins(place, leaf)), None)
        if moved is not None:
            return Fault(position, number, _EXTRA, exact=True, readable=True), self.declared_end(moved)
        following = self._next_start(position, after)
        entry = data[start : following if following is not None else len(data)]
        changed = single_change(entry, lambda tried: self._leaf(tried) == leaf) if search else None
        if changed is None:
            return Fault(min(position, len(data)), number, _ENTRY, exact=False, readable=False), following
        return Fault(start + changed, number, _ENTRY, exact=True, readable=False), following

    def _end_by_hash(self, start: int, leaf: bytes) -> int | None:
        """The end of the entry that begins at ``start``, found by its hash: entries are JSON objects, so few places can be an end."""
        data = self._data
        for end in range(start + 2, min(len(data), start + 65_536) + 1):
            is_end = data[end - 1] == _CLOSE and (end == len(data) or data[end + 2 : end + 3] == b"{")
            if is_end and self._leaf(data[start:end]) == leaf:
                return end
        return None

    def _next_start(self, position: int, after: bytes | None) -> int | None:
        """Where the entry after the bad one begins: where its hash says so; else where the bad one's own length says."""
        declared = self.declared_end(position)
        if after is None:
            return declared if declared == len(self._data) else None
        places = [*([] if declared is None else [declared]), *self._places(position)]
        return next((place for place in places if self.begins(place, after)), declared)

    def _places(self, position: int) -> range:
        return range(position + 3, min(len(self._data), position + _FAR))


_LENGTH = Text("expected the entry's length, got another number", "应为条目长度，实为其他数值")
_ENTRY = Text("expected the entry as it was signed, got another one", "应为签署时的条目，实为其他内容")
_LOST = Text("expected an entry here, got bytes that cannot be told apart", "应为条目，字节已无法辨认")
_GONE = Text("expected an entry here, got the one after it", "此处应有条目，实为其后一条")
_EXTRA = Text("expected the entry here, got other bytes before it", "此处应为该条目，其前实有其他字节")
_TRAILING = Text("expected the end of the bundle, got more bytes", "应为条目包结尾，实有多余字节")
