"""Transfers: rows of a product under an agreement, asked for, fetched, paused, resumed and ended, on either side."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import transferring
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import Node, open_node
from chengshu.transfer.flow.model import Direction, Extent

app = typer.Typer(no_args_is_help=True, help="Rows that go from one party to another under an agreement.")

Id = Annotated[str, typer.Argument(metavar="TRANSFER", help="The transfer's id.")]
Reason = Annotated[str, typer.Option(help="Why; the other side is told.")]

REQUEST_EXAMPLES = examples(
    "chengshu transfer request urn:uuid:… --purpose road-safety --node fleet",
    "chengshu transfer request urn:uuid:… --push --node fleet --json",
    "chengshu transfer request urn:uuid:… --lasting --wait 0 --node fleet",
)
LIST_EXAMPLES = examples("chengshu transfer list --node fleet", "chengshu transfer list --node fleet --json")
SHOW_EXAMPLES = examples("chengshu transfer show urn:uuid:… --node fleet")
FETCH_EXAMPLES = examples(
    "chengshu transfer fetch urn:uuid:… rows.csv --form csv --node fleet",
    "chengshu transfer fetch urn:uuid:… rows.arrows --node fleet --json",
)
START_EXAMPLES = examples("chengshu transfer start urn:uuid:… --node road")
SUSPEND_EXAMPLES = examples("chengshu transfer suspend urn:uuid:… --reason maintenance --node road")
RESUME_EXAMPLES = examples("chengshu transfer resume urn:uuid:… --node fleet")
COMPLETE_EXAMPLES = examples("chengshu transfer complete urn:uuid:… --node fleet")
STOP_EXAMPLES = examples("chengshu transfer stop urn:uuid:… --reason 'no longer needed' --node fleet")


class Form(StrEnum):
    """What a fetched file holds."""

    ARROW = "arrow"
    CSV = "csv"
    JSONL = "jsonl"


@app.command("request", epilog=REQUEST_EXAMPLES)
def request(
    agreement: Annotated[str, typer.Argument(help="The agreement's id.")],
    purpose: Annotated[str | None, typer.Option(help="What the rows are for, where the agreement asks.")] = None,
    push: Annotated[bool, typer.Option("--push", help="Have the rows sent here, instead of fetching them.")] = False,
    lasting: Annotated[bool, typer.Option("--lasting", help="Go on until it is ended, instead of once.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the provider's answer.")] = 15.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Ask the provider of an agreement for the product's rows; the node must be serving."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        direction = Direction.PUSH if push else Direction.PULL
        extent = Extent.NON_FINITE if lasting else Extent.FINITE
        pid = transferring.request(opened, agreement, direction=direction, extent=extent, purpose=purpose)
        return transferring.await_start(opened, pid, timeout_s=wait)

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def transfers(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the transfers of this node, on either side."""
    render(lambda _output: transferring.transfers(open_node(node)), as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(transfer: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show where a transfer stands, and for whom it waits and why."""
    render(lambda _output: transferring.transfer(open_node(node), transfer), as_json=as_json, lang=lang)


@app.command("fetch", epilog=FETCH_EXAMPLES)
def fetch(
    transfer: Id,
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    form: Annotated[Form | None, typer.Option(help="What to ask a pull's provider for.", show_default="what it prefers")] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Write the rows of a started transfer into a file: pulled now, or pushed here before."""
    render(lambda _output: transferring.fetch(open_node(node), transfer, out, form=form), as_json=as_json, lang=lang)


@app.command("start", epilog=START_EXAMPLES)
def start(transfer: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Start a transfer that was requested of this node, where it decides by hand."""
    render(lambda _output: transferring.start(open_node(node), transfer), as_json=as_json, lang=lang)


@app.command("suspend", epilog=SUSPEND_EXAMPLES)
def suspend(transfer: Id, reason: Reason, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Suspend a started transfer; what runs breaks off, and its token opens nothing any more."""
    _step(transfer, node, lambda opened: opened.moving.processes.suspend(transfer, reason=reason), as_json=as_json, lang=lang)


@app.command("resume", epilog=RESUME_EXAMPLES)
def resume(transfer: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Resume a suspended transfer."""
    render(lambda _output: transferring.start(open_node(node), transfer), as_json=as_json, lang=lang)


@app.command("complete", epilog=COMPLETE_EXAMPLES)
def complete(transfer: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Say that everything was transferred."""
    _step(transfer, node, lambda opened: opened.moving.processes.complete(transfer), as_json=as_json, lang=lang)


@app.command("stop", epilog=STOP_EXAMPLES)
def stop(transfer: Id, reason: Reason, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """End a transfer for good."""
    _step(transfer, node, lambda opened: opened.moving.processes.terminate(transfer, reason=reason), as_json=as_json, lang=lang)


def _step(transfer: str, node: Path, act: Callable[[Node], object], *, as_json: bool, lang: str) -> None:
    def work(_output: Output) -> Any:
        opened = open_node(node)
        act(opened)
        return transferring.transfer(opened, transfer)

    render(work, as_json=as_json, lang=lang)
