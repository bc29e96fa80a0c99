"""Which adapter reads a product: by the file that is given, or by the place that its contract names."""

from pathlib import Path

from chengshu.catalog.inference import infer_table
from chengshu.catalog.model import DataContract
from chengshu.catalog.place import ObjectPlace, TablePlace, Technology
from chengshu.catalog.ports import Found, Source
from chengshu.catalog.sources.access import Accesses
from chengshu.catalog.sources.local import LocalFile
from chengshu.catalog.sources.mariadb import MariaDBTables
from chengshu.catalog.sources.postgresql import PostgreSQLTables
from chengshu.catalog.sources.s3 import S3Source, inferred_object
from chengshu.catalog.sources.sql import Tables, TableSource
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_EITHER = Text(
    "Give a file, or a data contract whose server is of type postgresql, mysql or s3; never both.",
    "请提供文件，或服务器类型为 postgresql、mysql 或 s3 的数据合同；二者只取其一。",
)


class PlacesOfRows:
    """Every technology that this node reads products from.

    ``within`` is the only folder that files may lie in, where there is one; ``spool`` is where rows wait on the disk, the system's folder
    for temporary files where it is None; ``access`` is the operator's file of places, without which none is read.
    """

    def __init__(self, digests: Digests, *, within: Path | None = None, spool: Path | None = None, access: Path | None = None) -> None:
        self._digests = digests
        self._within = within
        self._spool = spool
        self._accesses = Accesses(access)

    def of(self, contract: DataContract, file: Path | None) -> Source:
        """Return the place of a contract's rows."""
        match contract.place, file:
            case None, Path():
                return LocalFile(file, contract, digests=self._digests, within=self._within)
            case TablePlace() as place, None:
                return TableSource(place, contract, tables=self._tables(place), digests=self._digests, spool=self._spool)
            case ObjectPlace() as place, None:
                return S3Source(place, contract, access=self._accesses.object(place), digests=self._digests, spool=self._spool)
            case _:
                got = "neither" if file is None else "both"
                raise Invalid("source.which", f"expected a file or a contract that names a place, got {got}", hint=_EITHER)

    def inferred(self, server: str, name: str, *, owner: str) -> DataContract:
        """Return a contract for a table or view (``name`` or ``schema.name``), or an object by its key."""
        place = self._accesses.place(server, name)
        match place:
            case TablePlace():
                with self._tables(place).snapshot() as snapshot:
                    found = [Found(column.name, column.type, column.becomes) for column in snapshot.columns()]
                    return infer_table(place, found, key=snapshot.key(), owner=owner)
            case ObjectPlace():
                return inferred_object(place, access=self._accesses.object(place), spool=self._spool, digests=self._digests, owner=owner)

    def _tables(self, place: TablePlace) -> Tables:
        access = self._accesses.table(place)
        return (
            MariaDBTables(place, access) if place.technology is Technology.MARIADB else PostgreSQLTables(place, access, spool=self._spool)
        )
