"""``aggregate-not-listed``: aggregates that return one record's value or a list of them."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "aggregate-not-listed"
_BY_NAME = frozenset(
    {
        "histogram",
        "list",
        "array_agg",
        "first",
        "last",
        "any_value",
        "arbitrary",
        "string_agg",
        "group_concat",
        "listagg",
        "max_by",
        "min_by",
    }
    | {
        "arg_max",
        "arg_min",
        "argmax",
        "argmin",
        "arg_max_null",
        "arg_min_null",
        "quantile",
        "quantile_cont",
        "quantile_disc",
        "median",
        "mode",
    }
    | {
        "mad",
        "approx_quantile",
        "reservoir_quantile",
        "approx_top_k",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bitstring_agg",
        "product",
        "entropy",
    }
    | {"kurtosis", "skewness", "sem", "fsum", "favg", "kahan_sum", "sumkahan", "sum_no_overflow", "map_from_entries", "histogram_exact"}
)


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every aggregate but COUNT, SUM, AVG, MIN and MAX in their plain form."""
    del terms
    for node in every(query, exp.AggFunc, exp.Anonymous, exp.ParameterizedAgg):
        unknown = node.name.lower() in _BY_NAME if isinstance(node, exp.Anonymous) else type(node) not in AGGREGATES
        if unknown:
            return refused(
                RULE,
                node,
                why="this aggregate can return a single record's value",
                would_pass=Text(
                    "COUNT, SUM, AVG; MIN and MAX where the owner permits them.", "COUNT、SUM、AVG；若所有者许可，还有 MIN 与 MAX。"
                ),
            )
    return None
