from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from crossing_world import STARTED_MS, crossing, lanes

from chengshu.kernel.errors import Invalid
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.perception.sight import Bodies, Corridor, corridor, seen_from_masts, seen_from_vehicles
from chengshu.methods.perception.views import equipped

COLUMNS = {
    "av_state": "veh_pid trip_pid seq t_ms clock_err_ms lat_e7 lon_e7 pos_sigma_m speed_mps heading_deg accel_lon_mps2 control_mode "
    "sw_version len_m wid_m",
    "av_objects": "veh_pid t_ms obj_id class east_m north_m ve_mps vn_mps sigma_m exist_p",
    "rsu_objects": "rsu_id t_ms ptc_id ptc_type lat_e7 lon_e7 speed_mps heading_deg len_m wid_m pos_conf_m",
    "spat": "junction_id t_ms state",
    "fleet_gnss": "veh_pid t_ms lat_e7 lon_e7 pos_sigma_m speed_mps heading_deg len_m wid_m",
    "probe_gnss": "veh_pid t_ms lat_e7 lon_e7 pos_sigma_m speed_mps heading_deg",
    "link_speed": "edge_id t_ms speed_mps n_probes",
}
EVERYBODY = ViewParameters(seed=1, rsu_share=1.0, fleet_share=1.0, platform_share=1.0)


def bodies(*places: tuple[float, float], half_wid: float = 0.9) -> Bodies:
    x, y = np.asarray([p[0] for p in places], float), np.asarray([p[1] for p in places], float)
    ones = np.ones(len(x))
    return Bodies(np.asarray([0, len(x)]), x, y, ones, 0 * ones, 2.3 * ones, half_wid * ones)


def first_only(size: int) -> np.ndarray:
    return np.arange(size) == 0


OPEN = Corridor(np.zeros((0, 0), np.uint8), 0.0, 0.0, 1.0)


def test_the_products_have_the_agreed_columns_and_times_in_utc_milliseconds() -> None:
    products = observe(crossing(1), EVERYBODY)
    assert {name: products[name].column_names for name in COLUMNS} == {name: text.split() for name, text in COLUMNS.items()}
    assert min(products["av_state"]["t_ms"].to_pylist()) == STARTED_MS
    assert products["spat"]["t_ms"].to_pylist() == [STARTED_MS, STARTED_MS + 30_000]
    assert all(products[name].schema.field("t_ms").type == pa.int64() for name in COLUMNS)


def test_the_same_seed_gives_the_same_tables_and_another_seed_gives_others() -> None:
    world = crossing(1)
    one, again, other = (observe(world, ViewParameters(seed=seed, rsu_share=1.0)) for seed in (1, 1, 2))
    assert all(one[name].equals(again[name]) for name in one)
    assert not one["rsu_objects"].equals(other["rsu_objects"])


def test_no_pseudonym_is_shared_between_two_sources_or_with_the_recording() -> None:
    products = observe(crossing(2), EVERYBODY)
    names = [set(products[name]["veh_pid"].to_pylist()) for name in ("av_state", "fleet_gnss", "probe_gnss")]
    names += [{"v0", "v1", "v2", "v3", "v4", "v5"}]
    assert sum(len(group) for group in names) == len(set().union(*names))
    assert set(products["av_objects"]["veh_pid"].to_pylist()) <= names[0]


@pytest.mark.parametrize(("product", "number"), [("rsu_objects", "ptc_id"), ("av_objects", "obj_id")])
def test_a_false_objects_number_comes_from_the_same_range_as_a_real_ones(product: str, number: str) -> None:
    real, haunted = (observe(crossing(2), replace(EVERYBODY, ghosts_per_hour=rate))[product] for rate in (0.0, 2000.0))
    assert haunted.num_rows > real.num_rows
    drawn = np.asarray(haunted[number])
    assert drawn.max() < 2 * len(np.unique(drawn))  # dense: no block of its own far above
    size = "len_m" if product == "rsu_objects" else "class"
    per_number = haunted.group_by([number]).aggregate([(size, "count")]).sort_by(number)
    lives = np.asarray(per_number[f"{size}_count"])
    half = len(lives) // 2
    short = lives <= 30  # every false object lives 3 s at most
    assert short[:half].any()
    assert short[half:].any()
    assert (~short[half:]).any()


def test_neither_an_objects_doubt_nor_its_certainty_gives_a_false_one_away() -> None:
    views = (observe(crossing(2), replace(EVERYBODY, ghosts_per_hour=rate)) for rate in (0.0, 2000.0))
    real, haunted = (np.asarray(view["av_objects"]["exist_p"]) for view in views)
    assert real.min() < 0.7
    assert np.count_nonzero(haunted > 0.8) > np.count_nonzero(real > 0.8)


