"""One table as the quality rules look at it: numpy columns, group codes, missing cells, each computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from chengshu.catalog.model import DataContract, Finding, Semantic, Severity
from chengshu.catalog.rules.tracks import Motion, Said, motion_of
from chengshu.kernel.text import Text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NO_ROWS: Ints = np.empty(0, dtype=np.int64)
FIRST_ROWS = 5
BEYOND_ANY_MEASURE = 1e6
DEGREES_PER_UNIT = {"deg": 1.0, "1e-6 deg": 1e-6, "1e-7 deg": 1e-7}


@dataclass(frozen=True, slots=True)
class Hit:
    """One rule that one column does not meet, with every row concerned (counted from 0; none for a fault of the whole source)."""

    rule: str
    column: str
    severity: Severity
    rows: Ints
    expected: str
    got: str
    hint: Text

    def finding(self) -> Finding:
        """Return the hit as a finding: rows counted from 1, the first five named."""
        rows = tuple(int(row) + 1 for row in np.sort(self.rows)[:FIRST_ROWS])
        return Finding(self.rule, self.column, self.severity, len(self.rows), rows, self.expected, self.got, self.hint)


class Sheet:
    """A table and the contract it should meet; columns are looked up by name or by what they are about."""

    def __init__(self, table: pa.Table, contract: DataContract) -> None:
        self.table = table.combine_chunks()
        self.contract = contract
        self._numbers: dict[str, Floats] = {}

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def numbers(self, name: str) -> Floats:
        """Return a numeric column as float64 with NaN for missing; whole numbers up to 2**53 are exact."""
        if name not in self._numbers:
            column = pc.cast(self.table.column(name), pa.float64(), safe=False)
            self._numbers[name] = np.asarray(column.to_numpy(), dtype=np.float64)
        return self._numbers[name]

    def about(self, semantic: Semantic) -> Floats | None:
        """Return the first column that is about ``semantic`` as numbers, or None when there is none."""
        names = self.contract.about(semantic)
        return self.numbers(names[0]) if names else None

    def is_numeric(self, name: str) -> bool:
        """Whether the column holds whole or decimal numbers."""
        kind = self.table.schema.field(name).type
        return bool(pt.is_integer(kind) or pt.is_floating(kind))

    def missing(self, name: str) -> Bools:
        """Return where the column is null, or NaN where it holds decimals."""
        return np.asarray(pc.is_null(self.table.column(name), nan_is_null=True).to_numpy(), dtype=np.bool_)

    @cached_property
    def empty_rows(self) -> Bools:
        """Where every column but the time is missing: what simulators and gateways write for a tick without vehicles."""
        times = self.contract.about(Semantic.TIME)
        others = [name for name in self.table.column_names if name not in times]
        if len(others) < 2:
            return np.zeros(self.rows, dtype=np.bool_)
        empty = np.ones(self.rows, dtype=np.bool_)
        for name in others:
            empty &= self.missing(name)
        return empty

    @cached_property
    def tracks(self) -> Ints | None:
        """One number for each moving thing, by the contract's track columns; None when it names none."""
        names = self.contract.about(Semantic.TRACK)
        return group_codes(self.table, names) if names else None

    def degrees(self, semantic: Semantic) -> Floats | None:
        """Return a latitude or longitude column in degrees, or None when the contract has none in an angular unit."""
        names = self.contract.about(semantic)
        column = self.contract.column(names[0]) if names else None
        factor = None if column is None else DEGREES_PER_UNIT.get(column.unit or "deg")
        return None if factor is None else self.numbers(names[0]) * factor

    @cached_property
    def motion(self) -> Motion | None:
        """The tracks on a plane, or None where the contract names no track, no time or no position."""
        lat, lon = self.degrees(Semantic.LATITUDE), self.degrees(Semantic.LONGITUDE)
        t_ms, track = self.about(Semantic.TIME), self.tracks
        if lat is None or lon is None or t_ms is None or track is None:
            return None
        said = Said(*(_possible(self.about(one)) for one in (Semantic.SPEED, Semantic.HEADING, Semantic.POSITION_SIGMA)))
        on_earth = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
        return motion_of(lat=np.where(on_earth, lat, np.nan), lon=lon, t_ms=t_ms, track=track, said=said)


def _possible(values: Floats | None) -> Floats | None:
    """Numbers beyond any speed, angle or error are left to the rules about cells."""
    return None if values is None else np.where(np.abs(values) < BEYOND_ANY_MEASURE, values, np.nan)


def group_codes(table: pa.Table, names: Sequence[str]) -> Ints:
    """Return a number for each row so that two rows share it exactly when they agree in all of ``names`` (null equals null)."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    groups = 1
    for name in names:
        column, size = _codes(table.column(name))
        if groups > 1 and groups * size > 2**62:
            _, codes = np.unique(codes, return_inverse=True)
            groups = int(codes.max(initial=0)) + 1
        codes = codes * size + column
        groups *= size
    return codes


def _codes(column: pa.ChunkedArray) -> tuple[Ints, int]:
    if pt.is_nested(column.type):
        seen: dict[Any, int] = {}
        codes = np.array([seen.setdefault(repr(cell), len(seen)) for cell in column.to_pylist()], dtype=np.int64)
        return codes, max(len(seen), 1)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    indices = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return indices, max(len(encoded.dictionary), 1)


def repeats(codes: Ints) -> Ints:
    """Return the rows whose code already stood in an earlier row, ascending."""
    _, first = np.unique(codes, return_index=True)
    later = np.ones(len(codes), dtype=np.bool_)
    later[first] = False
    return np.flatnonzero(later)
