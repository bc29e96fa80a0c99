"""Data products: publish a file, list, withdraw, check a file before publishing."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.catalog.model import Acceptance, Grade
from chengshu.cli import publishing, transferring, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

app = typer.Typer(no_args_is_help=True, help="This node's data products.")

PUBLISH_EXAMPLES = examples(
    "chengshu product publish counts.parquet --purpose traffic-study --node road",
    "chengshu product publish counts.csv --contract counts.yaml --policy offer.json --node road",
    "chengshu product publish counts.parquet --purpose traffic-study --to 'Fleet operator' --uses 20 --group 10 --node road",
    "chengshu product publish counts.parquet --purpose traffic-study --column road --column speed --where \"city = 'Jinan'\" --node road",
    "chengshu product publish --contract orders.yaml --purpose market-study --node shop",
    "chengshu product publish counts.parquet --rows --to 'Fleet operator' --uses 3 --node road",
)
LIST_EXAMPLES = examples("chengshu product list --node road", "chengshu product list --node road --json")
GRADE_EXAMPLES = examples(
    "chengshu product grade counts important --reason 'more than 100,000 vehicles' --node road",
    "chengshu product grade counts core --reason 'assessment of 2026-11' --node road --json",
)
WITHDRAW_EXAMPLES = examples("chengshu product withdraw counts --node road")


@app.command("publish", epilog=PUBLISH_EXAMPLES)
def publish(
    file: Annotated[
        Path | None, typer.Argument(help="Parquet, CSV, or a JSON document; none where the contract names the place of the rows.")
    ] = None,
    contract: Annotated[
        Path | None, typer.Option(help="The data contract (ODCS); without one it is inferred, numbers as measures.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Without a contract: the version to publish as; 1.0.0 when left out.")] = None,
    policy: Annotated[Path | None, typer.Option(help="The offer as ODRL JSON, instead of the options below.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="A purpose that it may be used for; may be repeated.")] = None,
    to: Annotated[
        list[str] | None, typer.Option(help="A party that may ask for it; may be repeated; everyone known when left out.")
    ] = None,
    room: Annotated[
        str | None,
        typer.Option(help="The clean room that may compute on it; the only known one when left out. This node's own name: rows stay here."),
    ] = None,
    uses: Annotated[int | None, typer.Option(help="How many uses one contract allows.")] = None,
    group: Annotated[int, typer.Option(help="The smallest group that an answer may be about.")] = 5,
    column: Annotated[
        list[str] | None, typer.Option(help="A column that may be used, others may not; may be repeated; all when left out.")
    ] = None,
    show: Annotated[
        list[str] | None,
        typer.Option(help="A column whose values answers may show, others' not; may be repeated; as the contract says when left out."),
    ] = None,
    where: Annotated[str | None, typer.Option(help="Offer only rows of which this holds, such as \"city IN ('Jinan', 'Jining')\".")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Offer the rows themselves, which leave for good, instead of answers.")] = False,
    road_map: Annotated[Path | None, typer.Option("--map", help="A Parquet file of lanes (xs, ys) to hold positions against.")] = None,
    map_proj: Annotated[str, typer.Option(help="With --map: where its local metres lie, as PROJ text.")] = "",
    map_offset: Annotated[tuple[float, float], typer.Option(help="With --map: its offset, east and north in metres.")] = (0.0, 0.0),
    accept_flagged: Annotated[
        bool, typer.Option("--accept-flagged", help="Publish although the file is not what its contract says.")
    ] = False,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Publish a file, or rows where they lie, as a data product, with its contract checked and its offer in the catalogue."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        if policy:
            offer = verbs.read_json(policy)
        elif rows:
            if column or show or where:
                raise _all_or_nothing()
            recipients = [verbs.party_id(opened, one) for one in to or ()]
            offer = transferring.rows_offer(purposes=purpose or (), recipients=recipients, uses=uses)
        else:
            usual = _terms(opened, purpose, to=to, room=room, uses=uses, group=group)
            offer = publishing.offer_of(replace(usual, columns=column or (), shown=show or (), rows=where))
        acceptance = Acceptance.FLAGGED if accept_flagged else Acceptance.CLEAN
        reference = publishing.MapReference(road_map, map_proj, map_offset) if road_map else None
        return publishing.publish(opened, file, contract=contract, version=version, policy=offer, acceptance=acceptance, road_map=reference)

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def show(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List this node's published products."""
    render(lambda _output: publishing.products(open_node(node)), as_json=as_json, lang=lang)


@app.command("grade", epilog=GRADE_EXAMPLES)
def grade(
    product: Annotated[str, typer.Argument(help="The product's id.")],
    level: Annotated[
        Grade, typer.Argument(help="How much harm its leak would do (GB/T 43697): important data go to named recipients only.")
    ],
    reason: Annotated[str, typer.Option(help="Why it has this grade.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Set a product's grade, for all its versions; core data are offered to nobody and used under no agreement."""
    render(lambda _output: publishing.grade(open_node(node), product, level, reason=reason), as_json=as_json, lang=lang)


@app.command("withdraw", epilog=WITHDRAW_EXAMPLES)
def withdraw(
    product: Annotated[str, typer.Argument(help="The product's id.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Withdraw a product: nobody can ask for a new contract on it."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        opened.catalog.withdraw(product)
        return publishing.products(opened)

    render(work, as_json=as_json, lang=lang)


def _all_or_nothing() -> Invalid:
    return Invalid(
        "product.part-of-rows",
        "expected --rows without --column, --show and --where, got one of these: rows that leave for good are handed over whole",
        hint=Text(
            "Offer questions instead, without --rows, or publish the part as a product.",
            "请去掉 --rows 改为提供查询，或将该部分单独发布为产品。",
        ),
    )


def _terms(
    node: Node, purpose: list[str] | None, *, to: list[str] | None, room: str | None, uses: int | None, group: int
) -> publishing.Terms:
    recipients = [verbs.party_id(node, name) for name in to or []]
    return publishing.Terms(verbs.the_room(node, room), purpose or ["any-agreed-purpose"], recipients, uses, group)
