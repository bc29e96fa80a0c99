"""A recording of simulated traffic, taken apart into what each party of the pilot would really hold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.methods.hazards import find_hazards
from chengshu.methods.perception import observe as views_of
from chengshu.methods.perception.parameters import ViewParameters
from chengshu.methods.perception.world import epoch_ms
from chengshu.methods.recording import Recording, read_recording

SHIFT_MS = 8 * 3_600_000
"""The length of a safety officer's shift and of an insurance record in the register that is made up for the sample."""


def observe(folder: Path, parameters: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return every product of the pilot's sample from the recording in ``folder``; the same parameters give the same tables.

    ``parameters`` are those of :class:`~chengshu.methods.perception.parameters.ViewParameters`. The space operator's ``hazard_truth``,
    ``conflict_truth`` and ``truth_tracks`` are what the simulator knows, for grading alone; ``pilot_register`` is made up from the
    vehicles that drive, with one officer missing and one insurance too low, so that the rules have something to find.
    """
    recording = read_recording(folder)
    started_ms = epoch_ms(recording.meta["started_at"])
    views = views_of(recording, ViewParameters(**parameters))
    truth = {
        "hazard_truth": find_hazards(recording.truth, recording.vehicles, started_ms=started_ms),
        "conflict_truth": _conflicts(recording, started_ms),
        "truth_tracks": _tracks(recording, started_ms),
    }
    register = {"pilot_register": pa.table({"document": [json.dumps(_register(views["av_state"], started_ms), sort_keys=True)]})}
    return {**views, **truth, **register}


def _conflicts(recording: Recording, started_ms: int) -> pa.Table:
    """Every recorded conflict with an automated vehicle in it, times in UTC epoch ms."""
    kinds = dict(zip(recording.vehicles["veh"].to_pylist(), recording.vehicles["kind"].to_pylist(), strict=True))
    pairs = zip(recording.truth["ego"].to_pylist(), recording.truth["foe"].to_pylist(), strict=True)
    table = recording.truth.filter(pa.array(["av" in (kinds[ego], kinds[foe]) for ego, foe in pairs], pa.bool_()))
    for name in ("begin_ms", "end_ms", "min_ttc_ms", "max_drac_ms", "pet_ms"):
        moved = pc.add(table[name].cast(pa.int64()), pa.scalar(started_ms, pa.int64()))
        table = table.set_column(table.schema.get_field_index(name), name, moved)
    return table


def _tracks(recording: Recording, started_ms: int) -> pa.Table:
    tracks = recording.tracks
    veh = np.asarray(tracks["veh"], dtype=np.int64)
    lengths, widths = (np.asarray(recording.vehicles[name]) for name in ("len_m", "wid_m"))
    kinds = np.asarray(recording.vehicles["kind"].to_pylist(), dtype=object)
    columns = {name: tracks[name].cast(pa.float64()) for name in ("x_m", "y_m", "heading_deg", "speed_mps")}
    return pa.table(
        {
            "t_ms": np.asarray(tracks["t_ms"], dtype=np.int64) + started_ms,
            "veh": veh,
            "lane": tracks["lane"].cast(pa.int64()),
            **columns,
            "len_m": lengths[veh],
            "wid_m": widths[veh],
            "is_av": pa.array(kinds[veh] == "av", pa.bool_()),
        }
    )


def _register(av_state: pa.Table, started_ms: int) -> dict[str, Any]:
    """The transport enterprise's register of the pilot's vehicles for one shift; made up, like the traffic."""
    pids = sorted(set(av_state["veh_pid"].to_pylist()))
    begin, end = started_ms - SHIFT_MS // 2, started_ms + SHIFT_MS // 2
    span = {"begin_ms": begin, "end_ms": end}
    return {
        "label": "simulated",
        "vehicles": [{"veh_pid": pid, "vehicle_type": "PILOT-TAXI-1", "operator": "fleet_operator"} for pid in pids],
        "officers": [
            {"officer_id": f"officer-{place:03d}", "mode": "onboard", "veh_pid": pid, **span}
            for place, pid in enumerate(pids)
            if place != 7
        ],
        "insurance": [{"veh_pid": pid, "cover_fen": 300_000_000 if place == 11 else 500_000_000, **span} for place, pid in enumerate(pids)],
        "cargo": [{"veh_pid": pid, "dangerous": False, **span} for pid in pids],
        "stop_events": [],
        "weather": [
            {"t_ms": started_ms + minute * 60_000, "rain_mm_h": 0.4, "wind_mps": 4.1, "visibility_m": 9000.0}
            for minute in range(-10, 30, 10)
        ],
        "directives": [],
    }
