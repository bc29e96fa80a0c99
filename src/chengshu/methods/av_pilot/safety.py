"""The pilot's sealed method for proactive safety: hazards from fused data, and what fusing was worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.align import Alignment
from chengshu.methods.av_pilot.declared import TABLES
from chengshu.methods.conflicts.detect import detect_conflicts
from chengshu.methods.conflicts.grading import grade
from chengshu.methods.conflicts.parameters import ConflictParameters
from chengshu.methods.eta import eta_report, trips
from chengshu.methods.fusion import FusedPicture, fuse
from chengshu.methods.hazards import CoalitionValues, HazardParameters, coalition_values
from chengshu.methods.multiplier import Multiplier, best_single, miss_rate_multiplier, not_measured
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sealed import Tables
from chengshu.methods.sightings import SOURCES, SetAside
from chengshu.methods.warn import vehicle_of, warn

CELL_M = 100.0
GATE_M = 3.0
BOOTSTRAP_SEED = 7
EXACT = ConflictParameters()
MEASURED = ConflictParameters(min_ticks=3, smooth_s=1.0)
"""Fused tracks carry noise: a conflict must persist, and positions are smoothed first (the quality gate that noise calls for)."""


@dataclass(frozen=True, slots=True)
class _Truth:
    """What the simulator knows, for grading: hazards, all conflicts of automated vehicles, all true states."""

    hazards: pa.Table
    conflicts: pa.Table
    tracks: pa.Table


def value_of_fusing(tables: Tables, parameters: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return the hazards found, how well, what every coalition of parties saw in time, and the multiplier.

    ``parameters``: ``proj`` (PROJ text) and ``net_offset`` ([x, y], m) of the map's local metres. Inputs and outputs:
    see :data:`~chengshu.methods.av_pilot.declared.HAZARDS`.
    Without ground truth nothing is graded: the hazards are found all the same, and the multiplier is "not measured".
    """
    frame = _frame(parameters)
    positions = {name: tables[name] for name in SOURCES if name in tables}
    picture = fuse(positions, frame)
    # Who is out for its clock is out of everything: of what its data were worth, of the multiplier and of the payments.
    positions = {name: table for name, table in positions.items() if name not in picture.quarantined}
    truth = _truth(tables)
    found = _conflicts(picture.tracks.filter(pc.field("for_ttc")), tables, MEASURED)
    results = {
        "hotspots": _hotspots(found, frame),
        "alignment": _alignment(picture.clocks),
        "set_aside": _set_aside(picture.aside),
    }
    if truth is None:
        return {**results, "multiplier": _multiplier_table(not_measured("no ground truth was given"), tables)}
    values = coalition_values(positions, truth.hazards, truth.tracks, frame=frame)
    results |= _valued(values, tables)
    results["warnings"] = _warnings(tables, positions, truth, frame=frame, best=best_single(values.singles))
    results["accuracy"] = _accuracy(found, picture, truth, tables)
    results["eta"] = _eta(tables, positions, truth, frame)
    return results


def _frame(parameters: Mapping[str, Any]) -> LocalFrame:
    try:
        east, north = parameters["net_offset"]
        return LocalFrame(str(parameters["proj"]), float(east), float(north))
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(
            "av_pilot.frame",
            "parameters: expected proj (text) and net_offset (two numbers), got one missing or of another kind",
            hint=Text("They say where the map's local metres lie on the earth.", "它们说明地图局部坐标在地球上的位置。"),
        ) from error


def _truth(tables: Tables) -> _Truth | None:
    names = ("hazard_truth", "conflict_truth", "truth_tracks")
    if not all(name in tables for name in names):
        return None
    return _Truth(*(tables[name] for name in names))


def _conflicts(tracks: pa.Table, tables: Tables, parameters: ConflictParameters) -> pa.Table:
    return detect_conflicts(tracks, lanes=tables["map_lane"], foes=tables.get("map_foes"), parameters=parameters)


