"""Merkle trees as in RFC 6962 section 2.1 and RFC 9162 section 2.1: hashes, roots, inclusion and consistency proofs.

The hash is passed in: SHA-256 as the RFCs say, or SM3 in its place for a log of the national profile. Building a proof needs a
:data:`Nodes` function that gives the hash of any complete subtree; checking one needs nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chengshu.kernel.crypto import NewHash

HASH_BYTES = 32

Nodes = Callable[[int, int], bytes]
"""``nodes(height, index)``: the hash of the complete subtree over leaves ``[index * 2**height, (index + 1) * 2**height)``."""


@dataclass(frozen=True, slots=True)
class TreeHash:
    """How one kind of tree hashes: RFC 6962 section 2.1 with ``new``, which begins SHA-256 or SM3."""

    new: NewHash

    @property
    def empty(self) -> bytes:
        """The root of a tree without leaves: the hash of nothing."""
        return self.new(b"").digest()

    def leaf(self, data: bytes) -> bytes:
        """Return the 32-byte hash of one entry: HASH(0x00 || data), so that a leaf never passes for a node."""
        return self.new(b"\x00" + data).digest()

    def leaves(self, entries: Sequence[bytes]) -> list[bytes]:
        """Return the leaf hashes of entries, in their order."""
        new = self.new
        return [new(b"\x00" + entry).digest() for entry in entries]

    def node(self, left: bytes, right: bytes) -> bytes:
        """Return the 32-byte hash of two subtrees: HASH(0x01 || left || right)."""
        return self.new(b"\x01" + left + right).digest()

    def complete_root(self, hashes: Sequence[bytes]) -> bytes:
        """Return the root over a power of two of hashes of equal height; raise ValueError for any other count."""
        if len(hashes) == 0 or len(hashes) & (len(hashes) - 1):
            raise ValueError(f"expected a power of two of hashes, got {len(hashes)}")
        row = list(hashes)
        new = self.new
        while len(row) > 1:
            row = [new(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
        return row[0]

    def fold(self, peaks: Sequence[bytes]) -> bytes:
        """Return the root over complete subtrees given from the left (largest) to the right (smallest)."""
        if not peaks:
            return self.empty
        root = peaks[-1]
        for peak in reversed(peaks[:-1]):
            root = self.node(peak, root)
        return root


def root_of(size: int, nodes: Nodes, *, hashing: TreeHash) -> bytes:
    """Return the root of the first ``size`` leaves."""
    return _range_root(0, size, nodes=nodes, hashing=hashing)


def inclusion_path(index: int, size: int, *, nodes: Nodes, hashing: TreeHash) -> tuple[bytes, ...]:
    """Return the proof that leaf ``index`` is in the tree of ``size`` leaves (RFC 6962 section 2.1.1), leaf side first.

    Raises ValueError unless ``0 <= index < size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected an index from 0 to {size - 1}, got {index}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _largest_power_below(high - low)
        if index < middle:
            path.append(_range_root(middle, high, nodes=nodes, hashing=hashing))
            high = middle
        else:
            path.append(_range_root(low, middle, nodes=nodes, hashing=hashing))
            low = middle
    return tuple(reversed(path))


def consistency_path(old: int, new: int, *, nodes: Nodes, hashing: TreeHash) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``old`` leaves is a prefix of that of ``new`` (RFC 6962 section 2.1.2).

    It is empty for ``old == 0`` and ``old == new``, where there is nothing to prove. Raises ValueError unless ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"expected sizes that do not shrink, got {old} and {new}")
    if old in {0, new}:
        return ()
    path: list[bytes] = []
    low, high = 0, new
    while high != old:
        middle = low + _largest_power_below(high - low)
        if old <= middle:
            path.append(_range_root(middle, high, nodes=nodes, hashing=hashing))
            high = middle
        else:
            path.append(_range_root(low, middle, nodes=nodes, hashing=hashing))
            low = middle
    if low > 0:
        path.append(_range_root(low, high, nodes=nodes, hashing=hashing))
    return tuple(reversed(path))


def is_included(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes, hashing: TreeHash) -> bool:
    """Say whether ``path`` proves that the leaf hash stands at ``index`` in the tree with ``root`` (RFC 9162 section 2.1.3.2)."""
    return root_from_path(leaf, index=index, size=size, path=path, hashing=hashing) == root


def root_from_path(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], hashing: TreeHash) -> bytes | None:
    """Return the root that ``path`` leads to from the leaf hash at ``index``; None when its length does not fit the place and size."""
    if not 0 <= index < size:
        return None
    position, last, computed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            computed = hashing.node(sibling, computed)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            computed = hashing.node(computed, sibling)
        position, last = position >> 1, last >> 1
    return computed if last == 0 else None


def is_consistent(*, old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes], hashing: TreeHash) -> bool:
    """Say whether ``path`` proves that the new tree only appends to the old one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not path and old_root == hashing.empty and (new > 0 or new_root == hashing.empty)
    if old == new:
        return not path and old_root == new_root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    return bool(steps) and _consistent_roots(old, new, steps=steps, hashing=hashing) == (old_root, new_root)


def old_root_shown(*, old: int, new: int, new_root: bytes, path: Sequence[bytes], hashing: TreeHash) -> bytes | None:
    """Return the root of the first ``old`` leaves that ``path`` proves under ``new_root``; None when it proves none.

    A proof for a power of two leaves out the old root and so shows none (RFC 9162 section 2.1.4.1). What is returned holds whoever made
    the path: another root of the same size, signed by the same log, is proof of a second history.
    """
    if not 0 < old < new or not path or old & (old - 1) == 0:
        return None
    roots = _consistent_roots(old, new, steps=path, hashing=hashing)
    return roots[0] if roots is not None and roots[1] == new_root else None


def _consistent_roots(old: int, new: int, *, steps: Sequence[bytes], hashing: TreeHash) -> tuple[bytes, bytes] | None:
    """The two roots that the proof's hashes lead to, or None when their number does not fit the sizes."""
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_side = new_side = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old_side, new_side = hashing.node(sibling, old_side), hashing.node(sibling, new_side)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new_side = hashing.node(new_side, sibling)
        position, last = position >> 1, last >> 1
    return (old_side, new_side) if last == 0 else None


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than ``count`` (k in RFC 6962), for ``count`` of at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(low: int, high: int, *, nodes: Nodes, hashing: TreeHash) -> bytes:
    """The root over leaves ``[low, high)``, where ``low`` is a multiple of the largest complete subtree inside."""
    peaks: list[bytes] = []
    while low < high:
        height = (high - low).bit_length() - 1
        peaks.append(nodes(height, low >> height))
        low += 1 << height
    return hashing.fold(peaks)
