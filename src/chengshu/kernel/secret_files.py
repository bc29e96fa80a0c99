"""Files for secrets: put in place whole, once, readable by their owner only."""

import os
import stat
from pathlib import Path
from tempfile import NamedTemporaryFile


def put_secret(path: Path, content: bytes) -> bool:
    """Put a file with mode 0600 in place whole and durable; False, and nothing done, where there is one. Of two at once one wins.

    The folder is made, for its owner only, where there is none.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent) as parked:  # made with mode 0600
        parked.write(content)
        parked.flush()
        os.fsync(parked.fileno())
        try:
            os.link(parked.name, path)
        except FileExistsError:
            return False
    return True


def others_may_read(path: Path) -> bool:
    """Return whether anybody but a file's owner has any right to it; raise FileNotFoundError where there is none."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
