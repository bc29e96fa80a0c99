import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_values import policies

from chengshu.dsp.messages.negotiation import ContractRequestMessage
from chengshu.dsp.messages.policy import Offer
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.kernel.errors import Invalid
from chengshu.policy.model import (
    Basis,
    CountLimit,
    Environment,
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Pay,
    Policy,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    TimeWindow,
)
from chengshu.policy.odrl import CS, ODRL, XSD, content, from_odrl, to_odrl

words = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
sets = st.frozensets(words, min_size=1, max_size=4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(-(10**12), 10**13).map(lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))
windows = st.one_of(
    st.builds(TimeWindow, moments, st.none()),
    st.builds(TimeWindow, st.none(), moments),
    st.builds(lambda start, days: TimeWindow(start, start + timedelta(days=days)), moments, st.integers(0, 9)),
)
usual = st.tuples(
    st.builds(Purpose, sets),
    st.builds(Recipient, sets),
    st.builds(Methods, sets),
    windows,
    st.builds(Environment, words),
    st.builds(OutputForm, st.sampled_from(Form)),
    st.builds(MinimumGroup, st.integers(1, 10**9 - 1)),
    st.builds(CountLimit, st.integers(1, 10**9 - 1)),
    st.builds(Queries, st.sampled_from(QueryForm)),
)
usual_policies = st.builds(
    lambda rules, keep, duty: Policy(tuple(rule for rule, kept in zip(rules, keep, strict=True) if kept), duty),
    usual,
    st.tuples(*[st.booleans()] * 9),
    st.sampled_from([(), (Pay(Basis.CONTRIBUTION),)]),
)
every_policy = st.one_of(usual_policies, policies())


@given(every_policy)
def test_a_policy_comes_back_exactly(policy: Policy) -> None:
    document = to_odrl(policy)
    assert from_odrl(json.loads(json.dumps(document))) == policy
    assert to_odrl(from_odrl(document)) == document


@given(every_policy)
def test_a_printed_policy_has_the_protocols_shape(policy: Policy) -> None:
    offer = {"@id": "urn:o", "@type": "Offer", "target": "urn:t", **to_odrl(policy)}
    message = {
        "@context": [CONTEXT],
        "@type": "ContractRequestMessage",
        "consumerPid": "urn:1",
        "callbackAddress": "http://h",
        "offer": offer,
    }
    assert isinstance(parse(ContractRequestMessage, message).offer, Offer)


def test_a_policy_is_printed_with_typed_literals_and_full_names() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    policy = Policy((TimeWindow(start, None), MinimumGroup(5), Purpose(frozenset({"b", "a"}))), (Pay(Basis.CONTRIBUTION),))
    assert to_odrl(policy) == {
        "permission": [
            {
                "action": "use",
                "constraint": [
                    {
                        "leftOperand": ODRL + "dateTime",
                        "operator": "gteq",
                        "rightOperand": {"@value": "2026-01-01T00:00:00.000Z", "@type": XSD + "dateTime"},
                    },
                    {"leftOperand": ODRL + "purpose", "operator": "isAnyOf", "rightOperand": ["a", "b"]},
                    {"leftOperand": CS + "minimumGroup", "operator": "gteq", "rightOperand": {"@value": "5", "@type": XSD + "integer"}},
                ],
                "duty": [
                    {
                        "action": "compensate",
                        "constraint": [{"leftOperand": CS + "payBasis", "operator": "eq", "rightOperand": "contribution"}],
                    }
                ],
            }
        ]
    }


def with_deadline(left: str, operator: str) -> dict[str, Any]:
    right = {"@value": "1", "@type": XSD + "integer"}
    return {"action": "delete", "constraint": [{"leftOperand": left, "operator": operator, "rightOperand": right}]}


