from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from crossing_world import crossing

from chengshu.methods.align import Alignment, align, alignment_table
from chengshu.methods.fusion import FusedPicture, by_party, fuse
from chengshu.methods.groundtruth import true_states
from chengshu.methods.hazards import truth_products
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.sightings import SOURCES, read_sightings

WORLD = crossing(4)
FRAME = frame_of(WORLD)
VIEW = ViewParameters(seed=3, rsu_share=1.0, fleet_share=1.0, platform_share=1.0, ghosts_per_hour=0.0)
PRODUCTS = observe(WORLD, VIEW)
STARTED_MS = min(PRODUCTS["av_state"]["t_ms"].to_pylist())
TRUTH = true_states(truth_products(WORLD.tracks, WORLD.vehicles, WORLD.truth, started_ms=STARTED_MS)["truth_tracks"])
AV_STATE, RSU, PROBE = (1 << SOURCES.index(name) for name in ("av_state", "rsu_objects", "probe_gnss"))


def changed(name: str, column: str, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, pa.Table]:
    table = PRODUCTS[name]
    place = table.schema.get_field_index(column)
    values = pa.array(change(table[column].to_numpy()), table.schema.field(column).type)
    return {**PRODUCTS, name: table.set_column(place, column, values)}


def later(name: str, shift: Callable[[np.ndarray], np.ndarray]) -> dict[str, pa.Table]:
    return changed(name, "t_ms", lambda t: t + shift(t))


def clock_of(products: dict[str, pa.Table], party: str) -> Alignment:
    return align(by_party(read_sightings(products, FRAME)[0]))[party]


def errors(picture: FusedPicture) -> np.ndarray:
    """Return each precise fused position's distance to the nearest true vehicle."""
    rows = picture.tracks.filter(picture.tracks["for_ttc"])
    tick = rows["t_ms"].to_numpy() // 100 - TRUTH.first_tick
    x, y = rows["x_m"].to_numpy(), rows["y_m"].to_numpy()
    found = []
    for i in range(0, len(tick), 7):
        if 0 <= tick[i] < len(TRUTH.start) - 1:
            span = slice(TRUTH.start[tick[i]], TRUTH.start[tick[i] + 1])
            if span.start < span.stop:
                found.append(np.hypot(TRUTH.x[span] - x[i], TRUTH.y[span] - y[i]).min())
    return np.asarray(found)


def set_aside(picture: FusedPicture, reason: str) -> dict[str, int]:
    return {entry.source: entry.rows for entry in picture.aside if entry.reason == reason and entry.rows}


def test_good_clocks_are_kept() -> None:
    found = {party: clock.verdict for party, clock in align(by_party(read_sightings(PRODUCTS, FRAME)[0])).items()}
    assert set(found.values()) == {"kept"}


@pytest.mark.parametrize(("skew", "verdict"), [(100, "corrected"), (500, "quarantined"), (2000, "quarantined"), (-500, "quarantined")])
def test_a_skewed_roadside_clock_is_estimated_and_corrected_or_quarantined(skew: int, verdict: str) -> None:
    clock = clock_of(later("rsu_objects", lambda _: np.int64(skew)), "road_operator")
    assert clock.verdict == verdict
    assert clock.offset_ms == pytest.approx(-skew, abs=30)
    assert clock.error_ms < 50


def test_a_skewed_clock_of_satellite_positions_is_found_too() -> None:
    clock = clock_of(later("probe_gnss", lambda _: np.int64(2000)), "navigation_platform")
    assert clock.verdict == "quarantined"
    assert clock.offset_ms == pytest.approx(-2000, abs=max(300.0, clock.error_ms))


def test_a_clock_that_jumps_on_the_way_is_quarantined() -> None:
    half = STARTED_MS + 120_000
    clock = clock_of(later("rsu_objects", lambda t: np.where(t > half, 1000, 0)), "road_operator")
    assert clock.verdict == "quarantined"
    assert clock.residual_ms > 200


