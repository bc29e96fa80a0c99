"""Each rule R01 to R15 finds the violation, passes what is right, and says UNKNOWN where nothing is proven."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.methods.pilot.compliance import EPISODES, evaluate
from chengshu.methods.pilot.context import PilotContext
from chengshu.methods.pilot.directive import Directive
from chengshu.methods.pilot.permit import RULE_IDS, Permit
from chengshu.methods.pilot.rules import RULES
from chengshu.methods.pilot.scene import K_SIGMA
from chengshu.methods.pilot.verdict import Result

PERMITS = Path(__file__).parents[2] / "data" / "permits"
T0 = round(datetime.fromisoformat("2026-03-06T10:00:00+08:00").timestamp() * 1000)
FOREVER = (T0 - 10**9, T0 + 10**9)
LAT, LON = 30.0, 120.0
DEG_PER_M_NORTH = 1.0 / 110_852.4  # at 30° on WGS 84
DOCUMENT: dict[str, Any] = {
    "id": "pilot-1",
    "version": 1,
    "issuer": "regulator",
    "operators": ["fleet-a"],
    "vehicles": [{"type": "TYPE-1", "pids": ["v1", "v2", "v3"], "sw": {"min": "1.2", "max": "1.10"}}],
    "control_modes": ["manual", "auto", "tor", "mrm"],
    "crs": "WGS84",
    "bbox": [119.9, 29.9, 120.1, 30.1],
    "zones": {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": f"z{i}", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
            for i, corners in enumerate(
                [
                    [[119.99, 29.99], [120.0, 29.99], [120.0, 30.01], [119.99, 30.01], [119.99, 29.99]],
                    [[120.0, 29.99], [120.01, 29.99], [120.01, 30.01], [120.0, 30.01], [120.0, 29.99]],
                ]
            )
        ],
    },
    "windows": [{"days": ["fri"], "start": "09:00", "end": "11:00", "tz": "Asia/Shanghai", "holidays": "include"}],
    "holidays": [],
    "speed": {
        "default_kph": 30,
        "roads": [
            {
                "id": "r1",
                "name": "East Road",
                "geometry": {"type": "LineString", "coordinates": [[119.99, 30.0], [120.01, 30.0]]},
                "buffer_m": 15,
                "max_kph": 60,
            }
        ],
    },
    "odd": {"rain_mm_h": 2.5, "wind_mps": 10, "visibility_m": 200},
    "officer": {"mode": "onboard", "least": 1},
    "fleet_cap": 2,
    "stops": [{"id": "s1", "position": [120.0, 30.0], "radius_m": 30}],
    "insurance": {"min_fen": 500_000_000},
    "cargo": {"ban_dangerous_goods": True},
    "telemetry": {"max_gap_s": 2, "items": ["identity", "control_mode", "position", "motion"]},
    "immobilised_s": 60,
    "valid": {"from": "2026-01-01T00:00:00+08:00", "to": "2027-01-01T00:00:00+08:00"},
}
PERMIT = Permit.parse(DOCUMENT)


def drive(
    *, n: int = 50, step_ms: int = 100, pid: str = "v1", begin: int = T0, north_m: Any = 0.0, east_deg: Any = 0.0, **columns: Any
) -> pa.Table:
    """A drive on East Road's line, moved ``north_m`` metres; every column can be replaced by a value or one a tick."""
    defaults: dict[str, Any] = {
        "trip_pid": "t1",
        "pos_sigma_m": 0.3,
        "speed_mps": 10.0,
        "heading_deg": 90.0,
        "accel_lon_mps2": 0.0,
        "control_mode": "auto",
        "sw_version": "1.4.0",
        "clock_err_ms": 5.0,
    }
    lat = np.broadcast_to(LAT + np.asarray(north_m) * DEG_PER_M_NORTH, n)
    lon = np.broadcast_to(LON + np.asarray(east_deg), n)
    cells: dict[str, Any] = {
        "veh_pid": [pid] * n,
        "t_ms": begin + np.arange(n) * step_ms,
        "lat_e7": np.rint(lat * 1e7).astype(np.int64),
        "lon_e7": np.rint(lon * 1e7).astype(np.int64),
    }
    for name, value in (defaults | columns).items():
        cells[name] = list(value) if isinstance(value, list | np.ndarray) else [value] * n
    return pa.table(cells)


def register(**cells: list[Any]) -> pa.Table:
    return pa.table(cells)


