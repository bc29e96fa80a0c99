"""The places that products are read from: whether a data contract fits one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.catalog.odcs import read_contract
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Places that products are read from: files, databases, object stores.")

CHECK_EXAMPLES = examples(
    "chengshu source check orders.yaml --node shop",
    "chengshu source check counts.yaml --file counts.csv --node road --json",
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
