"""``query-not-listed``: a product whose agreement lists the only questions that may be asked."""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from chengshu.cleanroom.clauses import every, refused, written
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.names import table_name
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "query-not-listed"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a question that an agreement of one of its products does not list; layout, case and comments do not matter."""
    asked = None
    for table in every(query, exp.Table):
        own = terms.get(table_name(table)) if table.db else None
        if own is None or own.queries is None:
            continue
        asked = asked or written(query)
        if asked not in {_listed(one) for one in own.queries}:
            return refused(
                RULE,
                table,
                why="the agreement lists the questions that may be asked, and this is none of them",
                would_pass=Text("One of the agreement's questions, word for word.", "合约中列出的问题之一，逐字照用。"),
            )
    return None


def _listed(sql: str) -> str:
    try:
        one = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError:
        return ""
    return written(one) if isinstance(one, exp.Expr) else ""
