"""``python -m chengshu`` is the command ``chengshu``."""

import sys

INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command line; an interrupt ends it without a traceback, also while it is still being loaded."""
    try:
        from chengshu.cli.main import main as run  # noqa: PLC0415  # start-up: loading takes a while, and may be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT)


if __name__ == "__main__":
    main()
