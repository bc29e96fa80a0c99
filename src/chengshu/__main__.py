"""``python -m chengshu`` is the command ``chengshu``."""

import os
import sys
from importlib.abc import MetaPathFinder

INTERRUPTED_EXIT = 130
ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Whose allocator Arrow's own readers use, read once, when Arrow is loaded. Its usual one keeps tens of megabytes of what was freed."""


def main() -> None:
    """Run the command line; an interrupt ends it without a traceback, also while it is still being loaded."""
    os.environ.setdefault(ARROW_POOL, "system")
    try:
        leave_pandas_unloaded()
        from chengshu.cli.main import main as run  # noqa: PLC0415  # start-up: loading takes a while, and may be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT)


def leave_pandas_unloaded() -> None:
    """Have Arrow find no pandas in this process, where it looks for it once, at its first array.

    It would load what is installed, some tens of megabytes in each node, though no command hands a table to pandas. Whoever imports pandas
    still has it.
    """
    import pyarrow as pa  # noqa: PLC0415  # the environment must say first which allocator it takes

    if "pandas" in sys.modules:
        return
    barrier = _NoPandas()
    sys.meta_path.insert(0, barrier)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(barrier)


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Bar the import of pandas; leave every other to whoever comes next."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left unloaded", name=fullname)


if __name__ == "__main__":
    main()