def spans(pid: str = "v1", **cells: Any) -> pa.Table:
    return pa.table(
        {"veh_pid": [pid], "begin_ms": [FOREVER[0]], "end_ms": [FOREVER[1]], **{name: [value] for name, value in cells.items()}}
    )


CONTEXT = PilotContext(
    vehicles=register(veh_pid=["v1", "v2", "v3"], vehicle_type=["TYPE-1"] * 3, operator=["fleet-a"] * 3),
    weather=register(t_ms=[T0 - 60_000], rain_mm_h=[0.0], wind_mps=[3.0], visibility_m=[5000.0]),
    officers=pa.concat_tables([spans(pid, officer_id=f"o-{pid}", mode="onboard") for pid in ("v1", "v2", "v3")]),
    insurance=pa.concat_tables([spans(pid, cover_fen=500_000_000) for pid in ("v1", "v2", "v3")]),
    cargo=pa.concat_tables([spans(pid, dangerous=False) for pid in ("v1", "v2", "v3")]),
    stop_events=register(veh_pid=["v9"], begin_ms=[T0], end_ms=[T0 + 1]),
    directives=(),
)


def judged(rule: str, telemetry: pa.Table, *, permit: Permit = PERMIT, **context: Any) -> list[tuple[str, str]]:
    """(result, reason) of each episode of one rule."""
    chosen = [each for each in RULES if each.rule_id == rule]
    found = evaluate(telemetry, permit=permit, context=replace(CONTEXT, **context), rules=chosen)
    return list(zip(found.column("result").to_pylist(), found.column("reason").to_pylist(), strict=True))


def test_a_drive_in_order_is_compliant_with_all_fifteen_rules() -> None:
    found = evaluate(drive(), permit=PERMIT, context=CONTEXT)
    assert found.schema == EPISODES
    assert found.column("rule").to_pylist() == [f"R{i:02d}" for i in range(1, 16)]
    assert set(found.column("result").to_pylist()) == {"COMPLIANT"}
    assert set(found.column("n_ticks").to_pylist()) == {50}


def test_without_any_other_record_no_rule_that_needs_one_is_compliant_and_each_names_whose_is_missing() -> None:
    found = evaluate(drive(), permit=PERMIT, context=PilotContext())
    unknown = {row["rule"]: row["missing_from"] for row in found.to_pylist() if row["result"] == "UNKNOWN"}
    assert unknown == {
        "R03": "regulator",
        "R04": "regulator",
        "R06": "weather service",
        "R07": "fleet operator",
        "R11": "regulator",
        "R12": "insurer",
        "R13": "fleet operator",
        "R14": "fleet operator",
    }


def test_every_rule_has_a_title_in_both_languages_and_a_source() -> None:
    assert tuple(rule.rule_id for rule in RULES) == RULE_IDS == tuple(f"R{i:02d}" for i in range(1, 16))
    assert all(rule.title.en and rule.title.zh and rule.source for rule in RULES)


def test_r01_zone() -> None:
    far = [0.0] * 20 + [2000.0] * 20  # the zone ends some 1109 m to the north
    assert judged("R01", drive(n=40, north_m=far)) == [
        ("COMPLIANT", "inside-permitted-zones"),
        ("VIOLATION", "outside-permitted-zones"),
    ]
    assert judged("R01", drive(north_m=1110.0, pos_sigma_m=5.0)) == [("UNKNOWN", "position-across-border")]
    assert judged("R01", drive(pos_sigma_m=None)) == [("UNKNOWN", "position-sigma-missing")]
    assert judged("R01", drive(pos_sigma_m=-1.0)) == [("UNKNOWN", "position-sigma-missing")]
    assert judged("R01", drive(lat_e7=900_000_001)) == [("UNKNOWN", "position-missing")]
    assert judged("R01", drive(north_m=2000.0, control_mode="manual", trip_pid=None)) == [("COMPLIANT", "not-operating")]


def test_r01_one_outlier_outside_proves_nothing() -> None:
    outlier = [0.0] * 20 + [2000.0] * 3 + [0.0] * 20
    assert judged("R01", drive(n=43, north_m=outlier))[1] == ("UNKNOWN", "outside-too-briefly")


def test_r01_the_border_between_two_permitted_zones_is_no_border() -> None:
    assert judged("R01", drive(north_m=500.0, pos_sigma_m=10.0)) == [("COMPLIANT", "inside-permitted-zones")]


