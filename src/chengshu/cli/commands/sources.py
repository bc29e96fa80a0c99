"""The places that products are read from: whether a data contract fits one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.catalog.odcs import document_of, read_contract, write_contract
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Places that products are read from: files, databases, object stores.")

CHECK_EXAMPLES = examples(
    "chengshu source check orders.yaml --node shop",
    "chengshu source check counts.yaml --file counts.csv --node road --json",
)

INFER_EXAMPLES = examples(
    "chengshu source infer sales public.closed_orders --node shop > orders.yaml",
    "chengshu source infer lake orders/2026-10.csv --node shop --json",
)


@app.command("check", epilog=CHECK_EXAMPLES)
def check(
    contract: Annotated[Path, typer.Argument(help="The data contract (ODCS), whose server names the place.")],
    file: Annotated[Path | None, typer.Option(help="The file, where the contract names no place.")] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Say column by column whether a data contract fits its source, without publishing and without reading a row."""

    def work(output: Output) -> Any:
        raise typer.Exit(output.tell(open_node(node).catalog.fit(read_contract(contract), source=file)))

    render(work, as_json=as_json, lang=lang)


@app.command("infer", epilog=INFER_EXAMPLES)
def infer(
    server: Annotated[str, typer.Argument(help="The server's name in keys/sources.toml.")],
    name: Annotated[str, typer.Argument(help="A table or view (in PostgreSQL with its schema), or an object's key.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Print a data contract for a table, view or object: types as found, numbers as measures, everything else hidden."""

    def work(_output: Output) -> Any:
        opened = open_node(node)
        contract = opened.catalog.infer(server, name, owner=opened.settings.node.handle)
        if as_json:
            return document_of(contract)
        typer.echo(write_contract(contract), nl=False)
        return None

    render(work, as_json=as_json, lang=lang)