@pytest.mark.parametrize(
    ("name", "party"), [("rsu_objects", "road_operator"), ("av_state", "car_maker"), ("probe_gnss", "navigation_platform")]
)
def test_local_time_stamped_as_utc_is_quarantined_with_the_hours_it_is_off(name: str, party: str) -> None:
    hours_8 = 8 * 3_600_000
    products = PRODUCTS
    for one in ("av_state", "av_objects") if name == "av_state" else (name,):
        products = {**products, one: later(one, lambda _: np.int64(hours_8))[one]}
    clocks = align(by_party(read_sightings(products, FRAME)[0]))
    assert [one for one, clock in clocks.items() if clock.verdict == "quarantined"] == [party]
    assert clocks[party].offset_ms == pytest.approx(-hours_8, abs=60_000)
    assert fuse(products, FRAME).quarantined >= {name}


def test_of_two_parties_that_tell_of_different_times_the_first_is_believed() -> None:
    late = later("rsu_objects", lambda _: np.int64(8 * 3_600_000))
    clocks = align(by_party(read_sightings({name: late[name] for name in ("av_state", "rsu_objects")}, FRAME)[0]))
    assert {party: clock.verdict for party, clock in clocks.items()} == {"car_maker": "not measured", "road_operator": "quarantined"}


def test_two_parties_that_never_see_the_same_vehicle_have_clocks_that_are_not_measured() -> None:
    far = changed("rsu_objects", "lat_e7", lambda lat: lat + 900_000)
    sightings = read_sightings({name: far[name] for name in ("av_state", "rsu_objects")}, FRAME)[0]
    clocks = align(by_party(sightings))
    assert [clock.verdict for clock in clocks.values()] == ["not measured", "not measured"]
    assert alignment_table(clocks)["error_ms"].to_pylist() == [None, None]


def test_a_bias_of_metres_in_satellite_positions_moves_no_position_that_counts_for_times_to_collision() -> None:
    biased = {**PRODUCTS, **{name: changed(name, "lat_e7", lambda lat: lat + 450)[name] for name in ("fleet_gnss", "probe_gnss")}}
    assert float(np.quantile(errors(fuse(biased, FRAME)), 0.95)) < 1.0


def test_a_quarantined_party_takes_no_part_and_its_rows_are_counted() -> None:
    products = later("rsu_objects", lambda _: np.int64(2000))
    picture = fuse(products, FRAME)
    assert set_aside(picture, "clock-beyond-limit") == {"rsu_objects": products["rsu_objects"].num_rows}
    assert not (picture.tracks["sources"].to_numpy() & RSU).any()


def test_a_vehicle_seen_by_several_parties_is_one_track() -> None:
    picture = fuse(PRODUCTS, FRAME)
    own = picture.tracks.filter(pa.array((picture.tracks["sources"].to_numpy() & AV_STATE) > 0))
    assert len(set(own["track"].to_pylist())) == 8
    assert (own["sources"].to_numpy() & RSU).any()
    cells = list(zip(picture.tracks["t_ms"].to_pylist(), picture.tracks["track"].to_pylist(), strict=True))
    assert len(cells) == len(set(cells))


