"""Permits and Directives: the verbs of a permit's life, each one transaction with its evidence."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Denied, NotFound, Unidentified
from chengshu.kernel.ids import NewId
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.live import model, store
from chengshu.live.model import EVIDENCE, Act, Admission, PermitState, Restriction, Shift, Verb
from chengshu.live.ports import Evidence
from chengshu.live.store import StoredPermit, Transition
from chengshu.live.tokens import read_token, sign_token
from chengshu.methods.pilot.directive import Directive
from chengshu.methods.pilot.permit import Permit

_NEW_ID = Text("Publish under a new id that names this one as 'prev'.", "请以新的编号发布，并在 prev 中写明旧编号。")


class Permits:
    """The authority's desk: drafts, moves and shows permits, and admits vehicles under them."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        new_id: NewId,
        evidence: Evidence,
        signer: Signer,
        digests: Digests,
        notice: timedelta = timedelta(0),
    ) -> None:
        """``notice`` is how long before its start a permit must be published (MDS Policy 2.0.2 asks for 20 minutes)."""
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._evidence = evidence
        self._signer = signer
        self._digests = digests
        self._notice = notice

    def draft(self, document: Mapping[str, Any]) -> Permit:
        """Keep a permit's document as a draft; raise Invalid where it cannot be read, Conflict where its id is beyond drafting."""
        permit = Permit.parse(document)
        shown = self._digests.of(document)
        with self._database.write() as tx:
            kept = store.find_permit(tx, permit.permit_id)
            if kept is not None and kept.state is not PermitState.DRAFT:
                if kept.digest == shown:
                    return permit
                raise Conflict(
                    "permit.immutable",
                    f"expected the document that is {kept.state} under this permit id, got a changed one",
                    hint=_NEW_ID,
                    facts={"state": kept.state.value},
                )
            store.save_draft(tx, StoredPermit(permit.permit_id, PermitState.DRAFT, permit.issuer, document, shown, None))
        return permit

    def submit(self, permit_id: str, act: Act) -> PermitState:
        """Hand a draft in."""
        return self._moved(permit_id, Verb.SUBMIT, act)

    def approve(self, permit_id: str, act: Act) -> PermitState:
        """Approve what was handed in."""
        return self._moved(permit_id, Verb.APPROVE, act)

    def publish(self, permit_id: str, act: Act) -> PermitState | Refused:
        """Put an approved permit in force; its zones are immutable from now on.

        Raises Conflict when a zone id is already published with another geometry. Refused where notice is too short.
        """
        with self._database.write() as tx:
            kept = _ready(tx, permit_id, Verb.PUBLISH, act)
            permit = Permit.parse(kept.document)
            if self._notice and permit.valid_from < self._clock() + self._notice:
                return self._refused(tx, kept, Verb.PUBLISH, model.too_little_notice())
            for feature in kept.document["zones"]["features"]:
                _publish_zone(tx, feature, permit_id, shown=self._digests.of(feature["geometry"]))
            return self._move(tx, kept, Verb.PUBLISH, act)

    def restrict(self, permit_id: str, act: Act, restriction: Mapping[str, Any]) -> PermitState:
        """Tighten a permit in force (speed, fleet, zones, rain); see :class:`~chengshu.live.model.Restriction`."""
        parsed = Restriction.parse(restriction)
        with self._database.write() as tx:
            kept = _ready(tx, permit_id, Verb.RESTRICT, act)
            model.tightened(Permit.parse(kept.document), parsed)
            return self._move(tx, replace(kept, restriction=restriction), Verb.RESTRICT, act)

    def lift(self, permit_id: str, act: Act) -> PermitState:
        """Lift a restriction."""
        return self._moved(permit_id, Verb.LIFT, act)

    def suspend(self, permit_id: str, act: Act) -> PermitState:
        """Suspend a permit: from this transaction on it admits nobody, and tokens already out are refused."""
        return self._moved(permit_id, Verb.SUSPEND, act)

    def reinstate(self, permit_id: str, act: Act) -> PermitState | Refused:
        """Put a suspended permit back in force, unrestricted; refused where the evidence is the suspension's own."""
        with self._database.write() as tx:
            kept = _ready(tx, permit_id, Verb.REINSTATE, act)
            suspended = [move.act.evidence for move in store.transitions_of(tx, permit_id) if move.verb is Verb.SUSPEND]
            if act.evidence in suspended:
                return self._refused(tx, kept, Verb.REINSTATE, model.stale_evidence())
            return self._move(tx, kept, Verb.REINSTATE, act)

    def terminate(self, permit_id: str, act: Act) -> PermitState:
        """End a suspended permit for good."""
        return self._moved(permit_id, Verb.TERMINATE, act)

    def expire(self, permit_id: str, act: Act) -> PermitState:
        """Mark a permit whose validity has passed; raise Conflict where it has not."""
        with self._database.write() as tx:
            kept = _ready(tx, permit_id, Verb.EXPIRE, act)
            if self._clock() < Permit.parse(kept.document).valid_to:
                raise Conflict(
                    "permit.still-valid",
                    "expected a permit whose validity has passed, got one that is still valid",
                    hint=Text("Suspend and terminate it to end it early.", "如需提前结束，请先暂停再终止。"),
                )
            return self._move(tx, kept, Verb.EXPIRE, act)

    def effective(self, permit_id: str) -> tuple[PermitState, Permit]:
        """Return a permit's state and the permit as it applies now, restriction included."""
        with self._database.read() as tx:
            kept = _kept(tx, permit_id)
        return kept.state, _effective(kept)

    def document_digest(self, permit_id: str) -> str:
        """Return the digest of a permit's document as it was drafted."""
        with self._database.read() as tx:
            return _kept(tx, permit_id).digest

    def history(self, permit_id: str) -> list[Transition]:
        """Return every transition of a permit, oldest first."""
        with self._database.read() as tx:
            _kept(tx, permit_id)
            return store.transitions_of(tx, permit_id)

    def admit(self, shift: Shift) -> str | Refused:
        """Return a signed token for one vehicle's shift, valid until the open window ends, or why not."""
        with self._database.write() as tx:
            kept = _kept(tx, shift.permit_id)
            decided = model.admit(_effective(kept), kept.state, shift, digest=kept.digest, now=self._clock(), token_id=self._new_id())
            if isinstance(decided, Refused):
                self._evidence.append(tx, "token.refused", shift.permit_id, {"vehicle": shift.veh_pid, "rule": decided.rule})
                return decided
            store.add_admission(tx, decided.token_id, permit_id=shift.permit_id, veh_pid=shift.veh_pid)
            self._evidence.append(tx, "token.issued", shift.permit_id, {"token": decided.token_id, "expires": iso(decided.expires)})
            return sign_token(decided, self._signer)

    def present(self, token: str, *, veh_pid: str, sw_version: str, shift_id: str) -> Admission | Refused:
        """Check a token that a vehicle presents for a shift; the first shift that presents it owns it.

        Raises Unidentified for a token that this authority did not sign. Refused when it is expired, early, of another vehicle
        or software, used by another shift, or the permit is not in force.
        """
        admission = read_token(token, self._signer.public_key)
        with self._database.write() as tx:
            issued, used_by = store.user_of(tx, admission.token_id)
            if not issued:
                raise Unidentified(
                    "token.unknown",
                    "admission token: expected one that this authority issued, got one it has no record of",
                    hint=Text("Ask the issuer of the permit for a token.", "请向许可发放机关申请准入令牌。"),
                )
            kept = _kept(tx, admission.shift.permit_id)
            refusal = (
                model.in_force(kept.state)
                or model.check_admission(admission, veh_pid=veh_pid, sw_version=sw_version, at=self._clock())
                or (model.replayed() if used_by not in {None, shift_id} else None)
            )
            if refusal is not None:
                self._evidence.append(tx, "token.refused", kept.permit_id, {"token": admission.token_id, "rule": refusal.rule})
                return refusal
            if used_by is None:
                store.save_user(tx, admission.token_id, shift_id)
                self._evidence.append(tx, "token.presented", kept.permit_id, {"token": admission.token_id, "shift": shift_id})
        return admission

    def _refused(self, tx: Connection, kept: StoredPermit, verb: Verb, refusal: Refused) -> Refused:
        self._evidence.append(tx, "permit.refused", kept.permit_id, {"verb": verb.value, "rule": refusal.rule, "document": kept.digest})
        return refusal

    def _moved(self, permit_id: str, verb: Verb, act: Act) -> PermitState:
        with self._database.write() as tx:
            return self._move(tx, _ready(tx, permit_id, verb, act), verb, act)

    def _move(self, tx: Connection, kept: StoredPermit, verb: Verb, act: Act) -> PermitState:
        after = model.next_state(kept.state, verb)
        at = iso(self._clock())
        body = {
            "verb": verb.value,
            "before": kept.state.value,
            "after": after.value,
            "rule": act.rule,
            "evidence": act.evidence,
            "actor": act.actor,
            "reason": act.reason,
            "document": kept.digest,
            "at": at,
        }
        restriction = kept.restriction if after is PermitState.RESTRICTED else None
        if restriction is not None:
            body["restriction"] = self._digests.of(restriction)
        entry = self._evidence.append(tx, EVIDENCE[verb], kept.permit_id, body)
        store.save_state(tx, kept.permit_id, state=after, restriction=restriction)
        store.add_transition(tx, kept.permit_id, Transition(verb, kept.state, after, act, at, entry))
        return after


