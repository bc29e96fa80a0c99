"""Use receipts: which uses both sides have signed, which wait for whom, which are disputed."""

from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

app = typer.Typer(no_args_is_help=True, help="What both sides signed about each use.")

LIST_EXAMPLES = examples("chengshu receipt list --node road", "chengshu receipt list --node fleet --json")
SHOW_EXAMPLES = examples(
    "chengshu receipt show urn:uuid:… detector_1min --node fleet", "chengshu receipt show urn:uuid:… detector_1min --json > receipt.json"
)
SEND_EXAMPLES = examples("chengshu receipt send urn:uuid:… detector_1min --node road")

JobId = Annotated[str, typer.Argument(help="The job's id.")]
ProductId = Annotated[str, typer.Argument(help="The product.")]


@app.command("list", epilog=LIST_EXAMPLES)
def every(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the receipts that this node issued or received: their state, and for whom each waits and why."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        found = opened.receipts.every()
        return found if output.as_json else [_named(opened, one, output) for one in found]

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(job: JobId, product: ProductId, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show the receipt for the use of a product by a job, with both signatures and whether they verify; leave with 1 if not."""

    def work(output: Output) -> Any:
        found = open_node(node).receipts.show(job, product=product)
        if output.as_json:
            output.show(found)
        else:
            for one in found:
                output.show({**one["receipt"], **{key: value for key, value in one.items() if key != "receipt"}})
        if not all(one["signatures_verify"] for one in found):
            output.say(
                Text(
                    "A signature does not verify: keep the node's folder as it is and compare with the other side.",
                    "签名核验不通过：请原样保留节点文件夹，并与对方比对。",
                )
            )
            raise typer.Exit(1)

    render(work, as_json=as_json, lang=lang)


@app.command("send", epilog=SEND_EXAMPLES)
def send(job: JobId, product: ProductId, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Send a receipt that was disputed once more, after the consumer has mended its side; it is sent while the node is served."""
    render(lambda _output: {"receipt_digest": open_node(node).issuer.send_again(job, product=product)}, as_json=as_json, lang=lang)


def _named(node: Node, row: dict[str, Any], output: Output) -> dict[str, Any]:
    """One receipt with the parties' names in place of their ids."""
    names = {party.did: party.name_zh if output.language == "zh" else party.name_en for party in node.identity.list()}
    return {
        "job": row["job"],
        "product": row["product"],
        "provider": names.get(row["provider"], row["provider"]),
        "consumer": names.get(row["consumer"], row["consumer"]),
        "state": row["state"],
        "waits_for": names.get(row["waits_for"], row["waits_for"]),
        "why": row["why"],
    }
