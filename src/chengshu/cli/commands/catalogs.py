"""Catalogs of other parties: read one through, page by page, and see which are shown inside this node's own."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from chengshu.cli import browsing, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Catalogs of other parties.")

SHOW_EXAMPLES = examples(
    "chengshu catalog show 'Road operator' --node fleet",
    "chengshu catalog show 道路运营方 --keyword 'speed detector' --updated-since 2026-11-01T00:00:00Z --node fleet --json",
)
FEDERATED_EXAMPLES = examples("chengshu catalog federated --node operator", "chengshu catalog federated --node operator --json")


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    holder: Annotated[str, typer.Argument(help="The holder's name, in either language, handle or id.")],
    keyword: Annotated[str, typer.Option(help="Words that must all occur in a dataset's description.")] = "",
    publisher: Annotated[str, typer.Option(help="Only this publisher's.")] = "",
    transfer_format: Annotated[str, typer.Option("--format", help="Only what can be had in this format, such as HttpData-PULL.")] = "",
    updated_since: Annotated[str, typer.Option(help="Only what changed since (RFC 3339, with its zone).")] = "",
    most: Annotated[int, typer.Option(min=1, help="Stop after so many datasets.")] = 1000,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Read a holder's catalog to its end, with the catalogs inside it; each page is shown before the next is asked for."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        asked = {"keyword": keyword, "publisher": publisher, "format": transfer_format, "updatedSince": updated_since}
        wanted = [{name: value} for name, value in asked.items() if value]
        _stream(output, browsing.datasets_of(opened, verbs.party_id(opened, holder), wanted=wanted, most=most))

    render(work, as_json=as_json, lang=lang)


@app.command("federated", epilog=FEDERATED_EXAMPLES)
def federated(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the catalogs of others that this node shows inside its own, with their age and the last trouble."""
    render(lambda _output: browsing.federated(open_node(node)), as_json=as_json, lang=lang)


def _stream(output: Output, datasets: Iterator[browsing.Document]) -> None:
    """Show one dataset after the other as it comes; for a program, as one JSON array."""
    count = 0
    for count, one in enumerate(datasets, start=1):
        if output.as_json:
            sys.stdout.write("[\n" if count == 1 else ",\n")
            sys.stdout.write(json.dumps(one, ensure_ascii=False))
        else:
            output.show(one)
            output.console.print()
    if output.as_json:
        sys.stdout.write("\n]\n" if count else "[]\n")
    elif count == 0:
        output.show([])
