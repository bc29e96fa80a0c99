"""Where a job's products lie while it runs, and what does not fit in memory: a folder of each job's own, gone with it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from chengshu.cleanroom.engines.engine import Spill


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder that jobs have theirs in, those of every process of this node.

    ``spill`` is how much a question may write there beyond its memory, in DuckDB's words (``4GB``).
    """

    workspace: Path
    spill: str

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a folder for one job, for this user alone, that is removed with what is in it at the end of the block."""
        with ExitStack() as stack:
            with self._alone():
                made = Path(stack.enter_context(TemporaryDirectory(dir=self.workspace)))
                stack.enter_context(_held(made))
            yield made

    def spill_in(self, folder: Path) -> Spill:
        """Return where in a job's folder a question may write what does not fit in memory."""
        into = folder / "spill"
        into.mkdir(mode=0o700)
        return Spill(into, self.spill)

    def clear(self) -> None:
        """Remove what jobs that a crash ended have left; what a job of another process is at work in stays."""
        with self._alone():
            for left in self.workspace.iterdir():
                if left.is_dir() and not left.is_symlink():
                    _remove_unless_held(left)
                else:
                    left.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process make or clear folders meanwhile: one that was just made is held by nobody yet."""
        self.workspace.mkdir(mode=0o700, exist_ok=True)
        with _held(self.workspace):
            yield


@contextmanager
def _held(folder: Path, *, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a folder until the block is left, or this process dies: the kernel lets go of it then."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)


def _remove_unless_held(folder: Path) -> None:
    try:
        with _held(folder, how=fcntl.LOCK_EX | fcntl.LOCK_NB):
            rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
