"""Rules that compare what is said about motion with the positions themselves: units, heading convention, noise.

A window is a stretch of one track about five seconds long. Over it, the integral of the stated speed has to agree with the
displacement, and the stated heading with the course over ground.
"""

from collections.abc import Iterator

import numpy as np

from chengshu.catalog.model import Semantic, Severity
from chengshu.catalog.rules.sheet import NO_ROWS, Bools, Floats, Hit, Sheet
from chengshu.catalog.rules.tracks import Motion, apart, course, windows_of
from chengshu.kernel.text import Text

WINDOW_S = 5.0
MIN_WINDOWS = 20
MOVED_M = 20.0
STRAIGHT_DEG = 20.0
AGREES_DEG = 30.0
ENOUGH_SHARE = 0.7

SPEED_FITS = (0.8, 1.25)
SPEED_UNITS = {
    0.2778: "a speed divided by 3.6 once too often",
    1.9438: "knots",
    2.2369: "mph",
    3.6: "km/h",
    36.0: "0.1 km/h",
    50.0: "units of 0.02 m/s",
    100.0: "cm/s",
}
UNIT_TOLERANCE = 0.07

FAST_SAMPLING_S = 0.25
SPEED_NOISE_MPS = 0.35
POSITION_NOISE_M = 0.25

_UNIT = Text("Convert the speed to metres a second before publishing.", "请在发布前将速度换算为米每秒。")
_MOTION = Text(
    "Check the units of speed, position and time against each other: they do not describe one motion.",
    "请核对速度、位置与时间的单位：三者描述的不是同一运动。",
)
_HEADING = Text("Give headings in degrees, 0 = north, clockwise.", "航向请用角度表示：正北为 0，顺时针增加。")
_SPEED_NOISE = Text(
    "Filter the speed (for example with a Kalman filter) before times to collision are computed from it.",
    "计算碰撞时间之前请先对速度滤波（如卡尔曼滤波）。",
)
_POSITION_NOISE = Text(
    "State the real standard deviation of the positions, or filter them: noise of 0.5 m more than doubles false conflicts.",
    "请如实填写位置标准差或先行滤波：0.5 m 的噪声会使误报的冲突增加一倍以上。",
)


