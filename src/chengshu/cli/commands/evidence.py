"""The log: verify what was handed over, prove one use, compare two parties' logs, copy another node's, read the entries."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.commands import handing_over
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, log_of, render
from chengshu.cli.output import Output, counting
from chengshu.evidence.examine import examine
from chengshu.evidence.inspecting.inspection import inspect
from chengshu.evidence.reconciling.reconcile import reconcile as reconcile_logs
from chengshu.evidence.storage.http import HttpTiles
from chengshu.evidence.witnessing.counted import key_to_trust
from chengshu.evidence.witnessing.mirror import mirror
from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.node import open_node

app = typer.Typer(no_args_is_help=True, help="Evidence that nobody can quietly change.")
app.command("receipt", epilog=handing_over.RECEIPT_EXAMPLES)(handing_over.receipt)
app.command("export", epilog=handing_over.EXPORT_EXAMPLES)(handing_over.export)
app.command("verifier", epilog=handing_over.VERIFIER_EXAMPLES)(handing_over.verifier)

VERIFY_EXAMPLES = examples(
    "chengshu evidence verify road/log",
    "chengshu evidence verify road/log --product detector_1min --job urn:uuid:…",
    "chengshu evidence verify copied-log --vkey 'road_operator/log+1a2b3c4d+AZ…' --json",
    "chengshu evidence verify copied-log --policy witness.policy",
    "chengshu evidence verify case.zip --vkey 'road_operator/log+1a2b3c4d+AZ…'",
)
FETCH_EXAMPLES = examples(
    "chengshu evidence fetch http://127.0.0.1:8701/log road-copy",
    "chengshu evidence fetch https://road.example/log road-copy --vkey 'road_operator/log+1a2b3c4d+AZ…' --policy witness.policy --json",
)
FSCK_EXAMPLES = examples("chengshu evidence fsck road", "chengshu evidence fsck copied-log --json")
RECONCILE_EXAMPLES = examples(
    "chengshu evidence reconcile road fleet",
    "chengshu evidence reconcile copied-log other-log --vkey-a 'road_operator/log+1a2b3c4d+AZ…' --json",
)
PolicyFile = Annotated[Path | None, typer.Option(help="A tlog-policy file: say whether enough witnesses cosigned the checkpoint.")]
PROGRESS_EVERY = 16
LIST_EXAMPLES = examples("chengshu evidence list --node road", "chengshu evidence list --node road --json")
PUBLISH_EXAMPLES = examples("chengshu evidence publish --node road")


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    path: Annotated[Path, typer.Argument(help="A log's folder (a node's folder means its log), an evidence pack, or a proof of use.")],
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    product: Annotated[str | None, typer.Option(help="With --job: prove this use of this product.")] = None,
    job: Annotated[str | None, typer.Option(help="With --product: the job.")] = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Check evidence from its files alone: every byte, every hash, the signature; with --product and --job, prove one use."""

    def work(output: Output) -> Any:
        if (product is None) != (job is None) or "" in {product, job}:
            raise Invalid(
                "evidence.use",
                "expected --product and --job together, or neither, got one of them or an empty one",
                hint=Text(
                    "Name both to prove one use, or neither to check the log alone.", "证明一次使用须同时给出两者；仅核验日志则都不给。"
                ),
            )
        raise typer.Exit(output.tell(examine(log_of(path), vkey, product=product, job=job, policy=policy)))

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
            found = inspect(log_of(path), vkey, progress=progress)
        raise typer.Exit(output.tell(found))

    render(work, as_json=as_json, lang=lang)


@app.command("fetch", epilog=FETCH_EXAMPLES)
def fetch(
    url: Annotated[str, typer.Argument(help="Where a node serves its log: its address and /log.")],
    folder: Annotated[Path, typer.Argument(help="The copy: made at the first time, brought up to date later.")],
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Copy another node's log and check it; what does not continue the copy that is there is refused and kept as proof."""

    def work(output: Output) -> Any:
        def progress(done: int, total: int) -> None:
            if done % PROGRESS_EVERY == 0 or done == total:
                output.say(Text(f"{done} of {total} bundles of entries in place", f"已就位 {done}/{total} 个记录包"))

        with HttpTiles(url) as remote:
            mirror(remote, folder, vkey=vkey or key_to_trust(folder, policy, None), progress=progress)
        raise typer.Exit(output.tell(examine(folder, vkey, policy=policy)))

    render(work, as_json=as_json, lang=lang)


@app.command("reconcile", epilog=RECONCILE_EXAMPLES)
def reconcile(
    a: Annotated[Path, typer.Argument(help="One party's log: its folder, a copy of it, or the node's folder.")],
    b: Annotated[Path, typer.Argument(help="The other party's log.")],
    vkey_a: Annotated[str | None, typer.Option(help="The verifier key of A's log, from a source that you trust.")] = None,
    vkey_b: Annotated[str | None, typer.Option(help="The verifier key of B's log, from a source that you trust.")] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Prove that two parties' records of their common contracts agree, or name the first difference; offline. Leaves with 1 for one."""

    def work(output: Output) -> Any:
        output.say(Text("Verifying both logs …", "正在核验两份日志…"))
        verdict = reconcile_logs(a, b, vkey_a=vkey_a, vkey_b=vkey_b)
        raise typer.Exit(output.tell(verdict))

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
