"""A log's published files in one folder that any web server can serve: tiles, entry bundles, checkpoint and verifier key.

Every file appears whole or not at all: it is written under another name, flushed to the disk, and renamed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chengshu.evidence.tiles import TILE_WIDTH, TileName
from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.kernel.text import Text

CHECKPOINT = "checkpoint"
VKEY = "log.vkey"
_LOCK = ".publish.lock"
_PARTLY_WRITTEN = ".partly-written"


class FileTiles:
    """The files of one log below ``folder``. Reading never creates anything; writing MUST happen under :meth:`publishing`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unflushed: set[Path] = set()

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
        for candidate in (name, name.full):
            data = self.read(candidate.path)
            if data is not None:
                return candidate.path, data
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
        """Be the only publisher of this folder on this machine until the block is left; wait for another to finish."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("ab")
        except OSError as error:
            raise _unavailable(_LOCK, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel when the file is closed or the process dies
            yield

    def write(self, path: str, data: bytes) -> None:
        """Put a file in place whole; it is sure to survive a power cut after :meth:`flush`."""
        target = self.folder / path
        parked = self.folder / _PARTLY_WRITTEN
        try:
            self._make_folder(target.parent)
            with parked.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            parked.replace(target)
        except OSError as error:
            raise _unavailable(path, error) from error
        self._unflushed.add(target.parent)

    def flush(self) -> None:
        """Make every rename so far survive a power cut."""
        for folder in sorted(self._unflushed, key=lambda folder: len(folder.parts), reverse=True):
            try:
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise _unavailable(folder.name, error) from error
        self._unflushed.clear()

    def remove_partials(self, full: TileName) -> None:
        """Remove the partial tiles that a full one has replaced (tlog-tiles allows it once the full tile is there)."""
        folder = self.folder / (full.path + ".p")
        try:
            if folder.is_dir():
                for width in range(1, TILE_WIDTH):
                    (folder / str(width)).unlink(missing_ok=True)
                folder.rmdir()
        except OSError as error:
            raise _unavailable(full.path, error) from error

    def _make_folder(self, folder: Path) -> None:
        missing = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(self.folder) and not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._unflushed.update(parent.parent for parent in missing)


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
