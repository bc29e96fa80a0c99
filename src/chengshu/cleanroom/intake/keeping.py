"""What one job of a room was given, the key that it came encrypted to, and what is left of both at its end: nothing, and a record."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from chengshu.cleanroom.model import JobInput
from chengshu.cleanroom.ports import Arrival, NewArrival
from chengshu.cleanroom.reading import mapping, sequence, text
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Text

DELETED, LEFT = "deleted", "left"
_DIGEST = r"[a-z0-9]+:[0-9a-f]{64}"


class Kept:
    """What a job is given while it runs. ``end`` MUST be called, whatever became of the job."""

    def __init__(self, new_arrival: NewArrival, *, digests: Digests) -> None:
        self._new_arrival = new_arrival
        self._digests = digests
        self._key = ExchangeKey(digests.suite)
        self._begun: list[tuple[JobInput, Arrival]] = []

    def begin(self, part: JobInput, folder: Path) -> Arrival:
        """Return where a product of the job is to be taken in, below the job's folder."""
        arrival = self._new_arrival(folder, self._key)
        self._begun.append((part, arrival))
        return arrival

    def end(self, folder: Path | None) -> dict[str, Any]:
        """Forget everything, and return the record: the key's digest, what had come whole, and whether the job's folder is gone.

        A product is named by the commitment that its holder can make too and nobody else: a digest of the stream itself would let the other
        holders, who get the same receipt, try what is in it. ``folder`` is the job's, None where it never had one. The products' own files
        have no name, and are gone once they are closed.
        """
        whole = [(part.provider, part.product, arrival.commitment) for part, arrival in self._begun if arrival.is_whole]
        for _, arrival in self._begun:
            arrival.close()
        self._key.drop()
        is_gone = folder is None or not folder.exists()
        return {
            "key": self._digests.of_bytes(self._key.public),
            "received": [dict(zip(("provider", "product", "commitment"), one, strict=True)) for one in sorted(whole)],
            "workspace": DELETED if is_gone else LEFT,
        }


def check_received(record: object, *, provider: str, sent: Mapping[str, Collection[str]]) -> None:
    """Hold a room's record against what a provider sent, by product the commitments to its streams; a room of before has no record.

    Raises Tampered where it names a product that was not sent, or another stream of it; Invalid for a record that is none.
    """
    if record is None:
        return
    found = mapping(record, "receipt.deleted", required=("key", "received", "workspace"))
    for one in sequence(found["received"], "receipt.deleted.received"):
        named = mapping(one, "receipt.deleted.received", required=("provider", "product", "commitment"))
        commitment = text(named["commitment"], "receipt.deleted.received.commitment", pattern=_DIGEST, expected="a digest")
        if named["provider"] == provider and commitment not in sent.get(str(named["product"]), ()):
            raise Tampered(
                "cleanroom.receipt",
                "expected a receipt that names the streams that this node sent, got one that names another",
                hint=Text("Keep the receipt, and ask the clean room's operator.", "请保留回执，并联系净室运营方。"),
            )
