"""A minute and a half of the pilot's recording with a few dozen vehicles: quick to observe, and still the same world."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chengshu import plugins
from chengshu.methods.recording import Recording, read_recording
from chengshu.scenario.model import Pack, find, load

PACK = "transport/av_pilot"
CUT_MS = 90_000
OTHERS = 60
"""How many of the vehicles that no computer drives stay."""


@dataclass(frozen=True)
class Sample:
    """The pilot's pack, a short recording in a folder of its own, and every party's products of that."""

    pack: Pack
    recording: Path
    products: dict[str, pa.Table]


def pilot() -> Pack:
    """The installed pack."""
    return load(find(plugins.pack_roots(), PACK))


def cut(folder: Path) -> Recording:
    """The first part of a recording: every automated vehicle, some of the others, and what happened between those that stay."""
    whole = read_recording(folder)
    kinds = dict(zip(whole.vehicles["veh"].to_pylist(), whole.vehicles["kind"].to_pylist(), strict=True))
    early = whole.tracks.filter(pc.less(whole.tracks["t_ms"], CUT_MS))
    there = sorted(set(early["veh"].to_pylist()))
    kept = pa.array([*(one for one in there if kinds[one] == "av"), *[one for one in there if kinds[one] != "av"][:OTHERS]], pa.int32())
    truth = whole.truth.filter(pc.and_(pc.is_in(whole.truth["ego"], kept), pc.is_in(whole.truth["foe"], kept)))
    return replace(
        whole,
        tracks=early.filter(pc.is_in(early["veh"], kept)),
        signals=whole.signals.filter(pc.less(whole.signals["t_ms"], CUT_MS)),
        detector_1min=whole.detector_1min.filter(pc.less_equal(whole.detector_1min["t_ms"], CUT_MS)),
        truth=truth.filter(pc.less(truth["end_ms"], CUT_MS)),
        meta=_shorter(whole.meta),
    )


def _shorter(meta: Any) -> dict[str, Any]:
    return {**meta, "duration_ms": CUT_MS}
