"""A product on its way between two nodes, beside a bare Arrow stream: ``python -m benchmarks.transfer [--rows N] [--rounds N]``.

The holder is a node in a process of its own, as ``chengshu serve`` runs it; this process is the clean room's side: it is granted a pull of
one product for one job and opens what comes into an Arrow file, as a room does. Beside it, in turn: another process that writes the same
table as an Arrow IPC stream into a plain socket, uncompressed, without HTTP, grant, digest or log, and this process that writes it into a
file. The middle one of the rounds counts, after one for warming up. Also told: the sender's resident memory after the last of them. The
rows are made up; half of the columns are text, which repeats.
"""

import argparse
import base64
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.judging import BUILD, machine, record

from chengshu.catalog.model import Column, DataContract, LogicalType, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import Job, SqlQuestion
from chengshu.cli import answering, publishing, verbs
from chengshu.identity.keys.file import FileKeys
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.ids import new_id
from chengshu.kernel.text import Text
from chengshu.node import KEYS, Node
from chengshu.testing import Space
from chengshu.transfer.sealed.arrival import Arrival
from chengshu.transfer.streams.arrow import BATCH_ROWS

ROWS = 5_000_000
ROUNDS = 5
PURPOSE = "study"
PRODUCT = "sightings"
START_S = 60.0
BARE = """
import socket, sys
import pyarrow as pa
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        line, _ = listener.accept()
        with line, line.makefile("wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=int(sys.argv[2]))
"""


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "transfer.json")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    load = os.getloadavg()
    with TemporaryDirectory() as name, Space(Path(name)) as space:
        folder = Path(name)
        file = folder / "sightings.parquet"
        size = made(file, rows=options.rows)
        road, firm = (space.add(handle) for handle in ("road", "firm"))
        room = space.add("room", clean_room=True)
        signed = agreed(road, firm, room, file)
        space.stop("road")
        with served(road) as holder, bare(file) as (port, other):
            into = folder / "received.arrow"
            ours, theirs = (lambda: pulled(room, road, signed, into)), (lambda: taken(port, into))
            result = {"ours": measured(ours, holder, rounds=0), "bare": measured(theirs, other, rounds=0)}
            for side, once, process in (("ours", ours, holder), ("bare", theirs, other)):
                result[side] = measured(once, process, rounds=options.rounds)
    told = {side: {**one, "mb_per_s": round(size / one["median_s"] / 1e6, 1)} for side, one in result.items()}
    ratio = round(told["ours"]["mb_per_s"] / told["bare"]["mb_per_s"], 3)
    figures = {"rows": options.rows, "table_mb": round(size / 1e6, 1), **told, "ratio_to_bare": ratio}
    record(options.out, {**machine("pyarrow"), "load_before": load, "load_after": os.getloadavg(), **figures})


def made(file: Path, *, rows: int) -> int:
    """Write the product's rows into a Parquet file, made up from a seed; return their size in memory, in bytes."""
    chance = np.random.default_rng(20260101)
    table = pa.table(
        {
            "vehicle": pa.array([f"v{number:06d}" for number in range(50_000)]).take(pa.array(chance.integers(0, 50_000, rows))),
            "road": pa.array([f"road-{number:03d}" for number in range(400)]).take(pa.array(chance.integers(0, 400, rows))),
            "second": np.arange(rows),
            "speed": np.round(chance.uniform(0, 40, rows), 2),
        }
    )
    pq.write_table(table, file)
    return int(table.nbytes)


def agreed(road: Node, firm: Node, room: Node, file: Path) -> dict[str, Any]:
    """Publish the product, agree on it, and return a signed job over it, as a room hands it on."""
    columns = (
        Column("vehicle", LogicalType.STRING, "string", required=True, role=Role.KEY),
        Column("road", LogicalType.STRING, "string", required=True, role=Role.GROUP),
        Column("second", LogicalType.INTEGER, "int64", required=True, role=Role.GROUP),
        Column("speed", LogicalType.NUMBER, "float64", role=Role.MEASURE, aggregates=("count", "sum", "avg")),
    )
    title = Text("Sightings (synthetic)", "观测（合成数据）")
    contract = DataContract(PRODUCT, "1.0.0", PRODUCT, title, "road", "made up", columns, privacy_unit="vehicle", minimum_group=5)
    policy = publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE]))
    road.catalog.publish(document_of(contract), source=file, policy=policy)
    (outcome,) = verbs.await_agreements(firm, [verbs.request(firm, road.identity.did, PRODUCT)], timeout_s=120.0)
    part = firm.asker.part(InputChoice(road.identity.did, PRODUCT, str(outcome["agreement"])))
    question = SqlQuestion(f"SELECT road, COUNT(*) AS n FROM road.{PRODUCT} GROUP BY road")  # noqa: S608  # of this file
    document = Job(new_id(), firm.identity.did, room.identity.did, PURPOSE, question, (part,)).as_document()
    signature = FileKeys(firm.folder / KEYS).load().sign(canonical(document))
    return {"job": document, "signature": base64.b64encode(signature).decode(), "product": PRODUCT}


def pulled(room: Node, road: Node, signed: dict[str, Any], into: Path) -> float:
    """Pull the product for the job once more, and return the seconds from the request to the closed file."""
    token = room.nodes.post(road.identity.did, "/room/inputs", signed)["token"]
    digests = Digests(INTERNATIONAL)
    arrival = Arrival(into.parent, key=ExchangeKey(INTERNATIONAL), digests=digests, limit_bytes=1 << 40)
    began = time.perf_counter()
    room.nodes.pull(road.identity.did, token, arrival, job=str(signed["job"]["id"]), product=PRODUCT, patience_s=60.0)
    took = time.perf_counter() - began
    arrival.close()
    return took


def taken(port: int, into: Path) -> float:
    """Take the bare stream once, and return the seconds from the connection to the closed file."""
    began = time.perf_counter()
    with (
        socket.create_connection(("127.0.0.1", port)) as line,
        line.makefile("rb") as source,
        pa.ipc.open_stream(source) as reader,
        pa.ipc.new_file(into, reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
    return time.perf_counter() - began


def measured(once: Callable[[], float], process: psutil.Process, *, rounds: int) -> dict[str, Any]:
    """Return the seconds of each round, their median, and the sender's resident memory afterwards; no rounds are one to warm up."""
    seconds = [once() for _ in range(rounds or 1)]
    return {
        "seconds": [round(one, 3) for one in seconds],
        "median_s": statistics.median(seconds),
        "sender_resident_mib": round(process.memory_info().rss / 2**20, 1),
    }


@contextmanager
def served(road: Node) -> Iterator[psutil.Process]:
    """Serve the holder in a process of its own."""
    command = [sys.executable, "-m", "chengshu", "serve", "--node", str(road.folder), "--while-input-open"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + START_S
        while (answering.health(road.settings.serve.address) or {}).get("node") != road.identity.did:
            if time.monotonic() > until:
                raise SystemExit(f"expected the holder to serve within {START_S:g} s")
            time.sleep(0.1)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def bare(file: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run the other side in a process of its own: it sends the table to whoever connects."""
    with subprocess.Popen([sys.executable, "-c", BARE, str(file), str(BATCH_ROWS)], stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise SystemExit("expected the other side to say its port, got no line")
        try:
            yield int(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