def test_the_fused_picture_is_no_worse_than_its_precise_sources_and_holds_few_doubles() -> None:
    picture = fuse(PRODUCTS, FRAME)
    assert float(np.quantile(errors(picture), 0.95)) < 1.0
    precise = picture.tracks.filter(picture.tracks["for_ttc"])
    tick, count = np.unique(precise["t_ms"].to_numpy() // 100, return_counts=True)
    true_count = np.diff(TRUTH.start)[np.clip(tick - TRUTH.first_tick, 0, len(TRUTH.start) - 2)]
    assert float((count <= true_count).mean()) > 0.9


def test_satellite_positions_say_that_a_vehicle_exists_but_not_where() -> None:
    picture = fuse({name: PRODUCTS[name] for name in ("probe_gnss", "fleet_gnss")}, FRAME)
    assert picture.tracks.num_rows > 0
    assert not any(picture.tracks["for_ttc"].to_pylist())
    everything = fuse(PRODUCTS, FRAME)
    assert set_aside(everything, "existence-only-for-ttc")["probe_gnss"] == PRODUCTS["probe_gnss"].num_rows
    sources, precise = everything.tracks["sources"].to_numpy(), np.asarray(everything.tracks["for_ttc"].to_pylist())
    assert ((sources & PROBE > 0) & precise).any()


def test_one_position_a_second_is_carried_to_ten_and_no_longer_than_allowed() -> None:
    picture = fuse({"probe_gnss": PRODUCTS["probe_gnss"]}, FRAME)
    track = picture.tracks["track"].to_numpy()
    one = np.sort(picture.tracks["t_ms"].to_numpy()[track == track[0]])
    assert set(np.diff(one).tolist()) == {100}
    last = PRODUCTS["probe_gnss"]["t_ms"].to_numpy().max()
    assert int(picture.tracks["t_ms"].to_numpy().max()) == last + 1500


def test_two_tracks_of_one_sensor_are_never_joined() -> None:
    table = PRODUCTS["rsu_objects"]
    near = table.set_column(2, "ptc_id", pa.array(table["ptc_id"].to_numpy() + 5000))
    picture = fuse({"rsu_objects": pa.concat_tables([table, near])}, FRAME)
    assert picture.tracks.num_rows == 2 * fuse({"rsu_objects": table}, FRAME).tracks.num_rows


def test_a_party_that_is_five_metres_off_loses_its_say_on_where() -> None:
    # 5 m north is 449 units of 1e-7 degrees.
    picture = fuse(changed("rsu_objects", "lat_e7", lambda lat: lat + 449), FRAME)
    assert set_aside(picture, "position-error-above-declared")["rsu_objects"] == PRODUCTS["rsu_objects"].num_rows
    assert float(np.quantile(errors(picture), 0.95)) < 1.0


def test_losing_a_fifth_of_the_rows_leaves_the_picture_whole() -> None:
    generator = np.random.default_rng(1)
    thin = {
        name: PRODUCTS[name].filter(pa.array(generator.random(PRODUCTS[name].num_rows) > 0.2)) if name in SOURCES else PRODUCTS[name]
        for name in PRODUCTS
    }
    whole, left = fuse(PRODUCTS, FRAME).tracks, fuse(thin, FRAME).tracks
    assert left.num_rows > 0.97 * whole.num_rows


def test_noisy_speeds_do_not_move_the_positions() -> None:
    generator = np.random.default_rng(1)
    picture = fuse(changed("rsu_objects", "speed_mps", lambda v: np.maximum(0, v + generator.normal(0, 0.5, len(v)))), FRAME)
    assert float(np.quantile(errors(picture), 0.95)) < 1.0


def test_a_ghost_of_a_moment_is_set_aside_as_unconfirmed() -> None:
    table = PRODUCTS["rsu_objects"]
    ghost = table.slice(0, 1).set_column(2, "ptc_id", pa.array([99_999]))
    ghost = ghost.set_column(4, "lat_e7", pa.array([ghost["lat_e7"][0].as_py() + 5000]))
    before, after = fuse(PRODUCTS, FRAME), fuse({**PRODUCTS, "rsu_objects": pa.concat_tables([table, ghost])}, FRAME)
    short = sum(set_aside(after, "seen-too-briefly").values()) - sum(set_aside(before, "seen-too-briefly").values())
    carried = after.tracks.num_rows - before.tracks.num_rows
    assert (short, carried) in {(0, 6), (6, 0)}


def test_combined_knowledge_is_never_surer_than_the_surest_of_two_parties() -> None:
    picture = fuse(PRODUCTS, FRAME)
    sources, sigma = picture.tracks["sources"].to_numpy(), picture.tracks["sigma_m"].to_numpy()
    assert float(sigma[sources == (AV_STATE | RSU)].min()) >= 0.1 - 1e-9


def test_no_products_give_an_empty_picture() -> None:
    picture = fuse({}, FRAME)
    assert picture.tracks.num_rows == 0
    assert picture.clocks == ()


def test_sources_declared_worse_than_the_gate_are_not_used_for_time_to_collision() -> None:
    rough = changed("rsu_objects", "pos_conf_m", lambda sigma: sigma * 0 + 1.5)
    picture = fuse({"rsu_objects": rough["rsu_objects"]}, FRAME)
    assert not any(picture.tracks["for_ttc"].to_pylist())
    assert replace(picture, tracks=picture.tracks.slice(0, 0)).tracks.num_rows == 0
