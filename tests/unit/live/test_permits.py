"""A permit's life: every move is allowed by the table, made by its issuer, reasoned, and in the evidence."""

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from permit_desk import DIGESTS, ID, ISSUER, NOON, Desk, act, published

from chengshu.kernel.errors import Conflict, Denied, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.live.model import TRANSITIONS, Act, PermitState, Restriction, Shift, Verb, next_state, tightened
from chengshu.methods.pilot.permit import Permit


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_permit_goes_from_draft_to_termination_and_every_move_is_kept_with_rule_evidence_actor_and_reason(desk: Desk) -> None:
    desk.active()
    assert desk.permits.restrict(ID, act(rule="R05"), {"max_kph": 40}) is PermitState.RESTRICTED
    assert desk.permits.suspend(ID, act(rule="R01", evidence="left")) is PermitState.SUSPENDED
    assert desk.permits.reinstate(ID, act(rule="assessment", evidence="mended")) is PermitState.ACTIVE
    assert desk.permits.suspend(ID, act(rule="R07")) is PermitState.SUSPENDED
    assert desk.permits.terminate(ID, act(rule="assessment")) is PermitState.TERMINATED
    history = desk.permits.history(ID)
    assert [move.after.value for move in history] == [
        "SUBMITTED", "APPROVED", "ACTIVE", "RESTRICTED", "SUSPENDED", "ACTIVE", "SUSPENDED", "TERMINATED",
    ]  # fmt: skip
    assert history[4].act == act(rule="R01", evidence="left")
    assert [move.entry for move in history] == list(range(8))
    kind, subject, body = desk.log.entries[4]
    assert (kind, subject, body["before"], body["rule"], body["evidence"]) == (
        "permit.suspended",
        ID,
        "RESTRICTED",
        "R01",
        DIGESTS.of("left"),
    )


@given(state=st.sampled_from(PermitState), verb=st.sampled_from(Verb))
def test_only_the_moves_of_the_table_are_possible(state: PermitState, verb: Verb) -> None:
    if (state, verb) in TRANSITIONS:
        assert next_state(state, verb) is TRANSITIONS[state, verb]
    else:
        with pytest.raises(Conflict) as left:
            next_state(state, verb)
        assert left.value.facts == {"state": state.value, "verb": verb.value}


def test_nothing_leads_out_of_termination_or_expiry() -> None:
    assert {before for before, _ in TRANSITIONS} == set(PermitState) - {PermitState.TERMINATED, PermitState.EXPIRED}


def test_only_the_issuer_moves_a_permit_and_a_refused_move_leaves_no_trace(desk: Desk) -> None:
    desk.active()
    before = len(desk.log.entries)
    with pytest.raises(Denied):
        desk.permits.suspend(ID, act(actor="重庆长安车联"))
    assert desk.permits.effective(ID)[0] is PermitState.ACTIVE
    assert len(desk.log.entries) == before


@pytest.mark.parametrize(
    "values",
    [
        ("", "R01", DIGESTS.of("a"), "why"),
        (ISSUER, "R16", DIGESTS.of("a"), "why"),
        (ISSUER, "R01", "sha256:1", "why"),
        (ISSUER, "R01", DIGESTS.of("a"), " "),
    ],
)
def test_a_move_without_actor_rule_evidence_or_reason_is_invalid(values: tuple[str, str, str, str]) -> None:
    with pytest.raises(Invalid):
        Act(*values)


def test_reinstatement_needs_evidence_that_the_suspension_did_not_rest_on(desk: Desk) -> None:
    desk.active()
    desk.permits.suspend(ID, act(evidence="left"))
    refused = desk.permits.reinstate(ID, act(evidence="left"))
    assert isinstance(refused, Refused)
    assert refused.rule == "evidence-not-new"
    assert desk.permits.effective(ID)[0] is PermitState.SUSPENDED


def test_a_published_document_cannot_change_under_its_id(desk: Desk) -> None:
    desk.active()
    assert desk.permits.draft(published()).permit_id == ID
    with pytest.raises(Conflict) as left:
        desk.permits.draft(published() | {"fleet_cap": 1000})
    assert left.value.code == "permit.immutable"
    assert "'prev'" in left.value.hint.en


