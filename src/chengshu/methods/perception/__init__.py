"""What each party of the transport pilot sees of the recorded world: its own products, late, noisy and partial."""

import pyarrow as pa

from chengshu.methods.perception.parameters import PARTY_PRODUCTS, TERMS, Terms, ViewParameters
from chengshu.methods.perception.sight import corridor
from chengshu.methods.perception.views import fleet_views, roadside_view, standing_views, vehicle_views
from chengshu.methods.perception.world import frame_of, world_of
from chengshu.methods.recording import Recording

__all__ = ["PARTY_PRODUCTS", "TERMS", "Terms", "ViewParameters", "frame_of", "observe"]


def observe(recording: Recording, parameters: ViewParameters) -> dict[str, pa.Table]:
    """Return every party's products by name; the same recording and parameters always give the same tables.

    Names and columns: av_state, av_objects (car maker); rsu_objects, spat, map_lane, map_foes, detector_1min (road operator); fleet_gnss
    (fleet operator); probe_gnss, link_speed (navigation platform). ``t_ms`` is the moment of measurement in UTC epoch ms; how much later a
    row arrives stands in the table's schema metadata under ``latency_ms``, how often rows come under ``period_ms``. Headings and relative
    positions are against the grid north of the recording's projection. Pseudonyms are each source's own: no number is shared between two
    sources. Raises Invalid for an empty recording.
    """
    world = world_of(recording)
    street = corridor(recording.lanes, parameters.setback_m)
    return {
        **vehicle_views(world, parameters, street),
        "rsu_objects": roadside_view(world, parameters, recording.junctions, street),
        **standing_views(recording, world.started_ms),
        **fleet_views(world, parameters),
    }
