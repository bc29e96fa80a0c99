"""A permit held against telemetry: every rule, every vehicle, as episodes with reasons."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from chengshu.methods.pilot.context import PilotContext
from chengshu.methods.pilot.permit import Permit
from chengshu.methods.pilot.rules import RULES, Rule
from chengshu.methods.pilot.scene import Scene, scene_of
from chengshu.methods.pilot.verdict import Verdict

EPISODES = pa.schema(
    [
        ("rule", pa.string()),
        ("veh_pid", pa.string()),
        ("result", pa.string()),
        ("begin_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("n_ticks", pa.int64()),
        ("reason", pa.string()),
        ("missing_from", pa.string()),
    ]
)
"""One row an episode: unbroken ticks of one vehicle with one result for one reason; it never spans a telemetry gap.

``result`` is COMPLIANT, VIOLATION or UNKNOWN; ``missing_from`` names whose data is missing, where that is why it is UNKNOWN.
"""


def evaluate(telemetry: pa.Table, *, permit: Permit, context: PilotContext, rules: Sequence[Rule] = RULES) -> pa.Table:
    """Return the episodes (schema :data:`EPISODES`) of ``rules`` over av_state telemetry, by rule, vehicle and time.

    Every tick is in exactly one episode of each rule. Nothing that is not known is COMPLIANT, nothing uncertain is a VIOLATION.
    Raises Invalid for telemetry that cannot be read (see :func:`~chengshu.methods.pilot.scene.scene_of`).
    """
    scene = scene_of(telemetry, permit=permit, context=context)
    return pa.concat_tables([EPISODES.empty_table(), *(_episodes(rule.rule_id, rule.decide(scene), scene) for rule in rules)])


def _episodes(rule_id: str, verdict: Verdict, scene: Scene) -> pa.Table:
    fresh = scene.breaks.copy()
    fresh[1:] |= verdict.of[1:] != verdict.of[:-1]
    first = np.flatnonzero(fresh)
    last = np.append(first[1:], scene.n) - 1 if len(first) else first
    begin = scene.t_ms if verdict.since_ms is None else verdict.since_ms
    case = pa.array(verdict.of[first])
    columns = [
        pa.array([rule_id] * len(first), pa.string()),
        pa.array(scene.pids, pa.string()).take(pa.array(scene.veh[first])),
        pa.array([str(each.result) for each in verdict.cases], pa.string()).take(case),
        pa.array(begin[first], pa.int64()),
        pa.array(scene.t_ms[last], pa.int64()),
        pa.array(last - first + 1, pa.int64()),
        pa.array([each.reason for each in verdict.cases], pa.string()).take(case),
        pa.array([each.missing_from for each in verdict.cases], pa.string()).take(case),
    ]
    return pa.Table.from_arrays(columns, schema=EPISODES)