def test_r01_a_hole_in_a_zone_is_outside_and_overlapping_zones_do_not_cut_each_other() -> None:
    hole = [[119.999, 29.999], [119.999, 30.001], [120.001, 30.001], [120.001, 29.999], [119.999, 29.999]]
    around = [[119.99, 29.99], [120.01, 29.99], [120.01, 30.01], [119.99, 30.01], [119.99, 29.99]]
    over = [[119.995, 29.999], [120.005, 29.999], [120.005, 30.02], [119.995, 30.02], [119.995, 29.999]]

    def zones(*polygons: list[list[list[float]]]) -> Permit:
        features = [
            {"type": "Feature", "id": f"z{i}", "properties": {}, "geometry": {"type": "Polygon", "coordinates": polygon}}
            for i, polygon in enumerate(polygons)
        ]
        return Permit.parse(DOCUMENT | {"zones": {"type": "FeatureCollection", "features": features}})

    assert judged("R01", drive(), permit=zones([around, hole])) == [("VIOLATION", "outside-permitted-zones")]
    assert judged("R01", drive(), permit=zones([around, hole], [over])) == [("COMPLIANT", "inside-permitted-zones")]


def test_r01_swapped_coordinates_are_named_not_judged() -> None:
    swapped = drive(lat_e7=1_200_000_000, lon_e7=300_000_000)
    assert judged("R01", swapped) == [("UNKNOWN", "position-swapped")]


NORTHERN_BORDER_M = 0.01 / DEG_PER_M_NORTH


@settings(max_examples=80, deadline=None)
@given(inside_m=st.floats(0.0, 40.0), sigma=st.floats(0.1, 20.0), z=st.floats(-6.0, 6.0))
def test_a_vehicle_inside_is_called_outside_only_where_its_error_is_beyond_two_sigma(inside_m: float, sigma: float, z: float) -> None:
    measured_m = NORTHERN_BORDER_M - inside_m + z * sigma
    beyond = measured_m - NORTHERN_BORDER_M - K_SIGMA * sigma
    assume(abs(beyond) > 0.05)  # positions are told in steps of about a centimetre
    results = {result for result, _ in judged("R01", drive(north_m=measured_m, pos_sigma_m=sigma))}
    assert (Result.VIOLATION in results) == (beyond > 0.0)
    assert Result.VIOLATION not in results or z > K_SIGMA


def test_of_vehicles_on_the_border_with_constant_normal_errors_some_two_in_a_hundred_are_wrongly_called_outside() -> None:
    # What two sigma leave over, one-sided: 1 - Phi(2) = 2.3 %. At one sigma inside it is 0.13 %.
    errors = np.random.default_rng(20260101).normal(0.0, 3.0, (2, 1500))
    wrong = []
    for inside_m, drawn in zip((0.0, 3.0), errors, strict=True):
        drives = [
            drive(n=12, pid=f"v{number}", north_m=NORTHERN_BORDER_M - inside_m + error, pos_sigma_m=3.0)
            for number, error in enumerate(drawn)
        ]
        found = evaluate(pa.concat_tables(drives), permit=PERMIT, context=CONTEXT, rules=[RULES[0]])
        wrong.append(found.column("result").to_pylist().count(Result.VIOLATION) / len(drives))
    assert wrong[0] == pytest.approx(0.0228, abs=0.012)
    assert wrong[1] <= 0.005


def test_r02_window() -> None:
    late = T0 + 3_600_000  # 11:00, when the window closes
    assert judged("R02", drive()) == [("COMPLIANT", "in-window")]
    assert judged("R02", drive(begin=late)) == [("UNKNOWN", "clock-error-across-border"), ("VIOLATION", "outside-time-window")]
    assert judged("R02", drive(begin=late, clock_err_ms=0.0)) == [("VIOLATION", "outside-time-window")]
    assert judged("R02", drive(begin=T0 + 365 * 86_400_000)) == [("VIOLATION", "permit-not-valid-then")]
    assert judged("R02", drive(begin=late, control_mode="manual", trip_pid=None)) == [("COMPLIANT", "not-operating")]


