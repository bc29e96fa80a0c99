"""Where a job's products lie while it runs, and what does not fit in memory: a folder of each job's own, gone with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from chengshu.cleanroom.engines.duckdb import Spill


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder that jobs have theirs in.

    ``spill`` is how much a question may write there beyond its memory, in DuckDB's words (``4GB``).
    """

    workspace: Path
    spill: str

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a folder for one job, for this user alone, that is removed with what is in it at the end of the block."""
        self.workspace.mkdir(mode=0o700, exist_ok=True)
        with TemporaryDirectory(dir=self.workspace) as folder:
            yield Path(folder)

    def spill_in(self, folder: Path) -> Spill:
        """Return where in a job's folder a question may write what does not fit in memory."""
        into = folder / "spill"
        into.mkdir(mode=0o700)
        return Spill(into, self.spill)

    def clear(self) -> None:
        """Remove what jobs that a crash ended have left."""
        rmtree(self.workspace, ignore_errors=True)
