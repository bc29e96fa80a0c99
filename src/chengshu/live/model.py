"""What is true of a permit's life: its states, who may move it, what a restriction tightens, whom it admits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from chengshu.kernel.errors import Conflict, Denied, Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.methods.pilot.permit import RULE_IDS, Permit, permits_vehicle
from chengshu.methods.pilot.reading import Node
from chengshu.methods.pilot.windows import intervals

_DIGEST = re.compile(r"(?:sha256|sm3):[0-9a-f]{64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GROUNDS = (*RULE_IDS, "application", "admission", "assessment", "expiry")
"""Why a permit moves: a rule of the table, or a stage of the admission pilot (申报, 准入, 评估调整) or its end."""


class PermitState(StrEnum):
    """Where a permit stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    ACTIVE = "ACTIVE"
    RESTRICTED = "RESTRICTED"
    SUSPENDED = "SUSPENDED"
    TERMINATED = "TERMINATED"
    EXPIRED = "EXPIRED"


class Verb(StrEnum):
    """What moves a permit."""

    SUBMIT = "submit"
    APPROVE = "approve"
    PUBLISH = "publish"
    RESTRICT = "restrict"
    LIFT = "lift"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    TERMINATE = "terminate"
    EXPIRE = "expire"


EVIDENCE = {
    Verb.SUBMIT: "permit.submitted",
    Verb.APPROVE: "permit.approved",
    Verb.PUBLISH: "permit.published",
    Verb.RESTRICT: "permit.restricted",
    Verb.LIFT: "permit.lifted",
    Verb.SUSPEND: "permit.suspended",
    Verb.REINSTATE: "permit.reinstated",
    Verb.TERMINATE: "permit.terminated",
    Verb.EXPIRE: "permit.expired",
}
"""The kind of log entry that each move leaves."""

_S, _V = PermitState, Verb
TRANSITIONS: Mapping[tuple[PermitState, Verb], PermitState] = {
    (_S.DRAFT, _V.SUBMIT): _S.SUBMITTED,
    (_S.SUBMITTED, _V.APPROVE): _S.APPROVED,
    (_S.APPROVED, _V.PUBLISH): _S.ACTIVE,
    (_S.ACTIVE, _V.RESTRICT): _S.RESTRICTED,
    (_S.RESTRICTED, _V.LIFT): _S.ACTIVE,
    (_S.ACTIVE, _V.SUSPEND): _S.SUSPENDED,
    (_S.RESTRICTED, _V.SUSPEND): _S.SUSPENDED,
    (_S.SUSPENDED, _V.REINSTATE): _S.ACTIVE,
    (_S.SUSPENDED, _V.TERMINATE): _S.TERMINATED,
    (_S.APPROVED, _V.EXPIRE): _S.EXPIRED,
    (_S.ACTIVE, _V.EXPIRE): _S.EXPIRED,
    (_S.RESTRICTED, _V.EXPIRE): _S.EXPIRED,
    (_S.SUSPENDED, _V.EXPIRE): _S.EXPIRED,
}
"""四部门《关于开展智能网联汽车准入和上路通行试点工作的通知》: 申报 → 准入 → 上路通行 → 暂停与退出."""

IN_FORCE = frozenset({PermitState.ACTIVE, PermitState.RESTRICTED})


@dataclass(frozen=True, slots=True)
class Act:
    """Who moves a permit and why: a ground of :data:`GROUNDS`, the digest of the evidence, and a reason in words.

    Raises Invalid where one of them is missing or is not what it should be.
    """

    actor: str
    rule: str
    evidence: str
    reason: str

    def __post_init__(self) -> None:
        wrong = [name for name in ("actor", "reason") if not getattr(self, name).strip()]
        if self.rule not in GROUNDS:
            wrong.append("rule")
        if not _DIGEST.fullmatch(self.evidence):
            wrong.append("evidence")
        if wrong:
            raise Invalid(
                "permit.act",
                f"expected an actor, a rule id or ground, a digest of the evidence and a reason, got no usable {', '.join(wrong)}",
                hint=Text(
                    "Name who decides, by which rule, on what evidence and why.", "请写明由谁、依据哪条规则、凭何证据、因何理由决定。"
                ),
            )


