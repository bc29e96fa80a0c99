"""The pilot, end to end."""

from pathlib import Path
from typing import Annotated

import typer

from chengshu.cli.options import AsJson, Lang, examples, render
from chengshu.cli.output import FAILED_EXIT, Output
from chengshu.kernel.errors import Unavailable
from chengshu.kernel.text import Text

PILOT = "transport/av_pilot"
EXAMPLES = examples("chengshu demo", "chengshu demo --lang zh", "chengshu demo --json --folder /tmp/pilot")


def demo(
    folder: Annotated[Path, typer.Option(help="Where nodes and report are written; made anew.")] = Path("demo"),
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Run the autonomous-driving pilot: six nodes, contracts, a clean room, one measured multiplier, and a report.

    Leaves with 1 when no multiplier was measured.
    """
    from chengshu.cli.playing import Bindings, play_pack  # noqa: PLC0415  # start-up: a serving node draws no report
    from chengshu.scenario.summary import is_measured  # noqa: PLC0415  # as above

    def work(output: Output) -> None:
        result = play_pack(PILOT, bindings=Bindings({}, only_bound=False), folder=folder, output=output)
        if not is_measured(result):
            raise _unmeasured(output)

    render(work, as_json=as_json, lang=lang)


def _unmeasured(output: Output) -> Exception:
    """A program has had its result, which says why; a person is told that the run fell short of what it is for."""
    if output.as_json:
        return typer.Exit(FAILED_EXIT)
    return Unavailable(
        "demo.unmeasured",
        "expected a measured multiplier, got a run without one",
        hint=Text(
            "The line 'Multiplier' says why. Run it again when the machine has less to do.",
            "原因见“乘数”一行。请在机器较空闲时重新运行。",
        ),
    )
