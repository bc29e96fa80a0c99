"""The hidden columns of a question: what must stand behind each group, and behind each cell that the conditions of its aggregates make."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chengshu.cleanroom.conditions.cells import Region, cells, regions_of
from chengshu.cleanroom.model import Aggregate, ProductTerms
from chengshu.cleanroom.relation.model import Cell, Condition, Dominance, Measure, Ref, Single, UnitCount
from chengshu.cleanroom.relation.normal import normal
from chengshu.cleanroom.vetting.row_binding import Unit, not_understood


@dataclass(frozen=True, slots=True)
class Owned:
    """An aggregate, and whose units its values are about: those of one product, or of each that a UNION ALL is made of."""

    measure: Measure
    units: tuple[Unit, ...]


def weighs(measure: Measure) -> bool:
    """Whether a row that stands there twice counts twice."""
    return measure.function in {Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG} and not measure.distinct


def given(measures: Sequence[Owned], where: Condition | None) -> Condition | None:
    """Return what holds of every row, in normal form, where the measures' conditions make it matter."""
    return None if where is None or all(one.measure.when is None for one in measures) else normal(where)


def counts(measures: Sequence[Owned], units: Sequence[Unit], known: Condition | None) -> tuple[UnitCount, ...]:
    """Return the counts that the gate needs: the units of each product, and those with a value for each measure.

    Where aggregates have conditions, the records and units of each of their cells too; ``known`` is what :func:`given` returns.
    """
    wanted = [UnitCount(unit.product, unit.minimum, unit.ref, None) for unit in units]
    for cell in _cells((region for one in measures for region in regions_of(one.measure)), known):
        if cell is not None:
            wanted.append(UnitCount(units[0].product, max(unit.minimum for unit in units), None, None, cell))
            wanted += [UnitCount(unit.product, unit.minimum, unit.ref, None, cell) for unit in units]
    for of, unit, some in _by_value(measures):
        if of != unit.ref:
            wanted += [UnitCount(unit.product, unit.minimum, unit.ref, of, cell) for cell in _cells((one.when for one in some), known)]
    return tuple(dict.fromkeys(one for one in wanted if one.minimum > 1))


def singles(measures: Sequence[Owned]) -> tuple[Single, ...]:
    """Return the marks that the gate needs after a join: for each sum, mean and count of values, that no record repeats."""
    wanted = (
        Single(unit.product, unit.record, one.measure.of)
        for one in measures
        for unit in one.units
        if weighs(one.measure) and isinstance(one.measure.of, Ref) and unit.record is not None
    )
    return tuple(dict.fromkeys(wanted))


def dominances(measures: Sequence[Owned], terms: Mapping[str, ProductTerms], known: Condition | None) -> tuple[Dominance, ...]:
    """Return the marks that the gate needs where an owner does not want sums, or means, which are sums, that one unit makes up."""
    added = [one for one in measures if one.measure.function in {Aggregate.SUM, Aggregate.AVG}]
    wanted = []
    for of, unit, some in _by_value(added):
        percent = terms[unit.product].schema.dominance_percent
        if percent is not None:
            parts, record = _cells((one.when for one in some), known), unit.record if unit.parted else None
            wanted += [Dominance(unit.product, percent, of, unit.ref, some[0].column, cell, record) for cell in parts]
    return tuple(dict.fromkeys(wanted))


def _by_value(measures: Sequence[Owned]) -> Iterator[tuple[Ref, Unit, list[Measure]]]:
    """The aggregates by the value that they are of: what is made of a value by adding and subtracting is made of all of them."""
    found: dict[tuple[Ref, Unit], list[Measure]] = {}
    for one in measures:
        if isinstance(one.measure.of, Ref):
            for unit in one.units:
                found.setdefault((one.measure.of, unit), []).append(one.measure)
    return ((of, unit, some) for (of, unit), some in found.items())


def _cells(regions: Iterable[Region], known: Condition | None) -> tuple[Cell | None, ...]:
    found = cells(regions, known)
    if found is None:
        raise not_understood("conditions that make fewer cells")
    return found
