"""Witnesses: nodes that cosign one another's checkpoints, so that nobody can show different histories to different parties."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import verbs, witnessing
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.errors import ChengshuError, Invalid
from chengshu.kernel.text import Text
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Nodes that cosign one another's checkpoints.")

INIT_EXAMPLES = examples("chengshu witness init --node road")
SHOW_EXAMPLES = examples("chengshu witness show --node fleet", "chengshu witness show --node fleet --json > fleet.witness.json")
ADD_EXAMPLES = examples(
    "chengshu witness add fleet.witness.json firm.witness.json --quorum 2 --node road",
    "chengshu witness add fleet.witness.json --post-quantum --node road",
    "chengshu witness add --name w1 --vkey 'w1.example+1a2b3c4d+BA…' --url https://w1.example --node road",
)
LIST_EXAMPLES = examples("chengshu witness list --node road", "chengshu witness list --node road --json")
STATUS_EXAMPLES = examples("chengshu witness status --node road", "chengshu witness status --node road --json")
COLLECT_EXAMPLES = examples("chengshu witness collect --node road")
COMPARE_EXAMPLES = examples("chengshu witness compare --node fleet", "chengshu witness compare road_operator/log --node fleet --json")


@app.command("init", epilog=INIT_EXAMPLES)
def init(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Make this node a witness for the parties that it knows, and begin the policy file that will name its own witnesses."""

    def work(output: Output) -> Any:
        made = witnessing.init(open_node(node))
        output.say(Text("It takes effect when the node is served anew.", "重新启动节点后生效。"))
        return made

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show this node as a witness: the card that another operator adds with 'chengshu witness add'."""
    render(lambda _output: witnessing.card(open_node(node)), as_json=as_json, lang=lang)


@app.command("add", epilog=ADD_EXAMPLES)
def add(
    cards: Annotated[list[Path] | None, typer.Argument(help="What 'chengshu witness show --json' printed on other nodes.")] = None,
    quorum: Annotated[
        str | None, typer.Option(help="How many of them must cosign: all, any or a number; by itself more than half.")
    ] = None,
    post_quantum: Annotated[bool, typer.Option("--post-quantum", help="Take their ML-DSA-44 keys instead of Ed25519.")] = False,
    name: Annotated[str | None, typer.Option(help="Without a card: the witness's name in the policy.")] = None,
    vkey: Annotated[str | None, typer.Option(help="Without a card: the witness's key, name+id+key.")] = None,
    url: Annotated[str | None, typer.Option(help="Without a card: where checkpoints are sent to.")] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Name witnesses of this node's log in its policy file."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        given = [witnessing.named_by(verbs.read_json(card), post_quantum=post_quantum) for card in cards or ()]
        if name is not None and vkey is not None and url is not None:
            given.append(witnessing.Named(name, vkey, url))
        if not given or (name, vkey, url).count(None) not in {0, 3}:
            raise Invalid(
                "witness.nobody",
                "expected cards, or --name, --vkey and --url together, got neither",
                hint=Text("See 'chengshu witness add --help'.", "见 chengshu witness add --help。"),
            )
        return witnessing.add(opened, given, quorum=quorum)

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def listed(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the witnesses of this node's log, and the logs that this node cosigned."""
    render(lambda _output: witnessing.listed(open_node(node)), as_json=as_json, lang=lang)


@app.command("status", epilog=STATUS_EXAMPLES)
def status(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Say who cosigned the newest checkpoint, whom it waits for and why, and show the proofs of split views that are kept."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        return witnessing.status(opened, opened.cosignatures.status(), output.language)

    render(work, as_json=as_json, lang=lang)


@app.command("collect", epilog=COLLECT_EXAMPLES)
def collect(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Publish the log and ask every witness for its cosignature now; while a node is served this happens by itself."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        opened.evidence.publish()
        troubles: list[ChengshuError] = []
        found = opened.cosignatures.collect(troubles.append)
        for error in troubles:
            if error.kind == "Tampered":
                raise error
        return witnessing.status(opened, found, output.language)

    render(work, as_json=as_json, lang=lang)


@app.command("compare", epilog=COMPARE_EXAMPLES)
def compare(
    origin: Annotated[str | None, typer.Argument(help="The log, handle/log; without it every log that this node knows.")] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Hold what every known witness cosigned of a log against the others; leave with 1 when a log shows two histories."""
    render(lambda _output: witnessing.compared(open_node(node).gossip.compare(origin)), as_json=as_json, lang=lang)