def test_a_vehicle_behind_another_is_hidden_and_one_beside_it_is_not() -> None:
    row = bodies((0, 0), (15, 0), (30, 0), (30, 12))
    _, targets = seen_from_vehicles(row, first_only(4), 80.0, OPEN)
    assert sorted(targets.tolist()) == [1, 3]


def test_a_vehicle_out_of_range_is_not_seen() -> None:
    _, targets = seen_from_vehicles(bodies((0, 0), (79, 0), (0, 81)), first_only(3), 80.0, OPEN)
    assert targets.tolist() == [1]


def test_the_corner_of_a_street_hides_what_is_round_it() -> None:
    street = corridor(lanes(), 4.0)
    _, targets = seen_from_vehicles(bodies((-60, -1.6), (-1.6, 40), (-20, 1.6)), first_only(3), 80.0, street)
    assert targets.tolist() == [2]
    _, targets = seen_from_vehicles(bodies((-8, -1.6), (-1.6, 40)), first_only(2), 80.0, street)
    assert targets.tolist() == [1]


def test_a_mast_sees_over_vehicles_but_not_round_corners() -> None:
    street = corridor(lanes(), 4.0)
    row = bodies((20, 0), (40, 0), (40, 40))
    _, targets = seen_from_masts(row, np.asarray([[0.0, 0.0]]), 100.0, street)
    assert targets.tolist() == [0, 1]


def test_a_larger_roadside_share_contains_the_smaller_one() -> None:
    junctions = pa.table(
        {"junction_id": [f"j{i}" for i in range(9)], "x_m": [0.0] * 9, "y_m": [0.0] * 9, "is_signal": [True] * 8 + [False]}
    )
    chosen = [set(equipped(junctions, ViewParameters(seed=5, rsu_share=share))[0]) for share in (0.25, 0.5, 1.0)]
    assert [len(group) for group in chosen] == [2, 4, 8]
    assert chosen[0] < chosen[1] < chosen[2]


def test_satellite_positions_come_once_a_second_and_stray_as_declared() -> None:
    world = crossing(6)
    products = observe(world, EVERYBODY)
    table = products["probe_gnss"]
    one = table.filter(pa.array([name == table["veh_pid"][0].as_py() for name in table["veh_pid"].to_pylist()]))
    assert set(np.diff(one["t_ms"].to_numpy()).tolist()) == {1000}
    x, y = frame_of(world).from_wgs84(table["lat_e7"].to_numpy() / 1e7, table["lon_e7"].to_numpy() / 1e7)
    # Every street of this world lies within 1.6 m of an axis, so the smaller coordinate is the error across.
    across = np.minimum(np.abs(x), np.abs(y))
    assert 2.0 < float(np.sqrt(np.mean(across**2))) < 6.0


def test_only_cells_with_five_probes_leave_the_platform() -> None:
    products = observe(crossing(6), EVERYBODY)
    counts = products["link_speed"]["n_probes"].to_pylist()
    assert counts
    assert min(counts) >= 5
    assert observe(crossing(1), EVERYBODY)["link_speed"].num_rows == 0


def test_latency_travels_in_the_tables_metadata() -> None:
    products = observe(crossing(1), EVERYBODY)
    told = {name: int(products[name].schema.metadata[b"latency_ms"]) for name in COLUMNS if name != "spat"}
    assert told == {
        "av_state": 100, "av_objects": 200, "rsu_objects": 200, "fleet_gnss": 1500, "probe_gnss": 2500, "link_speed": 2500,
    }  # fmt: skip


def test_an_object_list_puts_objects_where_they_are_relative_to_the_vehicle() -> None:
    products = observe(crossing(1), replace(EVERYBODY, ghosts_per_hour=0.0))
    state, objects = products["av_state"].to_pylist(), products["av_objects"].to_pylist()
    first = state[0]["veh_pid"]
    ahead = [row for row in objects if row["veh_pid"] == first and row["class"] == "truck"]
    assert ahead
    assert abs(float(np.median([row["east_m"] for row in ahead])) - 30) < 1.5
    assert abs(float(np.median([row["ve_mps"] for row in ahead])) - 10) < 0.2


def test_a_recording_without_vehicles_is_refused() -> None:
    world = crossing(1)
    with pytest.raises(Invalid, match="at least one vehicle state"):
        observe(replace(world, tracks=world.tracks.slice(0, 0)), EVERYBODY)
