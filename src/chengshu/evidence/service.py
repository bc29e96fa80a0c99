"""The evidence room's verbs: append an act in the caller's transaction, publish the log, prove what is in it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from chengshu.evidence import store
from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from chengshu.evidence.model import MAX_ENTRY_BYTES, ConsistencyProof, Entry, InclusionProof, entry_fields, parse_entry
from chengshu.evidence.packs.cose import sign_receipt
from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Frontier,
    TileName,
    TileNodes,
    decode_bundle,
    encode_bundle,
    levels,
    split_hashes,
    tile_at,
)
from chengshu.evidence.tree import HASH_BYTES, TreeHash, consistency_path, inclusion_path, root_of
from chengshu.kernel.canonical import canonical
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Invalid, NotFound, Tampered
from chengshu.kernel.text import Text


class Evidence:
    """One node's log: entries are appended in the transaction of the act, then published as signed tiles that anyone can check.

    ``origin`` names the log and its key (a URL without scheme); ``folder`` holds the published files and nothing else.
    """

    def __init__(self, database: Database, signer: Signer, origin: str, folder: Path, clock: Clock) -> None:
        """Stand on the node's database; raise Invalid when ``origin`` cannot name a key."""
        self._database = database
        self._signer = signer
        self._key = VerifierKey(origin, signer.public_key)
        self.folder = folder
        self._clock = clock

    @property
    def vkey(self) -> str:
        """The line that others check this log's checkpoints with (C2SP signed-note verifier key)."""
        return str(self._key)

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index; it is in the log if and only if ``tx`` commits.

        ``tx`` MUST come from ``Database.write()``. ``body`` MUST carry no data value, only ids, digests, counts and money
        (see :mod:`chengshu.evidence.model`). Raises Invalid for an unknown kind, an empty subject, a body that JSON cannot carry
        exactly, or an entry above 65,535 bytes.
        """
        return store.add(tx, _entry_bytes(kind, subject, at=iso(self._clock()), body=body))

    def append_many(self, tx: Connection, entries: Iterable[tuple[str, str, Mapping[str, Any]]]) -> range:
        """Write many entries ``(kind, subject, body)`` of one moment, in their order, and return their indices.

        All of them are in the log if and only if ``tx`` commits. What is said of :meth:`append` holds for each. Entries may come from
        a generator: they are never all in memory.
        """
        at = iso(self._clock())
        return store.add_many(tx, (_entry_bytes(kind, subject, at=at, body=body) for kind, subject, body in entries))

    def size(self) -> int:
        """Return how many entries are committed, published or not."""
        with self._database.read() as tx:
            return store.count(tx)

    def entries(self, start: int, stop: int) -> list[Entry]:
        """Return the committed entries with ``start <= index < stop``, in order; fewer when the log is shorter."""
        with self._database.read() as tx:
            return [parse_entry(index, data) for index, data in store.find(tx, start=start, stop=stop)]

    def checkpoint(self) -> Checkpoint:
        """Return the published checkpoint; raise NotFound before the first :meth:`publish`, Tampered when it is not ours."""
        checkpoint = self._published(FileTiles(self.folder))
        if checkpoint is None:
            raise NotFound(
                "evidence.not-published",
                f"expected a checkpoint of {self._key.name}, got none",
                hint=Text("Publish the log first.", "请先发布日志。"),
            )
        return checkpoint

    def inclusion(self, index: int) -> InclusionProof:
        """Return the proof that entry ``index`` is in the published log; raise NotFound when it is not published yet."""
        checkpoint = self.checkpoint()
        if not 0 <= index < checkpoint.size:
            raise _not_published(checkpoint, f"entry {index}")
        nodes = self._nodes(checkpoint)
        path = inclusion_path(index, checkpoint.size, nodes=nodes, hashing=self._key.hashing)
        proof = InclusionProof(index, nodes(0, index), path, checkpoint)
        if not proof.holds:
            raise _damaged("the tiles lead to another root than the checkpoint's")
        return proof

    def cose_receipt(self, index: int) -> bytes:
        """Return the COSE receipt (RFC 9942) that proves entry ``index`` to be in the published log; NotFound when it is not yet."""
        return sign_receipt(self._signer, self.inclusion(index))

    def consistency(self, old: int, new: int) -> ConsistencyProof:
        """Return the proof that the log at ``new`` entries only appended to the log at ``old``; NotFound beyond what is published.

        Raises Invalid unless ``0 <= old <= new``.
        """
        if not 0 <= old <= new:
            raise Invalid(
                "evidence.sizes",
                f"expected two sizes that do not shrink, got {old} and {new}",
                hint=Text("Give the older, smaller size first.", "请先给出较早（较小）的规模。"),
            )
        checkpoint = self.checkpoint()
        if new > checkpoint.size:
            raise _not_published(checkpoint, f"size {new}")
        nodes = self._nodes(checkpoint)
        hashing = self._key.hashing
        path = consistency_path(old, new, nodes=nodes, hashing=hashing)
        old_root, new_root = (root_of(size, nodes, hashing=hashing) for size in (old, new))
        return ConsistencyProof(old, old_root, new, new_root, path, hashing)

    def compare(self) -> Checkpoint:
        """Find every published entry in the database as it was published, and return the checkpoint; nothing is written or signed.

        The files themselves are for :func:`chengshu.evidence.verify.verify_log` to judge. Raises NotFound where nothing is published,
        Tampered when the database holds fewer entries than the checkpoint, or another one than the files. Memory is one bundle.
        """
        checkpoint = self.checkpoint()
        files = FileTiles(self.folder)
        with self._database.read() as tx:
            size = store.count(tx)
            if size < checkpoint.size:
                raise _rewritten(size, f"{checkpoint.size} entries, as the checkpoint says", f"{size}")
            for first in range(0, checkpoint.size, TILE_WIDTH):
                stop = min(first + TILE_WIDTH, checkpoint.size)
                kept = _contiguous(store.find(tx, start=first, stop=stop), first, stop=stop)
                for index, (entry, published) in enumerate(zip(kept, _bundle(files, first, stop=stop), strict=True), first):
                    if entry != published:
                        raise _rewritten(index, f"entry {index} as it was published", "another one in the database")
        return checkpoint

    def publish(self) -> Checkpoint:
        """Integrate every committed entry into the tiles on disk, then sign and return the checkpoint.

        MUST NOT be called inside a transaction, which it would not see. One publisher at a time; others wait. Nothing changes when
        nothing was appended. The checkpoint is written last, so after a crash the tiles may be ahead of it and never behind. Only the
        tree's right edge is read back and it must lead to the last signed root. Raises Tampered when what was signed before is not
        what the tiles or the database now hold (nothing is signed then), Unavailable when the disk does not take the files.
        """
        files = FileTiles(self.folder)
        with files.publishing():
            old = self._published(files)
            frontier = _frontier(files, old, hashing=self._key.hashing)
            replaced = self._integrate(files, frontier)
            if old is not None and old.size == frontier.size:
                self._write_vkey(files)
                return old
            files.flush()
            checkpoint = sign_checkpoint(self._signer, origin=self._key.name, size=frontier.size, root=frontier.root())
            self._write_vkey(files)
            files.write(CHECKPOINT, checkpoint.note)
            files.flush()
            for name in replaced:
                files.remove_partials(name)
            return checkpoint

    def _integrate(self, files: FileTiles, frontier: Frontier) -> list[TileName]:
        """Write the tiles and bundles of what was committed since the frontier; return the full ones that replace partial ones."""
        replacing: list[TileName] = []
        before = {tile.name for tile in frontier.partials()}
        with self._database.read() as tx:
            size = store.count(tx)
            if size < frontier.size:
                raise _rewritten(size, f"{frontier.size} entries, as the checkpoint says", f"{size}")
            while frontier.size < size:
                first = frontier.size // TILE_WIDTH * TILE_WIDTH
                stop = min(first + TILE_WIDTH, size)
                entries = _contiguous(store.find(tx, start=first, stop=stop), first, stop=stop)
                fresh = _fresh_leaves(self._key.hashing.leaves(entries), first, frontier=frontier)
                bundle = TileName(None, first // TILE_WIDTH, len(entries))
                files.write(bundle.path, encode_bundle(entries))
                completed = frontier.extend(fresh)
                for tile in completed:
                    files.write(tile.name.path, tile.data)
                full = [tile.name for tile in completed] + [bundle] * (bundle == bundle.full)
                replacing += [name for name in full if files.has_partials(name)]
        for tile in frontier.partials():
            if tile.name not in before:
                files.write(tile.name.path, tile.data)
        return replacing

    def _published(self, files: FileTiles) -> Checkpoint | None:
        note = files.read(CHECKPOINT)
        return None if note is None else open_checkpoint(note, key=self._key)

    def _write_vkey(self, files: FileTiles) -> None:
        line = f"{self._key}\n".encode()
        if files.read(VKEY) != line:
            files.write(VKEY, line)

    def _nodes(self, checkpoint: Checkpoint) -> TileNodes:
        files = FileTiles(self.folder)
        return TileNodes(checkpoint.size, lambda name: _tile(files, name), self._key.hashing)


def _entry_bytes(kind: str, subject: str, *, at: str, body: Mapping[str, Any]) -> bytes:
    data = canonical(entry_fields(kind, subject, at=at, body=body))
    if len(data) > MAX_ENTRY_BYTES:
        raise Invalid(
            "evidence.entry-size",
            f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got a {kind} entry of {len(data)}",
            hint=Text("Record a digest instead of the document.", "请记录文档摘要而不是文档本身。"),
            facts={"kind": kind, "bytes": len(data)},
        )
    return data


def _frontier(files: FileTiles, checkpoint: Checkpoint | None, *, hashing: TreeHash) -> Frontier:
    """The right edge of the published tree, once it is found to lead to the signed root."""
    if checkpoint is None:
        return Frontier(0, [], hashing)
    rows: list[list[bytes]] = []
    for level in range(levels(checkpoint.size)):
        index = checkpoint.size >> (TILE_HEIGHT * (level + 1))
        name = tile_at(checkpoint.size, level=level, index=index)
        rows.append(split_hashes(_tile(files, name)) if name is not None else [])
    frontier = Frontier(checkpoint.size, rows, hashing)
    if frontier.root() != checkpoint.root:
        raise _damaged("the last tiles lead to another root than the checkpoint's")
    return frontier


def _tile(files: FileTiles, name: TileName) -> bytes:
    """A tile's bytes, cut to the width that the tree has there."""
    path, data = files.tile(name)
    if len(data) < name.width * HASH_BYTES:
        raise _damaged(f"{path} is cut short", file=path)
    return data[: name.width * HASH_BYTES]


