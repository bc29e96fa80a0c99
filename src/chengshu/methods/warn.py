"""What a warning system would have said in an offline replay: the detector on the fused picture and on each party's own, graded.

The detector itself uses nothing of the future: it predicts the way, smooths over the past, speaks when a conflict is confirmed and when
the slowest precise source has arrived. The picture it is run on does: clocks and the joining of tracks come from the whole recording. So
these are upper bounds for a live run. Unlike :mod:`chengshu.methods.hazards` this counts false alarms too. Everything goes in and comes
out as Arrow tables, so that it runs where the data may not leave.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.conflicts import ConflictParameters, detect_conflicts
from chengshu.methods.fusion import FusedPicture, FusionParameters, fuse
from chengshu.methods.groundtruth import followed, true_states
from chengshu.methods.perception.parameters import PARTY_PRODUCTS, Terms
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sightings import SOURCES, Floats, Ints, Sightings, terms_of

AV_BIT = 1 << SOURCES.index("av_state")


@dataclass(frozen=True, slots=True)
class WarningParameters:
    """The detector's settings for measured tracks, and when a warning belongs to a hazard.

    ``slack_ms``: the warning's time, widened by this, must reach the hazard; ``lead_ms``: a warning that begins this long before the hazard
    is in time; ``gate_m``: how near a fused track must keep to a vehicle to stand for it; ``parties``: whose own
    views are graded beside everybody's.
    """

    detector: ConflictParameters = field(
        default_factory=lambda: ConflictParameters(
            ttc_s=1.5, drac_mps2=3.35, pet_s=1.5, min_ticks=3, smooth_s=1.0, lookahead="predicted", past_only=True
        )
    )
    fusion: FusionParameters = field(default_factory=FusionParameters)
    slack_ms: int = 2000
    lead_ms: int = 1000
    gate_m: float = 3.0
    parties: Collection[str] = tuple(PARTY_PRODUCTS)


@dataclass(frozen=True, slots=True)
class _Warnings:
    """Detected conflicts between two tracks of which one is an automated vehicle's; vehicles -1 where a track is nobody's."""

    pair: NDArray[np.int64]
    begin: Ints
    end: Ints
    encounter: NDArray[np.object_]


def warn(
    products: Mapping[str, pa.Table],
    hazards: pa.Table,
    truth_tracks: pa.Table,
    *,
    frame: LocalFrame,
    lanes: pa.Table,
    foes: pa.Table | None,
    conflicts: pa.Table | None = None,
    picture: FusedPicture | None = None,
    parameters: WarningParameters | None = None,
) -> pa.Table:
    """Return how the detector did for each of the parties asked for alone and for all together: one row a view and encounter ("all" first).

    Columns: view, encounter, hazards, warned, in_time, warnings, true_warnings, recall, recall_in_time, precision (null without a
    denominator). ``warned``: hazards whose two vehicles a warning named at that time. A warning is true when it names a hazard, or one of
    ``conflicts`` (ego, foe, begin_ms, end_ms in UTC epoch ms: all recorded conflicts, also milder ones) where that is given. Only warnings
    about an automated vehicle count where its maker's reports tell which vehicles those are. ``picture``: what :func:`fuse` makes of all
    ``products``, if that is at hand. Raises Invalid when a product lacks a column.
    """
    chosen = parameters or WarningParameters()
    views = {
        party: {name: products[name] for name in names if name in products}
        for party, names in PARTY_PRODUCTS.items()
        if party in chosen.parties
    }
    rows: list[dict[str, object]] = []
    for view, seen in {**views, "all": dict(products)}.items():
        known = picture if view == "all" and picture is not None else fuse(seen, frame, parameters=chosen.fusion)
        warned = warnings_in(known, lanes=lanes, foes=foes, delay_ms=delay_ms(seen, chosen.fusion), detector=chosen.detector)
        found = _of_automated(*warned, truth_tracks, gate_m=chosen.gate_m)
        rows += _graded(view, found, hazards, _listed(hazards if conflicts is None else conflicts), chosen)
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("view", "encounter")),
        *((name, pa.int64()) for name in ("hazards", "warned", "in_time", "warnings", "true_warnings")),
        *((name, pa.float64()) for name in ("recall", "recall_in_time", "precision")),
    ]
)


def _of_automated(fused: pa.Table, found: pa.Table, truth_tracks: pa.Table, *, gate_m: float) -> _Warnings:
    vehicle = vehicle_of(fused, truth_tracks, gate_m=gate_m)
    track, bits = np.asarray(fused["track"], dtype=np.int64), np.asarray(fused["sources"], dtype=np.int64)
    is_av = np.zeros(len(vehicle), np.bool_)
    is_av[track[bits & AV_BIT > 0]] = True
    pair = np.column_stack([np.asarray(found["track_a"], np.int64), np.asarray(found["track_b"], np.int64)]).reshape(-1, 2)
    # Which vehicles drive themselves is only known where their maker's own reports are; without them every pair counts.
    chosen = is_av[pair].any(axis=1) if is_av.any() else np.ones(len(pair), np.bool_)
    return _Warnings(
        np.sort(vehicle[pair[chosen]], axis=1),
        np.asarray(found["begin_ms"], np.int64)[chosen],
        np.asarray(found["end_ms"], np.int64)[chosen],
        np.asarray(found["encounter"].to_pylist(), dtype=object)[chosen],
    )


def warnings_in(
    picture: FusedPicture, *, lanes: pa.Table, foes: pa.Table | None, delay_ms: int, detector: ConflictParameters | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return the precise part of a fused picture and the conflicts warned of in it, about all its tracks; no truth is needed.

    A warning begins once it is confirmed and its data have arrived, ``delay_ms`` after they were measured.
    """
    chosen = detector or WarningParameters().detector
    fused = picture.tracks.filter(picture.tracks["for_ttc"])
    found = detect_conflicts(fused, lanes=lanes, foes=foes, parameters=chosen)
    begin = pa.array(np.asarray(found["begin_ms"], np.int64) + delay_ms, pa.int64())
    return fused, found.set_column(found.schema.get_field_index("begin_ms"), "begin_ms", begin)


