"""The parties that this node trusts to be who they say."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="The parties that this node knows.")

ADD_EXAMPLES = examples("chengshu peer add road.card.json --node room", "chengshu peer add *.card.json --node room")
LIST_EXAMPLES = examples("chengshu peer list --node room", "chengshu peer list --node room --json")


@app.command("add", epilog=ADD_EXAMPLES)
def add(
    cards: Annotated[list[Path], typer.Argument(help="What 'chengshu node show --json' printed on other nodes; one's own is passed over.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Add parties: their ids are pinned from now on."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        found = [verbs.read_json(card) for card in cards]
        return [verbs.add_peer(opened, card) for card in found if card.get("id") != opened.identity.did]

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def show(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the parties that this node knows."""

    def work(_output: Output) -> Any:
        return [
            {"id": party.did, "name_en": party.name_en, "name_zh": party.name_zh, "address": party.address, "roles": list(party.roles)}
            for party in open_node(node).identity.list()
        ]

    render(work, as_json=as_json, lang=lang)
