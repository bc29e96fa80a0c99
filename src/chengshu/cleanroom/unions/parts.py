"""The parts of a UNION ALL in a parsed question."""

from collections.abc import Iterator

from sqlglot import exp


def parts_of(union: exp.SetOperation) -> Iterator[exp.Expr]:
    """Yield what a chain of set operations puts under one another, in reading order."""
    waiting: list[exp.Expr] = [union]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.SetOperation):
            waiting += [node.expression, node.this]
        else:
            yield node
