"""Handing evidence over: a proof of one use, an evidence pack about one case, the verifier as one file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output, waiting
from chengshu.evidence.packs.export import write_new
from chengshu.evidence.packs.standalone import verifier_bytes
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.text import Text
from chengshu.node import open_node

RECEIPT_EXAMPLES = examples("chengshu evidence receipt detector_1min urn:uuid:… --node road --out use.cose")
EXPORT_EXAMPLES = examples(
    "chengshu evidence export --case urn:uuid:… --node road --out case.zip",
    "chengshu evidence export --case detector_1min --node road --out product.zip --whole-log",
)
VERIFIER_EXAMPLES = examples("chengshu evidence verifier verify.pyz", "python3 verify.pyz verify case.zip")


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
