"""A copy of another node's log that only ever grows: fetched file by file, and refused when it is not what was there plus appended entries.

Only entries are fetched; the tree is rebuilt from them, so that nothing has to be believed but the log's signature.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.tiles import (
    TILE_WIDTH,
    Frontier,
    TileName,
    TileNodes,
    decode_bundle,
    encode_bundle,
    parse_tile_path,
    tile_at,
)
from chengshu.evidence.tree import HASH_BYTES, consistency_path, is_consistent
from chengshu.evidence.verify import LogVerdict, verify_log
from chengshu.kernel.errors import Invalid, NotFound, Tampered, Unavailable
from chengshu.kernel.text import Text

WITNESSED = "checkpoint.witnessed"
"""The newest checkpoint that met the log's quorum, beside the newest one."""
TRIES = 3
FLUSH_EVERY = 16

Progress = Callable[[int, int], None]


class RemoteTiles(Protocol):
    """The published files of a log somewhere else."""

    prefix: str

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none; raise Unavailable when the log does not answer."""
        ...

    def tile(self, name: TileName) -> tuple[str, bytes]:
        """Return the path and bytes of a tile or of the full one in its place; raise NotFound when both are gone."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def mirror(remote: RemoteTiles, folder: Path, *, vkey: str | None = None, progress: Progress = lambda _done, _all: None) -> LogVerdict:
    """Bring ``folder`` up to the remote log's checkpoint and return what the whole copy proves.

    The key is ``vkey``, or the folder's ``log.vkey``, or at the first time the one that comes with the log. What is there already is
    not fetched again, so that an interrupted fetch goes on. ``progress`` hears how many bundles of how many are in place. Raises
    Tampered for a rollback (``evidence.rollback``) and a fork (``evidence.split-view``) against what the folder holds, with the
    offending checkpoint kept beside it, and for entries that do not lead to the signed root; then the copy stays as it was.
    """
    files = FileTiles(folder)
    key = _key(remote, files, vkey)
    with files.publishing():
        for tried in range(1, TRIES + 1):
            try:
                _Fetching(remote, files, key, progress).run()
                break
            except NotFound:
                if tried == TRIES:
                    raise
    return verify_log(folder, str(key))


