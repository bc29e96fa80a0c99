"""The places that a node's operator has named, and who logs in there: one file in ``keys/``, readable by its owner only.

This file is the leave to connect, and the only one. A data contract names a server by its name here, and host, port and database (or
endpoint and bucket) that MUST be the ones here: whoever writes contracts can neither send this node anywhere else nor send a password
to another host. What the operator names may lie on the local network. Link-local and multicast addresses, where clouds keep their
metadata services, are not called whoever names them (:mod:`chengshu.kernel.outgoing`).
"""

import socket
import ssl
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from chengshu.catalog.place import ObjectFormat, ObjectPlace, Place, TablePlace, Technology
from chengshu.catalog.servers import AWS, PORTS
from chengshu.kernel.errors import Denied, Invalid, Unavailable, in_words
from chengshu.kernel.outgoing import Outgoing, is_loopback
from chengshu.kernel.secret_files import others_may_read
from chengshu.kernel.text import Text

FILE_NAME = "sources.toml"
CONNECT_S = 10.0

_FORMATS = {"csv": ObjectFormat.CSV, "txt": ObjectFormat.CSV, "json": ObjectFormat.JSON, "geojson": ObjectFormat.JSON}

_NAME_IT = Text(
    "The node's operator names the place in keys/sources.toml (mode 0600); see the reference of data contracts.",
    "须由节点运营者在 keys/sources.toml（权限 0600）中写明该数据源；见数据契约参考文档。",
)
_MEND = Text("Correct keys/sources.toml in the node's folder.", "请修正节点目录中的 keys/sources.toml。")
_START = Text(
    "See that the server runs and can be reached from here; what waits for it is tried again.",
    "请确认数据源正在运行且可从本机访问；等待它的工作会自动重试。",
)
_TRUST = Text(
    'Name the file with the authority\'s certificate in keys/sources.toml: certificates = "FILE".',
    '请在 keys/sources.toml 中用 certificates = "文件" 指定签发机构的证书。',
)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    certificates: str | None = None


class TableAccess(_Entry):
    """A database: who logs in; off this machine, over TLS with a checked certificate, unless the operator says otherwise."""

    type: Literal["postgresql", "postgres", "mysql", "mariadb"]
    host: str
    port: int | None = None
    database: str
    user: str
    password: SecretStr = SecretStr("")
    tls: Literal["verify-full", "disable"] | None = None

    @property
    def technology(self) -> Technology:
        """What kind of database it is."""
        return Technology.POSTGRESQL if self.type.startswith("postgres") else Technology.MARIADB

    def context(self) -> ssl.SSLContext | None:
        """Return what checks the server's certificate and its name; None where the connection is not encrypted."""
        if self.tls == "disable" or (self.tls is None and is_loopback(self.host)):
            return None
        return _context(self.certificates)


class ObjectAccess(_Entry):
    """A bucket of an S3-compatible store; without keys it is read as anybody may."""

    type: Literal["s3"]
    endpoint: str = AWS
    bucket: str
    region: str = "us-east-1"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    session_token: SecretStr | None = None
    tls: Literal["verify-full", "disable"] | None = None

    @property
    def may_be_plain(self) -> bool:
        """Whether the store may be spoken to over http: on this machine, or where the operator says so."""
        return self.tls == "disable" or (self.tls is None and is_loopback(urlsplit(self.endpoint).hostname or ""))


Access = Annotated[TableAccess | ObjectAccess, Field(discriminator="type")]
_FILE: TypeAdapter[dict[str, Access]] = TypeAdapter(dict[str, Access])


