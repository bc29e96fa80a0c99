"""Where a PostgreSQL database is, who logs in there and with what: read from one URL, the password never from a settings file."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

SCHEME = "postgresql+pg8000"
FORM = f"{SCHEME}://USER@HOST:5432/DATABASE"
PORT = 5432
Tls = Literal["disable", "require", "verify-full"]

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_CHOICES = ("schema", "sslmode", "sslrootcert", "unix_sock")


@dataclass(frozen=True, slots=True)
class Place:
    """One schema of one database of one server; ``password`` is in no text of it."""

    user: str
    host: str
    port: int
    database: str
    schema: str
    tls: Tls = "verify-full"
    authority: str | None = None
    """The file with the certificates to trust, instead of the system's."""

    socket: str | None = None
    """The server's socket in the file system, instead of host and port."""

    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        where = self.socket or f"{self.host}:{self.port}"
        return f"PostgreSQL database {self.database} at {where}, schema {self.schema}"


def place_of(url: str, *, schema: str) -> Place:
    """Return the place that a URL names; ``schema`` is the one where the URL names none. Raises Invalid, without the URL in its words."""
    try:
        parts = urlsplit(url)
        port, query = parts.port or PORT, parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _invalid("a URL that cannot be read") from error
    if parts.scheme not in {SCHEME, "postgresql"}:
        raise _invalid(f"the scheme {parts.scheme!r}" if parts.scheme else "no scheme")
    chosen = dict(query)
    unknown = [name for name in chosen if name not in _CHOICES]
    if unknown or len(chosen) != len(query):
        raise _invalid(f"the parameter {unknown[0]!r}" if unknown else "a parameter twice")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not user or not database:
        raise _invalid("no user" if not user else "no database")
    host = parts.hostname or "localhost"
    place = Place(user, host, port, database, schema=_schema(chosen.get("schema", schema)), socket=chosen.get("unix_sock"))
    password = None if parts.password is None else unquote(parts.password)
    tls = _tls(chosen.get("sslmode"), is_near=place.socket is not None or _is_loopback(host))
    return replace(place, tls=tls, authority=chosen.get("sslrootcert"), password=password)


def without_password(url: str) -> tuple[str, str | None]:
    """Part a URL into what may be written down and the password, if it holds one."""
    head, at, tail = url.partition("@")
    scheme, slashes, login = head.partition("://")
    user, colon, password = login.partition(":")
    if not (at and slashes and colon):
        return url, None
    return f"{scheme}://{user}@{tail}", unquote(password)


def password_for(place: Place, *, secret_file: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the password to log in with, from the first that has one; None where none has, as with peer or trust authentication.

    The URL itself (from the environment, never from a settings file) · ``secret_file`` · ``PGPASSWORD`` · the file that ``PGPASSFILE``
    names, else ``~/.pgpass`` (PostgreSQL's documentation, 34.16 "The Password File").
    """
    if place.password is not None:
        return place.password
    if secret_file.exists():
        return secret_file.read_text(encoding="utf-8").strip("\r\n")
    if "PGPASSWORD" in environment:
        return environment["PGPASSWORD"]
    path = Path(environment.get("PGPASSFILE") or Path.home() / ".pgpass")
    return _from_pgpass(path, place) if path.is_file() else None


def _from_pgpass(path: Path, place: Place) -> str | None:
    """The password of the first line that fits; a file that others may read is ignored, as PostgreSQL's own programs do."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return None
    wanted = ("localhost" if place.socket else place.host, str(place.port), place.database, place.user)
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:^|:)((?:[^:\\]|\\.)*)", line)]
        if line.startswith("#") or len(fields) != len(wanted) + 1:
            continue
        if all(field in {"*", value} for field, value in zip(fields, wanted, strict=False)):
            return fields[-1]
    return None


def _schema(name: str) -> str:
    if not _SCHEMA.fullmatch(name) or name.startswith("pg_"):
        raise _invalid("a schema that is not 1 to 63 lower-case letters, digits and _, or that begins with pg_")
    return name


def _tls(mode: str | None, *, is_near: bool) -> Tls:
    match mode:
        case None:
            return "disable" if is_near else "verify-full"
        case "disable" | "require" | "verify-full":
            return mode
        case _:
            raise _invalid("an sslmode other than disable, require and verify-full")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _invalid(got: str) -> Invalid:
    return Invalid(
        "database.url",
        f"expected {FORM}, perhaps with ?{'=…&'.join(_CHOICES)}=…, got {got}",
        hint=Text(
            "Mend 'url' under [database] in chengshu.toml, or CHENGSHU_DATABASE_URL; without either, the node keeps SQLite in its folder.",
            "请修正 chengshu.toml 中 [database] 的 url 或环境变量 CHENGSHU_DATABASE_URL；两者都不设置时，节点使用自己目录中的 SQLite。",
        ),
    )
