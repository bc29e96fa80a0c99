"""The values of constraints that Python has no type for, exact: durations by the calendar, and places on the earth."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

WKT = "wktLiteral"
GEOJSON = "geoJSONLiteral"
MAX_PLACE = 200_000
"""Characters of one place; more is refused, so that one policy cannot keep a node busy."""

_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?(?:T(?=.)(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.(\d{1,3}))?S)?)?", re.ASCII
)
_ALLOWED = frozenset({"Point", "Polygon", "MultiPolygon"})
_NESTED = re.compile(r"[\[{(]")


@dataclass(frozen=True, slots=True)
class Duration:
    """An ``xsd:duration`` that is not negative: months and milliseconds, kept apart because a month has no fixed length."""

    months: int
    millis: int

    def after(self, start: datetime) -> datetime:
        """Return the moment that lies this long after ``start`` by the calendar: a day that a month lacks is its last day.

        What would lie beyond the year 9999 is the last moment that can be told.
        """
        months = start.year * 12 + start.month - 1 + self.months
        try:
            day = min(start.day, _days(months // 12, months % 12 + 1))
            return start.replace(year=months // 12, month=months % 12 + 1, day=day) + timedelta(milliseconds=self.millis)
        except (ValueError, OverflowError):
            return datetime.max.replace(microsecond=999_000, tzinfo=UTC)

    def __str__(self) -> str:
        if self == Duration(0, 0):
            return "PT0S"
        years, months = divmod(self.months, 12)
        seconds, millis = divmod(self.millis, 1000)
        days, seconds = divmod(seconds, 86_400)
        clock = _parts((seconds // 3600, "H"), (seconds // 60 % 60, "M"))
        rest = f".{millis:03d}".rstrip("0") if millis else ""
        if seconds % 60 or millis:
            clock += f"{seconds % 60}{rest}S"
        return f"P{_parts((years, 'Y'), (months, 'M'), (days, 'D'))}{'T' + clock if clock else ''}"


def read_duration(text: str) -> Duration:
    """Return the duration that an ``xsd:duration`` states; raise ValueError for another text, a negative one or parts of milliseconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a duration such as P30D")
    years, months, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:6])
    millis = int((match[7] or "").ljust(3, "0"))
    return Duration(years * 12 + months, ((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000 + millis)


def _days(year: int, month: int) -> int:
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return (following - timedelta(days=1)).day


def _parts(*parts: tuple[int, str]) -> str:
    return "".join(f"{number}{unit}" for number, unit in parts if number)


@dataclass(frozen=True, slots=True)
class Place:
    """A point or an area on the earth, WGS84 longitude before latitude, as the text that states it.

    Edges are straight in longitude and latitude and never cross the antimeridian (cut an area there in two). An area is *closed*: its
    boundary belongs to it, so a point on the edge of a polygon lies in it, and one on the edge of a hole as well.
    """

    text: str
    form: str = field(default=WKT)

    def __post_init__(self) -> None:
        if len(self.text) > MAX_PLACE:
            raise _no_place(f"at most {MAX_PLACE} characters", "more")
        _shape(self.text, self.form)

    def lies_in(self, other: "Place") -> bool:
        """Whether no part of this place is outside ``other``."""
        return bool(self._shape.covered_by(other._shape))  # noqa: SLF001  # of the same class

    def meets(self, other: "Place") -> bool:
        """Whether the two have any point in common, be it on their edges."""
        return bool(self._shape.intersects(other._shape))  # noqa: SLF001  # of the same class

    def equals(self, other: "Place") -> bool:
        """Whether the two are the same points, however they are written."""
        return bool(self._shape.equals(other._shape))  # noqa: SLF001  # of the same class

    @property
    def _shape(self) -> Any:
        return _shape(self.text, self.form)


@lru_cache(maxsize=512)
def _shape(text: str, form: str) -> Any:
    import shapely  # noqa: PLC0415  # large, and few policies are about places

    if len(_NESTED.findall(text)) > MAX_PLACE // 20:
        raise _no_place("few enough parts", "too many")
    try:
        shape = shapely.from_wkt(text) if form == WKT else shapely.from_geojson(_one_geometry(text))
    except (shapely.errors.GEOSException, ValueError, TypeError, RecursionError) as error:
        raise _no_place(f"a {form}", "another text") from error
    if shape is None or shape.geom_type not in _ALLOWED or shape.is_empty or shape.has_z:
        raise _no_place("a Point, Polygon or MultiPolygon of two coordinates", "another shape")
    west, south, east, north = shape.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise _no_place("longitude from -180 to 180 before latitude from -90 to 90", "others")
    if not shape.is_valid:
        raise _no_place("an area whose edges do not cross", "one whose edges do")
    shapely.prepare(shape)
    return shape


def _one_geometry(text: str) -> str:
    document = json.loads(text)
    if not isinstance(document, dict) or set(document) != {"type", "coordinates"}:
        raise ValueError("expected one geometry")
    return text


def _no_place(expected: str, got: str) -> Invalid:
    return Invalid(
        "policy.place",
        f"expected a place as {expected}, got {got}",
        hint=Text(
            "Write it as WKT or GeoJSON, longitude first: POINT (106.5 29.5).", "请用 WKT 或 GeoJSON 书写，经度在前：POINT (106.5 29.5)。"
        ),
    )
