"""One picture from many parties' products: clocks aligned, tracks of one vehicle joined, positions combined, nothing counted twice.

Inside a party errors of different sensors are taken as independent (inverse variance); across parties their correlation is unknown, so
covariance intersection is used (Julier and Uhlmann, 1997, with the closed-form weights of Niehsen, 2002): never surer than is justified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.align import Alignment, AlignParameters, align
from chengshu.methods.association import TICK_MS, AssociationParameters, Ticks, associate, on_ticks
from chengshu.methods.perception.parameters import PARTY_PRODUCTS
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sightings import SOURCES, Floats, Ints, SetAside, Sightings, read_sightings

PARTY_OF = {source: party for party, sources in PARTY_PRODUCTS.items() for source in sources}
_SIZE_RANK = ("av_state", "rsu_objects", "fleet_gnss", "av_objects", "probe_gnss")
"""Whose word on a vehicle's size is taken first: those who measured or know it before those who assume one for its class."""


@dataclass(frozen=True, slots=True)
class FusionParameters:
    """How products become one picture.

    ``ttc_sigma_m``: sources less sure than this say that a vehicle exists, but not where, for time-to-collision purposes (a 5 m error makes
    it meaningless). ``coast_ms``/``slow_coast_ms``: how long a lost track is carried on, for 10 Hz and for slower sources.
    ``least_seen_ticks``: vehicles seen at fewer ticks are unconfirmed and set aside. ``overconfidence``: a party whose measured
    position error is more than this many declared ones is taken at the measured one.
    """

    ttc_sigma_m: float = 1.0
    coast_ms: int = 500
    slow_coast_ms: int = 1500
    least_seen_ticks: int = 5
    overconfidence: float = 2.0
    align: AlignParameters = field(default_factory=AlignParameters)
    association: AssociationParameters = field(default_factory=AssociationParameters)


@dataclass(frozen=True, slots=True)
class FusedPicture:
    """``tracks`` as the detector takes them, what the clocks were found to be, and every row that was set aside, with the reason.

    tracks: t_ms int64 (UTC epoch), track int64, x_m, y_m (front-bumper centre, local metres), heading_deg, speed_mps, len_m, wid_m,
    sigma_m float64, sources int64 (bit i = source i of :data:`chengshu.methods.sightings.SOURCES`), for_ttc bool (False: existence only).
    """

    tracks: pa.Table
    clocks: tuple[Alignment, ...]
    aside: tuple[SetAside, ...]

    @property
    def quarantined(self) -> frozenset[str]:
        """The sources of parties whose clock put them out; they are in no track."""
        out = {clock.party for clock in self.clocks if clock.verdict == "quarantined"}
        return frozenset(source for source, party in PARTY_OF.items() if party in out)


def fuse(products: Mapping[str, pa.Table], frame: LocalFrame, *, parameters: FusionParameters | None = None) -> FusedPicture:
    """Return the fused picture of the position products present, at 10 Hz, causal: each tick uses only what was measured up to it.

    Latency is not applied here (times are moments of measurement). Parties whose clocks are quarantined take no part. Raises Invalid when a
    product lacks a column.
    """
    chosen = parameters or FusionParameters()
    sightings, aside = read_sightings(products, frame)
    clocks = align(by_party(sightings), chosen.align)
    usable, more = timed(sightings, clocks, chosen)
    coast = [chosen.coast_ms if source.terms.period_ms <= TICK_MS else chosen.slow_coast_ms for source in usable]
    ticks = on_ticks(usable, coast, first_sources=[SOURCES.index(source.source) for source in usable])
    vehicle = associate(ticks, chosen.association, fine_sigma_m=chosen.ttc_sigma_m)
    sizes = _sizes(usable, ticks, vehicle)
    tracks, unconfirmed = _combined(ticks, vehicle, sizes, chosen)
    return FusedPicture(
        tracks, tuple(clocks.values()), (*aside, *more, SetAside("fused", "confirm", "seen-too-briefly", unconfirmed, kept=False))
    )


def by_party(sightings: Mapping[str, Sightings]) -> dict[str, list[Sightings]]:
    """Return the sightings grouped by the party whose clock stamped them, in the parties' order."""
    return {
        party: [sightings[source] for source in sources if source in sightings]
        for party, sources in PARTY_PRODUCTS.items()
        if any(source in sightings for source in sources)
    }


