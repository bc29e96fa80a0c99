"""A permit document is read exactly, or refused with the path, what was expected and what kind of thing came."""

import copy
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.methods.pilot.directive import Directive
from chengshu.methods.pilot.permit import Permit, sw_version
from chengshu.methods.pilot.windows import Window, intervals, within

PERMITS = Path(__file__).parents[2] / "data" / "permits"


def published(name: str = "changan_chongqing") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PERMITS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def refused(document: object) -> Invalid:
    with pytest.raises(Invalid) as left:
        Permit.parse(document)
    return left.value


def ring(document: dict[str, Any]) -> list[list[float]]:
    found: list[list[float]] = document["zones"]["features"][0]["geometry"]["coordinates"][0]
    return found


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def open_at(document: dict[str, Any], *moments: str) -> list[bool]:
    permit = Permit.parse(document)
    times = np.array([ms(moment) for moment in moments])
    rows = intervals(permit.windows, permit.holidays, from_ms=int(times.min()), to_ms=int(times.max()))
    return [bool(flag) for flag in within(times, rows)]


def test_the_published_l3_admissions_are_read() -> None:
    changan, arcfox = Permit.parse(published()), Permit.parse(published("arcfox_beijing"))
    assert (changan.vehicles[0].type_code, changan.operators, changan.default_kph) == ("SC7000AAARBEV", ("重庆长安车联",), 50.0)
    assert [road.name for road in changan.roads] == ["内环快速路", "新内环快速路（高滩岩立交—赖家桥立交）", "渝都大道"]
    assert (arcfox.vehicles[0].type_code, arcfox.operators, arcfox.default_kph) == ("BJ7001A61NBEV", ("北京出行汽车服务",), 80.0)
    assert [road.name for road in arcfox.roads] == ["京台高速", "机场北线高速", "大兴机场高速"]
    assert (changan.notes, arcfox.notes) == ((), ())


def test_a_clockwise_ring_is_turned_round_and_noted_not_refused() -> None:
    document = published()
    before = Permit.parse(document)
    ring(document).reverse()
    after = Permit.parse(document)
    assert [path for path, _ in after.notes] == ["$.zones.features[0].geometry.coordinates[0]"]
    assert after.zones[0].shape.equals(before.zones[0].shape)
    assert after.zones[0].shape.exterior.is_ccw


def test_a_self_intersecting_polygon_is_refused() -> None:
    document = published()
    document["zones"]["features"][0]["geometry"]["coordinates"] = [
        [[106.4, 29.5], [106.5, 29.6], [106.5, 29.5], [106.4, 29.6], [106.4, 29.5]]
    ]
    error = refused(document)
    assert error.code == "permit.invalid-polygon"
    assert error.message == (
        "$.zones.features[0].geometry.coordinates: expected rings that neither cross nor overlap, got self-intersection"
    )


def test_an_unclosed_polygon_is_refused() -> None:
    document = published()
    ring(document).pop()
    assert refused(document).code == "permit.open-ring"


def test_swapped_latitude_and_longitude_are_suspected_by_name() -> None:
    document = published()
    ring(document)[:] = [[lat, lon] for lon, lat in ring(document)]
    error = refused(document)
    assert error.code == "permit.swapped"
    assert error.message == (
        "$.zones.features[0].geometry.coordinates[0][0]: expected longitude, then latitude, "
        "got latitude first (swapped, it lies in the bbox)"
    )


def test_a_position_outside_the_declared_box_is_refused() -> None:
    document = published()
    ring(document)[1][0] = 100.0
    assert refused(document).code == "permit.out-of-bbox"
    ring(document)[1][0] = 500.0
    assert refused(document).message.endswith("got numbers that are no longitude and latitude")


@pytest.mark.parametrize("datum", ["GCJ-02", "gcj02", "BD-09", "bd_09"])
def test_offset_datums_are_refused(datum: str) -> None:
    document = published() | {"crs": datum}
    error = refused(document)
    assert error.code == "permit.wrong-datum"
    assert error.message.endswith("-02, an offset datum") or error.message.endswith("-09, an offset datum")


