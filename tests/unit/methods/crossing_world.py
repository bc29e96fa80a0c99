"""A made-up crossing: two streets of 400 m, a signal in the middle, waves of six vehicles of which two drive themselves."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from chengshu.methods import recording as shapes
from chengshu.methods.recording import Recording
from chengshu.methods.ssm import TRUTH

STARTED = "2026-03-02T00:00:00Z"
STARTED_MS = 1772409600000
WAVE_MS = 40_000


@dataclass(frozen=True)
class Drive:
    kind: str
    x: float
    y: float
    heading: float
    speed: float
    lane: int
    length: float = 4.6
    width: float = 1.8


# Veh 0 and 2 of a wave meet in the middle 19 s after the wave's start; 3 drives ahead of 0 and 5 behind 4.
WAVE = (
    Drive("av", -190, -1.6, 90, 10, 0),
    Drive("av", 1.6, -150, 0, 8, 1),
    Drive("car", -1.6, 190, 180, 10, 2),
    Drive("truck", -160, -1.6, 90, 10, 0, 9.0, 2.4),
    Drive("car", 180, 1.6, 270, 9, 3),
    Drive("car", 198, 1.6, 270, 9, 3),
)
_LANES = (((-200, -1.6), (200, -1.6)), ((1.6, -200), (1.6, 200)), ((-1.6, 200), (-1.6, -200)), ((200, 1.6), (-200, 1.6)))


def crossing(waves: int = 3, *, wave: tuple[Drive, ...] = WAVE, hazards: bool = True) -> Recording:
    """Return the recording; vehicle 6w + i is the i-th drive of wave w."""
    rows = []
    for number in range(waves):
        for index, drive in enumerate(wave):
            t = np.arange(0, WAVE_MS - 2000, 100)
            away = drive.speed * t / 1000
            x = drive.x + away * np.sin(np.radians(drive.heading))
            y = drive.y + away * np.cos(np.radians(drive.heading))
            inside = (np.abs(x) <= 200) & (np.abs(y) <= 200)
            rows.append(
                pa.table(
                    {
                        "t_ms": (t + number * WAVE_MS)[inside],
                        "veh": np.full(inside.sum(), number * len(wave) + index),
                        "x_m": x[inside],
                        "y_m": y[inside],
                        "heading_deg": np.full(inside.sum(), float(drive.heading)),
                        "speed_mps": np.full(inside.sum(), float(drive.speed)),
                        "accel_mps2": np.zeros(inside.sum()),
                        "lane": np.full(inside.sum(), drive.lane),
                        "pos_m": away[inside],
                    }
                )
            )
    tracks = pa.concat_tables(rows).cast(shapes.TRACKS).sort_by([("t_ms", "ascending"), ("veh", "ascending")])
    drives = list(wave) * waves
    vehicles = pa.table(
        {
            "veh": range(len(drives)),
            "veh_id": [f"v{index}" for index in range(len(drives))],
            "kind": [drive.kind for drive in drives],
            "len_m": [drive.length for drive in drives],
            "wid_m": [drive.width for drive in drives],
        }
    ).cast(shapes.VEHICLES)
    return Recording(
        tracks=tracks,
        vehicles=vehicles,
        lanes=lanes(),
        junctions=pa.table({"junction_id": ["middle"], "x_m": [0.0], "y_m": [0.0], "is_signal": [True]}).cast(shapes.JUNCTIONS),
        foes=shapes.FOES.empty_table(),
        links=shapes.LINKS.empty_table(),
        signals=pa.table({"t_ms": [0, 30_000], "junction_id": ["middle"] * 2, "state": ["Gr", "rG"]}).cast(shapes.SIGNALS),
        detector_1min=pa.table(
            {
                "det_id": ["d"], "lane": [0], "pos_m": [5.0], "t_ms": [0], "veh_count": [3], "occupancy_pct": [1.0], "speed_mps": [10.0],
            }
        ).cast(shapes.DETECTOR_1MIN),
        truth=_truth(waves, len(wave)) if hazards else TRUTH.empty_table(),
        meta={"proj": "+proj=utm +zone=50 +datum=WGS84", "net_offset": [-500000.0, -3300000.0], "started_at": STARTED, "step_ms": 100},
    )  # fmt: skip


def lanes() -> pa.Table:
    return pa.table(
        {
            "lane": range(4),
            "lane_id": [f"e{i}_0" for i in range(4)],
            "edge_id": [f"e{i}" for i in range(4)],
            "is_internal": [False] * 4,
            "junction_id": ["middle"] * 4,
            "speed_limit_mps": [13.9] * 4,
            "width_m": [3.2] * 4,
            "length_m": [400.0] * 4,
            "xs": [[float(x) for x, _ in line] for line in _LANES],
            "ys": [[float(y) for _, y in line] for line in _LANES],
            "next": pa.array([[], [], [], []], pa.list_(pa.int32())),
        }
    ).cast(shapes.LANES)


def _truth(waves: int, size: int) -> pa.Table:
    return pa.table(
        {
            "ego": [wave * size for wave in range(waves)],
            "foe": [wave * size + 2 for wave in range(waves)],
            "encounter": ["crossing"] * waves,
            "begin_ms": [wave * WAVE_MS + 17_000 for wave in range(waves)],
            "end_ms": [wave * WAVE_MS + 19_500 for wave in range(waves)],
            "min_ttc_s": [0.8] * waves,
            "min_ttc_ms": [wave * WAVE_MS + 18_500 for wave in range(waves)],
            "max_drac_mps2": pa.array([None] * waves, pa.float64()),
            "max_drac_ms": pa.array([None] * waves, pa.int32()),
            "pet_s": pa.array([None] * waves, pa.float64()),
            "pet_ms": pa.array([None] * waves, pa.int32()),
            "x_m": [0.0] * waves,
            "y_m": [0.0] * waves,
        }
    ).cast(TRUTH)
