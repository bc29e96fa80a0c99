"""The filter language of a catalog request: what it says, and that whatever is outside of it is refused by name."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.listing import Member, Wanted
from chengshu.dsp.translate.filters import Filter, read_filter
from chengshu.kernel.errors import Invalid

SINCE = datetime(2026, 11, 26, 16, tzinfo=UTC)
EDC = "https://w3id.org/edc/v0.0.1/ns/"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Filter()),
        ([], Filter()),
        ([{"keyword": " Road  SPEED "}], Filter(Wanted(words=("road", "speed")))),
        ({"keyword": "车辆"}, Filter(Wanted(words=("车辆",)))),
        (
            [{"publisher": "road"}, {"property": {"version": "1.0.0", "@id": "urn:1"}}],
            Filter(Wanted(equal=((Member.PUBLISHER, "road"), (Member.VERSION, "1.0.0"), (Member.ID, "urn:1")))),
        ),
        (
            [{"format": "HttpData-PULL", "updatedSince": "2026-11-27T00:00:00+08:00"}],
            Filter(Wanted(formats=("HttpData-PULL",), since=SINCE)),
        ),
        ([{"updatedSince": "2026-11-26T16:00:00Z"}, {"updatedSince": "2020-01-01T00:00:00Z"}], Filter(Wanted(since=SINCE))),
        ({"offset": 0, "limit": 20, "sortOrder": "ASC", "sortField": None, "filterExpression": []}, Filter(limit=20)),
        (
            [{"@type": "QuerySpec", f"{EDC}filterExpression": {f"{EDC}operandLeft": f"{EDC}id", "operator": "=", "operandRight": "urn:1"}}],
            Filter(Wanted(equal=((Member.ID, "urn:1"),))),
        ),
    ],
)
def test_a_filter_says_what_it_says(value: Any, expected: Filter) -> None:
    assert read_filter(value) == expected


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (["title"], "expected an object, got a text of 5 characters"),
        ([{"sparql": "SELECT *"}], "'sparql'"),
        ([{"keyword": 5}], "at keyword"),
        ([{"keyword": ""}], "at keyword"),
        ([{"keyword": "a " * 17}], "at keyword"),
        ([{"keyword": "x" * 513}], "at keyword"),
        ([{"property": {"colour": "red"}}], "'colour'"),
        ([{"property": {"version": 1}}], "at property.version"),
        ([{"property": {}}], "at property"),
        ([{"publisher": None}], "at publisher"),
        ([{"format": ["x"]}], "at format"),
        ([{"updatedSince": "yesterday"}], "at updatedSince"),
        ([{"updatedSince": "2026-11-27T00:00:00"}], "at updatedSince"),
        ([{"updatedSince": "0001-01-01T00:00:00+23:00"}], "at updatedSince"),
        ([{"keyword": "a"}] * 17, "at most 16 terms"),
        ({"offset": 50, "limit": 50}, "at offset"),
        ({"limit": True}, "at limit"),
        ({"limit": -1}, "at limit"),
        ({"limit": 5, "range": {}}, "at range"),
        ({"limit": 5, "sortField": "price"}, "at sortField"),
        ({"filterExpression": [{"operandLeft": "price", "operator": "=", "operandRight": "1"}]}, "'price'"),
        ({"filterExpression": [{"operandLeft": "id", "operator": "like", "operandRight": "%"}]}, "'like'"),
        ({"filterExpression": [{"operandLeft": "id", "operator": ["="], "operandRight": "1"}]}, "at operator"),
        ({"filterExpression": ["id"]}, "at filterExpression"),
        (7, "a number"),
    ],
)
def test_what_is_outside_the_language_is_refused_by_name(value: Any, named: str) -> None:
    with pytest.raises(Invalid, match=r"^filter: ") as caught:
        read_filter(value)
    assert caught.value.code == "catalog.filter"
    assert named in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["keyword", "property", "limit", "x"]), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_filter_or_is_refused(value: Any) -> None:
    with suppress(Invalid):
        assert isinstance(read_filter(value), Filter)