def timed(
    sightings: Mapping[str, Sightings], clocks: Mapping[str, Alignment], parameters: FusionParameters
) -> tuple[list[Sightings], tuple[SetAside, ...]]:
    """Return the sources on the consensus time, without quarantined parties; overconfident parties get the error that was measured."""
    usable: list[Sightings] = []
    aside: list[SetAside] = []
    for name, source in sightings.items():
        clock = clocks[PARTY_OF[name]]
        if clock.verdict == "quarantined":
            aside.append(SetAside(name, "align", "clock-beyond-limit", len(source), kept=False))
            continue
        if clock.verdict == "corrected":
            aside.append(SetAside(name, "align", "clock-corrected", len(source), kept=True))
            source = source.later(clock.offset_ms)  # noqa: PLW2901 # the same source on another clock
        declared = float(np.median(source.sigma)) if len(source) else 0.0
        # 0.3 m is granted for where on a vehicle's front two parties put their point.
        if not np.isnan(clock.position_error_m) and clock.position_error_m > parameters.overconfidence * declared + 0.3:
            aside.append(SetAside(name, "align", "position-error-above-declared", len(source), kept=True))
            source = replace(source, sigma=np.maximum(source.sigma, clock.position_error_m))  # noqa: PLW2901 # the same source, less sure
        coarse = source.sigma > parameters.ttc_sigma_m
        aside.append(SetAside(name, "gate", "existence-only-for-ttc", int(coarse.sum()), kept=True))
        usable.append(source)
    return usable, tuple(aside)


def _sizes(sources: Sequence[Sightings], ticks: Ticks, vehicle: Ints) -> Floats:
    """Return length and width for every vehicle (float [vehicles, 2]) from the source that knows best."""
    sizes = np.full((int(vehicle.max(initial=-1)) + 1, 2), np.nan)
    known = [source for source in sources if len(source)]
    begin = [np.flatnonzero(np.diff(source.track, prepend=-1)) for source in known]
    if not known:
        return sizes
    of_track = np.concatenate([np.column_stack([s.length[rows], s.width[rows]]) for s, rows in zip(known, begin, strict=True)])
    for source in reversed(_SIZE_RANK):  # the best comes last and stays
        told = ticks.source == SOURCES.index(source)
        sizes[vehicle[told]] = of_track[ticks.track[told]]
    return sizes


def _combined(ticks: Ticks, vehicle: Ints, sizes: Floats, parameters: FusionParameters) -> tuple[pa.Table, int]:
    """Return one row per vehicle and tick, and how many such rows belong to vehicles that were seen too briefly."""
    owner = vehicle
    party = np.asarray([list(PARTY_PRODUCTS).index(PARTY_OF[source]) for source in SOURCES], dtype=np.int64)[ticks.source]
    order = np.lexsort((party, owner, ticks.tick))
    ticks, owner, party = ticks.rows(order), owner[order], party[order]
    cell = _starts(ticks.tick, owner)
    weight, variance, precise = _weights(ticks, party, cell, parameters.ttc_sigma_m)
    total = np.add.reduceat(weight, cell) if len(cell) else weight
    mean = {name: _sum(weight * getattr(ticks, name), cell) / total for name in ("x", "y", "speed")}
    radians = np.radians(ticks.heading)
    heading = np.degrees(np.arctan2(_sum(weight * np.sin(radians), cell), _sum(weight * np.cos(radians), cell))) % 360
    bits = np.bitwise_or.reduceat(np.left_shift(1, ticks.source), cell) if len(cell) else ticks.source
    number = owner[cell]
    confirmed = np.bincount(number, minlength=len(sizes))[number] >= parameters.least_seen_ticks
    table = pa.table(
        {
            "t_ms": ticks.tick[cell] * TICK_MS,
            "track": number,
            "x_m": mean["x"],
            "y_m": mean["y"],
            "heading_deg": heading,
            "speed_mps": mean["speed"],
            "len_m": sizes[number, 0],
            "wid_m": sizes[number, 1],
            "sigma_m": np.sqrt(variance),
            "sources": bits,
            "for_ttc": precise,
        }
    )
    return table.filter(pa.array(confirmed)), int((~confirmed).sum())


def _weights(ticks: Ticks, party: Ints, cell: Ints, ttc_sigma_m: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return each row's weight, and for each cell its variance and whether its position is precise enough for time to collision."""
    size = len(ticks.tick)
    of_cell = np.repeat(np.arange(len(cell)), np.diff(np.append(cell, size)))
    fine = ticks.variance <= ttc_sigma_m**2
    any_fine = np.logical_or.reduceat(fine, cell) if len(cell) else fine
    # Coarse positions count only where there is nothing better: they must not pull a precise one.
    inverse = np.where(fine | ~any_fine[of_cell], 1 / ticks.variance, 0.0)
    group = _starts(of_cell, party)
    of_group = np.repeat(np.arange(len(group)), np.diff(np.append(group, size)))
    knowledge = _sum(inverse, group)  # inverse variance of each party's own estimate
    group_cell = of_cell[group]
    share = knowledge / np.bincount(group_cell, weights=knowledge, minlength=len(cell))[group_cell]  # Niehsen's omega, proportional to 1/P
    variance = 1 / np.bincount(group_cell, weights=share * knowledge, minlength=len(cell))
    return inverse * share[of_group], variance, any_fine & (variance <= ttc_sigma_m**2)


def _starts(first: Ints, second: Ints) -> Ints:
    """Return where a new (first, second) begins in rows sorted by both."""
    if len(first) == 0:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.append(True, (np.diff(first) != 0) | (np.diff(second) != 0)))


def _sum(values: Floats, starts: Ints) -> Floats:
    return np.add.reduceat(values, starts) if len(starts) else values
