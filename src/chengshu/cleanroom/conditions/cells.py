"""Which rows of a group can be told apart by the conditions of its aggregates: cells, each of which is held to what a group is held to.

Values under several conditions can be subtracted from one another: a total less a part is the rest. Whatever is made of them by adding and
subtracting is about whole cells, the rows that meet some of the conditions and none of the others. So every cell that a value is about must
be large enough, and with them everything that is made of them is: more units stand behind several cells than behind one, and by
the p%-rule, what is left without the two largest contributors is at least the sum of what is left in each cell.

A cell without a row is too small as well: to let it pass would tell that nobody is there. Only where the conditions themselves show that no
row can be in it, whatever the data, it is no cell.
"""

from collections.abc import Iterable

from chengshu.cleanroom.model import Aggregate
from chengshu.cleanroom.relation.implied import implies
from chengshu.cleanroom.relation.model import AllOf, AnyOf, Cell, Condition, Measure, Not
from chengshu.cleanroom.relation.normal import normal

MOST_CELLS = 40
"""Each costs a count of units: a year by months with its total is 13."""
Region = Condition | None
"""The rows that a value is about: those that a condition holds of, or all."""


def regions_of(measure: Measure) -> tuple[Region, ...]:
    """Return the rows that one aggregate is about: under a condition, all the others too where ELSE gives them a number."""
    if measure.when is None:
        return (None,)
    return (measure.when,) if adds_nothing_else(measure) else (measure.when, None)


def adds_nothing_else(measure: Measure) -> bool:
    """Whether rows that the condition does not hold of add nothing to an aggregate."""
    return measure.otherwise is None or (measure.function is Aggregate.SUM and measure.otherwise.value == 0)


def cells(regions: Iterable[Region], given: Condition | None) -> tuple[Cell | None, ...] | None:
    """Return the cells that must each be large enough, the regions themselves among them (None: the whole group).

    ``given`` holds of every row, and is in normal form. Nothing is returned where there would be more than :data:`MOST_CELLS`.
    """
    named = {None if one is None else normal(one): one for one in regions}
    conditions = [one for one in named if one is not None]
    found: dict[Cell | None, None] = dict.fromkeys(None if one is None else Cell((one,), ()) for one in named.values())
    parts: list[tuple[tuple[Condition, ...], tuple[Condition, ...]]] = [((), ())]
    known = () if given is None else (given,)
    for one in conditions:
        parts = [part for each in parts for part in _parted(each, one, known)]
        if len(parts) > MOST_CELLS:
            return None
    for holds, lacks in parts:
        if holds or (None in named and lacks):
            found[_cell(holds, lacks, named)] = None
    return tuple(found) if len(found) <= MOST_CELLS else None


def _cell(holds: tuple[Condition, ...], lacks: tuple[Condition, ...], named: dict[Region, Region]) -> Cell:
    """The cell in few conditions, as they were written: a normal form is never executed. What follows from others is left out."""
    needed = list(holds)
    for one in holds:
        if any(implies(other, one) for other in needed if other is not one):
            needed.remove(one)
    missing = [one for one in lacks if not any(implies(other, normal(Not(one))) for other in holds)]
    return Cell(*(tuple(written for one in some if (written := named[one]) is not None) for some in (needed, missing)))


def _parted(
    part: tuple[tuple[Condition, ...], tuple[Condition, ...]], by: Condition, known: tuple[Condition, ...]
) -> Iterable[tuple[tuple[Condition, ...], tuple[Condition, ...]]]:
    """The part in two, those of which ``by`` holds and the others, as far as each can have rows."""
    holds, lacks = part
    given = (*known, *holds)
    contrary = normal(Not(by))
    if not any(implies(one, contrary) for one in given) and not (lacks and implies(by, normal(AnyOf(lacks)))):
        yield (*holds, by), lacks
    missing = normal(AnyOf((*lacks, by)))
    if not any(implies(one, by) or implies(one, missing) for one in given):
        yield holds, (*lacks, by)


def within(*conditions: Condition | None) -> Condition | None:
    """Return the condition of the rows of which all of these hold; nothing where none of them is anything."""
    some = tuple(one for one in conditions if one is not None)
    return AllOf(some) if len(some) > 1 else some[0] if some else None
