"""Statements: settle a job, list, and recompute any statement for yourself."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.errors import Invalid, in_words
from chengshu.kernel.money import Fen, yuan
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node
from chengshu.settlement.model import differences

app = typer.Typer(no_args_is_help=True, help="Who is paid what, and why.")

MAKE_EXAMPLES = examples("chengshu statement make urn:uuid:… --node room")
LIST_EXAMPLES = examples("chengshu statement list --node road", "chengshu statement list --node road --json > statements.json")
VERIFY_EXAMPLES = examples("chengshu statement verify statement.json")


@app.command("make", epilog=MAKE_EXAMPLES)
def make(
    job: Annotated[str, typer.Argument(help="A released job of this node's clean room.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Settle a job by contribution, at the price that its asker signed, and send the statement to its parties; once a job."""
    render(lambda _output: open_node(node).settlements.settle(job), as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def every(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List this node's statements with what each party is paid."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        signed = opened.settlements.every()
        return signed if output.as_json else [row for one in signed for row in _rows(opened, one["document"])]

    render(work, as_json=as_json, lang=lang)


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    file: Annotated[Path, typer.Argument(help="A statement, as 'statement list --json' prints it.")],
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Recompute statements from their own counts and say whether everything follows; leave with 1 if not."""

    def work(output: Output) -> Any:
        found = [{"statement": one["statement"], "differences": differences(one)} for one in _documents(file)]
        output.show(found)
        if any(one["differences"] for one in found):
            raise typer.Exit(1)

    render(work, as_json=as_json, lang=lang)


def _rows(node: Node, document: dict[str, Any]) -> list[dict[str, Any]]:
    names = {party.did: party.name_en for party in node.identity.list()}
    return [
        {
            "statement": document["statement"],
            "party": names.get(party, party),
            "share": share,
            "payment": yuan(Fen(document["payments_fen"][party])),
        }
        for party, share in document["shares"].items()
    ]


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        signed = value if isinstance(value, list) else [value]
        return [one.get("document", one) for one in signed]
    except (OSError, ValueError, AttributeError) as error:
        raise Invalid(
            "statement.file",
            f"{file}: expected a readable statement in JSON, got {in_words(error)}",
            hint=Text("Write one with 'chengshu statement list --json'.", "用 chengshu statement list --json 导出。"),
        ) from error
