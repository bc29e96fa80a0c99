"""Where a product's rows lie when they are in no file of this node: what a data contract's server states, never a secret."""

from dataclasses import dataclass
from enum import StrEnum


class Technology(StrEnum):
    """The technologies that products are read from in place, by the words of ODCS for types of servers; MariaDB's is MySQL's."""

    POSTGRESQL = "postgresql"
    MARIADB = "mysql"
    S3 = "s3"


class ObjectFormat(StrEnum):
    """What one object of an S3-compatible store holds."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class TablePlace:
    """One table or view of one database; ``server`` is the name under which its operator keeps who logs in there.

    ``schema`` is None where the database itself is the schema, as MariaDB's are.
    """

    server: str
    technology: Technology
    host: str
    port: int
    database: str
    schema: str | None
    table: str

    def __str__(self) -> str:
        return f"{f'{self.schema}.' if self.schema else ''}{self.table} at {self.server}"


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """One object of one bucket of an S3-compatible store; ``endpoint`` is its origin, such as ``https://store.example:9000``."""

    server: str
    endpoint: str
    bucket: str
    key: str
    format: ObjectFormat

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key} at {self.server}"


Place = TablePlace | ObjectPlace