def delay_ms(products: Mapping[str, pa.Table], parameters: FusionParameters | None = None) -> int:
    """Return how long after the moment of measurement the slowest source that is precise enough for time to collision has arrived."""
    gate_m = (parameters or FusionParameters()).ttc_sigma_m
    terms = [terms_of(name, products[name]) for name in SOURCES if name in products]
    return max((one.latency_ms for one in terms if one.sigma_m <= gate_m), default=0)


def vehicle_of(fused: pa.Table, truth_tracks: pa.Table, *, gate_m: float) -> Ints:
    """Return for each fused track number the true vehicle that it moves with, judged from positions alone; -1 for nobody."""

    def column(name: str) -> Floats:
        return np.asarray(fused[name], dtype=np.float64)

    track = np.asarray(fused["track"], dtype=np.int64)
    as_sightings = Sightings(
        "fused", Terms(0, 100, 0.0), np.asarray(fused["t_ms"], np.int64), track, track, column("x_m"), column("y_m"), column("heading_deg"),
        column("speed_mps"), column("len_m"), column("wid_m"), column("sigma_m"),
    )  # fmt: skip # the columns of a track
    return followed(as_sightings, true_states(truth_tracks), gate=np.full(len(track), gate_m), least_share=0.5).vehicle


def _listed(table: pa.Table) -> tuple[NDArray[np.int64], Ints, Ints]:
    """Return the two vehicles (smaller number first), begin and end of each row."""
    users = np.column_stack([np.asarray(table["ego"], np.int64), np.asarray(table["foe"], np.int64)]).reshape(-1, 2)
    return np.sort(users, axis=1), np.asarray(table["begin_ms"], np.int64), np.asarray(table["end_ms"], np.int64)


def _graded(
    view: str,
    found: _Warnings,
    hazards: pa.Table,
    real: tuple[NDArray[np.int64], Ints, Ints],
    parameters: WarningParameters,
) -> list[dict[str, object]]:
    users = _listed(hazards)[0]
    at = np.asarray(hazards["at_ms"], dtype=np.int64)
    kinds = np.asarray(hazards["encounter"].to_pylist(), dtype=object)
    same = (users[:, None, :] == found.pair[None, :, :]).all(axis=2)
    same &= (found.begin[None, :] - parameters.slack_ms <= at[:, None]) & (at[:, None] <= found.end[None, :] + parameters.slack_ms)
    warned = same.any(axis=1)
    truly = (real[0][:, None, :] == found.pair[None, :, :]).all(axis=2)
    truly &= (found.begin[None, :] - parameters.slack_ms <= real[2][:, None]) & (
        real[1][:, None] <= found.end[None, :] + parameters.slack_ms
    )
    right = truly.any(axis=0)
    in_time = (same & (found.begin[None, :] <= at[:, None] - parameters.lead_ms)).any(axis=1)
    rows: list[dict[str, object]] = []
    for kind in ("all", *sorted(set(kinds) | set(found.encounter))):
        hazard, warning = (kinds == kind) | (kind == "all"), (found.encounter == kind) | (kind == "all")
        n, m = int(hazard.sum()), int(warning.sum())
        rows.append(
            {
                "view": view,
                "encounter": kind,
                "hazards": n,
                "warned": int(warned[hazard].sum()),
                "in_time": int(in_time[hazard].sum()),
                "warnings": m,
                "true_warnings": int(right[warning].sum()),
                "recall": float(warned[hazard].mean()) if n else None,
                "recall_in_time": float(in_time[hazard].mean()) if n else None,
                "precision": float(right[warning].mean()) if m else None,
            }
        )
    return rows
