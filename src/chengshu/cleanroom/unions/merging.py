"""What a column of a UNION ALL may be used for: whatever the owner of every part permits, and nothing else."""

from chengshu.cleanroom.model import Aggregate, Column, ColumnType, Role

_ORDER = (
    (Role.FREE, frozenset({Role.FREE})),
    (Role.GROUP, frozenset({Role.GROUP, Role.FREE})),
    (Role.FILTER, frozenset({Role.FILTER, Role.GROUP, Role.FREE})),
    (Role.KEY, frozenset({Role.KEY, Role.FREE})),
)
"""The roles from the widest, each with those that permit all that it does."""


def merged(columns: tuple[Column, ...]) -> Column:
    """Return the column that stands for ``columns``, which are of one type, one of each part; it has the first one's name.

    Decimals become doubles: no decimal holds those of two products whatever their digits, and a conversion that fails tells of a value.
    Where measures are clipped to different ranges they are only counted: one range for all would change somebody's values.
    """
    first = columns[0]
    kind = ColumnType.DOUBLE if first.type is ColumnType.DECIMAL else first.type
    roles = {column.role for column in columns}
    if Role.HIDDEN in roles:
        return Column(first.name, kind, Role.HIDDEN)
    role = next((role for role, within in _ORDER if roles <= within), None)
    if role is not None:
        return Column(first.name, kind, role, operators=frozenset.intersection(*(column.operators for column in columns)))
    permitted = frozenset(Aggregate).intersection(*(column.permitted for column in columns))
    if not same_range(columns):
        return Column(first.name, kind, Role.MEASURE, permitted & {Aggregate.COUNT})
    return Column(first.name, kind, Role.MEASURE, permitted, first.lower, first.upper)


def same_range(columns: tuple[Column, ...]) -> bool:
    """Whether all of ``columns`` are clipped to one range."""
    return len({(column.lower, column.upper) for column in columns}) == 1