def test_a_published_zone_cannot_change_under_its_id_but_a_new_id_that_names_it_may(desk: Desk) -> None:
    desk.active()
    changed = copy.deepcopy(published()) | {"id": "second", "prev": ID}
    ring = changed["zones"]["features"][0]["geometry"]["coordinates"][0]
    ring[1][0] += 0.0001
    desk.permits.draft(changed)
    desk.permits.submit("second", act())
    desk.permits.approve("second", act())
    with pytest.raises(Conflict) as left:
        desk.permits.publish("second", act())
    assert left.value.code == "permit.zone-immutable"
    assert desk.permits.effective("second")[0] is PermitState.APPROVED
    third = copy.deepcopy(changed) | {"id": "third"}
    third["zones"]["features"][0] |= {"id": "cq-inner-ring-2", "properties": {"prev": "cq-inner-ring"}}
    assert desk.active(third).zones[0].prev == "cq-inner-ring"


def test_a_permit_that_starts_before_its_notice_has_run_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, notice=timedelta(minutes=20))
    permit = desk.permits.draft(published() | {"valid": {"from": "2026-03-06T04:19:00Z", "to": "2027-01-01T00:00:00Z"}})
    desk.permits.submit(permit.permit_id, act())
    desk.permits.approve(permit.permit_id, act())
    refused = desk.permits.publish(permit.permit_id, act())
    assert isinstance(refused, Refused)
    assert refused.rule == "notice-too-short"
    desk.now = NOON - timedelta(minutes=1)
    assert desk.permits.publish(permit.permit_id, act()) is PermitState.ACTIVE


def test_a_restriction_only_ever_tightens_and_is_gone_when_lifted(desk: Desk) -> None:
    desk.active()
    desk.permits.restrict(ID, act(), {"max_kph": 40, "fleet_cap": 3, "closed_zones": ["cq-yudu"], "max_rain_mm_h": 9})
    state, permit = desk.permits.effective(ID)
    assert state is PermitState.RESTRICTED
    assert (permit.default_kph, {road.max_kph for road in permit.roads}, permit.fleet_cap) == (40.0, {40.0}, 3)
    assert [zone.zone_id for zone in permit.zones] == ["cq-inner-ring", "cq-new-inner-ring"]
    assert permit.odd.max_rain_mm_h == 2.5
    desk.permits.lift(ID, act())
    assert desk.permits.effective(ID) == (PermitState.ACTIVE, Permit.parse(published()))


def test_a_restriction_that_closes_every_zone_or_an_unknown_one_is_refused() -> None:
    permit = Permit.parse(published())
    for closed in ([zone.zone_id for zone in permit.zones], ["nowhere"]):
        with pytest.raises(Conflict):
            tightened(permit, Restriction.parse({"closed_zones": closed}))


def test_a_permit_expires_only_after_its_validity(desk: Desk) -> None:
    desk.active()
    with pytest.raises(Conflict):
        desk.permits.expire(ID, act(rule="expiry"))
    desk.now = datetime(2027, 12, 15, tzinfo=UTC)
    assert desk.permits.expire(ID, act(rule="expiry")) is PermitState.EXPIRED


def test_a_permit_that_does_not_exist_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.permits.submit("none", act())
    with pytest.raises(NotFound):
        desk.permits.admit(Shift("none", "v", "t", "1", "o"))


def test_a_directive_is_issued_once_lifted_by_its_issuer_and_ends_then(desk: Desk) -> None:
    document = {
        "id": "d1",
        "crs": "WGS84",
        "bbox": [106.3, 29.4, 106.7, 29.7],
        "area": {"type": "Polygon", "coordinates": [[[106.4, 29.5], [106.5, 29.5], [106.5, 29.6], [106.4, 29.5]]]},
        "from": "2026-03-06T03:00:00Z",
    }
    desk.directives.issue(document, act(rule="R11"))
    desk.directives.issue(document, act(rule="R11"))
    assert [directive.to_ms for directive in desk.directives.known()] == [None]
    with pytest.raises(Conflict):
        desk.directives.issue(document | {"to": "2026-03-07T00:00:00Z"}, act(rule="R11"))
    with pytest.raises(Denied):
        desk.directives.lift("d1", act(actor="someone"))
    with pytest.raises(NotFound):
        desk.directives.lift("d2", act())
    desk.directives.lift("d1", act())
    assert [directive.to_ms for directive in desk.directives.known()] == [round(NOON.timestamp() * 1000)]
    with pytest.raises(Conflict):
        desk.directives.lift("d1", act())
    assert [kind for kind, _, _ in desk.log.entries] == ["directive.issued", "directive.lifted"]
