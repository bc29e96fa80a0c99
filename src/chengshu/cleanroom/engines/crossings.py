"""SQL that finds groups of two questions that are about nearly the same rows, where the questions group differently.

Of a group g of the one and a group h of the other, the units that are in g and not in h are all those of g, less those of whom every row
in g is in h. So it takes each unit in each pair of groups once, and never a pair of groups with all rows of both.
"""

from chengshu.cleanroom.engines.dialects.dialect import Dialect
from chengshu.cleanroom.engines.dialects.duckdb import DUCKDB
from chengshu.cleanroom.engines.rendering import from_sql, holds_sql, scalar_sql
from chengshu.cleanroom.relation.model import Crossed, Crossings


def crossings_sql(crossings: Crossings, *, dialect: Dialect = DUCKDB) -> str:
    """Return the statement that computes ``crossings``.

    Columns of the n-th earlier question, unit by unit in each pair of groups, are whether the unit has rows of this question there (``q``),
    of the earlier one (``e``), of both at once (``b``), of this one alone (``x``) and of the earlier one alone (``y``); where rows are what
    counts they say how many. Then, for each pair of groups: ``n`` and ``o``, how many have rows outside of it, and ``w``, how many have any
    in the earlier group.
    """
    both = tuple(dict.fromkeys((*crossings.groups, *crossings.others)))
    names = [f"c{place}" for place, _ in enumerate(both)]
    ours, theirs = ([names[both.index(one)] for one in some] for some in (crossings.groups, crossings.others))
    places = range(len(crossings.earlier))
    keyed = [f"{scalar_sql(one, dialect)} AS {name}" for one, name in zip(both, names, strict=True)]
    cells = (
        _by_rows(crossings, keyed, names, dialect) if crossings.unit is None else _by_units(crossings, keyed, names, ours, theirs, dialect)
    )
    sums = [f"SUM(a{place}) {_over(ours)} - b{place} AS n{place}" for place in places]
    sums += [f"SUM(d{place}) {_over(theirs)} - h{place} AS o{place}, SUM(d{place}) {_over(theirs)} AS w{place}" for place in places]
    if crossings.share is not None:
        sums.append(f"SUM(a0) {_over(ours)} AS e0")
    compared = f"SELECT *, {', '.join(sums)} FROM ({cells})"  # noqa: S608  # only generated names
    shown = ", ".join(f"{name} AS g{place}" for place, name in enumerate(ours)) or "1 AS f0"
    nears = [_near(place, one, crossings.minimum) for place, one in enumerate(crossings.earlier)]
    if crossings.share is not None:
        statement = _grouped(f"SELECT {shown} FROM ({compared})", ours)  # noqa: S608  # only generated names
        return f"{statement} HAVING {_sure(crossings, nears)}"
    near = " OR ".join(f"({one} AND w{place} >= {crossings.minimum})" for place, one in enumerate(nears))
    return f"SELECT DISTINCT {shown} FROM ({compared}) WHERE {near}"  # noqa: S608  # only generated names


def _sure(crossings: Crossings, nears: list[str]) -> str:
    """Whether a group that even among some of the units is nearly no group of an earlier question is surely none of all.

    As many of some units are outside as are of all, or fewer. Of a pair of groups that share none of these units, all that the one has
    are outside of the other; where each lies within one of the other's, the pair that counts shares whatever units it has.
    """
    least = 1 if all(one.is_within for one in crossings.earlier) else crossings.minimum
    near = " OR ".join(f"({one})" for one in nears)
    return f"MAX(CASE WHEN {near} THEN 1 ELSE 0 END) = 0 AND MAX(e0) >= {least}"


def _near(place: int, one: Crossed, minimum: int) -> str:
    """Whether two groups share rows and are nearly one: too few outside of either."""
    conditions = [f"f{place} > 0"]
    conditions += [] if one.is_within else [f"n{place} < {minimum}"]
    conditions += [] if one.holds else [f"o{place} < {minimum}"]
    return " AND ".join(conditions)


