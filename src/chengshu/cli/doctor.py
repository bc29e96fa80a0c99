"""What is wrong with a node, and what to do about it: each finding is one sentence and one remedy, in both languages."""

import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.anchor.model import State
from chengshu.anchor.service import ANCHOR_TASK, Place
from chengshu.catalog.model import Product
from chengshu.cleanroom.cell.order import Layer
from chengshu.cleanroom.receipts.book import ReceiptState
from chengshu.cli import answering
from chengshu.evidence.verify import verify_log
from chengshu.kernel.errors import ChengshuError, NotFound
from chengshu.kernel.text import Language, Text
from chengshu.node import KEYS, LOG, PROTOCOL_PATH, Node, open_node
from chengshu.witness.model import SPLIT_VIEW

LOW_DISK_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing looked at: whether it is bad, what was found, what to do."""

    about: Text
    bad: bool
    found: Text
    remedy: Text

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the finding as JSON-ready values; ``about`` is the same word in every language, for a program to know it by."""
        remedy = self.remedy.of(language) if self.bad else None
        return {"about": self.about.en, "ok": not self.bad, "found": self.found.of(language), "what_to_do": remedy}

    def as_row(self, language: Language) -> dict[str, Any]:
        """Return the finding as a person reads it."""
        return self.as_dict(language) | {"about": self.about.of(language)}


HEADINGS = {
    "about": Text("about", "检查对象"),
    "ok": Text("ok", "正常"),
    "found": Text("found", "结果"),
    "what_to_do": Text("what to do", "处理办法"),
}
NODE, KEY, DISK, SERVE = Text("node", "节点"), Text("key", "密钥"), Text("disk", "磁盘"), Text("serve", "运行")
ROOM, JOURNAL, LOG_FILES = Text("clean room", "净室"), Text("journal", "账簿"), Text("log", "日志")
CRYPTOGRAPHY, RECEIPTS, WITNESSES = Text("cryptography", "密码"), Text("receipts", "使用回执"), Text("witnesses", "见证方")
DATABASES = Text("database", "数据库")
ANCHORS = Text("anchors", "锚定")
METHODS = Text("sealed methods", "密封方法")
WALLS = {
    Layer.FILTER: Text("system calls", "系统调用"),
    Layer.PRIVILEGES: Text("privileges", "特权"),
    Layer.LIMITS: Text("limits", "资源限额"),
    Layer.LANDLOCK: Text("Landlock", "Landlock"),
    Layer.USER: Text("users", "用户"),
    Layer.NETWORK: Text("network", "网络"),
    Layer.PROCESSES: Text("processes", "进程"),
    Layer.MEMORY: Text("shared memory", "共享内存"),
}
"""The walls round a method, in the order in which they are told."""


def examine(folder: Path) -> list[Complaint]:
    """Look at everything a node needs, from its settings to its peers; a part that cannot be looked at is itself a finding."""
    try:
        node = open_node(folder)
    except ChengshuError as error:
        return [Complaint(NODE, True, Text(error.message, error.message), error.hint)]
    found = [_key(folder), _cryptography(node), _database(node), _disk(folder), _serving(node)]
    found += list(_products(node))
    found += list(_peers(node))
    found += list(_waiting(node))
    found += list(_receipts(node))
    found += list(_methods(node))
    return [*found, _rooms(node), _journal(node), _log(node, folder), *_witnesses(node), *_anchors(node)]


def _fine(about: Text, en: str, zh: str) -> Complaint:
    return Complaint(about, False, Text(en, zh), Text("nothing", "无需处理"))


