"""The token that leads to a page and the header that carries it: opaque, bound to its asker, read leniently, trusted never."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.listing import Asked, Member, Order, Place, Wanted
from chengshu.dsp.translate.pages import LARGEST_PAGE, PageTokens, link_header, next_link, read_query
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import Invalid

TOKENS = PageTokens(INTERNATIONAL, INTERNATIONAL.new_data_key())
URL = "https://node.example/2025-1/catalog/request"
WANTED = Wanted(("road", "车"), ((Member.VERSION, "1.0.0"),), ("HttpData-PULL",), datetime(2026, 11, 27, 8, tzinfo=UTC))
ASKED = Asked(WANTED, 7, Place("", "urn:secret/id=1"), Order.BACKWARDS)


@pytest.mark.parametrize("suite", [INTERNATIONAL, NATIONAL])
@pytest.mark.parametrize("asked", [ASKED, Asked(Wanted(), 1)])
def test_a_token_says_all_that_was_asked(suite, asked):
    tokens = PageTokens(suite, suite.new_data_key())
    assert tokens.read(tokens.write(asked, audience="anna"), audience="anna") == asked


def test_a_token_shows_nothing_and_is_its_askers_alone():
    token = TOKENS.write(ASKED, audience="anna")
    assert b"secret" not in base64.urlsafe_b64decode(token + "==")
    for audience, changed in [
        ("boris", token),
        ("anna", token[:-3] + "AAA"),
        ("anna", token + "A"),
        ("anna", ""),
        ("anna", "é"),
        ("anna", "x" * 99),
    ]:
        with pytest.raises(Invalid, match="expected a page that an answer"):
            TOKENS.read(changed, audience=audience)


def test_a_token_of_another_node_is_refused():
    other = PageTokens(INTERNATIONAL, INTERNATIONAL.new_data_key())
    with pytest.raises(Invalid):
        TOKENS.read(other.write(ASKED, audience="anna"), audience="anna")


def test_links_are_written_where_there_are_pages_and_read_back():
    assert link_header(URL, before=None, after=None) is None
    assert link_header(URL, before=None, after="n") == f'<{URL}?continuationToken=n>; rel="next"'
    both = link_header(URL, before="p", after="n")
    assert next_link(both, base=URL) == f"{URL}?continuationToken=n"
    assert next_link(link_header(URL, before="p", after=None), base=URL) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("nonsense", None),
        ("<https://a.example/?x=1>", None),
        ('<https://a.example/?x=1>; rel="prev"', None),
        ("<https://a.example/?x=1>; rel=next", "https://a.example/?x=1"),
        ('<https://a.example/?x=1>; title="a, b; c"; REL="last NEXT"', "https://a.example/?x=1"),
        ('</p?x=1>; rel="previous", <?x=3> ; rel="next"', f"{URL}?x=3"),
        ('<//evil.example/x>; rel="next"', "https://evil.example/x"),  # whoever follows looks where it leads
        ('<https://a.example/?x=1>; rel="next', None),
        ("<a" + ";" * 50_000, None),
    ],
)
def test_a_strangers_link_header_is_read_as_far_as_it_is_one(header, expected):
    assert next_link(header, base=URL) == expected


@given(st.text())
def test_any_link_header_is_read_or_names_no_page(header):
    found = next_link(header, base=URL)
    assert found is None or isinstance(found, str)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (None, None)),
        ("continuationToken=abc", ("abc", None)),
        ("limit=20&continuationToken=abc&other=1", ("abc", 20)),
        ("limit=999999", (None, LARGEST_PAGE)),
    ],
)
def test_a_query_names_a_page_and_a_limit(query, expected):
    assert read_query(query) == expected


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=1e3", "limit=", "limit=1&limit=2", "continuationToken=a&continuationToken=b", "a&" * 99, "x" * 20_000],
)
def test_a_query_that_is_not_understood_is_refused(query):
    with pytest.raises(Invalid):
        read_query(query)
