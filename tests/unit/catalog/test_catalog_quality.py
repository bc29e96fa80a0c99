from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.model import Box, Column, DataContract, LogicalType, Severity
from chengshu.catalog.odcs import read_contract
from chengshu.catalog.quality import check, check_position, take_in, together, usable_rows
from chengshu.kernel.text import Text

LANES = DataContract(
    "urn:x", "1", "lanes", Text("Lanes", "车道"), "me", "",
    (Column("lane", LogicalType.INTEGER, "int32", unique=True), Column("note", LogicalType.STRING, "string")),
)  # fmt: skip
ALL_RULES = {
    "columns", "cells", "empty-rows", "duplicates", "unique", "order", "rate", "degrees",
    "sequence", "jumps", "speed-unit", "heading-convention", "speed-noise", "position-noise", "clock-error",
}  # fmt: skip


def found(report):
    return {(finding.rule, finding.column) for finding in report.findings}


def checked(traffic, table, contract=None):
    return check(table, contract or traffic.contract, file="av_state.parquet")


def spoil(traffic, name, rows, value):
    def change(values):
        values[rows] = value
        return values

    return traffic.with_column(name, change)


def test_a_clean_source_has_no_findings_and_every_rule_was_applied(traffic):
    report = checked(traffic, traffic.table)
    assert report.findings == ()
    assert set(report.checked) == ALL_RULES
    assert report.not_checked == ()


def test_a_clean_source_is_on_the_road_and_on_its_lanes(traffic):
    report = check_position(traffic.table, traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    assert report.findings == ()
    assert report.checked == ("on-road", "lane-bias")


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(3.6, "km/h"), (50.0, "units of 0.02 m/s"), (2.2369, "mph"), (36.0, "0.1 km/h"), (0.2778, "a speed divided by 3.6 once too often")],
)
def test_a_speed_in_another_unit_is_named(traffic, factor, unit):
    loose = replace(traffic.contract, columns=tuple(replace(column, maximum=None) for column in traffic.contract.columns))
    report = checked(traffic, traffic.with_column("speed_mps", lambda values: values * factor), loose)
    (finding,) = [one for one in report.findings if one.rule == "wrong-unit"]
    assert (finding.column, finding.severity, finding.got) == ("speed_mps", Severity.ERROR, f"what looks like {unit}")


def test_a_speed_that_fits_no_unit_is_implausible(traffic):
    report = checked(traffic, traffic.with_column("speed_mps", lambda values: values * 1.5))
    assert found(report) == {("speed-implausible", "speed_mps")}


@pytest.mark.parametrize(
    ("change", "convention"),
    [
        (lambda heading: (90 - heading) % 360, "0 = east, counter-clockwise"),
        (lambda heading: (heading + 180) % 360, "the reverse direction"),
        (lambda heading: (-heading) % 360, "0 = north, counter-clockwise"),
        (np.radians, "radians"),
    ],
)
def test_another_heading_convention_is_named(traffic, change, convention):
    x, y, speed, heading, t, vehicle = traffic.columns
    turn = np.radians(20)  # off the axes, or a mirrored direction would look right half the time
    turned = traffic.__class__(
        traffic.town,
        traffic.contract,
        (x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn), speed, (heading + 20) % 360, t, vehicle),
        traffic.table,
        traffic.lanes,
        traffic.from_wgs84,
    ).moved(0, 0)
    headings = pa.array(change(turned.column("heading_deg").to_numpy()))
    report = checked(traffic, turned.set_column(turned.schema.get_field_index("heading_deg"), "heading_deg", headings))
    (finding,) = report.findings
    assert (finding.rule, finding.got) == ("heading-convention", f"what looks like {convention}")


def test_headings_without_any_relation_to_the_way_are_implausible(traffic):
    rng = np.random.default_rng(1)
    report = checked(traffic, traffic.with_column("heading_deg", lambda values: rng.uniform(0, 360, len(values))))
    assert found(report) == {("heading-implausible", "heading_deg")}


