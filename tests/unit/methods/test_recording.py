import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.methods.projection import LocalFrame
from chengshu.methods.recording import TRACKS, Recording, empty_tables, read_recording, write_recording

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "src/chengshu_packs/transport/av_pilot/data/recording"
SECOND = ROOT / "tests/data/second_network"
META = {"network": "test", "step_ms": 100}


def tracks(rows: list[tuple[int, int, float, float, float, float, int, float]]) -> pa.Table:
    """Rows of (t_ms, veh, x, y, heading, speed, lane, pos)."""
    names = ("t_ms", "veh", "x_m", "y_m", "heading_deg", "speed_mps", "lane", "pos_m")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    columns["accel_mps2"] = tuple(0.0 for _ in rows)
    return pa.table([pa.array(columns[field.name], field.type) for field in TRACKS], schema=TRACKS)


def recording(rows: list[tuple[int, int, float, float, float, float, int, float]]) -> Recording:
    return Recording(**(empty_tables() | {"tracks": tracks(rows)}), meta=META)


@st.composite
def journeys(draw: st.DrawFn) -> list[tuple[int, int, float, float, float, float, int, float]]:
    places = st.floats(-50_000, 50_000, width=32)
    steps = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), unique=True, max_size=40))
    values = st.tuples(places, places, st.floats(0, 359.9), st.floats(0, 70), st.integers(-1, 5000), st.floats(0, 5000))
    return [(100 * t, veh, *draw(values)) for t, veh in sorted(steps)]


@settings(max_examples=40, deadline=None)
@given(journeys())
def test_what_is_read_is_what_was_written_to_the_step(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, float, float, float, float, int, float]]
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    given_tracks = tracks(rows)
    write_recording(recording(rows), folder)
    back = read_recording(folder).tracks
    assert back.select(["t_ms", "veh", "lane"]).equals(given_tracks.select(["t_ms", "veh", "lane"]))
    for column, step in {"x_m": 0.01, "y_m": 0.01, "speed_mps": 0.01, "pos_m": 0.01}.items():
        # float32 columns of thousands of metres round by a tenth of a millimetre themselves
        assert np.all(np.abs(back[column].to_numpy() - given_tracks[column].to_numpy()) <= step / 2 + 3e-4)


@settings(max_examples=40, deadline=None)
@given(journeys())
def test_what_was_quantised_once_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, float, float, float, float, int, float]]
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    write_recording(recording(rows), folder / "once")
    once = read_recording(folder / "once")
    write_recording(once, folder / "twice")
    assert read_recording(folder / "twice") == once


def test_a_vehicle_that_is_away_for_a_while_comes_back_at_its_time(tmp_path: Path) -> None:
    rows = [(0, 4, 1.0, 2.0, 90.0, 5.0, 7, 1.0), (100, 4, 1.5, 2.0, 90.0, 5.0, 7, 1.5), (900, 4, 80.0, 9.0, 0.0, 3.0, 8, 2.0)]
    write_recording(recording(rows), tmp_path)
    back = read_recording(tmp_path).tracks
    assert back["t_ms"].to_pylist() == [0, 100, 900]
    assert back["x_m"].to_pylist() == [1.0, 1.5, 80.0]


def test_acceleration_is_the_change_of_speed_and_zero_where_a_track_begins(tmp_path: Path) -> None:
    speeds = [(0, 5.0), (100, 5.2), (200, 4.9), (500, 1.0), (600, 1.1)]
    write_recording(recording([(t, 1, 0.0, 0.0, 0.0, v, 0, 0.0) for t, v in speeds]), tmp_path)
    assert read_recording(tmp_path).tracks["accel_mps2"].to_pylist() == pytest.approx([0.0, 2.0, -3.0, 0.0, 1.0], abs=1e-5)


def test_a_heading_that_rounds_to_a_full_turn_is_north(tmp_path: Path) -> None:
    write_recording(recording([(0, 1, 0.0, 0.0, 359.98, 0.0, 0, 0.0)]), tmp_path)
    assert read_recording(tmp_path).tracks["heading_deg"].to_pylist() == [0.0]


