"""When a checkpoint counts: the C2SP tlog-policy file, read exactly, and the judgement of one note by it.

Source: https://c2sp.org/tlog-policy. A policy lists logs, witnesses and groups of witnesses, and names the one group, witness or
``none`` whose cosignatures are enough.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from chengshu.evidence.witnessing.cosignature import CosignerKey, can_check, open_cosignature, parse_cosigner_key, signature_lines
from chengshu.kernel.errors import ChengshuError, Invalid, NotFound
from chengshu.kernel.text import Language, Text

NONE = "none"
MAX_POLICY_BYTES = 1 << 20
_BLANK = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9]\d{0,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Log:
    """A log that the policy accepts, and where it can be read."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: its name inside of the policy, its key, and where checkpoints are sent to it."""

    name: str
    key: CosignerKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """At least ``needed`` of ``members``, each a witness or a group named before."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuorumPolicy:
    """A whole policy; promises that every name in groups and quorum is defined and that no key comes twice."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def is_met_by(self, cosigned: frozenset[str]) -> bool:
        """Say whether cosignatures by the witnesses of these names are enough."""
        if self.quorum == NONE:
            return True
        met = set(cosigned)
        for group in self.groups:  # a group only names what stands before it
            if len(met.intersection(group.members)) >= group.needed:
                met.add(group.name)
        return self.quorum in met

    @property
    def rule(self) -> Text:
        """The quorum in words."""
        group = next((one for one in self.groups if one.name == self.quorum), None)
        if self.quorum == NONE:
            return Text("no cosignature is asked for", "不要求联署")
        if group is None:
            return Text(f"the witness {self.quorum}", f"见证方 {self.quorum}")
        listed = ", ".join(group.members)
        return Text(f"{group.needed} of {len(group.members)}: {listed}", f"{len(group.members)} 选 {group.needed}：{listed}")


class Standing(StrEnum):
    """What a note shows of one witness."""

    COSIGNED = "cosigned"
    MISSING = "missing"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """One witness of the policy as a note shows it; ``timestamp`` is a POSIX second, None unless it cosigned."""

    witness: Witness
    standing: Standing
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class QuorumVerdict:
    """Which witnesses of a policy cosigned one checkpoint, and whether that is enough."""

    checkpoint: Checkpoint
    policy: QuorumPolicy
    standings: tuple[WitnessStanding, ...]

    @property
    def met(self) -> bool:
        """Whether the checkpoint counts by the policy."""
        return self.policy.is_met_by(frozenset(self.names(Standing.COSIGNED)))

    def names(self, standing: Standing) -> list[str]:
        """Return the witnesses of one standing, in the policy's order."""
        return [one.witness.name for one in self.standings if one.standing is standing]

    def texts(self) -> list[Text]:
        """Return the verdict's sentences in both languages."""
        return [_counted(self), *_unchecked(self)]

    def words(self, language: Language = "en") -> list[str]:
        """Return who cosigned, and whether the checkpoint counts and what is missing, one sentence each."""
        return [text.of(language) for text in self.texts()]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "met": self.met,
            "origin": self.checkpoint.origin,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root_text,
            "quorum": self.policy.quorum,
            "rule": self.policy.rule.of(language),
            "witnesses": [
                {"name": one.witness.name, "key": one.witness.key.name, "standing": one.standing.value, "timestamp": one.timestamp}
                for one in self.standings
            ],
            "words": self.words(language),
        }


def judge(note: bytes, *, key: VerifierKey, policy: QuorumPolicy, file: str = "checkpoint") -> QuorumVerdict:
    """Return whether a signed note counts by ``policy``, as a checkpoint of the log that ``key`` names.

    Lines by keys that the policy does not name are passed over. Raises Tampered, which names ``file``, when the log's own signature or
    a cosignature by a witness of the policy does not hold; Invalid when the policy lists logs and not this one.
    """
    checkpoint = open_checkpoint(note, key=key, file=file)
    if policy.logs and str(key) not in {str(log.key) for log in policy.logs}:
        raise Invalid(
            "evidence.policy-log",
            f"expected a checkpoint of one of the {len(policy.logs)} log(s) of the policy, got {key.name}+{key.key_id.hex()}",
            hint=Text(
                "Either the log's key was changed, or it is another log: ask its operator by another way, and keep the checkpoint.",
                "日志密钥已更换，或这是另一份日志：请通过其他途径询问运营方，并保留该检查点。",
            ),
            facts={"origin": key.name},
        )
    lines = signature_lines(note, file=file)
    standings: list[WitnessStanding] = []
    for witness in policy.witnesses:
        mine = [line for line in lines if line.is_by(witness.key)]
        if mine and not can_check(witness.key.kind):
            standings.append(WitnessStanding(witness, Standing.UNCHECKED, None))
            continue
        found = [open_cosignature(line, key=witness.key, checkpoint=checkpoint, file=file) for line in mine]
        timestamp = max((one.timestamp for one in found), default=None)
        standings.append(WitnessStanding(witness, Standing.COSIGNED if found else Standing.MISSING, timestamp))
    return QuorumVerdict(checkpoint, policy, tuple(standings))


