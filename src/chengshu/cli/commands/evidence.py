"""The log: verify what was handed over, prove one use of one product, hand evidence over, read the entries."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output, counting, waiting
from chengshu.evidence.examine import Verdict, examine
from chengshu.evidence.export import write_new
from chengshu.evidence.inspection import Inspection, inspect
from chengshu.evidence.pack import is_pack
from chengshu.evidence.standalone import verifier_bytes
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import iso
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.text import Text
from chengshu.node import LOG, open_node

app = typer.Typer(no_args_is_help=True, help="Evidence that nobody can quietly change.")

VERIFY_EXAMPLES = examples(
    "chengshu evidence verify road/log",
    "chengshu evidence verify road/log --product detector_1min --job urn:uuid:…",
    "chengshu evidence verify copied-log --vkey 'road_operator/log+1a2b3c4d+AZ…' --json",
    "chengshu evidence verify case.zip --vkey 'road_operator/log+1a2b3c4d+AZ…'",
)
FSCK_EXAMPLES = examples("chengshu evidence fsck road", "chengshu evidence fsck copied-log --json")
RECEIPT_EXAMPLES = examples("chengshu evidence receipt detector_1min urn:uuid:… --node road --out use.cose")
EXPORT_EXAMPLES = examples(
    "chengshu evidence export --case urn:uuid:… --node road --out case.zip",
    "chengshu evidence export --case detector_1min --node road --out product.zip --whole-log",
)
VERIFIER_EXAMPLES = examples("chengshu evidence verifier verify.pyz", "python3 verify.pyz verify case.zip")
LIST_EXAMPLES = examples("chengshu evidence list --node road", "chengshu evidence list --node road --json")
PUBLISH_EXAMPLES = examples("chengshu evidence publish --node road")


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    path: Annotated[Path, typer.Argument(help="A log's folder (a node's folder means its log), an evidence pack, or a proof of use.")],
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    product: Annotated[str | None, typer.Option(help="With --job: prove this use of this product.")] = None,
    job: Annotated[str | None, typer.Option(help="With --product: the job.")] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Check evidence from its files alone: every byte, every hash, the signature; with --product and --job, prove one use."""

    def work(output: Output) -> Any:
        if (product is None) != (job is None):
            raise typer.BadParameter("--product and --job go together")
        _tell(examine(_log_of(path), vkey, product=product, job=job), output)

    render(work, as_json=as_json, lang=lang)


@app.command("fsck", epilog=FSCK_EXAMPLES)
def fsck(
    path: Annotated[Path, typer.Argument(help="A log's folder, or a copy of it; a node's folder means its log.")],
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """List everything that is wrong with a log's files: file, byte and entry, and what the signed root proves in spite of it."""

    def work(output: Output) -> Any:
        with counting(output, Text("Entries checked", "已检查条目")) as progress:
            found = inspect(_log_of(path), vkey, progress=progress)
        _tell(found, output)

    render(work, as_json=as_json, lang=lang)


@app.command("receipt", epilog=RECEIPT_EXAMPLES)
def receipt(
    product: Annotated[str, typer.Argument(help="The product that was used.")],
    job: Annotated[str, typer.Argument(help="The job that used it.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Write one file that proves one use: its entries, each with the log's COSE receipt (RFC 9942)."""

    def work(_output: Output) -> Any:
        here = open_node(node)
        here.evidence.publish()
        return here.exports.use_proof(product, job, out).as_dict()

    render(work, as_json=as_json, lang=lang)


@app.command("export", epilog=EXPORT_EXAMPLES)
def export(
    case: Annotated[str, typer.Option(help="A job, an agreement, a negotiation, a permit, a product or a statement.")],
    out: Annotated[Path, typer.Option(help="The zip file to write; it must not exist.")],
    whole_log: Annotated[bool, typer.Option("--whole-log", help="Enclose the whole log: it proves that nothing was left out.")] = False,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Write an evidence pack about one case that a stranger can check offline: entries, proofs, policies, a summary, the verifier."""

    def work(output: Output) -> Any:
        here = open_node(node)
        here.evidence.publish()
        with waiting(output, Text("Collecting and proving the entries", "正在汇集并证明条目")):
            return here.exports.pack(case, out, whole_log=whole_log).as_dict()

    render(work, as_json=as_json, lang=lang)


@app.command("verifier", epilog=VERIFIER_EXAMPLES)
def verifier(
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Write the verifier as one file that runs with Python 3.11 and the package cryptography alone."""

    def work(_output: Output) -> Any:
        data = verifier_bytes()
        write_new(out, data)
        return {"file": str(out), "digest": Digests(INTERNATIONAL).of_bytes(data)}

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


def _log_of(path: Path) -> Path:
    """A node's folder means its log; a pack's folder, which also has a ``log`` folder at times, means itself."""
    return path / LOG if (path / LOG).is_dir() and not is_pack(path) else path


def _tell(found: Verdict | Inspection, output: Output) -> None:
    if output.as_json:
        output.show(found.as_dict(output.language))
    else:
        for en, zh in zip(found.words("en"), found.words("zh"), strict=True):
            output.say(Text(en, zh))
    if not found.holds:
        raise typer.Exit(1)
