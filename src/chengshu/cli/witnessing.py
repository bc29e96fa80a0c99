"""What a person does with witnesses: make a node one, name others', see who cosigned and whom one waits for, compare."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu import config
from chengshu.evidence.witnessing.cosignature import CosignerKind, parse_cosigner_key
from chengshu.evidence.witnessing.quorum import NONE, QuorumPolicy, parse_policy
from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Language, Text
from chengshu.node import LOG_PATH, WITNESS_PATH, Node
from chengshu.witness.cosignatures import QuorumStatus
from chengshu.witness.gossip import Comparison
from chengshu.witness.model import SplitView, size_of

Document = dict[str, Any]
GROUP = "witnesses"
"""The group that 'add' keeps; a policy with another structure is the operator's own."""


@dataclass(frozen=True, slots=True)
class Named:
    """One witness as its operator gives it to others: a name for the policy, its key, its URL."""

    name: str
    vkey: str
    url: str

    def __post_init__(self) -> None:
        parse_cosigner_key(self.vkey)
        if not self.name or any(char.isspace() for char in self.name) or not self.url.startswith(("http://", "https://")):
            raise Invalid(
                "witness.card",
                "expected a name without spaces and a URL that begins with http, got something else",
                hint=Text("Take both from 'chengshu witness show' on the witness's node.", "请取自见证方节点的 chengshu witness show。"),
            )


def init(node: Node) -> Document:
    """Make this node a witness for others, and begin the policy that names its own; what is there already stays. Needs a restart."""
    config.enable_witness(node.folder)
    path = node.folder / node.settings.witness.policy
    if not path.exists():
        lines = [
            "# Who must cosign this log's checkpoints before they count (c2sp.org/tlog-policy).",
            f"log {node.evidence.vkey} {node.settings.serve.address}{LOG_PATH}",
            f"quorum {NONE}",
        ]
        _write(path, "\n".join(lines) + "\n")
    return card(node) | {"policy": str(path)}


def card(node: Node) -> Document:
    """Return what another operator needs to name this node as a witness; its keys are made when they are not there yet."""
    keys = {key.kind: str(key) for key in node.witness.cosigner_keys()}
    return {
        "name": node.settings.node.handle,
        "vkey": keys[CosignerKind.ED25519],
        "ml_dsa_vkey": keys.get(CosignerKind.ML_DSA_44),
        "url": node.settings.serve.address + WITNESS_PATH,
        "enabled": config.load(node.folder).witness.enabled,
    }


def named_by(document: Mapping[str, Any], *, post_quantum: bool) -> Named:
    """Return the witness on a card that :func:`card` printed, by its ML-DSA-44 key if wished; raise Invalid for another document."""
    key = document.get("ml_dsa_vkey" if post_quantum else "vkey")
    name, url = document.get("name"), document.get("url")
    if not (isinstance(key, str) and isinstance(name, str) and isinstance(url, str)):
        raise Invalid(
            "witness.card",
            "expected a card with name, url and a key of the wished kind, got one without",
            hint=Text("Ask the other node for 'chengshu witness show --json'.", "请让对方运行 chengshu witness show --json。"),
        )
    return Named(name, key, url)


def add(node: Node, witnesses: Sequence[Named], *, quorum: str | None) -> Document:
    """Add witnesses to the policy and return how its quorum stands then.

    As long as the quorum is ``none`` or the one group that this verb keeps, it becomes ``quorum`` (``all``, ``any`` or a number) of all of
    them, by itself more than half; a quorum that the operator built otherwise is left as it is. Raises Invalid, and changes nothing, when
    the outcome would be no policy.
    """
    path = node.folder / node.settings.witness.policy
    policy = node.quorum_policy()
    if policy is None:
        raise NotFound(
            "witness.no-policy",
            f"expected the policy file {path.name} in the node's folder, got none",
            hint=Text("Make one with 'chengshu witness init'.", "请用 chengshu witness init 创建。"),
        )
    text = _with_witnesses(path.read_bytes(), policy, witnesses, quorum=quorum)
    changed = parse_policy(text.encode(errors="surrogateescape"))
    _write(path, text)
    return {"policy": str(path), "witnesses": [one.name for one in changed.witnesses], "quorum": changed.rule.en}


def listed(node: Node) -> list[Document]:
    """Return the witnesses of this node's log, then the logs that this node cosigned."""
    policy = node.quorum_policy()
    asked = [
        {"what": "witness", "name": one.name, "key": f"{one.key.name}+{one.key.key_id.hex()}", "kind": one.key.kind.title, "url": one.url}
        for one in (policy.witnesses if policy else ())
    ]
    return [*asked, *({"what": "log", "name": one.origin, "size": one.size, "at": iso(one.at)} for one in node.witness.held())]


def status(node: Node, found: QuorumStatus, language: Language) -> Document:
    """Return how the newest checkpoint stands by the policy, whom it waits for and why, and the proofs that are kept."""
    return {
        **found.verdict.as_dict(language),
        "witnessed_size": found.witnessed_size,
        "waits_for": [
            {"witness": one.witness.name, "why": one.why, "tried_at": None if one.tried_at is None else iso(one.tried_at)}
            for one in found.waited
        ],
        "split_views": [_view(one) for one in node.witness.views()],
    }


def compared(found: Sequence[Comparison]) -> list[Document]:
    """Return what comparing found, one row a log."""
    return [
        {
            "origin": one.origin,
            "found": one.agreement.value,
            "views": {view.holder: view.checkpoint.size for view in one.views},
            "not_asked": dict(one.silent),
        }
        for one in found
    ]


def _view(view: SplitView) -> Document:
    return {
        "origin": view.origin,
        "code": view.code,
        "found_at": iso(view.found_at),
        "seen_at": view.seen_at,
        "sizes": [size_of(view.held), size_of(view.shown)],
        "held": view.held.decode(),
        "shown": view.shown.decode(),
    }


def _with_witnesses(before: bytes, policy: QuorumPolicy, witnesses: Sequence[Named], *, quorum: str | None) -> str:
    lines = before.decode(errors="surrogateescape").rstrip("\n").split("\n")
    words = [line.split() for line in lines]
    fresh = [f"witness {one.name} {one.vkey} {one.url}" for one in witnesses]
    kept = next((one for one in policy.groups if one.name == GROUP), None)
    ours = policy.quorum == NONE or (policy.quorum == GROUP and len(policy.groups) == 1)
    if not ours:
        if quorum is not None:
            raise Invalid(
                "witness.own-quorum",
                "expected a policy whose quorum this command made, got one that was built by hand",
                hint=Text(
                    "Leave --quorum away, and name the new witnesses in the policy file yourself.",
                    "请去掉 --quorum，并在策略文件中自行列入新见证方。",
                ),
            )
        place = next(number for number, line in enumerate(words) if line[:1] in (["group"], ["quorum"]))
        return "\n".join([*lines[:place], *fresh, *lines[place:]]) + "\n"
    members = [*(kept.members if kept else [one.name for one in policy.witnesses]), *(one.name for one in witnesses)]
    rest = [line for line, parts in zip(lines, words, strict=True) if parts[:1] not in (["quorum"], ["group"])]
    needed = quorum or str(len(members) // 2 + 1)
    return "\n".join([*rest, *fresh, f"group {GROUP} {needed} {' '.join(members)}", f"quorum {GROUP}"]) + "\n"


def _write(path: Path, text: str) -> None:
    parked = path.with_name(f".{path.name}.partly-written")
    with parked.open("wb") as file:
        file.write(text.encode(errors="surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    parked.replace(path)
