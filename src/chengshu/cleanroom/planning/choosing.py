"""Which plans there are for a question, which of them an owner's policy is against, and which of the rest is the cheapest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chengshu.cleanroom.extents import under, unfit
from chengshu.cleanroom.leave import OWN, query_use
from chengshu.cleanroom.model import Job, JobInput, Privacy, ProductTerms, Schema, SqlQuestion
from chengshu.cleanroom.planning.budgets import USES, Budget
from chengshu.cleanroom.planning.model import Dropped, Plan
from chengshu.cleanroom.planning.placements import PLACEMENTS, plan_of
from chengshu.cleanroom.planning.placements.sums import SUMS
from chengshu.cleanroom.planning.sources import Held, Source
from chengshu.cleanroom.planning.statement import Document, statement_by
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.schemas import privacy_of
from chengshu.cleanroom.secure_aggregation.fitting import misfit
from chengshu.cleanroom.vetting.vetter import Parsed, vet
from chengshu.cleanroom.vetting.vetter import judge as judge_parsed
from chengshu.contract.model import Agreement
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Invalid
from chengshu.kernel.ids import NewId
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.evaluation import Report
from chengshu.policy.model import Use

Judge = Callable[[Agreement, Use], Report]
"""Says what an agreement's policy makes of a use."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: in whose name, for what, over which sources, where a room may be, and when; ``parsed`` is the text, read once."""

    asker: str
    sql: str
    parsed: Parsed
    purpose: str
    sources: Sequence[Source]
    rooms: Sequence[str]
    only: str | None
    """The only node at which the asker wants it computed; None: wherever it is allowed."""
    at: datetime


@dataclass(frozen=True, slots=True)
class OwnersTerms:
    """What one owner's agreement says to the question at one place: the rules that it passed, and the budgets before it."""

    part: JobInput
    holder_name: str
    passed: tuple[str, ...]
    budgets: tuple[Budget, ...]
    choices: int
    """How many agreements in force there were to choose from; 0 for one's own product."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to do it that every owner allows: the job as it would be signed, its plan, its terms by owner and its statement."""

    job: Job
    plan: Plan
    terms: tuple[OwnersTerms, ...]
    statement: Document
    engine: str | None = None
    """What this node says of its engine, where it is the place; another node's is not known before its receipt."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Every plan that is allowed, the cheapest first, and every other with the rule against it."""

    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class _Against:
    """Why an agreement does not allow it, and how many of its rules are against it."""

    refusal: Refused
    rules: int


_EVERY_RULE = 1000


def choose(question: Question, *, judge: Judge, digests: Digests, new_id: NewId) -> Choice | Refused:
    """Return the plans for a question, or the refusal: of the vetting, or by the rule of an owner where no plan is allowed."""
    candidates: list[Candidate] = []
    dropped: list[Dropped] = []
    vetted: dict[tuple[tuple[Schema, int, Privacy | None], ...], VettedQuery | Refused] = {}
    for placement, place in _places(question):
        terms = _terms_at(question, place, placement=placement, judge=judge)
        if isinstance(terms, Dropped):
            dropped.append(terms)
            continue
        named = placement if placement == SUMS.name else None
        parts = tuple(one.part for one in terms)
        job = Job(new_id(), question.asker, place, question.purpose, SqlQuestion(question.sql), parts, placement=named)
        known = job.terms({})
        key = tuple((one.schema, one.smallest_group, one.privacy) for one in job.inputs)
        if key not in vetted:
            vetted[key] = vet(question.sql, known) if vetted else judge_parsed(question.parsed, known)
        verdict = vetted[key]
        if isinstance(verdict, Refused):
            return verdict
        if misfit(job, verdict) is not None:
            continue
        candidates.append(_candidate(job, verdict, known, terms=terms, digests=digests))
    if not candidates:
        return _nearest(dropped) if dropped else _nowhere()
    candidates.sort(key=lambda one: one.plan.cost)
    return Choice(tuple(candidates), tuple(dropped))


def _places(question: Question) -> list[tuple[str, str]]:
    """Every placement with every node at which it could compute; a node that could do it in two is named in the first.

    Beside these, for rows of several owners under one another, the rooms that could add up masked sums.
    """
    holders = [one.holder for one in question.sources]
    found: dict[str, str] = {}
    for placement in PLACEMENTS:
        for place in placement.places(question.asker, holders=holders, rooms=question.rooms):
            if question.only in {None, place}:
                found.setdefault(place, placement.name)
    summed = SUMS.places(question.asker, holders=holders, rooms=question.rooms) if question.parsed.unites else ()
    return [(name, place) for place, name in found.items()] + [(SUMS.name, one) for one in summed if question.only in {None, one}]


