"""Questions of TPC-H, vetted and gated, against the same questions given to DuckDB, in one run.

    python -m benchmarks.tpch [--out build/bench/tpch.json] [--scales 1 10] [--rounds 5] [--threads 2]

Data are made by ``tpchgen-cli`` (Apache-2.0). ``official.sql`` has the 22 queries, each of which vetting refuses by a rule;
``vetted.sql`` has forms of 19 of them that it allows, and ``README.md`` says what each leaves out and why three cannot be asked.
They are not TPC results: the queries are changed. Both sides read the same Arrow tables with the same threads and memory; ours is
everything after vetting, a locked-down database of its own included, DuckDB is given the form's SQL in a database that is open already.
A room opens the database of its next question ahead; the time that takes is in ours' processor time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.judging import BUILD, machine, record
from benchmarks.ratios import MEMORY, Terms, beside, load, plain, vetted

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

HERE = Path(__file__).parent
K = 10
PROTECTED = {"customer": "c_custkey", "orders": "o_custkey", "lineitem": "l_orderkey"}
GROUPED = ("n_name", "o_orderpriority", "o_orderdate", "l_returnflag", "l_linestatus", "l_shipmode", "l_shipdate")
MEASURED = ("l_quantity", "l_extendedprice", "l_tax", "o_totalprice", "c_acctbal")


def tpch_terms(schemas: Mapping[str, pa.Schema]) -> Terms:
    """Terms on TPC-H: customers and their orders are protected with k = 10, the rest is public reference data."""
    terms = {}
    for product, schema in schemas.items():
        name = product.partition(".")[2]
        columns = tuple(Column(one.name, _type(one.type), _role(name, one.name)) for one in schema)
        terms[product] = ProductTerms(Schema(product, columns, PROTECTED.get(name), K if name in PROTECTED else 1))
    return terms


def _type(kind: pa.DataType) -> ColumnType:
    if pa.types.is_integer(kind):
        return ColumnType.INTEGER
    if pa.types.is_decimal(kind):
        return ColumnType.DECIMAL
    return ColumnType.DATE if pa.types.is_date(kind) else ColumnType.TEXT


def _role(table: str, column: str) -> Role:
    if table not in PROTECTED:
        return Role.FREE
    if column.endswith("key"):
        return Role.KEY
    if column in GROUPED:
        return Role.GROUP
    return Role.MEASURE if column in MEASURED else Role.FILTER


def questions(file: str) -> dict[str, str]:
    """The queries of a file, each after a comment that names it."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    return {name.removeprefix("-- "): sql for name, sql in zip(lines[::2], lines[1::2], strict=True)}


def price(scale: float, *, rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """What the vetted forms cost beside DuckDB at one scale, and which of the original queries vetting refuses by which rule."""
    generator = Path(sys.executable).with_name("tpchgen-cli")
    words = [str(generator), "parquet", "-s", str(scale), "--output-dir", str(folder), "--num-threads", str(threads)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    files = {f"tpch.{file.stem}": file for file in sorted(folder.glob("*.parquet"))}
    terms = tpch_terms({product: pq.read_schema(file) for product, file in files.items()})
    verdicts = {name: vet(sql, terms) for name, sql in questions("official.sql").items()}
    refused = {name: one.rule for name, one in verdicts.items() if isinstance(one, Refused)}
    priced = {
        name: form_price(sql, vetted(sql, terms), files, rounds=rounds, threads=threads) for name, sql in questions("vetted.sql").items()
    }
    return {
        "scale": scale,
        "official_refused_by": refused,
        "official_allowed": len(verdicts) - len(refused),
        "forms": len(priced),
        "forms_that_ended_in_a_refusal": sum(not one["ended"].endswith("rows") for one in priced.values()),
        "vetted": priced,
        "median": {kind: round(median(one["ours"][kind] for one in priced.values()), 2) for kind in ("wall", "cpu")},
        "of_all_together": {kind: _whole(priced, kind) for kind in ("wall", "cpu")},
    }


def form_price(sql: str, query: VettedQuery, files: Mapping[str, Path], *, rounds: int, threads: int) -> dict[str, Any]:
    """One form beside DuckDB; only the columns that it reads are in memory, for both."""
    tables = {one.product: pq.read_table(files[one.product], columns=[column.name for column in one.columns]) for one in query.inputs}
    engine = DuckDBEngine(MEMORY, threads, 3600.0)
    with plain(tables, threads=threads) as database:
        ours = {"ours": lambda: release(engine.run(query, tables), query=query)}
        told = beside(lambda: database.sql(sql).to_arrow_table(), ours, rounds=rounds)
    told["ended"] = _ended(release(engine.run(query, tables), query=query))
    return told


def _whole(priced: Mapping[str, Mapping[str, Any]], kind: str) -> float:
    """The ratio of the sums of all forms: a set-up of a few hundredths of a second, which each has, does not weigh more in small ones."""
    raw = "raw_s" if kind == "wall" else "raw_cpu_s"
    return round(sum(one[raw] * one["ours"][kind] for one in priced.values()) / sum(one[raw] for one in priced.values()), 2)


def _ended(verdict: Released | Refused) -> str:
    return f"{verdict.table.num_rows} rows" if isinstance(verdict, Released) else verdict.rule


def main() -> None:
    """Measure every scale, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "tpch.json")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    scales = {}
    for scale in options.scales:
        with tempfile.TemporaryDirectory() as folder:
            scales[f"{scale:g}"] = price(scale, rounds=options.rounds, threads=options.threads, folder=Path(folder))
    about = {"rounds": options.rounds, "threads": options.threads, "memory": MEMORY, "load_after": load()}
    record(options.out, {**about, "scales": scales, **machine("duckdb", "pyarrow", "sqlglot")})


if __name__ == "__main__":
    main()
