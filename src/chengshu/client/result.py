"""What a question was answered with: the table, the room's receipt over it, and the leakage statement that both are bound to."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.asker import Standing
from chengshu.kernel.errors import ChengshuError, Denied, NotFound, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

ANSWER = "answer"
"""The name of the released table of a question in SQL."""


@dataclass(frozen=True, slots=True)
class Result:
    """One answer: ``receipt`` is the room's signed receipt, which was checked; ``plan`` is what was decided and said before it ran."""

    job: str
    table: pa.Table
    receipt: Mapping[str, Any]
    plan: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def statement(self) -> Mapping[str, Any]:
        """Who came to know what; its digest is in the job that was signed and in the receipt."""
        found: Mapping[str, Any] = self.plan["statement"]
        return found

    def arrow(self) -> pa.Table:
        """Return the answer as an Arrow table."""
        return self.table

    def pandas(self) -> Any:
        """Return the answer as a pandas DataFrame; raise NotFound where pandas is not installed."""
        _library("pandas")
        return self.table.to_pandas()

    def polars(self) -> Any:
        """Return the answer as a polars DataFrame; raise NotFound where polars is not installed."""
        return _library("polars").from_arrow(self.table)


def result_of(standing: Standing, plan: Mapping[str, Any]) -> Result:
    """Return the result of a job that has ended; raise Denied for a refusal, Unavailable for a job that failed."""
    outcome = standing.outcome
    assert outcome is not None  # noqa: S101  # a followed job has ended
    if outcome.refusal is not None:
        raise denied(outcome.refusal)
    if ANSWER not in outcome.tables or standing.receipt is None:
        why = "; ".join(outcome.notes) or "no reason"
        raise Unavailable(
            "query.failed",
            f"expected an answer, got a job that ended {standing.state}: {why}",
            hint=Text(f"Look at it with 'chengshu job show {standing.job}'.", f"用 chengshu job show {standing.job} 查看。"),
            facts={"job": standing.job},
        )
    return Result(standing.job, outcome.tables[ANSWER], standing.receipt, plan, outcome.notes)


def denied(refusal: Refused) -> ChengshuError:
    """Return a refusal as the error that leaves a Python call: its code names the rule, its hint what would pass."""
    return Denied(f"query.{refusal.rule}", refusal.message, hint=refusal.would_pass, facts={**refusal.facts, "rule": refusal.rule})


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise NotFound(
            "client.not-installed",
            f"expected {name} to be installed, got none",
            hint=Text(f"Run 'pip install {name}', or take the answer with arrow().", f"请运行 pip install {name}，或用 arrow() 取得结果。"),
        ) from error