@pytest.mark.parametrize(
    ("vehicle_type", "pid", "sw", "expected"),
    [
        ("TYPE-1", "v1", "1.10", ("COMPLIANT", "vehicle-permitted")),
        ("TYPE-9", "v1", "1.4", ("VIOLATION", "vehicle-type-not-permitted")),
        (None, "v1", "1.4", ("UNKNOWN", "vehicle-type-not-registered")),
        ("TYPE-1", "v8", "1.4", ("VIOLATION", "vehicle-not-in-permit")),
        ("TYPE-1", "v1", "1.11", ("VIOLATION", "software-not-permitted")),
        ("TYPE-1", "v1", None, ("UNKNOWN", "software-version-missing")),
        ("TYPE-1", "v1", "nightly", ("UNKNOWN", "software-version-unreadable")),
    ],
)
def test_r03_vehicle_and_software(vehicle_type: str | None, pid: str, sw: str | None, expected: tuple[str, str]) -> None:
    vehicles = pa.table({"veh_pid": [pid], "vehicle_type": pa.array([vehicle_type], pa.string()), "operator": ["fleet-a"]})
    assert judged("R03", drive(pid=pid, sw_version=sw), vehicles=vehicles) == [expected]


def test_r03_a_vehicle_without_a_register_row_is_unknown() -> None:
    assert judged("R03", drive(pid="v7")) == [("UNKNOWN", "vehicle-type-not-registered")]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("fleet-a", ("COMPLIANT", "operator-permitted")),
        ("fleet-b", ("VIOLATION", "operator-not-permitted")),
        (None, ("UNKNOWN", "operator-not-registered")),
    ],
)
def test_r04_operator(operator: str | None, expected: tuple[str, str]) -> None:
    vehicles = pa.table({"veh_pid": ["v1"], "vehicle_type": ["TYPE-1"], "operator": pa.array([operator], pa.string())})
    assert judged("R04", drive(), vehicles=vehicles) == [expected]


def test_r05_speed() -> None:
    kph = 1 / 3.6
    assert judged("R05", drive(speed_mps=60 * kph)) == [("COMPLIANT", "within-the-cap")]
    assert judged("R05", drive(speed_mps=61 * kph)) == [("VIOLATION", "over-the-cap")]
    assert judged("R05", drive(speed_mps=35 * kph, north_m=100.0)) == [("VIOLATION", "over-the-cap")]
    assert judged("R05", drive(speed_mps=35 * kph, north_m=15.0)) == [("UNKNOWN", "cap-depends-on-position")]
    assert judged("R05", drive(speed_mps=61 * kph, north_m=15.0)) == [("VIOLATION", "over-the-cap")]
    assert judged("R05", drive(speed_mps=[10.0] * 20 + [30.0] + [10.0] * 29))[1] == ("UNKNOWN", "over-too-briefly")
    assert judged("R05", drive(speed_mps=-1.0)) == [("UNKNOWN", "speed-missing")]
    assert judged("R05", drive(speed_mps=100 * kph, control_mode="manual")) == [("COMPLIANT", "driven-manually")]


def test_r05_where_roads_overlap_the_lowest_cap_applies() -> None:
    slow = DOCUMENT["speed"]["roads"][0] | {"id": "r2", "name": "Works", "max_kph": 40}
    permit = Permit.parse(DOCUMENT | {"speed": {"default_kph": 30, "roads": [*DOCUMENT["speed"]["roads"], slow]}})
    assert judged("R05", drive(speed_mps=50 / 3.6), permit=permit) == [("VIOLATION", "over-the-cap")]


def test_r06_weather() -> None:
    def weather(rain: float | None, *, age_ms: int = 60_000) -> pa.Table:
        return pa.table({"t_ms": [T0 - age_ms], "rain_mm_h": pa.array([rain], pa.float64()), "wind_mps": [3.0], "visibility_m": [5000.0]})

    assert judged("R06", drive(), weather=weather(2.5)) == [("COMPLIANT", "within-odd")]
    assert judged("R06", drive(), weather=weather(2.6)) == [("VIOLATION", "rain-beyond-odd")]
    assert judged("R06", drive(), weather=weather(None)) == [("UNKNOWN", "rain-record-missing")]
    assert judged("R06", drive(), weather=weather(0.0, age_ms=16 * 60_000)) == [("UNKNOWN", "rain-record-missing")]
    fog = pa.table({"t_ms": [T0 - 1], "rain_mm_h": [0.0], "wind_mps": [3.0], "visibility_m": [150.0]})
    assert judged("R06", drive(), weather=fog) == [("VIOLATION", "visibility-beyond-odd")]


