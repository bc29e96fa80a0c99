"""What a table itself says about its keys: whether they ascend, as most are kept, and whether several together are there once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

_LOOKED_AT = 65_536
"""So many rows of a key are looked at before more of them are."""
_LONGEST_RUN = 64
"""Rows with one value of an ascending key that are compared with one another; with more of them, an engine finds equal ones sooner."""
_Values = np.ndarray[Any, Any]


class Keys:
    """The keys of a question's tables; each is looked through once."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables
        self._ascending: dict[tuple[str, str], bool] = {}

    def is_ascending(self, product: str, column: str) -> bool:
        """Say whether a column is in strictly ascending order; then every row has a value in it, and none is there twice."""
        if (product, column) not in self._ascending:
            (values,) = self._columns(product, (column,))
            self._ascending[product, column] = _is_known(values) and _goes_up(values, np.greater)
        return self._ascending[product, column]

    def is_unique(self, product: str, columns: Sequence[str]) -> bool | None:
        """Say whether no two rows have the same values in all of these columns; None where only a look at all rows at once tells."""
        if len(columns) == 1:
            return True if self.is_ascending(product, columns[0]) else None
        every = self._columns(product, columns)
        if not all(map(_is_known, every)):
            return None
        for place, first in enumerate(every):
            said = _are_apart([first, *every[:place], *every[place + 1 :]]) if _goes_up(first, np.greater_equal) else None
            if said is not None:
                return said
        return None

    def _columns(self, product: str, columns: Sequence[str]) -> list[pa.ChunkedArray]:
        return [self._tables[product].column(one) for one in columns]


def _is_known(values: pa.ChunkedArray) -> bool:
    """Whether its values are whole numbers or dates, none of them missing."""
    return (pa.types.is_integer(values.type) or pa.types.is_date(values.type)) and not values.null_count


def _goes_up(values: pa.ChunkedArray, follows: np.ufunc) -> bool:
    """Whether each value ``follows`` the one before it."""
    last = None
    for (own,) in _some(values):
        if not follows(own[1:], own[:-1]).all() or (last is not None and not follows(own[0], last)):
            return False
        last = own[-1]
    return True


def _are_apart(columns: Sequence[pa.ChunkedArray]) -> bool | None:
    """Whether no two rows are equal, the first column of which never goes down, so that equal rows are near one another."""
    before = None
    for rows in _some(*columns):
        # with the last of the rows before these in front
        first, *others = own = rows if before is None else [np.concatenate(pair) for pair in zip(before, rows, strict=True)]
        before = [one[-_LONGEST_RUN:] for one in own]
        for distance in range(1, len(first)):
            near = first[distance:] == first[:-distance]
            if not near.any():
                break
            if distance == _LONGEST_RUN:
                return None
            for other in others:
                near &= other[distance:] == other[:-distance]
            if near.any():
                return False
    return True


def _some(*columns: pa.ChunkedArray) -> Iterator[list[_Values]]:
    """Yield the values of columns, some rows at a time, as they lie in memory: dates as the days or milliseconds that they are."""
    for batch in pa.table(list(columns), names=[str(place) for place, _ in enumerate(columns)]).to_batches(max_chunksize=_LOOKED_AT):
        if batch.num_rows:
            yield [_numbers(column) for column in batch.columns]


def _numbers(values: pa.Array) -> _Values:
    if pa.types.is_date(values.type):
        values = values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())  # date32, date64
    numbers: _Values = values.to_numpy()
    return numbers
