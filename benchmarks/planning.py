"""How long it takes to read, vet and plan a question: ``python -m benchmarks.planning [--rounds N] [--out build/bench/planning.json]``.

Three nodes and a clean room with real agreements, real databases and sockets on loopback; questions of 200 lines. Timed is everything from
the text to the cheapest plan with its leakage statement, given what the holders told: the read of the node's database is in it. CPU time is
what the promise is about, since a busy machine makes the other as long as it likes; both are kept. ``with_holders`` asks the holders too.
The process looks for objects that hold one another as seldom as one that serves a node. Every time is of a question read from its text.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.federated import contract
from benchmarks.judging import BUILD, machine, record

from chengshu.catalog.model import Column, LogicalType, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.planning.choosing import Choice, Question, choose
from chengshu.cleanroom.planning.sources import Source, Sources
from chengshu.cleanroom.vetting.vetter import Parsed, read
from chengshu.cli import publishing, verbs
from chengshu.contract.model import Agreement
from chengshu.kernel.clock import system_clock
from chengshu.kernel.cycles import settle
from chengshu.kernel.ids import new_id
from chengshu.node import Node
from chengshu.policy.evaluation import Report
from chengshu.policy.model import Use
from chengshu.testing import Space

PURPOSE = "study"
LINES = 200
ROUNDS = 200
MEASURES = tuple(f"m{number:02d}" for number in range(60))
GROUPS = tuple(f"g{number}" for number in range(6))


def main() -> None:
    """Measure every question, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "planning.json")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, Space(Path(folder)) as space:
        firm = town(space)
        settle()
        questions = {name: measured(firm, sql, rounds=options.rounds) for name, sql in QUESTIONS.items()}
    worst = max(one["cpu_ms"]["p95"] for one in questions.values())
    record(
        options.out,
        {
            "lines": LINES,
            "questions": questions,
            "worst_cpu_ms_p95": worst,
            "load": round(os.getloadavg()[0], 1),
            **machine("sqlglot", "pyarrow"),
        },
    )


def town(space: Space) -> Node:
    """Return the asker of a space in which two holders' products are under agreement with it."""
    road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
    room = space.add("room", clean_room=True)
    terms = publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE]))
    for holder, product in ((road, "counts"), (fleet, "trips")):
        publish(holder, product, policy=terms)
        negotiation = verbs.request(firm, holder.identity.did, product)
        (outcome,) = verbs.await_agreements(firm, [negotiation], timeout_s=120.0)
        if outcome["state"] != "FINALIZED":
            raise SystemExit(f"expected an agreement on {product}, got {outcome['state']}")
    return firm


def publish(node: Node, name: str, *, policy: dict[str, Any]) -> None:
    """Publish a small product with many columns."""
    file = node.folder / f"{name}.parquet"
    row = {"vehicle": "v0", **dict.fromkeys(GROUPS, "a"), **dict.fromkeys(MEASURES, 1.0)}
    pq.write_table(pa.Table.from_pylist([row]), file)
    columns = (
        Column("vehicle", LogicalType.STRING, "string", required=True, role=Role.KEY),
        *(Column(one, LogicalType.STRING, "string", role=Role.GROUP) for one in GROUPS),
        *(Column(one, LogicalType.NUMBER, "float64", role=Role.MEASURE, aggregates=("count", "sum", "avg")) for one in MEASURES),
    )
    node.catalog.publish(document_of(contract(node, name, columns, unit="vehicle")), source=file, policy=policy)


