"""The alarm: two signed notes that do not fit one another are kept, and the log says so, in one transaction."""

from sqlalchemy import Connection

from chengshu.witness import store
from chengshu.witness.model import SplitView, size_of
from chengshu.witness.ports import Evidence

MAX_KEPT = 32
"""Pairs kept against one log under one code: one is proof enough, and nobody may fill a witness's disk or log with more."""


def sound(tx: Connection, view: SplitView, *, evidence: Evidence) -> bool:
    """Keep both notes and append ``alert.raised`` in the caller's transaction; return False where the pair is known or there are enough."""
    if store.count_views(tx, view.origin, view.code) >= MAX_KEPT or not store.add_view(tx, view):
        return False
    held, shown = view.digests
    body = {
        "code": view.code,
        "origin": view.origin,
        "sizes": [size_of(view.held), size_of(view.shown)],
        "digests": [held, shown],
        "seen_at": view.seen_at,
    }
    evidence.append(tx, "alert.raised", view.origin, body)
    return True
