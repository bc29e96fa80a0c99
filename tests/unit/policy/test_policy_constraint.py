"""Every operator is its definition by sets or by order, and several constraints joined are what their parts come to."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_values import CORNER, FAR, HOLED, IN_BOTH, IN_SQUARE, NOON, ON_EDGE, OUTSIDE, SQUARE, conditions, facts

from chengshu.kernel.errors import Invalid
from chengshu.policy.constraint import Constraint, Elapsed, Fact, Facts, Logical, Silence, Truth, Value, judge
from chengshu.policy.parameters import read_test
from chengshu.policy.terms import BROADER, Joint, Kind, Operand, Operator, broader
from chengshu.policy.values import Duration, Place, read_duration

ORDERS = {
    Operator.EQ: lambda one, other: one == other,
    Operator.NEQ: lambda one, other: one != other,
    Operator.GT: lambda one, other: one > other,
    Operator.GTEQ: lambda one, other: one >= other,
    Operator.LT: lambda one, other: one < other,
    Operator.LTEQ: lambda one, other: one <= other,
}
numbers = st.integers(0, 6)
moments = numbers.map(lambda hours: NOON + timedelta(hours=hours))


def holds(operand: Operand, operator: Operator, value: Value | frozenset[Value], fact: Fact) -> Truth:
    return judge(Constraint(operand, operator, value), {operand: fact})


@pytest.mark.parametrize("operator", ORDERS)
@given(numbers, numbers)
def test_numbers_and_moments_compare_by_their_order(operator: Operator, left: int, right: int) -> None:
    expected = ORDERS[operator](left, right)
    assert holds(Operand.COUNT, operator, right, left) == expected
    at = [NOON + timedelta(hours=number) for number in (left, right)]
    assert holds(Operand.TIME, operator, at[1], at[0]) == expected
    elapsed = Elapsed(NOON, NOON + timedelta(hours=left))
    assert holds(Operand.ELAPSED, operator, Duration(0, right * 3_600_000), elapsed) == expected


@given(numbers, st.frozensets(numbers, min_size=1))
def test_a_number_is_any_or_none_of_a_list_by_membership(left: int, right: frozenset[int]) -> None:
    values = frozenset[Value](right)
    assert holds(Operand.COUNT, Operator.IS_ANY_OF, values, left) == (left in right)
    assert holds(Operand.COUNT, Operator.IS_NONE_OF, values, left) == (left not in right)


codes = st.frozensets(st.sampled_from(["flood", "disaster", "emergency", "epidemic"]), max_size=3)


@given(codes, codes.filter(bool))
def test_codes_compare_as_sets(left: frozenset[str], right: frozenset[str]) -> None:
    values = frozenset[Value](right)
    assert holds(Operand.EVENT, Operator.IS_ANY_OF, values, left) == bool(left & right)
    assert holds(Operand.EVENT, Operator.IS_NONE_OF, values, left) == left.isdisjoint(right)
    assert holds(Operand.EVENT, Operator.IS_ALL_OF, values, left) == (right <= left)
    for one in right:
        assert holds(Operand.EVENT, Operator.EQ, one, left) == (one in left)
        assert holds(Operand.EVENT, Operator.NEQ, one, left) == (one not in left)
        above = any(one in broader(code) for code in left)
        assert (holds(Operand.EVENT, Operator.IS_A, one, left), holds(Operand.EVENT, Operator.IS_PART_OF, one, left)) == (above, above)
        assert holds(Operand.EVENT, Operator.HAS_PART, one, left) == bool(left & broader(one))


def test_the_hierarchy_of_codes_has_no_circle_and_methods_are_parts_of_their_families() -> None:
    assert all(code not in broader(above) for code, parts in BROADER.items() for above in parts)
    assert broader("av_pilot.hazards.late") == {"av_pilot.hazards.late", "av_pilot.hazards", "av_pilot"}
    assert broader("official-statistics") == {"official-statistics", "public-interest", "research"}
    assert len(broader(".".join("a" * 500))) == 500
    assert holds(Operand.METHOD, Operator.IS_PART_OF, "av_pilot", frozenset({"av_pilot.hazards"})) is True
    assert holds(Operand.METHOD, Operator.IS_PART_OF, "av", frozenset({"av_pilot.hazards"})) is False


@pytest.mark.parametrize(
    ("operator", "value", "place", "expected"),
    [
        (Operator.IS_PART_OF, SQUARE, IN_SQUARE, True),
        (Operator.IS_PART_OF, SQUARE, ON_EDGE, True),
        (Operator.IS_PART_OF, SQUARE, OUTSIDE, False),
        (Operator.IS_PART_OF, SQUARE, CORNER, False),
        (Operator.IS_PART_OF, HOLED, Place("POINT (4.5 4.5)"), False),
        (Operator.IS_PART_OF, HOLED, Place("POINT (4 4.5)"), True),
        (Operator.HAS_PART, IN_SQUARE, SQUARE, True),
        (Operator.HAS_PART, OUTSIDE, SQUARE, False),
        (Operator.EQ, SQUARE, Place("POLYGON ((2 2, 0 2, 0 0, 2 0, 2 2))"), True),
        (Operator.NEQ, SQUARE, CORNER, True),
        (Operator.NEQ, SQUARE, SQUARE, False),
        (Operator.IS_ANY_OF, frozenset({FAR, SQUARE}), IN_SQUARE, True),
        (Operator.IS_ANY_OF, frozenset({FAR, CORNER}), IN_SQUARE, False),
        (Operator.IS_ALL_OF, frozenset({SQUARE, CORNER}), IN_BOTH, True),
        (Operator.IS_ALL_OF, frozenset({SQUARE, CORNER}), IN_SQUARE, False),
        (Operator.IS_NONE_OF, frozenset({FAR, CORNER}), IN_SQUARE, True),
        (Operator.IS_NONE_OF, frozenset({FAR, SQUARE}), ON_EDGE, False),
        (Operator.IS_NONE_OF, frozenset({CORNER}), SQUARE, False),
    ],
)
def test_a_place_lies_in_an_area_with_its_edge_and_outside_its_holes(
    operator: Operator, value: Place | frozenset[Value], place: Place, expected: bool
) -> None:
    assert holds(Operand.PLACE, operator, value, place) is expected


@pytest.mark.parametrize(
    "text",
    ["", "POINT EMPTY", "POINT (1 2 3)", "POINT (nan nan)", "POINT (inf 1)", "POINT (200 1)", "LINESTRING (0 0, 1 1)",
     "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))",
     "POINT", "POINT (1 2) and more", "GEOMETRYCOLLECTION (POINT (1 2))", "(" * 50_000, "POINT (1 2" + " " * 300_000 + ")"],
)  # fmt: skip
def test_what_is_no_area_or_point_on_the_earth_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Place(text)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "1",
        "[]",
        '{"type": "Point"}',
        '{"type": "Point", "coordinates": "x"}',
        '{"type": "Point", "coordinates": [1, 2], "crs": 1}',
        "[" * 20_000,
    ],
)
def test_what_is_no_geometry_in_geojson_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Place(text, "geoJSONLiteral")


@pytest.mark.parametrize(
    ("text", "months", "millis", "written"),
    [
        ("P1Y2M", 14, 0, "P1Y2M"),
        ("P30D", 0, 30 * 86_400_000, "P30D"),
        ("PT36H", 0, 36 * 3_600_000, "P1DT12H"),
        ("PT0.5S", 0, 500, "PT0.5S"),
        ("PT60.250S", 0, 60_250, "PT1M0.25S"),
        ("P0D", 0, 0, "PT0S"),
    ],
)
def test_a_duration_is_read_exactly(text: str, months: int, millis: int, written: str) -> None:
    assert read_duration(text) == Duration(months, millis)
    assert str(Duration(months, millis)) == written
    assert read_duration(written) == Duration(months, millis)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "-P1D", "P1W", "P1.5D", "PT0.0005S", "1D", "P1S", "P٣D", "P1D ", "P99999999999D"])
def test_another_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        read_duration(text)


def test_a_month_is_a_month_of_the_calendar() -> None:
    assert Duration(1, 0).after(datetime(2026, 1, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)
    assert Duration(13, 1000).after(datetime(2023, 1, 31, tzinfo=UTC)) == datetime(2024, 2, 29, 0, 0, 1, tzinfo=UTC)
    assert Duration(12 * 9999, 0).after(NOON).year == 9999


@pytest.mark.parametrize("operand", Operand)
@pytest.mark.parametrize("operator", Operator)
def test_a_pair_that_makes_no_sense_is_refused_by_name(operand: Operand, operator: Operator) -> None:
    samples: dict[Kind, Value] = {
        Kind.MOMENT: NOON, Kind.DURATION: Duration(1, 0), Kind.COUNT: 1, Kind.CODE: "x", Kind.EVENT: "x", Kind.PARTY: "x",
        Kind.PLACE: SQUARE, Kind.LOSS: Decimal("0.1"), Kind.BOUND: 1, Kind.PERIOD: Duration(1, 0),
        Kind.COLUMN: "x", Kind.CONDITION: "x = 1", Kind.PARAMETER: read_test("x = 1"),
    }  # fmt: skip
    value = operand.choices[0] if operand.choices else samples[operand.kind]
    right: Value | frozenset[Value] = frozenset({value}) if operator.listed else value
    if operator in operand.operators:
        assert Constraint(operand, operator, right).values == {value}
        return
    with pytest.raises(Invalid) as caught:
        Constraint(operand, operator, right)
    assert (caught.value.code, caught.value.facts["term"]) == ("policy.unknown-term", operator.value)


@pytest.mark.parametrize(
    ("operand", "value"),
    [
        (Operand.COUNT, "1"), (Operand.COUNT, True), (Operand.COUNT, -1), (Operand.COUNT, 10**9), (Operand.TIME, NOON.replace(tzinfo=None)),
        (Operand.TIME, NOON.replace(microsecond=1)), (Operand.PURPOSE, ""), (Operand.PURPOSE, 1), (Operand.OUTPUT, "pixels"),
        (Operand.PLACE, "POINT (1 2)"),
        (Operand.ELAPSED, NOON), (Operand.ELAPSED, Duration(-1, 0)), (Operand.PURPOSE, frozenset({"a"})),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(operand: Operand, value: Value) -> None:
    with pytest.raises(Invalid):
        Constraint(operand, Operator.EQ, value)


TRUTHS: list[Truth] = [True, False, Silence.UNSAID, Silence.APART]


def standing_for(truths: list[Truth]) -> tuple[tuple[Constraint, ...], Facts]:
    """Constraints of which each comes to one of the truths asked for."""
    operands = [Operand.COUNT, Operand.GROUP, Operand.PURPOSE, Operand.RECIPIENT]
    found: dict[Operand, Fact] = {}
    parts = []
    for operand, truth in zip(operands, truths, strict=False):
        number = operand.kind is Kind.COUNT
        parts.append(Constraint(operand, Operator.EQ, 1 if number else "x"))
        found[operand] = truth if isinstance(truth, Silence) else (int(truth) if number else frozenset({"x" if truth else "y"}))
    return tuple(parts), found


@given(st.lists(st.sampled_from(TRUTHS), min_size=1, max_size=4))
def test_joined_constraints_are_decided_by_every_way_the_unsaid_could_turn_out(truths: list[Truth]) -> None:
    parts, found = standing_for(truths)
    said = [one for one in truths if one is not Silence.APART]
    worlds: list[list[bool]] = [[]]
    for one in said:
        worlds = [[*world, choice] for world in worlds for choice in ([True, False] if one is Silence.UNSAID else [one is True])]
    rules = {Joint.AND: all, Joint.AND_SEQUENCE: all, Joint.OR: any, Joint.XONE: lambda world: sum(world) == 1}
    for joint, rule in rules.items():
        outcomes = {rule(world) for world in worlds}
        expected = Silence.APART if not said else Silence.UNSAID if len(outcomes) == 2 else outcomes.pop()
        assert judge(Logical(joint, parts), found) == expected, joint


@given(conditions, facts())
def test_a_constraint_is_judged_whatever_is_known(condition: Constraint | Logical, found: Facts) -> None:
    assert judge(condition, found) in {True, False, Silence.UNSAID, Silence.APART}
    assert judge(condition, {}) is Silence.UNSAID


def test_constraints_too_many_or_too_deep_are_refused() -> None:
    atom: Constraint | Logical = Constraint(Operand.COUNT, Operator.EQ, 1)
    with pytest.raises(Invalid):
        Logical(Joint.AND, ())
    with pytest.raises(Invalid):
        Logical(Joint.OR, (atom,) * 2001)
    with pytest.raises(Invalid):
        for _ in range(9):
            atom = Logical(Joint.AND, (atom,))
