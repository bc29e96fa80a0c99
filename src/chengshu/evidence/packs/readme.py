"""The text that greets whoever opens an evidence pack, in both languages, with the one command."""

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.packs.case import Case


def readme(case: Case, checkpoint: Checkpoint, *, vkey: str) -> bytes:
    """Return ``README.txt`` for a pack about ``case``."""
    return _TEXT.format(case=case.id, kind=case.kind.label, origin=checkpoint.origin, size=checkpoint.size, vkey=vkey).encode()


_TEXT = """EVIDENCE PACK / 存证包

Case / 案件       {kind.en} / {kind.zh}  {case}
Log / 日志        {origin}, {size} entries / 条记录


HOW TO CHECK IT

Unpack the zip and, in its folder, run (Python 3.11 or newer with the package "cryptography"):

    python3 verify.pyz verify .

It works without a network and leaves with 0 when everything is proved, with 1 when something is not, and says what.
To know who wrote the log, get its key from another source than this pack, and give it:

    python3 verify.pyz verify . --vkey '{vkey}'

That key is printed here for comparison only: a key that comes with the evidence proves that the evidence agrees with itself.
The same holds for verify.pyz. If you do not trust the sender's copy, take the verifier from the project's own release:

    pip install chengshu && python3 -m chengshu.evidence verify .

The digests of all files can be checked with no software of ours:  sha256sum -c files.txt


WHAT IS IN IT

    summary.html             the case as a page to read or print
    entries/N.json           an entry of the log, byte for byte
    entries/N.cose           the log's receipt for it (COSE, RFC 9942)
    entries/N.tlog-proof     its inclusion proof and the checkpoint it leads to (c2sp.org/tlog-proof)
    documents/DIGEST.json    policies and data contracts that the entries name by digest
    checkpoint, log.vkey     the log's signed size and root, and its key
    pack, files.txt          the signed list of everything here
    log/                     the whole log, if it was asked for

What it never proves: that what an entry says did happen, or that no other log exists.


如何核验

解压后在该文件夹内运行（需要 Python 3.11 或更高版本，并安装 cryptography）：

    python3 verify.pyz verify . --lang zh

无需联网；全部得到证明时退出码为 0，否则为 1 并说明原因。若要确认日志由谁写入，请从本存证包以外的渠道取得公钥，
并用 --vkey 给出（见上文命令）。随证据而来的公钥只能证明证据自身一致，verify.pyz 亦然；如不信任发送方的副本，
请从项目正式发布版本取得校验程序：

    pip install chengshu && python3 -m chengshu.evidence verify . --lang zh

无需本项目软件也可核对全部文件摘要：sha256sum -c files.txt


内容

    summary.html             案件摘要，可阅读、可打印
    entries/N.json           日志条目原文
    entries/N.cose           日志对该条目签发的回执（COSE，RFC 9942）
    entries/N.tlog-proof     包含证明及其所指检查点
    documents/摘要.json       条目以摘要引用的策略与数据合同
    checkpoint, log.vkey     日志的签名规模与根，以及其公钥
    pack, files.txt          全部文件的签名清单
    log/                     完整日志（如有要求）

本存证包不能证明：条目所述之事确实发生，或不存在另一份日志。
"""
