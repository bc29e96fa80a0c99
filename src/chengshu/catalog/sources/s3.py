"""Products in one object of an S3-compatible store: fetched whole, by pieces, and known by the digest of its bytes.

An object may be replaced while it is fetched, piece by piece: its entity tag, version and size are asked for before and after, and must be
the same. Arrow's own client speaks the protocol; its words, which may hold keys and addresses, are read for their codes only.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import DataContract
from chengshu.catalog.place import ObjectFormat, ObjectPlace
from chengshu.catalog.ports import Found, Held, Rows
from chengshu.catalog.sources.access import ObjectAccess, allowed, no_login, unavailable, untrusted
from chengshu.catalog.sources.cells import arrow_schema, types_for
from chengshu.catalog.sources.faults import LOOK, NEW_VERSION, fault
from chengshu.catalog.sources.files import FileSource
from chengshu.catalog.sources.local import columns_of
from chengshu.catalog.sources.spool import nameless, path_of, spooled
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import ChengshuError, Conflict, Denied
from chengshu.kernel.text import Text

PIECE_BYTES = 1 << 20
ATTEMPTS = 3
_AWS = re.compile(r"AWS Error ([A-Z_]+)")
_CURL_TRUST = re.compile(r"curlCode: (35|51|58|60|77|83|90|91)\b")
"""libcurl's codes for certificates and handshakes that fail (libcurl-errors(3))."""

_LOGIN = {
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "INVALID_CLIENT_TOKEN_ID",
    "INVALID_SIGNATURE",
    "UNRECOGNIZED_CLIENT",
    "EXPIRED_TOKEN",
}
_GRANT = Text(
    "Have the store's administrator allow s3:GetObject on it with these keys.", "请存储管理员为这组密钥开放该对象的 s3:GetObject 权限。"
)


class S3Source:
    """One object, as one contract says."""

    def __init__(self, place: ObjectPlace, contract: DataContract, *, access: ObjectAccess, digests: Digests, spool: Path | None) -> None:
        self.name = str(place)
        self._place = place
        self._contract = contract
        self._access = access
        self._digests = digests
        self._spool = spool

    def columns(self) -> tuple[Found, ...]:
        """Return the object's columns: from the end of a Parquet object, of another from the whole of it."""
        if self._place.format is ObjectFormat.PARQUET:
            with self._translated(), self._store().open_input_file(self._path) as file:
                return tuple(Found(field.name, str(field.type), types_for(field.type)) for field in pq.read_schema(file))
        with nameless(self._spool) as file:
            self.fetch(file)
            return columns_of(self._file(file), path_of(file), self._contract)

    def read(self, *, published: str | None = None) -> Held:
        """Return the object's rows; raise Conflict where its bytes are not the published ones, or change while they come."""
        with nameless(self._spool) as file:
            digest = self.fetch(file)
            if published is not None and digest != published:
                raise self._changed("the object as published, got one with another digest")
            source = self._file(file)
            extra = source.extra_columns()
            table = spooled(source.batches(), arrow_schema(self._contract), folder=self._spool)
        if table.num_rows == 0:
            raise fault(self.name, "empty", expected="at least one row", got="none", hint=LOOK)
        return Held(table, extra, digest)

    def passing(self, *, published: str, columns: Collection[str] | None) -> Rows | None:
        """Return None: rows are handed on only once the last one is here."""
        del published, columns
        return None

    @property
    def _path(self) -> str:
        return f"{self._place.bucket}/{self._place.key}"

    def _file(self, file: IO[bytes]) -> FileSource:
        source = FileSource(path_of(file), self._contract, name=self.name)
        source.check_file()
        if source.is_parquet() != (self._place.format is ObjectFormat.PARQUET):
            raise fault(self.name, "unreadable", expected=self._place.format.value, got="content of another format", hint=LOOK)
        return source

    def fetch(self, file: IO[bytes]) -> str:
        """Write the object into a file and return the digest of its bytes."""
        store = self._store()
        with self._translated(), store.open_input_stream(self._path) as stream:
            before = _identity(stream)
            digest = self._digests.of_pieces(_kept(stream, file))
        file.flush()
        with self._translated(), store.open_input_stream(self._path) as stream:
            after = _identity(stream)
        if before != after:
            raise self._changed("an object that stays as it is while it is read, got one that was replaced")
        return digest

    def _store(self) -> Any:
        from pyarrow import fs  # noqa: PLC0415  # it starts Arrow's S3 client, which few commands need

        access, endpoint = self._access, urlsplit(self._place.endpoint)
        allowed(endpoint.hostname or "", endpoint.port or (443 if endpoint.scheme == "https" else 80), name=self.name)
        keys = [None if one is None else one.get_secret_value() for one in (access.access_key, access.secret_key, access.session_token)]
        return fs.S3FileSystem(
            access_key=keys[0],
            secret_key=keys[1],
            session_token=keys[2],
            anonymous=keys[0] is None,
            region=access.region,
            scheme=endpoint.scheme,
            endpoint_override=endpoint.netloc,
            tls_ca_file_path=access.certificates,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        )

    def _changed(self, words: str) -> Conflict:
        return Conflict("product.changed", f"{self.name}: expected {words}", hint=NEW_VERSION, facts={"source": self.name})

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            failure = error
        else:
            return
        raise self._told(failure) from None

    def _told(self, error: OSError) -> ChengshuError:
        words = str(error)
        code = found[1] if (found := _AWS.search(words)) else ""
        if isinstance(error, FileNotFoundError):
            return fault(self.name, "missing-table", expected="an object of that name", got="none", hint=LOOK)
        if _CURL_TRUST.search(words):
            return untrusted(self.name)
        if code in _LOGIN:
            return no_login(self.name)
        if code == "ACCESS_DENIED":  # what a store says of unknown keys too, where it is asked for an object's head
            return Denied(
                "source.rights",
                f"{self.name}: expected to be let in and to read it, got a refusal",
                hint=_GRANT,
                facts={"source": self.name},
            )
        return unavailable(self.name, f"{code or 'a failure'} of the store")


def inferred_object(place: ObjectPlace, *, access: ObjectAccess, digests: Digests, spool: Path | None, owner: str) -> DataContract:
    """Return a contract for one object, which is read whole: nothing else tells the types of a CSV."""
    blank = DataContract("object", "1.0.0", "object", Text("object", "对象"), owner, "", ())
    with nameless(spool) as file:
        S3Source(place, blank, access=access, digests=digests, spool=spool).fetch(file)
        return replace(infer_contract(path_of(file), owner=owner, name=place.key.rpartition("/")[2]), place=place)


def _identity(stream: Any) -> tuple[object, ...]:
    told = stream.metadata()
    return tuple(told.get(name) for name in ("ETag", "VersionId", "Content-Length", "Last-Modified"))


def _kept(stream: Any, file: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        file.write(piece)
        yield piece
