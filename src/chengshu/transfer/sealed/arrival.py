"""A product on its way into a clean room, over as many connections as it takes: what came whole is not asked for again."""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu.kernel.canonical import Digests, RunningDigest
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.crypto.suite import SEAL_BYTES
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text
from chengshu.transfer.sealed.frames import Binding, Form, Kind, Line, broken, commitment, frames, too_large, unsealed
from chengshu.transfer.sealed.packing import unpacked


class Arrival:
    """One product of one job, written as an Arrow file of the node's disk that has no name: it is gone with this process, or at ``close``.

    One piece is in memory at a time, as it came and as it was before it was sealed.
    """

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
        self._form = Form.PLAIN
        self._opening = memoryview(bytearray())
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
    def media_types(self) -> list[str]:
        """What is taken: in either form at first, in the one that the product began to come in after that."""
        return [form.value for form in (Form if self.pieces == 0 else [self._form])]

    def asking(self) -> dict[str, Any]:
        """Return what the message to the holder says, apart from the token: the key, the form, and how much is here already."""
        key = {"key": base64.b64encode(self.public).decode()}
        if self.pieces == 0:
            return {**key, **Form.PLAIN.request}
        return {**key, **self._form.request, "after": {"pieces": self.pieces, "digest": self.digest}}

    @property
    def digest(self) -> str:
        """The digest of the pieces that came."""
        return self._running.digest()

    @property
    def commitment(self) -> str:
        """What came whole, under the digest of the grant under which the end of it came."""
        return commitment(self._digests, grant=self._grant, rows=self._written, digest=self.digest)

    def take(self, line: Line, *, media_type: str, job: str, product: str, token: str) -> None:
        """Take what comes on one connection, in the form that one of ``media_types`` names, from where the last one broke off to the end.

        Raises Unavailable for a stream that ends early: what came before stays, and is asked for no more. Raises Tampered for frames that
        were not made for this key, job, product, grant and place, or that say another end than came, Invalid for what is no table and for
        more than the limit.
        """
        binding = Binding(job, product, self._digests.of_bytes(token.encode()))
        self._grant = binding.grant
        self._form = Form(media_type)
        data_key: bytes | None = None
        for kind, body in frames(line, longest=self._left + SEAL_BYTES):
            if self.is_whole or (kind is Kind.KEY) == (data_key is not None):
                raise broken()
            if data_key is None:
                data_key = self._unwrapped(bytes(body), binding)
            elif kind is Kind.END:
                self._finish(bytes(self._opened(data_key, body, kind, binding)))
            else:
                self._keep(self._opened(data_key, body, kind, binding), is_packed=kind is Kind.PACKED)
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

    def _opened(self, data_key: bytes, body: memoryview, kind: Kind, binding: Binding) -> memoryview:
        """What is in a frame's body; its memory is that of the next one's."""
        length = len(body) - SEAL_BYTES
        if length < 0:
            raise unsealed()
        if length > len(self._opening):
            self._opening = memoryview(bytearray(length))
        opened = self._opening[:length]
        try:
            self._digests.suite.open_into(data_key, body, opened, context=binding.context(kind, place=self.pieces))
        except Tampered as error:
            raise unsealed() from error
        return opened

    def _keep(self, body: memoryview, *, is_packed: bool) -> None:
        trouble = False
        try:
            piece = unpacked(body, longest=self._left) if is_packed else body
            self._left -= len(piece)
            if self._left < 0:
                raise too_large(self._limit)
            self._write(piece)
        except (pa.ArrowException, ValueError, OSError):
            trouble = True  # left outside the handler: a foreign message may have cells in it
        if trouble:
            raise _no_table()
        self._running.take(piece)
        self.pieces += 1

    def _write(self, piece: memoryview) -> None:
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
