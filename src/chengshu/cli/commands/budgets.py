"""Privacy budgets: what answers may tell about people under each agreement, what they have told, and what is left."""

from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.text import Text
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="What answers may tell about people, and what is left of it.")

LIST_EXAMPLES = examples("chengshu budget list --node road", "chengshu budget list --node fleet --json")
SHOW_EXAMPLES = examples("chengshu budget show urn:uuid:… --node road", "chengshu budget show urn:uuid:… --node fleet --json")

HEADINGS = {
    "agreement": Text("agreement", "合约"),
    "product": Text("product", "产品"),
    "provider": Text("provider", "提供方"),
    "consumer": Text("consumer", "使用方"),
    "total": Text("total rho", "总预算 rho"),
    "per_answer": Text("rho of an answer", "单次回答 rho"),
    "contributions": Text("records of a unit", "每主体记录数"),
    "window": Text("within any", "累计时长"),
    "spent": Text("spent", "已用"),
    "left": Text("left", "剩余"),
    "renews_at": Text("renews at", "恢复时间"),
    "job": Text("job", "作业"),
    "kind": Text("kind", "类型"),
    "state": Text("state", "状态"),
    "outcome": Text("outcome", "结果"),
    "at": Text("at", "时间"),
    "rho": Text("rho", "rho"),
}


@app.command("list", epilog=LIST_EXAMPLES)
def every(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the privacy budgets under this node's agreements, as provider and as consumer; the provider counts what is spent."""

    def work(output: Output) -> Any:
        output.show(open_node(node).budgets.every(), headings=HEADINGS)

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    agreement: Annotated[str, typer.Argument(help="The agreement's id.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Show one privacy budget: as its provider with every charge, as its consumer with what the provider tells."""

    def work(output: Output) -> Any:
        found = open_node(node).budgets.show(agreement)
        if output.as_json:
            output.show(found)
            return
        output.show([{key: value for key, value in found.items() if key != "charges"}], headings=HEADINGS)
        if found.get("charges"):
            output.show(found["charges"], headings=HEADINGS)

    render(work, as_json=as_json, lang=lang)
