"""Contracts: every step of a negotiation on either side, where each stands, and what is in force."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import negotiating, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.contract.decision import ENDED_BY_OPERATOR, Objections
from chengshu.contract.model import Negotiation
from chengshu.kernel.refusal import Refused
from chengshu.node import Node, open_node

app = typer.Typer(no_args_is_help=True, help="Contracts with other parties.")

Id = Annotated[str, typer.Argument(metavar="NEGOTIATION", help="The negotiation's id.")]
Terms = Annotated[Path | None, typer.Option("--policy", help="A file with other terms: ODRL, as in the policy reference.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the outcome.")]

REQUEST_EXAMPLES = examples(
    "chengshu contract request 'Road operator' detector_1min --node fleet",
    "chengshu contract request 道路运营方 detector_1min --node fleet --wait 30 --json",
    "chengshu contract request road detector_1min --policy other-terms.json --wait 0 --node fleet",
)
OFFER_EXAMPLES = examples(
    "chengshu contract offer Fleet detector_1min --node road",
    "chengshu contract offer Fleet detector_1min --policy for-the-fleet.json --node road --json",
)
COUNTER_EXAMPLES = examples(
    "chengshu contract counter urn:uuid:… --policy other-terms.json --node fleet",
    "chengshu contract counter urn:uuid:… --node road",
)
ACCEPT_EXAMPLES = examples("chengshu contract accept urn:uuid:… --node fleet")
AGREE_EXAMPLES = examples("chengshu contract agree urn:uuid:… --node road", "chengshu contract agree urn:uuid:… --node road --json")
VERIFY_EXAMPLES = examples(
    "chengshu contract verify urn:uuid:… --node fleet", "chengshu contract verify urn:uuid:… --objections-aside --node fleet"
)
FINALIZE_EXAMPLES = examples("chengshu contract finalize urn:uuid:… --node road")
SHOW_EXAMPLES = examples("chengshu contract show urn:uuid:… --node fleet")
LIST_EXAMPLES = examples("chengshu contract list --node fleet", "chengshu contract list --node fleet --json")
NEGOTIATIONS_EXAMPLES = examples("chengshu contract negotiations --node road", "chengshu contract negotiations --node road --json")
TERMINATE_EXAMPLES = examples(
    "chengshu contract terminate urn:uuid:… --reason 'no longer needed' --node fleet",
    "chengshu contract terminate urn:uuid:… --code price --reason 'too dear' --node road --json",
)


@app.command("request", epilog=REQUEST_EXAMPLES)
def request(
    holder: Annotated[str, typer.Argument(help="The holder's name, in either language, or id.")],
    product: Annotated[str, typer.Argument(help="The product's id in the holder's catalogue.")],
    policy: Terms = None,
    wait: Wait = 15.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Negotiate the contract that a holder offers on a product, or one under other terms; the node must be serving."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        terms = None if policy is None else verbs.read_json(policy)
        negotiation = verbs.request(opened, verbs.party_id(opened, holder), product, policy=terms)
        return verbs.await_agreements(opened, [negotiation], timeout_s=wait)[0]

    render(work, as_json=as_json, lang=lang)


@app.command("offer", epilog=OFFER_EXAMPLES)
def offer(
    party: Annotated[str, typer.Argument(help="The party's name, in either language, or id.")],
    product: Annotated[str, typer.Argument(help="The id of a product of this node.")],
    policy: Terms = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Offer a product to a party that has not asked for it, as the catalogue has it or under other terms."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        terms = None if policy is None else verbs.read_json(policy)
        begun = opened.contracts.offer(verbs.party_id(opened, party), dataset=product, policy=terms)
        return verbs.negotiation(opened, begun)

    render(work, as_json=as_json, lang=lang)


@app.command("counter", epilog=COUNTER_EXAMPLES)
def counter(negotiation: Id, policy: Terms = None, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Answer with other terms: the consumer asks for them, the provider proposes them (without a file: its catalogue's)."""

    def step(opened: Node) -> Negotiation:
        return opened.contracts.counter(negotiation, policy=None if policy is None else verbs.read_json(policy))

    _take(step, node, as_json=as_json, lang=lang)


@app.command("accept", epilog=ACCEPT_EXAMPLES)
def accept(negotiation: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Accept the provider's offer."""
    _take(lambda opened: opened.contracts.accept(negotiation), node, as_json=as_json, lang=lang)


@app.command("agree", epilog=AGREE_EXAMPLES)
def agree(negotiation: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Agree to the offer on the table, a counter-offer too, and send the signed agreement."""
    _take(lambda opened: opened.contracts.agree(negotiation), node, as_json=as_json, lang=lang)


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    negotiation: Id,
    aside: Annotated[bool, typer.Option("--objections-aside", help="Confirm it although it is not what was asked for.")] = False,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Check the provider's agreement and sign it."""
    objections = Objections.SET_ASIDE if aside else Objections.STAND
    _take(lambda opened: opened.contracts.verify(negotiation, objections=objections), node, as_json=as_json, lang=lang)


@app.command("finalize", epilog=FINALIZE_EXAMPLES)
def finalize(negotiation: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Check the consumer's signature and put the agreement into force."""
    _take(lambda opened: opened.contracts.finalize(negotiation), node, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(negotiation: Id, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show where a negotiation stands, for whom it waits and why, and the terms on the table."""
    render(lambda _output: verbs.negotiation(open_node(node), negotiation), as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def agreements(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the contracts in force, on either side."""
    render(lambda _output: verbs.agreements(open_node(node)), as_json=as_json, lang=lang)


@app.command("negotiations", epilog=NEGOTIATIONS_EXAMPLES)
def negotiations(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the negotiations that have not ended, with whom each waits for and why."""
    render(lambda _output: negotiating.negotiations(open_node(node)), as_json=as_json, lang=lang)


@app.command("terminate", epilog=TERMINATE_EXAMPLES)
def terminate(
    negotiation: Id,
    reason: Annotated[str, typer.Option(help="Why; the other side is told.")],
    code: Annotated[str, typer.Option(help="Why, for a program to read.")] = ENDED_BY_OPERATOR,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """End a negotiation that has not ended yet."""
    _take(lambda opened: opened.contracts.terminate(negotiation, reason=reason, code=code), node, as_json=as_json, lang=lang)


def _take(step: Callable[[Node], Negotiation | Refused], node: Path, *, as_json: bool, lang: str) -> None:
    """Take one step of a negotiation and show where it stands then."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        return negotiating.stepped(opened, step(opened))

    render(work, as_json=as_json, lang=lang)
