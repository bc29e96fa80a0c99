"""The Dataspace Protocol side by side with Eclipse EDC: same machine, same run, same load from the same client, one pair after the other.

    python benchmarks/dsp.py [--negotiations 300] [--rounds 3] [--datasets 10 1000 100000] [--without-peer]

Each pair is a consumer and a provider in processes of their own, on loopback, with nothing else on the machine. Ours are nodes as
``chengshu init`` makes them and ``chengshu serve`` runs them: every step durable on disk and in a signed log before it is answered. EDC's
(the version in tests/conformance/edc) keep everything in memory; once with its defaults, once tuned: state machines that sleep 50 ms.

* Negotiations: eight threads ask for as many as are to be made, as fast as the consumer takes them in; the clock runs from the first
  request to the moment when all are in force at the consumer. The middle one of the rounds counts; one round before is for warming up.
  Beside the rate stands the CPU that one negotiation costs both processes, which a busy machine changes less.
* Latency: one negotiation after another on an idle pair, from the request to the agreement in force, looked at every 5 ms.
* Catalog: a hundred pages of 50 datasets of one provider, read over HTTP by one client; ours by following the link (its listings are
  written directly: to publish so many products is not what is measured), EDC's at
  offsets spread over the catalog, up to 1,000 datasets where not asked for more: each is a call of its management API.
* Idle: CPU over five seconds without a request, and resident memory, of the provider, before and after the load. Cold start: from the
  start of the process to its first answer.

Ratios are what carries over. Writes ``--out``, build/bench/dsp.json if not given; the load of the machine is in it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.dsp_sides import THREADS, Ours, Pair, Theirs, cpu_s, cpu_share, memory_mib, running
from benchmarks.judging import BUILD, machine, record
from tests.conformance.edc_connector import TUNED_MS, lacking

SETTLE_S = 2.0
IDLE_S = 5.0
LATENCIES = 15
PAGES = 100
Make = Callable[[ExitStack], Pair]


def measured(make: Make, options: argparse.Namespace, *, datasets: list[int]) -> dict[str, Any]:
    """Everything about one pair, in the order in which it disturbs least."""
    with running(make) as pair:
        print(f"{time.strftime('%H:%M:%S')} {type(pair).__name__} answer, load {os.getloadavg()[0]:.1f}", flush=True)
        time.sleep(SETTLE_S)
        result: dict[str, Any] = {
            "load_at_its_begin": round(os.getloadavg()[0], 1),
            "cold_start_s": round(pair.cold_s, 2),
            "idle_cpu_before": cpu_share(pair.provider, seconds=IDLE_S),
            "resident_mib_before": memory_mib(pair.provider),
        }
        negotiate(pair, options.negotiations)
        rounds = [negotiate(pair, options.negotiations) for _ in range(options.rounds)]
        result |= {
            "negotiations_per_s": round(statistics.median(rate for rate, _ in rounds), 2),
            "rounds_per_s": [round(rate, 2) for rate, _ in rounds],
            "cpu_ms_per_negotiation": round(statistics.median(cpu for _, cpu in rounds), 2),
            "latency_ms": latency(pair),
            "negotiations": (1 + options.rounds) * options.negotiations + LATENCIES,
            "negotiations_failed": pair.failed(),
        }
        time.sleep(SETTLE_S)
        result |= {"idle_cpu_after": cpu_share(pair.provider, seconds=IDLE_S), "resident_mib_after": memory_mib(pair.provider)}
        return result | {"catalog_page_ms": {str(size): catalogue(pair, size) for size in datasets}}


def negotiate(pair: Pair, count: int) -> tuple[float, float]:
    """Negotiations a second, from the first request to the last agreement in force; and what one costs both processes, in ms of CPU."""
    used = cpu_s(pair.provider) + cpu_s(pair.consumer)
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        asked = list(threads.map(lambda _: pair.ask(), range(count)))
    while not pair.ended(asked):
        time.sleep(0.05)
    rate = count / (time.perf_counter() - began)
    return rate, (cpu_s(pair.provider) + cpu_s(pair.consumer) - used) / count * 1000


def latency(pair: Pair) -> dict[str, float]:
    """Request to agreement, one at a time."""
    taken = []
    for _ in range(LATENCIES):
        began = time.perf_counter()
        asked = [pair.ask()]
        while not pair.ended(asked):
            time.sleep(0.005)
        taken.append((time.perf_counter() - began) * 1000)
    return spread(taken)


def catalogue(pair: Pair, size: int) -> dict[str, float]:
    """One page after another, and how many datasets were seen."""
    pair.fill(size)
    pair.page(None)
    taken, seen, at = [], 0, None
    for page in range(size):
        began = time.perf_counter()
        found, after = pair.page(at)
        taken.append((time.perf_counter() - began) * 1000)
        seen += found
        at = pair.further(after, page, size=size, pages=PAGES)
        if at is None:
            break
    return {**spread(taken), "pages": len(taken), "datasets_seen": seen}


def spread(taken: list[float]) -> dict[str, float]:
    """The middle and the 95th of a hundred, in milliseconds."""
    ordered = sorted(taken)
    return {"p50": round(statistics.median(ordered), 2), "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2)}


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Ours as so many times theirs."""
    return {
        "negotiations_per_s": round(ours["negotiations_per_s"] / theirs["negotiations_per_s"], 2),
        "cpu_per_negotiation": round(ours["cpu_ms_per_negotiation"] / theirs["cpu_ms_per_negotiation"], 3),
        "latency_p50": round(ours["latency_ms"]["p50"] / theirs["latency_ms"]["p50"], 3),
        "latency_p95": round(ours["latency_ms"]["p95"] / theirs["latency_ms"]["p95"], 3),
        "resident_memory_before": round(ours["resident_mib_before"] / theirs["resident_mib_before"], 3),
        "resident_memory_after": round(ours["resident_mib_after"] / theirs["resident_mib_after"], 3),
        "idle_cpu_after": round(ours["idle_cpu_after"] / max(theirs["idle_cpu_after"], 1e-4), 3),
        "cold_start": round(ours["cold_start_s"] / theirs["cold_start_s"], 3),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--negotiations", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--datasets", type=int, nargs="+", default=[10, 1_000, 100_000])
    parser.add_argument("--peer-datasets", type=int, nargs="+", default=[10, 1_000], help="each dataset is a call")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk that is to be measured")
    parser.add_argument("--without-peer", action="store_true", help="leave EDC out")
    parser.add_argument("--out", type=Path, default=BUILD / "dsp.json")
    options = parser.parse_args()
    reason = "left out on request" if options.without_peer else lacking()
    result: dict[str, Any] = {**machine("sqlalchemy", "fastapi", "httpx"), "load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory(prefix="dsp-", dir=options.folder) as name:
        folder = Path(name)
        result["ours"] = measured(partial(Ours, folder / "ours"), options, datasets=options.datasets)
        if reason is None:
            result["edc_tuned"] = measured(
                partial(Theirs, folder / "tuned", iteration_ms=TUNED_MS), options, datasets=options.peer_datasets
            )
            result["edc_default"] = measured(partial(Theirs, folder / "default", iteration_ms=None), options, datasets=[])
    result["load_after"] = os.getloadavg()
    for name in ("edc_tuned", "edc_default"):
        result[f"ratio_to_{name}"] = compared(result["ours"], result[name]) if reason is None else {"left_out": reason}
    record(options.out, result)


if __name__ == "__main__":
    main()
