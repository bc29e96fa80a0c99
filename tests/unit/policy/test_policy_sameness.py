"""The forms in which Eclipse EDC 0.15.1 sends a policy back, as they were seen on the wire, and forms that say something else."""

import copy
from typing import Any

import pytest

from chengshu.policy.odrl import CS, ODRL, XSD
from chengshu.policy.sameness import same_rules

OURS: dict[str, Any] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": f"{CS}outputForm", "operator": "eq", "rightOperand": "rows"},
                {"leftOperand": f"{ODRL}count", "operator": "lteq", "rightOperand": {"@value": "5", "@type": f"{XSD}integer"}},
                {"leftOperand": f"{ODRL}purpose", "operator": "isAnyOf", "rightOperand": ["traffic"]},
                {"leftOperand": f"{ODRL}recipient", "operator": "isAnyOf", "rightOperand": ["a", "b"]},
            ],
            "duty": [
                {
                    "action": "compensate",
                    "constraint": [{"leftOperand": f"{CS}payBasis", "operator": "eq", "rightOperand": "contribution"}],
                }
            ],
        }
    ]
}
SENT_BACK: dict[str, Any] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": f"{CS}outputForm", "operator": "eq", "rightOperand": "rows"},
                {"leftOperand": "odrl:count", "operator": "lteq", "rightOperand": "5"},
                {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": "traffic"},
                {"leftOperand": "odrl:recipient", "operator": "isAnyOf", "rightOperand": '[{"@value":"a"},{"@value":"b"}]'},
            ],
            "duty": [
                {
                    "action": "odrl:compensate",
                    "constraint": [{"leftOperand": f"{CS}payBasis", "operator": "eq", "rightOperand": "contribution"}],
                }
            ],
        }
    ]
}


def changed(path: list[str | int], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(SENT_BACK)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def test_a_policy_that_edc_wrote_anew_states_the_same_rules() -> None:
    assert same_rules(OURS, SENT_BACK)
    assert same_rules(SENT_BACK, OURS)


def test_empty_lists_of_rules_and_ids_in_objects_say_nothing_of_their_own() -> None:
    document = changed(["permission", 0, "action"], {"@id": "odrl:use"})
    assert same_rules(OURS, {**document, "prohibition": [], "obligation": []})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["permission", 0, "action"], "odrl:distribute"),
        (["permission", 0, "constraint", 1, "rightOperand"], "6"),
        (["permission", 0, "constraint", 1, "operator"], "lt"),
        (["permission", 0, "constraint", 1, "leftOperand"], f"{CS}count"),
        (["permission", 0, "constraint", 3, "rightOperand"], '[{"@value":"a"}]'),
        (["permission", 0, "constraint", 3, "rightOperand"], '[{"@value":"a"},{"@value":"b"}'),
        (["permission", 0, "duty"], []),
        (["prohibition"], [{"action": "use"}]),
    ],
)
def test_a_policy_that_says_something_else_does_not(path: list[str | int], value: Any) -> None:
    assert not same_rules(OURS, changed(path, value))


@pytest.mark.parametrize("text", ['[{"@value":' * 100_000, '[{"@value":1},' + "[" * 900 + "]" * 900 + "]", '[{"@value":"a"},{"@id":"b"}]'])
def test_text_that_only_begins_like_an_array_of_texts_is_text(text: str) -> None:
    assert not same_rules(OURS, changed(["permission", 0, "constraint", 3, "rightOperand"], text))
