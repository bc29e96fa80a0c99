"""What a person does with transfers, as plain functions: the commands call these."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chengshu.cli.verbs import POLL_S
from chengshu.kernel.errors import Conflict
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.policy.model import CountLimit, Form, OutputForm, Policy, Purpose, Recipient, Rule
from chengshu.policy.odrl import to_odrl
from chengshu.transfer.flow.model import PULL, PUSH, Direction, Extent, direction_of
from chengshu.transfer.process.model import State, TransferProcess, Wanted
from chengshu.transfer.streams.encodings import ENCODINGS, Encoding

Document = dict[str, Any]
FORMATS_BY_WORD = {"pull": PULL, "push": PUSH}
FORMS: dict[str, Encoding] = dict(zip(("arrow", "csv", "jsonl"), ENCODINGS, strict=True))


def rows_offer(*, purposes: Sequence[str], recipients: Sequence[str], uses: int | None) -> Document:
    """Return the ODRL policy under which rows themselves are handed over: to whom, for what, how often; no clean room has part in it."""
    rules: list[Rule] = [OutputForm(Form.ROWS)]
    if purposes:
        rules.append(Purpose(frozenset(purposes)))
    if recipients:
        rules.append(Recipient(frozenset(recipients)))
    if uses is not None:
        rules.append(CountLimit(uses))
    return to_odrl(Policy(tuple(rules)))


def request(node: Node, agreement: str, *, direction: Direction, extent: Extent, purpose: str | None) -> str:
    """Ask the provider of an agreement for its rows; return the transfer's id."""
    return node.moving.processes.request(Wanted(agreement, FORMATS_BY_WORD[direction], purpose, extent))


def transfer(node: Node, pid: str) -> Document:
    """Return where a transfer stands: its state, and for whom it waits and why."""
    standing = node.moving.processes.standing(pid)
    return row(standing.process) | {
        "waits_for": standing.waits_for,
        "why": standing.why.en if standing.why else None,
        "reason": "; ".join(standing.process.reasons) or None,
    }


def transfers(node: Node) -> list[Document]:
    """Return every transfer on either side, oldest first."""
    return [row(one) for one in node.moving.processes.processes()]


def row(process: TransferProcess) -> Document:
    """Return what a list shows of a transfer."""
    return {
        "transfer": process.id,
        "role": process.role.value.lower(),
        "product": process.product,
        "counterparty": process.counterparty,
        "agreement": process.agreement_id,
        "format": process.format,
        "extent": process.extent.value,
        "state": process.state.value,
    }


def await_start(node: Node, pid: str, *, timeout_s: float) -> Document:
    """Wait until a transfer has left REQUESTED, at most ``timeout_s`` seconds; return where it stands then."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and node.moving.processes.process(pid).state is State.REQUESTED:
        time.sleep(POLL_S)
    return transfer(node, pid)


def start(node: Node, pid: str) -> Document | Refused:
    """Start a transfer that was requested of this node, or resume one; return it, or why this node does not deliver."""
    outcome = node.moving.processes.start(pid)
    return outcome if isinstance(outcome, Refused) else transfer(node, pid)


def fetch(node: Node, pid: str, out: Path, *, form: str | None) -> Document:
    """Put a transfer's product into the file ``out``, pulled now or pushed before; raise Conflict where there is such a file."""
    if out.exists():
        raise Conflict(
            "file.exists",
            f"expected a path where there is no file yet, got {out}",
            hint=Text("Choose another file.", "请选择其他文件。"),
        )
    process = node.moving.processes.process(pid)
    if direction_of(process.format) is Direction.PUSH:
        shutil.copyfile(node.moving.receptions.received(pid), out)
        return {"transfer": pid, "product": process.product, "file": str(out), "bytes": out.stat().st_size}
    receipt = node.moving.receptions.fetch(pid, out, encoding=None if form is None else FORMS[form])
    found = {"bytes": receipt.size, "data_digest": receipt.digest, "media_type": receipt.media_type}
    return {"transfer": pid, "product": process.product, "file": str(out), **found}
