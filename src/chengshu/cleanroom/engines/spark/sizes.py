"""How much is written, and how much may be."""

import os
import re
from pathlib import Path

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def bytes_of(words: str) -> int:
    """Return how many bytes ``4GB``, ``512MiB`` and the like are, as DuckDB reads them; raise Invalid for other words."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B)\s*", words.upper())
    if found is None or found[2] not in _UNITS:
        raise Invalid(
            "cleanroom.size",
            f"expected a size such as 4GB or 512MiB, got {words!r}",
            hint=Text("Mend cleanroom.spill_limit in chengshu.toml.", "请修正 chengshu.toml 中的 cleanroom.spill_limit。"),
        )
    return int(float(found[1]) * _UNITS[found[2]])


def bytes_in(folder: Path) -> int:
    """Return how many bytes the files below ``folder`` have; what goes while it is looked at counts for nothing."""
    return sum(_size(Path(where) / name) for where, _, names in os.walk(folder) for name in names)


def _size(file: Path) -> int:
    try:
        return file.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