def test_r07_an_officer_on_board() -> None:
    left = register(veh_pid=["v1"], begin_ms=[T0], end_ms=[T0 + 2500], officer_id=["o"], mode=["onboard"])
    assert judged("R07", drive()) == [("COMPLIANT", "officer-on-board")]
    assert judged("R07", drive(), officers=left) == [("COMPLIANT", "officer-on-board"), ("VIOLATION", "no-officer-on-board")]
    assert judged("R07", drive(), officers=None) == [("UNKNOWN", "officer-roster-not-supplied")]


def test_r07_one_remote_officer_for_three_vehicles_also_at_shift_change() -> None:
    permit = Permit.parse(DOCUMENT | {"officer": {"mode": "remote", "vehicles_per_officer": 3}})
    change = T0 + 2500

    def roster(overlap_ms: int) -> pa.Table:
        """The day officer hands v1 to v3 over; the night officer already has v4 and lets it go ``overlap_ms`` after the hand-over."""
        entries = [("day", f"v{i}", T0 - 1000, change) for i in (1, 2, 3)] + [("night", f"v{i}", change, T0 + 10**6) for i in (1, 2, 3)]
        entries.append(("night", "v4", T0 - 1000, change + overlap_ms))
        officer, pid, begin, end = zip(*entries, strict=True)
        return pa.table({"officer_id": officer, "mode": ["remote"] * 7, "veh_pid": pid, "begin_ms": begin, "end_ms": end})

    fine, over = ("COMPLIANT", "remote-officer-within-ratio"), ("VIOLATION", "remote-officer-over-ratio")
    assert judged("R07", drive(), permit=permit, officers=roster(0)) == [fine]
    assert judged("R07", drive(), permit=permit, officers=roster(1000)) == [fine, over, fine]
    assert judged("R07", drive(pid="v9"), permit=permit, officers=roster(0)) == [("VIOLATION", "no-remote-officer")]


def test_r08_control_mode() -> None:
    assert judged("R08", drive()) == [("COMPLIANT", "mode-permitted-here")]
    assert judged("R08", drive(north_m=2000.0)) == [("VIOLATION", "automated-outside-permitted-zones")]
    assert judged("R08", drive(north_m=2000.0, control_mode="manual")) == [("COMPLIANT", "driven-manually")]
    assert judged("R08", drive(control_mode="remote")) == [("VIOLATION", "control-mode-not-permitted")]
    assert judged("R08", drive(north_m=1110.0, pos_sigma_m=5.0)) == [("UNKNOWN", "position-across-border")]
    assert judged("R08", drive(control_mode="autopilot")) == [("UNKNOWN", "control-mode-missing")]


def test_r09_liveness_and_items() -> None:
    gap = pa.concat_tables([drive(n=10), drive(n=10, begin=T0 + 5000)])
    found = evaluate(gap, permit=PERMIT, context=CONTEXT, rules=[RULES[8]]).to_pylist()
    assert [(row["reason"], row["begin_ms"] - T0, row["end_ms"] - T0) for row in found] == [
        ("telemetry-complete", 0, 900),
        ("telemetry-gap", 900, 5000),
        ("telemetry-complete", 5100, 5900),
    ]
    assert judged("R09", drive(heading_deg=None)) == [("VIOLATION", "item-empty:motion")]
    permit = Permit.parse(DOCUMENT | {"telemetry": {"max_gap_s": 2, "items": ["identity", "lights_signals"]}})
    assert judged("R09", drive(), permit=permit) == [("UNKNOWN", "item-not-supplied:lights_signals")]
    faults = Permit.parse(DOCUMENT | {"telemetry": {"max_gap_s": 2, "items": ["faults"]}})
    assert judged("R09", drive(fault_codes=None), permit=faults) == [("COMPLIANT", "telemetry-complete")]


def test_r10_fleet_cap() -> None:
    fleet = pa.concat_tables([drive(pid="v1"), drive(pid="v2", begin=T0 + 1000), drive(pid="v3", begin=T0 + 2000)])
    found = evaluate(fleet, permit=PERMIT, context=CONTEXT, rules=[RULES[9]]).to_pylist()
    assert [(row["veh_pid"], row["result"], row["begin_ms"] - T0, row["end_ms"] - T0) for row in found] == [
        ("v1", "COMPLIANT", 0, 4900),
        ("v2", "COMPLIANT", 1000, 5900),
        ("v3", "VIOLATION", 2000, 4900),
        ("v3", "COMPLIANT", 5000, 6900),
    ]
    assert judged("R10", drive(control_mode=None, trip_pid=None)) == [("UNKNOWN", "control-mode-missing")]


