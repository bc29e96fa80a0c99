"""What the command line does with policies, duties and events, and how it shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from chengshu.cli import verbs
from chengshu.contract.duties import DutyStanding
from chengshu.contract.model import Agreement
from chengshu.identity.model import CLEAN_ROOM
from chengshu.kernel.clock import from_iso, iso, system_clock
from chengshu.kernel.errors import ChengshuError, Invalid, NotFound
from chengshu.kernel.text import Language, Text
from chengshu.node import Node
from chengshu.policy.evaluation import Report, evaluate
from chengshu.policy.model import Form, Parameters, Place, Policy, QueryForm, Use, UseState
from chengshu.policy.odrl import from_odrl
from chengshu.policy.trial import Trial, try_use, uses_of
from chengshu.policy.words import policy_words

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stated:
    """A use as somebody states it on the command line; what is not stated is None."""

    party: str | None = None
    purpose: str | None = None
    room: str | None = None
    method: str | None = None
    group: int | None = None
    at: str | None = None
    place: str | None = None
    sql: bool = False
    rows: bool = False
    parameters: str | None = None

    @property
    def is_any(self) -> bool:
        """Whether anything was stated at all."""
        return self != Stated()


@dataclass(frozen=True, slots=True)
class Source:
    """A policy and where it is from: a file, a product of this node, or an agreement."""

    kind: str
    policy: Policy
    agreement: Agreement | None = None


def source_of(node: Node | None, name: str) -> Source:
    """Return the policy that a path, a product's id or an agreement's id names; raises NotFound where it names none."""
    path = Path(name)
    if path.is_file():
        return Source("file", from_odrl(verbs.read_json(path)))
    if node is None:
        raise _no_source()
    with node.database.read() as tx:
        document = node.catalog.policy_of(tx, name)
    if document is not None:
        return Source("product", from_odrl(document))
    try:
        agreement = node.contracts.agreement(name)
    except NotFound as error:
        raise _no_source() from error
    return Source("agreement", agreement.policy, agreement)


def explain(node: Node | None, name: str, stated: Stated, *, language: Language) -> Document:
    """Return a policy in words, and where a use is stated the whole report on it; nothing is counted."""
    source = source_of(node, name)
    words = [{"of": of, "en": text.en, "zh": text.zh} for of, text in policy_words(source.policy)]
    found: Document = {"source": source.kind, "rules": words}
    if stated.is_any:
        report = _report(node, source, stated)
        refusal = report.refusal()
        found |= {
            "permitted": report.permitted,
            "refused": None if refusal is None else refusal.as_dict(language),
            "findings": report.as_rows(language),
        }
    return found


def attempt(node: Node, product: str, stated: Stated) -> list[Document]:
    """Return who could use a product, for what, by what means, from when until when, under its policy if it were agreed now."""
    source = source_of(node, product)
    names = {party.did: party.handle or party.name_en for party in node.identity.list()} | {node.identity.did: "me"}
    parties = [verbs.party_id(node, stated.party)] if stated.party else [did for did in names if did != node.identity.did]
    at = _moment(stated.at)
    rows: list[Document] = []
    for party in parties:
        state = _state(node, party=party, at=at)
        uses = _asked(node, source.policy, stated, party=party, at=at)
        rows += [_row(try_use(source.policy, use, state), names) for use in uses]
    return rows


def _asked(node: Node, policy: Policy, stated: Stated, *, party: str, at: datetime) -> list[Use]:
    rooms = [one.did for one in node.identity.list() if CLEAN_ROOM in one.roles]
    rooms += [node.identity.did] if node.settings.cleanroom.enabled else []
    chosen = (verbs.party_id(node, stated.room),) if stated.room else tuple(rooms)
    found = list(uses_of(policy, party=party, at=at, rooms=chosen))
    if stated.purpose is not None:
        found = list(dict.fromkeys(replace(use, purpose=stated.purpose) for use in found))
    given = _parameters(stated)
    return [replace(use, place=_place(node, stated, use.environment), parameters=given if use.method else None) for use in found]


def _row(trial: Trial, names: Mapping[str, str]) -> Document:
    use, refusal = trial.use, trial.report.refusal()
    means = "delivery" if use.delivers else "query" if use.query else f"method {use.method}"
    return {
        "party": names.get(use.recipient, use.recipient),
        "purpose": use.purpose,
        "means": means,
        "room": None if use.delivers or use.environment is None else names.get(use.environment, use.environment),
        "now": trial.report.permitted,
        "from": None if trial.since is None else iso(trial.since),
        "until": None if trial.until is None else iso(trial.until),
        "refused_by": None if refusal is None else refusal.rule,
    }


def _report(node: Node | None, source: Source, stated: Stated) -> Report:
    at = _moment(stated.at)
    party = _party(node, stated.party, source)
    environment = party if stated.rows else _party(node, stated.room, None) if stated.room else None
    use = Use(
        recipient=party,
        at=at,
        purpose=stated.purpose,
        environment=environment,
        method=stated.method,
        query=QueryForm.VETTED_SQL if stated.sql else None,
        output=Form.ROWS if stated.rows else Form.AGGREGATE if stated.sql or stated.method else None,
        minimum_group=stated.group,
        place=_place(node, stated, environment),
        parameters=_parameters(stated),
    )
    if node is not None and source.agreement is not None:
        with node.database.read() as tx:
            return node.contracts.report(tx, source.agreement, use)
    return evaluate(source.policy, use, UseState(assignee=party, uses=0, agreed_at=at))


def _state(node: Node, *, party: str, at: datetime) -> UseState:
    """What would be true of an agreement that this party made now: nothing used, nothing owed yet."""
    events = frozenset(str(one["name"]) for one in node.duties.events())
    return UseState(assignee=party, uses=0, agreed_at=at, events=events)


def _party(node: Node | None, name: str | None, source: Source | None) -> str:
    if name is None:
        if source is not None and source.agreement is not None:
            return source.agreement.consumer
        return node.identity.did if node is not None else "me"
    if node is None:
        return name
    try:
        return verbs.party_id(node, name)
    except ChengshuError:
        return name  # a party that this node does not know yet


def _place(node: Node | None, stated: Stated, environment: str | None) -> Place | None:
    if stated.place is not None:
        return Place(stated.place)
    known = {} if node is None else {one.party: one.at for one in node.settings.policy.places}
    return Place(known[environment]) if environment in known else None


def _parameters(stated: Stated) -> Parameters | None:
    return None if stated.parameters is None else Parameters.of(verbs.json_object(stated.parameters))


def _moment(text: str | None) -> datetime:
    if text is None:
        return system_clock()
    try:
        return from_iso(iso(from_iso(text)))
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "policy.at",
            "expected --at to be a time with an offset (RFC 3339), got another text",
            hint=Text("For example: --at 2026-06-01T08:00:00+08:00", "例如：--at 2026-06-01T08:00:00+08:00"),
        ) from error


def _no_source() -> NotFound:
    return NotFound(
        "policy.source",
        "expected a policy's file, a product of this node or an agreement, got another name",
        hint=Text(
            "List them with 'chengshu product list' and 'chengshu agreement list'.",
            "用 chengshu product list 与 chengshu agreement list 查看。",
        ),
    )


def duties(node: Node, agreement: str | None) -> list[Document]:
    """Return how every duty stands that is owed by now."""
    return [shown(one) for one in node.duties.standings(agreement)]


def shown(one: DutyStanding) -> Document:
    """Return a duty as JSON-ready values."""
    owed = one.owed
    return {
        "agreement": one.agreement,
        "duty": owed.duty,
        "occurrence": owed.occurrence,
        "action": owed.action.value,
        "state": one.state.value,
        "since": iso(owed.since),
        "due_at": None if owed.due_at is None else iso(owed.due_at),
        "fulfilled_at": None if owed.fulfilled_at is None else iso(owed.fulfilled_at),
        "ground": None if owed.ground is None else owed.ground.value,
        "words": one.words,
    }
