"""The server of a data contract: in the words of ODCS, where the rows lie, and never who logs in there."""

import re
from collections.abc import Callable
from typing import Any

from open_data_contract_standard.model import SchemaObject, Server

from chengshu.catalog.place import ObjectFormat, ObjectPlace, Place, TablePlace, Technology
from chengshu.kernel.errors import Invalid

PORTS = {Technology.POSTGRESQL: 5432, Technology.MARIADB: 3306}
AWS = "https://s3.amazonaws.com"

TYPES = {
    "postgresql": Technology.POSTGRESQL,
    "postgres": Technology.POSTGRESQL,
    "mysql": Technology.MARIADB,
    "mariadb": Technology.MARIADB,
    "s3": Technology.S3,
}
_SERVER = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_LOCATION = re.compile(r"s3://([^/]+)/([^\x00-\x1f\x7f]{1,1000})")

Fault = Callable[[str, str, str], Invalid]
"""Makes the error of a path in the document, of what was expected there, and of what came."""


def place_of(server: Server | None, table: SchemaObject, *, fault: Fault) -> Place | None:
    """Return the place that a contract's server names; None where it names none that is read in place, so that a file must be given."""
    technology = None if server is None else TYPES.get((server.type or "").lower())
    if server is None or technology is None:
        return None
    reader = _Reader(server, fault)
    return reader.object() if technology is Technology.S3 else reader.table(technology, table.physicalName or table.name)


def server_of(place: Place) -> dict[str, Any]:
    """Return the members of a server that states ``place``; :func:`place_of` reads them back."""
    match place:
        case TablePlace():
            named = {"host": place.host, "port": place.port, "database": place.database}
            return {"server": place.server, "type": place.technology.value, **named, **({"schema": place.schema} if place.schema else {})}
        case ObjectPlace():
            where = {"location": f"s3://{place.bucket}/{place.key}", "endpointUrl": place.endpoint, "format": place.format.value}
            return {"server": place.server, "type": Technology.S3.value, **where}


class _Reader:
    def __init__(self, server: Server, fault: Fault) -> None:
        self._server = server
        self._fault = fault

    def table(self, technology: Technology, name: str | None) -> TablePlace:
        server, host = self._server, self._text("host", self._server.host, _HOST, "a host by name or address")
        port = PORTS[technology] if server.port is None else server.port
        if type(port) is not int or not 0 < port < 65536:
            raise self._fault("servers[0].port", "a port from 1 to 65535", "another value")
        database = self._text("database", server.database, _NAME, "the database's name")
        schema = (server.schema_ or "public") if technology is Technology.POSTGRESQL else None
        if schema is None and server.schema_:
            raise self._fault("servers[0].schema", "no schema: MariaDB's schemas are its databases", "one")
        if name is None or not _NAME.fullmatch(name):
            raise self._fault("schema[0].physicalName", "the name of one table or view", "another text")
        return TablePlace(self._name(), technology, host, port, database, schema, name)

    def object(self) -> ObjectPlace:
        location = self._text("location", self._server.location, _LOCATION, "s3://BUCKET/KEY of one object")
        bucket, key = location.removeprefix("s3://").split("/", 1)
        if not _BUCKET.fullmatch(bucket) or "*" in key:
            raise self._fault("servers[0].location", "s3://BUCKET/KEY of one object", "a pattern, or no bucket's name")
        endpoint = self._text("endpointUrl", self._server.endpointUrl or AWS, _ORIGIN, "an origin such as https://store.example:9000")
        try:
            kind = ObjectFormat((self._server.format or "").lower())
        except ValueError:
            raise self._fault("servers[0].format", f"one of {', '.join(ObjectFormat)}", "another format") from None
        return ObjectPlace(self._name(), endpoint.rstrip("/"), bucket, key, kind)

    def _name(self) -> str:
        return self._text("server", self._server.server, _SERVER, "a name of lower-case letters, digits, - and _")

    def _text(self, member: str, value: Any, form: re.Pattern[str], expected: str) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise self._fault(f"servers[0].{member}", expected, "nothing" if value is None else "another text")
        return value
