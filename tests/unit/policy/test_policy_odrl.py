import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
rules = st.tuples(
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
policies = st.builds(
    lambda rules, keep, duty: Policy(tuple(rule for rule, kept in zip(rules, keep, strict=True) if kept), duty),
    rules,
    st.tuples(*[st.booleans()] * 9),
    st.sampled_from([(), (Pay(Basis.CONTRIBUTION),)]),
)


@given(policies)
def test_a_policy_comes_back_exactly(policy: Policy) -> None:
    document = to_odrl(policy)
    assert from_odrl(json.loads(json.dumps(document))) == policy
    assert to_odrl(from_odrl(document)) == document


@given(policies)
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


def with_constraint(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": [{"leftOperand": left, "operator": operator, "rightOperand": right}]}]}


@pytest.mark.parametrize(
    ("document", "term"),
    [
        (with_constraint("spatial", "eq", "EU"), "spatial"),
        (with_constraint("purpose", "isAnyOf", ["x"]), "purpose"),
        (with_constraint(ODRL + "purpose", "isNoneOf", ["x"]), "isNoneOf"),
        (with_constraint(CS + "outputForm", "eq", "pixels"), "pixels"),
        (with_constraint(CS + "query", "eq", "any-sql"), "any-sql"),
        ({"permission": [{"action": "distribute"}]}, "distribute"),
        ({"permission": [{"action": "use", "target": "x"}]}, "target"),
        ({"permission": [{"action": "use"}], "prohibition": [{"action": "use"}]}, "prohibition"),
        ({"permission": [{"action": "use"}], "obligation": [{"action": "delete"}]}, "obligation"),
        ({"permission": [{"action": "use"}], "profile": "http://x"}, "profile"),
        ({"permission": [{"action": "use", "duty": [{"action": "delete"}]}]}, "delete"),
        ({"permission": [{"action": "use", "constraint": [{"and": []}]}]}, "and"),
    ],
)
def test_an_unknown_term_is_refused_by_name(document: dict[str, Any], term: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_odrl(document)
    assert (caught.value.code, caught.value.facts["term"]) == ("policy.unknown-term", term)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"permission": []},
        {"permission": {"action": "use"}},
        {"permission": [{"action": "use"}, {"action": "use"}]},
        {"permission": ["use"]},
        {"permission": [{"action": "use", "constraint": {}}]},
        {"permission": [{"action": "use", "constraint": None}]},
        {"permission": [{"action": "use", "constraint": [{"leftOperand": "x"}]}]},
        {"permission": [{"action": "use", "duty": [{"action": "compensate"}]}]},
        with_constraint(ODRL + "purpose", "isAnyOf", "x"),
        with_constraint(ODRL + "purpose", "isAnyOf", []),
        with_constraint(ODRL + "purpose", "isAnyOf", ["x", "x"]),
        with_constraint(ODRL + "purpose", "isAnyOf", [1]),
        with_constraint(ODRL + "count", "lteq", 5),
        with_constraint(ODRL + "count", "lteq", "5"),
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
