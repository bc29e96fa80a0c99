"""Whether the checkpoint that evidence rests on counts by a witness policy, and if not, which older one does: from files alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, parse_vkey
from chengshu.evidence.storage.files import VKEY, FileTiles
from chengshu.evidence.witnessing.mirror import WITNESSED, LocalTiles, is_continued
from chengshu.evidence.witnessing.quorum import QuorumVerdict, judge, read_policy
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Language, Text


@dataclass(frozen=True, slots=True)
class Counted:
    """How the newest checkpoint stands by a policy, and the newest older one that met it, which the newest continues."""

    newest: QuorumVerdict
    witnessed: QuorumVerdict | None

    @property
    def met(self) -> bool:
        """Whether the newest checkpoint counts."""
        return self.newest.met

    def texts(self) -> list[Text]:
        """Return the verdict's sentences in both languages."""
        found = self.newest.texts()
        if not self.met and self.witnessed is not None:
            size = self.witnessed.checkpoint.size
            found.append(
                Text(
                    f"The newest checkpoint that counts has size {size}: the first {size} entries are witnessed.",
                    f"最近一份作数的检查点规模为 {size}：前 {size} 条记录已获见证。",
                )
            )
        return found

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        witnessed = None if self.witnessed is None else self.witnessed.checkpoint.size
        return self.newest.as_dict(language) | {"witnessed_size": witnessed, "words": [text.of(language) for text in self.texts()]}


def key_to_trust(folder: Path, policy: Path | None, vkey: str | None) -> str | None:
    """Return the key to check a log with: ``vkey``, or the log's own where the policy lists it; None leaves it untrusted."""
    beside = FileTiles(folder).read(VKEY)
    if vkey is not None or policy is None or beside is None:
        return vkey
    line = beside.decode(errors="replace").removesuffix("\n")
    return line if line in {str(log.key) for log in read_policy(policy).logs} else None


def count(folder: Path, policy: Path, *, checkpoint: Checkpoint, vkey: str) -> Counted:
    """Return whether the checkpoint of evidence that was found good counts by a policy file.

    A log's folder may hold an older checkpoint that counts where the newest does not yet. Raises Tampered for a cosignature by a witness
    of the policy that does not hold, and for a witnessed checkpoint that is not part of this log; Invalid for a file that is no policy,
    or one that lists other logs; NotFound when there is no such file.
    """
    rules, key, files = read_policy(policy), parse_vkey(vkey), FileTiles(folder)
    newest = judge(checkpoint.note, key=key, policy=rules)
    note = files.read(WITNESSED)
    if note is None:
        return Counted(newest, None)
    witnessed = judge(note, key=key, policy=rules, file=WITNESSED)
    old, new = witnessed.checkpoint, checkpoint
    if not is_continued(LocalTiles(files), old=old, new=new, size=new.size):
        raise Tampered(
            "evidence.split-view",
            f"{WITNESSED}: expected a part of the log's history, got a checkpoint of size {old.size} that the log at {new.size} entries "
            "does not continue: the log was changed after witnesses saw it",
            hint=Text(
                "Keep both files: the same key signed two histories. Ask the witnesses which one they hold.",
                "请保留两个文件：同一密钥签署了两段历史。请询问各见证方持有哪一份。",
            ),
            facts={"file": WITNESSED, "witnessed": old.size, "size": new.size},
        )
    return Counted(newest, witnessed if witnessed.met else None)
