"""Every file under tests/golden/rules is a question with its verdict: refused for the stated rule, or answered as stated.

The first comment names the world (schemas and rows) it is asked in. The allowed ones are executed; their answers were computed
apart from the engine, in plain Python. Anyone can add a file.
"""

import csv
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import ColumnType, ProductTerms, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.rules import RULES
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

GOLDEN = Path(__file__).parents[2] / "golden" / "rules"
REFUSED = sorted((GOLDEN / "refused").glob("*.sql"))
ALLOWED = sorted((GOLDEN / "allowed").glob("*.sql"))
READ = {
    ColumnType.TEXT: str,
    ColumnType.INTEGER: int,
    ColumnType.DOUBLE: float,
    ColumnType.BOOLEAN: lambda written: written == "true",
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: datetime.fromisoformat,
}
ARROW = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
}


def _comments(path: Path) -> dict[str, str]:
    lines = [line[3:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("-- ")]
    return dict(line.split(": ", 1) for line in lines[:2] if ": " in line)


def _terms(world: str) -> dict[str, ProductTerms]:
    documents = json.loads((GOLDEN / world / "schemas.json").read_text(encoding="utf-8"))
    schemas = [Schema.parse(document) for document in documents]
    return {one.product: ProductTerms(one, provider=f"did:key:z{one.product.partition('.')[0]}") for one in schemas}


def _tables(world: str) -> dict[str, pa.Table]:
    tables = {}
    for name, terms in _terms(world).items():
        with (GOLDEN / world / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        tables[name] = pa.table(
            {
                one.name: pa.array([READ[one.type](row[one.name]) if row[one.name] else None for row in rows], ARROW[one.type])
                for one in terms.schema.columns
            }
        )
    return tables


def _plain(value: Any) -> Any:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_a_refused_question_is_refused_by_the_stated_rule(path: Path) -> None:
    comments = _comments(path)
    verdict = vet(path.read_text(encoding="utf-8"), _terms(comments["schema"]))
    assert isinstance(verdict, Refused), verdict
    assert verdict.rule == comments["reason"]


@pytest.mark.parametrize("path", ALLOWED, ids=lambda path: path.stem)
def test_an_allowed_question_is_answered_as_stated(path: Path) -> None:
    world = _comments(path)["schema"]
    query = vet(path.read_text(encoding="utf-8"), _terms(world))
    assert isinstance(query, VettedQuery), query
    answer = release(DuckDBEngine("256MB", 1, 30.0).run(query, _tables(world)), query=query)
    assert isinstance(answer, Released), answer
    rows = [[_plain(value) for value in row.values()] for row in answer.table.to_pylist()]
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert {"columns": answer.table.column_names, "rows": rows} == expected


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_a_refusal_says_what_would_pass_and_carries_no_constant_of_the_question(path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    verdict = vet(sql, _terms("pilot"))
    assert isinstance(verdict, Refused)
    written = json.dumps([verdict.as_dict("en"), verdict.as_dict("zh")])
    assert [one for one in ("v03", "LSV00003", "39.5", "harbour", "/etc/passwd") if one in sql and one in written] == []


def test_every_rule_has_a_golden_refusal() -> None:
    stated = {_comments(path)["reason"] for path in REFUSED}
    rules = {rule.__module__.rpartition(".")[2].replace("_", "-") for rule in RULES}
    assert sorted(rules - stated) == []
