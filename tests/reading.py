"""A program that reads one place and prints how much memory of its own that took at most: python reading.py ACCESS CONTRACT SPOOL."""

import sys
import threading
from pathlib import Path

import yaml

from chengshu.catalog.odcs import contract_of
from chengshu.catalog.sources.opening import PlacesOfRows
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL


def own_bytes() -> int:
    """Memory that is no file's (proc(5), RssAnon): what lies on the disk and is mapped can be taken back at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main(access: str, contract: str, spool: str) -> None:
    wanted = contract_of(yaml.safe_load(Path(contract).read_text(encoding="utf-8")), file="contract")
    source = PlacesOfRows(Digests(INTERNATIONAL), spool=Path(spool), access=Path(access)).of(wanted, None)
    source.columns()
    before, most, over = own_bytes(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    held = source.read()
    over.set()
    watcher.join()
    sys.stdout.write(f"{held.table.num_rows} {held.table.nbytes} {most - before}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