def _by_rows(crossings: Crossings, keyed: list[str], names: list[str], dialect: Dialect) -> str:
    """For each pair of groups how many rows the one has there, the other, and both, which are outside of neither."""
    columns = []
    for place, (now, was) in enumerate(_conditions(crossings, dialect)):
        shared = f"COUNT(CASE WHEN {now} AND {was} THEN 1 END)"
        columns += [f"COUNT(CASE WHEN {now} THEN 1 END) AS a{place}", f"COUNT(CASE WHEN {was} THEN 1 END) AS d{place}"]
        columns += [f"{shared} AS b{place}", f"{shared} AS h{place}", f"{shared} AS f{place}"]
    return _grouped(_selected([*keyed, *columns], crossings, dialect), names)


def _by_units(crossings: Crossings, keyed: list[str], names: list[str], ours: list[str], theirs: list[str], dialect: Dialect) -> str:
    """The same of units: each counts in the first pair of groups that it is found in, and is outside unless all its rows are here."""
    assert crossings.unit is not None  # noqa: S101  # the caller has looked
    marks = []
    for place, (now, was) in enumerate(_conditions(crossings, dialect)):
        marks += [_any(now, f"q{place}"), _any(was, f"e{place}"), _any(f"{now} AND {was}", f"b{place}")]
        marks += [_any(f"{now} AND NOT {was}", f"x{place}"), _any(f"{was} AND NOT {now}", f"y{place}")]
    unit = f"{scalar_sql(crossings.unit, dialect)} AS u0"
    rows = _grouped(_selected([*keyed, unit, *marks], crossings, dialect), [*names, "u0"])
    known = f"SELECT * FROM ({rows}) WHERE u0 IS NOT NULL"  # noqa: S608  # only generated names
    seen = []
    for place, _ in enumerate(crossings.earlier):
        seen += [f"SUM(q{place}) {_over(['u0', *ours])} AS r{place}", f"SUM(e{place}) {_over(['u0', *theirs])} AS t{place}"]
        seen += [
            f"ROW_NUMBER() OVER (PARTITION BY {', '.join(['u0', *ours])} ORDER BY q{place} DESC) AS z{place}",
            f"ROW_NUMBER() OVER (PARTITION BY {', '.join(['u0', *theirs])} ORDER BY e{place} DESC) AS o{place}",
        ]
    numbered = f"SELECT *, {', '.join(seen)} FROM ({known})"  # noqa: S608  # only generated names
    columns = list(names)
    for place, _ in enumerate(crossings.earlier):
        columns += [_sum(f"q{place} = 1 AND z{place} = 1", f"a{place}"), _sum(f"e{place} = 1 AND o{place} = 1", f"d{place}")]
        columns += [_sum(f"b{place} = 1 AND x{place} = 0 AND r{place} = 1", f"b{place}")]
        columns += [_sum(f"b{place} = 1 AND y{place} = 0 AND t{place} = 1", f"h{place}"), _sum(f"b{place} = 1", f"f{place}")]
    return _grouped(f"SELECT {', '.join(columns)} FROM ({numbered})", names)  # noqa: S608  # only generated names


def _conditions(crossings: Crossings, dialect: Dialect) -> list[tuple[str, str]]:
    now = holds_sql(crossings.where, dialect)
    return [(now, holds_sql(one.where, dialect)) for one in crossings.earlier]


def _selected(columns: list[str], crossings: Crossings, dialect: Dialect) -> str:
    """Columns of every row that some of the questions is about, or of those of some of the units."""
    every = [holds_sql(crossings.where, dialect), *(holds_sql(one.where, dialect) for one in crossings.earlier)]
    asked = f"({' OR '.join(dict.fromkeys(every))})"
    if crossings.share is not None and crossings.unit is not None:
        asked += f" AND {dialect.one_in(crossings.share, scalar_sql(crossings.unit, dialect))}"
    return f"{from_sql(columns, crossings.sources, '', dialect)} WHERE {asked}"


def _any(condition: str, name: str) -> str:
    return f"MAX(CASE WHEN {condition} THEN 1 ELSE 0 END) AS {name}"


def _sum(condition: str, name: str) -> str:
    return f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END) AS {name}"


def _over(names: list[str]) -> str:
    return f"OVER (PARTITION BY {', '.join(names)})" if names else "OVER ()"


def _grouped(statement: str, names: list[str]) -> str:
    """By the places of the first columns: their names could be those of the product's own columns."""
    return f"{statement} GROUP BY {', '.join(str(place + 1) for place, _ in enumerate(names))}" if names else statement
