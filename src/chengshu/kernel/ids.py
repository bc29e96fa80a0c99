"""Identifiers are passed in: a source of ids is a function that returns a new one."""

import uuid
from collections.abc import Callable

NewId = Callable[[], str]


def new_id() -> str:
    """Return a fresh random identifier as a UUID URN (RFC 9562, version 4, operating-system randomness)."""
    return uuid.uuid4().urn
