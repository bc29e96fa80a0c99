"""Post-encroachment: who passed which conflict area when, and how soon after one another (Allen 1978)."""

from typing import NamedTuple

import numpy as np
from numba import njit

from chengshu.methods.conflicts.areas import CROSSING
from chengshu.methods.conflicts.growth import grown
from chengshu.methods.conflicts.lanes import Floats, Ints
from chengshu.methods.conflicts.measures import NEVER, post_encroachment_time

LONGEST_APART_MS = 30_000.0
"""Passages whose middles are further apart than this are not compared: it is the time a long vehicle may stand across a junction."""


class Passages(NamedTuple):
    """Front bumpers that pass the centres of crossing areas, sorted by (area, time): a row of the trip, its first and its end row."""

    row: Ints
    trip_low: Ints
    trip_high: Ints
    ref: Ints
    reading: Floats
    middle_ms: Floats


@njit(cache=True)
def passages(paths, areas):  # type: ignore[no-untyped-def] # numba infers these
    """Return (stay, ref, odometer reading) of each passage of a front bumper over the centre of a crossing area."""
    stays, refs, readings = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64), np.empty(1024)
    found = 0
    for i in range(len(paths.trip)):
        begin = paths.odometer[paths.first_row[i]]
        end = paths.odometer[-1]
        if i + 1 < len(paths.trip):
            onward = paths.trip[i + 1] == paths.trip[i]
            end = paths.odometer[paths.first_row[i + 1] - (0 if onward else 1)]
        for k in range(paths.ref_start[i], paths.ref_start[i + 1]):
            if areas.kind[paths.ref[k] // 2] == CROSSING and begin <= paths.ref_at[k] < end:
                stays, refs, readings = grown(stays, found + 1), grown(refs, found + 1), grown(readings, found + 1)
                stays[found], refs[found], readings[found] = i, paths.ref[k], paths.ref_at[k]
                found += 1
    return stays[:found], refs[:found], readings[:found]


@njit(cache=True)
def _time_at(reading, low, high, odometer, t_ms):  # type: ignore[no-untyped-def] # numba infers these
    """Return the time (ms) at which a trip (rows low to high) has driven ``reading`` metres, infinity if it never does."""
    if reading < odometer[low] or reading > odometer[high - 1]:
        return NEVER
    at, end = low, high - 1
    while at < end:  # the first row that has driven at least this far
        middle = (at + end) // 2
        if odometer[middle] < reading:
            at = middle + 1
        else:
            end = middle
    if at == low or odometer[at] == odometer[at - 1]:
        return float(t_ms[at])
    part = (reading - odometer[at - 1]) / (odometer[at] - odometer[at - 1])
    return t_ms[at - 1] + part * (t_ms[at] - t_ms[at - 1])


@njit(cache=True)
def _encroachment(p, q, passed, rows, odometer, t_ms, areas):  # type: ignore[no-untyped-def] # numba infers these
    """Return (PET in s, time of entry in ms) of passage q after passage p; NaN or infinity if a trip does not cover its part.

    A vehicle is in the area from half the other's width (and the slant's margin) before the centre until its rear is past the area.
    """
    width_p, width_q = rows.width[passed.row[p]], rows.width[passed.row[q]]
    enter_p = passed.reading[p] - 0.5 * width_q - areas.margin[passed.ref[p] // 2, passed.ref[p] % 2]
    enter_q = passed.reading[q] - 0.5 * width_p - areas.margin[passed.ref[q] // 2, passed.ref[q] % 2]
    leave_p = enter_p + width_q + rows.length[passed.row[p]]
    out_p = _time_at(leave_p, passed.trip_low[p], passed.trip_high[p], odometer, t_ms)
    in_q = _time_at(enter_q, passed.trip_low[q], passed.trip_high[q], odometer, t_ms)
    return post_encroachment_time(out_p, in_q) * 1e-3, in_q


@njit(cache=True)
def encroachments(passed, rows, odometer, t_ms, areas, pet_s):  # type: ignore[no-untyped-def] # numba infers these
    """Return (row of second, row of first, area, PET in s, time of the second's entry in ms) where the PET is from 0 to ``pet_s``."""
    seconds, firsts, found_areas = np.empty(64, dtype=np.int64), np.empty(64, dtype=np.int64), np.empty(64, dtype=np.int64)
    pets, entries = np.empty(64), np.empty(64)
    found = 0
    for p in range(len(passed.ref)):
        for q in range(p + 1, len(passed.ref)):
            if passed.ref[q] // 2 != passed.ref[p] // 2 or passed.middle_ms[q] - passed.middle_ms[p] > LONGEST_APART_MS:
                break
            if passed.ref[q] == passed.ref[p]:
                continue
            pet, entry = _encroachment(p, q, passed, rows, odometer, t_ms, areas)
            if entry < NEVER and 0.0 <= pet <= pet_s:
                seconds, firsts, found_areas = grown(seconds, found + 1), grown(firsts, found + 1), grown(found_areas, found + 1)
                pets, entries = grown(pets, found + 1), grown(entries, found + 1)
                seconds[found], firsts[found], found_areas[found] = passed.row[q], passed.row[p], passed.ref[p] // 2
                pets[found], entries[found] = pet, entry
                found += 1
    return seconds[:found], firsts[:found], found_areas[:found], pets[:found], entries[:found]