def test_times_between_two_steps_are_invalid(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        write_recording(recording([(50, 1, 0.0, 0.0, 0.0, 0.0, 0, 0.0)]), tmp_path)


def test_a_table_of_other_columns_is_invalid() -> None:
    with pytest.raises(Invalid):
        Recording(**(empty_tables() | {"foes": pa.table({"lane_a": [1]})}), meta=META)


@pytest.mark.parametrize("name", ["meta.json", "tracks.parquet", "runs.parquet", "truth.parquet"])
def test_a_missing_file_is_not_found(tmp_path: Path, name: str) -> None:
    write_recording(recording([]), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotFound):
        read_recording(tmp_path)


def test_a_file_of_another_kind_is_invalid(tmp_path: Path) -> None:
    write_recording(recording([]), tmp_path)
    (tmp_path / "lanes.parquet").write_bytes(b"no parquet")
    with pytest.raises(Invalid):
        read_recording(tmp_path)


@pytest.mark.parametrize("meta", ["[]", "{", '{"format": 2, "step_ms": 100}', '{"format": 1}', '{"format": 1, "step_ms": 0}'])
def test_a_meta_of_another_format_is_invalid(tmp_path: Path, meta: str) -> None:
    write_recording(recording([]), tmp_path)
    (tmp_path / "meta.json").write_text(meta, encoding="utf-8")
    with pytest.raises(Invalid):
        read_recording(tmp_path)


def test_tracks_that_are_cut_short_are_invalid(tmp_path: Path) -> None:
    write_recording(recording([(0, 1, 0.0, 0.0, 0.0, 0.0, 0, 0.0), (100, 1, 0.0, 0.0, 0.0, 0.0, 0, 0.0)]), tmp_path)
    pq.write_table(pq.read_table(tmp_path / "tracks.parquet").slice(0, 1), tmp_path / "tracks.parquet")
    with pytest.raises(Invalid):
        read_recording(tmp_path)


@pytest.fixture(scope="module", params=[SAMPLE, SECOND], ids=["sample", "second network"])
def shipped(request: pytest.FixtureRequest) -> Recording:
    return read_recording(request.param)


def test_the_shipped_recordings_say_what_they_are(shipped: Recording) -> None:
    assert shipped.meta["label"] == {"en": "simulated traffic on a real network", "zh": "真实路网上的仿真交通"}
    assert "OpenStreetMap contributors" in shipped.meta["attribution"]
    assert "ODbL" in shipped.meta["licence"]
    assert {"network", "place", "proj", "net_offset", "crs", "sumo", "seed", "step_ms", "started_at"} <= set(shipped.meta)


def test_the_notice_lies_beside_the_shipped_recordings() -> None:
    for folder in (SAMPLE, SECOND):
        notice = (folder / "NOTICE.md").read_text(encoding="utf-8")
        assert all(word in notice for word in ("OpenStreetMap contributors", "ODbL", "EPL-2.0", "贡献者"))


def test_shipped_tracks_lie_on_the_lanes_they_name(shipped: Recording) -> None:
    rows = shipped.tracks.take(np.arange(0, shipped.tracks.num_rows, 997))
    starts, ends = bounds(shipped.lanes)
    lane = rows["lane"].to_numpy()
    point = np.column_stack([rows["x_m"].to_numpy(), rows["y_m"].to_numpy()])
    assert np.all(lane >= 0)
    assert np.all((point >= starts[lane] - 3.0) & (point <= ends[lane] + 3.0))


def bounds(lanes: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = lanes["xs"].to_pylist(), lanes["ys"].to_pylist()
    return np.array([[min(x), min(y)] for x, y in zip(xs, ys, strict=True)]), np.array(
        [[max(x), max(y)] for x, y in zip(xs, ys, strict=True)]
    )


def test_shipped_vehicles_follow_the_graph_of_lanes(shipped: Recording) -> None:
    """From lane to lane by ``next``, sideways on one edge, or, at 10 Hz over short lanes, over at most two lanes at once and sideways."""
    edge, follow = shipped.lanes["edge_id"].to_pylist(), shipped.lanes["next"].to_pylist()
    order = np.lexsort((shipped.tracks["t_ms"].to_numpy(), shipped.tracks["veh"].to_numpy()))
    lane, veh = shipped.tracks["lane"].to_numpy()[order], shipped.tracks["veh"].to_numpy()[order]
    changed = np.flatnonzero((lane[1:] != lane[:-1]) & (veh[1:] == veh[:-1]))
    assert len(changed) > 1000
    for before, after in {(int(lane[i]), int(lane[i + 1])) for i in changed}:
        reach = {before}
        for _ in range(3):
            reach |= {lane for known in reach for lane in follow[known]}
        assert edge[after] in {edge[known] for known in reach}


def test_shipped_internal_lanes_have_one_successor_and_foes_share_a_junction(shipped: Recording) -> None:
    internal, junction = shipped.lanes["is_internal"].to_pylist(), shipped.lanes["junction_id"].to_pylist()
    assert all(len(follow) == 1 for follow, inside in zip(shipped.lanes["next"].to_pylist(), internal, strict=True) if inside)
    pairs = list(zip(shipped.foes["lane_a"].to_pylist(), shipped.foes["lane_b"].to_pylist(), strict=True))
    assert len(pairs) > 100
    assert all(internal[a] and internal[b] and junction[a] == junction[b] for a, b in pairs)


def test_shipped_signals_have_a_letter_for_each_link(shipped: Recording) -> None:
    last: dict[str, int] = {}
    for junction, link in zip(shipped.links["junction_id"].to_pylist(), shipped.links["link"].to_pylist(), strict=True):
        last[junction] = max(last.get(junction, 0), link)
    states = list(zip(shipped.signals["junction_id"].to_pylist(), shipped.signals["state"].to_pylist(), strict=True))
    assert {junction for junction, _ in states} == set(last)
    assert all(len(state) == last[junction] + 1 for junction, state in states)
    begun = shipped.signals.filter(pc.equal(shipped.signals["t_ms"], 0))
    assert set(begun["junction_id"].to_pylist()) == set(last)


def test_shipped_conflicts_are_between_vehicles_that_were_there(shipped: Recording) -> None:
    there: dict[int, tuple[int, int]] = {}
    spans = shipped.tracks.group_by("veh").aggregate([("t_ms", "min"), ("t_ms", "max")])
    for row in spans.to_pylist():
        there[row["veh"]] = (row["t_ms_min"], row["t_ms_max"])
    truth = shipped.truth.to_pylist()
    assert {row["encounter"] for row in truth} == {"following", "crossing", "merging"}
    for row in truth:
        for veh in (row["ego"], row["foe"]):
            assert there[veh][0] <= row["end_ms"]
            assert row["begin_ms"] <= there[veh][1] + 100
        assert row["pet_s"] is None or 0.0 <= row["pet_s"] < 100.0


def test_shipped_crossing_and_merging_conflicts_are_where_the_network_declares_them(shipped: Recording) -> None:
    """Both drove internal lanes that are foes; one begun in the last half minute may lie beyond the recording's end."""
    pairs = set(zip(shipped.foes["lane_a"].to_pylist(), shipped.foes["lane_b"].to_pylist(), strict=True))
    driven: dict[int, set[int]] = {}
    for row in shipped.tracks.group_by(["veh", "lane"]).aggregate([]).to_pylist():
        driven.setdefault(row["veh"], set()).add(row["lane"])
    closed = shipped.truth.filter(pc.less(shipped.truth["begin_ms"], shipped.meta["duration_ms"] - 30_000))
    rows = closed.filter(pc.not_equal(closed["encounter"], "following")).to_pylist()
    assert len(rows) > 50
    for row in rows:
        assert any((min(a, b), max(a, b)) in pairs for a in driven[row["ego"]] for b in driven[row["foe"]])


def test_shipped_following_conflicts_have_the_ego_behind(shipped: Recording) -> None:
    """At the moment of the least TTC the leader is in front: seen from the ego, along its heading."""
    rows = {(t, v): i for i, (t, v) in enumerate(zip(shipped.tracks["t_ms"].to_pylist(), shipped.tracks["veh"].to_pylist(), strict=True))}
    x, y, heading = (shipped.tracks[name].to_numpy() for name in ("x_m", "y_m", "heading_deg"))
    ahead = []
    for row in shipped.truth.filter(pc.equal(shipped.truth["encounter"], "following")).to_pylist():
        ego, foe = rows[row["min_ttc_ms"], row["ego"]], rows[row["min_ttc_ms"], row["foe"]]
        angle = np.radians(heading[ego])
        ahead.append((x[foe] - x[ego]) * np.sin(angle) + (y[foe] - y[ego]) * np.cos(angle) > 0.0)
    assert np.mean(ahead) > 0.98


def test_a_loop_without_vehicles_has_no_speed(shipped: Recording) -> None:
    empty = shipped.detector_1min.filter(pc.equal(shipped.detector_1min["veh_count"], 0))
    assert empty.num_rows > 0
    assert pc.all(
        pc.or_kleene(pc.is_null(shipped.detector_1min["speed_mps"]), pc.greater_equal(shipped.detector_1min["speed_mps"], 0.0))
    ).as_py()


def test_the_sample_is_where_its_place_says() -> None:
    sample = read_recording(SAMPLE)
    frame = LocalFrame(sample.meta["proj"], *sample.meta["net_offset"])
    lat, lon = frame.to_wgs84(sample.tracks["x_m"].to_numpy()[::5000], sample.tracks["y_m"].to_numpy()[::5000])
    assert (lat.min() > 52.42, lat.max() < 52.45, lon.min() > 13.51, lon.max() < 13.56) == (True, True, True, True)


def test_the_meta_is_json_that_people_can_read() -> None:
    assert "真实路网上的仿真交通" in (SAMPLE / "meta.json").read_text(encoding="utf-8")
    assert json.loads((SAMPLE / "meta.json").read_text(encoding="utf-8"))["format"] == 1
