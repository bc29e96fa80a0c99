"""A question over a UNION ALL taken apart: what it says about the rows of each product alone."""

from collections.abc import Iterator
from dataclasses import replace

from chengshu.cleanroom.relation.model import Body, Derived, Source, Union


def separated(body: Body) -> tuple[Body, ...]:
    """Return ``body`` once for each part of the union in it, with that part in the union's place; itself where there is none.

    Columns, units and records of the part have the names that they have in the union.
    """
    for place, source in enumerate(body.sources):
        found = tuple(_separated(source))
        if found:
            return tuple(body.put(place, one) for one in found)
    return (body,)


def _separated(source: Source) -> Iterator[Source]:
    match source:
        case Union(parts=parts):
            yield from (Derived(part) for part in parts)
        case Derived(rows=rows):
            bodies = separated(rows.body)
            yield from (Derived(replace(rows, body=one)) for one in (bodies if bodies != (rows.body,) else ()))