def _candidate(
    job: Job, vetted: VettedQuery, known: dict[str, ProductTerms], *, terms: tuple[OwnersTerms, ...], digests: Digests
) -> Candidate:
    plan = plan_of(job, vetted)
    statement = statement_by(plan, job, vetted, known)
    return Candidate(replace(job, leakage=digests.of(statement)), plan, terms, statement)


def _terms_at(question: Question, place: str, *, placement: str, judge: Judge) -> tuple[OwnersTerms, ...] | Dropped:
    """What every owner says to the question at one place; the first that is against it drops the plan."""
    found: list[OwnersTerms] = []
    for source in question.sources:
        where = source.holder if placement == SUMS.name else place  # there each owner's rows are used at its own node
        terms = _own(source, question) if source.holder == question.asker else _agreed(question, source, place=where, judge=judge)
        if isinstance(terms, _Against):
            why, product = terms.refusal, source.schema.product
            about = {"owner": source.holder, "product": product, "place": place}
            message = f"{product}, held by {source.holder_name}: {why.message}"
            refusal = Refused(why.rule, message, why.would_pass, {**why.facts, **about})
            return Dropped(placement, place, source.holder, product, refusal, terms.rules)
        found.append(terms)
    return tuple(found)


def _own(source: Source, question: Question) -> OwnersTerms:
    part = JobInput(source.schema, question.asker, OWN, source.id)
    return OwnersTerms(part, source.holder_name, (), (), 0)


def _agreed(question: Question, source: Source, *, place: str, judge: Judge) -> OwnersTerms | _Against:
    """The first agreement that allows it, those with the most left before the others; or the refusal that comes nearest to a yes."""
    refusals: list[_Against] = []
    for held in _in_turn(source.held):
        verdict = _judged(question, source, held, place=place, judge=judge)
        if isinstance(verdict, OwnersTerms):
            return verdict
        refusals.append(verdict)
    return min(refusals, key=lambda one: one.rules)


def _judged(question: Question, source: Source, held: Held, *, place: str, judge: Judge) -> OwnersTerms | _Against:
    try:
        policy = held.agreement.policy  # read from its document each time
        smallest = max(source.schema.minimum_group, policy.least_group)
        noise = privacy_of(policy)
        use = query_use(question.asker, question.at, purpose=question.purpose, room=place, smallest_group=smallest, noise=noise)
        report = judge(held.agreement, use)
    except Invalid as error:  # a policy of a form that this node does not understand allows nothing
        return _Against(Refused("policy-not-understood", error.message, error.hint), _EVERY_RULE)
    refusal = report.refusal() or next((found for one in held.budgets if (found := one.refusal()) is not None), None)
    if refusal is not None:
        return _Against(refusal, max(sum(not one.satisfied for one in report.findings), 1))
    try:
        left = under(source.schema, policy.extent)
    except Invalid as error:  # the product was published again since, in a form that the agreement does not fit
        return _Against(unfit(error), _EVERY_RULE)
    part = JobInput(left, source.holder, held.agreement.id, source.id, policy.least_group, noise)
    return OwnersTerms(part, source.holder_name, tuple(one.rule for one in report.findings), held.budgets, len(source.held))


def _in_turn(held: Sequence[Held]) -> Sequence[Held]:
    """The agreements in the order in which they are tried; the usual one alone is not read for it."""
    return held if len(held) < 2 else [one for _, one in sorted(enumerate(held), key=_preference)]


def _preference(numbered: tuple[int, Held]) -> tuple[int, int, int, int]:
    """About the whole product first, then without a limit of uses, then with the most left, then the newest."""
    number, held = numbered
    left = [int(one.left) for one in held.budgets if one.name == USES and one.left is not None]
    return (_narrowness(held.agreement), 1 if left else 0, -min(left, default=0), -number)


def _narrowness(agreement: Agreement) -> int:
    """In how many ways an agreement is about less than its product; one that cannot be read is refused as such later."""
    try:
        extent = agreement.policy.extent
    except Invalid:
        return 0
    return sum(one is not None for one in (extent.rows, extent.columns, extent.shown))


def _nearest(dropped: Sequence[Dropped]) -> Refused:
    """The refusal that a person can do the most with: of the plan that the fewest rules are against."""
    return min(dropped, key=lambda one: one.against).refusal


def _nowhere() -> Refused:
    return Refused(
        "no-room",
        "expected a clean room that this node knows, got none",
        Text("Add one with 'chengshu peer add', or name it with --room.", "请用 chengshu peer add 添加净室，或用 --room 指定。"),
    )
