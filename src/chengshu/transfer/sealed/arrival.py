"""A product on its way into a clean room, over as many connections as it takes: what came whole is not asked for again."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from chengshu.kernel.canonical import Digests, RunningDigest
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text
from chengshu.transfer.sealed.frames import MEDIA_TYPE, SEAL_BYTES, Binding, Kind, broken, commitment, frames, too_large, unsealed


class Arrival:
    """One product of one job, written as an Arrow file of the node's disk that has no name: it is gone with this process, or at ``close``.

    One piece is in memory at a time.
    """

    media_type = MEDIA_TYPE

    def __init__(self, folder: Path, *, key: ExchangeKey, digests: Digests, limit_bytes: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by close
        self._key = key
        self._digests = digests
        self._limit = limit_bytes
        self._left = limit_bytes
        self._running = RunningDigest(digests)
        self._schema: pa.Schema | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._written = 0
        self._grant = ""
        self.pieces = 0
        self.is_whole = False

    @property
    def path(self) -> Path:
        """Where this process can open the file, and nobody who does not hold it (proc(5), /proc/self/fd)."""
        return Path(f"/proc/self/fd/{self._file.fileno()}")

    @property
    def public(self) -> bytes:
        """The key that the product is to be encrypted to."""
        return self._key.public

    @property
    def digest(self) -> str:
        """The digest of the pieces that came."""
        return self._running.digest()

    @property
    def commitment(self) -> str:
        """What came whole, under the digest of the grant under which the end of it came."""
        return commitment(self._digests, grant=self._grant, rows=self._written, digest=self.digest)

    def take(self, chunks: Iterable[bytes], *, job: str, product: str, token: str) -> None:
        """Take what comes on one connection, from where the last one broke off to the end.

        Raises Unavailable for a stream that ends early: what came before stays, and is asked for no more. Raises Tampered for frames that
        were not made for this key, job, product, grant and place, or that say another end than came, Invalid for what is no table and for
        more than the limit.
        """
        binding = Binding(job, product, self._digests.of_bytes(token.encode()))
        self._grant = binding.grant
        data_key: bytes | None = None
        for kind, body in frames(chunks, longest=self._left + SEAL_BYTES):
            if self.is_whole or (kind is Kind.KEY) == (data_key is not None):
                raise broken()
            if data_key is None:
                data_key = self._unwrapped(body, binding)
            elif kind is Kind.PIECE:
                self._keep(self._opened(data_key, body, kind, binding))
            else:
                self._finish(self._opened(data_key, body, kind, binding))
        if not self.is_whole:
            raise broken()

    def close(self) -> None:
        """Give the file back; nothing can open it then."""
        self._file.close()

    def _unwrapped(self, wrapped: bytes, binding: Binding) -> bytes:
        try:
            return self._key.unwrap(wrapped, context=binding.context(Kind.KEY, place=self.pieces))
        except Tampered as error:
            raise unsealed() from error

    def _opened(self, data_key: bytes, body: bytes, kind: Kind, binding: Binding) -> bytes:
        try:
            return self._digests.suite.open(data_key, body, context=binding.context(kind, place=self.pieces))
        except Tampered as error:
            raise unsealed() from error

    def _keep(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise too_large(self._limit)
        trouble = False
        try:
            self._write(piece)
        except (pa.ArrowException, ValueError, OSError):
            trouble = True  # left outside the handler: a foreign message may have cells in it
        if trouble:
            raise _no_table()
        self._running.take(piece)
        self.pieces += 1

    def _write(self, piece: bytes) -> None:
        for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(piece)):
            match message.type:
                case "schema" if self._schema is None:
                    self._schema = pa.ipc.read_schema(message)
                    self._writer = pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), self._schema)
                case "record batch" if self._schema is not None and self._writer is not None:
                    batch = pa.ipc.read_record_batch(message, self._schema)
                    batch.validate()
                    self._writer.write_batch(batch)
                    self._written += batch.num_rows
                case _:
                    raise ValueError("expected a schema, then batches of it")

    def _finish(self, end: bytes) -> None:
        said = json.loads(end)  # sealed by the holder, and small
        if said != {"pieces": self.pieces, "rows": self._written, "digest": self.digest} or self._writer is None:
            raise _other_end()
        self._writer.close()
        self._file.flush()
        self.is_whole = True


def _no_table() -> Invalid:
    return Invalid(
        "transfer.no-table",
        "expected the pieces of one Arrow stream, got other bytes",
        hint=Text("Ask the holder's operator.", "请联系持有方的运营人员。"),
    )


def _other_end() -> Tampered:
    return Tampered(
        "transfer.other-end",
        "expected the stream that its holder says it sent, got other pieces",
        hint=Text("Ask the holder's operator; sign a new job then.", "请联系持有方的运营人员，然后签署新的作业。"),
    )