@pytest.mark.parametrize(("dx", "dy"), [(430.0, 220.0), (-120.0, 60.0), (500.0, -450.0)])
def test_a_common_shift_like_that_of_gcj_02_is_found_and_measured(traffic, dx, dy):
    report = check_position(traffic.moved(dx, dy), traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("shifted-coordinates", Severity.ERROR)
    metres = float(finding.got.removeprefix("positions that are all shifted by about ").removesuffix(" m"))
    assert abs(metres - np.hypot(dx, dy)) <= 20
    assert "GCJ-02" in finding.hint.en


def test_a_lane_of_one_repeated_point_is_no_hindrance(traffic):
    point = pa.table({"xs": [[500.0, 500.0]], "ys": [[500.0, 500.0]]})
    lanes = pa.concat_tables([traffic.lanes, point])
    report = check_position(traffic.moved(430, 220), traffic.contract, file="f", lanes=lanes, from_wgs84=traffic.from_wgs84)
    assert found(report) == {("shifted-coordinates", "lat_e7+lon_e7")}


def test_positions_far_from_every_road_are_off_road(traffic):
    report = check_position(traffic.moved(9_000, 0), traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    assert found(report) == {("off-road", "lat_e7+lon_e7")}


def test_a_bias_of_five_metres_per_vehicle_is_found(traffic):
    rng = np.random.default_rng(3)
    angle = traffic.per_vehicle(rng.uniform(0, 2 * np.pi, traffic.number_of_vehicles()))
    biased = traffic.moved(5 * np.cos(angle), 5 * np.sin(angle))
    report = check_position(biased, traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    assert found(report) == {("position-bias", "lat_e7+lon_e7")}


def test_white_noise_within_the_stated_precision_is_no_bias(traffic):
    rng = np.random.default_rng(3)
    noisy = traffic.moved(rng.normal(0, 1.0, traffic.table.num_rows), rng.normal(0, 1.0, traffic.table.num_rows))
    noisy = noisy.set_column(noisy.schema.get_field_index("pos_sigma_m"), "pos_sigma_m", pa.array(np.full(noisy.num_rows, 1.0)))
    report = check_position(noisy, traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    assert report.findings == ()


def test_exchanged_latitude_and_longitude_are_recognised_without_a_box(traffic):
    lat, lon = traffic.table.column("lat_e7"), traffic.table.column("lon_e7")
    table = traffic.table.set_column(5, "lat_e7", lon).set_column(6, "lon_e7", lat)
    assert ("swapped-coordinates", "lat_e7+lon_e7") in found(checked(traffic, table))


def test_exchanged_coordinates_that_are_both_possible_are_recognised_by_the_box(traffic):
    contract = replace(traffic.contract, bbox=Box(13.0, 52.0, 14.0, 53.0))
    rows = {"lat_e7": [134_000_000] * 20, "lon_e7": [525_000_000] * 20}
    table = traffic.table.slice(0, 20)
    for name, values in rows.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.int64()))
    (finding,) = checked(traffic, table, contract).findings
    assert (finding.rule, finding.count, finding.rows) == ("swapped-coordinates", 20, (1, 2, 3, 4, 5))


def test_positions_outside_the_declared_box_are_named(traffic):
    contract = replace(traffic.contract, bbox=Box(110.0, 30.0, 111.0, 31.0))
    (finding,) = checked(traffic, traffic.table, contract).findings
    assert (finding.rule, finding.count) == ("outside-box", traffic.table.num_rows)


@pytest.mark.parametrize("sentinel", [-1.0, 8191.0, 28800.0, -1.7976931348623157e308])
def test_a_sentinel_is_named_with_its_rows_and_is_not_also_out_of_range(traffic, sentinel):
    report = checked(traffic, spoil(traffic, "speed_mps", [4, 40], sentinel))
    findings = [finding for finding in report.findings if finding.column == "speed_mps" and finding.rows]
    assert [(finding.rule, finding.rows, finding.severity) for finding in findings] == [("sentinel", (5, 41), Severity.ERROR)]


@pytest.mark.parametrize(("column", "value"), [("min_ttc_s", 0.0), ("pet_s", -1.7976931348623157e308)])
def test_the_simulators_own_sentinels_are_refused_in_the_truth(traffic, column, value):
    contract = read_contract(traffic.contracts / "hazard_truth.yaml")
    row = {
        "ego": [1], "foe": [2], "encounter": ["following"], "begin_ms": [0], "end_ms": [1], "min_ttc_s": [1.0], "min_ttc_ms": [1],
        "max_drac_mps2": [1.0], "max_drac_ms": [1], "pet_s": [1.0], "pet_ms": [1], "x_m": [0.0], "y_m": [0.0], "at_ms": [1], "hazard": [0],
    }  # fmt: skip
    assert check(pa.table(row), contract, file="f").findings == ()
    assert found(check(pa.table({**row, column: [value]}), contract, file="f")) == {("sentinel", column)}


def test_exact_duplicates_are_set_aside_and_the_rest_is_kept(traffic):
    doubled = pa.concat_tables([traffic.table, traffic.table.slice(10, 3)])
    intake = take_in(doubled, traffic.contract, file="f")
    rows = traffic.table.num_rows
    assert [(finding.rule, finding.severity, finding.rows) for finding in intake.report.findings if finding.rule == "duplicate-row"] == [
        ("duplicate-row", Severity.ROWS, (rows + 1, rows + 2, rows + 3))
    ]
    assert intake.accepted.equals(traffic.table)
    assert intake.quarantined.column("row").to_pylist() == [rows + 1, rows + 2, rows + 3]
    assert usable_rows(doubled, traffic.contract).equals(traffic.table)


def test_two_different_rows_under_one_key_set_the_source_aside(traffic):
    other = spoil(traffic, "speed_mps", [10], 9.99).slice(10, 1)
    intake = take_in(pa.concat_tables([traffic.table, other]), traffic.contract, file="f")
    assert intake.accepted is None
    assert ("duplicate-key", "veh_pid+t_ms") in found(intake.report)
    assert intake.quarantined.to_pylist() == [{"row": traffic.table.num_rows + 1, "rule": "duplicate-key", "column": "veh_pid+t_ms"}]


def test_late_rows_are_flagged_and_kept(traffic):
    order = np.arange(traffic.table.num_rows)
    order[[20, 25]] = order[[25, 20]]
    intake = take_in(traffic.table.take(pa.array(order)), traffic.contract, file="f")
    assert [(finding.rule, finding.severity, finding.count) for finding in intake.report.findings] == [
        ("out-of-order", Severity.WARNING, 2)
    ]
    assert intake.accepted.num_rows == traffic.table.num_rows


def test_rows_sorted_by_vehicle_are_not_late(traffic):
    by_time = traffic.table.sort_by("t_ms")
    assert checked(traffic, by_time).findings == ()


def test_one_hertz_where_ten_are_promised_sets_the_source_aside(traffic):
    (finding,) = checked(traffic, traffic.once_a_second()).findings
    assert (finding.rule, finding.severity, finding.got) == ("rate-too-low", Severity.ERROR, "a median distance of 1 s")


def test_losing_one_row_in_five_keeps_the_promise(traffic):
    kept = np.random.default_rng(2).random(traffic.table.num_rows) > 0.2
    assert checked(traffic, traffic.table.filter(pa.array(kept))).findings == ()


def test_rules_that_need_ten_hertz_are_listed_as_not_checked_at_one(traffic):
    contract = replace(traffic.contract, rate_hz=1.0)
    report = checked(traffic, traffic.once_a_second(), contract)
    assert report.not_checked == ("speed-noise", "position-noise")


def test_rough_speeds_are_flagged(traffic):
    rng = np.random.default_rng(4)
    report = checked(traffic, traffic.with_column("speed_mps", lambda values: values + rng.normal(0, 0.5, len(values))))
    assert [(finding.rule, finding.severity) for finding in report.findings] == [("speed-noise", Severity.WARNING)]


def test_positions_rougher_than_stated_are_flagged(traffic):
    rng = np.random.default_rng(4)
    noisy = traffic.moved(rng.normal(0, 0.5, traffic.table.num_rows), rng.normal(0, 0.5, traffic.table.num_rows))
    assert [(finding.rule, finding.severity) for finding in checked(traffic, noisy).findings] == [("position-noise", Severity.WARNING)]


def test_a_stated_clock_error_above_the_limit_is_an_error_and_above_the_budget_a_flag(traffic):
    report = checked(traffic, spoil(traffic, "clock_err_ms", [0, 1], [150.0, 2000.0]))
    assert [(finding.severity, finding.rows) for finding in report.findings] == [(Severity.ERROR, (2,)), (Severity.WARNING, (1,))]


def numbered(traffic, numbers):
    """Each vehicle's messages numbered in the order of their times, put through ``numbers``."""
    vehicle, times = traffic.columns[5], traffic.columns[4]
    since = (times - times.min()) // 100
    return traffic.with_column("seq", lambda _: numbers(vehicle, since).astype(np.int32))


@pytest.mark.parametrize("wrap", [128, 256, 65_536])
def test_a_counter_that_starts_again_at_zero_runs_on(traffic, wrap):
    assert found(checked(traffic, numbered(traffic, lambda vehicle, since: (since + 7 * vehicle) % wrap))) == set()


def test_message_numbers_in_disorder_are_flagged(traffic):
    mixed = np.random.default_rng(3)
    report = checked(traffic, numbered(traffic, lambda _vehicle, since: mixed.permutation(since)))
    assert [(finding.rule, finding.column, finding.severity) for finding in report.findings] == [
        ("sequence-disorder", "seq", Severity.WARNING)
    ]


def test_one_message_number_that_goes_back_is_found_in_its_row(traffic):
    table = numbered(traffic, lambda _vehicle, since: since)
    later = table.column("seq").to_pylist()
    later[50] = later[50] - 20
    place = table.schema.get_field_index("seq")
    spoilt = table.set_column(place, table.schema.field("seq"), pa.array(later, table.schema.field("seq").type))
    (finding,) = checked(traffic, spoilt).findings
    assert (finding.rule, finding.count, finding.rows) == ("sequence-disorder", 1, (51,))


@pytest.mark.parametrize("slow", [False, True])
def test_two_vehicles_under_one_name_are_set_aside_and_the_others_stay(traffic, slow):
    table = traffic.once_a_second() if slow else traffic.table
    contract = replace(traffic.contract, rate_hz=1.0) if slow else traffic.contract
    names = sorted(set(table.column("veh_pid").to_pylist()))
    other = pa.array([name == names[1] for name in table.column("veh_pid").to_pylist()])
    # The second vehicle's device sends half a period later, so that no two rows have one key.
    late = [t + (500 if slow else 50) if mine else t for t, mine in zip(table.column("t_ms").to_pylist(), other.to_pylist(), strict=True)]
    same = [names[0] if mine else name for name, mine in zip(table.column("veh_pid").to_pylist(), other.to_pylist(), strict=True)]
    for column, values in (("t_ms", late), ("veh_pid", same)):
        place = table.schema.get_field_index(column)
        table = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    intake = take_in(table, contract, file="f")
    finding = next(one for one in intake.report.findings if one.rule == "shared-name")
    assert (finding.column, finding.severity, finding.count) == ("veh_pid", Severity.ROWS, same.count(names[0]))
    assert set(intake.accepted.column("veh_pid").to_pylist()) == set(names[2:])
    assert usable_rows(table, contract).equals(intake.accepted)


def test_missing_cells_in_a_required_column_are_named_as_null_and_as_nan(traffic):
    table = spoil(traffic, "speed_mps", [6], np.nan)
    pids = table.column("sw_version").to_pylist()
    pids[8] = None
    table = table.set_column(table.schema.get_field_index("sw_version"), "sw_version", pa.array(pids, pa.string()))
    findings = {(finding.rule, finding.column, finding.rows) for finding in checked(traffic, table).findings}
    assert findings == {("missing", "speed_mps", (7,)), ("missing", "sw_version", (9,))}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("len_m", -4.5, "negative-length"),
        ("len_m", 0.0, "negative-length"),
        ("len_m", 400.0, "out-of-range"),
        ("accel_lon_mps2", np.inf, "out-of-range"),
        ("t_ms", 1_767_225_600, "time-unit"),
        ("t_ms", 1_767_225_600_000_000, "time-unit"),
    ],
)
def test_a_single_wrong_number_is_named_by_rule_column_and_row(traffic, column, value, rule):
    findings = [finding for finding in checked(traffic, spoil(traffic, column, [17], value)).findings if finding.severity is Severity.ERROR]
    assert [(finding.rule, finding.column, finding.count, finding.rows) for finding in findings] == [(rule, column, 1, (18,))]


