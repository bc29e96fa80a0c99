"""Which database a node is kept by: PostgreSQL where a URL says so, otherwise SQLite in the node's folder."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from chengshu.kernel.database import Database
from chengshu.kernel.databases.postgresql import PostgreSQL
from chengshu.kernel.databases.postgresql_place import password_for, place_of
from chengshu.kernel.databases.sqlite import SQLite


def database_of(url: str | None, *, file: Path, secret_file: Path, owner: str) -> Database:
    """Return the database at ``url``, or the one in ``file`` where there is none; nothing is opened yet.

    On a server each node has a schema of its own: the URL's, else one named for its ``owner`` (handle and id), so that nodes with the same
    handle do not meet. ``secret_file`` may hold the password. Raises Invalid for a URL that names no place.
    """
    if url is None:
        return Database(SQLite(file))
    place = place_of(url, schema=f"node_{owner.split(maxsplit=1)[0][:49]}_{sha256(owner.encode()).hexdigest()[:8]}")
    return Database(PostgreSQL(replace(place, password=password_for(place, secret_file=secret_file))))
