"""A method that does nothing, with which a room finds out what its kernel offers."""

from collections.abc import Mapping
from typing import Any


def run(_tables: Mapping[str, Any], _parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return no table."""
    return {}
