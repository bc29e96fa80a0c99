"""Anchors: checkpoints kept by a chain, so that not even this node's operator can rewrite what came before."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chengshu import config
from chengshu.anchor.chains.chosen import account_of, chain_at, evm_at
from chengshu.anchor.model import FISCO, UNTESTED, Anchor, State
from chengshu.anchor.verify import verify_anchors
from chengshu.cli import answering
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, log_of, render
from chengshu.cli.output import Output, counting, waiting
from chengshu.kernel.errors import Invalid, Unavailable
from chengshu.kernel.text import Text
from chengshu.node import KEYS, Node, open_node

app = typer.Typer(no_args_is_help=True, help=f"Checkpoints kept by a chain: EVM, or FISCO BCOS ({UNTESTED.en}).")

DEPLOY_EXAMPLES = examples(
    "chengshu anchor deploy --url http://127.0.0.1:8545 --node road",
    "chengshu anchor deploy --url http://127.0.0.1:8545 --account 0xf39F… --node road --json",
)
NOW_EXAMPLES = examples("chengshu anchor now --node road", "chengshu anchor now --node road --timeout 60 --json")
LIST_EXAMPLES = examples("chengshu anchor list --node road", "chengshu anchor list --node road --json > road.anchors.json")
VERIFY_EXAMPLES = examples(
    "chengshu anchor verify road-copy --url https://chain.example",
    "chengshu anchor verify case.zip --url https://chain.example --vkey 'road_operator/log+1a2b3c4d+AZ…'",
    "chengshu anchor verify road-copy --url https://chain.example --kept road.anchors.json --json",
)
ChainKind = Literal["evm", "fisco"]
Url = Annotated[str | None, typer.Option(help="Where the chain's node answers JSON-RPC.")]
POLL_S = 0.2


@app.command("deploy", epilog=DEPLOY_EXAMPLES)
def deploy(
    url: Url = None,
    account: Annotated[str | None, typer.Option(help="An account that the chain's node keeps unlocked; otherwise keys/anchor.key.")] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Make the anchor contract on an EVM chain, and write it into this node's chengshu.toml."""

    def work(output: Output) -> Any:
        present = config.load(node).anchor
        if present.chain == FISCO:
            raise _not_on_fisco()
        settings = _anchor_section(
            present.model_dump() | {"chain": "evm", "url": url or present.url, "account": account or present.account}
        )
        if settings.url is None:
            raise Invalid("anchor.no-url", "expected --url, got none", hint=Text("Give the URL of the chain's node.", "请给出链节点地址。"))
        chain = evm_at(settings.url, account=account_of(node / KEYS, settings.account))
        with waiting(output, Text("Waiting for a block", "等待出块")):
            contract, chain_id = chain.deploy(), chain.chain_id()
        config.set_anchor(node, chain="evm", url=settings.url, contract=contract, account=account)
        output.say(Text("It takes effect when the node is served anew.", "重新启动节点后生效。"))
        return {"chain": "evm", "chain_id": chain_id, "contract": contract}

    render(work, as_json=as_json, lang=lang)


@app.command("now", epilog=NOW_EXAMPLES)
def now(
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the chain at the most; the anchor is followed up afterwards as well.")
    ] = 30.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Publish the log and anchor its newest checkpoint; leave with 1 while the chain does not hold it."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        opened.evidence.publish()
        asked = opened.anchors.anchor_now()
        with waiting(output, Text("Waiting for the chain", "等待链上确认")):
            found = _follow(opened, asked, timeout_s=timeout)
        output.show(_shown(found, output))
        if found.state is not State.ANCHORED:
            raise typer.Exit(1)
        opened.evidence.publish()  # with the entry that says so

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def listed(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List this node's anchors; keep the JSON elsewhere, and it shows later whether the log was rewritten."""
    render(lambda output: [_shown(one, output) for one in open_node(node).anchors.listed()], as_json=as_json, lang=lang)


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    path: Annotated[Path, typer.Argument(help="A log's folder (a node's folder means its log), or an evidence pack with the whole log.")],
    url: Annotated[str, typer.Option(help="A node of the chain that you trust.")],
    chain: Annotated[ChainKind, typer.Option(help=f"The kind of chain; fisco is {UNTESTED.en}.")] = "evm",
    group: Annotated[str, typer.Option(help="With --chain fisco: the group.")] = "group0",
    vkey: Annotated[str | None, typer.Option(help="The log's verifier key, from a source that you trust.")] = None,
    kept: Annotated[Path | None, typer.Option(help="What 'chengshu anchor list --json' printed before.")] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Check a log, and read each of its anchors back from the chain; leave with 1 unless they prove it."""

    def work(output: Output) -> Any:
        settings = _anchor_section({"chain": chain, "url": url, "group": group})
        before = [] if kept is None else _kept(kept)
        with counting(output, Text("Anchors read", "已读取锚定")) as progress:
            found = verify_anchors(
                log_of(path),
                vkey,
                chains=lambda contract: chain_at(chain, url, contract=contract, group=settings.group),
                kept=before,
                progress=progress,
            )
        raise typer.Exit(output.tell(found))

    render(work, as_json=as_json, lang=lang)


def _follow(node: Node, asked: Anchor, *, timeout_s: float) -> Anchor:
    """Wait until the anchor is settled; where nobody serves the node, its due work is done here."""
    served = (answering.health(node.settings.serve.address) or {}).get("node") == node.identity.did
    until = time.monotonic() + timeout_s
    while True:
        if not served:
            node.worker.run_due()
        found = next(one for one in reversed(node.anchors.listed()) if one.digest == asked.digest)
        if found.state is not State.WAITING or time.monotonic() > until:
            return found
        time.sleep(POLL_S)


def _shown(anchor: Anchor, output: Output) -> dict[str, Any]:
    document = anchor.as_dict()
    return document | {"note": UNTESTED.of(output.language)} if anchor.chain == FISCO else document


def _kept(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_list(path) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _no_list(path)
    return found


def _anchor_section(values: dict[str, Any]) -> config.AnchorSection:
    try:
        return config.AnchorSection.model_validate(values)
    except ValueError as error:
        raise Invalid(
            "anchor.settings",
            "expected a URL that begins with http and addresses of 0x and 40 hexadecimal digits, got something else",
            hint=Text("See 'chengshu anchor deploy --help'.", "见 chengshu anchor deploy --help。"),
        ) from error


def _no_list(path: Path) -> Invalid:
    return Invalid(
        "anchor.kept",
        f"expected a list of anchors in {path.name}, got something else",
        hint=Text("Give what 'chengshu anchor list --json' printed.", "请给出 chengshu anchor list --json 的输出。"),
    )


def _not_on_fisco() -> Unavailable:
    return Unavailable(
        "anchor.fisco-unsent",
        f"expected an EVM chain, got FISCO BCOS, whose transactions this program does not sign ({UNTESTED.en})",
        hint=Text(
            "Deploy the code that docs/reference/anchor.md gives with the chain's own tools, and set anchor.contract.",
            "请用该链自带工具部署 docs/reference/anchor.md 所列字节码，并设置 anchor.contract。",
        ),
    )
