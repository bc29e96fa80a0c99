"""Local metres of a recorded network to WGS84 and back."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocalFrame:
    """A plane in metres that is a shifted map projection; promises that going to WGS84 and back moves no point by a millimetre.

    ``proj`` is a PROJ string or EPSG code in metres; projected = local − offset (``net_offset`` in the meta of a recording).
    Raises Invalid where the projection is not understood or is not one onto a plane.
    """

    proj: str
    offset_x: float
    offset_y: float

    def __post_init__(self) -> None:
        _transformer(self.proj)

    def to_wgs84(self, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
        """Return latitude and longitude in degrees of local metres (east, north), element by element."""
        x, y = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
        lon, lat = _transformer(self.proj).transform(x - self.offset_x, y - self.offset_y)
        return np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)

    def from_wgs84(self, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        """Return local metres (east, north) of latitude and longitude in degrees, element by element."""
        degrees = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        x, y = _transformer(self.proj).transform(*degrees, direction="INVERSE")
        return np.asarray(x, dtype=np.float64) + self.offset_x, np.asarray(y, dtype=np.float64) + self.offset_y


@lru_cache(maxsize=16)
def _transformer(proj: str) -> Transformer:
    # A transformer costs milliseconds to make and a recording uses one: kept, as it depends on nothing but the text.
    try:
        crs = CRS.from_user_input(proj)
    except CRSError as error:
        raise _not_understood("one that cannot be read") from error
    if not crs.is_projected:
        raise _not_understood("one that is not onto a plane")
    return Transformer.from_crs(crs, CRS.from_epsg(4326), always_xy=True)


def _not_understood(came: str) -> Invalid:
    return Invalid(
        "methods.projection.unknown",
        f"expected a map projection in metres, got {came}",
        hint=Text(
            "Give a PROJ string of a projected system, such as +proj=utm +zone=33.",
            "请给出投影坐标系的 PROJ 字符串，例如 +proj=utm +zone=33。",
        ),
    )
