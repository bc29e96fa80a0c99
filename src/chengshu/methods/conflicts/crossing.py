"""Crossing and merging: two paths that lead through one conflict area.

Definitions follow the documentation of SUMO's SSM device: a collision is expected if the one who comes second would enter before the first
is out; the TTC is then the second one's time to the entry at its present speed, and the DRAC the braking that lets the first one out.
Braking vehicles are expected to go on braking, others to keep their speed.
"""

from numba import njit

from chengshu.methods.conflicts.measures import (
    NEVER,
    arrival_time,
    deceleration_to_arrive_after,
    deceleration_to_avoid,
    time_to_collision,
)


@njit(cache=True)
def _braking_for(distance: float, speed: float, entry_other: float, exit_other: float) -> float:
    """Return the braking with which one lets the other through, infinity if that cannot be asked of this one."""
    if distance <= 0.0:
        return NEVER
    if exit_other < NEVER:
        return deceleration_to_arrive_after(distance, speed, exit_other) if exit_other > 0.0 else 0.0
    if entry_other < NEVER:  # the other is expected to stop inside the area
        return deceleration_to_avoid(distance, speed, 0.0)
    return NEVER


@njit(cache=True)
def crossing_measures(d_a, through_a, v_a, acc_a, d_b, through_b, v_b, acc_b):  # type: ignore[no-untyped-def] # numba infers these
    """Return (TTC, DRAC, whether a comes second) of two that cross.

    ``d`` is the distance (m) of the front to the area's entry, negative inside; ``through`` what must be driven from the entry until the
    rear is out (m); speeds in m/s, accelerations in m/s². (inf, 0) unless at least one is still outside and none has left.
    """
    if d_a + through_a <= 0.0 or d_b + through_b <= 0.0 or (d_a <= 0.0 and d_b <= 0.0):
        return NEVER, 0.0, False
    in_a, in_b = arrival_time(d_a, v_a, acc_a), arrival_time(d_b, v_b, acc_b)
    out_a, out_b = arrival_time(d_a + through_a, v_a, acc_a), arrival_time(d_b + through_b, v_b, acc_b)
    a_second = not in_a < in_b
    ttc = NEVER
    if a_second and in_a < NEVER and in_a <= out_b:
        ttc = time_to_collision(d_a, v_a, 0.0)
    elif not a_second and in_b < NEVER and in_b <= out_a:
        ttc = time_to_collision(d_b, v_b, 0.0)
    drac = min(_braking_for(d_a, v_a, in_b, out_b), _braking_for(d_b, v_b, in_a, out_a))
    return ttc, (drac if 0.0 < drac < NEVER else 0.0), a_second


@njit(cache=True)
def merging_measures(d_a, len_a, v_a, d_b, len_b, v_b):  # type: ignore[no-untyped-def] # numba infers these
    """Return (TTC, DRAC, whether a comes second) of two whose paths join ``d`` metres ahead, at constant speeds.

    If the second would arrive before the first's rear is past the joint, the joint counts as a standing obstacle; else the
    two are followed beyond it as leader and follower. (inf, 0) if one stands or is past the joint.
    """
    if d_a <= 0.0 or d_b <= 0.0 or v_a <= 0.0 or v_b <= 0.0:
        return NEVER, 0.0, False
    a_second = not d_a / v_a < d_b / v_b
    d_1, len_1, v_1, d_2, v_2 = (d_b, len_b, v_b, d_a, v_a) if a_second else (d_a, len_a, v_a, d_b, v_b)
    out_1 = (d_1 + len_1) / v_1
    if out_1 >= d_2 / v_2:
        return time_to_collision(d_2, v_2, 0.0), deceleration_to_avoid(d_2, v_2, 0.0), a_second
    after = time_to_collision(d_2 - out_1 * v_2, v_2, v_1)
    return out_1 + after, deceleration_to_avoid(d_2 - d_1 - len_1, v_2, v_1), a_second
