"""``python -m chengshu`` is the command ``chengshu``."""

import os
import sys

INTERRUPTED_EXIT = 130
ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Whose allocator Arrow's own readers use, read once, when Arrow is loaded. Its usual one keeps tens of megabytes of what was freed."""


def main() -> None:
    """Run the command line; an interrupt ends it without a traceback, also while it is still being loaded."""
    os.environ.setdefault(ARROW_POOL, "system")
    try:
        from chengshu.cli.main import main as run  # noqa: PLC0415  # start-up: loading takes a while, and may be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT)


if __name__ == "__main__":
    main()