def speed_unit(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when the stated speed and the displacement differ by a unit's factor, or do not fit at all."""
    motion = sheet.motion
    if motion is None or motion.speed is None:
        return None
    windows = windows_of(motion, length_s=WINDOW_S)
    step = np.diff(motion.t_s)
    part = 0.5 * (motion.speed[1:] + motion.speed[:-1]) * np.where(step > 0, step, 0.0)
    missing = np.concatenate([[0], np.cumsum(np.isnan(part))])
    way = np.concatenate([[0.0], np.cumsum(np.nan_to_num(part))])
    usable = (windows.moved_m > MOVED_M) & (missing[windows.end] == missing[windows.start])
    if np.count_nonzero(usable) < MIN_WINDOWS:
        return None
    ratio = float(np.median((way[windows.end] - way[windows.start])[usable] / windows.moved_m[usable]))
    return _judge_ratio(sheet, ratio)


def _judge_ratio(sheet: Sheet, ratio: float) -> Iterator[Hit]:
    if SPEED_FITS[0] <= ratio <= SPEED_FITS[1]:
        return
    name = sheet.contract.about(Semantic.SPEED)[0]
    unit = next((unit for factor, unit in SPEED_UNITS.items() if abs(ratio / factor - 1) <= UNIT_TOLERANCE), None)
    if unit is None:
        got = f"one that is {ratio:.3g} times the displacement"
        yield Hit("speed-implausible", name, Severity.ERROR, NO_ROWS, "a speed that agrees with the positions", got, _MOTION)
    else:
        yield Hit("wrong-unit", name, Severity.ERROR, NO_ROWS, "metres a second", f"what looks like {unit}", _UNIT)


def heading_convention(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when headings do not follow the course over ground; name the convention they do follow."""
    motion = sheet.motion
    if motion is None or motion.heading is None:
        return None
    windows = windows_of(motion, length_s=WINDOW_S)
    before, after = course(motion, windows.start, windows.middle), course(motion, windows.middle, windows.end)
    stated = motion.heading[windows.middle]
    usable = (windows.moved_m > MOVED_M) & (apart(before, after) < STRAIGHT_DEG) & np.isfinite(stated)
    if np.count_nonzero(usable) < MIN_WINDOWS:
        return None
    driven = course(motion, windows.start, windows.end)[usable]
    return _judge_heading(sheet, stated[usable], driven)


def _judge_heading(sheet: Sheet, stated: Floats, driven: Floats) -> Iterator[Hit]:
    readings = {
        "": stated,
        "0 = east, counter-clockwise": 90.0 - stated,
        "the reverse direction": stated + 180.0,
        "0 = north, counter-clockwise": -stated,
        "radians": np.degrees(stated),
        "radians, 0 = east, counter-clockwise": 90.0 - np.degrees(stated),
    }
    shares = {name: float(np.mean(apart(reading, driven) < AGREES_DEG)) for name, reading in readings.items()}
    if shares[""] >= ENOUGH_SHARE:
        return
    column = sheet.contract.about(Semantic.HEADING)[0]
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= ENOUGH_SHARE:
        got = f"what looks like {best}"
        yield Hit("heading-convention", column, Severity.ERROR, NO_ROWS, "degrees, 0 = north, clockwise", got, _HEADING)
    else:
        got = "headings that do not follow the way driven"
        yield Hit("heading-implausible", column, Severity.ERROR, NO_ROWS, "degrees, 0 = north, clockwise", got, _HEADING)


def speed_noise(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield a warning when the speed is rougher, from row to row, than a vehicle can be; needs at least 4 Hz."""
    motion = sheet.motion
    if motion is None or motion.speed is None:
        return None
    even = _even_triples(motion) & (motion.speed[1:-1] > 2.0)
    sigma = _roughness(motion.speed, even)
    return None if sigma is None else _judge_speed_noise(sheet, sigma)


def position_noise(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield a warning when positions are rougher, from row to row, than the stated standard deviation; needs at least 4 Hz."""
    motion = sheet.motion
    if motion is None:
        return None
    even = _even_triples(motion)
    east, north = _roughness(motion.x_m, even), _roughness(motion.y_m, even)
    if east is None or north is None:
        return None
    stated = 0.0 if motion.sigma is None or np.isnan(motion.sigma).all() else float(np.nanmedian(motion.sigma))
    return _judge_position_noise(sheet, max(east, north), stated)


def _judge_speed_noise(sheet: Sheet, sigma: float) -> Iterator[Hit]:
    if sigma > SPEED_NOISE_MPS:
        expected, got = f"noise of at most {SPEED_NOISE_MPS:g} m/s", f"about {sigma:.2f} m/s"
        yield Hit("speed-noise", sheet.contract.about(Semantic.SPEED)[0], Severity.WARNING, NO_ROWS, expected, got, _SPEED_NOISE)


def _judge_position_noise(sheet: Sheet, sigma: float, stated: float) -> Iterator[Hit]:
    limit = max(POSITION_NOISE_M, 1.5 * stated)
    if sigma > limit:
        column = "+".join(sheet.contract.about(Semantic.LATITUDE) + sheet.contract.about(Semantic.LONGITUDE))
        yield Hit(
            "position-noise", column, Severity.WARNING, NO_ROWS, f"noise of at most {limit:.2f} m", f"about {sigma:.2f} m", _POSITION_NOISE
        )


def _even_triples(motion: Motion) -> Bools:
    """Where three rows in a row are of one track, equally far apart, and close enough for a vehicle to be smooth."""
    step = np.diff(motion.t_s)
    same = np.diff(motion.track) == 0
    even = np.abs(step[1:] - step[:-1]) < 0.01
    return np.asarray(even & same[1:] & same[:-1] & (step[1:] > 0) & (step[1:] <= FAST_SAMPLING_S), dtype=np.bool_)


def _roughness(values: Floats, at: Bools) -> float | None:
    """Standard deviation of white noise, from second differences by their median (robust; the factor sqrt(6) is that of 1, -2, 1)."""
    second = (values[2:] - 2 * values[1:-1] + values[:-2])[at] if len(values) > 2 else np.empty(0)
    second = second[np.isfinite(second)]
    if len(second) < 10 * MIN_WINDOWS:
        return None
    return float(1.4826 * np.median(np.abs(second)) / np.sqrt(6.0))
