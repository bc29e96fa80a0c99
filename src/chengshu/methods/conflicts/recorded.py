"""From a recording's tables to tracks as the detector takes them."""

import pyarrow as pa
import pyarrow.compute as pc


def tracks_of(tracks: pa.Table, *, vehicles: pa.Table) -> pa.Table:
    """Return a recording's ``tracks`` with the lengths and widths of its ``vehicles``, columns as :func:`detect_conflicts` takes them.

    Raises KeyError if a track's vehicle is not among the vehicles.
    """
    at = pc.index_in(tracks["veh"], vehicles["veh"])
    if at.null_count:
        raise KeyError("expected every track's vehicle among the vehicles, got another")
    columns = {
        "t_ms": tracks["t_ms"].cast(pa.int64()),
        "track": tracks["veh"].cast(pa.int64()),
        "x_m": tracks["x_m"],
        "y_m": tracks["y_m"],
        "heading_deg": tracks["heading_deg"].cast(pa.float64()),
        "speed_mps": tracks["speed_mps"].cast(pa.float64()),
        "len_m": vehicles["len_m"].take(at),
        "wid_m": vehicles["wid_m"].take(at),
        "lane": tracks["lane"],
        "pos_m": tracks["pos_m"].cast(pa.float64()),
    }
    return pa.table(columns)
