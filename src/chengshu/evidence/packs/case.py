"""Which entries of a log a case is about and rests on: one rule, used by who exports a pack and by who checks it.

A case is any identifier that entries carry: a job, an agreement, a negotiation, a permit, a product or a statement.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chengshu.evidence.model import Entry
from chengshu.evidence.use import Claim, judge_use
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text

MAX_CASE_ENTRIES = 20_000

Scan = Callable[[], Iterable[Entry]]
"""Goes through a log's entries in order, from the first one, every time it is called."""


class CaseKind(StrEnum):
    """What the identifier of a case names."""

    JOB = "job"
    AGREEMENT = "agreement"
    NEGOTIATION = "negotiation"
    PERMIT = "permit"
    PRODUCT = "product"
    STATEMENT = "statement"
    OTHER = "other"

    @property
    def label(self) -> Text:
        """The kind in both languages."""
        return _TITLES[self]


_TITLES = {
    CaseKind.JOB: Text("Job", "作业"),
    CaseKind.AGREEMENT: Text("Agreement", "协议"),
    CaseKind.NEGOTIATION: Text("Negotiation", "合约协商"),
    CaseKind.PERMIT: Text("Permit", "许可"),
    CaseKind.PRODUCT: Text("Data product", "数据产品"),
    CaseKind.STATEMENT: Text("Settlement statement", "结算单"),
    CaseKind.OTHER: Text("Identifier", "标识"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """The entries about one identifier, with those they rest on, in the log's order."""

    id: str
    kind: CaseKind
    entries: tuple[Entry, ...]

    @property
    def indexes(self) -> tuple[int, ...]:
        """The entries' places in the log."""
        return tuple(entry.index for entry in self.entries)

    def uses(self) -> tuple["JudgedUse", ...]:
        """Return the claims about every use in the case, one a job and product, in the order in which the log first names them."""
        pairs = {(entry.body["job"], entry.body["product"]): None for entry in self.entries if _is_use(entry)}
        return tuple(JudgedUse(product, job, judge_use(self.entries, product=product, job=job)[0]) for job, product in pairs)


@dataclass(frozen=True, slots=True)
class JudgedUse:
    """One job's use of one product, and what the case's entries say about it."""

    product: str
    job: str
    claims: tuple[Claim, ...]


def select_case(scan: Scan, case: str) -> Case:
    """Return the entries that name ``case`` and those they rest on.

    These are: the jobs of the case whole; signatures and negotiation steps of its agreements; publications of its products; and the
    first and last act on a checkpoint after all of them. Raises NotFound when no entry names the identifier, Invalid for a case of
    more than 20,000 entries.
    """
    reach = _Reach(case)
    found = reach.widen(scan)
    if not found:
        raise _unknown(case)
    kind = _kind(case, found)
    before = -1
    while before != len(reach):
        before = len(reach)
        found = reach.widen(scan)
    found.update(_later_checkpoints(scan, after=max(found)))
    return Case(case, kind, tuple(found[index] for index in sorted(found)))


class _Reach:
    """The identifiers that a case has come to; they only grow."""

    def __init__(self, case: str) -> None:
        self._case = case
        self._jobs: set[str] = set()
        self._agreements: set[str] = set()
        self._negotiations: set[str] = set()
        self._products: set[str] = set()

    def __len__(self) -> int:
        return len(self._jobs) + len(self._agreements) + len(self._negotiations) + len(self._products)

    def widen(self, scan: Scan) -> dict[int, Entry]:
        """Return the entries within reach, and reach what they name."""
        found: dict[int, Entry] = {}
        for entry in scan():
            named = _names(entry, self._case)
            if named or self._rests_on(entry):
                found[entry.index] = entry
                self._reach(entry, named=named)
            if len(found) > MAX_CASE_ENTRIES:
                raise _too_large(self._case)
        return found

    def _rests_on(self, entry: Entry) -> bool:
        body, room = entry.body, entry.kind.partition(".")[0]
        if room in {"agreement", "negotiation"}:
            return _in(body, "agreement", self._agreements) or _in(body, "negotiation", self._negotiations)
        if room in {"product", "grade"}:
            return _in(body, "product", self._products)
        return _in(body, "job", self._jobs)

    def _reach(self, entry: Entry, *, named: bool) -> None:
        """Jobs are reached from entries that name the case itself, so that a case never grows into its neighbours' jobs."""
        if named:
            self._add(entry, "job", self._jobs)
        self._add(entry, "agreement", self._agreements)
        self._add(entry, "product", self._products)
        if entry.kind.startswith("negotiation."):
            self._add(entry, "negotiation", self._negotiations)

    @staticmethod
    def _add(entry: Entry, name: str, ids: set[str]) -> None:
        value = entry.body.get(name)
        if isinstance(value, str):
            ids.add(value)


def _names(entry: Entry, case: str) -> bool:
    if entry.subject == case:
        return True
    return any(value == case or (isinstance(value, list) and case in value) for value in entry.body.values())


def _in(body: Any, name: str, ids: set[str]) -> bool:
    value = body.get(name)
    return isinstance(value, str) and value in ids


def _is_use(entry: Entry) -> bool:
    return isinstance(entry.body.get("job"), str) and isinstance(entry.body.get("product"), str)


def _kind(case: str, found: dict[int, Entry]) -> CaseKind:
    """What the entries call the identifier: the name of a body's field, or the room of an entry whose subject it is."""
    for entry in found.values():
        for kind in CaseKind:
            room = entry.kind.partition(".")[0]
            if entry.body.get(kind.value) == case or (entry.subject == case and room == kind.value):
                return kind
    return CaseKind.OTHER


def _later_checkpoints(scan: Scan, *, after: int) -> dict[int, Entry]:
    """The first and the last entry after ``after`` that is about a checkpoint: witnessed or anchored, it covers the case."""
    later: dict[str, list[Entry]] = {}
    for entry in scan():
        if entry.index > after and entry.kind.startswith("checkpoint."):
            ends = later.setdefault(entry.kind, [entry, entry])
            ends[1] = entry
    return {entry.index: entry for ends in later.values() for entry in ends}


def _unknown(case: str) -> NotFound:
    return NotFound(
        "evidence.no-such-case",
        f"expected entries that name {case}, got none in this log",
        hint=Text(
            "Look for the identifier with 'chengshu evidence list' (subject), 'chengshu contract list' or 'chengshu job list', "
            "and publish the log if the act is newer than its checkpoint.",
            "请用 chengshu evidence list（主体一栏）、chengshu contract list 或 chengshu job list 查找标识；"
            "若行为晚于检查点，请先发布日志。",
        ),
        facts={"case": case},
    )


def _too_large(case: str) -> Invalid:
    return Invalid(
        "evidence.case-size",
        f"expected a case of at most {MAX_CASE_ENTRIES} entries, got more about {case}",
        hint=Text("Export one of its jobs or agreements, or hand over the whole log.", "请导出其中的一个作业或协议，或交付整个日志。"),
        facts={"case": case},
    )
