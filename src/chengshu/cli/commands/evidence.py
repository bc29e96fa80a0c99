"""The log: verify a copied folder, prove one use of one product, read the entries."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.node import LOG, open_node

app = typer.Typer(no_args_is_help=True, help="Evidence that nobody can quietly change.")

VERIFY_EXAMPLES = examples(
    "chengshu evidence verify road/log",
    "chengshu evidence verify road/log --product detector_1min --job urn:uuid:…",
    "chengshu evidence verify copied-log --vkey 'road_operator/log+1a2b3c4d+AZ…' --json",
)
LIST_EXAMPLES = examples("chengshu evidence list --node road", "chengshu evidence list --node road --json")
PUBLISH_EXAMPLES = examples("chengshu evidence publish --node road")


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    path: Annotated[Path, typer.Argument(help="A log's folder, or a copy of it; a node's folder means its log.")],
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    product: Annotated[str | None, typer.Option(help="With --job: prove this use of this product.")] = None,
    job: Annotated[str | None, typer.Option(help="With --product: the job.")] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Check a log from its files alone: every byte, every hash, the signature; with --product and --job, prove one use."""

    def work(output: Output) -> Any:
        if (product is None) != (job is None) or "" in {product, job}:
            raise Invalid(
                "evidence.use",
                "expected --product and --job together, or neither, got one of them or an empty one",
                hint=Text(
                    "Name both to prove one use, or neither to check the log alone.", "证明一次使用须同时给出两者；仅核验日志则都不给。"
                ),
            )
        folder = path / LOG if (path / LOG).is_dir() else path
        verdict = (
            verify_use(folder, product=product, job=job, vkey=vkey) if product is not None and job is not None else verify_log(folder, vkey)
        )
        if output.as_json:
            output.show(verdict.as_dict(output.language))
        else:
            for en, zh in zip(verdict.words("en"), verdict.words("zh"), strict=True):
                output.say(Text(en, zh))
        if not getattr(verdict, "holds", True):
            raise typer.Exit(1)

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def entries(
    last: Annotated[int, typer.Option(help="How many of the newest entries.")] = 20,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """List the newest entries of this node's log."""

    def work(output: Output) -> Any:
        log = open_node(node).evidence
        size = log.size()
        return [
            {"entry": one.index, "at": iso(one.at), "kind": one.kind, "title": one.title.of(output.language), "subject": one.subject}
            for one in log.entries(max(0, size - last), size)
        ]

    render(work, as_json=as_json, lang=lang)


@app.command("publish", epilog=PUBLISH_EXAMPLES)
def publish(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Write every committed entry to the log's files now, and sign a checkpoint."""

    def work(_output: Output) -> Any:
        checkpoint = open_node(node).evidence.publish()
        return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root_text}

    render(work, as_json=as_json, lang=lang)
