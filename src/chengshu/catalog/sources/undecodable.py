"""Where a CSV stops being text in its encoding: the row and the column, found by reading again what could not be read."""

import csv
from collections.abc import Iterator
from pathlib import Path

WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7")
"""Encodings whose lines are not parted by the one byte that parts them in every other."""


def first_undecodable(path: Path, *, encoding: str, delimiter: str) -> tuple[int, str] | None:
    """Return the row (from 1 below the header) and the column of the first cell that is no text; None where that cannot be told.

    The header itself is row 0. Lines are parted before they are decoded, which GBK, GB18030, UTF-8 and the one-byte encodings allow.
    """
    if encoding in WIDE:
        return None
    lines = _Lines(path, encoding)
    header: list[str] = []
    row, cells = -1, [""]
    try:
        for row, cells in enumerate(csv.reader(lines, delimiter=delimiter)):  # noqa: B007  # the last ones are what is asked for
            header = header or cells
    except csv.Error:
        return None
    if not lines.is_broken or row < 0:
        return None
    place = max(len(cells) - 1, 0)
    return row, header[place] if row > 0 and place < len(header) else f"{place + 1}"


class _Lines:
    """The lines of a file up to its first byte that is no text."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._encoding = encoding
        self.is_broken = False

    def __iter__(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            for line in file:
                try:
                    text = line.decode(self._encoding)
                except UnicodeDecodeError as error:
                    self.is_broken = True
                    text = line[: error.start].decode(self._encoding, errors="ignore")
                yield text or "\ufffd"
                if self.is_broken:
                    return
