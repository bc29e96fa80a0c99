"""The bytes that come in through data flows: pulled from a provider into a file, or pushed by one to an endpoint of this node."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests, RunningDigest, plain
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.text import Text
from chengshu.transfer.flow import store
from chengshu.transfer.flow.model import DataFlow, Direction, FlowState, endpoint_of
from chengshu.transfer.flow.ports import Carrier
from chengshu.transfer.flow.renewals import Held, Renewals
from chengshu.transfer.flow.service import is_lasting, unknown_flow
from chengshu.transfer.ports import Evidence
from chengshu.transfer.streams.encodings import ENCODINGS, Encoding, encoding_of

ANY = ", ".join(one.media_type for one in ENCODINGS)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came: where it is kept, its size, its digest and the form that its sender says it has."""

    path: Path
    size: int
    digest: str
    media_type: str | None


class Receptions:
    """Takes in what others deliver, each product whole or not at all, in bounded memory and up to a limit of bytes."""

    def __init__(
        self,
        database: Database,
        *,
        carrier: Carrier,
        renewals: Renewals,
        evidence: Evidence,
        digests: Digests,
        folder: Path,
        limit_bytes: int,
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._renewals = renewals
        self._evidence = evidence
        self._digests = digests
        self._folder = folder
        self._limit = limit_bytes

    def fetch(self, flow_id: str, into: Path, *, encoding: Encoding | None = None) -> Receipt:
        """Pull what a started flow's provider gives into the file ``into``; its log entry has the digest.

        A token that has ended, before or in the middle, is renewed, and the product pulled once more from its beginning.

        Raises NotFound for an unknown flow, Conflict where there is nothing to pull from now, Denied and Unavailable as the provider
        answers, Unavailable for a stream that ends early, and as :meth:`Renewals.renew` does; no file is left then.
        """
        with self._database.read() as tx:
            flow = store.get(tx, flow_id)
            sealed = None if flow is None else store.get_address(tx, flow_id)
        if flow is None:
            raise unknown_flow()
        if flow.state is not FlowState.STARTED or flow.direction is not Direction.PULL or flow.gives_address or sealed is None:
            raise _nothing_to_pull(flow)
        held = self._renewals.current(flow)
        try:
            return self._fetched(flow, held, into, encoding)
        except (Denied, Unavailable) as error:
            if not self._renewals.mends(held, error):
                raise
        return self._fetched(flow, self._renewals.renew(flow, held), into, encoding)

    def _fetched(self, flow: DataFlow, held: Held, into: Path, encoding: Encoding | None) -> Receipt:
        endpoint = endpoint_of(held.document)
        part = _Part(into, digests=self._digests, limit=self._limit)
        try:
            accept = encoding.media_type if encoding is not None else ANY
            with self._carrier.pull(flow.names_endpoint, endpoint, accept=accept) as incoming:
                for chunk in incoming.chunks:
                    part.write(chunk)
                media_type = incoming.media_type
            return self._kept(flow, part.finish(media_type))
        finally:
            part.discard()

    def receive(self, flow_id: str, token: str, *, media_type: str | None) -> "Reception":
        """Begin to take a push; the caller writes every chunk, then calls ``finish``, and MUST call ``close``.

        A repeat of a push that was taken whole is taken again and not kept: its sender did not hear that it came. Raises NotFound for a
        token that is not the flow's, Unavailable for a flow that is suspended, and Denied for one that has ended.
        """
        with self._database.read() as tx:
            flow = store.find_by_token(tx, flow_id, token_digest=self._digests.of_bytes(token.encode()))
            taken = flow is not None and store.get_pushed(tx, flow_id) is not None
        if flow is None or flow.direction is not Direction.PUSH or not flow.gives_address:
            raise unknown_flow()
        if flow.state not in {FlowState.PREPARED, FlowState.STARTED}:
            raise _not_now(flow)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = _Part(self._place(flow_id, media_type), digests=self._digests, limit=self._limit)
        return Reception(self, flow, part, media_type=media_type, is_repeat=taken and not is_lasting(flow))

    def received(self, flow_id: str) -> Path:
        """Return the file that a push was kept in; raise NotFound where none came yet."""
        for encoding in (None, *ENCODINGS):
            path = self._place(flow_id, None if encoding is None else encoding.media_type)
            if path.is_file():
                return path
        raise NotFound(
            "transfer.nothing-received",
            "expected a product that was pushed here, got none yet",
            hint=Text("Look at the transfer's standing.", "请查看该传输的当前状态。"),
        )

    def keep(self, flow: DataFlow, receipt: Receipt) -> Receipt:
        """Record that a pushed product came whole."""
        return self._kept(flow, receipt)

    def _kept(self, flow: DataFlow, receipt: Receipt) -> Receipt:
        order = flow.order
        body = {
            "transfer": flow.id,
            "product": order.product,
            "agreement": order.agreement,
            "provider": order.counterparty,
            "bytes": receipt.size,
            "data_digest": receipt.digest,
        }
        with self._database.write() as tx:
            _save_came(tx, flow, receipt)
            self._evidence.append(tx, "delivery.received", flow.id, body)
        return receipt

    def _place(self, flow_id: str, media_type: str | None) -> Path:
        encoding = encoding_of(media_type)
        name = plain(self._digests.of_bytes(flow_id.encode()))[:32]
        return self._folder / f"{name}.{encoding.suffix if encoding is not None else 'bin'}"


class Reception:
    """A push on its way in."""

    def __init__(self, receptions: Receptions, flow: DataFlow, part: "_Part", *, media_type: str | None, is_repeat: bool) -> None:
        self._receptions = receptions
        self._flow = flow
        self._part = part
        self._media_type = media_type
        self._is_repeat = is_repeat

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; raise Invalid above the limit."""
        self._part.write(chunk)

    def finish(self) -> Receipt:
        """Keep what came whole and return its receipt."""
        if self._is_repeat:
            return self._part.receipt(self._media_type)
        return self._receptions.keep(self._flow, self._part.finish(self._media_type))

    def close(self) -> None:
        """Leave nothing behind of a push that did not come whole."""
        self._part.discard()


class _Part:
    """A file that is there under its own name only once it is whole."""

    def __init__(self, path: Path, *, digests: Digests, limit: int) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        self._file: BinaryIO | None = self._part.open("xb")
        self._running = RunningDigest(digests)
        self._limit = limit
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit or self._file is None:
            raise Invalid(
                "transfer.too-large",
                f"expected a product of at most {self._limit} bytes, got more",
                hint=Text("Publish a smaller product.", "请发布更小的产品。"),
            )
        for piece in self._running.over(_one(chunk)):
            self._file.write(piece)

    def receipt(self, media_type: str | None) -> Receipt:
        return Receipt(self._path, self._size, self._running.digest(), media_type)

    def finish(self, media_type: str | None) -> Receipt:
        self._close()
        try:
            self._part.replace(self._path)
        except OSError as error:
            raise Unavailable(
                "transfer.not-kept",
                f"expected to keep {self._path.name}, got a failure of the system ({error.strerror})",
                hint=Text("Check the folder and the free space.", "请检查目录与可用空间。"),
            ) from error
        return self.receipt(media_type)

    def discard(self) -> None:
        self._close()
        self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _one(chunk: bytes) -> Iterator[bytes]:
    yield chunk


def _save_came(tx: Connection, flow: DataFlow, receipt: Receipt) -> None:
    if flow.direction is Direction.PUSH:
        store.save_pushed(tx, flow.id, version=receipt.digest)


def _not_now(flow: DataFlow) -> ChengshuError:
    """A suspended flow may be resumed, so that its sender is to try again; one that has ended takes nothing more."""
    kind = Unavailable if flow.state is FlowState.SUSPENDED else Denied
    return kind(
        "transfer.not-started",
        f"expected a started data flow, got one in state {flow.state}",
        hint=Text("Push again after the transfer was resumed.", "请在传输恢复后再次推送。"),
    )


def _nothing_to_pull(flow: DataFlow) -> Conflict:
    return Conflict(
        "transfer.nothing-to-pull",
        f"expected a started pull whose provider named its address, got a {flow.direction} in state {flow.state}",
        hint=Text("Look at the transfer's standing.", "请查看该传输的当前状态。"),
    )