def _key(folder: Path) -> Complaint:
    loose = [path.name for path in (folder / KEYS).iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        return Complaint(
            KEY,
            True,
            Text("others on this machine can read the node's key", "本机其他用户可读取节点密钥"),
            Text(f"chmod 600 {folder / KEYS}/*", f"chmod 600 {folder / KEYS}/*"),
        )
    return _fine(KEY, "readable by its owner alone", "仅所有者可读")


def _cryptography(node: Node) -> Complaint:
    title = node.digests.suite.title
    return _fine(CRYPTOGRAPHY, title.en, title.zh)


def _database(node: Node) -> Complaint:
    name = node.database.name
    if node.settings.database.chosen is None:
        return _fine(
            DATABASES, f"SQLite, {name} in the node's folder: a copy of the folder holds it", f"SQLite，节点目录中的 {name}：备份目录即可"
        )
    return _fine(DATABASES, f"{name}: back it up with pg_dump beside the folder", f"{name}：除目录外，请用 pg_dump 备份")


def _disk(folder: Path) -> Complaint:
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        return Complaint(
            DISK,
            True,
            Text(f"{free // 2**20} MiB free", f"仅剩 {free // 2**20} MiB"),
            Text(
                "Free some space: a full disk stops every change, and loses nothing.",
                "请释放空间：磁盘写满会停止一切变更，但不会丢失数据。",
            ),
        )
    return _fine(DISK, f"{free // 2**20} MiB free", f"可用 {free // 2**20} MiB")


def _serving(node: Node) -> Complaint:
    serving = node.settings.serve
    answer = answering.health(serving.address)
    if answer is None and answering.port_is_free(serving.host, serving.port):
        return Complaint(
            SERVE,
            True,
            Text(
                "the node is not being served: nobody reaches it and nothing deferred is sent",
                "节点未运行：外界无法访问，待发送的消息也不会发出",
            ),
            Text(f"chengshu serve --node {node.folder}", f"chengshu serve --node {node.folder}"),
        )
    if answer is None or answer.get("node") != node.identity.did:
        return Complaint(
            SERVE,
            True,
            Text(f"something else listens on port {serving.port}", f"端口 {serving.port} 被其他程序占用"),
            Text(
                "Stop it, or set another port under [serve] in chengshu.toml.", "请停止该程序，或在 chengshu.toml 的 [serve] 中更换端口。"
            ),
        )
    return _fine(SERVE, f"answers at {serving.address}", f"节点在 {serving.address} 正常应答")


def _products(node: Node) -> Iterator[Complaint]:
    for product in node.catalog.products():
        about = Text(f"product {product.id}", f"产品 {product.id}")
        if product.path is None:
            yield _in_place(node, product, about)
        elif not product.path.is_file():
            yield Complaint(
                about,
                True,
                Text("its file is gone", "数据文件不存在"),
                Text("Put the file back, or withdraw the product.", "请恢复文件，或下架该产品。"),
            )
        else:
            yield _fine(about, f"{product.rows} rows", f"{product.rows} 行")


def _in_place(node: Node, product: Product, about: Text) -> Complaint:
    """Whether a place answers and still has the columns that were published; its rows are compared when they are handed over."""
    try:
        found = node.catalog.fit(product.contract)
    except ChengshuError as error:
        return Complaint(about, True, Text(error.message, error.message), error.hint)
    if found.holds:
        return _fine(about, f"{product.rows} rows as published, its place answers", f"发布时 {product.rows} 行，数据源应答正常")
    return Complaint(
        about,
        True,
        Text(f"{found.source} has other columns than were published", f"{found.source} 的列与发布时不同"),
        Text(
            "Run 'chengshu source check' with its contract, then publish a new version.",
            "请用 chengshu source check 核对合同，再发布新版本。",
        ),
    )


def _peers(node: Node) -> Iterator[Complaint]:
    for party in node.identity.list():
        if party.did == node.identity.did:
            continue
        about = Text(f"party {party.name_en}", f"参与方 {party.name_zh}")
        root = party.address.removesuffix(PROTOCOL_PATH)
        answer = answering.health(root) or {}
        if answer.get("node") != party.did:
            what = Text("another node answers at its address", "其地址由另一节点应答") if answer else Text("does not answer", "无应答")
            yield Complaint(
                about,
                True,
                what,
                Text("Ask its operator; messages to it wait meanwhile.", "请联系其运营方；发往该方的消息将等待。"),
            )
        else:
            yield _fine(about, "answers", "正常应答")


def _waiting(node: Node) -> Iterator[Complaint]:
    with node.database.read() as tx:
        waiting, failed = node.tasks.waiting(tx), node.tasks.failed(tx)
    for task in waiting:
        if task.attempts:
            yield Complaint(
                _task(task.seq),
                True,
                Text(f"{task.kind} waits for {task.waits_for}: {task.last_error}", f"{task.kind} 等待 {task.waits_for}：{task.last_error}"),
                Text("It is tried again by itself while the node is served.", "节点运行期间会自动重试。"),
            )
    for task in failed:
        yield Complaint(
            _task(task.seq),
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
        about = Text(f"receipt {row['product']} {row['job']}", f"使用回执 {row['product']} {row['job']}")
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
        yield _fine(RECEIPTS, f"{len(receipts)}, all countersigned", f"{len(receipts)} 份，均已会签")


def _task(seq: int) -> Text:
    return Text(f"task {seq}", f"任务 {seq}")


def _rooms(node: Node) -> Complaint:
    unfinished = node.room.unfinished()
    if unfinished:
        first = unfinished[0]
        return Complaint(
            ROOM,
            True,
            Text(
                f"{len(unfinished)} unfinished; the oldest waits for {first['waits_for']}",
                f"{len(unfinished)} 个作业未完成；最早的在等待 {first['waits_for']}",
            ),
            Text("See whether that party's node answers.", "请检查该方节点是否应答。"),
        )
    return _fine(ROOM, "no unfinished job", "没有未完成的作业")


def _methods(node: Node) -> Iterator[Complaint]:
    """What stands round a method in this room, as a method that does nothing finds it: the kernel is asked, not its version."""
    if not node.settings.cleanroom.enabled:
        return
    stand, missing = node.room.walls()
    there = [text for layer, text in WALLS.items() if layer in stand]
    en, zh = ", ".join(one.en for one in there), "、".join(one.zh for one in there)
    absent = [text for layer, text in WALLS.items() if layer not in stand]
    more_en = f"; not offered by this kernel: {', '.join(one.en for one in absent)}" if absent else ""
    more_zh = f"；此内核未提供：{'、'.join(one.zh for one in absent)}" if absent else ""
    if not missing:
        yield _fine(METHODS, f"sealed off: {en}{more_en}", f"已隔离：{zh}{more_zh}")
        return
    refused = node.settings.cleanroom.method_seal == "required"
    does_en = "methods are refused" if refused else "methods run unsealed, as method_seal says"
    does_zh = "方法将被拒绝" if refused else "方法按 method_seal 设置在未密封状态下运行"
    yield Complaint(
        METHODS,
        True,
        Text(f"no seal ({missing}): {does_en}; round them: {en}", f"无法密封（{missing}）：{does_zh}；现有隔离：{zh}"),
        Text(
            "Run the room on Linux 5.14 or later, and let its container use seccomp.",
            "请在 Linux 5.14 及以上运行净室，并允许容器使用 seccomp。",
        ),
    )


def _journal(node: Node) -> Complaint:
    off = node.settlements.imbalance()
    if off:
        return Complaint(
            JOURNAL,
            True,
            Text(f"debits and credits differ by {off} fen", f"借贷相差 {off} 分"),
            Text("Keep the database as it is and compare the statements with the log.", "请保留数据库原样，并将结算单与日志核对。"),
        )
    return _fine(JOURNAL, "debits equal credits", "借贷平衡")


def _log(node: Node, folder: Path) -> Complaint:
    """Judge the log as it lies there: files first, then the database against them. A doctor signs nothing."""
    try:
        verdict = verify_log(folder / LOG, node.evidence.vkey)
        published = node.evidence.compare().size
        waiting = node.evidence.size() - published
    except NotFound as error:
        return Complaint(LOG_FILES, True, Text(error.message, f"日志文件夹中没有已发布的日志：{LOG}"), _LOG_ABSENT)
    except ChengshuError as error:
        return Complaint(LOG_FILES, True, Text(error.message, error.message), error.hint)
    more_en, more_zh = (f"; {waiting} more to be published", f"；另有 {waiting} 条待发布") if waiting else ("", "")
    entries = verdict.checkpoint.size
    return _fine(
        LOG_FILES,
        f"{entries} entries, all verified and equal to the database{more_en}",
        f"{entries} 条记录，全部核验通过且与数据库一致{more_zh}",
    )


def _witnesses(node: Node) -> Iterator[Complaint]:
    for view in node.witness.views():
        if view.code == SPLIT_VIEW:
            yield Complaint(
                Text(f"split view of {view.origin}", f"{view.origin} 的分裂视图"),
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
        yield Complaint(WITNESSES, True, Text(error.message, error.message), error.hint)
        return
    (words, *_), waits = status.verdict.texts(), ", ".join(one.witness.name for one in status.waited)
    yield Complaint(
        WITNESSES,
        not status.verdict.met,
        words,
        Text(
            f"It waits for {waits}: 'chengshu witness status' says why; while the node is served they are asked again by themselves.",
            f"正在等待 {waits}：原因见 chengshu witness status；节点运行期间会自动重试。",
        ),
    )


def _anchors(node: Node) -> Iterator[Complaint]:
    place, anchors = node.anchors.place(), node.anchors.listed()
    chosen = node.settings.anchor
    if place is None:
        if chosen.chain is not None or chosen.every_hours is not None:
            yield Complaint(
                ANCHORS,
                True,
                Text("[anchor] lacks a chain, a url or a contract: nothing is anchored", "[anchor] 缺少 chain、url 或 contract：无法锚定"),
                Text("chengshu anchor deploy --url …", "chengshu anchor deploy --url …"),
            )
        return
    if not anchors:
        yield _fine(ANCHORS, "nothing was anchored yet", "尚未锚定")
        return
    last = anchors[-1]
    where = f"{place.chain} {place.host}"
    if last.state is State.ANCHORED:
        yield _fine(
            ANCHORS, f"{last.size} entries, in block {last.block} of {where}", f"{last.size} 条记录，位于 {where} 的区块 {last.block}"
        )
        return
    why = last.error or _wait_of(node, place)
    yield Complaint(
        ANCHORS,
        True,
        Text(f"the anchor of {last.size} entries waits for {where}: {why}", f"{last.size} 条记录的锚定在等待 {where}：{why}"),
        Text(
            "While the node is served it is tried again by itself; once it was given up: 'chengshu anchor now'.",
            "节点运行期间会自动重试；若已放弃，请运行 chengshu anchor now。",
        ),
    )


def _wait_of(node: Node, place: Place) -> str:
    with node.database.read() as tx:
        waiting = [task for task in node.tasks.waiting(tx) if task.kind == ANCHOR_TASK and task.payload["contract"] == place.contract]
    return next((task.last_error for task in waiting if task.last_error), "not taken in yet")


_LOG_ABSENT = Text(
    "A log that was never published is published by 'chengshu evidence publish' or by serving the node. If it was published before, it"
    " was removed: compare with the checkpoints that others hold before it is published again.",
    "从未发布过的日志，请运行 chengshu evidence publish 或启动节点。若曾发布过，则已被删除：请先与他方留存的检查点比对，再重新发布。",
)