@dataclass(frozen=True, slots=True)
class Restriction:
    """What RESTRICT tightens; None or empty = left as it is."""

    max_kph: float | None
    fleet_cap: int | None
    closed_zones: frozenset[str]
    max_rain_mm_h: float | None

    @classmethod
    def parse(cls, document: object) -> "Restriction":
        """Read a restriction (max_kph, fleet_cap, closed_zones, max_rain_mm_h); raise Invalid with the path."""
        node = Node.of(document, "$")
        node.only({"max_kph", "fleet_cap", "closed_zones", "max_rain_mm_h"})
        return cls(
            max_kph=node.maybe("max_kph", node.number),
            fleet_cap=node.maybe("fleet_cap", lambda key: node.whole(key, least=1)),
            closed_zones=frozenset(node.maybe("closed_zones", node.words) or ()),
            max_rain_mm_h=node.maybe("max_rain_mm_h", lambda key: node.number(key, above=-1e-9)),
        )


def tightened(permit: Permit, restriction: Restriction) -> Permit:
    """Return the permit as restricted: every limit the lower of the two; raise Conflict when no zone would be left."""
    unknown = restriction.closed_zones - {zone.zone_id for zone in permit.zones}
    zones = tuple(zone for zone in permit.zones if zone.zone_id not in restriction.closed_zones)
    if unknown or not zones:
        raise Conflict(
            "permit.restriction",
            f"expected to close some of the permit's zones, got {'all of them' if not zones else 'zones it does not have'}",
            hint=Text("Suspend the permit to close everything.", "如需全部关闭，请暂停许可。"),
        )
    kph = restriction.max_kph
    return replace(
        permit,
        zones=zones,
        default_kph=_lower(permit.default_kph, kph),
        roads=tuple(replace(road, max_kph=_lower(road.max_kph, kph)) for road in permit.roads),
        fleet_cap=min((cap for cap in (permit.fleet_cap, restriction.fleet_cap) if cap is not None), default=None),
        odd=replace(permit.odd, max_rain_mm_h=_lower_of(permit.odd.max_rain_mm_h, restriction.max_rain_mm_h)),
    )


def _lower(limit: float, tighter: float | None) -> float:
    return limit if tighter is None else min(limit, tighter)


def _lower_of(limit: float | None, tighter: float | None) -> float | None:
    return tighter if limit is None else _lower(limit, tighter)


def next_state(state: PermitState, verb: Verb) -> PermitState:
    """Return the state that ``verb`` leads to; raise Conflict with what is possible from here."""
    after = TRANSITIONS.get((state, verb))
    if after is None:
        possible = [other.value for (before, other) in TRANSITIONS if before == state]
        raise Conflict(
            "permit.transition",
            f"expected one of {', '.join(possible) or 'nothing more'} for a permit in {state}, got {verb}",
            hint=Text("Look at the permit's present state first.", "请先查看许可的当前状态。"),
            facts={"state": state.value, "verb": verb.value},
        )
    return after


def check_authority(issuer: str, verb: Verb, act: Act) -> None:
    """Raise Denied when anyone but the issuer does what only the issuer may (everything but submitting)."""
    if verb is not Verb.SUBMIT and act.actor != issuer:
        raise Denied(
            "permit.not-the-issuer",
            f"expected the permit's issuer to {verb}, got another party",
            hint=Text("Ask the authority that issues the permit.", "请向许可的发放机关提出。"),
        )


