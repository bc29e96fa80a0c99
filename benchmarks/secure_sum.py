"""Sums of three holders' rows that nobody sees the parts of: ``python -m benchmarks.secure_sum [--groups N] [--out FILE]``.

Three holders, an asker and a room, real nodes with real agreements on loopback; a question for as many sums for each of as many groups as
make a million values of each holder. Told is every byte of every message between the room and the holders, bodies of requests and answers,
from joining to opening, and of these those that name the groups. Beside them stands what another system moved for the same: SecretFlow SPU
0.9.5, protocol ABY3, ring FM64, three parties with a vector of a million numbers each: 128 MB, measured on another day and machine with its
own counters; bytes do not depend on either. Twice: whole numbers in a small declared range, which have 64 bits here, and doubles, which
have 128, so that they are exact; the other system has 64, of which 18 are behind the point. The rows are made up.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.judging import BUILD, machine, record
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chengshu.catalog.model import Column, DataContract, LogicalType, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.model import SECURE_AGGREGATION
from chengshu.cleanroom.planning.service import Asked
from chengshu.cli import publishing, verbs
from chengshu.client.following import follow
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.testing import Space

HOLDERS = ("north", "south", "east")
VALUES = 1_000_000
GROUPS = 20_000
ROWS_OF_A_GROUP = 2
PURPOSE = "study"
SPU_ABY3_BYTES = 128_000_000
"""SecretFlow SPU 0.9.5, ABY3, FM64: sum and mean of three vectors of 1e6 numbers, by its own link statistics."""


@dataclass
class Counter:
    """Counts what a node is told, and what it answers, at the steps of a sum."""

    told: int = 0
    answered: int = 0
    named: int = 0
    """The part of it that names groups: what comes of joining."""

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application with the counter before it."""

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith("/room/sums/"):
                await app(scope, receive, send)
                return

            async def taken() -> Message:
                message = await receive()
                self.told += len(message.get("body", b""))
                return message

            async def given(message: Message) -> None:
                size = len(message.get("body", b""))
                self.answered += size
                self.named += size if scope["path"].endswith("/join") else 0
                await send(message)

            await app(scope, taken, given)

        return counting


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "secure_sum.json")
    parser.add_argument("--groups", type=int, default=GROUPS)
    options = parser.parse_args()
    load = os.getloadavg()
    runs = {kind: measured(kind, groups=options.groups) for kind in ("whole", "doubles")}
    told = {"spu_aby3_bytes": SPU_ABY3_BYTES, "values": VALUES, "groups": options.groups, **runs}
    ratios = {f"ratio_spu_{kind}": round(SPU_ABY3_BYTES / one["bytes"], 2) for kind, one in runs.items()}
    record(options.out, {**machine("pyarrow", "duckdb"), "load_before": load, "load_after": os.getloadavg(), **told, **ratios})


def measured(kind: str, *, groups: int) -> dict[str, Any]:
    """Ask once for sums of numbers of a kind, and return the bytes, the time, and whether the answer is that of the pooled rows."""
    sums = VALUES // groups
    with league(kind, groups=groups, sums=sums) as (firm, counters, total):
        select = ", ".join(f"SUM(m{place}) AS s{place}" for place in range(sums))
        columns = ", ".join(f"m{place}" for place in range(sums))
        union = " UNION ALL ".join(f"SELECT g, {columns} FROM {one}.sightings" for one in HOLDERS)  # noqa: S608  # of this file
        process, began = psutil.Process(), time.perf_counter()
        before = process.cpu_times()
        asked = firm.queries.ask(f"SELECT g, {select} FROM ({union}) AS d GROUP BY g ORDER BY g", purpose=PURPOSE)  # noqa: S608  # of this file
        if not isinstance(asked, Asked) or asked.candidate.plan.placement != SECURE_AGGREGATION:
            raise SystemExit(f"expected the question to be summed up, got {asked}")
        outcome = follow(lambda: firm.asker.standing(asked.job), timeout_s=1800.0).outcome
        seconds, after = time.perf_counter() - began, process.cpu_times()
        if outcome is None or outcome.state != "RELEASED":
            raise SystemExit(f"expected an answer, got {None if outcome is None else (outcome.notes, outcome.refusal)}")
        answer = outcome.tables["answer"]
        worst = max(
            float(np.max(np.abs(answer.column(f"s{place}").to_numpy() - total[place]) / np.abs(total[place]))) for place in range(sums)
        )
    told, answered, named = (sum(getattr(one, name) for one in counters) for name in ("told", "answered", "named"))
    return {
        "bytes": told + answered,
        "to_holders": told,
        "from_holders": answered,
        "naming_groups": named,
        "seconds": round(seconds, 2),
        "cpu_s_all_five_nodes": round(after.user + after.system - before.user - before.system, 2),
        "largest_relative_error": worst,
    }


