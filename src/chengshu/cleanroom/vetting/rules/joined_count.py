"""``joined-count``: COUNT(*) after a join of protected records with protected records, which counts pairs and not records."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, written
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import sheltered_tables
from chengshu.cleanroom.vetting.tree import every, first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "joined-count"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse COUNT(*), and sums of numbers, where the question reads protected products twice or more: one repeats the others' records."""
    if len(sheltered_tables(query, terms)) < 2:  # one alone is repeated by nothing but what fan_out looks after
        return None
    if first(query, exp.Union) is not None:  # its parts stand under one another, and nobody else's records are joined to them
        return None
    for node in every(query, *AGGREGATES):
        found = written(node)
        if found is not None and found.counts_rows:
            return refused(
                RULE,
                node,
                why="expected a count of one product's units or values, got a count of joined pairs",
                would_pass=Text(
                    "COUNT(DISTINCT unit) of the product that is to be counted.", "对要计数的产品使用 COUNT(DISTINCT 单位列)。"
                ),
            )
    return None
