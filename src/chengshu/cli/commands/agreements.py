"""Agreements after their signing: how they stand, and how they are ended, renewed and amended."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import agreeing, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import Node, open_node

app = typer.Typer(no_args_is_help=True, help="Agreements after their signing.")

LIST_EXAMPLES = examples("chengshu agreement list --node fleet", "chengshu agreement list --node fleet --json")
SHOW_EXAMPLES = examples("chengshu agreement show urn:uuid:… --node fleet")
TERMINATE_EXAMPLES = examples("chengshu agreement terminate urn:uuid:… --code purpose-ended --reason 'the study is over' --node fleet")
RENEW_EXAMPLES = examples(
    "chengshu agreement renew urn:uuid:… --node fleet", "chengshu agreement renew urn:uuid:… --until 2027-12-31T23:59:59+08:00 --node road"
)
AMEND_EXAMPLES = examples(
    "chengshu agreement amend urn:uuid:… --node fleet", "chengshu agreement amend urn:uuid:… --policy terms.json --node road"
)

AgreementId = Annotated[str, typer.Argument(help="The agreement's id.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the outcome.")]


@app.command("list", epilog=LIST_EXAMPLES)
def standings(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List every agreement that was ever concluded, on either side, and how it stands."""
    render(lambda _output: agreeing.standings(open_node(node)), as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(agreement: AgreementId, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show how an agreement stands, what ended it and why, and what is still owed under it."""
    render(lambda _output: agreeing.standing(open_node(node), agreement), as_json=as_json, lang=lang)


@app.command("terminate", epilog=TERMINATE_EXAMPLES)
def terminate(
    agreement: AgreementId,
    code: Annotated[str, typer.Option(help="A code for it: small letters, digits and hyphens, such as purpose-ended.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence; the other side is told.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """End an agreement now: nothing more is used under it, what runs stops, and the other side is told."""
    render(lambda _output: agreeing.terminate(open_node(node), agreement, code=code, reason=reason), as_json=as_json, lang=lang)


@app.command("renew", epilog=RENEW_EXAMPLES)
def renew(
    agreement: AgreementId,
    until: Annotated[str, typer.Option(help="The new end (RFC 3339).", show_default="as the holder's present offer has it")] = "",
    wait: Wait = 15.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Negotiate the same terms with a later end; once both have signed, the old agreement is superseded. The node must be serving."""
    _negotiate(node, lambda opened: agreeing.renew(opened, agreement, until=until or None), wait=wait, as_json=as_json, lang=lang)


@app.command("amend", epilog=AMEND_EXAMPLES)
def amend(
    agreement: AgreementId,
    policy: Annotated[
        Path | None, typer.Option(help="A file with the other terms as ODRL.", show_default="the holder's present offer")
    ] = None,
    wait: Wait = 15.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Negotiate other terms; once both have signed, the old agreement is superseded. The node must be serving."""
    _negotiate(node, lambda opened: agreeing.amend(opened, agreement, policy=policy), wait=wait, as_json=as_json, lang=lang)


def _negotiate(node: Path, ask: Callable[[Node], str], *, wait: float, as_json: bool, lang: str) -> None:
    def work(_output: Output) -> Any:
        opened = open_node(node)
        return verbs.await_agreements(opened, [ask(opened)], timeout_s=wait)[0]

    render(work, as_json=as_json, lang=lang)
