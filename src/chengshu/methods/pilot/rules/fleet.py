"""Rules about the record and the fleet: liveness and the ten items (R09), fleet cap (R10)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.methods.pilot.context import CAR_MAKER
from chengshu.methods.pilot.permit import IF_ANY, ITEMS
from chengshu.methods.pilot.rules.states import idle, operating
from chengshu.methods.pilot.scene import Flags, Scene
from chengshu.methods.pilot.verdict import Branch, Verdict, compliant, first_of, unknown, violation


def liveness(scene: Scene) -> Verdict:
    """R09: in operation telemetry comes without gaps beyond the permit's, with every item it asks for.

    The episode of a gap runs from the last tick before it to the first after it. A column that the source does not supply at all is
    UNKNOWN by that source; an empty cell in a column it does supply is a violation.
    """
    gap = scene.breaks & ~scene.starts
    before = np.concatenate((scene.t_ms[:1], scene.t_ms[:-1]))
    running = operating(scene)
    was_running = np.concatenate((running[:1], running[:-1]))
    absent: list[Branch] = []
    empty: list[Branch] = []
    for item in scene.permit.items:
        columns = ITEMS[item]
        if any(name not in scene.table.column_names for name in columns):
            absent.append((True, unknown(f"item-not-supplied:{item}", CAR_MAKER)))
        elif item not in IF_ANY:
            empty.append((_empty(scene, columns), violation(f"item-empty:{item}")))
    branches: list[Branch] = [(gap & running & was_running, violation("telemetry-gap")), *idle(scene), *empty, *absent]
    return first_of(scene.n, branches, otherwise=compliant("telemetry-complete"), since_ms=np.where(gap & was_running, before, scene.t_ms))


def _empty(scene: Scene, columns: tuple[str, ...]) -> Flags:
    found = np.zeros(scene.n, dtype=np.bool_)
    for name in columns:
        values = scene.table.column(name)
        floating = pa.types.is_floating(values.type)
        found |= (pc.is_null(values, nan_is_null=True) if floating else values.is_null()).to_numpy()
    return found


def fleet_cap(scene: Scene) -> Verdict:
    """R10: no more vehicles in operation at once than the permit's cap; those that started last are the ones too many.

    A vehicle counts from its first to its last tick in operation, gaps within the permit's bound included; ties go by name.
    """
    cap = scene.permit.fleet_cap
    if cap is None:
        return first_of(scene.n, [], otherwise=compliant("fleet-not-limited"))
    running = operating(scene)
    first = scene.run_starts(running, scene.breaks)
    heads = np.unique(first[running])
    last = np.full(scene.n, -1, dtype=np.int64)
    np.maximum.at(last, first[running], scene.t_ms[running])
    heads = heads[np.lexsort((scene.veh[heads], scene.t_ms[heads]))]
    edges = np.append(np.flatnonzero(np.concatenate(([True], np.diff(first) != 0))), scene.n) if scene.n else np.zeros(1, dtype=np.int64)
    excess = np.zeros(scene.n, dtype=np.bool_)
    ends = last[heads]
    for rank, head in enumerate(heads):
        if rank >= cap:
            stop = edges[np.searchsorted(edges, head, side="right")]
            earlier = np.sort(ends[:rank])
            still = rank - np.searchsorted(earlier, scene.t_ms[head:stop], side="left")
            excess[head:stop] = still >= cap
    return first_of(scene.n, [*idle(scene), (excess, violation("over-the-fleet-cap"))], otherwise=compliant("within-the-fleet-cap"))
