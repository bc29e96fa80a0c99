"""The parsed question's tree, walked once for everybody who asks about its nodes: rules, lineage and binding, none of which change it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from sqlglot import exp

_WALKED = "chengshu.walked"
_Node = TypeVar("_Node", bound=exp.Expr)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The nodes below one, by their class, each with its place in reading order; and how many levels there are."""

    placed: dict[type[exp.Expr], list[tuple[int, exp.Expr]]]
    depth: int


def every(query: exp.Expr, *kinds: type[_Node]) -> Iterator[_Node]:
    """Yield the nodes of these kinds in reading order; ``query`` is the whole question."""
    found = [listed for kind, listed in _walked(query).placed.items() if issubclass(kind, kinds)]
    for _, node in sorted((one for listed in found for one in listed), key=_place) if len(found) > 1 else (found[0] if found else ()):
        yield node  # type: ignore[misc]  # those of these kinds were chosen by their class


def first(query: exp.Expr, *kinds: type[_Node]) -> _Node | None:
    """Return the first node of one of these kinds, in reading order."""
    return next(every(query, *kinds), None)


def depth(query: exp.Expr) -> int:
    """Return how many levels the tree has."""
    return _walked(query).depth


def own_nodes(select: exp.Select) -> Iterator[exp.Expr]:
    """Yield the nodes of this SELECT without those of the sub-queries and common tables in it."""
    if select.parent is None and first(select, exp.Subquery, exp.CTE) is None:
        return every(select, exp.Expr)
    return (node for _, node in _walk(select, below=(exp.Subquery, exp.CTE)))


def _walked(query: exp.Expr) -> _Walked:
    known: _Walked | None = query.meta.get(_WALKED)
    if known is None:
        placed: dict[type[exp.Expr], list[tuple[int, exp.Expr]]] = {}
        deepest = 0
        for place, (level, node) in enumerate(_walk(query, below=())):
            placed.setdefault(type(node), []).append((place, node))
            deepest = max(deepest, level)
        known = query.meta[_WALKED] = _Walked(placed, deepest)
    return known


def _walk(top: exp.Expr, *, below: tuple[type[exp.Expr], ...]) -> Iterator[tuple[int, exp.Expr]]:
    """Yield the nodes with their levels in reading order; what is below the kinds in ``below`` is left out."""
    waiting = [(1, top)]
    while waiting:
        level, node = waiting.pop()
        yield level, node
        if not isinstance(node, below):
            waiting += [(level + 1, child) for child in _children(node)]


def _children(node: exp.Expr) -> list[exp.Expr]:
    """The nodes right below one, the last first."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        if isinstance(value, exp.Expr):
            found.append(value)
        elif isinstance(value, list):
            found += [one for one in value if isinstance(one, exp.Expr)]
    found.reverse()
    return found


def _place(one: tuple[int, exp.Expr]) -> int:
    return one[0]