def _hotspots(found: pa.Table, frame: LocalFrame) -> pa.Table:
    """Cells of 100 m with the number of conflicts found in them; the clean room holds back the cells with too few."""
    x, y = np.asarray(found["x_m"]), np.asarray(found["y_m"])
    cells, n = np.unique(np.column_stack([x // CELL_M, y // CELL_M]), axis=0, return_counts=True)
    lat, lon = frame.to_wgs84((cells[:, 0] + 0.5) * CELL_M, (cells[:, 1] + 0.5) * CELL_M)
    return pa.table({"lat": pa.array(lat, pa.float64()), "lon": pa.array(lon, pa.float64()), "n": pa.array(n, pa.int64())})


def _valued(values: CoalitionValues, tables: Tables) -> dict[str, pa.Table]:
    coalitions = [
        {"coalition": "+".join(sorted(members)), "seen": int(np.count_nonzero(seen)), "n": len(values.hazards)}
        for members, seen in values.seen.items()
    ]
    baseline = best_single(values.singles)
    measured = miss_rate_multiplier(values.singles[baseline], values.everyone, baseline=baseline, seed=BOOTSTRAP_SEED)
    by_lead = values.by_lead
    overall = by_lead.filter(pc.field("encounter") == "all")
    leads = pa.table(
        {
            "lead_s": pc.divide(overall["lead_ms"].cast(pa.float64()), 1000.0),
            "coalition": overall["coalition"],
            "seen": overall["seen"],
            "n": overall["hazards"],
        }
    )
    of_kind = by_lead.filter((pc.field("encounter") != "all") & (pc.field("lead_ms") == HazardParameters().lead_ms))
    encounters = of_kind.select(["encounter", "coalition", "seen", "hazards"]).rename_columns(["encounter", "coalition", "seen", "n"])
    return {
        "coalitions": pa.Table.from_pylist(coalitions),
        "multiplier": _multiplier_table(measured, tables),
        "leads": leads,
        "encounters": encounters,
        "false_tracks": values.false_tracks.rename_columns(["source", "n", "false_tracks"]),
    }


def _multiplier_table(measured: Multiplier, tables: Tables) -> pa.Table:
    """One row; where nothing was measured it stands for the vehicles that were looked at, so that the room may let it out."""
    n = max(measured.n, 1)
    row = {
        "status": measured.status,
        "value": measured.value,
        "low": measured.low,
        "high": measured.high,
        "method": measured.method,
        "best_single": measured.baseline,
        "missed_best": measured.baseline_missed,
        "missed_fused": measured.fused_missed,
        "miss_best": measured.baseline_missed / n,
        "miss_fused": measured.fused_missed / n,
        "lead_s": HazardParameters().lead_ms / 1000,
        "roadside_share": _roadside_share(tables),
        "n": measured.n or len(pc.unique(tables["av_state"]["veh_pid"])),
    }
    return pa.Table.from_pylist([row], schema=TABLES["multiplier"])


def _roadside_share(tables: Tables) -> float | None:
    """Equipped over signalled junctions, as the road operator's own products show them; None where they do not."""
    if "rsu_objects" not in tables or "spat" not in tables:
        return None
    signalled = len(pc.unique(tables["spat"]["junction_id"]))
    return len(pc.unique(tables["rsu_objects"]["rsu_id"])) / signalled if signalled else None


def _accuracy(found: pa.Table, picture: FusedPicture, truth: _Truth, tables: Tables) -> pa.Table:
    """Recall and precision per encounter of conflicts with an automated vehicle: from the true tracks, and from the fused picture."""
    renamed = truth.tracks.rename_columns(["track" if name == "veh" else name for name in truth.tracks.column_names])
    automated = set(pc.unique(renamed.filter(pc.field("is_av"))["track"]).to_pylist())
    exact = _with_av(_conflicts(renamed.drop_columns(["is_av"]), tables, EXACT), automated)
    fused = _with_av(_renumbered(found, vehicle_of(picture.tracks, truth.tracks, gate_m=GATE_M)), automated)
    rows = []
    for name, conflicts in (("true-tracks", exact), ("fused", fused)):
        rows += [
            {
                "picture": name,
                "encounter": row["encounter"],
                "measure": row["measure"],
                "n": row["n_truth"],
                "found": row["n_found"],
                "matched": row["n_matched"],
                "recall": row["recall"],
                "precision": row["precision"],
            }
            for row in grade(conflicts, truth.conflicts).to_pylist()
        ]
    return pa.Table.from_pylist(rows, schema=TABLES["accuracy"])


def _warnings(tables: Tables, positions: Mapping[str, pa.Table], truth: _Truth, *, frame: LocalFrame, best: str) -> pa.Table:
    """What a warning system would have said from the best single party's data and from all: false alarms count too."""
    told = warn(
        positions,
        truth.hazards,
        truth.tracks,
        frame=frame,
        lanes=tables["map_lane"],
        foes=tables.get("map_foes"),
        conflicts=truth.conflicts,
        parties=(best,),
    )
    overall = told.filter(pc.field("encounter") == "all")
    names = ["view", "hazards", "warned", "in_time", "warnings", "true_warnings", "recall", "precision"]
    return overall.select(names).rename_columns(["view", "n", *names[2:]])


def _with_av(conflicts: pa.Table, automated: set[int]) -> pa.Table:
    pairs = zip(conflicts["track_a"].to_pylist(), conflicts["track_b"].to_pylist(), strict=True)
    return conflicts.filter(pa.array([a in automated or b in automated for a, b in pairs], pa.bool_()))


def _renumbered(conflicts: pa.Table, vehicle: NDArray[np.int64]) -> pa.Table:
    """Put true vehicles in the place of fused tracks; a track of nobody gets a number that no vehicle has, and so counts as false."""
    for name in ("track_a", "track_b"):
        track = np.asarray(conflicts[name], dtype=np.int64)
        numbers = np.where(vehicle[track] >= 0, vehicle[track], -1 - track)
        conflicts = conflicts.set_column(conflicts.schema.get_field_index(name), name, pa.array(numbers, pa.int64()))
    return conflicts


def _eta(tables: Tables, positions: Mapping[str, pa.Table], truth: _Truth, frame: LocalFrame) -> pa.Table:
    if "lane" not in truth.tracks.column_names:
        return TABLES["eta"].empty_table()
    report = eta_report(
        trips(truth.tracks, tables["map_lane"], started_ms=0), tables["map_lane"], positions, frame=frame, seed=BOOTSTRAP_SEED
    )
    errors = report.errors
    rows = [
        {"source": row["predictor"], "mae_s": row["mae_s"], "bias_s": row["bias_s"], "covered": row["covered"], "n": row["trips"]}
        for row in errors.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["eta"])


def _alignment(clocks: tuple[Alignment, ...]) -> pa.Table:
    rows = [{"source": one.party, "offset_ms": one.offset_ms, "state": one.verdict, "n": one.tracks} for one in clocks]
    return pa.Table.from_pylist(rows, schema=TABLES["alignment"])


def _set_aside(aside: tuple[SetAside, ...]) -> pa.Table:
    rows = [{"source": one.source, "rule": one.reason, "kept": one.kept, "n": one.rows} for one in aside if one.rows]
    return pa.Table.from_pylist(rows, schema=TABLES["set_aside"])
