"""The log's side of one question: a checkpoint is sent to one witness, from the size that it holds, and its answer is checked."""

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint
from chengshu.evidence.witnessing.cosignature import can_check, open_cosignature, parse_line
from chengshu.evidence.witnessing.quorum import Witness
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable
from chengshu.kernel.text import Text
from chengshu.witness.model import Submission
from chengshu.witness.ports import OwnLog, Reply, Witnesses

MAX_ROUNDS = 3
FILE = "the witness's answer"


class Contradiction(Exception):  # noqa: N818  # it never leaves this room: it carries what the alarm is sounded with
    """A witness's answer speaks against this node's own log; ``shown`` is the signed note that it holds, if it shows one."""

    def __init__(self, error: Tampered, shown: bytes | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.shown = shown


def ask_witness(witness: Witness, checkpoint: Checkpoint, *, old: int, log: OwnLog, key: VerifierKey, witnesses: Witnesses) -> str:
    """Return the witness's cosignature line over ``checkpoint``, once it is found good.

    ``old`` is the size that the witness is thought to hold; where it says another, that one is taken. Raises Unavailable when it does not
    answer, Conflict when it is ahead of this checkpoint, NotFound or Denied when it does not know this log or its key, Tampered for a
    bad cosignature, and Contradiction when it holds another history of this log.
    """
    url = witness.url or ""
    for _ in range(MAX_ROUNDS):
        proof = log.consistency(old, checkpoint.size).path if 0 < old < checkpoint.size else ()
        reply = witnesses.submit(url, Submission(old, proof, checkpoint.note).body)
        if reply.status == 200:
            return _good_line(reply, witness, checkpoint)
        held = _size(reply)
        if reply.status != 409 or held is None:
            break
        if held > checkpoint.size:
            raise _ahead(witness, held, log)
        if held == old:
            break
        old = held
    if reply.status in {409, 422}:
        raise _contradiction(witness, checkpoint, log=log, key=key, witnesses=witnesses)
    raise _declined(witness, reply)


def _good_line(reply: Reply, witness: Witness, checkpoint: Checkpoint) -> str:
    if not can_check(witness.key.kind):
        raise Invalid(
            "witness.not-checkable",
            f"expected to check the {witness.key.kind.title} cosignature of {witness.name}, got a library that does not know it",
            hint=Text(
                "Update the package cryptography, or name the witness's Ed25519 key.",
                "请升级 cryptography，或改用该见证方的 Ed25519 密钥。",
            ),
        )
    for text in reply.text.splitlines():
        line = parse_line(text, file=FILE)
        if line.is_by(witness.key):
            open_cosignature(line, key=witness.key, checkpoint=checkpoint, file=FILE)
            return text
    raise Tampered(
        "witness.other-key",
        f"expected a cosignature by {witness.key.name}+{witness.key.key_id.hex()} from {witness.name}, got none by this key",
        hint=Text(
            "Ask the witness's operator for its key, and correct it in the policy file.", "请向见证方运营方索取其公钥，并更正策略文件。"
        ),
        facts={"witness": witness.name},
    )


def _ahead(witness: Witness, held: int, log: OwnLog) -> Exception:
    """A witness that has more of this log than the checkpoint: more than is published means that entries are gone here."""
    published = log.checkpoint().size
    if held <= published:
        return Conflict(
            "witness.ahead",
            f"expected {witness.name} to hold an older checkpoint, got one of size {held}",
            hint=Text("It is asked about the next checkpoint by itself.", "系统将自动以新的检查点再次请求。"),
        )
    error = Tampered(
        "evidence.rollback",
        f"expected {witness.name} to have cosigned at most the {published} entries of this log, got {held}: entries are gone here",
        hint=Text(
            "Stop this node and keep its folder. Restore the newest backup beside it: what the witness cosigned must be in it.",
            "请停止本节点并保留其文件夹，在旁恢复最新备份：见证方联署过的内容必须包含在内。",
        ),
        facts={"witness": witness.name, "held": held, "size": published},
    )
    return Contradiction(error, None)


def _contradiction(witness: Witness, checkpoint: Checkpoint, *, log: OwnLog, key: VerifierKey, witnesses: Witnesses) -> Exception:
    """What it means that a witness finds this log inconsistent: ask what it holds, and see whether our key signed it."""
    try:
        note = witnesses.last(witness.url or "", checkpoint.origin)
        held = None if note is None else open_checkpoint(note, key=key, file=FILE)
    except ChengshuError:
        note = held = None
    if held is not None and held.size <= checkpoint.size and _continues(held, checkpoint, log):
        return Unavailable(
            "witness.unfounded",
            f"expected {witness.name} to cosign a checkpoint that continues the one that it holds, got a refusal",
            hint=Text("Ask the witness's operator; the log itself is in order.", "请询问见证方运营方；日志本身无误。"),
        )
    shown = "and shows none that this log's key signed" if held is None else f"which this log's key signed, at size {held.size}"
    error = Tampered(
        "evidence.split-view",
        f"expected {witness.name} to find the checkpoint at size {checkpoint.size} consistent, "
        f"got: it holds another history of this log, {shown}",
        hint=Text(
            "Keep this node's folder and both checkpoints ('chengshu witness status' shows them): the key has signed two histories. "
            "See who else has it, and whether an old backup was put back.",
            "请保留本节点文件夹与两份检查点（见 chengshu witness status）：同一密钥签署了两段历史。"
            "请查明密钥是否外泄，或是否恢复过旧备份。",
        ),
        facts={"witness": witness.name, "size": checkpoint.size},
    )
    return Contradiction(error, note if held is not None else None)


def _continues(held: Checkpoint, checkpoint: Checkpoint, log: OwnLog) -> bool:
    proof = log.consistency(held.size, checkpoint.size)
    return (proof.old_root, proof.new_root) == (held.root, checkpoint.root) and proof.holds


def _size(reply: Reply) -> int | None:
    text = reply.text.removesuffix("\n")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _declined(witness: Witness, reply: Reply) -> ChengshuError:
    if reply.status == 404:
        return NotFound(
            "witness.unknown-here",
            f"expected {witness.name} to know this log, got that it does not",
            hint=Text(
                "Ask its operator to add this node ('chengshu peer add') and to enable [witness].",
                "请其运营方添加本节点（chengshu peer add）并启用 [witness]。",
            ),
        )
    if reply.status == 403:
        return Denied(
            "witness.other-log-key",
            f"expected {witness.name} to know this log's key, got that it knows another",
            hint=Text(
                "Ask its operator which key it has for this node, and compare it with 'chengshu node show'.",
                "请询问其运营方所登记的密钥，并与 chengshu node show 比对。",
            ),
        )
    return Unavailable(
        "witness.refused",
        f"expected {witness.name} to answer as a witness, got status {reply.status}",
        hint=Text("Check its URL in the policy file; ask its operator.", "请检查策略文件中的地址，或询问其运营方。"),
    )
