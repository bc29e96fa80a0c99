"""``pattern``: LIKE, GLOB and regular expressions, which spell a value out letter by letter and can run for ever."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "pattern"
_KINDS = (
    exp.Like,
    exp.ILike,
    exp.SimilarTo,
    exp.Glob,
    exp.RegexpLike,
    exp.RegexpILike,
    exp.RegexpFullMatch,
    exp.RegexpExtract,
    exp.RegexpReplace,
)
_BY_NAME = frozenset(
    {"regexp_matches", "regexp_full_match", "regexp_extract", "regexp_extract_all", "regexp_replace", "regexp_split_to_array"}
)


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every pattern."""
    del terms
    for node in every(query, *_KINDS, exp.Anonymous):
        if not isinstance(node, exp.Anonymous) or node.name.lower() in _BY_NAME:
            return refused(
                RULE, node, why="patterns are not vetted", would_pass=Text("Equality or IN with constants.", "与常量的相等比较或 IN。")
            )
    return None
