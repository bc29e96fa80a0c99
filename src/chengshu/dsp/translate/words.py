"""Texts that go into documents and paths, and a stranger's texts that come out of them."""

from urllib.parse import quote

MAX_REASON = 500


def clean(text: str) -> str:
    """Return a stranger's text cut to a line of printable characters, fit for a screen or a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[:MAX_REASON])
    return " ".join(printable.split())


def segment(identifier: str) -> str:
    """Return an id as one segment of a path: ``:``, ``/`` and ``=`` are percent-encoded (RFC 3986)."""
    return quote(identifier, safe="")
