"""``function-not-listed``: every function that is not on the list, known to the parser or not."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "function-not-listed"
_TIMES = (exp.TimestampTrunc, exp.DateTrunc, exp.DateBin, exp.Extract, exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute)
LISTED = frozenset({*AGGREGATES, *_TIMES, exp.Floor, exp.Round, exp.Nullif, exp.And, exp.Or, exp.Cast, exp.Case, exp.If})


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a function by its absence from the list."""
    del terms
    for node in every(query, exp.Func):
        if type(node) not in LISTED:
            return refused(
                RULE,
                node,
                why="this function is not on the list",
                would_pass=Text(
                    "COUNT, SUM, AVG, MIN, MAX, DATE_TRUNC, TIME_BUCKET, EXTRACT, FLOOR, ROUND, NULLIF; CASE in COUNT, SUM and AVG.",
                    "可用：COUNT、SUM、AVG、MIN、MAX、DATE_TRUNC、TIME_BUCKET、EXTRACT、FLOOR、ROUND、NULLIF；COUNT、SUM、AVG 中的 CASE。",
                ),
            )
    return None
