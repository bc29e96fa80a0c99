"""How much of a question stands in itself, told from its words before a parser goes down into it.

A parser goes down a level for every bracket. Written in Python it stops by itself; compiled it goes on until the thread's stack is used up,
which ends the node. It also reads what follows a join without ON twice, and at each further one twice again: thirty take it days.
"""

from collections.abc import Iterable

from sqlglot.tokenizer_core import TokenType

from chengshu.cleanroom.vetting.rules.too_complex import DEEPEST

MOST_WAITING = 4
"""Joins that may wait for their ON at once; questions that are let pass have one."""
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_COMPLETE = frozenset({TokenType.CROSS, TokenType.NATURAL, TokenType.POSITIONAL, TokenType.ASOF})
"""Before JOIN, these say that no ON comes; the parser does not look for one."""
_TOLD = _OPENING | _CLOSING | {TokenType.ON, TokenType.FROM, TokenType.JOIN}


def is_nested(kinds: Iterable[TokenType]) -> bool:
    """Whether brackets and CASE, or FROM behind FROM, are deeper than :data:`DEEPEST`, or more joins wait than :data:`MOST_WAITING`."""
    waiting = [0, 0]  # joins without their ON so far, in each open bracket; those around it count too
    chained = 0
    before = None
    for kind in kinds:
        if kind in _TOLD:
            chained += kind is before is TokenType.FROM
            _count(kind, before, waiting)
            if waiting[-1] > MOST_WAITING or len(waiting) + chained > DEEPEST:
                return True
        before = kind
    return False


def _count(kind: TokenType, before: TokenType | None, waiting: list[int]) -> None:
    if kind is TokenType.ON or (before is TokenType.USING and kind is TokenType.L_PAREN):
        waiting[-1] = max(waiting[-1] - 1, waiting[-2])
    if kind in _OPENING:
        waiting.append(waiting[-1])
    elif kind in _CLOSING:
        waiting[2:] = waiting[2:-1]
    elif kind is TokenType.JOIN and before not in _COMPLETE:
        waiting[-1] += 1
