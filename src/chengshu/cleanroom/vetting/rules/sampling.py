"""``sampling``: TABLESAMPLE and USING SAMPLE, which give another answer each time and so average away."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "sampling"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every sample."""
    del terms
    node = first(query, exp.TableSample)
    if node is None:
        return None
    return refused(RULE, node, why="samples are not vetted", would_pass=Text("The same question without a sample.", "去掉抽样的同一问题。"))
