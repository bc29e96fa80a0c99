"""A plug-in of two small sealed methods, installed beside its own metadata as any distribution is."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pyarrow as pa

from chengshu.methods.sealed import OutputTable, SealedMethod, Tables

COALITIONS = OutputTable(columns={"coalition": "text", "seen": "integer", "n": "integer"}, most_rows=64)

WORTH = SealedMethod(
    run="small_methods:worth",
    required=frozenset({"counts"}),
    optional=frozenset({"trips"}),
    outputs={"coalitions": COALITIONS},
)
UNSAID = SealedMethod(run="small_methods:unsaid", required=frozenset({"counts"}), optional=frozenset(), outputs={"coalitions": COALITIONS})


def worth(tables: Tables, parameters: Mapping[str, Any]) -> Tables:
    """How many of the parameters' ``n`` cases each coalition of the given parties sees: its distinct vehicles."""
    parties = {parameters["parties"][name]: set(table["vehicle"].to_pylist()) for name, table in tables.items()}
    rows = []
    for size in range(len(parties) + 1):
        for members in combinations(sorted(parties), size):
            seen = len(set[str]().union(*(parties[one] for one in members)))
            rows.append({"coalition": "+".join(members), "seen": seen, "n": parameters["n"]})
    return {"coalitions": pa.Table.from_pylist(rows)}


def unsaid(tables: Tables, _parameters: Mapping[str, Any]) -> Tables:
    """A table that the method does not declare: the rows themselves."""
    return {"rows": tables["counts"]}
