"""Rules about where: zone (R01), control mode outside it (R08), temporary directives (R11), stops (R14)."""

import numpy as np

from chengshu.methods.geofence import Side
from chengshu.methods.pilot.context import FLEET, REGULATOR
from chengshu.methods.pilot.directive import OUT_WITHIN_MS, Directive
from chengshu.methods.pilot.permit import CONTROL_MODES
from chengshu.methods.pilot.rules.states import across_border, driven_by_hand, idle, unplaced
from chengshu.methods.pilot.scene import K_SIGMA, Flags, Scene, permitted_side, side_is
from chengshu.methods.pilot.verdict import Verdict, compliant, first_of, unknown, violation


def zone(scene: Scene) -> Verdict:
    """R01: in operation only in the permitted zones, which are all there is (closed world)."""
    side = permitted_side(scene)
    outside = side_is(side, Side.OUTSIDE)
    branches = [
        *idle(scene),
        *unplaced(scene),
        across_border(side),
        (scene.lasting(outside), violation("outside-permitted-zones")),
        (outside, unknown("outside-too-briefly")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("inside-permitted-zones"))


def control_mode(scene: Scene) -> Verdict:
    """R08: only permitted control modes, and outside the permitted zones only driving by hand."""
    side = permitted_side(scene)
    outside = side_is(side, Side.OUTSIDE) & (scene.mode > 0)
    wrong = np.isin(scene.mode, [i for i, mode in enumerate(CONTROL_MODES) if mode not in scene.permit.control_modes])
    branches = [
        *driven_by_hand(scene),
        (wrong, violation("control-mode-not-permitted")),
        *unplaced(scene),
        across_border(side),
        (scene.lasting(outside), violation("automated-outside-permitted-zones")),
        (outside, unknown("outside-too-briefly")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("mode-permitted-here"))


def directive(scene: Scene) -> Verdict:
    """R11: no entry into an area under a temporary directive; who was inside is out within 120 s."""
    directives = scene.context.directives
    if directives is None:
        return first_of(scene.n, [], otherwise=unknown("directives-not-supplied", REGULATOR))
    sides = scene.sides(tuple(directive.shape for directive in directives))
    in_force, entered, late, unclear, doubtful = (np.zeros(scene.n, dtype=np.bool_) for _ in range(5))
    for i, each in enumerate(directives):
        active = _active(scene, each)
        inside = active & side_is(sides[:, i], Side.INSIDE)
        before, seen_outside = _arrival(scene, side_is(sides[:, i], Side.OUTSIDE), each)
        overdue = scene.t_ms > each.from_ms + OUT_WITHIN_MS
        in_force |= active
        late |= inside & overdue & ~seen_outside
        entered |= inside & ~before & seen_outside
        unclear |= inside & ~before & ~seen_outside & ~overdue
        doubtful |= active & side_is(sides[:, i], Side.UNCERTAIN)
    branches = [
        (~in_force, compliant("no-directive-in-force")),
        *unplaced(scene),
        (scene.lasting(entered), violation("entered-under-directive")),
        (scene.lasting(late), violation("inside-after-120-s")),
        (unclear, unknown("entry-time-not-seen")),
        (entered | late, unknown("inside-too-briefly")),
        (doubtful, unknown("position-across-border")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("directives-kept"))


def _active(scene: Scene, each: Directive) -> Flags:
    ended = False if each.to_ms is None else scene.t_ms >= each.to_ms
    return np.asarray((scene.t_ms >= each.from_ms) & ~np.asarray(ended), dtype=np.bool_)


def _arrival(scene: Scene, outside: Flags, each: Directive) -> tuple[Flags, Flags]:
    """For each tick's stay (unbroken ticks not surely outside): it began before the directive; it began after a tick surely outside."""
    first = scene.run_starts(outside, scene.starts)
    before = scene.t_ms[first] < each.from_ms
    return np.asarray(before), np.asarray(~scene.starts[first] & ~before)


def stops(scene: Scene) -> Verdict:
    """R14: passengers and goods are taken up and set down at the permitted stops only."""
    places = scene.permit.stops
    if places is None:
        return first_of(scene.n, [], otherwise=compliant("stops-not-limited"))
    if scene.context.stop_events is None:
        return first_of(scene.n, [], otherwise=unknown("stop-record-not-supplied", FLEET))
    stopping = scene.covered(scene.context.stop_events)
    margin = np.full(scene.n, -np.inf)  # metres inside the nearest stop's circle
    for place in places:
        x, y = scene.plane.to_plane(np.array(place.lat), np.array(place.lon))
        margin = np.fmax(margin, place.radius_m - np.hypot(scene.x_m - x, scene.y_m - y))
    away = stopping & (margin < -K_SIGMA * scene.sigma_m)
    branches = [
        (~stopping, compliant("not-stopping")),
        *unplaced(scene),
        (np.abs(margin) < K_SIGMA * scene.sigma_m, unknown("position-across-border")),
        (scene.lasting(away), violation("stopping-elsewhere")),
        (away, unknown("stopping-too-briefly")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("at-a-permitted-stop"))
