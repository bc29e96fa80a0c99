"""The command ``chengshu``: one sub-command a noun."""

import logging
from typing import Annotated

import typer

from chengshu.cli.commands import (
    agreements,
    anchor,
    budgets,
    catalogs,
    contracts,
    demo,
    evidence,
    jobs,
    nodes,
    packs,
    peers,
    permits,
    policies,
    products,
    receipts,
    sources,
    statements,
    transfers,
    witness,
)
from chengshu.cli.options import examples
from chengshu.kernel.memory import give_back_early
from chengshu.kernel.version import VERSION

app = typer.Typer(
    name="chengshu",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
    help="Chengshu 乘数: a trusted data space in one package.",
    epilog=examples(
        "chengshu demo", "chengshu node init my-node --handle my_firm --name 'My firm' --name-zh 我的公司", "chengshu doctor --node my-node"
    ),
)


def _version(wanted: bool) -> None:  # the shape that the command-line library calls
    if wanted:
        typer.echo(f"chengshu {VERSION}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Chengshu 乘数: a trusted data space in one package."""
    del version


app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("serve", epilog=nodes.SERVE_EXAMPLES)(nodes.serve)
app.command("doctor", epilog=nodes.DOCTOR_EXAMPLES)(nodes.doctor)
app.command("query", epilog=jobs.QUERY_EXAMPLES)(jobs.query)
app.add_typer(nodes.app, name="node")
app.add_typer(peers.app, name="peer")
app.add_typer(products.app, name="product")
app.add_typer(sources.app, name="source")
app.add_typer(catalogs.app, name="catalog")
app.add_typer(contracts.app, name="contract")
app.add_typer(agreements.app, name="agreement")
app.add_typer(budgets.app, name="budget")
app.add_typer(policies.policy, name="policy")
app.add_typer(policies.duty, name="duty")
app.add_typer(policies.event, name="event")
app.add_typer(transfers.app, name="transfer")
app.add_typer(jobs.app, name="job")
app.add_typer(receipts.app, name="receipt")
app.add_typer(permits.app, name="permit")
app.add_typer(statements.app, name="statement")
app.add_typer(evidence.app, name="evidence")
app.add_typer(witness.app, name="witness")
app.add_typer(anchor.app, name="anchor")
app.add_typer(packs.app, name="pack")


def main() -> None:
    """Run the command line."""
    give_back_early()
    # An interrupt while a connection is handed back is told by the command's own end; the library would add its traceback.
    logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())
    app()
