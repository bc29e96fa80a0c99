"""Where a negotiation stands: for whom it waits, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from chengshu.contract.model import Negotiation, State
from chengshu.kernel.machine import Role
from chengshu.kernel.tasks import Task
from chengshu.kernel.text import Text


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a negotiation stands, for whom it waits and why; both None when nothing is awaited."""

    negotiation: Negotiation
    waits_for: str | None
    why: Text | None


TURNS: Mapping[State, Role] = {
    State.REQUESTED: Role.PROVIDER,
    State.OFFERED: Role.CONSUMER,
    State.ACCEPTED: Role.PROVIDER,
    State.AGREED: Role.CONSUMER,
    State.VERIFIED: Role.PROVIDER,
}
"""Whose step it is in each state that something follows."""

WHY: Mapping[tuple[Role, State], Text] = {
    (Role.CONSUMER, State.REQUESTED): Text("to answer our request", "答复我方请求"),
    (Role.CONSUMER, State.OFFERED): Text("to accept or refuse the provider's offer", "接受或拒绝提供方的报价"),
    (Role.CONSUMER, State.ACCEPTED): Text("to send the agreement", "发送合约"),
    (Role.CONSUMER, State.AGREED): Text("to verify and sign the agreement", "核验并签署合约"),
    (Role.CONSUMER, State.VERIFIED): Text("to finalize the agreement", "完成合约"),
    (Role.PROVIDER, State.REQUESTED): Text(
        "to agree to the consumer's request, offer other terms, or refuse it", "同意需求方的请求、提出其他条款或拒绝"
    ),
    (Role.PROVIDER, State.OFFERED): Text("to answer our offer", "答复我方报价"),
    (Role.PROVIDER, State.ACCEPTED): Text("to send the agreement", "发送合约"),
    (Role.PROVIDER, State.AGREED): Text("to verify and sign the agreement", "核验并签署合约"),
    (Role.PROVIDER, State.VERIFIED): Text("to finalize the agreement", "完成合约"),
}
"""What the step is, in the words of the side that looks."""


def standing(negotiation: Negotiation, unsent: Task | None, *, own_id: str, name: str) -> Standing:
    """Return where ``negotiation`` stands with the counterparty called ``name``; ``unsent`` is the first message not yet delivered."""
    if unsent is not None:
        what = f"{unsent.payload['content']['kind']}, {unsent.attempts}"
        last = unsent.last_error or "-"
        why = Text(f"not delivered yet ({what} attempts; last: {last})", f"消息尚未送达（{what} 次尝试；最近：{last}）")
        return Standing(negotiation, name, why)
    if negotiation.state not in TURNS:
        return Standing(negotiation, None, None)
    ours = TURNS[negotiation.state] is negotiation.role
    return Standing(negotiation, own_id if ours else name, WHY[negotiation.role, negotiation.state])