def with_constraint(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": [{"leftOperand": left, "operator": operator, "rightOperand": right}]}]}


@pytest.mark.parametrize(
    ("document", "term"),
    [
        (with_constraint("spatial", "eq", "EU"), "spatial"),
        (with_constraint("purpose", "isAnyOf", ["x"]), "purpose"),
        (with_constraint(ODRL + "purpose", "isAllOf", ["x"]), "isAllOf"),
        (with_constraint(ODRL + "purpose", "term-lteq", "x"), "term-lteq"),
        (with_constraint(ODRL + "purpose", "gt", "x"), "gt"),
        (with_constraint(ODRL + "deliveryChannel", "eq", "x"), ODRL + "deliveryChannel"),
        (with_constraint(CS + "payBasis", "eq", "contribution"), CS + "payBasis"),
        (with_constraint(CS + "outputForm", "isAnyOf", ["rows", "pixels"]), "pixels"),
        (with_constraint(CS + "outputForm", "eq", "pixels"), "pixels"),
        (with_constraint(CS + "query", "eq", "any-sql"), "any-sql"),
        ({"permission": [{"action": "distribute"}]}, "distribute"),
        ({"permission": [{"action": "use", "target": "x"}]}, "target"),
        ({"permission": [{"action": "use"}], "profile": "http://x"}, "profile"),
        ({"permission": [{"action": "sell"}]}, "sell"),
        ({"permission": [{"action": "use"}], "prohibition": [{"action": "play"}]}, "play"),
        ({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "remedy": [{}]}]}, "remedy"),
        ({"permission": [{"action": "use"}], "obligation": [{"action": "use"}]}, "use"),
        ({"permission": [{"action": "use"}], "obligation": [{"action": "delete", "duty": [{}]}]}, "duty"),
        ({"permission": [{"action": "use", "constraint": [{"and": [{"or": [], "and": []}]}]}]}, "or"),
        ({"permission": [{"action": "use"}], "obligation": [with_deadline(ODRL + "count", "lteq")]}, ODRL + "count"),
        (
            {
                "permission": [{"action": "use"}],
                "obligation": [{"action": "inform", "consequence": [{"action": "delete", "consequence": [{}]}]}],
            },
            "consequence",
        ),
    ],
)
def test_an_unknown_term_is_refused_by_name(document: dict[str, Any], term: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_odrl(document)
    assert (caught.value.code, caught.value.facts["term"]) == ("policy.unknown-term", term)


LATEST = {
    "leftOperand": ODRL + "dateTime",
    "operator": "lteq",
    "rightOperand": {"@value": "2026-01-01T00:00:00Z", "@type": XSD + "dateTime"},
}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"permission": []},
        {"permission": {"action": "use"}},
        {"permission": ["use"]},
        {"permission": [{"action": "use"}], "prohibition": None},
        {"permission": [{"action": "use"}], "obligation": [1]},
        {"permission": [{"action": "use", "constraint": [{"and": []}]}]},
        {"permission": [{"action": "use", "constraint": [{"xone": {}}]}]},
        {"permission": [{"action": "use"}], "obligation": [{"action": "delete", "constraint": [LATEST, LATEST]}]},
        with_constraint(ODRL + "elapsedTime", "lteq", {"@value": "P1W", "@type": XSD + "duration"}),
        with_constraint(ODRL + "dateTime", "eq", {"@value": "2026-01-01", "@type": XSD + "date"}),
        with_constraint(ODRL + "dateTime", "eq", {"@value": "2026-01-01T00:00:00.0001Z", "@type": XSD + "dateTime"}),
        with_constraint(ODRL + "dateTime", "eq", {"@value": "0001-01-01T00:00:00+23:00", "@type": XSD + "dateTime"}),
        with_constraint(ODRL + "spatial", "isPartOf", "POINT (1 2)"),
        with_constraint(ODRL + "purpose", "eq", "x" * 1025),
        with_constraint(ODRL + "purpose", "isAnyOf", [{}]),
        {"permission": [{"action": "use", "constraint": {}}]},
        {"permission": [{"action": "use", "constraint": None}]},
        {"permission": [{"action": "use", "constraint": [{"leftOperand": "x"}]}]},
        {"permission": [{"action": "use", "duty": [{"action": "compensate"}]}]},
        with_constraint(ODRL + "purpose", "isAnyOf", []),
        with_constraint(ODRL + "purpose", "isAnyOf", ["x", "x"]),
        with_constraint(ODRL + "purpose", "isAnyOf", [1]),
        with_constraint(ODRL + "count", "lteq", 5),
        with_constraint(ODRL + "count", "lteq", "05"),
        with_constraint(ODRL + "count", "lteq", {"@value": 5, "@type": XSD + "integer"}),
        with_constraint(ODRL + "count", "lteq", {"@value": "5.0", "@type": XSD + "integer"}),
        with_constraint(ODRL + "count", "lteq", {"@value": "05", "@type": XSD + "integer"}),
        with_constraint(ODRL + "count", "lteq", {"@value": "٥", "@type": XSD + "integer"}),
        with_constraint(ODRL + "count", "lteq", {"@value": "-1", "@type": XSD + "integer"}),
        with_constraint(ODRL + "count", "lteq", {"@value": "5", "@type": XSD + "decimal"}),
        with_constraint(ODRL + "dateTime", "lteq", {"@value": "2026-01-01", "@type": XSD + "dateTime"}),
        with_constraint(ODRL + "dateTime", "lteq", {"@value": "soon", "@type": XSD + "dateTime"}),
        with_constraint(CS + "environment", "eq", ["did:a"]),
    ],
)
def test_a_known_term_in_another_form_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        from_odrl(document)
    assert caught.value.code == "policy.shape"


