"""Rules about clocks: the error a source states of its own. Whether two clocks agree is found where several parties' data meet."""

from collections.abc import Iterator

import numpy as np

from chengshu.catalog.model import Semantic, Severity
from chengshu.catalog.rules.sheet import Hit, Sheet
from chengshu.catalog.rules.tracks import Floats
from chengshu.kernel.text import Text

BUDGET_MS = 100.0
LIMIT_MS = 200.0
"""Measured: 100 ms costs 2 points of recall and 500 ms costs 17; above 200 ms a source is not used for times to collision."""

_CLOCK = Text(
    "Synchronise the device's clock (NTP or GNSS time) and publish again; use the data for counts meanwhile.",
    "请校准设备时钟（NTP 或卫星授时）后重新发布；其间数据只宜用于计数。",
)


def stated_error(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield rows whose stated clock error is above the budget (flagged) or above the limit for times to collision (an error)."""
    error = sheet.about(Semantic.CLOCK_ERROR)
    if error is None:
        return None
    return _judge_stated(sheet, np.nan_to_num(np.abs(error)))


def _judge_stated(sheet: Sheet, error: Floats) -> Iterator[Hit]:
    column = sheet.contract.about(Semantic.CLOCK_ERROR)[0]
    over, above = np.flatnonzero(error > LIMIT_MS), np.flatnonzero((error > BUDGET_MS) & (error <= LIMIT_MS))
    if len(over):
        yield Hit("clock-error", column, Severity.ERROR, over, f"at most {LIMIT_MS:g} ms", "more", _CLOCK)
    if len(above):
        yield Hit("clock-error", column, Severity.WARNING, above, f"at most {BUDGET_MS:g} ms", "more", _CLOCK)
