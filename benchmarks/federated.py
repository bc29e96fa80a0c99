"""A question over the products of four holders against the same question over the same four products of one holder, on real nodes.

Nodes, databases, sockets and HTTP on loopback, all in this one process. Timed is everything from the asker's text to the answer with its
receipt. Both questions take the same way: holders vet and hand over, a clean room collects, computes and releases; so the ratio is what it
costs that the products lie with four parties. ``in_duckdb_s`` is the question alone, over the same tables.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.ratios import load, plain, spent

from chengshu.catalog.model import Column, DataContract, LogicalType, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.planning.service import Asked
from chengshu.cli import publishing, verbs
from chengshu.client.following import follow
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.testing import Space

PURPOSE = "study"
HOLDERS = ("north", "east", "south", "west")
TRAITS = ("home", "work", "car")
WAIT_S = 600.0


def federated_price(rows: int, *, rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """What it costs that four products lie with four holders: seconds to the answer, and the median ratio round by round."""
    tables = made_up(rows)
    with Space(folder) as space:
        firm = town(space, tables, folder)
        apart, pooled = (question(dict(zip(tables, holders, strict=True))) for holders in (HOLDERS, ["pool"] * len(HOLDERS)))
        first = [answer(firm, sql) for sql in (apart, pooled)]
        times = [[spent(lambda sql=sql: answer(firm, sql)) for sql in (apart, pooled)] for _ in range(rounds)]
    ratios = {kind: round(median(one[0][at] / one[1][at] for one in times), 2) for at, kind in enumerate(("wall", "cpu"))}
    with plain({f"pool.{name}": table for name, table in tables.items()}, threads=threads) as database:
        alone = min(spent(lambda: database.sql(pooled).to_arrow_table())[0] for _ in range(rounds))
    return {
        "trips": rows,
        "holders": len(HOLDERS),
        "load": load(),
        "federated_s": round(median(one[0][0] for one in times), 3),
        "pooled_s": round(median(one[1][0] for one in times), 3),
        "federated_to_pooled": ratios,
        "in_duckdb_s": round(alone, 4),
        "answers_that_differ": int(first[0] != first[1]),
    }


def made_up(rows: int) -> dict[str, pa.Table]:
    """Trips of rows/20 people, and three traits of each of them; seeded, of nobody."""
    random = np.random.default_rng(20260102)
    people = max(rows // 20, 1)
    names = np.arange(people, dtype=np.int64)
    trips = {
        "person": random.integers(0, people, rows),
        "zone": random.integers(0, 20, rows),
        "fare": np.round(random.normal(50.0, 20.0, rows)),
    }
    traits = {name: pa.table({"person": names, name: random.integers(0, 3, people)}) for name in TRAITS}
    return {"trips": pa.table(trips), **traits}


def question(holders: Mapping[str, str]) -> str:
    """The question, with the holder of each product."""
    joins = " ".join(f"JOIN {holders[name]}.{name} ON trips.person = {name}.person" for name in TRAITS)
    groups = f"trips.zone, {', '.join(f'{name}.{name}' for name in TRAITS)}"
    select = f"SELECT {groups}, COUNT(DISTINCT trips.person) AS people, AVG(trips.fare) AS mean"
    return f"{select} FROM {holders['trips']}.trips {joins} GROUP BY {groups} ORDER BY {groups}"


def town(space: Space, tables: Mapping[str, pa.Table], folder: Path) -> Node:
    """Return the asker of a space in which four holders have one product each, a fifth has them all, and one more is a clean room."""
    firm = space.add("firm")
    holders = [space.add(name) for name in HOLDERS]
    pool, room = space.add("pool"), space.add("room", clean_room=True)
    policy = publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE]))
    wanted = []
    for holder, (name, table) in zip(holders, tables.items(), strict=True):
        file = folder / f"{name}.parquet"
        pq.write_table(table, file)
        for node in (holder, pool):
            columns = tuple(_column(column) for column in table.column_names)
            node.catalog.publish(document_of(contract(node, name, columns, unit="person")), source=file, policy=policy)
            wanted.append(verbs.request(firm, node.identity.did, name))
    for outcome in verbs.await_agreements(firm, wanted, timeout_s=120.0):
        if outcome["state"] != "FINALIZED":
            raise SystemExit(f"expected an agreement, got {outcome['state']}")
    return firm


def contract(node: Node, name: str, columns: tuple[Column, ...], *, unit: str) -> DataContract:
    """A product's contract: its units are protected in groups of five."""
    return DataContract(
        id=name,
        version="1.0.0",
        table=name,
        name=Text(name, name),
        owner=node.settings.node.handle,
        description="",
        columns=columns,
        privacy_unit=unit,
        minimum_group=5,
    )


def _column(name: str) -> Column:
    if name == "fare":
        return Column(name, LogicalType.NUMBER, "float64", role=Role.MEASURE, aggregates=("count", "sum", "avg"))
    return Column(name, LogicalType.INTEGER, "int64", required=True, role=Role.KEY if name == "person" else Role.GROUP)


def answer(firm: Node, sql: str) -> list[dict[str, Any]]:
    """Ask, wait for the end, and return the released rows."""
    asked = firm.queries.ask(sql, purpose=PURPOSE)
    if not isinstance(asked, Asked):
        raise SystemExit(f"expected a question that is allowed, got the refusal {asked.rule}: {asked.message}")
    standing = follow(lambda: firm.asker.standing(asked.job), timeout_s=WAIT_S)
    if standing.outcome is None or standing.outcome.state != "RELEASED":
        raise SystemExit(f"expected an answer, got {standing}")
    rows: list[dict[str, Any]] = standing.outcome.tables["answer"].to_pylist()
    return rows