class Accesses:
    """The operator's file, read again at each use; None where the node has no such place."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def table(self, place: TablePlace) -> TableAccess:
        """Return how to log in to a database; raise Denied for one that the operator has not named exactly so."""
        entry = self._entry(place)
        if not isinstance(entry, TableAccess):
            raise _not_named(place, "a database", server=place.server)
        named = (entry.technology, entry.host.lower(), entry.port or PORTS[entry.technology], entry.database)
        if named != (place.technology, place.host.lower(), place.port, place.database):
            raise _not_named(place, "the type, host, port and database", server=place.server)
        return entry

    def object(self, place: ObjectPlace) -> ObjectAccess:
        """Return how to read a bucket; raise Denied for one that the operator has not named exactly so."""
        entry = self._entry(place)
        if not isinstance(entry, ObjectAccess):
            raise _not_named(place, "a bucket", server=place.server)
        if (entry.endpoint.rstrip("/").lower(), entry.bucket) != (place.endpoint.lower(), place.bucket):
            raise _not_named(place, "the endpoint and bucket", server=place.server)
        if place.endpoint.startswith("http:") and not entry.may_be_plain:
            raise _wrong(f'https at {place.server}, which is not on this machine (tls = "disable" does without)', "http")
        return entry

    def place(self, server: str, name: str) -> Place:
        """Return what is called ``name`` at a server that the operator named: ``schema.table``, ``table`` or an object's key."""
        entry = self._named(server, server)
        if isinstance(entry, ObjectAccess):
            kind = _FORMATS.get(name.rpartition(".")[2].lower(), ObjectFormat.PARQUET)
            return ObjectPlace(server, entry.endpoint.rstrip("/"), entry.bucket, name, kind)
        if entry.technology is Technology.MARIADB:
            return TablePlace(server, entry.technology, entry.host, entry.port or PORTS[entry.technology], entry.database, None, name)
        schema, dot, table = name.partition(".")
        schema, table = (schema, table) if dot else ("public", name)
        return TablePlace(server, entry.technology, entry.host, entry.port or PORTS[entry.technology], entry.database, schema, table)

    def _entry(self, place: Place) -> TableAccess | ObjectAccess:
        return self._named(place.server, place)

    def _named(self, server: str, place: Place | str) -> TableAccess | ObjectAccess:
        found = {} if self._path is None or not self._path.is_file() else _read(self._path)
        if server not in found:
            raise _not_named(place, "the server", server=server)
        return found[server]


def connected(host: str, port: int, *, name: str, silence_s: float) -> socket.socket:
    """Return a connection to a host that the operator named; raise Denied for a link-local or multicast address, Unavailable for none.

    The address that was checked is the one that is called. ``silence_s`` is how long the server may say nothing.
    """
    addresses = allowed(host, port, name=name)
    failure: OSError | None = None
    for address in addresses:
        try:
            near = socket.create_connection((address, port), timeout=CONNECT_S)
        except OSError as error:
            failure = error
            continue
        near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        near.settimeout(silence_s)
        return near
    raise unavailable(name, "no address" if failure is None else in_words(failure)) from failure


def allowed(host: str, port: int, *, name: str) -> list[str]:
    """Return the addresses of a host that the operator named; raise Denied for a link-local or multicast one, Unavailable for none."""
    try:
        return Outgoing(development=True).addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise unavailable(name, "no address of that name") from error


def unavailable(name: str, got: str) -> Unavailable:
    """Say that a place does not answer, or not any more."""
    return Unavailable("source.unavailable", f"{name}: expected it to answer to the end, got {got}", hint=_START, facts={"source": name})


def untrusted(name: str) -> Unavailable:
    """Say that a server's certificate is not to be trusted."""
    message = f"{name}: expected TLS with a certificate for that host from an authority that is trusted, got none"
    return Unavailable("source.certificate", message, hint=_TRUST, facts={"source": name})


def no_login(name: str) -> Unavailable:
    """Say that a server does not let this node in."""
    message = f"{name}: expected to be let in, got a refusal of the user, the password or the keys"
    return Unavailable("source.login", message, hint=_MEND, facts={"source": name})


def _read(path: Path) -> dict[str, Access]:
    if others_may_read(path):
        raise _wrong("a file that its owner alone may read (chmod 600)", "one that others may read")
    try:
        return _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        problem = f"{first['type']} at {'.'.join(str(part) for part in first['loc'][:1] + first['loc'][2:])}"
    except (OSError, ValueError):  # its words may hold a line of the file
        problem = "another text"
    raise _wrong("TOML with a table for each server, as in the reference", problem)


def _context(certificates: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates)
    except (OSError, ssl.SSLError) as error:
        raise _wrong("certificates to name a PEM file with certificates", in_words(error)) from error


def _wrong(expected: str, got: str) -> Invalid:
    return Invalid("source.access", f"keys/{FILE_NAME}: expected {expected}, got {got}", hint=_MEND)


def _not_named(place: Place | str, what: str, *, server: str) -> Denied:
    return Denied(
        "source.not-named",
        f"{place}: expected {what} that this node's operator names as {server} in keys/{FILE_NAME}, got another",
        hint=_NAME_IT,
        facts={"server": server},
    )
