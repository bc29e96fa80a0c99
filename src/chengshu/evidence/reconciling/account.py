"""What one party's log says about its contracts: the entries that two parties' logs are held against each other by."""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.evidence.model import KINDS, Entry
from chengshu.evidence.verify import LogVerdict, verify_log
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

ENDS = frozenset({"job.released", "job.refused", "job.failed"})
DISPUTED = "receipt.disputed"
"""The code of an alert that one side does not agree with a use receipt."""

_NEGOTIATION = "negotiation."
_STEPS = frozenset(kind for kind in KINDS if kind.startswith(_NEGOTIATION))
_KEPT = frozenset({"agreement.signed", "use.metered", "alert.raised", "receipt.issued", "receipt.countersigned", *ENDS, *_STEPS})
_LOG = "log"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DID_KEY = "did:key:z"
_MULTICODEC_BYTES = 2


@dataclass(frozen=True, slots=True)
class ContractAccount:
    """What one log says about one agreement, in order."""

    entries: tuple[Entry, ...]

    @property
    def signed(self) -> Entry | None:
        """The entry that the agreement was signed."""
        return next(iter(self.of("agreement.signed")), None)

    @property
    def negotiations(self) -> frozenset[str]:
        """The owner's ids of the negotiation that led to the agreement."""
        return frozenset(text_of(one.body, "negotiation") for one in self.entries if one.kind.startswith(_NEGOTIATION))

    @property
    def counterparts(self) -> frozenset[str]:
        """The other party's ids of that negotiation."""
        return frozenset(text_of(one.body, "peer_pid") for one in self.entries if one.kind.startswith(_NEGOTIATION)) - {""}

    @property
    def disputes(self) -> list[Entry]:
        """The alerts that a use receipt under the agreement is disputed."""
        return [entry for entry in self.of("alert.raised") if entry.body.get("code") == DISPUTED]

    def of(self, kind: str) -> list[Entry]:
        """Return the entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]

    def ended(self, use: tuple[str, str]) -> Entry | None:
        """Return the entry by which the job of a use ended, if it did."""
        return next((one for one in self.entries if one.kind in ENDS and use_of(one) == use), None)


@dataclass(frozen=True, slots=True)
class Account:
    """One party's verified log: whose it is, the verdict on the whole, and its entries by agreement and by negotiation, in order."""

    owner: str
    log: LogVerdict
    by_agreement: Mapping[str, Sequence[Entry]]
    by_negotiation: Mapping[str, Sequence[Entry]]

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.log.checkpoint.origin

    def contracts_with(self, other: str) -> list[str]:
        """Return the agreements that this log holds as signed between its owner and ``other``, in order."""
        parties = {self.owner, other}
        signed = [(agreement, self.about(agreement).signed) for agreement in self.by_agreement]
        return [
            name for name, one in signed if one is not None and {text_of(one.body, "provider"), text_of(one.body, "consumer")} == parties
        ]

    def about(self, agreement: str) -> ContractAccount:
        """Return what this log says about one agreement."""
        return ContractAccount(tuple(self.by_agreement.get(agreement, ())))

    def steps(self, negotiations: Iterable[str]) -> list[Entry]:
        """Return the steps of negotiations by this log's owner's ids, in order."""
        found = [entry for name in negotiations for entry in self.by_negotiation.get(name, ())]
        return sorted(found, key=lambda entry: entry.index)


def read_account(path: Path, vkey: str | None = None) -> Account:
    """Verify a log whole, from its files alone, and return what it says about contracts; a node's folder means its log.

    Raises what :func:`chengshu.evidence.verify.verify_log` raises, Invalid for a log that does not say whose it is, and Tampered for one
    that says it is another party's than the one whose key signed it.
    """
    started: list[Entry] = []
    by_agreement: defaultdict[str, list[Entry]] = defaultdict(list)
    by_negotiation: defaultdict[str, list[Entry]] = defaultdict(list)

    def keep(entry: Entry) -> None:
        if entry.kind == "node.started":
            started.append(entry)
        if entry.kind in _KEPT and "agreement" in entry.body:
            by_agreement[text_of(entry.body, "agreement")].append(entry)
        if entry.kind.startswith(_NEGOTIATION):
            by_negotiation[text_of(entry.body, "negotiation")].append(entry)

    log = verify_log(_folder(path), vkey, visit=keep)
    return Account(_owner(started, log), log, dict(by_agreement), dict(by_negotiation))


def _parties(signed: Entry) -> set[str]:
    return {text_of(signed.body, "provider"), text_of(signed.body, "consumer")}


def receipt_of(entry: Entry) -> str:
    """Return the digest of the use receipt that an entry is about; empty where it names none."""
    return text_of(entry.body, "receipt_digest")


def use_of(entry: Entry) -> tuple[str, str]:
    """Return job and product that an entry is about."""
    return text_of(entry.body, "job"), text_of(entry.body, "product")


def text_of(body: Mapping[str, Any], name: str) -> str:
    """Return a member of an entry's body as text; empty where there is none."""
    value = body.get(name)
    return "" if value is None else str(value)


def _folder(path: Path) -> Path:
    return path / _LOG if (path / _LOG).is_dir() else path


def _owner(entries: Sequence[Entry], log: LogVerdict) -> str:
    """The party whose log it is: the id that the node started with, made of the very key that signed the checkpoint."""
    if not entries:
        raise Invalid(
            "evidence.no-owner",
            f"expected the log {log.checkpoint.origin} to say with which id its node started, got no such entry",
            hint=Text("Give the log of a party's node.", "请给出参与方节点的日志。"),
        )
    started = entries[0]
    key = base64.b64decode(log.vkey.split("+", 2)[2])
    raw = _base58_decode(started.subject.removeprefix(_DID_KEY)) if started.subject.startswith(_DID_KEY) else b""
    if len(raw) <= _MULTICODEC_BYTES or not key.endswith(raw[_MULTICODEC_BYTES:]):
        raise Tampered(
            "evidence.owner",
            f"entry {started.index}: expected the id of the party whose key signed the log {log.checkpoint.origin}, got another",
            hint=Text(
                "Keep this copy as it is: it is evidence. Ask the party for its log and its key.",
                "请原样保留此副本，它本身就是证据。请向该参与方索取其日志与公钥。",
            ),
            facts={"index": started.index},
        )
    return started.subject


def _base58_decode(text: str) -> bytes:
    """The bytes of a base58btc text; empty for what is none."""
    if len(text) > 256 or any(character not in _ALPHABET for character in text):
        return b""
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET.index(character)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