class Directives:
    """Temporary directives: issued, lifted, and listed for the evaluation of R11."""

    def __init__(self, database: Database, *, clock: Clock, evidence: Evidence, digests: Digests) -> None:
        self._database = database
        self._clock = clock
        self._evidence = evidence
        self._digests = digests

    def issue(self, document: Mapping[str, Any], act: Act) -> Directive:
        """Put a directive in force; raise Invalid where it cannot be read, Conflict where its id has another document."""
        directive = Directive.parse(document)
        shown = self._digests.of(document)
        with self._database.write() as tx:
            kept = store.find_directive(tx, directive.directive_id)
            if kept is not None and kept[0] != shown:
                raise Conflict("directive.immutable", "expected the document issued under this id, got a changed one", hint=_NEW_ID)
            if kept is None:
                store.add_directive(tx, directive.directive_id, document=document, digest=shown, issued_by=act.actor)
                self._evidence.append(tx, "directive.issued", directive.directive_id, _body(act) | {"document": shown})
        return directive

    def lift(self, directive_id: str, act: Act) -> None:
        """Lift a directive from now on; raise NotFound, Denied to others than its issuer, Conflict when already lifted."""
        with self._database.write() as tx:
            kept = store.find_directive(tx, directive_id)
            if kept is None:
                raise _missing("directive")
            if kept[1] != act.actor:
                hint = Text("Ask the authority that issued it.", "请向发布机关提出。")
                raise Denied("directive.not-the-issuer", "expected the directive's issuer, got another party", hint=hint)
            if kept[2] is not None:
                hint = Text("Nothing is left to do.", "无需再操作。")
                raise Conflict("directive.lifted", "expected a directive in force, got one that was lifted", hint=hint)
            store.save_lifted(tx, directive_id, round(self._clock().timestamp() * 1000))
            self._evidence.append(tx, "directive.lifted", directive_id, _body(act))

    def known(self) -> tuple[Directive, ...]:
        """Return every directive ever issued, each ending where it was lifted, for :class:`PilotContext`."""
        with self._database.read() as tx:
            rows = store.all_directives(tx)
        return tuple(_until(Directive.parse(document), lifted_ms) for document, lifted_ms in rows)


