"""What a simulated party can see, how late, and how well: one frozen value."""

from dataclasses import dataclass
from types import MappingProxyType

PARTY_PRODUCTS = MappingProxyType(
    {
        "car_maker": ("av_state", "av_objects"),
        "road_operator": ("rsu_objects",),
        "fleet_operator": ("fleet_gnss",),
        "navigation_platform": ("probe_gnss",),
    }
)
"""The position products of each party; what a coalition can see is the union of its members'."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a source delivers: latency and sampling period in ms, declared 1-sigma position error in m."""

    latency_ms: int
    period_ms: int
    sigma_m: float


TERMS = MappingProxyType(
    {
        "av_state": Terms(latency_ms=100, period_ms=100, sigma_m=0.1),
        "av_objects": Terms(latency_ms=200, period_ms=100, sigma_m=0.3),
        "rsu_objects": Terms(latency_ms=200, period_ms=100, sigma_m=0.4),
        "fleet_gnss": Terms(latency_ms=1500, period_ms=1000, sigma_m=3.0),
        "probe_gnss": Terms(latency_ms=2500, period_ms=1000, sigma_m=5.0),
    }
)
"""Delivery terms of the position products when a table carries none in its schema metadata (``latency_ms``, ``period_ms``)."""


@dataclass(frozen=True, slots=True)
class ViewParameters:
    """The assumptions behind every party's view of a recording; the same value always gives the same tables.

    On-board: ``range_m`` around the vehicle, hidden by other vehicles and by what stands more than ``setback_m`` off the lane areas.
    Roadside: a mast at ``rsu_share`` of the signalled junctions, ``rsu_range_m``, no vehicle hides another from a mast, street edges do.
    Shares are of human-driven vehicles. ``detect_p``: chance that a visible object is in a given list; ``ghosts_per_hour``: false objects
    per sensor. Position error = constant part per sighting (``bias_share`` of the declared sigma) and white noise, together sigma.
    """

    seed: int
    range_m: float = 80.0
    setback_m: float = 4.0
    rsu_share: float = 0.5
    rsu_range_m: float = 100.0
    fleet_share: float = 0.10
    platform_share: float = 0.25
    detect_p: float = 0.98
    ghosts_per_hour: float = 6.0
    bias_share: float = 0.9
    link_period_ms: int = 300_000
    min_probes: int = 5
