"""Which products a join must find without doubles, so that a record of somebody who is protected counts once and no more.

The asker may hold one side of a join and choose how often each key stands in it: a hundred thousand times for one driver, and a count or
a mean says whether that driver is among the others. A gate on the joined rows would only change the words of that answer, so the doubles
are looked for in the whole product, where they say nothing about anybody else's.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.relation.model import Unique
from chengshu.cleanroom.vetting.names import origin_of, sheltered_tables
from chengshu.cleanroom.vetting.tree import every


def uniques(query: exp.Select, terms: Mapping[str, ProductTerms]) -> tuple[Unique, ...]:
    """Return the keys of every product that protects nobody from the asker, one set for each ON that it takes part in.

    Where each set is unique in its product, one record of a protected product determines one row of each of them, in whatever order and
    sub-query they are joined. Nothing is asked where the question reads no protected product.
    """
    if not sheltered_tables(query, terms):
        return ()
    found: list[Unique] = []
    for join in every(query, exp.Join):
        keys: dict[tuple[str, int], set[str]] = {}
        for column in join.args["on"].find_all(exp.Column):
            origin = origin_of(column)
            if origin is not None and not any(terms[one].sheltered for one in origin.products):
                keys.setdefault((origin.product, origin.unit), set()).add(origin.column.name)
        found += [Unique(product, tuple(sorted(names))) for (product, _), names in keys.items()]
    return tuple(dict.fromkeys(found))
