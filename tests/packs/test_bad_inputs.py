"""Every way in which a party's file has been seen to be wrong: each is named, and a run goes on without the file and says so."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from pilot_files import Sample

from chengshu.catalog.model import Acceptance
from chengshu.cli import publishing, verbs
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.methods.av_pilot.safety import value_of_fusing
from chengshu.methods.fusion import PARTY_OF
from chengshu.methods.perception.parameters import PARTY_PRODUCTS
from chengshu.node import Node, open_node

Change = Callable[[pa.Table], pa.Table]
RNG = np.random.default_rng(20260615)
METRE_E7 = 1e7 / 111_194.93


@dataclass(frozen=True)
class Publisher:
    """A node that publishes the pilot's products under the pack's own contracts, held against the pilot's map."""

    sample: Sample
    node: Node
    folder: Path
    road_map: publishing.MapReference

    def contract(self, product: str) -> Path:
        """The pack's data contract for a product."""
        return next(part.contract for part in self.sample.pack.products if part.id == product)

    def publish(self, product: str, file: Path) -> dict[str, Any] | Refused:
        """Publish a file in a product's place; an earlier one of the same version is withdrawn by using a node of its own."""
        policy = publishing.offer_of(publishing.Terms(self.node.identity.did, ["study"]))
        return publishing.publish(
            self.node, file, contract=self.contract(product), policy=policy, acceptance=Acceptance.CLEAN, road_map=self.road_map
        )

    def quarantined(self) -> list[dict[str, Any]]:
        """What the log says was set aside."""
        entries = self.node.evidence.entries(0, self.node.evidence.size())
        return [dict(entry.body) for entry in entries if entry.kind == "source.quarantined"]


