"""Surrogate safety measures in closed form, one scalar function each, compiled so that the scanning loops can call them.

"Never" is written as infinity for times and as nought for decelerations: a measure that is not defined must not look critical.

Sources: J. C. Hayward, *Near-miss determination through use of a scale of danger* (1972) for TTC; B. L. Allen, B. T. Shin and
P. J. Cooper, *Analysis of traffic conflicts and collisions* (1978) for PET; D. F. Cooper and N. Ferguson, *Traffic studies at
T-junctions* (1976) and G. Guido et al. (2011) for DRAC; K. Ozbay et al., *Derivation and validation of new simulation-based
surrogate safety measure* (2008) for MTTC. What crossing and merging mean follows the documentation of SUMO's SSM device.
"""

import math

from numba import njit

NEVER = math.inf


@njit(cache=True)
def time_to_collision(gap: float, v_follower: float, v_leader: float) -> float:
    """Return the seconds until the gap (m) is closed at constant speeds (m/s); 0 for bumpers that touch, infinity if never."""
    if gap <= 0.0:
        return 0.0
    closing = v_follower - v_leader
    return gap / closing if closing > 0.0 else NEVER


@njit(cache=True)
def deceleration_to_avoid(gap: float, v_follower: float, v_leader: float) -> float:
    """Return Δv²/(2·gap) in m/s², the least constant braking that keeps the gap (m) open; 0 if not closing or already touching."""
    closing = v_follower - v_leader
    if gap <= 0.0 or closing <= 0.0:
        return 0.0
    return 0.5 * closing * closing / gap


@njit(cache=True)
def modified_time_to_collision(gap: float, closing: float, closing_accel: float) -> float:
    """Return the smallest positive root of gap = closing·t + ½·closing_accel·t² (m, m/s, m/s²); infinity if there is none."""
    if gap <= 0.0:
        return 0.0
    if abs(closing_accel) < 1e-9:
        return gap / closing if closing > 0.0 else NEVER
    inside = closing * closing + 2.0 * closing_accel * gap
    if inside < 0.0:
        return NEVER
    root = math.sqrt(inside)
    # gap·2/(closing + root) is the same root as (−closing + root)/accel, without its cancellation
    if closing + root > 0.0:
        return 2.0 * gap / (closing + root)
    return NEVER


@njit(cache=True)
def arrival_time(distance: float, speed: float, accel: float) -> float:
    """Return the seconds until ``distance`` (m) is covered, infinity if it stops short; braking counts, speeding up does not."""
    if distance <= 0.0:
        return 0.0
    if speed <= 0.0:
        return NEVER
    if accel >= 0.0:
        return distance / speed
    inside = speed * speed + 2.0 * accel * distance
    if inside < 0.0:
        return NEVER
    return 2.0 * distance / (speed + math.sqrt(inside))


@njit(cache=True)
def post_encroachment_time(exit_first: float, entry_second: float) -> float:
    """Return the seconds between the first vehicle's leaving the conflict area and the second's entering it (Allen 1978)."""
    return entry_second - exit_first


@njit(cache=True)
def deceleration_to_arrive_after(distance: float, speed: float, clear_in: float) -> float:
    """Return the constant braking (m/s²) with which a vehicle at ``distance`` (m) arrives just ``clear_in`` seconds from now.

    Nought or less means that it would arrive later anyway: 2·(v − d/t)/t, as in the SSM device's crossing DRAC.
    """
    return 2.0 * (speed - distance / clear_in) / clear_in
