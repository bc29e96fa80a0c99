"""``python -m chengshu`` is the command ``chengshu``."""

from chengshu.cli.main import main

if __name__ == "__main__":
    main()