@contextmanager
def league(kind: str, *, groups: int, sums: int) -> Iterator[tuple[Node, list[Counter], list[np.ndarray[Any, Any]]]]:
    """Serve the nodes, with agreements by which no row leaves its holder; also say what the pooled rows come to."""
    chance = np.random.default_rng(20260101)
    counters = [Counter() for _ in HOLDERS]
    total = [np.zeros(groups) for _ in range(sums)]
    with TemporaryDirectory() as name, Space(Path(name)) as space:
        holders = [space.add(handle) for handle in HOLDERS]
        firm = space.add("firm")
        space.add("room", clean_room=True)
        for handle, node, counter in zip(HOLDERS, holders, counters, strict=True):
            rows = {place: _numbers(kind, chance, groups) for place in range(sums)}
            for place, values in rows.items():
                total[place] += values.reshape(ROWS_OF_A_GROUP, groups).sum(axis=0)
            _publish(node, kind, rows, groups=groups, file=Path(name) / f"{handle}.parquet")
            verbs.await_agreements(firm, [verbs.request(firm, node.identity.did, "sightings")], timeout_s=120.0)
            space.stop(handle)
            space.start(handle, before=counter.before)
        yield firm, counters, total


def _numbers(kind: str, chance: np.random.Generator, groups: int) -> np.ndarray[Any, Any]:
    count = groups * ROWS_OF_A_GROUP
    return chance.integers(1, 1000, count) if kind == "whole" else np.round(chance.uniform(1, 1000, count), 2)


def _publish(node: Node, kind: str, rows: dict[int, np.ndarray[Any, Any]], *, groups: int, file: Path) -> None:
    numbers = np.arange(groups * ROWS_OF_A_GROUP)
    table = pa.table(
        {"unit": pa.array(numbers), "g": pa.array(numbers % groups), **{f"m{place}": pa.array(one) for place, one in rows.items()}}
    )
    pq.write_table(table, file)
    logical = (LogicalType.INTEGER, "int64") if kind == "whole" else (LogicalType.NUMBER, "float64")
    measure = {"role": Role.MEASURE, "aggregates": ("count", "sum"), "minimum": 0.0, "maximum": 1000.0}
    columns = (
        Column("unit", LogicalType.INTEGER, "int64", required=True, role=Role.KEY),
        Column("g", LogicalType.INTEGER, "int64", required=True, role=Role.GROUP),
        *(Column(f"m{place}", *logical, **measure) for place in rows),  # type: ignore[arg-type]  # the same of every measure
    )
    title = Text("Sightings (synthetic)", "观测（合成数据）")
    contract = DataContract(
        "sightings", "1.0.0", "sightings", title, node.settings.node.handle, "made up", columns, privacy_unit="unit", minimum_group=2
    )
    policy = publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE], group=2))
    node.catalog.publish(document_of(contract), source=file, policy=policy)


if __name__ == "__main__":
    main()