def _bundle(files: FileTiles, first: int, *, stop: int) -> list[bytes]:
    """The published entries from ``first`` to ``stop``, all in one bundle."""
    path, data = files.tile(TileName(None, first // TILE_WIDTH, stop - first))
    entries, _ = decode_bundle(data)
    if len(entries) < stop - first:
        raise _damaged(f"{path} is cut short", file=path)
    return entries[: stop - first]


def _contiguous(rows: Sequence[tuple[int, bytes]], first: int, *, stop: int) -> list[bytes]:
    """The bytes of the entries from ``first`` to ``stop``, once none of their rows is missing from the database."""
    indexes = [index for index, _ in rows]
    for place, expected in enumerate(range(first, stop)):
        if indexes[place : place + 1] != [expected]:
            raise _rewritten(expected, f"entry {expected} in the database", "none")
    return [data for _, data in rows]


def _fresh_leaves(leaves: list[bytes], first: int, *, frontier: Frontier) -> list[bytes]:
    """The leaf hashes that the frontier does not have yet; Tampered when an entry that was signed already has changed."""
    known = frontier.edge if frontier.size > first else ()
    for index, (leaf, signed) in enumerate(zip(leaves, known, strict=False), first):
        if leaf != signed:
            raise _rewritten(index, f"entry {index} as it was signed", "another one in the database")
    return leaves[len(known) :]


def _not_published(checkpoint: Checkpoint, got: str) -> NotFound:
    return NotFound(
        "evidence.not-published",
        f"expected one of the {checkpoint.size} entries that are published, got {got}",
        hint=Text("Publish the log, then ask again.", "请先发布日志再查询。"),
        facts={"size": checkpoint.size},
    )


def _rewritten(index: int, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.database-rewritten",
        f"expected {expected}, got {got}",
        hint=Text(
            "Nothing was signed. Keep the database and the log's folder as they are, and restore the newest backup beside them.",
            "未签署任何内容。请原样保留数据库与日志文件夹，并在旁恢复最新备份。",
        ),
        facts={"index": index},
    )


def _damaged(got: str, *, file: str = "tile") -> Tampered:
    return Tampered(
        "evidence.tiles",
        f"expected tiles that lead to the signed root, got: {got}",
        hint=Text(
            "Nothing was signed. Keep the folder, and run 'chengshu evidence verify' on it: it names the bad file.",
            "未签署任何内容。请保留该文件夹并运行 chengshu evidence verify，可定位损坏的文件。",
        ),
        facts={"file": file},
    )
