"""Which coalition of parties could have seen a dangerous encounter coming: the value V(S) behind the multiplier.

This measures *observability*: both road users were in the coalition's picture, without a break, early enough, where they really were. It is
an upper bound on a warning rate. Whether a warning system would have spoken, and how often it would have spoken falsely, is measured by
running the detector (:mod:`chengshu.methods.warn`), not here. Judged from the products' rows alone: a track counts for a vehicle when it
moves with it, never because of a shared number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.groundtruth import Followed, followed, present_before, true_states
from chengshu.methods.perception.parameters import PARTY_PRODUCTS
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sightings import Ints, SetAside, Sightings, aside_table, read_sightings

Coalition = frozenset[str]
Seen = NDArray[np.bool_]
TTC_S, DRAC_MPS2, PET_S = 1.5, 3.35, 1.5
"""Hazard thresholds (anchored on SSAM's 1.5 s and the 3.35 m/s² of the surrogate-safety literature)."""
TICK_MS = 100


@dataclass(frozen=True, slots=True)
class HazardParameters:
    """When a hazard counts as seen in time.

    ``lead_ms`` before the hazard, after each source's latency; ``gap_ms``/``slow_gap_ms``: the longest break in the sightings of a
    road user for 10 Hz and for slower sources; gate: ``gate_sigmas`` declared errors but at least ``least_gate_m`` from the true position.
    ``present_ms``: hazards of which a road user was not yet in the recording that long before are set aside: nobody could have seen it.
    """

    lead_ms: int = 2000
    other_leads_ms: tuple[int, ...] = (1000, 2000, 3000)
    gap_ms: int = 1000
    slow_gap_ms: int = 1500
    gate_sigmas: float = 3.0
    least_gate_m: float = 1.5
    least_share: float = 0.5
    present_ms: int = 3000


@dataclass(frozen=True, slots=True)
class CoalitionValues:
    """V(S) for every coalition, exact, and what it is made of.

    ``values``: share of hazards seen in time at the main lead; ``hazards``: int64 [n], the numbers of the hazards that count; ``seen``:
    bool [n] per coalition, in the same order;
    ``by_lead``: coalition, lead_ms, encounter ("all" or a kind), hazards, seen, missed; ``false_tracks``: source, tracks, false_tracks
    (tracks of at least half a second that no real vehicle moves with); ``aside``: every row left out, and why.
    """

    parties: tuple[str, ...]
    hazards: Ints
    values: Mapping[Coalition, Fraction]
    seen: Mapping[Coalition, Seen]
    by_lead: pa.Table
    false_tracks: pa.Table
    aside: pa.Table

    @property
    def everyone(self) -> Seen:
        """What all parties together saw in time."""
        return self.seen[frozenset(self.parties)]

    @property
    def singles(self) -> dict[str, Seen]:
        """What each party alone saw in time."""
        return {party: self.seen[frozenset({party})] for party in self.parties}


def find_hazards(truth: pa.Table, vehicles: pa.Table, *, started_ms: int = 0) -> pa.Table:
    """Return the recorded conflicts that were hazards and had an automated vehicle in them; times moved by ``started_ms``.

    Hazard: minimum TTC < 1.5 s, maximum DRAC > 3.35 m/s² or 0 ≤ PET < 1.5 s. Columns: those of the truth, then ``at_ms`` int64 (the
    first moment at which one of the measures that make it a hazard is taken) and ``hazard`` int64. A TTC of exactly zero is an overlap the
    simulator logs inside junctions, not an encounter, and does not count.
    """
    av = {row["veh"] for row in vehicles.select(["veh", "kind"]).to_pylist() if row["kind"] == "av"}
    kept: list[int] = []
    at: list[int] = []
    for index, row in enumerate(truth.to_pylist()):
        moments = _hazard_moments(row)
        if moments and (row["ego"] in av or row["foe"] in av):
            kept.append(index)
            at.append(min(moments) + started_ms)
    table = truth.take(pa.array(kept, pa.int64()))
    for name in ("begin_ms", "end_ms", "min_ttc_ms", "max_drac_ms", "pet_ms"):
        moved = pa.array([None if value is None else value + started_ms for value in table[name].to_pylist()], pa.int64())
        table = table.set_column(table.schema.get_field_index(name), name, moved)
    return table.append_column("at_ms", pa.array(at, pa.int64())).append_column("hazard", pa.array(range(len(at)), pa.int64()))


def truth_products(recording_tracks: pa.Table, vehicles: pa.Table, truth: pa.Table, *, started_ms: int) -> dict[str, pa.Table]:
    """Return the space operator's two products for grading: hazard_truth and truth_tracks (all true states, ``t_ms`` UTC epoch ms)."""
    t_ms = np.asarray(recording_tracks["t_ms"], dtype=np.int64) + started_ms
    tracks = pa.table(
        {
            "t_ms": t_ms,
            "veh": recording_tracks["veh"].cast(pa.int64()),
            "x_m": recording_tracks["x_m"].cast(pa.float64()),
            "y_m": recording_tracks["y_m"].cast(pa.float64()),
        }
    )
    return {"hazard_truth": find_hazards(truth, vehicles, started_ms=started_ms), "truth_tracks": tracks}


def coalition_values(
    products: Mapping[str, pa.Table],
    hazards: pa.Table,
    truth_tracks: pa.Table,
    *,
    frame: LocalFrame,
    parameters: HazardParameters | None = None,
) -> CoalitionValues:
    """Return V(S) for every coalition S of the four parties: the share of ``hazards`` that S saw in time.

    Seen in time: in S's picture both road users are there, without a break longer than the gap, at every moment from the lead before the
    hazard until the hazard, and were there one latency earlier, so that the picture had arrived. A sighting counts when its track moves
    with that vehicle (nearest true vehicle for at least half of its life) and lies within the gate at that moment. V only grows with S.
    ``hazards``: hazard_truth; ``truth_tracks``: t_ms, veh, x_m, y_m of all vehicles. Raises Invalid when a product lacks a column.
    """
    chosen = parameters or HazardParameters()
    sightings, aside = read_sightings(products, frame)
    truth = true_states(truth_tracks)
    present = present_before(hazards, truth, back_ms=chosen.present_ms)
    unseen = SetAside("hazard_truth", "present", "road-user-not-yet-recorded", int((~present).sum()), kept=False)
    hazards = hazards.filter(pa.array(present))
    follows = {
        name: followed(
            source, truth, gate=np.maximum(chosen.least_gate_m, chosen.gate_sigmas * source.sigma), least_share=chosen.least_share
        )
        for name, source in sightings.items()
    }
    leads = sorted({chosen.lead_ms, *chosen.other_leads_ms})
    shown = {name: _presence(source, follows[name], hazards, leads[-1], chosen) for name, source in sightings.items()}
    parties = tuple(PARTY_PRODUCTS)
    coalitions = [frozenset(members) for size in range(len(parties) + 1) for members in combinations(parties, size)]
    seen = {lead: {members: _in_time(shown, members, lead, hazards.num_rows) for members in coalitions} for lead in leads}
    main = seen[chosen.lead_ms]
    total = max(1, hazards.num_rows)
    return CoalitionValues(
        parties=parties,
        hazards=np.asarray(hazards["hazard"], dtype=np.int64),
        values={members: Fraction(int(np.count_nonzero(found)), total) for members, found in main.items()},
        seen=main,
        by_lead=_by_lead(seen, hazards),
        false_tracks=_false_tracks(sightings, follows),
        aside=aside_table((*aside, unseen, *_unmatched(sightings, follows))),
    )


@dataclass(frozen=True, slots=True)
class _Presence:
    """Whether a source's picture holds each road user at each tick before a hazard: ``now`` by time of measurement, ``known`` by arrival.

    Both bool [hazards, 2 road users, ticks back]; column k is k ticks before the hazard.
    """

    now: Seen
    known: Seen


def _hazard_moments(row: Mapping[str, float | int | None]) -> list[int]:
    ttc, drac, pet = row["min_ttc_s"], row["max_drac_mps2"], row["pet_s"]
    tests = (
        (ttc is not None and 0 < ttc < TTC_S, row["min_ttc_ms"]),
        (drac is not None and drac > DRAC_MPS2, row["max_drac_ms"]),
        (pet is not None and 0 <= pet < PET_S, row["pet_ms"]),
    )
    return [int(moment) for holds, moment in tests if holds and moment is not None]


def _presence(source: Sightings, followed: Followed, hazards: pa.Table, lead_ms: int, parameters: HazardParameters) -> _Presence:
    hold = parameters.gap_ms if source.terms.period_ms <= TICK_MS else parameters.slow_gap_ms
    back = lead_ms // TICK_MS + 1
    good = np.flatnonzero(followed.inside)
    veh = followed.vehicle[source.track[good]]
    order = np.lexsort((source.t_ms[good], veh))
    veh, t_ms = veh[order], source.t_ms[good][order]
    users = np.column_stack([np.asarray(hazards["ego"], np.int64), np.asarray(hazards["foe"], np.int64)])
    moment = np.asarray(hazards["at_ms"], dtype=np.int64)[:, None] - np.arange(back) * TICK_MS
    now, known = np.zeros((len(users), 2, back), np.bool_), np.zeros((len(users), 2, back), np.bool_)
    for role in (0, 1):
        low, high = np.searchsorted(veh, users[:, role]), np.searchsorted(veh, users[:, role], side="right")
        for hazard in range(len(users)):
            times = t_ms[low[hazard] : high[hazard]]
            now[hazard, role] = _held(times, moment[hazard], hold)
            known[hazard, role] = _held(times, moment[hazard] - source.terms.latency_ms, hold)
    return _Presence(now, known)


def _held(times: Ints, moments: Ints, hold_ms: int) -> Seen:
    """Return for each moment whether the last sighting up to it is no older than ``hold_ms``."""
    if len(times) == 0:
        return np.zeros(len(moments), np.bool_)
    last = np.searchsorted(times, moments, side="right") - 1
    return np.asarray((last >= 0) & (moments - times[np.maximum(last, 0)] <= hold_ms))


def _in_time(shown: Mapping[str, _Presence], members: Coalition, lead_ms: int, hazards: int) -> Seen:
    sources = [shown[source] for party in members for source in PARTY_PRODUCTS[party] if source in shown]
    if not sources:
        return np.zeros(hazards, np.bool_)
    back = lead_ms // TICK_MS + 1
    now = np.logical_or.reduce([source.now[:, :, :back] for source in sources])
    known = np.logical_or.reduce([source.known[:, :, :back] for source in sources])
    return np.asarray((now & known).all(axis=(1, 2)))


def _by_lead(seen: Mapping[int, Mapping[Coalition, Seen]], hazards: pa.Table) -> pa.Table:
    kinds = np.asarray(hazards["encounter"].to_pylist(), dtype=object)
    groups = [("all", np.ones(len(kinds), np.bool_)), *((kind, kinds == kind) for kind in sorted(set(kinds)))]
    rows = [
        {
            "coalition": "+".join(sorted(members)),
            "lead_ms": lead,
            "encounter": kind,
            "hazards": int(chosen.sum()),
            "seen": int((found & chosen).sum()),
            "missed": int((~found & chosen).sum()),
        }
        for lead, coalitions in seen.items()
        for members, found in coalitions.items()
        for kind, chosen in groups
    ]
    return pa.Table.from_pylist(rows)


def _false_tracks(sightings: Mapping[str, Sightings], follows: Mapping[str, Followed]) -> pa.Table:
    rows = []
    for name, source in sightings.items():
        life = np.bincount(source.track, minlength=len(follows[name].vehicle))
        lasting = life >= (5 if source.terms.period_ms <= TICK_MS else 2)
        rows.append({"source": name, "tracks": int(lasting.sum()), "false_tracks": int((lasting & (follows[name].vehicle < 0)).sum())})
    return pa.Table.from_pylist(rows, schema=pa.schema([("source", pa.string()), ("tracks", pa.int64()), ("false_tracks", pa.int64())]))


def _unmatched(sightings: Mapping[str, Sightings], follows: Mapping[str, Followed]) -> list[SetAside]:
    aside: list[SetAside] = []
    for name, source in sightings.items():
        lost = follows[name].vehicle[source.track] < 0
        aside.append(SetAside(name, "match", "no-true-vehicle", int(lost.sum()), kept=False))
        aside.append(SetAside(name, "match", "outside-the-gate", int((~follows[name].inside & ~lost).sum()), kept=False))
    return aside
