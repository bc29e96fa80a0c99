"""What a log's anchors prove: the log is checked first, each digest is computed again from it, and the chain is asked what it holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.anchor.model import FISCO, TEST_CHAINS, UNTESTED, Claim, Finding, Judged, claim_of, digest_at, judge
from chengshu.anchor.ports import Chain
from chengshu.anchor.service import ANCHORED_KIND
from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.packs.pack import WHOLE_LOG, is_pack, read_entries, verify_pack
from chengshu.evidence.packs.unpack import unpacked
from chengshu.evidence.storage.files import CHECKPOINT, FileTiles
from chengshu.evidence.tiles import TileNodes
from chengshu.evidence.tree import root_of
from chengshu.evidence.verify import LogVerdict, verify_log
from chengshu.kernel.errors import NotFound, Tampered
from chengshu.kernel.text import Language, Text

LIMITS = (
    Text(
        "Not proved: that what the entries say is true, or when they were first written; only that they were there by that block.",
        "未证明：条目内容真实，或其最早写入时间；只证明在该区块时已存在。",
    ),
    Text(
        "The chain is believed as the node at the URL shows it: ask one that you trust. Blocks with few confirmations may yet be replaced "
        "when the chain is reorganised.",
        "链上内容以该地址的节点所示为准，请使用您信任的节点。确认数较少的区块仍可能因链重组而被替换。",
    ),
)
_TEST_CHAIN = Text(
    "This is a local test chain: whoever runs it can make it anew, so it proves nothing to outsiders.",
    "这是本地测试链：运行者可随时重建，对外部人员不构成任何证明。",
)
_NOTHING = Text("Not proved: the log names no anchor, and none was given.", "未证明：日志中没有锚定记录，也未提供锚定清单。")
_MALFORMED = Text(
    "Contradicted: an entry says that a checkpoint was anchored and names none.", "矛盾：有条目声称检查点已锚定，却未指明检查点。"
)

Chains = Callable[[str], Chain]
"""The chain that is asked, with the contract at an address."""


@dataclass(frozen=True, slots=True)
class AnchorsVerdict:
    """An intact log, and what is found of each anchor; ``asked`` is the chain that was read."""

    log: LogVerdict
    judged: tuple[Judged, ...]
    asked: str | None

    @property
    def holds(self) -> bool:
        """Whether at least one anchor is proved and none of this chain is missing or contradicted."""
        found = {one.finding for one in self.judged}
        return Finding.PROVED in found and not found & {Finding.ABSENT, Finding.CONTRADICTED}

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        texts = [*self.log.proved(), *(one.text for one in self.judged)] + ([] if self.judged else [_NOTHING])
        return [text.of(language) for text in (*texts, *self._limits())]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "ok": self.holds,
            "what": "anchors",
            "origin": self.log.checkpoint.origin,
            "size": self.log.checkpoint.size,
            "key_source": self.log.key_source.value,
            "asked": self.asked,
            "anchors": [one.as_dict(language) for one in self.judged],
            "words": self.words(language),
        }

    def _limits(self) -> Iterator[Text]:
        proved = [one.held for one in self.judged if one.held is not None]
        if any(held.chain_id in TEST_CHAINS for held in proved):
            yield _TEST_CHAIN
        if self.asked is not None and self.asked.startswith(FISCO):
            yield Text(f"The FISCO BCOS adapter is {UNTESTED.en}.", f"FISCO BCOS 适配器{UNTESTED.zh}。")
        yield from LIMITS


def verify_anchors(
    path: Path, vkey: str | None = None, *, chains: Chains, kept: Iterable[Mapping[str, Any]] = (), progress: Callable[[int, int], None]
) -> AnchorsVerdict:
    """Check a log's folder, or a pack that encloses the whole log, and return what its anchors prove.

    ``kept`` are anchors that were listed before, as 'anchor list' prints them: who rewrites a log can leave its anchors out, but not take
    them back from others. Raises what the check of a log or a pack raises, Unavailable when the chain does not answer, and NotFound for a
    pack without the log.
    """
    with _log_in(path, vkey) as folder:
        log = verify_log(folder, vkey)
        files = FileTiles(folder)
        said = [claim_of(one.body) for one in read_entries(files, log.checkpoint.size) if one.kind == ANCHORED_KIND]
        told = [claim for claim in map(claim_of, kept) if claim is not None]
        claims = list(dict.fromkeys([*said, *told]))
        reading = _Reading(files, log.checkpoint, chains)
        judged = []
        for number, claim in enumerate(claims):
            progress(number, len(claims))
            judged.append(reading.judge(claim) if claim is not None else Judged(None, Finding.CONTRADICTED, _MALFORMED))
        return AnchorsVerdict(log, tuple(judged), reading.asked)


class _Reading:
    """Claims held against one log and one chain."""

    def __init__(self, files: FileTiles, checkpoint: Checkpoint, chains: Chains) -> None:
        self._checkpoint = checkpoint
        self._chains = chains
        self._nodes = TileNodes(checkpoint.size, lambda name: files.tile(name)[1], checkpoint.hashing)
        self._ids: dict[str, tuple[str, str]] = {}
        self.asked: str | None = None

    def judge(self, claim: Claim) -> Judged:
        chain = self._chains(claim.contract)
        is_this_chain = self._is_of(claim, chain)
        try:
            held = chain.read(claim.raw) if is_this_chain else None
        except Tampered as error:
            return Judged(claim, Finding.CONTRADICTED, Text(f"Contradicted: {error.message}.", f"矛盾：{error.message}。"))
        return judge(claim, digest=self._digest_at(claim.size), is_this_chain=is_this_chain, held=held)

    def _is_of(self, claim: Claim, chain: Chain) -> bool:
        if chain.name != claim.chain:
            return False
        if claim.contract not in self._ids:
            self._ids[claim.contract] = (chain.name, chain.chain_id())
        name, chain_id = self._ids[claim.contract]
        self.asked = f"{name} {chain_id}"
        return chain_id == claim.chain_id

    def _digest_at(self, size: int) -> str | None:
        if size > self._checkpoint.size:
            return None
        return digest_at(self._checkpoint.key, size=size, root=root_of(size, self._nodes, hashing=self._checkpoint.hashing))


@contextmanager
def _log_in(path: Path, vkey: str | None) -> Iterator[Path]:
    """The folder of the log: itself, or the one that a good pack encloses."""
    if path.is_file():
        with unpacked(path) as folder:
            yield _enclosed(folder, vkey)
    elif is_pack(path):
        yield _enclosed(path, vkey)
    else:
        yield path


def _enclosed(folder: Path, vkey: str | None) -> Path:
    if is_pack(folder):
        verify_pack(folder, vkey)
    log = folder / WHOLE_LOG
    if not (log / CHECKPOINT).is_file():
        raise NotFound(
            "anchor.no-log",
            "expected a pack that encloses the whole log, got one without: no root can be computed from it",
            hint=Text(
                "Ask for one made by 'chengshu evidence export --whole-log'.",
                "请索取用 chengshu evidence export --whole-log 导出的存证包。",
            ),
        )
    return log