def read_checkpoint(remote: RemoteTiles, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint that a log shows now; raise NotFound when it shows none and Tampered when ``key`` did not sign it."""
    note = remote.read(CHECKPOINT)
    if note is None:
        raise NotFound(
            "evidence.no-remote-log",
            f"expected a log at {remote.prefix}, got no checkpoint",
            hint=Text("Give the URL that ends in /log.", "请填写以 /log 结尾的地址。"),
        )
    return open_checkpoint(note, key=key)


def is_continued(remote: RemoteTiles, *, old: Checkpoint, new: Checkpoint, size: int) -> bool:
    """Say whether a log's tiles at ``size`` entries prove that ``new`` is ``old`` plus appended entries.

    ``size`` MUST be what the log has signed for, and at least that of ``new``. Raises NotFound and Unavailable as the tiles do.
    """
    if old.size > new.size:
        return False
    nodes = TileNodes(size, lambda name: _whole(remote, name), new.hashing)
    path = consistency_path(old.size, new.size, nodes=nodes, hashing=new.hashing)
    return is_consistent(old=old.size, old_root=old.root, new=new.size, new_root=new.root, path=path, hashing=new.hashing)


class _Fetching:
    """One attempt at bringing a folder up to one checkpoint."""

    def __init__(self, remote: RemoteTiles, files: FileTiles, key: VerifierKey, progress: Progress) -> None:
        self._remote = remote
        self._files = files
        self._progress = progress
        note = files.read(CHECKPOINT)
        self._held = None if note is None else open_checkpoint(note, key=key)
        self._shown = read_checkpoint(remote, key)
        self._key = key
        self._completed: list[TileName] = []

    def run(self) -> None:
        """Fetch what is missing, and put the checkpoint in place last."""
        held, shown = self._held, self._shown
        if held is not None:
            self._refuse_another_past(held)
        try:
            frontier = self._rebuild()
        except Tampered:
            self._remove_beyond(held)
            raise
        except (Unavailable, NotFound):
            self._files.flush()  # what came so far need not be fetched again
            raise
        for tile in frontier.partials():
            self._put(tile.name.path, tile.data)
        self._files.flush()
        self._put(VKEY, f"{self._key}\n".encode())
        if held is None or held.size < shown.size or self._files.read(CHECKPOINT) != shown.note:
            self._files.write(CHECKPOINT, shown.note)
        self._take_witnessed()
        self._files.flush()
        for name in self._completed:
            self._files.remove_partials(name)

    def _refuse_another_past(self, held: Checkpoint) -> None:
        shown = self._shown
        if shown.size < held.size:
            raise self._kept(
                "evidence.rollback",
                f"expected the log {held.origin} to have at least the {held.size} entries that it had, got {shown.size}: "
                "entries were taken away",
            )
        if not is_continued(self._remote, old=held, new=shown, size=shown.size):
            raise self._kept(
                "evidence.split-view",
                f"expected the log {held.origin} at {shown.size} entries to continue the one at {held.size} that is here, "
                "got another history under the same key",
            )

    def _rebuild(self) -> Frontier:
        """Take every bundle up to the checkpoint, rebuild the tree, and find it to lead to the signed roots, old and new."""
        frontier = Frontier(0, [], self._shown.hashing)
        count = -(-self._shown.size // TILE_WIDTH)
        for index in range(count):
            name = tile_at(self._shown.size, level=None, index=index)
            assert name is not None  # noqa: S101  # every index below the count has a bundle
            entries = self._entries(name)
            self._put(name.path, encode_bundle(entries))
            if name == name.full:
                self._completed.append(name)
            for leaf in self._shown.hashing.leaves(entries):
                for tile in frontier.push(leaf):
                    self._put(tile.name.path, tile.data)
                    self._completed.append(tile.name)
                self._check(frontier, self._held)
            if (index + 1) % FLUSH_EVERY == 0:
                self._files.flush()
            self._progress(index + 1, count)
        self._check(frontier, self._shown)
        return frontier

    def _entries(self, name: TileName) -> list[bytes]:
        here = self._files.read(name.path)
        path, data = (name.path, here) if here is not None else self._remote.tile(name)
        entries, whole = decode_bundle(data)
        if not whole or len(entries) < name.width:
            raise _differs(path, f"{name.width} whole entries", "other bytes")
        return entries[: name.width]

    def _check(self, frontier: Frontier, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None and frontier.size == checkpoint.size and frontier.root() != checkpoint.root:
            raise _differs("tile/entries", f"entries that lead to the signed root at size {checkpoint.size}", "others")

    def _take_witnessed(self) -> None:
        """Keep the log's newest checkpoint that met its quorum as well, when it is signed and not of another size than can be checked."""
        note = self._remote.read(WITNESSED)
        if note is None:
            return
        witnessed = open_checkpoint(note, key=self._key, file=WITNESSED)
        local = LocalTiles(self._files)
        if witnessed.size <= self._shown.size and not is_continued(local, old=witnessed, new=self._shown, size=self._shown.size):
            raise self._kept(
                "evidence.split-view",
                f"expected the witnessed checkpoint of {witnessed.size} entries to be part of the log at {self._shown.size}, "
                "got another history",
                note=note,
            )
        if witnessed.size <= self._shown.size:
            self._put(WITNESSED, note)

    def _put(self, path: str, data: bytes) -> None:
        if self._files.read(path) != data:
            self._files.write(path, data)

    def _remove_beyond(self, held: Checkpoint | None) -> None:
        """Take away what no signed checkpoint of this folder covers, so that the next fetch begins clean."""
        size = 0 if held is None else held.size
        for path in list(self._files.paths()):
            name = parse_tile_path(path)
            covering = None if name is None else tile_at(size, level=name.level, index=name.index)
            if name != covering:
                (self._files.folder / path).unlink(missing_ok=True)

    def _kept(self, code: str, message: str, *, note: bytes | None = None) -> Tampered:
        offending = self._shown.note if note is None else note
        file = f"refused-{hashlib.sha256(offending).hexdigest()[:16]}.checkpoint"
        self._files.write(file, offending)
        self._files.flush()
        return Tampered(
            code,
            f"{message}; the checkpoint that was shown is kept as {file}",
            hint=Text(
                f"Keep this folder with {CHECKPOINT} and {file}: both are signed by the log's key, and together they prove it. "
                "Tell the other witnesses.",
                f"请保留本文件夹及其中的 {CHECKPOINT} 与 {file}：二者均由日志密钥签署，合在一起即为证据。请告知其他见证方。",
            ),
            facts={"file": file},
        )


class LocalTiles:
    """A folder's files, read as a remote log's are."""

    def __init__(self, files: FileTiles) -> None:
        self._files = files
        self.prefix = str(files.folder)

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""
        return self._files.read(path)

    def tile(self, name: TileName) -> tuple[str, bytes]:
        """Return the path and bytes of a tile or of the full one in its place; raise Tampered when both are gone."""
        return self._files.tile(name)

    def close(self) -> None:
        """Do nothing: files are closed as soon as they are read."""


def _whole(remote: RemoteTiles, name: TileName) -> bytes:
    """A tile's bytes, cut to the width that the tree has there; one that is shorter is no tile of this log."""
    path, data = remote.tile(name)
    if len(data) < name.width * HASH_BYTES:
        raise _differs(path, f"{name.width} hashes", f"{len(data)} bytes")
    return data[: name.width * HASH_BYTES]


def _key(remote: RemoteTiles, files: FileTiles, vkey: str | None) -> VerifierKey:
    """The key to hold the log to: the one given, the one that this copy began with, or at first the one that comes with the log."""
    here = files.read(VKEY)
    pinned = vkey if vkey is not None else None if here is None else here.decode(errors="replace").strip()
    there = remote.read(VKEY)
    if pinned is None and there is None:
        raise NotFound(
            "evidence.no-remote-key",
            f"expected the log at {remote.prefix} to show its key, got none",
            hint=Text("Give its key with --vkey, from a source that you trust.", "请用 --vkey 提供来自可信来源的公钥。"),
        )
    key = _parsed(pinned if pinned is not None else (there or b"").decode(errors="replace").strip())
    for other in (here, there):
        if other is not None and other.strip() != str(key).encode():
            raise Tampered(
                "evidence.key-changed",
                f"expected the log's key to be {key.name}+{key.key_id.hex()}, got another one: its history may have been signed anew",
                hint=Text(
                    "Keep this copy. Ask the log's operator by another way whether and why the key was changed.",
                    "请保留此副本，并通过其他途径询问日志运营方是否更换过密钥及原因。",
                ),
                facts={"file": VKEY},
            )
    return key


def _parsed(line: str) -> VerifierKey:
    try:
        return parse_vkey(line)
    except Invalid as error:
        raise Invalid("evidence.vkey", f"{VKEY}: {error.message}", hint=error.hint) from error


def _differs(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.remote-differs",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Nothing of it was taken over. Fetch again; if it stays, tell the log's operator and keep this copy.",
            "未采纳其任何内容。请重新获取；若仍如此，请告知日志运营方并保留此副本。",
        ),
        facts={"file": file},
    )