def test_a_member_that_is_an_empty_array_states_nothing() -> None:
    left_behind = {"permission": [{"action": "use", "constraints": [], "duty": []}], "prohibition": [], "obligation": []}
    assert from_odrl(left_behind) == Policy(())


def test_the_same_bound_twice_is_refused() -> None:
    document = with_constraint(ODRL + "dateTime", "lteq", {"@value": "2026-01-01T00:00:00Z", "@type": XSD + "dateTime"})
    document["permission"][0]["constraint"] *= 2
    with pytest.raises(Invalid):
        from_odrl(document)


def test_a_policy_document_may_come_in_any_envelope() -> None:
    bare = to_odrl(Policy((CountLimit(1),)))
    envelope = {"@id": "urn:1", "@type": "Agreement", "target": "t", "assigner": "a", "assignee": "b", "timestamp": "2026-01-01T00:00:00Z"}
    assert from_odrl({**envelope, **copy.deepcopy(bare)}) == from_odrl(bare)
    assert content({**envelope, **bare}) == bare


TERMS = [
    ODRL + "count",
    "odrl:purpose",
    CS + "environment",
    ODRL + "spatial",
    ODRL + "elapsedTime",
    "eq",
    "isAnyOf",
    "lteq",
    "isPartOf",
    "use",
    "odrl:use",
]
TYPES = [XSD + "integer", XSD + "dateTime", XSD + "duration", "http://www.opengis.net/ont/geosparql#wktLiteral"]
WORTHS = ["P1D", "2026-01-01T00:00:00Z", "POINT (1 2)", "5", "delete", "compensate", "contribution"]
texts = st.one_of(st.text(max_size=8), st.sampled_from([*TERMS, *TYPES, *WORTHS]))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
KEYS = ["permission", "prohibition", "obligation", "action", "constraint", "duty", "consequence", "leftOperand", "operator", "rightOperand"]
keys = st.sampled_from([*KEYS, "and", "or", "xone", "andSequence", "@value", "@type", "@id", "target"])
foreign = st.recursive(
    leaves, lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(keys, parts, max_size=4)), max_leaves=30
)


@given(st.dictionaries(keys, foreign, max_size=4))
def test_a_foreign_document_is_read_or_refused_and_nothing_else(document: dict[str, Any]) -> None:
    try:
        policy = from_odrl(document)
    except Invalid:
        return
    assert from_odrl(to_odrl(policy)) == policy


@given(every_policy, st.data())
def test_a_policy_with_one_part_replaced_is_read_or_refused_and_nothing_else(policy: Policy, data: st.DataObject) -> None:
    document = to_odrl(policy)
    place: Any = document
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(foreign)
            break
        place = place[key]
    try:
        assert isinstance(from_odrl(document), Policy)
    except Invalid:
        return


def test_constraints_deeper_than_a_node_judges_are_refused_before_they_are_read() -> None:
    deep: dict[str, Any] = {"and": []}
    for _ in range(5000):
        deep = {"and": [deep]}
    with pytest.raises(Invalid):
        from_odrl({"permission": [{"action": "use", "constraint": [deep]}]})


def test_terms_of_odrl_may_be_written_with_their_prefix_or_in_full() -> None:
    right = {"@value": "5", "@type": XSD + "integer"}
    plain = with_constraint(ODRL + "count", "lteq", right)
    for action, left, operator in (("odrl:use", "odrl:count", "odrl:lteq"), (ODRL + "use", ODRL + "count", ODRL + "lteq")):
        document = with_constraint(left, operator, right)
        document["permission"][0]["action"] = action
        assert from_odrl(document) == from_odrl(plain)


@pytest.mark.parametrize(
    ("left", "operator", "sent", "read"),
    [
        ("odrl:count", "lteq", "5", {"@value": "5", "@type": XSD + "integer"}),
        ("odrl:dateTime", "lteq", "2027-01-01T00:00:00Z", {"@value": "2027-01-01T00:00:00Z", "@type": XSD + "dateTime"}),
        ("odrl:purpose", "isAnyOf", "traffic", ["traffic"]),
        ("odrl:purpose", "isAnyOf", '[{"@value":"traffic"},{"@value":"research"}]', ["research", "traffic"]),
    ],
)
def test_what_eclipse_edc_sends_without_type_or_array_is_what_the_operand_makes_of_it(
    left: str, operator: str, sent: str, read: Any
) -> None:
    assert from_odrl(with_constraint(left, operator, sent)) == from_odrl(with_constraint(ODRL + left.removeprefix("odrl:"), operator, read))
