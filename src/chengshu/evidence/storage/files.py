"""A log's published files in one folder that any web server can serve: tiles, entry bundles, checkpoint and verifier key.

Every file appears whole or not at all: it is written under another name, flushed to the disk, and renamed. Flushing is done for many
files at once, in threads, because a disk takes them together in little more time than one.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from chengshu.evidence.tiles import TILE_WIDTH, TileName, kept_tile
from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.kernel.text import Text

CAN_LOCK = find_spec("fcntl") is not None
"""Whether this system can hold a lock on a file: a log is checked anywhere, and published where this is so."""

if CAN_LOCK:
    import fcntl

CHECKPOINT = "checkpoint"
VKEY = "log.vkey"
_LOCK = ".publish.lock"
_PARTLY_WRITTEN = ".partly-written"
_PARKED_FILES = 64
_FLUSHING_THREADS = 8
_WIDTHS = frozenset(str(width) for width in range(1, TILE_WIDTH))


class FileTiles:
    """The files of one log below ``folder``. Reading never creates anything; writing MUST happen under :meth:`publishing`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unflushed: set[Path] = set()
        self._parked: dict[Path, int] = {}

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none; raise Unavailable when it cannot be read."""
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(path, error) from error

    def tile(self, name: TileName) -> tuple[str, bytes]:
        """Return the path and bytes of a tile, or of the full tile that took the partial one's place; raise Tampered if both are gone."""
        return kept_tile(self.read, name) or self._none(name)

    @staticmethod
    def _none(name: TileName) -> NoReturn:
        raise Tampered(
            "evidence.file-missing",
            f"{name.path}: expected a file of the log, got none",
            hint=Text("Copy the log's folder again, whole.", "请重新完整复制日志文件夹。"),
            facts={"file": name.path},
        )

    def paths(self) -> Iterator[str]:
        """Yield the path of every file under ``tile/``, relative to the folder; raise Unavailable for a folder that cannot be read."""
        for folder, below, names in os.walk(self.folder / "tile", onerror=_unless_gone):
            below.sort()
            for name in sorted(names):
                yield (Path(folder) / name).relative_to(self.folder).as_posix()

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Be the only publisher of this folder on this machine until the block is left; wait for another to finish.

        What was written is flushed when the block is left well; what an exception left unflushed is not put in place. Raises Unavailable
        where the system has no such locks (Windows): there a log is only read.
        """
        if not CAN_LOCK:
            raise _unavailable(_LOCK, OSError(None, "no file locks on this system"))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("ab")
        except OSError as error:
            raise _unavailable(_LOCK, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel when the file is closed or the process dies
            try:
                yield
                self.flush()
            finally:
                self._abandon()

    def write(self, path: str, data: bytes) -> None:
        """Take a file in; it is in place, whole, and sure to survive a power cut after :meth:`flush`. Unavailable names the file."""
        target = self.folder / path
        if target in self._parked:
            self._put_in_place()
        try:
            if target.parent not in self._unflushed:
                self._make_folder(target.parent)
            descriptor = os.open(self._parking_place(len(self._parked)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            self._parked[target] = descriptor
            _write_all(descriptor, data)
        except OSError as error:
            raise _unavailable(path, error) from error
        if len(self._parked) == _PARKED_FILES:
            self._put_in_place()

    def flush(self) -> None:
        """Put every file so far in place and make it survive a power cut."""
        self._put_in_place()
        for folder, error in self._each(_flush_folder, self._unflushed):
            raise _unavailable(folder.name, error) from error
        self._unflushed.clear()

    def _put_in_place(self) -> None:
        """Flush the parked files, then rename them: none is seen before it is whole on the disk."""
        for target, error in self._each(lambda target: os.fdatasync(self._parked[target]), self._parked):
            raise _unavailable(target.relative_to(self.folder).as_posix(), error) from error
        for number, target in enumerate(list(self._parked)):
            try:
                os.close(self._parked.pop(target))
                self._parking_place(number).replace(target)
            except OSError as error:
                raise _unavailable(target.relative_to(self.folder).as_posix(), error) from error
            self._unflushed.add(target.parent)

    @staticmethod
    def _each(flush: Callable[[Path], None], paths: Iterable[Path]) -> Iterator[tuple[Path, OSError]]:
        """Do it for all paths at once; yield those that failed."""

        def tried(path: Path) -> OSError | None:
            try:
                flush(path)
            except OSError as error:
                return error
            return None

        todo = list(paths)
        results = map(tried, todo) if len(todo) == 1 else _flushing_threads().map(tried, todo)
        return ((path, error) for path, error in zip(todo, list(results), strict=True) if error is not None)

    def _abandon(self) -> None:
        """Close what an error left parked; remove that and what a process that died left."""
        while self._parked:
            os.close(self._parked.popitem()[1])
        for left in self.folder.glob(f"{_PARTLY_WRITTEN}*"):
            left.unlink(missing_ok=True)

    def _parking_place(self, number: int) -> Path:
        return self.folder / (f"{_PARTLY_WRITTEN}-{number}" if number else _PARTLY_WRITTEN)

    def has_partials(self, full: TileName) -> bool:
        """Say whether partial tiles of that place are kept."""
        return self._partials(full).is_dir()

    def remove_partials(self, full: TileName) -> None:
        """Remove the partial tiles that a full one has replaced (tlog-tiles allows it once the full tile is there)."""
        folder = self._partials(full)
        try:
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.name in _WIDTHS:
                        path.unlink()
                folder.rmdir()
        except OSError as error:
            raise _unavailable(full.path, error) from error

    def _partials(self, full: TileName) -> Path:
        return self.folder / (full.path + ".p")

    def _make_folder(self, folder: Path) -> None:
        missing = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(self.folder) and not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._unflushed.update(parent.parent for parent in missing)


@cache
def _flushing_threads() -> ThreadPoolExecutor:
    """The threads that flush for every log of this process; they end with it."""
    return ThreadPoolExecutor(_FLUSHING_THREADS, thread_name_prefix="flush")


def _write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: a disk that fills up takes the first part of a file and refuses the rest only when asked again."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unless_gone(error: OSError) -> None:
    """A folder of partial tiles may go while a live log is read; one that is there must be readable."""
    if not isinstance(error, FileNotFoundError):
        raise _unavailable("tile", error) from error


def _unavailable(path: str, error: OSError) -> Unavailable:
    return Unavailable(
        "evidence.files",
        f"{path}: expected to use the file, got: {error.strerror}",
        hint=Text("Free disk space, or mend the folder's permissions.", "请释放磁盘空间或修正文件夹权限。"),
        facts={"file": path},
    )
