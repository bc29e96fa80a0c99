"""What the tests of places share: a catalog with its log, contracts for places, the operator's file, and what a reading gave."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chengshu.catalog.model import Column, DataContract, LogicalType, Role
from chengshu.catalog.odcs import PHYSICAL, document_of
from chengshu.catalog.place import Place
from chengshu.catalog.service import Catalog
from chengshu.catalog.sources.opening import PlacesOfRows
from chengshu.evidence.service import Evidence
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.secret_files import put_secret
from chengshu.kernel.text import Text
from databases import database_at

DIGESTS = Digests(INTERNATIONAL)
NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
POLICY = {"permission": [{"action": "use"}]}


def column(name: str, physical: str, **options: Any) -> Column:
    return Column(name, LogicalType(PHYSICAL[physical]), physical, role=Role.MEASURE, **options)


def contract(place: Place | None, **columns: str) -> DataContract:
    """A contract over a place: names of columns and their types."""
    named = tuple(column(name, physical) for name, physical in columns.items())
    return DataContract("orders", "1.0.0", "orders", Text("Orders", "订单"), "shop", "orders", named, place=place)


def write_access(folder: Path, entries: dict[str, dict[str, Any]]) -> Path:
    """The operator's file, in the place of one that was there."""
    path = folder / "keys" / "sources.toml"
    with suppress(FileNotFoundError):
        path.unlink()
    lines = [f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items()) for name, entry in entries.items()]
    put_secret(path, "\n".join(lines).encode())
    return path


def until_bytes_wait(spool: Path, *, at_least: int = 1 << 20) -> None:
    """Wait until so many bytes of a reading that is not over wait in a nameless file below ``spool``."""
    last = time.monotonic() + 120
    while not any(size >= at_least for size in _waiting(spool)):
        assert time.monotonic() < last, "expected a reading to begin"
        time.sleep(0.001)


def _waiting(spool: Path) -> Iterator[int]:
    for opened in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if str(opened.readlink()).startswith(str(spool)):
                yield opened.stat().st_size


class Shop:
    """A catalog on a real database with a real log, whose operator has named places."""

    def __init__(self, folder: Path, entries: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.sources = PlacesOfRows(DIGESTS, spool=self.spool, access=write_access(folder, entries))
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.evidence = Evidence(self.database, MemorySigner.generate(), "shop.example/log", folder / "log", lambda: NOW)
        ids = iter(f"urn:offer:{number}" for number in range(1000))
        self.catalog = Catalog(
            self.database, evidence=self.evidence, digests=DIGESTS, clock=lambda: NOW, new_id=lambda: next(ids), sources=self.sources
        )

    def publish(self, wanted: DataContract) -> Any:
        return self.catalog.publish(document_of(wanted), policy=POLICY)

    def read(self, wanted: DataContract) -> Any:
        return self.sources.of(wanted, None).read()

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.evidence.entries(0, self.evidence.size())]


ORDERS = {"id": "int64", "name": "string", "price": "float64", "paid": "bool"}
"""The columns of the table that every database of the tests has."""


def publish_orders(shop: Shop, at: Place) -> None:
    """Publish that table, whose four rows were not written in the order of their key, and see that they are handed out in it."""
    product = shop.publish(contract(at, **ORDERS))
    assert (product.rows, product.path, product.quality["findings"]) == (4, None, [])
    assert shop.catalog.open("orders").to_pydict() == {
        "id": [1, 2, 3, 4],
        "name": ['a, "b"', "名😀", "", None],
        "price": [None, 1.5, 20.25, 0.0],
        "paid": [False, True, None, None],
    }
