"""Contracts: request one, see where it stands, list what is in force, end a negotiation."""

from typing import Annotated, Any

import typer

from chengshu.cli import verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Contracts with other parties.")

REQUEST_EXAMPLES = examples(
    "chengshu contract request 'Road operator' detector_1min --node fleet",
    "chengshu contract request 道路运营方 detector_1min --node fleet --wait 30 --json",
)
SHOW_EXAMPLES = examples("chengshu contract show urn:uuid:… --node fleet")
LIST_EXAMPLES = examples("chengshu contract list --node fleet", "chengshu contract list --node fleet --json")
TERMINATE_EXAMPLES = examples("chengshu contract terminate urn:uuid:… --reason 'no longer needed' --node fleet")


@app.command("request", epilog=REQUEST_EXAMPLES)
def request(
    holder: Annotated[str, typer.Argument(help="The holder's name, in either language, or id.")],
    product: Annotated[str, typer.Argument(help="The product's id in the holder's catalogue.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for the outcome.")] = 15.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Negotiate the contract that a holder offers on a product; the node must be serving."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        negotiation = verbs.request(opened, verbs.party_id(opened, holder), product)
        return verbs.await_agreements(opened, [negotiation], timeout_s=wait)[0]

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    negotiation: Annotated[str, typer.Argument(help="The negotiation's id.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Show where a negotiation stands, and for whom it waits and why."""
    render(lambda _output: verbs.negotiation(open_node(node), negotiation), as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def agreements(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the contracts in force, on either side."""
    render(lambda _output: verbs.agreements(open_node(node)), as_json=as_json, lang=lang)


@app.command("terminate", epilog=TERMINATE_EXAMPLES)
def terminate(
    negotiation: Annotated[str, typer.Argument(help="The negotiation's id.")],
    reason: Annotated[str, typer.Option(help="Why; the other side is told.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """End a negotiation that has not ended yet."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        opened.contracts.terminate(negotiation, reason=reason)
        return verbs.negotiation(opened, negotiation)

    render(work, as_json=as_json, lang=lang)
