"""Answers and plans as the command line gives them out: a table for a person, or Arrow, CSV or Parquet for a program."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from chengshu.cleanroom.asker import Standing
from chengshu.cleanroom.model import SECURE_AGGREGATION
from chengshu.cleanroom.planning.model import Gap
from chengshu.cleanroom.streams import as_stream
from chengshu.cli.output import Output, waiting
from chengshu.client.following import Told
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.node import Node

Document = Mapping[str, Any]


class Form(StrEnum):
    """In which form an answer is given out."""

    TABLE = "table"
    ARROW = "arrow"
    """An Arrow IPC stream."""
    CSV = "csv"
    PARQUET = "parquet"


def check_form(form: Form, into: Path | None) -> None:
    """Raise Invalid, before anything is asked, for a form that cannot go where it is to go."""
    if form is Form.PARQUET and into is None:
        raise _form("expected a file for Parquet, got none", Text("Name it with --to.", "请用 --to 指定文件。"))
    if form is Form.TABLE and into is not None:
        raise _form(
            "expected --output arrow, csv or parquet with --to, got table",
            Text("Name the file's form with --output.", "请用 --output 指定文件格式。"),
        )


def give(table: pa.Table, form: Form, into: Path | None) -> None:
    """Write an answer in a form into a file, or to standard output where none is named."""
    if form is Form.PARQUET:
        pq.write_table(table, into)
        return
    content = _as_csv(table) if form is Form.CSV else as_stream(table)
    if into is not None:
        into.write_bytes(content)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _as_csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pcsv.write_csv(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@contextmanager
def waited_for(output: Output, names: Mapping[str, str]) -> Iterator[Told]:
    """Show on standard error, while the block runs, where a job stands and for whom it waits, by name."""
    with waiting(output, Text("asking", "提问中")) as say:

        def told(now: Standing) -> None:
            whom = _named(now.waits_for, names)
            say(Text(f"{now.state}: waiting for {whom}", f"{now.state}：等待 {whom}"))

        yield told


_ITS_OWN = Text("the room's choice; the receipt names it", "由净室选择，回执中注明")
_EACH_ITS_OWN = Text("each holder's own choice", "由各持有方自行选择")


def show_plan(explained: Document, output: Output, names: Mapping[str, str]) -> None:
    """Show a person a plan: where and what for how much, the terms by owner, who learns what, what stays open, and the other plans."""
    plan = explained["plan"]
    output.show(
        {
            "placement": plan["placement"],
            "place": names.get(plan["place"], plan["place"]),
            "products_moved": plan["cost"]["products_moved"],
            "messages": plan["cost"]["messages"],
            "engine": plan["engine"] or (_EACH_ITS_OWN if plan["placement"] == SECURE_AGGREGATION else _ITS_OWN).of(output.language),
            "rules_passed": len(explained["rules_passed"]),
            "leakage": explained["leakage"],
        },
        title=Text("Plan", "执行计划"),
    )
    output.show([_terms(one, names) for one in explained["terms"]], title=Text("Terms by owner", "各持有方条款"))
    output.show(
        [{"step": one["does"], "node": names.get(one["node"], one["node"]), "reads": _reads(one["reads"])} for one in plan["steps"]],
        title=Text("Steps", "步骤"),
    )
    output.show([_learns(one, names) for one in explained["statement"]["parties"]], title=Text("Who learns what", "谁获知什么"))
    gaps = [{"gap": code, "meaning": Gap(code).words.of(output.language)} for code in explained["statement"]["not_protected"]]
    output.show(gaps, title=Text("Not protected against", "不防范的风险"))
    if explained["dropped_plans"]:
        dropped = [
            {"place": names.get(one["place"], one["place"]), "owner": names.get(one["owner"], one["owner"]), "rule": one["rule"]}
            for one in explained["dropped_plans"]
        ]
        output.show(dropped, title=Text("Plans that an owner's rule is against", "被持有方规则排除的计划"))


def names_of(node: Node, output: Output) -> dict[str, str]:
    """Return the parties' names by id, in the language of the output."""
    return {party.did: party.name_zh if output.language == "zh" else party.name_en for party in node.identity.list()}


def _terms(terms: Document, names: Mapping[str, str]) -> dict[str, Any]:
    left = [f"{one['budget']}: {_amount(one['left'])} → {_amount(one['left_after'])}" for one in terms["budgets"]]
    return {
        "product": terms["product"],
        "holder": names.get(terms["holder"], terms["holder"]),
        "minimum_group": terms["minimum_group"],
        "rows": [_restriction(one) for one in terms["rows"]],
        "left": left,
        "rules": list(terms["rules_passed"]),
        "agreement": terms["agreement"],
    }


def _restriction(one: Document) -> str:
    return " ".join([one["column"], one["predicate"], ", ".join(one.get("values", ()))]).strip()


def _amount(left: int | str | None) -> str:
    return "∞" if left is None else str(left)


def _reads(reads: Mapping[str, list[str]]) -> list[str]:
    return [f"{product} ({', '.join(columns)})" for product, columns in reads.items()]


def _learns(party: Document, names: Mapping[str, str]) -> dict[str, Any]:
    learned = [f"{one['what']} {one['of']}" if "of" in one else str(one["what"]) for one in party["learns"]]
    return {"part": party["part"], "party": names.get(party["party"], party["party"]), "learns": learned}


def _named(text: str, names: Mapping[str, str]) -> str:
    for did, name in names.items():
        text = text.replace(did, name)
    return text


def _form(message: str, hint: Text) -> Invalid:
    return Invalid("query.output", message, hint=hint)