def test_a_value_that_is_not_allowed_is_named_without_being_shown(traffic):
    modes = traffic.table.column("control_mode").to_pylist()
    modes[2] = "SECRET"
    table = traffic.table.set_column(traffic.table.schema.get_field_index("control_mode"), "control_mode", pa.array(modes))
    report = checked(traffic, table)
    assert [(finding.rule, finding.rows) for finding in report.findings] == [("not-allowed", (3,))]
    assert "SECRET" not in str(report.as_dict("en")) + str(report.as_dict("zh"))


def test_ticks_without_a_vehicle_are_set_aside(traffic):
    empty = pa.table({name: pa.nulls(2, field.type) for name, field in zip(traffic.table.column_names, traffic.table.schema, strict=True)})
    empty = empty.set_column(3, "t_ms", pa.array([1_767_225_600_000, 1_767_225_600_100]))
    intake = take_in(pa.concat_tables([traffic.table, empty]), traffic.contract, file="f")
    assert [(finding.rule, finding.severity, finding.count) for finding in intake.report.findings] == [("empty-row", Severity.ROWS, 2)]
    assert intake.accepted.equals(traffic.table)


def test_a_column_promised_to_be_unique_is_held_to_it():
    lanes = pa.table({"lane": pa.array([0, 1, 1], pa.int32()), "note": ["a", "b", "c"]})
    (finding,) = check(lanes, LANES, file="f").findings
    assert (finding.rule, finding.column, finding.rows) == ("not-unique", "lane", (3,))