@pytest.fixture(scope="module")
def lanes(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("map") / "map_lane.parquet"
    pq.write_table(sample.products["map_lane"], file)
    return file


@pytest.fixture
def publisher(sample: Sample, lanes: Path, tmp_path: Path) -> Iterator[Publisher]:
    verbs.init(tmp_path / "node", verbs.Birth("car_maker", "Car maker", "车企"))
    node = open_node(tmp_path / "node")
    part = sample.pack.map
    assert part is not None
    yield Publisher(sample, node, tmp_path, publishing.MapReference(lanes, part.proj, part.net_offset))
    node.peers.close()
    node.asker._nodes._client.close()  # type: ignore[attr-defined]  # the port has no close; the adapter's client has


def column(name: str, change: Callable[[Any], Any]) -> Change:
    """Change one column by what numpy makes of it."""

    def changed(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        return table.set_column(place, field, pa.array(change(table[name].to_numpy(zero_copy_only=False).copy())).cast(field.type))

    return changed


def at(row: int, value: float) -> Callable[[Any], Any]:
    """Put a value in one row, counted from 1."""

    def put(values: Any) -> Any:
        values[row - 1] = value
        return values

    return put


def shifted(east_m: float, north_m: float) -> Change:
    """Every position moved by the same distance."""

    def changed(table: pa.Table) -> pa.Table:
        cos = np.cos(np.radians(52.4))
        moved = column("lat_e7", lambda values: values + round(north_m * METRE_E7))(table)
        return column("lon_e7", lambda values: values + round(east_m * METRE_E7 / cos))(moved)

    return changed


def biased(table: pa.Table) -> pa.Table:
    """Every vehicle's receiver is 5 m off, each in a direction of its own."""
    names = table["veh_pid"].to_pylist()
    ways = dict(zip(sorted(set(names)), RNG.uniform(0, 2 * np.pi, len(set(names))), strict=True))
    way = np.array([ways[name] for name in names])
    north = column("lat_e7", lambda values: values + np.round(5 * METRE_E7 * np.cos(way)).astype(np.int64))(table)
    return column("lon_e7", lambda values: values + np.round(5 * METRE_E7 / np.cos(np.radians(52.4)) * np.sin(way)).astype(np.int64))(north)


def swapped(table: pa.Table) -> pa.Table:
    """Latitude in the place of longitude, and the other way round."""
    names = [{"lat_e7": "lon_e7", "lon_e7": "lat_e7"}.get(name, name) for name in table.column_names]
    return table.rename_columns(names).select(table.column_names)


def once_a_second(table: pa.Table) -> pa.Table:
    """One row in ten of each vehicle."""
    return table.filter(pa.array(table["t_ms"].to_numpy() % 1000 == 0))


def twice(table: pa.Table) -> pa.Table:
    """The third row again, just as it is."""
    return pa.concat_tables([table.slice(0, 3), table.slice(2, 1), table.slice(3)])


def contradicted(table: pa.Table) -> pa.Table:
    """The third row again, with another speed."""
    return pa.concat_tables([table.slice(0, 3), column("speed_mps", lambda values: values + 1)(table.slice(2, 1)), table.slice(3)])


def late(table: pa.Table) -> pa.Table:
    """The first hundred rows at the end."""
    return pa.concat_tables([table.slice(100), table.slice(0, 100)])


# --- what sets a source aside, or flags it

SET_ASIDE: dict[str, tuple[Change, str, str, str]] = {
    "a bias of 5 m": (biased, "position-bias", "lat_e7+lon_e7", "further off"),
    "1 Hz where 10 Hz is promised": (once_a_second, "rate-too-low", "t_ms", "a median distance of 1 s"),
    "two rows that contradict each other": (contradicted, "duplicate-key", "veh_pid+t_ms", "a different row with the same key"),
    "km/h for m/s": (column("speed_mps", lambda values: values * 3.6), "wrong-unit", "speed_mps", "km/h"),
    "headings from the east": (column("heading_deg", lambda values: (90 - values) % 360), "heading-convention", "heading_deg", "0 = east"),
    "GCJ-02": (shifted(455.0, 205.0), "shifted-coordinates", "lat_e7+lon_e7", "shifted by about"),
    "a sentinel of -1": (column("speed_mps", at(5, -1.0)), "sentinel", "speed_mps", "a sentinel number"),
    "a sentinel of 8191": (column("accel_lon_mps2", at(5, 8191.0)), "sentinel", "accel_lon_mps2", "a sentinel number"),
    "seconds for milliseconds": (column("t_ms", lambda values: values // 1000), "time-unit", "t_ms", "another order of size"),
    "a clock that says it is 500 ms off": (
        column("clock_err_ms", lambda values: values * 0 + 500.0),
        "clock-error",
        "clock_err_ms",
        "more",
    ),
    "a length of nothing": (column("len_m", at(5, 0.0)), "negative-length", "len_m", "0 or below"),
}
FLAGGED: dict[str, tuple[Change, str, str, int]] = {
    "noisy speeds": (column("speed_mps", lambda values: np.abs(values + RNG.normal(0, 1.5, len(values)))), "speed-noise", "warning", 0),
    "message numbers in disorder": (column("seq", RNG.permutation), "sequence-disorder", "warning", 100),
    "a row that came twice": (twice, "duplicate-row", "rows", 1),
    "late rows": (late, "out-of-order", "warning", 1),
    "a clock that says it is 150 ms off": (column("clock_err_ms", lambda values: values * 0 + 150.0), "clock-error", "warning", 1),
}


def test_the_sample_itself_has_nothing_wrong_with_it(publisher: Publisher, sample: Sample) -> None:
    pq.write_table(sample.products["av_state"], publisher.folder / "good.parquet")
    outcome = publisher.publish("av_state", publisher.folder / "good.parquet")
    assert isinstance(outcome, dict)
    assert outcome["findings"] == []


@pytest.mark.parametrize("fault", SET_ASIDE)
def test_a_source_that_would_mislead_is_set_aside_and_says_why(publisher: Publisher, sample: Sample, fault: str) -> None:
    change, rule, columns, got = SET_ASIDE[fault]
    file = publisher.folder / "bad.parquet"
    pq.write_table(change(sample.products["av_state"]), file)
    outcome = publisher.publish("av_state", file)
    assert isinstance(outcome, Refused)
    assert outcome.rule == "quality-findings"
    assert outcome.message.startswith("bad.parquet: ")
    assert rule in outcome.message
    assert columns in outcome.message
    assert "expected" in outcome.message
    assert got in outcome.message
    assert outcome.would_pass.zh != outcome.would_pass.en
    assert publisher.node.catalog.products() == []
    (entry,) = publisher.quarantined()
    assert rule in {finding["rule"] for finding in entry["quality"]["findings"]}


def test_swapped_latitudes_and_longitudes_are_set_aside(publisher: Publisher, sample: Sample) -> None:
    pq.write_table(swapped(sample.products["av_state"]), publisher.folder / "bad.parquet")
    outcome = publisher.publish("av_state", publisher.folder / "bad.parquet")
    assert isinstance(outcome, Refused)
    assert publisher.node.catalog.products() == []


def test_swapped_latitudes_and_longitudes_are_called_that(publisher: Publisher, sample: Sample) -> None:
    pq.write_table(swapped(sample.products["av_state"]), publisher.folder / "bad.parquet")
    outcome = publisher.publish("av_state", publisher.folder / "bad.parquet")
    assert isinstance(outcome, Refused)
    assert "swapped-coordinates" in outcome.message


def test_a_sentinel_is_found_in_its_row_and_its_value_is_not_shown(publisher: Publisher, sample: Sample) -> None:
    file = publisher.folder / "bad.parquet"
    pq.write_table(column("accel_lon_mps2", at(5, 8191.0))(sample.products["av_state"]), file)
    outcome = publisher.publish("av_state", file)
    assert isinstance(outcome, Refused)
    assert "sentinel in column accel_lon_mps2, first in row 5" in outcome.message
    assert "8191" not in outcome.message


@pytest.mark.parametrize("fault", FLAGGED)
def test_a_source_that_can_be_used_with_care_is_published_with_its_finding(publisher: Publisher, sample: Sample, fault: str) -> None:
    change, rule, severity, least = FLAGGED[fault]
    file = publisher.folder / "odd.parquet"
    spoilt = change(sample.products["av_state"])
    pq.write_table(spoilt, file)
    outcome = publisher.publish("av_state", file)
    assert isinstance(outcome, dict), outcome
    (finding,) = [one for one in outcome["findings"] if one["rule"] == rule]
    assert finding["severity"] == severity
    assert finding["count"] >= least
    assert (finding["count"] == 0) == (least == 0)  # a fault of the whole source names no rows
    aside = finding["count"] if severity == "rows" else 0
    assert publisher.node.catalog.open("av_state").num_rows == spoilt.num_rows - aside


HOURS_8 = 8 * 3_600_000


@pytest.mark.parametrize("skew_ms", [2_000, -2_000, HOURS_8], ids=["2 s ahead", "2 s behind", "local time stamped as UTC"])
@pytest.mark.parametrize("product", ["rsu_objects", "av_state"])
def test_a_party_whose_clock_is_off_has_no_part_in_what_fusing_was_worth(sample: Sample, product: str, skew_ms: int) -> None:
    party = PARTY_OF[product]
    skewed = {name: column("t_ms", lambda values: values + skew_ms)(sample.products[name]) for name in PARTY_PRODUCTS[party]}
    part = sample.pack.map
    assert part is not None
    parameters = {"proj": part.proj, "net_offset": list(part.net_offset)}
    tables = value_of_fusing({**sample.products, **skewed}, parameters)
    without = value_of_fusing({name: table for name, table in sample.products.items() if name not in skewed}, parameters)
    clocks = {row["source"]: row for row in tables["alignment"].to_pylist()}
    assert [name for name, row in clocks.items() if row["state"] == "quarantined"] == [party]
    assert clocks[party]["offset_ms"] == pytest.approx(-skew_ms, abs=300)
    seen = {row["coalition"]: row["seen"] for row in tables["coalitions"].to_pylist()}
    assert seen[party] == 0
    assert tables["coalitions"].equals(without["coalitions"])
    assert tables["multiplier"]["value"].equals(without["multiplier"]["value"])
    aside = {row["source"]: row["rule"] for row in tables["set_aside"].to_pylist() if not row["kept"]}
    assert {name: aside[name] for name in skewed} == dict.fromkeys(skewed, "clock-beyond-limit")


# --- files that cannot be read as the contract says


def _csv(publisher: Publisher, sample: Sample) -> Path:
    file = publisher.folder / "probe.csv"
    pa_csv.write_csv(sample.products["probe_gnss"].slice(0, 200), file)
    return file


def _fault(publisher: Publisher, product: str, file: Path) -> Invalid:
    with pytest.raises(Invalid) as caught:
        publisher.publish(product, file)
    assert caught.value.message.startswith(file.name)
    assert "expected" in caught.value.message
    assert "got" in caught.value.message
    assert caught.value.hint.en != caught.value.hint.zh
    assert publisher.node.catalog.products() == []
    return caught.value


def test_a_column_that_is_missing_is_named(publisher: Publisher, sample: Sample) -> None:
    file = publisher.folder / "short.parquet"
    pq.write_table(sample.products["av_state"].drop_columns(["speed_mps"]), file)
    assert "speed_mps" in _fault(publisher, "av_state", file).message


def test_a_cell_of_another_type_is_named_by_row_and_column_and_not_shown(publisher: Publisher, sample: Sample) -> None:
    file = _csv(publisher, sample)
    lines = file.read_text(encoding="utf-8").splitlines()
    header = lines[0].replace('"', "").split(",")
    cells = lines[17].split(",")
    cells[header.index("speed_mps")] = "schnell-7331"
    file.write_text("\n".join([*lines[:17], ",".join(cells), *lines[18:]]), encoding="utf-8")
    error = _fault(publisher, "probe_gnss", file)
    assert error.message == "probe.csv, row 17, column speed_mps: expected float64, got text"
    assert "7331" not in json.dumps(error.as_dict("zh"), ensure_ascii=False)


def test_an_empty_file_is_said_to_be_one(publisher: Publisher) -> None:
    file = publisher.folder / "nothing.csv"
    file.touch()
    assert "empty" in _fault(publisher, "probe_gnss", file).message + _fault(publisher, "probe_gnss", file).code


def test_a_file_with_a_header_and_no_row_is_said_to_be_one(publisher: Publisher, sample: Sample) -> None:
    file = _csv(publisher, sample)
    file.write_text(file.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert "at least one row" in _fault(publisher, "probe_gnss", file).message


def test_a_file_in_another_encoding_is_not_guessed_at(publisher: Publisher, sample: Sample) -> None:
    file = _csv(publisher, sample)
    first = sample.products["probe_gnss"]["veh_pid"][0].as_py()
    file.write_bytes(file.read_text(encoding="utf-8").replace(first, "Müllerstraße", 1).encode("cp1252"))
    error = _fault(publisher, "probe_gnss", file)
    assert "UTF-8" in error.message.upper()
    assert "encoding" in error.hint.en
    assert "ller" not in error.message


def test_a_parquet_file_cut_short_is_said_to_be_unreadable(publisher: Publisher, sample: Sample) -> None:
    file = publisher.folder / "cut.parquet"
    pq.write_table(sample.products["av_state"], file)
    file.write_bytes(file.read_bytes()[:-100])
    assert _fault(publisher, "av_state", file).code == "source.unreadable"


def test_a_file_that_is_not_there_is_said_so(publisher: Publisher) -> None:
    _fault(publisher, "av_state", publisher.folder / "absent.parquet")


# --- a run with two such files


@pytest.fixture(scope="module")
def played(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole pack on the short recording, with a fleet's file in km/h and a car maker's without a column."""
    folder = tmp_path_factory.mktemp("played")
    pack = shutil.copytree(sample.pack.root, folder / "pack", ignore=shutil.ignore_patterns("recording"))
    shutil.copytree(sample.recording, pack / "data" / "recording")
    fast = column("speed_mps", lambda values: values * 3.6)(sample.products["fleet_gnss"])
    pq.write_table(column("speed_mps", lambda values: np.minimum(values, 74.0))(fast), folder / "fast.parquet")
    pa_csv.write_csv(sample.products["av_objects"].drop_columns(["east_m"]), folder / "narrow.csv")
    binds = ["--bind", f"fleet_gnss={folder / 'fast.parquet'}", "--bind", f"av_objects={folder / 'narrow.csv'}"]
    words = [sys.executable, "-m", "chengshu", "pack", "run", str(pack), *binds, "--folder", str(folder / "run"), "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return dict(json.loads(ran.stdout))


def test_a_run_goes_on_without_the_files_that_were_set_aside(played: dict[str, Any]) -> None:
    products = {one["id"]: one for one in played["products"]}
    assert [name for name, one in products.items() if one["state"] != "published"] == ["av_objects", "fleet_gnss"]
    assert {products[name]["origin"] for name in ("av_objects", "fleet_gnss")} == {"yours"}
    hazards = next(one for one in played["jobs"] if one["part"] == "hazards")
    assert (hazards["state"], hazards["missing"]) == ("RELEASED", ["av_objects", "fleet_gnss"])
    assert {row["source"] for row in hazards["tables"]["alignment"]} == {"car_maker", "road_operator", "navigation_platform"}
    assert {row["source"] for row in hazards["tables"]["false_tracks"]} == {"av_state", "rsu_objects", "probe_gnss"}


def test_what_stands_on_too_few_cases_is_held_back_and_nothing_is_paid_for_it(played: dict[str, Any]) -> None:
    hazards = next(one for one in played["jobs"] if one["part"] == "hazards")
    assert "table multiplier: held back, rule group-too-small" in hazards["notes"]
    assert not {"multiplier", "coalitions"} & hazards["tables"].keys()
    assert played["statement"] is None


def test_each_file_that_was_set_aside_says_what_was_wrong_with_it(played: dict[str, Any]) -> None:
    products = {one["id"]: one for one in played["products"]}
    for language in ("en", "zh"):
        assert "fast.parquet: wrong-unit in column speed_mps" in products["fleet_gnss"]["reason"][language]["message"]
        assert "east_m" in products["av_objects"]["reason"][language]["message"]


def test_the_report_flags_them(played: dict[str, Any]) -> None:
    page = Path(played["report"]).read_text(encoding="utf-8")
    assert "fast.parquet" in page
    assert "east_m" in page


def test_the_log_of_the_owner_holds_that_its_file_was_set_aside(played: dict[str, Any]) -> None:
    folder = Path(played["report"]).parent / "nodes" / "fleet_operator"
    node = open_node(folder)
    kinds = [entry.kind for entry in node.evidence.entries(0, node.evidence.size())]
    node.peers.close()
    node.asker._nodes._client.close()  # type: ignore[attr-defined]  # the port has no close; the adapter's client has
    assert kinds.count("source.quarantined") == 1
