"""Whether a data contract fits its source, column by column: pure, by names and types, before any cell is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chengshu.catalog.model import Column, DataContract
from chengshu.catalog.ports import Found
from chengshu.kernel.text import Language, Text


class ColumnVerdict(StrEnum):
    """How a column of a contract stands to its source."""

    FITS = "fits"
    CELLS = "cells"
    MISSING = "missing"
    OTHER_TYPE = "other-type"


_WORDS = {
    ColumnVerdict.FITS: Text("fits", "相符"),
    ColumnVerdict.CELLS: Text("its cells will tell, when it is published", "须在发布时逐格判断"),
    ColumnVerdict.MISSING: Text(
        "is not there: add it to the source, or remove it from the contract", "不存在：请在数据源中补上，或从合同中删除"
    ),
    ColumnVerdict.OTHER_TYPE: Text(
        "does not become that: change the contract, or publish a view that casts it or leaves it out",
        "无法转换为该类型：请修改合同，或改为发布对其转换（或去除该列）的视图",
    ),
}


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """One column of a contract: the type it promises, the source's own type (None where there is no such column), and the verdict."""

    column: str
    wanted: str
    found: str | None
    verdict: ColumnVerdict


@dataclass(frozen=True, slots=True)
class Fit:
    """A contract held against what its source has now; ``extra`` are columns that would be kept out."""

    source: str
    columns: tuple[ColumnFit, ...]
    extra: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing of the contract is missing or of a type that does not become the promised one."""
        return all(one.verdict in {ColumnVerdict.FITS, ColumnVerdict.CELLS} for one in self.columns)

    def words(self, language: Language) -> Sequence[str]:
        """Return a sentence for each column, and one for the whole."""
        whole = Text("the contract fits", "合同相符") if self.holds else Text("the contract does not fit", "合同不相符")
        none, out = Text("nothing", "无"), Text("not in the contract: kept out", "不在合同中：不予提供")
        lines = [
            f"{one.column}: {one.found or none.of(language)} → {one.wanted}: {_WORDS[one.verdict].of(language)}" for one in self.columns
        ]
        return [*lines, *(f"{name}: {out.of(language)}" for name in self.extra), f"{self.source}: {whole.of(language)}"]

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the verdicts JSON-ready."""
        columns = [
            {
                "column": one.column,
                "wanted": one.wanted,
                "found": one.found,
                "verdict": one.verdict.value,
                "means": _WORDS[one.verdict].of(language),
            }
            for one in self.columns
        ]
        return {"source": self.source, "fits": self.holds, "columns": columns, "extra": list(self.extra)}


def fit(contract: DataContract, found: Sequence[Found], *, source: str) -> Fit:
    """Hold a contract against the columns of its source."""
    there = {one.name: one for one in found}
    columns = tuple(_column(column, there.get(column.name)) for column in contract.columns)
    return Fit(source, columns, tuple(name for name in there if contract.column(name) is None))


def _column(column: Column, found: Found | None) -> ColumnFit:
    if found is None:
        return ColumnFit(column.name, column.physical_type, None, ColumnVerdict.MISSING)
    if found.becomes is None:
        verdict = ColumnVerdict.CELLS
    else:
        verdict = ColumnVerdict.FITS if column.physical_type in found.becomes else ColumnVerdict.OTHER_TYPE
    return ColumnFit(column.name, column.physical_type, found.type, verdict)
