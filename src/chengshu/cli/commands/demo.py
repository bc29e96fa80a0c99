"""The pilot, end to end."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.options import AsJson, Lang, examples, render
from chengshu.cli.output import Output
from chengshu.cli.playing import Bindings, play_pack

PILOT = "transport/av_pilot"
EXAMPLES = examples("chengshu demo", "chengshu demo --lang zh", "chengshu demo --json --folder /tmp/pilot")


def demo(
    folder: Annotated[Path, typer.Option(help="Where nodes and report are written; made anew.")] = Path("demo"),
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Run the autonomous-driving pilot: six nodes, contracts, a clean room, one measured multiplier, and a report."""

    def work(output: Output) -> Any:
        return play_pack(PILOT, bindings=Bindings({}, only_bound=False), folder=folder, output=output)

    render(work, as_json=as_json, lang=lang)
