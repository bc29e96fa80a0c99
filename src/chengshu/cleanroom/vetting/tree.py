"""The parsed question's tree, walked once for everybody who asks about its nodes: rules, lineage and binding, none of which change it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from sqlglot import exp

_WALKED = "chengshu.walked"
_LEAVES = (exp.Identifier, exp.Literal)
"""Nodes with no other in them where they hold a word, as about half of all do."""
_Node = TypeVar("_Node", bound=exp.Expr)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The nodes below one in reading order, the places of each class, how many levels there are, and what was asked for before.

    ``own`` are those of single SELECTs, each by its identity.
    """

    nodes: list[exp.Expr]
    placed: dict[type[exp.Expr], list[int]]
    depth: int
    chosen: dict[tuple[type[exp.Expr], ...], list[exp.Expr]]
    own: dict[int, list[exp.Expr]] = field(default_factory=dict)


def every(query: exp.Expr, *kinds: type[_Node]) -> Iterator[_Node]:
    """Yield the nodes of these kinds in reading order; ``query`` is the whole question."""
    walked = _walked(query)
    chosen = walked.chosen.get(kinds)
    if chosen is None:
        places = [place for kind, listed in walked.placed.items() if issubclass(kind, kinds) for place in listed]
        chosen = walked.chosen[kinds] = [walked.nodes[place] for place in sorted(places)]
    return iter(chosen)  # type: ignore[arg-type]  # those of these kinds were chosen by their class


def first(query: exp.Expr, *kinds: type[_Node]) -> _Node | None:
    """Return the first node of one of these kinds, in reading order."""
    return next(every(query, *kinds), None)


def depth(query: exp.Expr) -> int:
    """Return how many levels the tree has."""
    return _walked(query).depth


def exactly(query: exp.Expr, kind: type[_Node]) -> Iterator[_Node]:
    """Yield the nodes of this very class, and none of those below it, in reading order."""
    walked = _walked(query)
    return (walked.nodes[place] for place in walked.placed.get(kind, ()))  # type: ignore[misc]  # those of this kind, by their class


def own_nodes(select: exp.Select, *kinds: type[_Node]) -> Iterator[_Node]:
    """Yield the nodes of these kinds of this SELECT, without those of the sub-queries and common tables in it."""
    if select.parent is None and first(select, exp.Subquery, exp.CTE) is None:
        return every(select, *kinds)
    known = _walked(select.root()).own
    if id(select) not in known:
        known[id(select)], _ = _read(select, below=(exp.Subquery, exp.CTE))
    return (node for node in known[id(select)] if isinstance(node, kinds))


def forget(query: exp.Expr) -> None:
    """Have the tree walked anew when somebody asks next: nodes of it were replaced."""
    query.meta.pop(_WALKED, None)


def dismantle(query: exp.Expr) -> None:
    """Take a tree apart that nobody reads again; what is left of the question is empty.

    Parents and children hold one another, so that a tree that is only let go of waits for the collector of cycles, which stops the whole
    process while it looks through everything; taken apart it is freed at once.
    """
    for node in _walked(query).nodes:
        node.parent = None
    forget(query)
    query.args.clear()


def _walked(query: exp.Expr) -> _Walked:
    known: _Walked | None = query.meta.get(_WALKED)
    if known is None:
        nodes, deepest = _read(query, below=())
        placed: dict[type[exp.Expr], list[int]] = {}
        for place, node in enumerate(nodes):
            placed.setdefault(type(node), []).append(place)
        known = query.meta[_WALKED] = _Walked(nodes, placed, deepest, {(exp.Expr,): nodes})
    return known


def _read(top: exp.Expr, *, below: tuple[type[exp.Expr], ...]) -> tuple[list[exp.Expr], int]:
    """Return the nodes in reading order, and how many levels they have; what is below the kinds in ``below`` is left out."""
    nodes: list[exp.Expr] = []
    deepest = 0
    waiting = [(1, top)]
    while waiting:
        level, node = waiting.pop()
        nodes.append(node)
        deepest = max(deepest, level)
        if (type(node) in _LEAVES and isinstance(node.this, str)) or (below and isinstance(node, below)):
            continue
        for value in reversed(node.args.values()):  # the last first: what is put down last is taken up first
            if isinstance(value, exp.Expr):
                waiting.append((level + 1, value))
            elif isinstance(value, list):
                waiting += [(level + 1, one) for one in reversed(value) if isinstance(one, exp.Expr)]
    return nodes, deepest
