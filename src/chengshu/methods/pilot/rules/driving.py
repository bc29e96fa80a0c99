"""Rules about how and when: window (R02), speed (R05), weather (R06), safety officer (R07), standing still (R15)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chengshu.methods.geofence import Side
from chengshu.methods.pilot.context import CAR_MAKER, FLEET, WEATHER, column
from chengshu.methods.pilot.rules.states import driven_by_hand, idle, unplaced
from chengshu.methods.pilot.scene import Flags, Floats, Ints, Scene, side_is
from chengshu.methods.pilot.verdict import Branch, Verdict, compliant, first_of, unknown, violation
from chengshu.methods.pilot.windows import intervals, within

SPEED_ROUNDING_MPS = 0.02
"""One step of the speed in vehicle messages (YD/T 3709-2020); 50 km/h that was rounded up is still 50 km/h."""
WEATHER_HOLDS_MS = 15 * 60 * 1000
STANDING_MPS = 0.1


def window(scene: Scene) -> Verdict:
    """R02: in operation only within the permit's validity and time windows; a clock error across a border is doubt."""
    permit = scene.permit
    if not scene.n:
        return first_of(0, [], otherwise=compliant("in-window"))
    error = _clock_error(scene)
    early, late = scene.t_ms - error, scene.t_ms + error
    open_rows = intervals(permit.windows, permit.holidays, from_ms=int(early.min()), to_ms=int(late.max()))
    valid_rows = np.array([[round(permit.valid_from.timestamp() * 1000), round(permit.valid_to.timestamp() * 1000)]])
    valid = [within(moment, valid_rows) for moment in (early, late)]
    opened = [within(moment, open_rows) for moment in (early, late)]
    branches: list[Branch] = [
        *idle(scene),
        (~valid[0] & ~valid[1], violation("permit-not-valid-then")),
        (~opened[0] & ~opened[1], violation("outside-time-window")),
        ((valid[0] != valid[1]) | (opened[0] != opened[1]), unknown("clock-error-across-border")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("in-window"))


def _clock_error(scene: Scene) -> Ints:
    """The declared clock error in whole milliseconds; where none is declared the time stands as it is."""
    if "clock_err_ms" not in scene.table.column_names:
        return np.zeros(scene.n, dtype=np.int64)
    return np.ceil(np.abs(np.nan_to_num(column(scene.table, "clock_err_ms").astype(np.float64)))).astype(np.int64)


def speed(scene: Scene) -> Verdict:
    """R05: driven automatically, no faster than the road's cap; where roads overlap the lowest cap applies.

    Where uncertainty leaves open which road it is, only a speed above every possible cap is a violation.
    """
    low, high = _caps(scene)
    over = scene.speed_mps > high / 3.6 + SPEED_ROUNDING_MPS
    branches: list[Branch] = [
        *driven_by_hand(scene),
        (np.isnan(scene.speed_mps), unknown("speed-missing", CAR_MAKER)),
        *(unplaced(scene) if scene.permit.roads else []),
        (scene.lasting(over), violation("over-the-cap")),
        (over, unknown("over-too-briefly")),
        (scene.speed_mps > low / 3.6 + SPEED_ROUNDING_MPS, unknown("cap-depends-on-position")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("within-the-cap"))


def _caps(scene: Scene) -> tuple[Floats, Floats]:
    """The lowest and the highest cap in km/h that the uncertain position allows."""
    roads = scene.permit.roads
    default = np.full(scene.n, scene.permit.default_kph)
    if not roads:
        return default, default
    side = np.empty((scene.n, len(roads)), dtype=np.int8)
    for i, road in enumerate(roads):
        side[:, i] = scene.beside(road.shape, road.buffer_m)
    caps = np.array([road.max_kph for road in roads])
    sure = np.where(side_is(side, Side.INSIDE), caps, np.inf).min(axis=1)
    on_road = np.isfinite(sure)
    possible_low = np.where(side != Side.OUTSIDE, caps, np.inf).min(axis=1)
    possible_high = np.where(side_is(side, Side.UNCERTAIN), caps, -np.inf).max(axis=1)
    low = np.where(on_road, possible_low, np.minimum(possible_low, default))
    return low, np.where(on_road, sure, np.maximum(possible_high, default))


def weather(scene: Scene) -> Verdict:
    """R06: driven automatically only in the weather of the operational design domain."""
    odd, table = scene.permit.odd, scene.context.weather
    limits = [("rain_mm_h", odd.max_rain_mm_h, 1.0), ("wind_mps", odd.max_wind_mps, 1.0), ("visibility_m", odd.min_visibility_m, -1.0)]
    limited = [(name, limit, sign) for name, limit, sign in limits if limit is not None]
    if not limited:
        return first_of(scene.n, [], otherwise=compliant("weather-not-limited"))
    if table is None or not len(table):
        return first_of(scene.n, driven_by_hand(scene), otherwise=unknown("weather-record-missing", WEATHER))
    table = table.sort_by("t_ms")
    moments = column(table, "t_ms")
    at = np.searchsorted(moments, scene.t_ms, side="right") - 1
    fresh = (at >= 0) & (scene.t_ms - moments[np.maximum(at, 0)] <= WEATHER_HOLDS_MS)
    broken: list[Branch] = []
    missing: list[Branch] = []
    for name, limit, sign in limited:
        values = table.column(name).cast(pa.float64()).to_numpy()
        value = np.where(fresh & (values[np.maximum(at, 0)] >= 0.0), values[np.maximum(at, 0)], np.nan)
        quantity = name.split("_")[0]
        broken.append((sign * value > sign * limit, violation(f"{quantity}-beyond-odd")))
        missing.append((np.isnan(value), unknown(f"{quantity}-record-missing", WEATHER)))
    return first_of(scene.n, [*driven_by_hand(scene), *broken, *missing], otherwise=compliant("within-odd"))


def officer(scene: Scene) -> Verdict:
    """R07: driven automatically only with the safety officers that the permit asks for, on board or remote at 1:3 or better."""
    rule, roster = scene.permit.officer, scene.context.officers
    if rule is None:
        return first_of(scene.n, [], otherwise=compliant("officer-not-required"))
    if roster is None:
        return first_of(scene.n, driven_by_hand(scene), otherwise=unknown("officer-roster-not-supplied", FLEET))
    rows = roster.filter(pc.equal(roster.column("mode"), rule.mode))
    if rule.mode == "onboard":
        short = _onboard(scene, rows) < rule.count
        return first_of(
            scene.n, [*driven_by_hand(scene), (short, violation("no-officer-on-board"))], otherwise=compliant("officer-on-board")
        )
    good, over = _remote(scene, rows, rule.count)
    branches = [*driven_by_hand(scene), (good, compliant("remote-officer-within-ratio")), (over, violation("remote-officer-over-ratio"))]
    return first_of(scene.n, branches, otherwise=violation("no-remote-officer"))


def _onboard(scene: Scene, rows: pa.Table) -> NDArray[np.int64]:
    """How many different officers are on board at each tick."""
    officers = rows.column("officer_id")
    count = np.zeros(scene.n, dtype=np.int64)
    for officer_id in pc.unique(officers):
        count += scene.covered(rows.filter(pc.equal(officers, officer_id)))
    return count


def _remote(scene: Scene, rows: pa.Table, most: int) -> tuple[Flags, Flags]:
    """Ticks watched by an officer with at most ``most`` vehicles then, and ticks watched at all (half-open: a hand-over at t is exact)."""
    good = np.zeros(scene.n, dtype=np.bool_)
    watched = np.zeros(scene.n, dtype=np.bool_)
    officers = rows.column("officer_id")
    for officer_id in pc.unique(officers):
        mine = rows.filter(pc.equal(officers, officer_id))
        seen = scene.covered(mine)
        watched |= seen
        good |= seen & (_load(mine, scene.t_ms) <= most)
    return good, watched


def _load(rows: pa.Table, moments: Ints) -> NDArray[np.int64]:
    """How many different vehicles one officer's rows hold at each moment."""
    load = np.zeros(len(moments), dtype=np.int64)
    pids = rows.column("veh_pid")
    for pid in pc.unique(pids):
        mine = rows.filter(pc.equal(pids, pid))
        opened = np.searchsorted(np.sort(column(mine, "begin_ms")), moments, side="right")
        closed = np.searchsorted(np.sort(column(mine, "end_ms")), moments, side="right")
        load += opened > closed
    return load


def immobilised(scene: Scene) -> Verdict:
    """R15: an automated vehicle does not stand still for longer than the permit allows, stops for passengers or goods aside."""
    events = scene.context.stop_events
    stopping = np.zeros(scene.n, dtype=np.bool_) if events is None else scene.covered(events)
    standing = (scene.speed_mps <= STANDING_MPS) & ~stopping
    limit_ms = scene.permit.immobilised_s * 1000.0
    seen = standing & (scene.t_ms - scene.t_ms[scene.run_starts(standing, scene.breaks)] > limit_ms)
    perhaps = standing & (scene.t_ms - scene.t_ms[scene.run_starts(standing, scene.starts)] > limit_ms)
    branches: list[Branch] = [
        *driven_by_hand(scene),
        (np.isnan(scene.speed_mps), unknown("speed-missing", CAR_MAKER)),
        (seen & (events is None), unknown("stop-record-not-supplied", FLEET)),
        (seen, violation("immobilised")),
        (perhaps, unknown("standing-across-a-gap", CAR_MAKER)),
    ]
    return first_of(scene.n, branches, otherwise=compliant("not-immobilised"))