def _until(directive: Directive, lifted_ms: int | None) -> Directive:
    ends = [moment for moment in (directive.to_ms, lifted_ms) if moment is not None]
    return replace(directive, to_ms=min(ends, default=None))


def _body(act: Act) -> dict[str, str]:
    return {"rule": act.rule, "evidence": act.evidence, "actor": act.actor, "reason": act.reason}


def _effective(kept: StoredPermit) -> Permit:
    permit = Permit.parse(kept.document)
    return permit if kept.restriction is None else model.tightened(permit, Restriction.parse(kept.restriction))


def _kept(tx: Connection, permit_id: str) -> StoredPermit:
    kept = store.find_permit(tx, permit_id)
    if kept is None:
        raise _missing("permit")
    return kept


def _ready(tx: Connection, permit_id: str, verb: Verb, act: Act) -> StoredPermit:
    """Return a permit that ``act``'s actor may move by ``verb`` in its present state."""
    kept = _kept(tx, permit_id)
    model.check_authority(kept.issuer, verb, act)
    model.next_state(kept.state, verb)
    return kept


def _missing(what: str) -> NotFound:
    return NotFound(f"{what}.unknown", f"expected a {what} of that id, got none", hint=Text("Check the id.", "请核对编号。"))


def _publish_zone(tx: Connection, feature: Mapping[str, Any], permit_id: str, *, shown: str) -> None:
    kept = store.zone_digest(tx, feature["id"])
    if kept is None:
        store.add_zone(tx, feature["id"], digest=shown, permit_id=permit_id)
    elif kept != shown:
        raise Conflict(
            "permit.zone-immutable",
            "expected the geometry that was published under this zone id, got a changed one",
            hint=_NEW_ID,
            facts={"zone": str(feature["id"])},
        )
