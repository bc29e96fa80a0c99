"""A temporary directive: an area that may not be entered from now on, and must be left."""

from dataclasses import dataclass

import shapely

from chengshu.kernel.clock import from_iso
from chengshu.methods.pilot.plane import area_of, bounds_of
from chengshu.methods.pilot.reading import Node, invalid

OUT_WITHIN_MS = 120_000
"""Vehicles inside when a directive takes effect have this long to leave."""


@dataclass(frozen=True, slots=True)
class Directive:
    """No entry into ``shape`` (lon, lat) from ``from_ms`` until ``to_ms`` (None = until lifted), UTC epoch milliseconds."""

    directive_id: str
    shape: shapely.Geometry
    from_ms: int
    to_ms: int | None

    @classmethod
    def parse(cls, document: object) -> "Directive":
        """Read a directive's document (id, bbox, area, from, to, reason); raise Invalid with path, expected and got."""
        top = Node.of(document, "$")
        top.only({"id", "crs", "bbox", "area", "from", "to", "reason"})
        top.word("crs", {"WGS84", "CGCS2000"})
        shape, _ = area_of(top.node("area"), bounds_of(top.get("bbox"), top.at("bbox")))
        from_ms = _moment(top, "from")
        to_ms = top.maybe("to", lambda key: _moment(top, key))
        if to_ms is not None and to_ms <= from_ms:
            raise invalid(top.at("to"), "a moment after 'from'", "one that is not")
        return cls(top.text("id"), shape, from_ms, to_ms)


def _moment(node: Node, key: str) -> int:
    try:
        return round(from_iso(node.text(key)).timestamp() * 1000)
    except ValueError as error:
        raise invalid(node.at(key), "a time with an offset (RFC 3339)", "another text") from error