def measured(firm: Node, sql: str, *, rounds: int) -> dict[str, Any]:
    """Return the times of one question."""
    if sql.count("\n") + 1 != LINES:
        raise SystemExit(f"expected a question of {LINES} lines, got {sql.count(chr(10)) + 1}")
    sources = Sources(identity=firm.identity, nodes=firm.nodes, contracts=firm.contracts, holder=firm.holder)
    parsed = read(sql)
    if not isinstance(parsed, Parsed):
        raise SystemExit(f"expected a question that parses, got {parsed.message}")
    found = sources.find(parsed.products)
    if not isinstance(found, list):
        raise SystemExit(f"expected agreements on all products, got {found.message}")
    rooms = [party.did for party in firm.identity.list() if "clean-room" in party.roles]
    plan(firm, sql, found, rooms)
    cpu, wall = timed(lambda: plan(firm, sql, found, rooms), rounds=rounds)
    _, whole = timed(lambda: firm.queries.plan(sql, purpose=PURPOSE), rounds=max(rounds // 10, 1))
    return {
        "products": len(parsed.products),
        "characters": len(sql),
        "cpu_ms": quantiles(cpu),
        "wall_ms": quantiles(wall),
        "with_holders_wall_ms": quantiles(whole),
    }


def plan(firm: Node, sql: str, sources: list[Source], rooms: list[str]) -> None:
    """Read, vet and plan a question once, with agreements whose policies nobody has read yet."""
    parsed = read(sql)
    if not isinstance(parsed, Parsed):
        raise SystemExit(parsed.message)
    sources = [replace(one, held=tuple(replace(held, agreement=replace(held.agreement)) for held in one.held)) for one in sources]
    question = Question(firm.identity.did, sql, parsed, PURPOSE, sources, rooms, None, system_clock())
    with firm.database.read() as tx:

        def judge(agreement: Agreement, use: Use) -> Report:
            return firm.contracts.report(tx, agreement, use)

        choice = choose(question, judge=judge, digests=firm.digests, new_id=new_id)
    if not isinstance(choice, Choice):
        raise SystemExit(f"expected a plan, got {choice.rule}: {choice.message}")


def timed(work: Callable[[], object], *, rounds: int) -> tuple[list[float], list[float]]:
    """Return CPU and wall time of so many rounds, in ms."""
    cpu, wall = [], []
    for _ in range(rounds):
        began, began_cpu = time.perf_counter(), time.thread_time()
        work()
        cpu.append((time.thread_time() - began_cpu) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
    return cpu, wall


def quantiles(times: list[float]) -> dict[str, float]:
    """Return median and 95th of a hundred."""
    ordered = sorted(times)
    return {"p50": round(ordered[len(ordered) // 2], 2), "p95": round(ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)], 2)}


def _lines(*parts: list[str]) -> str:
    """The parts, padded to the length by a list of constants in the last."""
    above = [line for part in parts for line in part]
    padding = LINES - len(above) - 3
    return "\n".join([*above[:-1], "AND t.g5 NOT IN (", *(f"  'v{number}'," for number in range(padding + 1)), "  'last'", above[-1]])


QUESTIONS = {
    "aggregates": _lines(
        ["SELECT t.g0, t.g1,"],
        [f"  AVG(t.{one}) AS avg_{one}," for one in MEASURES],
        [
            "  COUNT(DISTINCT t.vehicle) AS vehicles",
            "FROM road.counts t",
            "WHERE t.g2 = 'a'",
            ") GROUP BY t.g0, t.g1 ORDER BY vehicles DESC",
        ],
    ),
    "joined": _lines(
        ["SELECT t.g0, s.g1,"],
        [f"  SUM(t.{one}) / NULLIF(COUNT(t.{one}), 0) AS mean_{one}," for one in MEASURES[:20]],
        [f"  AVG(s.{one}) AS avg_{one}," for one in MEASURES[:20]],
        [
            "  COUNT(DISTINCT t.vehicle) AS vehicles",
            "FROM road.counts t",
            "JOIN fleet.trips s ON t.vehicle = s.vehicle",
            "WHERE t.g2 = 'a'",
        ],
        [f"AND s.g3 <> 'no {number}'" for number in range(40)],
        [") GROUP BY t.g0, s.g1 HAVING COUNT(DISTINCT t.vehicle) > 10 ORDER BY vehicles DESC LIMIT 100"],
    ),
    "nested": _lines(
        ["WITH seen AS (", "SELECT vehicle, g0, g1, g5,"],
        [f"  {one}," for one in MEASURES[:40]],
        ["  g3", "FROM road.counts", "WHERE g2 IN ('a', 'b')", ")", "SELECT t.g0,"],
        [f"  AVG(t.{one}) AS avg_{one}," for one in MEASURES[:40]],
        ["  COUNT(DISTINCT t.vehicle) AS vehicles", "FROM seen t", "WHERE t.g1 <> 'x'"],
        [f"AND (t.g3 = 'a' OR t.g3 <> 'no {number}')" for number in range(30)],
        [") GROUP BY t.g0"],
    ),
}
"""Questions of 200 lines: many aggregates of one product, a join of two, and a common table with many conditions."""


if __name__ == "__main__":
    main()
