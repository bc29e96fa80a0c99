"""``not-understood``: every kind of node, and every part of a node, that is not on the list. The wall behind the named rules."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.rules.function_not_listed import LISTED
from chengshu.cleanroom.vetting.tree import every
from chengshu.cleanroom.vetting.windows import OVER
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "not-understood"
_BINARY = ("this", "expression")
_PARTS: dict[type[exp.Expr], tuple[str, ...]] = {
    **dict.fromkeys(LISTED, _BINARY),
    exp.Select: ("with_", "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset"),
    exp.With: ("expressions",),
    exp.CTE: ("this", "alias"),
    exp.TableAlias: ("this",),
    exp.Subquery: ("this", "alias"),
    exp.Union: _BINARY,
    exp.From: ("this",),
    exp.Join: ("this", "on", "side", "kind"),
    exp.Table: ("this", "db", "catalog", "alias"),
    exp.Alias: ("this", "alias"),
    exp.Identifier: ("this", "quoted"),
    exp.Column: ("this", "table", "db"),
    exp.Where: ("this",),
    exp.Group: ("expressions",),
    exp.Having: ("this",),
    exp.Order: ("expressions",),
    exp.Ordered: ("this", "desc"),
    exp.Limit: ("expression",),
    exp.Offset: ("expression",),
    exp.Paren: ("this",),
    exp.Not: ("this",),
    exp.Neg: ("this",),
    exp.In: ("this", "expressions"),
    exp.Between: ("this", "low", "high"),
    exp.Literal: ("this", "is_string"),
    exp.Boolean: ("this",),
    exp.Null: (),
    exp.Star: (),
    exp.Var: ("this",),
    exp.Interval: ("this", "unit"),
    exp.DataType: ("this", "nested"),
    exp.Distinct: ("expressions",),
    exp.Case: ("ifs", "default"),
    exp.If: ("this", "true"),
    exp.Filter: _BINARY,
    OVER: ("this", "function", "steps", "partition_by", "order", "frame"),
    exp.Count: ("this", "big_int"),
    exp.Cast: ("this", "to", "_type"),
    exp.TimestampTrunc: ("this", "unit"),
    exp.DateTrunc: ("this", "unit", "unabbreviate"),
    exp.Round: ("this", "decimals"),
    exp.Div: _BINARY,
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.Add, exp.Sub, exp.Mul), _BINARY),
}


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse the first node that is not on the list, or that carries a part that is not."""
    del terms
    for node in every(query, exp.Expr):
        parts = _PARTS.get(type(node))
        if parts is None or [name for name, value in node.args.items() if value and name not in parts]:
            return refused(
                RULE,
                node,
                why="this syntax is not vetted",
                would_pass=Text(
                    "SELECT groups and aggregates FROM party.product [JOIN … ON] [WHERE] [GROUP BY] [HAVING] [ORDER BY] [LIMIT].",
                    "SELECT 分组与聚合 FROM 参与方.产品 [JOIN … ON] [WHERE] [GROUP BY] [HAVING] [ORDER BY] [LIMIT]。",
                ),
            )
    return None
