"""``set-operation``: UNION, INTERSECT and EXCEPT, which compare the presence of single rows; and UNION ALL in other than its plain form.

UNION ALL puts the rows of several products under one another, so that one question is asked of all of their owners. It adds nothing up that
was not there before only where no record stands in it twice, and where nobody else's records are joined to it.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.unions.parts import parts_of
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import table_name
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "set-operation"
_WOULD_PASS = Text(
    "One FROM (SELECT columns FROM party.product [WHERE …] UNION ALL SELECT … UNION ALL …) over different products; or each SELECT alone.",
    "一个 FROM (SELECT 列 FROM 参与方.产品 [WHERE …] UNION ALL SELECT … UNION ALL …)，各部分为不同产品；或将每条 SELECT 单独提出。",
)


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every set operation but one UNION ALL, in FROM, JOIN or WITH, of plain rows of one product each."""
    unions = [node for node in every(query, exp.SetOperation) if not isinstance(node.parent, exp.SetOperation)]
    if not unions:
        return None
    top = unions[0]
    if len(unions) > 1 or not _is_source(top):
        return _refused(top, "expected one UNION ALL, in FROM or WITH")
    if not all(_is_all(node) for node in every(query, exp.SetOperation)):
        return _refused(top, "UNION that drops what is there twice, INTERSECT and EXCEPT are not vetted")
    parts = list(parts_of(top))
    if not all(_is_plain(part) for part in parts):
        return _refused(top, "expected parts that each select columns of one product, without a join or a sub-query")
    if len({len(part.expressions) for part in parts}) > 1:
        return _refused(top, "expected as many columns in each part")
    return _beside(query, parts, terms)


def _beside(query: exp.Expr, parts: list[exp.Expr], terms: Mapping[str, ProductTerms]) -> Refused | None:
    """A product that is read twice would repeat its records; a joined one would be told by the others' records."""
    within = [table_name(part.args["from_"].this) for part in parts]
    if len(set(within)) != len(within):
        return _refused(parts[0], "expected different products in the parts")
    read = [table_name(table) for table in every(query, exp.Table) if table.db]
    others = list(read)
    for name in within:
        others.remove(name)
    wrong = [name for name in others if name in within or (name in terms and terms[name].sheltered)]
    return _refused(parts[0], f"expected only public products, or one's own, joined to a UNION ALL, got {wrong[0]}") if wrong else None


def _is_source(union: exp.Expr) -> bool:
    parent = union.parent
    if isinstance(parent, exp.CTE):
        return True
    return isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.From | exp.Join) and parent.arg_key == "this"


def _is_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Union) and set(_said(node)) <= {"this", "expression"} and node.args.get("distinct") is False


def _is_plain(part: exp.Expr) -> bool:
    if not isinstance(part, exp.Select) or not set(_said(part)) <= {"expressions", "from_", "where"} or not part.args.get("from_"):
        return False
    table = part.args["from_"].this
    return isinstance(table, exp.Table) and bool(table.db)


def _said(node: exp.Expr) -> list[str]:
    return [name for name, value in node.args.items() if value not in (None, False, [])]


def _refused(node: exp.Expr, why: str) -> Refused:
    return refused(RULE, node, why=why, would_pass=_WOULD_PASS)
