"""What every engine is handed and promises, whichever runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from chengshu.cleanroom.relation.model import VettedQuery

EngineName = Literal["duckdb", "spark"]
MOST_ROWS = 1_000_000
Stopped = Callable[[], bool]
"""Says whether somebody has stopped the question meanwhile."""


def never() -> bool:
    """Say that nobody has."""
    return False


@dataclass(frozen=True, slots=True)
class Spill:
    """An empty folder, for this job and its user alone, that what does not fit in memory goes to, and how much of it (``4GB``).

    The engine may read and write in it, and nowhere else; its files are not encrypted, so whoever calls removes the folder.
    """

    folder: Path
    limit: str


class Engine(Protocol):
    """Computes vetted questions; two engines compute the same."""

    @property
    def name(self) -> EngineName:
        """The engine's name, as the operator chooses it and the receipt names it."""
        ...

    def run(self, query: VettedQuery, tables: Mapping[str, pa.Table], *, spill: Spill | None = None, stopped: Stopped = never) -> pa.Table:
        """Return the summary of ``query`` over ``tables`` (by product name), hidden counts included; gate it before anyone sees it.

        Raises Invalid: ``cleanroom.schema-drift`` where a table lacks a declared column or holds another kind of value (checked
        before anything runs), ``cleanroom.query-timeout``, ``cleanroom.query-stopped`` once ``stopped`` says so,
        ``cleanroom.result-too-large``, and ``cleanroom.query-failed`` for whatever else the engine says, without its words.
        """
        ...
