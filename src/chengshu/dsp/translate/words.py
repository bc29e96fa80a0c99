"""Texts that go into documents and paths, and a stranger's texts that come out of them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from chengshu.kernel.machine import Role, Sided, pids

MAX_REASON = 500
MAX_REASONS = 8


def clean(text: str) -> str:
    """Return a stranger's text cut to a line of printable characters, fit for a screen or a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[:MAX_REASON])
    return " ".join(printable.split())


def reasons_in(items: Sequence[Any] | None) -> tuple[str, ...]:
    """Return the first few reasons of a stranger's message as lines: texts, or objects that hold one (``@value``, ``message``)."""
    texts = [item if isinstance(item, str) else _held(item) for item in (items or [])[:MAX_REASONS]]
    return tuple(clean(text) for text in texts if text)


def _held(item: Any) -> str:
    found = [item[key] for key in ("@value", "message") if key in item] if isinstance(item, dict) else []
    return found[0] if found and isinstance(found[0], str) else ""


def pids_in_words(process: Sided) -> dict[str, str]:
    """Return both pids of a process as its documents have them; one that the counterparty has yet to tell us is an empty string."""
    known = pids(process)
    return {"consumerPid": known[Role.CONSUMER] or "", "providerPid": known[Role.PROVIDER] or ""}


def segment(identifier: str) -> str:
    """Return an id as one segment of a path: ``:``, ``/`` and ``=`` are percent-encoded (RFC 3986)."""
    return quote(identifier, safe="")
