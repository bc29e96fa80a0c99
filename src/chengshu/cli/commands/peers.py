"""The parties that this node trusts to be who they say."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.identity.keys.shared import Shared, read_secret
from chengshu.identity.model import Scheme
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="The parties that this node knows.")

ADD_EXAMPLES = examples(
    "chengshu peer add road.card.json --node room",
    "chengshu peer add *.card.json --node room",
    "chengshu peer add connector.card.json --scheme static --secret connector.secret --node road",
)
LIST_EXAMPLES = examples("chengshu peer list --node room", "chengshu peer list --node room --json")


@app.command("add", epilog=ADD_EXAMPLES)
def add(
    cards: Annotated[list[Path], typer.Argument(help="What 'chengshu node show --json' printed on other nodes; one's own is passed over.")],
    scheme: Annotated[Scheme, typer.Option(help="How the party proves who it is.")] = Scheme.TOKEN,
    secret: Annotated[Path | None, typer.Option(help="Scheme static: the file with the secret shared with the party.")] = None,
    secret_in: Annotated[
        Path | None, typer.Option(help="Scheme static: the file with the secret that the party sends, where it is another.")
    ] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Add parties: their ids are pinned from now on. Adding one again with another secret replaces its secret."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        found = [verbs.read_json(card) for card in cards]
        shared = None if secret is None else Shared(read_secret(secret), read_secret(secret_in or secret))
        return [verbs.add_peer(opened, card, scheme=scheme, shared=shared) for card in found if card.get("id") != opened.identity.did]

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def show(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the parties that this node knows."""

    def work(_output: Output) -> Any:
        return [verbs.peer(party) for party in open_node(node).identity.list()]

    render(work, as_json=as_json, lang=lang)
