"""The keys that a pack's manifest may hold: a misspelt one is named, never ignored."""

from collections.abc import Iterator, Mapping
from typing import Any

_TEXT = frozenset({"en", "zh"})
_KEYS: Mapping[str, frozenset[str]] = {
    "title": _TEXT,
    "summary": _TEXT,
    "label": _TEXT,
    "roles": _TEXT | {"id", "clean_room"},
    "products": frozenset({"id", "owner", "contract", "document"}),
    "jobs": frozenset({"id", "title", "asked_by", "method", "purpose", "products", "parameters"}),
    "queries": frozenset({"asked_by", "purpose"}),
    "source": frozenset({"method", "recording", "parameters"}),
    "map": frozenset({"product", "proj", "net_offset"}),
    "settlement": frozenset({"job", "payer", "price_fen"}),
}
_PLAIN = frozenset({"id", "version", "clauses", "maturity", "permit", "licences"})


def unknown_keys(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of every key of a manifest that has no meaning (``products.documnet``); parameters are the methods' own."""
    yield from sorted(document.keys() - _KEYS.keys() - _PLAIN)
    for section, known in _KEYS.items():
        value = document.get(section, {})
        for part in value if isinstance(value, list) else [value]:
            yield from (f"{section}.{key}" for key in sorted(part.keys() - known))