@dataclass(frozen=True, slots=True)
class Shift:
    """One vehicle that asks to drive under a permit: what it is, what it runs, and for whom."""

    permit_id: str
    veh_pid: str
    vehicle_type: str
    sw_version: str
    operator: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admission token says: this vehicle with this software, under this permit, from ``not_before`` until ``expires``."""

    token_id: str
    issuer: str
    shift: Shift
    permit_digest: str
    not_before: datetime
    expires: datetime

    def claims(self) -> dict[str, Any]:
        """Return the token's claims (RFC 7519 names where it has them; times in whole seconds)."""
        return {
            "iss": self.issuer,
            "sub": self.shift.veh_pid,
            "jti": self.token_id,
            "nbf": int(self.not_before.timestamp()),
            "exp": int(self.expires.timestamp()),
            "permit": self.shift.permit_id,
            "digest": self.permit_digest,
            "type": self.shift.vehicle_type,
            "sw": self.shift.sw_version,
            "operator": self.shift.operator,
        }


def admit(permit: Permit, state: PermitState, shift: Shift, *, digest: str, now: datetime, token_id: str) -> Admission | Refused:
    """Decide on one vehicle's shift: admitted until the open window ends, or refused with the rule and what would pass.

    ``digest`` is that of the permit's document.
    """
    refusal = in_force(state) or _who(permit, shift)
    if refusal is not None:
        return refusal
    now_ms = (now - _EPOCH) // timedelta(milliseconds=1)
    open_now = intervals(permit.windows, permit.holidays, from_ms=now_ms, to_ms=now_ms)
    if not (len(open_now) and permit.valid_from <= now < permit.valid_to):
        return _refused("R02", "the permit's windows are closed now", "Ask again when a window is open.", "请在许可时段内申请。")
    expires = min(_EPOCH + timedelta(milliseconds=int(open_now[0, 1])), permit.valid_to)
    return Admission(token_id, permit.issuer, shift, digest, now.replace(microsecond=0), expires)


def in_force(state: PermitState) -> Refused | None:
    """Return why a permit in ``state`` admits nobody, or None where it does."""
    if state in IN_FORCE:
        return None
    return _refused("permit-not-in-force", f"the permit is {state}", "Ask when the permit is active.", "请在许可生效后申请。")


def _who(permit: Permit, shift: Shift) -> Refused | None:
    if shift.operator not in permit.operators:
        return _refused("R04", "the operator is not named in the permit", "An operator that the permit names.", "许可所列的使用主体。")
    if not permits_vehicle(permit, type_code=shift.vehicle_type, pid=shift.veh_pid, version=shift.sw_version):
        return _refused(
            "R03",
            "the vehicle type, vehicle or software version is not in the permit",
            "A vehicle and a software version that the permit lists.",
            "许可所列的车辆与软件版本。",
        )
    return None


def check_admission(admission: Admission, *, veh_pid: str, sw_version: str, at: datetime) -> Refused | None:
    """Return why a genuine token does not admit this vehicle now, or None where it does."""
    renew = ("Ask for a new token.", "请申请新的准入令牌。")
    if at >= admission.expires:
        return _refused("token-expired", "the token's window has ended", *renew)
    if at < admission.not_before:
        return _refused("token-not-yet-valid", "the token's window has not begun", "Wait for the window.", "请等待时段开始。")
    if veh_pid != admission.shift.veh_pid:
        return _refused("token-of-another-vehicle", "the token names another vehicle", *renew)
    if sw_version != admission.shift.sw_version:
        return _refused("token-of-another-software", "the token names another software version", *renew)
    return None


def _refused(rule: str, message: str, would_pass_en: str, would_pass_zh: str) -> Refused:
    return Refused(rule, message, Text(would_pass_en, would_pass_zh))


def replayed() -> Refused:
    """Return the refusal of a token that another shift has used."""
    return _refused("token-replayed", "the token has been used by another shift", "Ask for a token of this shift.", "请为本班次申请令牌。")


def stale_evidence() -> Refused:
    """Return the refusal of a reinstatement that rests on the suspension's own evidence."""
    return _refused(
        "evidence-not-new",
        "reinstatement names the evidence of the suspension",
        "Evidence that the cause was removed.",
        "证明原因已消除的新证据。",
    )


def too_little_notice() -> Refused:
    """Return the refusal of a permit that would start before the public could know of it."""
    return _refused(
        "notice-too-short",
        "the permit starts earlier than the notice period after publication",
        "A later start, or an earlier publication.",
        "推迟生效时间，或提前公布。",
    )
