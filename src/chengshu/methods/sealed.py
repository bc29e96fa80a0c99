"""What a method must say about itself before a clean room will run it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import pyarrow as pa

Tables = Mapping[str, pa.Table]
Run = Callable[[Tables, Mapping[str, Any]], Tables]


Kind = Literal["boolean", "integer", "double", "text"]


@dataclass(frozen=True, slots=True)
class OutputTable:
    """One table that a method may let out: exactly these columns and kinds, at most this many rows.

    One column MUST be the integer ``n``: how many protected units, or cases, the row stands for. A row below the minimum group of
    any input is held back.
    """

    columns: Mapping[str, Kind]
    most_rows: int


@dataclass(frozen=True, slots=True)
class SealedMethod:
    """A pure function on Arrow tables with its declared inputs and outputs.

    ``run`` names the function as ``module:function``, so that a room can read the declaration without loading the method's code; it takes
    the input tables by product name and JSON parameters, returns the declared tables, and MUST NOT touch files, the network or the
    clock: a room ends a method that tries. ``required`` inputs must be there; ``optional`` ones may be missing, and the output says so.
    ``codes`` are those of the errors that it leaves by; a room passes on no other, and never an error's words.
    """

    run: str
    required: frozenset[str]
    optional: frozenset[str]
    outputs: Mapping[str, OutputTable]
    codes: frozenset[str] = frozenset()

    def load(self) -> Run:
        """Return the function itself."""
        module, _, function = self.run.partition(":")
        loaded: Run = getattr(import_module(module), function)
        return loaded
