"""``join-kind``: joins other than INNER and LEFT with ON; among them ASOF, which another engine reads as an alias."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "join-kind"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse cross, comma, natural, positional, ASOF, right, full, semi and anti joins, and USING."""
    del terms
    for join in every(query, exp.Join):
        side, kind = str(join.args.get("side") or ""), str(join.args.get("kind") or "")
        known = side in {"", "LEFT"} and kind in {"", "INNER", "OUTER"} and not join.args.get("method")
        if not known or join.args.get("using") or join.args.get("on") is None:
            return refused(
                RULE,
                join,
                why="only INNER JOIN … ON and LEFT JOIN … ON are vetted",
                would_pass=Text("JOIN party.product AS b ON a.key = b.key.", "JOIN 参与方.产品 AS b ON a.键 = b.键。"),
            )
    return None
