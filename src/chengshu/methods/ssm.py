"""Reads what SUMO's SSM device logged and cleans it into a table of conflicts that a detector can be graded against.

The device (Surrogate Safety Measures, SUMO 1.28; source: MSDevice_SSM) writes one ``conflict`` element for each ego and foe and the
time they stay near each other, with the least time to collision (TTC, seconds), the greatest deceleration to avoid a crash
(DRAC, m/s²) and the post-encroachment time (PET, seconds), each with the kind of encounter it was measured in.
"""

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import pyarrow as pa

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

TRUTH = pa.schema(
    [
        ("ego", pa.int32()),
        ("foe", pa.int32()),
        ("encounter", pa.string()),
        ("begin_ms", pa.int32()),
        ("end_ms", pa.int32()),
        ("min_ttc_s", pa.float64()),
        ("min_ttc_ms", pa.int32()),
        ("max_drac_mps2", pa.float64()),
        ("max_drac_ms", pa.int32()),
        ("pet_s", pa.float64()),
        ("pet_ms", pa.int32()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
    ]
)

_COLLISION = 111
_ENCOUNTER = {2: "following", 3: "following", 5: "merging", 6: "merging", 7: "merging"} | dict.fromkeys(range(9, 18), "crossing")
"""Encounter codes of the device: 2/3 following, 5–7 merging, 9–17 crossing; the others (adjacent, passed, oncoming) carry no measure."""
_EGO_FOLLOWS = {2, 7, 11, 13}
_EGO_LEADS = {3, 6, 10, 12}
_SENTINEL = 1e300


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the cleaning left out or put together, in numbers; goes into the record beside the table."""

    sentinel: int
    """Measures of ±1.797e308, which is how the device writes "none" when it forgets to."""
    collision_class: int
    """Measures of code 111: the device calls it a collision when both are inside its widened conflict area, and writes 0.00."""
    other_class: int
    """Measures taken in a kind of encounter that is none of the three."""
    outside_time: int
    """Measures taken before the recording begins or after it ends."""
    harmless: int
    """Conflicts of which no measure past its threshold was left."""
    unknown_vehicle: int
    """Elements of which a vehicle is not in the recording."""
    merged: int
    """Conflicts put together with another of the same pair: each is logged by both vehicles."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The conflicts (``table``, columns as in ``TRUTH``) and the account of what was dropped."""

    table: pa.Table
    dropped: Dropped


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a measure makes a conflict: TTC and PET at most, DRAC at least (the device's own defaults)."""

    ttc_s: float = 3.0
    drac_mps2: float = 3.0
    pet_s: float = 2.0


@dataclass(frozen=True, slots=True)
class _Measure:
    value: float
    ms: int
    code: int
    x_m: float
    y_m: float


@dataclass(frozen=True, slots=True)
class _Conflict:
    ego: int
    foe: int
    encounter: str
    begin_ms: int
    end_ms: int
    ttc: _Measure | None
    drac: _Measure | None
    pet: _Measure | None


_DEFAULTS = Thresholds()


def read_ssm(
    content: bytes,
    *,
    numbers: Mapping[str, int],
    start_ms: int,
    duration_ms: int,
    thresholds: Thresholds = _DEFAULTS,
) -> Truth:
    """Return the conflicts of an SSM log, one row for each unordered pair, kind of encounter and episode.

    ``numbers`` gives the recording's number of each vehicle; times become milliseconds since ``start_ms`` of the simulation. Steps:

    1. A measure that says NA, or holds the sentinel ±1.797e308, is none.
    2. A measure of code 111 (the device's "collision": TTC and PET of 0.00) is none: the vehicles did not touch.
    3. A measure taken outside the recording's time is none, a conflict whose vehicle is not in the recording is left out.
    4. Codes become following (2, 3), merging (5–7) and crossing (9–17). An element whose measures were taken in different kinds of
       encounter becomes one conflict for each kind, so that no value stands under a kind it was not measured in.
    5. A conflict none of whose measures is past its threshold any more is left out.
    6. Conflicts of one pair and kind that overlap in time become one (each is logged from both sides): least TTC and PET, greatest DRAC.
    7. ``ego`` is the follower, or the second to arrive where the device says who that is (codes 2, 7, 11, 13 against 3, 6, 10, 12, of
       the TTC first, else of the DRAC); else the lower number. (x, y) is the place of the TTC, else of the DRAC, else of the PET.

    Raises Invalid where the log is not one of the SSM device.
    """
    count: Counter[str] = Counter()
    found: list[_Conflict] = []
    for element in _elements(content):
        ego, foe = numbers.get(element.get("ego", "")), numbers.get(element.get("foe", ""))
        if ego is None or foe is None:
            count["unknown_vehicle"] += 1
            continue
        for conflict in _by_encounter(element, ego, foe, start_ms=start_ms, duration_ms=duration_ms, count=count):
            if _is_conflict(conflict, thresholds):
                found.append(conflict)
            else:
                count["harmless"] += 1
    merged = list(_merged(found))
    count["merged"] = len(found) - len(merged)
    dropped = Dropped(**{field.name: count[field.name] for field in fields(Dropped)})
    return Truth(_table(merged), dropped)


def _elements(content: bytes) -> Iterator[ET.Element]:
    try:
        root = ET.fromstring(content)  # noqa: S314 — a log that the recorder's own simulation wrote a moment ago
    except ET.ParseError as error:
        raise _not_a_log("text that is not XML") from error
    if root.tag != "SSMLog":
        raise _not_a_log("another root element")
    return root.iter("conflict")


def _by_encounter(element: ET.Element, ego: int, foe: int, *, start_ms: int, duration_ms: int, count: Counter[str]) -> Iterator[_Conflict]:
    begin = _milliseconds(element, "begin") - start_ms
    end = _milliseconds(element, "end") - start_ms
    measures = {
        name: _measure(element.find(tag), start_ms=start_ms, duration_ms=duration_ms, count=count)
        for name, tag in (("ttc", "minTTC"), ("drac", "maxDRAC"), ("pet", "PET"))
    }
    for encounter in dict.fromkeys(_ENCOUNTER[measure.code] for measure in measures.values() if measure):
        own = {name: m if m and _ENCOUNTER[m.code] == encounter else None for name, m in measures.items()}
        first, second = _directed(ego, foe, own["ttc"] or own["drac"])
        yield _Conflict(first, second, encounter, max(begin, 0), min(end, duration_ms), own["ttc"], own["drac"], own["pet"])


def _measure(element: ET.Element | None, *, start_ms: int, duration_ms: int, count: Counter[str]) -> _Measure | None:
    if element is None or element.get("value") == "NA":
        return None
    value, code = _number(element, "value"), round(_number(element, "type"))
    if not math.isfinite(value) or abs(value) > _SENTINEL:
        reason = "sentinel"
    elif code == _COLLISION:
        reason = "collision_class"
    elif code not in _ENCOUNTER:
        reason = "other_class"
    elif not 0 <= (ms := _milliseconds(element, "time") - start_ms) <= duration_ms:
        reason = "outside_time"
    else:
        x, y = _place(element)
        return _Measure(value, ms, code, x, y)
    count[reason] += 1
    return None


def _directed(ego: int, foe: int, measure: _Measure | None) -> tuple[int, int]:
    code = measure.code if measure else 0
    if code in _EGO_FOLLOWS:
        return ego, foe
    if code in _EGO_LEADS:
        return foe, ego
    return min(ego, foe), max(ego, foe)


def _is_conflict(conflict: _Conflict, limits: Thresholds) -> bool:
    return bool(
        (conflict.ttc and conflict.ttc.value <= limits.ttc_s)
        or (conflict.drac and conflict.drac.value >= limits.drac_mps2)
        or (conflict.pet and conflict.pet.value <= limits.pet_s)
    )


def _merged(found: Iterable[_Conflict]) -> Iterator[_Conflict]:
    groups: dict[tuple[int, int, str], list[_Conflict]] = {}
    for conflict in found:
        key = (min(conflict.ego, conflict.foe), max(conflict.ego, conflict.foe), conflict.encounter)
        groups.setdefault(key, []).append(conflict)
    for group in groups.values():
        episodes: list[_Conflict] = []
        for conflict in sorted(group, key=lambda c: (c.begin_ms, c.end_ms, c.ego)):
            if episodes and conflict.begin_ms <= episodes[-1].end_ms:
                episodes[-1] = _together(episodes[-1], conflict)
            else:
                episodes.append(conflict)
        yield from episodes


def _together(a: _Conflict, b: _Conflict) -> _Conflict:
    ttc, pet = _extreme((a.ttc, b.ttc), sign=1.0), _extreme((a.pet, b.pet), sign=1.0)
    drac = _extreme((a.drac, b.drac), sign=-1.0)
    # Who follows is said by the side that logged the measure that counts.
    source = b if (ttc is not None and ttc is b.ttc) or (ttc is None and drac is not None and drac is b.drac) else a
    return replace(source, begin_ms=min(a.begin_ms, b.begin_ms), end_ms=max(a.end_ms, b.end_ms), ttc=ttc, drac=drac, pet=pet)


def _extreme(measures: tuple[_Measure | None, _Measure | None], *, sign: float) -> _Measure | None:
    present = [measure for measure in measures if measure]
    return min(present, key=lambda measure: sign * measure.value) if present else None


def _table(conflicts: list[_Conflict]) -> pa.Table:
    ordered = sorted(conflicts, key=lambda c: (c.begin_ms, c.ego, c.foe, c.encounter))
    places = [c.ttc or c.drac or c.pet for c in ordered]
    columns = {
        "ego": [c.ego for c in ordered],
        "foe": [c.foe for c in ordered],
        "encounter": [c.encounter for c in ordered],
        "begin_ms": [c.begin_ms for c in ordered],
        "end_ms": [c.end_ms for c in ordered],
        "min_ttc_s": [c.ttc.value if c.ttc else None for c in ordered],
        "min_ttc_ms": [c.ttc.ms if c.ttc else None for c in ordered],
        "max_drac_mps2": [c.drac.value if c.drac else None for c in ordered],
        "max_drac_ms": [c.drac.ms if c.drac else None for c in ordered],
        "pet_s": [c.pet.value if c.pet else None for c in ordered],
        "pet_ms": [c.pet.ms if c.pet else None for c in ordered],
        "x_m": [p.x_m if p else None for p in places],
        "y_m": [p.y_m if p else None for p in places],
    }
    return pa.table(columns, schema=TRUTH)


def _milliseconds(element: ET.Element, attribute: str) -> int:
    return round(_number(element, attribute) * 1000.0)


def _number(element: ET.Element, attribute: str) -> float:
    try:
        return float(element.get(attribute, ""))
    except ValueError as error:
        raise _not_a_log(f"another thing than a number as {attribute} of a {element.tag}") from error


def _place(element: ET.Element) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in element.get("position", "").split(",")[:2])
    except ValueError as error:
        raise _not_a_log(f"another thing than two numbers as position of a {element.tag}") from error
    return x, y


def _not_a_log(came: str) -> Invalid:
    return Invalid(
        "methods.ssm.unreadable",
        f"expected the log of SUMO's SSM device, got {came}",
        hint=Text("Give the file named by device.ssm.file, whole.", "请给出 device.ssm.file 指定的完整文件。"),
    )
