"""What is wrong with a node, and what to do about it: each finding is one sentence and one remedy, in both languages."""

import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.cleanroom.receipts import ReceiptState
from chengshu.cli import verbs
from chengshu.evidence.verify import verify_log
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.text import Language, Text
from chengshu.node import KEYS, LOG, PROTOCOL_PATH, Node, open_node
from chengshu.witness.model import SPLIT_VIEW

LOW_DISK_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing looked at: whether it is bad, what was found, what to do."""

    about: str
    bad: bool
    found: Text
    remedy: Text

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        remedy = self.remedy.of(language) if self.bad else None
        return {"about": self.about, "ok": not self.bad, "found": self.found.of(language), "what_to_do": remedy}


def examine(folder: Path) -> list[Complaint]:
    """Look at everything a node needs, from its settings to its peers; a part that cannot be looked at is itself a finding."""
    try:
        node = open_node(folder)
    except ChengshuError as error:
        return [Complaint("node", True, Text(error.message, error.message), error.hint)]
    found = [_key(folder), _cryptography(node), _disk(folder), _serving(node)]
    found += list(_products(node))
    found += list(_peers(node))
    found += list(_waiting(node))
    found += list(_receipts(node))
    return [*found, _rooms(node), _journal(node), _log(node, folder), *_witnesses(node)]


def _fine(about: str, en: str, zh: str) -> Complaint:
    return Complaint(about, False, Text(en, zh), Text("nothing", "无需处理"))


def _key(folder: Path) -> Complaint:
    loose = [path.name for path in (folder / KEYS).iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        return Complaint(
            "key",
            True,
            Text("others on this machine can read the node's key", "本机其他用户可读取节点密钥"),
            Text(f"chmod 600 {folder / KEYS}/*", f"chmod 600 {folder / KEYS}/*"),
        )
    return _fine("key", "readable by its owner alone", "仅所有者可读")


def _cryptography(node: Node) -> Complaint:
    title = node.digests.suite.title
    return _fine("cryptography", title.en, title.zh)


def _disk(folder: Path) -> Complaint:
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        return Complaint(
            "disk",
            True,
            Text(f"{free // 2**20} MiB free", f"仅剩 {free // 2**20} MiB"),
            Text(
                "Free some space: a full disk stops every change, and loses nothing.",
                "请释放空间：磁盘写满会停止一切变更，但不会丢失数据。",
            ),
        )
    return _fine("disk", f"{free // 2**20} MiB free", f"可用 {free // 2**20} MiB")


def _serving(node: Node) -> Complaint:
    serving = node.settings.serve
    answer = verbs.health(serving.address)
    if answer is None and verbs.port_is_free(serving.host, serving.port):
        return Complaint(
            "serve",
            True,
            Text(
                "the node is not being served: nobody reaches it and nothing deferred is sent",
                "节点未运行：外界无法访问，待发送的消息也不会发出",
            ),
            Text(f"chengshu serve --node {node.folder}", f"chengshu serve --node {node.folder}"),
        )
    if answer is None or answer.get("node") != node.identity.did:
        return Complaint(
            "serve",
            True,
            Text(f"something else listens on port {serving.port}", f"端口 {serving.port} 被其他程序占用"),
            Text(
                "Stop it, or set another port under [serve] in chengshu.toml.", "请停止该程序，或在 chengshu.toml 的 [serve] 中更换端口。"
            ),
        )
    return _fine("serve", f"answers at {serving.address}", f"节点在 {serving.address} 正常应答")


def _products(node: Node) -> Iterator[Complaint]:
    for product in node.catalog.products():
        about = f"product {product.id}"
        if not product.path.is_file():
            yield Complaint(
                about,
                True,
                Text("its file is gone", "数据文件不存在"),
                Text("Put the file back, or withdraw the product.", "请恢复文件，或下架该产品。"),
            )
        else:
            yield _fine(about, f"{product.rows} rows", f"{product.rows} 行")


def _peers(node: Node) -> Iterator[Complaint]:
    for party in node.identity.list():
        if party.did == node.identity.did:
            continue
        root = party.address.removesuffix(PROTOCOL_PATH)
        answer = verbs.health(root) or {}
        if answer.get("node") != party.did:
            what = Text("another node answers at its address", "其地址由另一节点应答") if answer else Text("does not answer", "无应答")
            yield Complaint(
                f"party {party.name_en}",
                True,
                what,
                Text("Ask its operator; messages to it wait meanwhile.", "请联系其运营方；发往该方的消息将等待。"),
            )
        else:
            yield _fine(f"party {party.name_en}", "answers", "正常应答")


def _waiting(node: Node) -> Iterator[Complaint]:
    with node.database.read() as tx:
        waiting, failed = node.tasks.waiting(tx), node.tasks.failed(tx)
    for task in waiting:
        if task.attempts:
            yield Complaint(
                f"task {task.seq}",
                True,
                Text(f"{task.kind} waits for {task.waits_for}: {task.last_error}", f"{task.kind} 等待 {task.waits_for}：{task.last_error}"),
                Text("It is tried again by itself while the node is served.", "节点运行期间会自动重试。"),
            )
    for task in failed:
        yield Complaint(
            f"task {task.seq}",
            True,
            Text(f"{task.kind} was given up: {task.last_error}", f"{task.kind} 已放弃：{task.last_error}"),
            Text("Do what led to it again, once the reason is gone.", "排除原因后请重新操作。"),
        )


def _receipts(node: Node) -> Iterator[Complaint]:
    """Use receipts that the other side has not signed: one complaint for each that waits or is disputed."""
    names = {party.did: party for party in node.identity.list()}
    receipts = node.receipts.every()
    for row in receipts:
        if row["state"] == ReceiptState.COUNTERSIGNED:
            continue
        party = names.get(row["consumer"] if row["provider"] == node.identity.did else row["provider"])
        name_en, name_zh = (party.name_en, party.name_zh) if party else (row["consumer"], row["consumer"])
        about = f"receipt {row['product']} {row['job']}"
        if row["state"] == ReceiptState.ISSUED:
            yield Complaint(
                about,
                True,
                Text(f"waits for {name_en} to countersign: {row['why']}", f"等待 {name_zh} 会签：{row['why']}"),
                Text("It is sent again by itself while the node is served.", "节点运行期间会自动重发。"),
            )
        else:
            yield Complaint(
                about,
                True,
                Text(f"disputed with {name_en}: {row['why']}", f"与 {name_zh} 有争议：{row['why']}"),
                Text(
                    "Keep both nodes' logs, compare them with 'chengshu evidence reconcile', and settle it with that party.",
                    "请保留双方日志，用 chengshu evidence reconcile 对账，并与对方协商解决。",
                ),
            )
    if all(row["state"] == ReceiptState.COUNTERSIGNED for row in receipts):
        yield _fine("receipts", f"{len(receipts)}, all countersigned", f"{len(receipts)} 份，均已会签")


def _rooms(node: Node) -> Complaint:
    unfinished = node.room.unfinished()
    if unfinished:
        first = unfinished[0]
        return Complaint(
            "clean room",
            True,
            Text(
                f"{len(unfinished)} unfinished; the oldest waits for {first['waits_for']}",
                f"{len(unfinished)} 个作业未完成；最早的在等待 {first['waits_for']}",
            ),
            Text("See whether that party's node answers.", "请检查该方节点是否应答。"),
        )
    return _fine("clean room", "no unfinished job", "没有未完成的作业")


def _journal(node: Node) -> Complaint:
    off = node.settlements.imbalance()
    if off:
        return Complaint(
            "journal",
            True,
            Text(f"debits and credits differ by {off} fen", f"借贷相差 {off} 分"),
            Text("Keep the database as it is and compare the statements with the log.", "请保留数据库原样，并将结算单与日志核对。"),
        )
    return _fine("journal", "debits equal credits", "借贷平衡")


def _log(node: Node, folder: Path) -> Complaint:
    try:
        node.evidence.publish()
        verdict = verify_log(folder / LOG, node.evidence.vkey)
    except ChengshuError as error:
        return Complaint("log", True, Text(error.message, error.message), error.hint)
    return _fine("log", f"{verdict.checkpoint.size} entries, all verified", f"{verdict.checkpoint.size} 条记录，全部核验通过")


def _witnesses(node: Node) -> Iterator[Complaint]:
    for view in node.witness.views():
        if view.code == SPLIT_VIEW:
            yield Complaint(
                f"split view of {view.origin}",
                True,
                Text(f"its key signed two histories, seen at: {view.seen_at}", f"其密钥签署了两段历史，见于：{view.seen_at}"),
                Text(
                    "Keep what 'chengshu witness status --json' prints; show it to every party.",
                    "请保留 chengshu witness status --json 的输出并出示给各参与方。",
                ),
            )
    try:
        if node.quorum_policy() is None:
            return
        status = node.cosignatures.status()
    except ChengshuError as error:
        yield Complaint("witnesses", True, Text(error.message, error.message), error.hint)
        return
    (words, *_), waits = status.verdict.texts(), ", ".join(one.witness.name for one in status.waited)
    yield Complaint(
        "witnesses",
        not status.verdict.met,
        words,
        Text(
            f"It waits for {waits}: 'chengshu witness status' says why; while the node is served they are asked again by themselves.",
            f"正在等待 {waits}：原因见 chengshu witness status；节点运行期间会自动重试。",
        ),
    )
