"""Following: the leader is ahead on the follower's own path."""

from numba import njit

from chengshu.methods.conflicts.measures import deceleration_to_avoid, time_to_collision


@njit(cache=True)
def gap_ahead(paths, stay, pos, leader_lane, leader_pos, leader_len):  # type: ignore[no-untyped-def] # numba infers these
    """Return (front distance, gap) in metres along the path of ``stay`` to a leader, (−1, 0) if the leader is not ahead on it.

    Front distance is front bumper to front bumper, the gap front to rear bumper. A leader that has only just joined the path from
    another lane, its rear still outside and beside the follower, is not yet followed.
    """
    for k in range(paths.lane_start[stay], paths.lane_start[stay + 1]):
        if paths.lane[k] == leader_lane:
            ahead = paths.lane_offset[k] + leader_pos - pos
            if ahead > leader_len or (ahead > 0.0 and leader_pos >= leader_len):
                return ahead, ahead - leader_len
    return -1.0, 0.0


@njit(cache=True)
def following_measures(gap: float, v_follower: float, v_leader: float) -> tuple[float, float]:
    """Return (TTC in s, DRAC in m/s²) for a bumper-to-bumper gap in metres (Hayward 1972; Cooper & Ferguson 1976)."""
    return time_to_collision(gap, v_follower, v_leader), deceleration_to_avoid(gap, v_follower, v_leader)
