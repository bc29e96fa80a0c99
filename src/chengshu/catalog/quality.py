"""Quality of a source against its contract: a closed list of rules, findings that name rows, and what is taken in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from chengshu.catalog.model import DataContract, QualityReport, Severity
from chengshu.catalog.rules import cells, clock, motion, position, rows, sequence
from chengshu.catalog.rules.position import FromWgs84
from chengshu.catalog.rules.sheet import NO_ROWS, Hit, Sheet
from chengshu.catalog.sources.files import FileSource
from chengshu.kernel.text import Text

Further = Callable[[pa.Table, DataContract, str], QualityReport]
"""A check beyond the contract, such as against a map: table, contract and the file's name to its findings."""

Rule = Callable[[Sheet], Iterator[Hit] | None]

RULES: tuple[tuple[str, Rule], ...] = (
    ("cells", cells.cells),
    ("empty-rows", rows.empty_rows),
    ("duplicates", rows.duplicates),
    ("unique", rows.unique_columns),
    ("order", rows.lateness),
    ("rate", rows.rate),
    ("degrees", position.degrees),
    ("sequence", sequence.order_of_numbers),
    ("jumps", sequence.jumps),
    ("speed-unit", motion.speed_unit),
    ("heading-convention", motion.heading_convention),
    ("speed-noise", motion.speed_noise),
    ("position-noise", motion.position_noise),
    ("clock-error", clock.stated_error),
)
"""Every rule that needs nothing but the table and its contract; one that cannot be applied answers None and is listed as such."""

QUARANTINE = pa.schema([("row", pa.int64()), ("rule", pa.string()), ("column", pa.string())])

_EXTRA = Text("Add the column to the data contract if it should be offered.", "如需提供该列，请将其写入数据合同。")


@dataclass(frozen=True, slots=True)
class Intake:
    """What came of taking a source in.

    ``accepted`` holds the rows that may be used, None when the source is set aside. ``quarantined`` (row, rule, column; rows
    counted from 1) lists every row that an error or a set-aside rule names. A row is in one of the two, never in neither.
    """

    accepted: pa.Table | None
    report: QualityReport
    quarantined: pa.Table

    def also(self, report: QualityReport) -> "Intake":
        """Return the intake with the findings of a further check; errors among them set the source aside."""
        merged = together(self.report, report)
        return Intake(None if merged.has_errors else self.accepted, merged, self.quarantined)


def intake(path: Path, contract: DataContract, *, within: Path | None = None) -> Intake:
    """Read and check one file; raise Invalid (naming file, row, column) for what cannot be read as the contract says."""
    reading = FileSource(path, contract, within=within).read()
    return take_in(reading.table, contract, file=path.name, extra_columns=reading.extra_columns)


def take_in(table: pa.Table, contract: DataContract, *, file: str, extra_columns: Iterable[str] = ()) -> Intake:
    """Check a table and divide it: rows to use, rows set aside with the rule, or the whole source set aside."""
    hits, report = _apply(table, contract, file=file, extra_columns=extra_columns)
    quarantined = _quarantined(hits)
    if report.has_errors:
        return Intake(None, report, quarantined)
    return Intake(_without(table, hits), report, quarantined)


def usable_rows(table: pa.Table, contract: DataContract) -> pa.Table:
    """Return the table without the rows that :func:`take_in` sets aside: empty ticks, exact copies, things under one name in two places."""
    sheet = Sheet(table, contract)
    return _without(table, [*rows.empty_rows(sheet), *rows.duplicates(sheet), *(sequence.jumps(sheet) or ())])


def check(table: pa.Table, contract: DataContract, *, file: str, extra_columns: Iterable[str] = ()) -> QualityReport:
    """Return what is wrong with ``table`` against ``contract``; pure, and no cell's content is in the report."""
    return _apply(table, contract, file=file, extra_columns=extra_columns)[1]


def check_position(table: pa.Table, contract: DataContract, *, file: str, lanes: pa.Table, from_wgs84: FromWgs84) -> QualityReport:
    """Return what is wrong with the positions against a road network: off the road, commonly shifted (GCJ-02), or biased.

    ``lanes`` has columns xs and ys (lists of metres); ``from_wgs84(lat, lon)`` returns metres on the same plane.
    """
    sheet, roads = Sheet(table, contract), position.roads_of(lanes, from_wgs84)
    off = _answer("on-road", position.on_road(sheet, roads))
    if off.hits:  # a bias of metres cannot be told where the whole source is elsewhere
        return _report(file, sheet, [off])
    return _report(file, sheet, [off, _answer("lane-bias", position.lane_bias(sheet, roads))])


def together(first: QualityReport, *others: QualityReport) -> QualityReport:
    """Return one report of several checks of the same source."""
    reports = (first, *others)
    return replace(
        first,
        findings=tuple(finding for report in reports for finding in report.findings),
        checked=tuple(name for report in reports for name in report.checked),
        not_checked=tuple(name for report in reports for name in report.not_checked),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one rule said; ``hits`` None where it could not be applied."""

    rule: str
    hits: list[Hit] | None


def _answer(rule: str, hits: Iterator[Hit] | None) -> _Answer:
    return _Answer(rule, None if hits is None else list(hits))


def _apply(table: pa.Table, contract: DataContract, *, file: str, extra_columns: Iterable[str]) -> tuple[list[Hit], QualityReport]:
    sheet = Sheet(table, contract)
    extra = [
        Hit("extra-column", name, Severity.WARNING, NO_ROWS, "the contract's columns", "another, kept out", _EXTRA)
        for name in extra_columns
    ]
    answers = [_Answer("columns", extra), *(_answer(name, rule(sheet)) for name, rule in RULES)]
    hits = [hit for answer in answers for hit in answer.hits or []]
    return hits, _report(file, sheet, answers)


def _report(file: str, sheet: Sheet, answers: list[_Answer]) -> QualityReport:
    return QualityReport(
        file=file,
        rows=sheet.rows,
        findings=tuple(hit.finding() for answer in answers for hit in answer.hits or []),
        checked=tuple(answer.rule for answer in answers if answer.hits is not None),
        not_checked=tuple(answer.rule for answer in answers if answer.hits is None),
    )


def _without(table: pa.Table, hits: list[Hit]) -> pa.Table:
    kept = np.ones(table.num_rows, dtype=np.bool_)
    kept[np.concatenate([NO_ROWS, *(hit.rows for hit in hits if hit.severity is Severity.ROWS)])] = False
    return table if kept.all() else table.filter(pa.array(kept))


def _quarantined(hits: list[Hit]) -> pa.Table:
    named = [hit for hit in hits if hit.severity is not Severity.WARNING]
    return pa.table(
        {
            "row": pa.array(np.concatenate([NO_ROWS, *(hit.rows + 1 for hit in named)]), pa.int64()),
            "rule": pa.array([hit.rule for hit in named for _ in hit.rows], pa.string()),
            "column": pa.array([hit.column for hit in named for _ in hit.rows], pa.string()),
        },
        schema=QUARANTINE,
    )
