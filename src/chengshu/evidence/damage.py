"""Where in a file the damage is: a problem with its byte and its entry, and ways to find them from hashes alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.evidence.tree import leaf_hash
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


def bundle_faults(data: bytes, leaves: Sequence[bytes]) -> list[Fault]:
    """Return what is wrong with an entry bundle whose entries' leaf hashes are known to be ``leaves``.

    The reader finds its way again behind a bad length or a bad entry by the hash of the next one.
    """
    faults: list[Fault] = []
    position = 0
    for number, leaf in enumerate(leaves):
        end = _declared_end(data, position)
        if end is not None and leaf_hash(data[position + 2 : end]) == leaf:
            position = end
            continue
        fault, following = _fault(data, position, number, leaves=leaves, search=len(faults) < _MAX_SEARCHES)
        faults.append(fault)
        if following is None:
            faults.extend(Fault(position, lost, _LOST, exact=False, readable=False) for lost in range(number + 1, len(leaves)))
            return faults
        position = following
    if position != len(data):
        faults.append(Fault(position, len(leaves) - 1, _TRAILING, exact=True, readable=True))
    return faults


def _fault(data: bytes, position: int, number: int, *, leaves: Sequence[bytes], search: bool) -> tuple[Fault, int | None]:
    """What is wrong with the entry at ``position``, and where the next one begins, if that can be told."""
    start, leaf = position + 2, leaves[number]
    right_end = _end_by_hash(data, start, leaf)
    if right_end is not None:
        length = (right_end - start).to_bytes(2, "big")
        place = position + first_difference(data[position:start], length)
        return Fault(place, number, _LENGTH, exact=True, readable=True), right_end
    after = leaves[number + 1] if number + 1 < len(leaves) else None
    if after is not None and _begins(data, position, after):
        return Fault(position, number, _GONE, exact=True, readable=False), position
    moved = next((place for place in range(position + 3, min(len(data), position + _FAR)) if _begins(data, place, leaf)), None)
    if moved is not None:
        return Fault(position, number, _EXTRA, exact=True, readable=True), _declared_end(data, moved)
    following = _next_start(data, position, after)
    end = following if following is not None else len(data)
    changed = single_change(data[start:end], lambda entry: leaf_hash(entry) == leaf) if search else None
    if changed is None:
        return Fault(min(position, len(data)), number, _ENTRY, exact=False, readable=False), following
    return Fault(start + changed, number, _ENTRY, exact=True, readable=False), following


def _declared_end(data: bytes, position: int) -> int | None:
    end = position + 2 + int.from_bytes(data[position : position + 2], "big")
    return end if position + 2 <= len(data) and end <= len(data) else None


def _end_by_hash(data: bytes, start: int, leaf: bytes) -> int | None:
    """The end of the entry that begins at ``start``, found by its hash: entries are JSON objects, so few places can be an end."""
    for end in range(start + 2, min(len(data), start + 65_536) + 1):
        is_end = data[end - 1] == _CLOSE and (end == len(data) or data[end + 2 : end + 3] == b"{")
        if is_end and leaf_hash(data[start:end]) == leaf:
            return end
    return None


def _next_start(data: bytes, position: int, after: bytes | None) -> int | None:
    """Where the entry after the bad one begins: where its hash says so; else where the bad one's own length says."""
    declared = _declared_end(data, position)
    if after is None:
        return declared if declared == len(data) else None
    places = ([] if declared is None else [declared]) + list(range(position + 3, min(len(data), position + _FAR)))
    return next((place for place in places if _begins(data, place, after)), declared)


def _begins(data: bytes, place: int, leaf: bytes) -> bool:
    """Whether the entry with that leaf hash begins at ``place``."""
    end = _declared_end(data, place)
    return end is not None and data[place + 2 : place + 3] == b"{" and leaf_hash(data[place + 2 : end]) == leaf


_LENGTH = Text("expected the entry's length, got another number", "应为条目长度，实为其他数值")
_ENTRY = Text("expected the entry as it was signed, got another one", "应为签署时的条目，实为其他内容")
_LOST = Text("expected an entry here, got bytes that cannot be told apart", "应为条目，字节已无法辨认")
_GONE = Text("expected an entry here, got the one after it", "此处应有条目，实为其后一条")
_EXTRA = Text("expected the entry here, got other bytes before it", "此处应为该条目，其前实有其他字节")
_TRAILING = Text("expected the end of the bundle, got more bytes", "应为条目包结尾，实有多余字节")
