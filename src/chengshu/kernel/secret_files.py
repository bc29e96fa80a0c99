"""Files for secrets: put in place whole, readable by their owner only."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile


def put_secret(path: Path, content: bytes) -> bool:
    """Put a file with mode 0600 in place whole and durable; False, and nothing done, where there is one. Of two at once one wins.

    The folder is made, for its owner only, where there is none.
    """
    with _parked(path.parent, content) as parked:
        try:
            os.link(parked, path)
        except FileExistsError:
            return False
    return True


def replace_secret(path: Path, content: bytes) -> None:
    """Put a file with mode 0600 in the place of the one that is there, whole and durable: a reader sees the old one or the new one."""
    with _parked(path.parent, content) as parked:
        linked = parked.with_suffix(".new")
        os.link(parked, linked)
        linked.replace(path)


@contextmanager
def _parked(folder: Path, content: bytes) -> Iterator[Path]:
    """A file of the content that is there for the time of the block, whole and on the disk."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder) as parked:  # made with mode 0600
        parked.write(content)
        parked.flush()
        os.fsync(parked.fileno())
        yield Path(parked.name)


def others_may_read(path: Path) -> bool:
    """Return whether anybody but a file's owner has any right to it; raise FileNotFoundError where there is none."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