def test_cgcs2000_is_taken_and_an_undeclared_datum_is_not() -> None:
    assert Permit.parse(published() | {"crs": "CGCS2000"}).permit_id == "l3-changan-sc7000aaarbev"
    document = published()
    del document["crs"]
    assert refused(document).message == "$.crs: expected the key to be there, got nothing"


def test_a_window_that_ends_before_it_starts_is_refused_unless_it_says_that_it_crosses_midnight() -> None:
    document = published()
    document["windows"][0] |= {"start": "22:00", "end": "06:00"}
    error = refused(document)
    assert (error.code, error.facts) == ("permit.window-reversed", {"path": "$.windows[0].end"})
    document["windows"][0]["crosses_midnight"] = True
    assert Permit.parse(document).windows[0].end_min == 30 * 60
    document["windows"][0] |= {"start": "06:00", "end": "22:00"}
    assert refused(document).facts == {"path": "$.windows[0].crosses_midnight"}


def test_a_window_of_no_length_and_a_time_zone_that_does_not_exist_are_refused() -> None:
    document = published()
    document["windows"][0] |= {"start": "06:00", "end": "06:00"}
    assert refused(document).facts == {"path": "$.windows[0].end"}
    document["windows"][0] |= {"end": "07:00", "tz": "Asia/Chongqin"}
    assert refused(document).message == "$.windows[0].tz: expected a time zone of the IANA database, got a name it does not have"


