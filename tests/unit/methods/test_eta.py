from dataclasses import replace

import numpy as np
import pyarrow as pa
from crossing_world import STARTED_MS, WAVE, crossing

from chengshu.methods.eta import EtaParameters, eta_report, trips
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.recording import Recording

VIEW = ViewParameters(seed=1, rsu_share=1.0, fleet_share=0.5, platform_share=1.0)


def with_three_edges(world: Recording) -> Recording:
    """Cut the eastbound street into three edges, 0, 4 and 5."""
    rows = world.lanes.to_pylist()
    cuts = ((0, -200.0, -100.0), (4, -100.0, 100.0), (5, 100.0, 200.0))
    east = [
        rows[0] | {"lane": lane, "lane_id": f"e{lane}_0", "edge_id": f"e{lane}", "xs": [a, b], "ys": [-1.6, -1.6], "length_m": b - a}
        for lane, a, b in cuts
    ]
    lanes = pa.Table.from_pylist([east[0], *rows[1:], *east[1:]], schema=world.lanes.schema)
    x, lane = world.tracks["x_m"].to_numpy(), world.tracks["lane"].to_numpy()
    cut = np.where(lane == 0, np.where(x < -100, 0, np.where(x < 100, 4, 5)), lane)
    tracks = world.tracks.set_column(world.tracks.schema.get_field_index("lane"), "lane", pa.array(cut, pa.int32()))
    return replace(world, lanes=lanes, tracks=tracks)


WORLD = with_three_edges(crossing(6))


def test_a_trip_is_its_edges_in_order_with_the_times_of_entry() -> None:
    table = trips(WORLD.tracks, WORLD.lanes, started_ms=STARTED_MS)
    one = table.filter(pa.array([trip == 6 for trip in table["trip"].to_pylist()])).to_pylist()
    assert [row["edge_id"] for row in one] == ["e0", "e4", "e5"]
    assert [row["enter_ms"] - STARTED_MS for row in one] == [40_000, 49_000, 69_000]
    assert [row["leave_ms"] for row in one[:-1]] == [row["enter_ms"] for row in one[1:]]


def test_vehicles_present_at_the_start_or_end_and_short_trips_are_left_out() -> None:
    table = trips(WORLD.tracks, WORLD.lanes, started_ms=STARTED_MS)
    # Wave 0 is there at the first tick and vehicle 30 at the last; only the eastbound street has three edges.
    assert set(table["trip"].to_pylist()) == {6 * wave + index for wave in range(1, 6) for index in (0, 3)} - {30}


def test_speeds_seen_before_foretell_better_than_the_limit() -> None:
    products = observe(WORLD, VIEW)
    table = trips(WORLD.tracks, WORLD.lanes, started_ms=STARTED_MS)
    report = eta_report(table, WORLD.lanes, products, frame=frame_of(WORLD), seed=1)
    mae = {row["predictor"]: row["mae_s"] for row in report.errors.to_pylist()}
    assert mae["free_flow"] > 5
    assert mae["fused"] < 0.5 * mae["free_flow"]
    assert report.multiplier.status == "measured"
    assert report.multiplier.n == table.num_rows // 3


def test_no_prediction_uses_what_had_not_arrived_at_departure() -> None:
    products = observe(WORLD, VIEW)
    table = trips(WORLD.tracks, WORLD.lanes, started_ms=STARTED_MS)
    late = {name: product.replace_schema_metadata({b"latency_ms": b"9000000", b"period_ms": b"100"}) for name, product in products.items()}
    report = eta_report(table, WORLD.lanes, late, frame=frame_of(WORLD), seed=1)
    mae = {row["predictor"]: row["mae_s"] for row in report.errors.to_pylist()}
    assert mae["fused"] == mae["free_flow"]
    assert report.multiplier.status == "not measured"


def test_a_stretch_with_too_few_samples_is_driven_at_the_limit() -> None:
    products = observe(WORLD, VIEW)
    table = trips(WORLD.tracks, WORLD.lanes, started_ms=STARTED_MS)
    report = eta_report(table, WORLD.lanes, products, frame=frame_of(WORLD), seed=1, parameters=EtaParameters(least_samples=10**6))
    assert {row["covered"] for row in report.errors.to_pylist()} == {0.0}
    assert WAVE[0].speed < 13.9