def test_extra_columns_are_flagged():
    report = check(pa.table({"lane": pa.array([0], pa.int32()), "note": ["a"]}), LANES, file="f", extra_columns=["owner_phone"])
    assert [(finding.rule, finding.column, finding.severity) for finding in report.findings] == [
        ("extra-column", "owner_phone", Severity.WARNING)
    ]


def test_a_later_check_can_set_an_accepted_source_aside(traffic):
    intake = take_in(traffic.table, traffic.contract, file="f")
    shifted = check_position(traffic.moved(430, 220), traffic.contract, file="f", lanes=traffic.lanes, from_wgs84=traffic.from_wgs84)
    later = intake.also(shifted)
    assert (intake.accepted is None, later.accepted is None) == (False, True)
    assert later.report == together(intake.report, shifted)


def test_rules_without_their_columns_are_listed_as_not_checked(traffic):
    contract = read_contract(traffic.contracts / "spat.yaml")
    table = pa.table({"junction_id": ["a"], "t_ms": [1_767_225_600_000], "state": ["Gr"]})
    report = check(table, contract, file="f")
    assert report.findings == ()
    motion = ("speed-unit", "heading-convention", "speed-noise", "position-noise")
    assert report.not_checked == ("rate", "degrees", "sequence", "jumps", *motion, "clock-error")


def test_two_hundred_thousand_rows_are_checked_whole(traffic, big_table):
    assert big_table.num_rows == 200_000
    assert checked(traffic, big_table).findings == ()


@given(copies=st.lists(st.integers(0, 199), max_size=30), empty=st.integers(0, 5))
def test_every_row_is_either_accepted_or_quarantined(traffic, copies, empty):
    table = traffic.table.slice(0, 200)
    blank = pa.table({name: pa.nulls(empty, field.type) for name, field in zip(table.column_names, table.schema, strict=True)})
    mixed = pa.concat_tables([table, table.take(pa.array(copies, pa.int64())), blank])
    intake = take_in(mixed, traffic.contract, file="f")
    aside = set(intake.quarantined.column("row").to_pylist())
    assert intake.accepted.num_rows + len(aside) == mixed.num_rows
    assert intake.accepted.equals(table)
