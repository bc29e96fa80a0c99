"""Values, constraints and policies of every kind, for the tests that hold for all of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from chengshu.policy.constraint import Condition, Constraint, Elapsed, Fact, Logical, Silence, Value
from chengshu.policy.model import (
    Basis,
    Deed,
    Duty,
    DutyAction,
    Form,
    Pay,
    Permission,
    Place,
    Policy,
    Privacy,
    Prohibition,
    QueryForm,
    Use,
    UseState,
)
from chengshu.policy.parameters import Parameters, read_test
from chengshu.policy.terms import Action, Joint, Kind, Operand, Operator
from chengshu.policy.values import GEOJSON, Duration

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SQUARE = Place("POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))")
CORNER = Place('{"type": "Polygon", "coordinates": [[[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]]}', GEOJSON)
FAR = Place("POLYGON ((10 10, 11 10, 11 11, 10 10))")
HOLED = Place("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (4 4, 5 4, 5 5, 4 5, 4 4))")
IN_SQUARE, ON_EDGE, IN_BOTH, OUTSIDE = (Place(f"POINT ({where})") for where in ("0.5 0.5", "2 0.5", "1.5 1.5", "20 20"))
PLACES = [SQUARE, CORNER, FAR, HOLED, IN_SQUARE, ON_EDGE, IN_BOTH, OUTSIDE]
TESTS = [read_test(text) for text in ("cell_m >= 50", "cell_m < 9.5", 'mode = "coarse"', "fast = true")]
CODES = ["research", "traffic-study", "advertising", "commercial", "commercial-research", "av_pilot", "av_pilot.hazards"]

moments = st.integers(-60, 60).map(lambda hours: NOON + timedelta(hours=hours))
durations = st.builds(Duration, st.integers(0, 15), st.integers(0, 10**9))
VALUES: dict[Kind, st.SearchStrategy[Value]] = {
    Kind.MOMENT: moments,
    Kind.DURATION: durations,
    Kind.COUNT: st.integers(0, 12),
    Kind.CODE: st.sampled_from(CODES),
    Kind.EVENT: st.sampled_from(["flood", "disaster", "emergency", "epidemic"]),
    Kind.PARTY: st.sampled_from(["did:a", "did:b", "did:room"]),
    Kind.PLACE: st.sampled_from(PLACES),
    Kind.PARAMETER: st.sampled_from(TESTS),
}
GENERAL = [operand for operand in Operand if not operand.is_of_answers]


def values_of(operand: Operand) -> st.SearchStrategy[Value]:
    return st.sampled_from(operand.choices) if operand.choices else VALUES[operand.kind]


@st.composite
def atoms(draw: st.DrawFn) -> Constraint:
    operand = draw(st.sampled_from(GENERAL))
    operator = draw(st.sampled_from(sorted(operand.operators)))
    values = values_of(operand)
    return Constraint(operand, operator, draw(st.frozensets(values, min_size=1, max_size=3) if operator.listed else values))


conditions: st.SearchStrategy[Condition] = st.recursive(
    atoms(), lambda parts: st.builds(Logical, st.sampled_from(Joint), st.lists(parts, min_size=1, max_size=3).map(tuple)), max_leaves=5
)
FACTS: dict[Kind, st.SearchStrategy[Fact]] = {
    Kind.MOMENT: moments,
    Kind.DURATION: st.builds(Elapsed, moments, moments),
    Kind.COUNT: st.integers(0, 12),
    Kind.CODE: st.sampled_from(CODES).map(lambda code: frozenset({code})),
    Kind.EVENT: st.frozensets(VALUES[Kind.EVENT]),  # type: ignore[arg-type]  # every value of this kind is a name
    Kind.PARTY: VALUES[Kind.PARTY].map(lambda party: frozenset({str(party)})),
    Kind.CHOICE: st.sampled_from(["aggregate", "rows", "vetted-sql"]).map(lambda choice: frozenset({choice})),
    Kind.PLACE: st.sampled_from(PLACES),
    Kind.PARAMETER: st.sampled_from([Parameters.of({"cell_m": 50, "fast": True}), Parameters.of({"mode": "coarse"}), Parameters.of({})]),
    Kind.LOSS: st.sampled_from([Decimal("0.05"), Decimal("0.1"), Decimal(1)]),
    Kind.BOUND: st.integers(1, 3),
    Kind.PERIOD: st.just(Silence.APART),
    Kind.COLUMN: st.just(frozenset[str]()),
    Kind.CONDITION: st.just(frozenset[str]()),
}


@st.composite
def facts(draw: st.DrawFn) -> dict[Operand, Fact]:
    return {operand: draw(st.one_of(FACTS[operand.kind], st.sampled_from(Silence))) for operand in Operand}


def once(found: list[Condition]) -> tuple[Condition, ...]:
    """Conditions of which no two are about one operand in one way, as a permission wants them."""
    kept: dict[object, Condition] = {}
    for one in found:
        key = (one.operand, one.operator) if isinstance(one, Constraint) else one
        kept.setdefault(key, one)
    return tuple(kept.values())


deadlines = st.one_of(
    st.none(),
    moments.map(lambda at: Constraint(Operand.TIME, Operator.LTEQ, at)),
    durations.map(lambda long: Constraint(Operand.ELAPSED, Operator.LTEQ, long)),
)
deeds = [action for action in DutyAction if action is not DutyAction.COMPENSATE]
simple_duties: st.SearchStrategy[Duty] = st.one_of(
    st.builds(Pay, st.just(Basis.CONTRIBUTION), deadlines), st.builds(Deed, st.sampled_from(deeds), deadlines)
)
consequences = st.lists(simple_duties, max_size=1).map(tuple)
duties: st.SearchStrategy[Duty] = st.one_of(
    st.builds(Pay, st.just(Basis.CONTRIBUTION), deadlines, consequences), st.builds(Deed, st.sampled_from(deeds), deadlines, consequences)
)
rule_lists = st.lists(conditions, max_size=4).map(once)
duty_lists = st.lists(duties, max_size=2, unique_by=lambda duty: duty.action).map(tuple)
BUDGETS: list[tuple[Privacy, ...]] = [
    (),
    (),
    (Privacy(Decimal("0.1"), Decimal(1)),),
    (Privacy(Decimal("0.000000001"), Decimal("0.5"), 3, Duration(1, 0)),),
]
seen_actions = st.sampled_from([Action.USE, Action.USE, Action.READ, Action.DERIVE])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    budgeted = draw(st.sampled_from(BUDGETS))
    rules = (*draw(rule_lists.filter(is_sound)), *budgeted)
    alternatives = draw(st.lists(st.builds(Permission, rule_lists.filter(is_sound), duty_lists, seen_actions), max_size=2, unique=True))
    first = Permission(rules, draw(duty_lists), draw(seen_actions))
    return Policy(
        first.rules,
        first.duties,
        first.action,
        tuple(one for one in alternatives if one != first),
        tuple(draw(st.lists(st.builds(Prohibition, rule_lists.filter(is_sound), st.sampled_from(Action)), max_size=2, unique=True))),
        tuple(draw(st.lists(duties, max_size=2, unique=True))),
    )


def is_sound(rules: tuple[Condition, ...]) -> bool:
    """Whether the window of time that the rules make has room, and no usual number is nought."""
    named = {(one.operand, one.operator): one.value for one in rules if isinstance(one, Constraint)}
    start, end = named.get((Operand.TIME, Operator.GTEQ)), named.get((Operand.TIME, Operator.LTEQ))
    usual = [named.get((Operand.GROUP, Operator.GTEQ)), named.get((Operand.COUNT, Operator.LTEQ))]
    return 0 not in usual and (start is None or end is None or start <= end)  # type: ignore[operator]  # both are moments


uses = st.builds(
    Use,
    recipient=st.sampled_from(["did:a", "did:b", "did:c"]),
    at=moments,
    purpose=st.sampled_from([*CODES, None]),
    environment=st.sampled_from(["did:room", "did:other", "did:a", None]),
    method=st.sampled_from(["av_pilot.hazards", "dump", None]),
    query=st.sampled_from([QueryForm.VETTED_SQL, None]),
    output=st.sampled_from([Form.AGGREGATE, Form.ROWS, None]),
    minimum_group=st.sampled_from([None, 4, 5]),
    place=st.sampled_from([None, IN_SQUARE, ON_EDGE, OUTSIDE]),
    privacy_loss=st.sampled_from([None, Decimal("0.05"), Decimal("0.2")]),
    contributions=st.sampled_from([None, 1, 4]),
)
states = st.builds(
    UseState,
    assignee=st.just("did:a"),
    uses=st.integers(0, 5),
    agreed_at=st.one_of(st.none(), moments),
    first_use_at=st.one_of(st.none(), moments),
    events=st.frozensets(st.sampled_from(["flood", "epidemic"])),
)