def read_policy(path: Path) -> QuorumPolicy:
    """Return the policy in a file; raise NotFound when there is none and Invalid, naming the line, when it is not a policy."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(
            "evidence.policy-absent",
            f"{path.name}: expected a readable policy file, got {error.strerror}",
            hint=Text("Make one with 'chengshu witness init', or check the path.", "请用 chengshu witness init 创建，或检查路径。"),
            facts={"file": path.name},
        ) from error
    return parse_policy(data)


def parse_policy(data: bytes) -> QuorumPolicy:
    """Return the policy that a tlog-policy file states; raise Invalid, which names the line, for everything the format does not allow."""
    text = data.decode(errors="surrogateescape")  # what is not ASCII is opaque
    if len(data) > MAX_POLICY_BYTES or _CONTROL.search(text):
        raise _bad(0, f"at most {MAX_POLICY_BYTES} bytes of text whose only control characters are tab and newline", "something else")
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in _BLANK.split(line) if word]
        if words and not words[0].startswith("#"):
            reading.take(number, words)
    return reading.concluded()


class _Reading:
    """A policy read line by line."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._quorum: str | None = None
        self._keys: set[bytes] = set()
        self._defined: set[str] = set()
        self._members: set[str] = set()

    def take(self, number: int, words: Sequence[str]) -> None:
        """Read one line that is neither empty nor a comment."""
        match words:
            case ["log", vkey]:
                self._log(number, vkey, None)
            case ["log", vkey, url]:
                self._log(number, vkey, url)
            case ["witness", name, vkey]:
                self._witness(number, Witness(name, _key(number, vkey), None))
            case ["witness", name, vkey, url]:
                self._witness(number, Witness(name, _key(number, vkey), url))
            case ["group", name, needed, _, *_]:
                self._group(number, name, needed, words[3:])
            case ["quorum", name]:
                self._take_quorum(number, name)
            case _:
                raise _bad(number, "log, witness, group or quorum with its words", "another line")

    def concluded(self) -> QuorumPolicy:
        """Return the policy, once it has its one quorum."""
        if self._quorum is None:
            raise _bad(0, "exactly one quorum line", "none")
        return QuorumPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, number: int, vkey: str, url: str | None) -> None:
        try:
            key = parse_vkey(vkey)
        except ChengshuError as error:
            raise _bad(number, "a log's verifier key", f"one that is none ({error.message})") from error
        self._own(number, key.public_key.raw)
        self._logs.append(Log(key, url))

    def _witness(self, number: int, witness: Witness) -> None:
        self._define(number, witness.name)
        self._own(number, witness.key.public_key)
        self._witnesses.append(witness)

    def _group(self, number: int, name: str, needed: str, members: Sequence[str]) -> None:
        for member in members:
            if member not in self._defined:
                raise _bad(number, "members that earlier lines define", f"{_shown(member)}")
            if member in self._members:
                raise _bad(number, "every name at most once as a member", f"{_shown(member)} again")
            self._members.add(member)
        self._define(number, name)
        count = {"any": 1, "all": len(members)}.get(needed) or (int(needed) if _COUNT.fullmatch(needed) else 0)
        if not 1 <= count <= len(members):
            raise _bad(number, f"any, all, or a number from 1 to {len(members)}", "something else")
        self._groups.append(Group(name, count, tuple(members)))

    def _take_quorum(self, number: int, name: str) -> None:
        if self._quorum is not None:
            raise _bad(number, "exactly one quorum line", "a second one")
        if name != NONE and name not in self._defined:
            raise _bad(number, "none, or a witness or group that an earlier line defines", f"{_shown(name)}")
        self._quorum = name

    def _define(self, number: int, name: str) -> None:
        if name == NONE or name in self._defined:
            raise _bad(number, "a name that is not taken", f"{_shown(name)}")
        self._defined.add(name)

    def _own(self, number: int, public_key: bytes) -> None:
        if public_key in self._keys:
            raise _bad(number, "a key of its own for every log and witness", "a key that an earlier line has")
        self._keys.add(public_key)


def _key(number: int, vkey: str) -> CosignerKey:
    try:
        return parse_cosigner_key(vkey)
    except ChengshuError as error:
        raise _bad(number, "a witness's key", f"one that is none ({error.message})") from error


def _counted(verdict: QuorumVerdict) -> Text:
    cosigned, missing = verdict.names(Standing.COSIGNED), verdict.names(Standing.MISSING)
    size, total, count = verdict.checkpoint.size, len(verdict.standings), len(cosigned)
    en = f"cosigned by {count} of {total}" + (f": {', '.join(cosigned)}" if cosigned else "")
    zh = f"{total} 个见证方中 {count} 个已联署" + (f"：{'、'.join(cosigned)}" if cosigned else "")
    if verdict.met:
        return Text(f"The checkpoint of size {size} is {en}; quorum met.", f"规模 {size} 的检查点：{zh}；已达法定数。")
    rule = verdict.policy.rule
    return Text(
        f"The checkpoint of size {size} does not count yet: {en}; the quorum is {rule.en}; missing: {', '.join(missing)}.",
        f"规模 {size} 的检查点尚不作数：{zh}；法定数为 {rule.zh}；缺：{'、'.join(missing)}。",
    )


def _unchecked(verdict: QuorumVerdict) -> list[Text]:
    names = verdict.names(Standing.UNCHECKED)
    if not names:
        return []
    return [
        Text(
            f"Not judged: the ML-DSA-44 cosignature(s) of {', '.join(names)}; this machine's cryptography library does not know ML-DSA.",
            f"未判定：{'、'.join(names)} 的 ML-DSA-44 联署；本机密码库不支持 ML-DSA。",
        )
    ]


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()[:80]


def _bad(number: int, expected: str, got: str) -> Invalid:
    where = f"line {number}: " if number else ""
    facts: Mapping[str, str | int] = {"line": number} if number else {}
    return Invalid(
        "evidence.policy",
        f"{where}expected {expected}, got {got}",
        hint=Text(
            "See docs/reference/witness.md for a policy to begin with; the format is c2sp.org/tlog-policy.",
            "可参照 docs/reference/witness.md 中的示例；格式为 c2sp.org/tlog-policy。",
        ),
        facts=facts,
    )