def test_unknown_keys_are_named_wherever_they_are() -> None:
    assert refused(published() | {"speed_limit": 50}).message.endswith("got the unknown key speed_limit")
    document = published()
    document["odd"]["snow_mm_h"] = 1
    assert refused(document).message == "$.odd: expected only the keys rain_mm_h, visibility_m, wind_mps, got the unknown key snow_mm_h"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"version": 0}, "$.version"),
        ({"version": True}, "$.version"),
        ({"operators": []}, "$.operators"),
        ({"control_modes": ["auto", "autopilot"]}, "$.control_modes[1]"),
        ({"fleet_cap": 1.5}, "$.fleet_cap"),
        ({"immobilised_s": float("nan")}, "$.immobilised_s"),
        ({"insurance": {"min_fen": 5e8}}, "$.insurance.min_fen"),
        ({"officer": {"mode": "remote", "vehicles_per_officer": 4}}, "$.officer.vehicles_per_officer"),
        ({"holidays": ["2026-1-1"]}, "$.holidays[0]"),
        ({"valid": {"from": "2026-01-01T00:00:00", "to": "2027-01-01T00:00:00Z"}}, "$.valid.from"),
        ({"valid": {"from": "2027-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}, "$.valid.to"),
        ({"bbox": [29.4, 106.3, 29.7, 106.7]}, "$.bbox"),
        ({"telemetry": {"max_gap_s": 3, "items": ["mood"]}}, "$.telemetry.items[0]"),
        ({"vehicles": [{"type": "X", "pids": "any", "sw": {"min": "2.0", "max": "1.9"}}]}, "$.vehicles[0].sw.max"),
    ],
)
def test_each_fault_is_refused_at_its_path(change: dict[str, Any], path: str) -> None:
    assert refused(published() | change).facts == {"path": path}


def test_something_that_is_not_a_document_is_refused() -> None:
    assert refused([]).message == "$: expected an object, got a list"


def test_a_repeated_zone_id_is_refused() -> None:
    document = published()
    document["zones"]["features"].append(copy.deepcopy(document["zones"]["features"][0]))
    assert refused(document).facts == {"path": "$.zones.features[3].id"}


def test_a_window_that_crosses_midnight_covers_both_sides_and_belongs_to_the_day_it_starts() -> None:
    document = published()  # 2026-03-06 is a Friday
    document["windows"] = [
        {"days": ["fri"], "start": "22:00", "end": "06:00", "tz": "Asia/Shanghai", "holidays": "include", "crosses_midnight": True}
    ]
    moments = ["2026-03-06T21:59:59+08:00", "2026-03-06T22:00:00+08:00", "2026-03-07T05:59:59+08:00", "2026-03-07T06:00:00+08:00"]
    assert open_at(document, *moments, "2026-03-06T05:00:00+08:00", "2026-03-07T23:00:00+08:00") == [False, True, True, False, False, False]


@pytest.mark.parametrize(("holidays", "expected"), [("include", [True, True]), ("exclude", [False, True]), ("only", [True, False])])
def test_holidays_are_included_excluded_or_the_only_days(holidays: str, expected: list[bool]) -> None:
    document = published()
    document["windows"][0]["holidays"] = holidays
    assert date(2026, 10, 1).isoformat() in document["holidays"]
    assert open_at(document, "2026-10-01T12:00:00+08:00", "2026-10-09T12:00:00+08:00") == expected


def test_a_wall_clock_window_follows_summer_time_where_there_is_one() -> None:
    document = published()
    document["windows"] = [{"days": ["sun"], "start": "06:00", "end": "07:00", "tz": "Europe/Berlin", "holidays": "include"}]
    assert open_at(document, "2026-03-22T05:30:00Z", "2026-03-29T05:30:00Z", "2026-03-29T04:30:00Z") == [True, False, True]


@given(
    minute=st.integers(0, 3 * 7 * 24 * 60),
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
    days=st.sets(st.integers(0, 6), min_size=1),
    off=st.sets(st.integers(0, 20)),
    holidays=st.sampled_from(["include", "exclude", "only"]),
    tz=st.sampled_from(["Asia/Shanghai", "America/Bogota", "Pacific/Kiritimati"]),  # no summer time: a day has 24 hours
)
@example(minute=3 * 1440 + 20 * 60, start=23 * 60, length=22 * 60, days={2}, off=set(), holidays="include", tz="America/Bogota")
@example(minute=3 * 1440 + 20 * 60, start=19 * 60, length=2 * 60, days={3}, off=set(), holidays="include", tz="America/Bogota")
def test_windows_say_what_the_wall_clock_says(
    minute: int, start: int, length: int, days: set[int], off: set[int], holidays: str, tz: str
) -> None:
    first = datetime(2026, 3, 2, tzinfo=ZoneInfo(tz))
    calendar = {(first + timedelta(days=day)).date().isoformat() for day in off}
    window = Window(tuple(sorted(days)), start, start + length, tz, holidays)  # type: ignore[arg-type] # a Literal, drawn
    moment = first + timedelta(minutes=minute)

    def opened(day: datetime) -> bool:
        into = (moment - day) // timedelta(minutes=1)
        counts = {"include": True, "exclude": day.date().isoformat() not in calendar, "only": day.date().isoformat() in calendar}
        return day.weekday() in days and counts[holidays] and start <= into < start + length

    midnight = moment.replace(hour=0, minute=0)
    at = round(moment.timestamp() * 1000)
    rows = intervals([window], calendar, from_ms=at, to_ms=at)
    assert within(np.array([at]), rows)[0] == (opened(midnight) or opened(midnight - timedelta(days=1)))


def test_software_versions_compare_as_numbers() -> None:
    assert sw_version("1.10") > sw_version("1.9")  # type: ignore[operator] # both are versions, which the types cannot know
    assert sw_version("2.0.0") == sw_version("2")
    assert sw_version("v2-beta") is None


def test_a_directive_is_read_and_one_that_ends_before_it_begins_is_refused() -> None:
    document = {
        "id": "d1",
        "crs": "WGS84",
        "bbox": [106.3, 29.4, 106.7, 29.7],
        "area": {"type": "Polygon", "coordinates": [[[106.4, 29.5], [106.5, 29.5], [106.5, 29.6], [106.4, 29.5]]]},
        "from": "2026-03-06T08:00:00Z",
        "reason": "flooded road",
    }
    parsed = Directive.parse(document)
    assert (parsed.from_ms, parsed.to_ms) == (round(datetime(2026, 3, 6, 8, tzinfo=UTC).timestamp() * 1000), None)
    with pytest.raises(Invalid) as left:
        Directive.parse(document | {"to": "2026-03-06T07:00:00Z"})
    assert left.value.facts == {"path": "$.to"}
