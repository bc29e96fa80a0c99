"""Which zones cover which points: a raster of bit masks, exact arithmetic where a border passes, and distances for doubt."""

from chengshu.methods.geofence.fence import MAX_ZONES, Geofence, Side, build_geofence

__all__ = ["MAX_ZONES", "Geofence", "Side", "build_geofence"]
