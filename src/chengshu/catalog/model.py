"""What is true of data contracts, products and quality reports: frozen values, no file and no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from chengshu.catalog.place import Place
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Language, Text


class LogicalType(StrEnum):
    """The logical types of ODCS that a column of ours may have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    ARRAY = "array"


class Role(StrEnum):
    """What a query may do with a column; ``HIDDEN``, the default, means nothing at all."""

    KEY = "key"
    GROUP = "group"
    FILTER = "filter"
    MEASURE = "measure"
    FREE = "free"
    HIDDEN = "hidden"


class Semantic(StrEnum):
    """What a column is about, where a quality rule must know it; several ``TRACK`` columns together name one moving thing."""

    TRACK = "track"
    TIME = "time"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    SPEED = "speed"
    HEADING = "heading"
    LENGTH = "length"
    POSITION_SIGMA = "position-sigma"
    CLOCK_ERROR = "clock-error"
    SEQUENCE = "sequence"


class Crs(StrEnum):
    """The coordinate systems that may enter; they differ by centimetres. The shifted ones (GCJ-02, BD-09) are refused."""

    WGS84 = "WGS84"
    CGCS2000 = "CGCS2000"


class Kind(StrEnum):
    """Whether a product is rows (Parquet, CSV) or one JSON document."""

    TABLE = "table"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its types, its unit, what may stand in it and what a query may do with it."""

    name: str
    logical_type: LogicalType
    physical_type: str
    unit: str | None = None
    description: str = ""
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()
    sentinels: tuple[float, ...] = ()
    role: Role = Role.HIDDEN
    aggregates: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    semantic: Semantic | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of longitudes and latitudes in degrees, borders included."""

    min_lon: float
    min_lat: float
    max_lon: float
    max_lat: float


@dataclass(frozen=True, slots=True)
class DataContract:
    """What the owner promises about one product; ``table`` is its name in queries.

    ``rate_hz`` is per moving thing (per value of the track columns). ``heading`` and ``time`` are the only conventions there are,
    or None where the product has no such column. ``privacy_unit`` names the column that identifies whom the rows are about;
    an answer needs at least ``minimum_group`` of them. ``dominance_percent`` is the p of the p%-rule on sums, None where
    there is no such rule. ``place`` is where the rows are read in place; None where a file is given.
    """

    id: str
    version: str
    table: str
    name: Text
    owner: str
    description: str
    columns: tuple[Column, ...]
    kind: Kind = Kind.TABLE
    encoding: str = "utf-8"
    delimiter: str = ","
    privacy_unit: str | None = None
    minimum_group: int | None = None
    dominance_percent: int | None = None
    crs: Crs | None = None
    bbox: Box | None = None
    heading: str | None = None
    time: str | None = None
    rate_hz: float | None = None
    synthetic: Text | None = None
    place: Place | None = None

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the columns that together identify one row; empty when none is declared."""
        return tuple(column.name for column in self.columns if column.primary_key)

    def about(self, semantic: Semantic) -> tuple[str, ...]:
        """Return the names of the columns that are about ``semantic``, in the contract's order."""
        return tuple(column.name for column in self.columns if column.semantic is semantic)


class Grade(StrEnum):
    """How much harm a product's leak would do, by its owner's judgement (GB/T 43697-2024): general 一般, important 重要, core 核心.

    ``IMPORTANT`` data are offered to named recipients only; ``CORE`` data are offered to nobody, and no agreement opens them.
    """

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"

    def refuses(self, *, is_open_to_all: bool) -> Refused | None:
        """Return why a product of this grade may not stand under an offer, or None where it may."""
        if self is Grade.CORE:
            return Refused(
                "grade-core",
                "grade: core data are offered to nobody, and used under no agreement",
                Text("A product graded important or general by its owner.", "由数据持有方定为重要或一般级的产品。"),
            )
        if self is Grade.IMPORTANT and is_open_to_all:
            return Refused(
                "grade-important",
                "grade: important data are offered to named recipients only, and this offer names none",
                Text("An offer that names its recipients (--to).", "写明接收方的要约（--to）。"),
            )
        return None


class Severity(StrEnum):
    """What a finding does: ``ERROR`` sets the source aside, ``ROWS`` sets the named rows aside, ``WARNING`` keeps all, flagged."""

    ERROR = "error"
    ROWS = "rows"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that one column (or the whole source, where ``column`` is empty) does not meet.

    ``count`` rows are concerned and ``rows`` names the first five, counted from 1 below the header. No cell's content is in it.
    """

    rule: str
    column: str
    severity: Severity
    count: int
    rows: tuple[int, ...]
    expected: str
    got: str
    hint: Text

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return {
            "rule": self.rule,
            "column": self.column,
            "severity": self.severity.value,
            "count": self.count,
            "rows": list(self.rows),
            "expected": self.expected,
            "got": self.got,
            "hint": self.hint.of(language),
        }


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What was checked of one file, what was found, and which rules could not be applied and therefore say nothing."""

    file: str
    rows: int
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]

    @property
    def has_errors(self) -> bool:
        """Whether the source has to be set aside."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """Return rule names and counts as JSON-ready values, for evidence and for a product's page; no row numbers."""
        return {
            "rows": self.rows,
            "findings": [
                {"rule": finding.rule, "column": finding.column, "severity": finding.severity.value, "count": finding.count}
                for finding in self.findings
            ],
            "checked": list(self.checked),
            "not_checked": list(self.not_checked),
        }

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the whole report as JSON-ready values."""
        return {**self.summary(), "file": self.file, "findings": [finding.as_dict(language) for finding in self.findings]}


class Acceptance(StrEnum):
    """Whether a file whose quality report has errors may be published: ``CLEAN`` refuses it, ``FLAGGED`` publishes it with its flags."""

    CLEAN = "clean"
    FLAGGED = "flagged"


class ProductState(StrEnum):
    """Where a version of a product stands; only ``PUBLISHED`` is offered, and at most one version of a product is."""

    PUBLISHED = "PUBLISHED"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Product:
    """One version of one product: the contract and policy as received, each with its digest, and the file they are about.

    ``path`` is None where the rows are read in the place that the contract names.
    """

    id: str
    version: str
    contract: DataContract
    document: Mapping[str, Any]
    contract_digest: str
    policy: Mapping[str, Any]
    policy_digest: str
    path: Path | None
    data_digest: str
    rows: int
    quality: Mapping[str, Any]
    state: ProductState
    published_at: datetime
