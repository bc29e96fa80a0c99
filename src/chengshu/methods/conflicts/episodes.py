"""From hits at single ticks to conflicts: one row for each pair, encounter and stretch of time."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.conflicts.lanes import Floats, Ints
from chengshu.methods.conflicts.parameters import ConflictParameters
from chengshu.methods.conflicts.tables import CONFLICT_SCHEMA, ENCOUNTERS


@dataclass(frozen=True, slots=True)
class Hits:
    """Moments at which a pair was critical: the track that comes second and the other, and NaN for measures that do not apply."""

    second: Ints
    first: Ints
    kind: Ints
    t_ms: Ints
    ttc: Floats
    drac: Floats
    pet: Floats
    x: Floats
    y: Floats


def conflicts_from(hits: Hits, *, parameters: ConflictParameters) -> pa.Table:
    """Return the conflicts of ``hits`` by begin, with ``track_a`` the one that came second at the worst moment.

    Hits of a pair in one kind of encounter that are closer than ``extra_time_s`` are one conflict. It needs ``min_ticks`` hits of TTC or
    DRAC, or a post-encroachment time, to be kept. Begin is its first hit; with ``past_only`` the moment from which on it is kept.
    """
    if len(hits.t_ms) == 0:
        return CONFLICT_SCHEMA.empty_table()
    low, high = np.minimum(hits.first, hits.second), np.maximum(hits.first, hits.second)
    order = np.lexsort((hits.t_ms, hits.kind, high, low))
    keys = np.stack((low, high, hits.kind))[:, order]
    t_ms = hits.t_ms[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0) | (np.diff(t_ms) > parameters.extra_time_s * 1000)
    start = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    ttc, drac, pet = hits.ttc[order], hits.drac[order], hits.pet[order]
    worst_ttc, worst_drac, worst_pet = _least(ttc, group, start), _least(-drac, group, start), _least(pet, group, start)
    worst = order[np.where(np.isnan(ttc[worst_ttc]), np.where(np.isnan(pet[worst_pet]), worst_drac, worst_pet), worst_ttc)]
    is_tick = np.isnan(pet)
    kept = (np.add.reduceat(is_tick.astype(np.int64), start) >= parameters.min_ticks) | ~np.isnan(pet[worst_pet])
    begin = _confirmed(t_ms, is_tick, start, min_ticks=parameters.min_ticks) if parameters.past_only else t_ms[start]
    columns = [
        hits.second[worst],
        hits.first[worst],
        np.array(ENCOUNTERS, dtype=object)[hits.kind[worst]],
        begin,
        np.maximum.reduceat(t_ms, start),
        *_with_time(ttc[worst_ttc], t_ms[worst_ttc]),
        *_with_time(drac[worst_drac], t_ms[worst_drac]),
        *_with_time(pet[worst_pet], t_ms[worst_pet]),
        hits.x[worst],
        hits.y[worst],
    ]
    arrays = [pa.array(column, type=field.type, from_pandas=True) for column, field in zip(columns, CONFLICT_SCHEMA, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=CONFLICT_SCHEMA).filter(pa.array(kept))
    return table.sort_by([("begin_ms", "ascending"), ("track_a", "ascending"), ("track_b", "ascending"), ("encounter", "ascending")])


def _confirmed(t_ms: Ints, is_tick: NDArray[np.bool_], start: Ints, *, min_ticks: int) -> Ints:
    """Return for each group when it had ``min_ticks`` hits, or its first post-encroachment time if that was sooner; else its first hit."""
    so_far = np.cumsum(is_tick)
    group = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(t_ms))))
    nth: Ints = so_far - (so_far[start] - is_tick[start])[group]
    when = np.where(~is_tick | (nth >= min_ticks), t_ms, np.iinfo(np.int64).max)
    first = np.minimum.reduceat(when, start)
    return np.asarray(np.where(first == np.iinfo(np.int64).max, t_ms[start], first), dtype=np.int64)


def _least(values: Floats, group: Ints, start: Ints) -> Ints:
    """Return the position of each group's least value, NaN counting as greatest."""
    order = np.lexsort((np.where(np.isnan(values), np.inf, values), group))
    result: Ints = order[start]
    return result


def _with_time(values: Floats, t_ms: Ints) -> tuple[Floats, pa.Array]:
    return values, pa.array(t_ms, mask=np.isnan(values))
