"""Pages of a catalog: the opaque token that leads to one, and the Link header that carries it (RFC 8288)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin

from chengshu.catalog.listing import Asked, Member, Order, Place, Wanted
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.crypto import Suite
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

TOKEN = "continuationToken"  # noqa: S105  # the name of a parameter
LIMIT = "limit"
PAGE = 50
LARGEST_PAGE = 250
MAX_QUERY = 16_384

_LABEL = b"chengshu catalog page 1\n"
_LINK = re.compile(r'\s*<([^<>\s]{1,8192})>\s*((?:;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]+))?\s*)*)(?:,|$)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Makes and reads the tokens: sealed, so that they show nothing of what an asker may not see, and bound to the asker.

    A token holds the whole question and the place to read on from: nothing is kept for it here, it outlives a restart, and changes of the
    catalog neither skip nor repeat what stays.
    """

    suite: Suite
    key: bytes = field(repr=False)

    def write(self, asked: Asked, *, audience: str) -> str:
        """Return the token for ``audience`` to ask just this."""
        beyond = None if asked.beyond is None else [asked.beyond.party, asked.beyond.dataset]
        value = {"o": asked.order.value, "b": beyond, "n": asked.limit, **_wanted_to_json(asked.wanted)}
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self.suite.seal(self.key, raw, context=_LABEL + audience.encode())).rstrip(b"=").decode()

    def read(self, token: str, *, audience: str) -> Asked:
        """Return what :meth:`write` wrote for the same audience; raises Invalid for any other text."""
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            value = json.loads(self.suite.open(self.key, sealed, context=_LABEL + audience.encode()))
        except (binascii.Error, ValueError, Tampered) as error:
            raise _no_token() from error
        return Asked(_wanted_from_json(value), value["n"], None if value["b"] is None else Place(*value["b"]), Order(value["o"]))


def link_header(url: str, *, before: str | None, after: str | None) -> str | None:
    """Return the value of the Link header for the tokens of the pages before and after, None where there is neither."""
    links = [(after, "next"), (before, "previous")]
    written = [f'<{url}?{urlencode({TOKEN: token})}>; rel="{rel}"' for token, rel in links if token is not None]
    return ", ".join(written) or None


def next_link(header: str | None, *, base: str) -> str | None:
    """Return the absolute URL of the next page in a Link header, resolved against the URL that answered; None where there is none."""
    place = 0
    text = (header or "")[:MAX_QUERY]
    while (found := _LINK.match(text, place)) is not None and place < len(text):
        rel = _REL.search(found[2] or "")
        if rel is not None and "next" in (rel[1] or rel[2] or "").lower().split():
            return urljoin(base, str(found[1]))
        place = found.end()
    return None


def read_query(query: str) -> tuple[str | None, int | None]:
    """Return the token and the limit in a catalog request's query; raises Invalid for a limit that is none, or anything said twice."""
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=16) if len(query) <= MAX_QUERY else {TOKEN: ["", ""]}
    except ValueError:
        given = {TOKEN: ["", ""]}
    token, limit = (given.get(name, [None]) for name in (TOKEN, LIMIT))
    if len(token) > 1 or len(limit) > 1:
        raise _no_token()
    return token[0], None if limit[0] is None else checked_limit(limit[0])


def checked_limit(text: str) -> int:
    """Return a page's limit, at most :data:`LARGEST_PAGE`; raises Invalid for what is no whole number from 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise Invalid(
            "catalog.limit",
            f"expected a whole number from 1 (more than {LARGEST_PAGE} counts as {LARGEST_PAGE}), got another text",
            hint=Text("Ask for at least one dataset a page.", "每页至少请求一个数据集。"),
        )
    return min(int(text), LARGEST_PAGE)


def _wanted_to_json(wanted: Wanted) -> dict[str, Any]:
    since = {} if wanted.since is None else {"s": iso(wanted.since)}
    return {"w": list(wanted.words), "e": [[member.value, text] for member, text in wanted.equal], "f": list(wanted.formats), **since}


def _wanted_from_json(value: Mapping[str, Any]) -> Wanted:
    since: datetime | None = from_iso(value["s"]) if "s" in value else None
    return Wanted(tuple(value["w"]), tuple((Member(member), text) for member, text in value["e"]), tuple(value["f"]), since)


def _no_token() -> Invalid:
    return Invalid(
        "catalog.page",
        "expected a page that an answer of this catalog to the same party linked to, got another",
        hint=Text("Ask for the catalog from the beginning.", "请从头请求目录。"),
    )