def closed(from_ms: int, to_ms: int | None = None) -> tuple[Directive, ...]:
    return (Directive("d1", shapely.box(119.999, 29.9985, 120.001, 30.0005), from_ms, to_ms),)


def test_r11_entry_is_forbidden_at_once() -> None:
    entering = [100.0] * 20 + [0.0] * 30  # the area ends some 55 m to the north
    assert judged("R11", drive(north_m=entering), directives=closed(T0)) == [
        ("COMPLIANT", "directives-kept"),
        ("VIOLATION", "entered-under-directive"),
    ]
    assert judged("R11", drive(north_m=entering), directives=closed(T0 + 10**6)) == [("COMPLIANT", "no-directive-in-force")]
    assert judged("R11", drive(north_m=entering), directives=closed(T0 - 2, T0)) == [("COMPLIANT", "no-directive-in-force")]


def test_r11_a_vehicle_inside_has_120_seconds_to_leave() -> None:
    inside = drive(n=140, step_ms=1000)
    found = evaluate(inside, permit=PERMIT, context=replace(CONTEXT, directives=closed(T0 + 1)), rules=[RULES[10]]).to_pylist()
    assert [(row["reason"], row["begin_ms"] - T0) for row in found] == [
        ("no-directive-in-force", 0),
        ("directives-kept", 1000),
        ("inside-after-120-s", 121_000),
    ]


def test_r11_what_was_not_seen_is_unknown() -> None:
    assert judged("R11", drive(), directives=closed(T0 - 1000)) == [("UNKNOWN", "entry-time-not-seen")]
    assert judged("R11", drive(north_m=56.0, pos_sigma_m=5.0), directives=closed(T0)) == [("UNKNOWN", "position-across-border")]


def test_r12_insurance() -> None:
    assert judged("R12", drive()) == [("COMPLIANT", "insured")]
    assert judged("R12", drive(), insurance=spans(cover_fen=499_999_999)) == [("VIOLATION", "cover-below-minimum")]
    assert judged("R12", drive(), insurance=spans("v2", cover_fen=500_000_000)) == [("VIOLATION", "not-insured")]
    assert judged("R12", drive(), insurance=None) == [("UNKNOWN", "insurance-register-not-supplied")]


def test_r13_dangerous_goods() -> None:
    assert judged("R13", drive()) == [("COMPLIANT", "no-dangerous-goods")]
    assert judged("R13", drive(), cargo=spans(dangerous=True)) == [("VIOLATION", "dangerous-goods")]
    nothing_said = spans(dangerous=None).set_column(3, "dangerous", pa.array([None], pa.bool_()))
    assert judged("R13", drive(), cargo=nothing_said) == [("UNKNOWN", "cargo-kind-missing")]
    assert judged("R13", drive(), cargo=spans("v2", dangerous=False)) == [("UNKNOWN", "cargo-not-declared")]


def test_r14_stops() -> None:
    stopping = spans()
    assert judged("R14", drive(), stop_events=stopping) == [("COMPLIANT", "at-a-permitted-stop")]
    assert judged("R14", drive(north_m=200.0), stop_events=stopping) == [("VIOLATION", "stopping-elsewhere")]
    assert judged("R14", drive(north_m=31.0, pos_sigma_m=3.0), stop_events=stopping) == [("UNKNOWN", "position-across-border")]
    assert judged("R14", drive(north_m=200.0)) == [("COMPLIANT", "not-stopping")]


def test_r15_immobilised() -> None:
    standing = drive(n=70, step_ms=1000, speed_mps=0.0)
    assert judged("R15", standing) == [("COMPLIANT", "not-immobilised"), ("VIOLATION", "immobilised")]
    assert judged("R15", standing, stop_events=spans()) == [("COMPLIANT", "not-immobilised")]
    assert judged("R15", standing, stop_events=None)[1] == ("UNKNOWN", "stop-record-not-supplied")
    gap = pa.concat_tables([drive(n=40, step_ms=1000, speed_mps=0.0), drive(n=40, step_ms=1000, speed_mps=0.0, begin=T0 + 50_000)])
    assert judged("R15", gap)[-1] == ("UNKNOWN", "standing-across-a-gap")


