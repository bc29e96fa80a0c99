"""Words that the rules share: in which clause a node stands, and how a refusal is written."""

from sqlglot import exp

from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

_CLAUSES: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Where, "WHERE"),
    (exp.Join, "JOIN"),
    (exp.Group, "GROUP BY"),
    (exp.Having, "HAVING"),
    (exp.Order, "ORDER BY"),
    (exp.Limit, "LIMIT"),
    (exp.Offset, "LIMIT"),
    (exp.From, "FROM"),
    (exp.With, "WITH"),
)


def refused(rule: str, node: exp.Expr, *, why: str, would_pass: Text, column: str = "") -> Refused:
    """Return the refusal of ``node`` by ``rule``: the clause it stands in, why, and what would pass."""
    clause = clause_of(node)
    facts = {"clause": clause, "column": column} if column else {"clause": clause}
    return Refused(rule, f"{clause}: {why}", would_pass, facts)


def clause_of(node: exp.Expr) -> str:
    """Return the name of the clause in which a node stands; the select list where it is no other."""
    inside: exp.Expr | None = node
    while inside is not None and not isinstance(inside, exp.Select):
        if isinstance(inside, exp.Filter) or isinstance(inside.parent, exp.Filter):
            return "FILTER"
        for kind, name in _CLAUSES:
            if isinstance(inside, kind):
                return name
        inside = inside.parent
    return "SELECT"
