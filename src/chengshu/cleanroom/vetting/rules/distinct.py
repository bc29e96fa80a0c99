"""``distinct``: SELECT DISTINCT, which lists values however few stand behind them."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "distinct"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse DISTINCT on the select list; COUNT(DISTINCT …) is judged as an aggregate."""
    del terms
    for node in every(query, exp.Select):
        if node.args.get("distinct"):
            return refused(
                RULE,
                node,
                why="DISTINCT lists single values",
                would_pass=Text(
                    "GROUP BY the same columns: values of large enough groups are shown.",
                    "对相同列使用 GROUP BY：足够大的分组会显示其取值。",
                ),
            )
    return None
