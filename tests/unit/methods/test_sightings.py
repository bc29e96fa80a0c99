import numpy as np
import pyarrow as pa
import pytest
from crossing_world import crossing

from chengshu.kernel.errors import Invalid
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.sightings import SetAside, aside_table, read_sightings

WORLD = crossing(1)
FRAME = frame_of(WORLD)
PRODUCTS = observe(WORLD, ViewParameters(seed=1, rsu_share=1.0, fleet_share=1.0))


def counted(aside: tuple[SetAside, ...], reason: str) -> dict[str, int]:
    return {entry.source: entry.rows for entry in aside if entry.reason == reason and entry.rows}


def replaced(name: str, table: pa.Table) -> dict[str, pa.Table]:
    return {**PRODUCTS, name: table}


def test_clean_products_are_taken_whole_except_objects_that_their_sensor_doubts() -> None:
    sightings, aside = read_sightings(PRODUCTS, FRAME)
    doubted = sum(p < 0.5 for p in PRODUCTS["av_objects"]["exist_p"].to_pylist())
    assert {name: len(source) for name, source in sightings.items()} == {
        name: PRODUCTS[name].num_rows - (doubted if name == "av_objects" else 0) for name in sightings
    }
    assert {entry.reason for entry in aside if entry.rows} <= {"existence-below-half"}


def test_repeated_rows_are_dropped_and_counted() -> None:
    table = PRODUCTS["rsu_objects"]
    twice = pa.concat_tables([table, table.slice(10, 40)])
    sightings, aside = read_sightings(replaced("rsu_objects", twice), FRAME)
    assert len(sightings["rsu_objects"]) == table.num_rows
    assert counted(aside, "duplicate") == {"rsu_objects": 40}


def test_late_rows_are_put_in_order_and_counted() -> None:
    table = PRODUCTS["fleet_gnss"].sort_by([("veh_pid", "ascending"), ("t_ms", "ascending")])
    late = pa.concat_tables([table.slice(0, 3), table.slice(4), table.slice(3, 1)])
    sightings, aside = read_sightings(replaced("fleet_gnss", late), FRAME)
    source = sightings["fleet_gnss"]
    assert len(source) == table.num_rows
    assert (np.diff(source.t_ms)[np.diff(source.track) == 0] > 0).all()
    assert counted(aside, "out-of-order-sorted") == {"fleet_gnss": 1}


def test_nulls_sentinels_and_impossible_values_are_set_aside_and_counted() -> None:
    table = PRODUCTS["rsu_objects"]
    speed = table["speed_mps"].to_pylist()
    speed[0], speed[1], speed[2] = None, -1.0, 8191.0
    lat = table["lat_e7"].to_pylist()
    lat[3], lat[4] = None, 1_800_000_000
    bad = table.set_column(6, "speed_mps", pa.array(speed)).set_column(4, "lat_e7", pa.array(lat, pa.int64()))
    sightings, aside = read_sightings(replaced("rsu_objects", bad), FRAME)
    assert len(sightings["rsu_objects"]) == table.num_rows - 5
    assert counted(aside, "null-or-out-of-range") == {"rsu_objects": 5}


def test_objects_of_a_vehicle_whose_own_position_is_unknown_are_set_aside() -> None:
    products = {name: table for name, table in PRODUCTS.items() if name != "av_state"}
    sightings, aside = read_sightings(products, FRAME)
    assert len(sightings["av_objects"]) == 0
    assert counted(aside, "carrier-position-unknown")["av_objects"] > 100


def test_a_product_without_a_column_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="column pos_sigma_m in fleet_gnss"):
        read_sightings(replaced("fleet_gnss", PRODUCTS["fleet_gnss"].drop_columns(["pos_sigma_m"])), FRAME)


def test_tables_that_lost_their_metadata_have_the_declared_latency() -> None:
    bare = {name: table.replace_schema_metadata(None) for name, table in PRODUCTS.items()}
    with_metadata, without = read_sightings(PRODUCTS, FRAME)[0], read_sightings(bare, FRAME)[0]
    assert {name: source.terms for name, source in with_metadata.items()} == {name: source.terms for name, source in without.items()}


def test_the_report_leaves_out_steps_that_set_nothing_aside() -> None:
    table = aside_table([SetAside("a", "clean", "duplicate", 0, kept=False), SetAside("a", "gate", "late", 3, kept=True)])
    assert table.to_pylist() == [{"source": "a", "step": "gate", "reason": "late", "rows": 3, "kept": True}]