def admission(name: str) -> Permit:
    return Permit.parse(json.loads((PERMITS / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "type_code", "entity", "kph", "lat", "lon"),
    [
        ("changan_chongqing", "SC7000AAARBEV", "重庆长安车联", 50, 29.5, 106.54),
        ("arcfox_beijing", "BJ7001A61NBEV", "北京出行汽车服务", 80, 40.1, 116.525),
    ],
)
def test_the_published_l3_admissions_catch_the_wrong_road_one_km_h_too_many_and_the_wrong_entity(
    name: str, type_code: str, entity: str, kph: int, lat: float, lon: float
) -> None:
    permit = admission(name)

    def found(*, cap: int = kph, operator: str = entity, north_deg: float = 0.0, vehicle_type: str = type_code) -> set[str]:
        vehicles = register(veh_pid=["v1"], vehicle_type=[vehicle_type], operator=[operator])
        at = {"lat_e7": round((lat + north_deg) * 1e7), "lon_e7": round(lon * 1e7)}
        table = drive(speed_mps=cap / 3.6, sw_version="1.5", **at)
        episodes = evaluate(table, permit=permit, context=replace(CONTEXT, vehicles=vehicles)).to_pylist()
        return {row["reason"] for row in episodes if row["result"] != "COMPLIANT"}

    assert found() == set()
    assert found(cap=kph + 1) == {"over-the-cap"}
    assert found(operator="another entity") == {"operator-not-permitted"}
    assert found(vehicle_type="ANOTHER") == {"vehicle-type-not-permitted"}
    assert found(north_deg=0.01) == {"outside-permitted-zones", "automated-outside-permitted-zones"}


def test_every_tick_is_in_exactly_one_episode_of_each_rule_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    fleet = pa.concat_tables(
        [drive(pid=pid, n=80, north_m=rng.uniform(-1500, 1500, 80), speed_mps=rng.uniform(0, 25, 80)) for pid in ("v1", "v2", "v3")]
    )
    found = evaluate(fleet, permit=PERMIT, context=CONTEXT)
    ticks = found.group_by("rule").aggregate([("n_ticks", "sum")])
    assert set(ticks.column("n_ticks_sum").to_pylist()) == {240}
    shuffled = fleet.take(pa.array(rng.permutation(len(fleet))))
    assert evaluate(shuffled, permit=PERMIT, context=CONTEXT).equals(found)


def test_an_empty_table_has_no_episodes() -> None:
    assert len(evaluate(drive().slice(0, 0), permit=PERMIT, context=CONTEXT)) == 0


def test_telemetry_that_cannot_be_read_is_refused_by_row_and_column() -> None:
    def message(table: pa.Table) -> str:
        with pytest.raises(Invalid) as left:
            evaluate(table, permit=PERMIT, context=CONTEXT)
        return left.value.message

    assert message(drive().drop_columns(["t_ms"])) == "telemetry: expected a column t_ms, got a table without it"
    seconds = drive(t_ms=T0 // 1000)
    assert message(seconds).startswith("telemetry, row 0, column t_ms: expected UTC milliseconds since 1970")
    shifted = drive().replace_schema_metadata({"crs": "GCJ-02"})
    assert message(shifted).startswith("telemetry: expected positions in WGS84 or CGCS2000")
    worded = drive().set_column(2, "lat_e7", pa.array(["north"] * 50))
    assert message(worded) == "telemetry, column lat_e7: expected numbers, got string"
    nameless = drive(n=2).set_column(0, "veh_pid", pa.array(["v1", None]))
    assert message(nameless) == "telemetry, row 1, column veh_pid: expected a value, got null"


def test_a_record_that_cannot_be_read_is_refused_by_row_and_column() -> None:
    def message(**context: pa.Table) -> str:
        with pytest.raises(Invalid) as left:
            PilotContext(**context)
        return left.value.message

    assert message(weather=pa.table({"t_ms": [1]})).endswith("got a table without rain_mm_h, wind_mps, visibility_m")
    back = pa.table({"veh_pid": ["a", "b"], "begin_ms": [1, 5], "end_ms": [2, 4]})
    assert message(stop_events=back) == "table stop_events, row 1, column end_ms: expected a time not before begin_ms, got an earlier one"
    whom = pa.table({"officer_id": ["o"], "mode": ["sleeping"], "veh_pid": ["v"], "begin_ms": [1], "end_ms": [2]})
    assert message(officers=whom).startswith("table officers, column mode: expected onboard or remote")
