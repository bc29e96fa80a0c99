"""Packs: list, judge, play on your own data, take the sample apart."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu import plugins
from chengshu.cli.options import AsJson, Lang, examples, render
from chengshu.cli.output import Output
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.scenario.model import MANIFEST, find, load

app = typer.Typer(no_args_is_help=True, help="Scenarios as data.")

LIST_EXAMPLES = examples("chengshu pack list", "chengshu pack list --json")
CHECK_EXAMPLES = examples("chengshu pack check transport/av_pilot", "chengshu pack check ./my-pack --json")
RUN_EXAMPLES = examples(
    "chengshu pack run transport/av_pilot",
    "chengshu pack run transport/av_pilot --bind detector_1min=counts.csv --bind link_speed=speeds.parquet",
    "chengshu pack run transport/av_pilot --only-bound --bind av_state=av.parquet --bind map_lane=map.parquet",
)
SAMPLE_EXAMPLES = examples("chengshu pack sample transport/av_pilot sample")

COMPILE_EXAMPLES = examples("chengshu pack compile transport/av_pilot")

PackName = Annotated[str, typer.Argument(help="A pack's id, or its folder.")]


@app.command("list", epilog=LIST_EXAMPLES)
def every(as_json: AsJson = False, lang: Lang = "") -> None:
    """List the installed packs."""

    def work(output: Output) -> Any:
        manifests = [path for root in plugins.pack_roots() for path in sorted(root.glob(f"*/*/{MANIFEST}"))]
        found = [load(path.parent) for path in manifests]
        return [{"pack": one.id, "title": one.title.of(output.language), "clauses": ", ".join(one.clauses)} for one in found]

    render(work, as_json=as_json, lang=lang)


@app.command("check", epilog=CHECK_EXAMPLES)
def check(pack: PackName, as_json: AsJson = False, lang: Lang = "") -> None:
    """Judge a pack: every contract, policy, question, answer and refusal; leave with 1 if anything is wrong."""
    from chengshu.scenario import check as checking  # noqa: PLC0415  # start-up: a serving node plays and judges no pack

    def work(output: Output) -> Any:
        root = find(plugins.pack_roots(), pack)
        results = checking.check(root, observe=plugins.source)
        output.show([one.as_dict(output.language) for one in results])
        if not all(one.holds for one in results):
            raise typer.Exit(1)

    render(work, as_json=as_json, lang=lang)


@app.command("run", epilog=RUN_EXAMPLES)
def run(
    pack: PackName,
    bind: Annotated[
        list[str] | None, typer.Option(help="PRODUCT=FILE: your own Parquet or CSV in a product's place; may be repeated.")
    ] = None,
    only_bound: Annotated[bool, typer.Option("--only-bound", help="Leave out every product that is not bound.")] = False,
    folder: Annotated[Path, typer.Option(help="Where nodes and report are written; made anew.")] = Path("run"),
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Play a pack on real nodes, with the recorded sample or with your own files, and write its report."""
    from chengshu.cli.playing import Bindings, play_pack  # noqa: PLC0415  # start-up: a serving node plays and judges no pack

    def work(output: Output) -> None:
        bindings = Bindings({name: Path(file) for name, file in map(_binding, bind or [])}, only_bound=only_bound)
        play_pack(pack, bindings=bindings, folder=folder, output=output)

    render(work, as_json=as_json, lang=lang)


@app.command("sample", epilog=SAMPLE_EXAMPLES)
def sample(
    pack: PackName,
    folder: Annotated[Path, typer.Argument(help="Where the files are written.")],
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Write the recorded sample as the files that each party would hold: a pattern for your own."""
    from chengshu.cli.playing import sample_of  # noqa: PLC0415  # start-up: a serving node plays and judges no pack

    render(lambda _output: sample_of(pack, folder), as_json=as_json, lang=lang)


@app.command("compile", epilog=COMPILE_EXAMPLES)
def compile_(pack: PackName, as_json: AsJson = False, lang: Lang = "") -> None:
    """Compile a pack's methods ahead, so that the first run is as quick as every later one."""
    from chengshu.cli.compiling import compile_methods  # noqa: PLC0415  # start-up: a serving node plays and judges no pack

    def work(output: Output) -> Any:
        output.say(Text("compiling the methods' hot loops, once", "正在一次性编译方法中的热点循环"))
        return compile_methods(load(find(plugins.pack_roots(), pack)))

    render(work, as_json=as_json, lang=lang)


def _binding(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise Invalid(
            "pack.binding",
            "expected PRODUCT=FILE, got another form",
            hint=Text("For example --bind detector_1min=counts.csv.", "例如 --bind detector_1min=counts.csv。"),
        )
    return name, file
