"""Permits of a pilot: put one in force, move it, admit a vehicle under it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import permitting, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.live.model import Act, Shift
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Permits of a pilot, kept by the authority's node.")

PUBLISH_EXAMPLES = examples("chengshu permit publish permit.json --reason 'application of the pilot entity' --node regulator")
SHOW_EXAMPLES = examples("chengshu permit show adlershof-pilot-2026 --node regulator")
MOVE_EXAMPLES = examples(
    "chengshu permit move suspend adlershof-pilot-2026 --rule R01 --evidence sha256:… --reason 'left the zone twice' --node regulator"
)
ADMIT_EXAMPLES = examples(
    "chengshu permit admit pilot-2026 --vehicle av-17 --type PILOT-TAXI-1 --software 4.2.1 --operator fleet_operator --node regulator"
)
RESTRICT_EXAMPLES = examples(
    "chengshu permit restrict pilot-2026 --file less.json --rule R05 --evidence sha256:… --reason 'speeding' --node regulator"
)
PermitId = Annotated[str, typer.Argument(help="The permit's id.")]
MOVES = ("submit", "approve", "publish", "lift", "suspend", "reinstate", "terminate", "expire")


@app.command("publish", epilog=PUBLISH_EXAMPLES)
def publish(
    file: Annotated[Path, typer.Argument(help="The permit's JSON document.")],
    reason: Annotated[str, typer.Option(help="Why it is granted.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Draft, submit, approve and publish a permit; its zones are immutable from then on."""
    render(lambda _output: permitting.in_force(open_node(node), verbs.read_json(file), reason=reason), as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(permit: PermitId, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show a permit's state and every step that led there."""
    render(lambda _output: permitting.standing(open_node(node), permit), as_json=as_json, lang=lang)


@app.command("move", epilog=MOVE_EXAMPLES)
def move(
    step: Annotated[str, typer.Argument(help=f"One of {', '.join(MOVES)}.")],
    permit: PermitId,
    rule: Annotated[str, typer.Option(help="The rule or ground, such as R01 or assessment.")],
    evidence: Annotated[str, typer.Option(help="The digest of the evidence, sha256:… (sm3:… in a national space)")],
    reason: Annotated[str, typer.Option(help="Why, in words.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Move a permit one step, as its issuer."""

    def work(_output: Output) -> Any:
        if step not in MOVES:
            raise Invalid(
                "permit.step",
                f"expected one of {', '.join(MOVES)}, got another word",
                hint=Text("A restriction needs a document: chengshu permit restrict.", "限制措施需要文档：chengshu permit restrict。"),
            )
        opened = open_node(node)
        issuer = opened.permits.effective(permit)[1].issuer
        outcome = getattr(opened.permits, step)(permit, Act(issuer, rule, evidence, reason))
        return outcome if isinstance(outcome, Refused) else permitting.standing(opened, permit)

    render(work, as_json=as_json, lang=lang)


@app.command("restrict", epilog=RESTRICT_EXAMPLES)
def restrict(
    permit: PermitId,
    file: Annotated[Path, typer.Option(help="What is restricted, as a JSON document.")],
    rule: Annotated[str, typer.Option(help="The rule or ground, such as R01 or assessment.")],
    evidence: Annotated[str, typer.Option(help="The digest of the evidence, sha256:… (sm3:… in a national space)")],
    reason: Annotated[str, typer.Option(help="Why, in words.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Restrict a permit in force, short of suspending it: fewer vehicles, less area, lower speed, better weather."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        issuer = opened.permits.effective(permit)[1].issuer
        opened.permits.restrict(permit, Act(issuer, rule, evidence, reason), verbs.read_json(file))
        return permitting.standing(opened, permit)

    render(work, as_json=as_json, lang=lang)


@app.command("admit", epilog=ADMIT_EXAMPLES)
def admit(
    permit: PermitId,
    vehicle: Annotated[str, typer.Option(help="The vehicle's pseudonym.")],
    type_code: Annotated[str, typer.Option("--type", help="The vehicle's type.")],
    software: Annotated[str, typer.Option(help="The software that it runs.")],
    operator: Annotated[str, typer.Option(help="Who uses it.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Sign an admission token for one vehicle and one shift, or refuse it by rule."""
    shift = Shift(permit, vehicle, type_code, software, operator)
    render(lambda _output: permitting.admit(open_node(node), shift), as_json=as_json, lang=lang)
