"""The pilot's path from the files that nodes publish to warnings and verdicts, over more than an hour of 10 Hz traffic, in CPU time.

    python -m benchmarks.replay [--out build/bench/replay.json] [--views 4]

The traffic: the sample's recording of 16 minutes, seen four times with different seeds (other vehicles belong to other parties, masts
stand at other junctions, every error differs), so 64 minutes of different product files. Making them is not timed; nothing else is left
out: each file is read and checked by the rules of a node's intake, positions also against the map; then clocks are aligned, tracks joined
and fused, conflicts detected and warned of, and the permit's fifteen rules judged. CPU time is that of the whole process, all its threads.
An offline replay: every file is read whole. Not in it: negotiation, transport between nodes, and the grading of coalitions (a study, not
operation).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.judging import BUILD, machine, record

from chengshu import plugins
from chengshu.catalog.odcs import read_contract
from chengshu.catalog.quality import check_position, intake
from chengshu.methods.av_pilot.supervision import supervise
from chengshu.methods.fusion import fuse
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sightings import SOURCES
from chengshu.methods.warn import delay_ms, warnings_in
from chengshu.scenario.model import Pack, find, load
from chengshu.scenario.play import write_sample

VIEWS = 4
POSITIONS_ON_THE_MAP = frozenset({"av_state", "rsu_objects", "fleet_gnss", "probe_gnss"})
READ = (*SOURCES, "map_lane", "map_foes", "permit", "pilot_register")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """CPU seconds by step."""

    spent: dict[str, float] = field(default_factory=dict)

    def time(self, step: str, call: Callable[[], T]) -> T:
        """Return what ``call`` returns and add its CPU seconds to the step's."""
        start = time.process_time()
        result = call()
        self.spent[step] = self.spent.get(step, 0.0) + time.process_time() - start
        return result


def main() -> None:
    """Make the files, replay them once to compile and once to measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "replay.json")
    parser.add_argument("--views", type=int, default=VIEWS)
    options = parser.parse_args()
    pack = load(find(plugins.pack_roots(), "transport/av_pilot"))
    with tempfile.TemporaryDirectory() as scratch:
        folders = [written(pack, Path(scratch) / str(view), view=view) for view in range(options.views)]
        first = Stopwatch()
        replay(pack, folders[0], first)
        watch = Stopwatch()
        counts = [replay(pack, folder, watch) for folder in folders]
    total = sum(watch.spent.values())
    seconds = sum(count["seconds"] for count in counts)
    result = {
        "traffic_s": round(seconds),
        "views": options.views,
        "rows": sum(count["rows"] for count in counts),
        "warnings": sum(count["warnings"] for count in counts),
        "verdicts": sum(count["verdicts"] for count in counts),
        "cpu_s": round(total, 2),
        "cpu_s_by_step": {step: round(value, 2) for step, value in watch.spent.items()},
        "times_real_time_cpu": round(seconds / total),
        "first_use_cpu_s": round(sum(first.spent.values()) - total / options.views, 2),
        **machine("numba", "numpy", "pyarrow", "duckdb"),
    }
    record(options.out, result)


def written(pack: Pack, folder: Path, *, view: int) -> Path:
    """Write every product as its party would publish it, and return the folder; view 0 is the pack's own, the others have other seeds."""
    parameters = {**pack.source.parameters, "seed": int(pack.source.parameters["seed"]) + view}
    write_sample(pack.source.recording, parameters, observe=plugins.source(pack.source.method), folder=folder)
    return folder


def replay(pack: Pack, folder: Path, watch: Stopwatch) -> Mapping[str, float]:
    """Take one view's files in, warn, judge; return seconds of traffic, rows, warnings and verdicts."""
    tables = watch.time("intake", lambda: taken_in(pack, folder))
    if pack.map is None:
        raise SystemExit("expected a pack with a map, got one without")
    frame = LocalFrame(pack.map.proj, *pack.map.net_offset)
    watch.time("map", lambda: on_the_map(pack, tables, frame))
    positions = {name: tables[name] for name in SOURCES}
    picture = watch.time("align and fuse", lambda: fuse(positions, frame))
    delay = delay_ms(positions)
    _, warned = watch.time("warn", lambda: warnings_in(picture, lanes=tables["map_lane"], foes=tables["map_foes"], delay_ms=delay))
    rules = watch.time("comply", lambda: supervise(tables, {}))["rules"]
    span = pc.min_max(tables["av_state"]["t_ms"]).as_py()
    return {
        "seconds": (span["max"] - span["min"]) / 1000,
        "rows": sum(table.num_rows for table in positions.values()),
        "warnings": warned.num_rows,
        "verdicts": pc.sum(rules["n"]).as_py(),
    }


def taken_in(pack: Pack, folder: Path) -> dict[str, pa.Table]:
    """Read and check each file as its party's node does when it publishes; leave when one is set aside."""
    tables: dict[str, pa.Table] = {}
    for part in pack.products:
        if part.id not in READ:
            continue
        taken = intake(part.document or next(folder.glob(f"{part.id}.*")), read_contract(part.contract))
        if taken.accepted is None:
            raise SystemExit(f"expected {part.id} to be accepted, got it set aside")
        tables[part.id] = taken.accepted
    return tables


def on_the_map(pack: Pack, tables: Mapping[str, pa.Table], frame: LocalFrame) -> None:
    """Hold the position products against the map, as their nodes do."""
    contracts: dict[str, Any] = {part.id: part.contract for part in pack.products}
    for name in sorted(POSITIONS_ON_THE_MAP):
        check_position(tables[name], read_contract(contracts[name]), file=name, lanes=tables["map_lane"], from_wgs84=frame.from_wgs84)


if __name__ == "__main__":
    main()
