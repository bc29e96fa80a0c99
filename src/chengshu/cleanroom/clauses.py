"""Words that the rules share: in which clause a node stands, and how a refusal is written."""

from collections.abc import Iterator
from typing import TypeVar

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
_NODES = "chengshu.nodes"
_Node = TypeVar("_Node", bound=exp.Expr)


def refused(rule: str, node: exp.Expr, *, why: str, would_pass: Text, column: str = "") -> Refused:
    """Return the refusal of ``node`` by ``rule``: the clause it stands in, why, and what would pass."""
    clause = clause_of(node)
    facts = {"clause": clause, "column": column} if column else {"clause": clause}
    return Refused(rule, f"{clause}: {why}", would_pass, facts)


def clause_of(node: exp.Expr) -> str:
    """Return the name of the clause in which a node stands; the select list where it is no other."""
    inside: exp.Expr | None = node
    while inside is not None and not isinstance(inside, exp.Select):
        for kind, name in _CLAUSES:
            if isinstance(inside, kind):
                return name
        inside = inside.parent
    return "SELECT"


def every(query: exp.Expr, *kinds: type[_Node]) -> Iterator[_Node]:
    """Yield the nodes of these kinds in reading order; the tree is walked once for all rules, which never change it."""
    nodes = query.meta.get(_NODES)
    if nodes is None:
        nodes = query.meta[_NODES] = list(query.walk(bfs=False))
    return (node for node in nodes if isinstance(node, kinds))


def first(query: exp.Expr, *kinds: type[_Node]) -> _Node | None:
    """Return the first node of one of these kinds, in reading order."""
    return next(every(query, *kinds), None)
