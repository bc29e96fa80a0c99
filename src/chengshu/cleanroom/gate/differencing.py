"""The guard against subtracting answers: a question is held against what the same consumer asked before of the same products.

Two answers whose conditions differ tell, subtracted, about the rows that only one of them is about. A group is left out where those rows
may belong to fewer units than a group must have. The verdict is no oracle of its own: it is the gate's verdict on the difference, which the
asker may ask for as a question, and none, one and too few units get the same. Only forms are looked at to say that there is no difference.

What is compared: questions with the same FROM and JOIN (sub-queries of plain rows aside), two at a time, and where they group differently
every group of the one with every group of the other that it shares rows with; a UNION ALL part by part, as the questions that it puts to
each product, since who knows the other parts subtracts them. Several answers that are combined,
and the same rows reached by other joins, are not found; against those only a privacy budget helps.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from sqlalchemy import Column, Connection, Index, Integer, String, Table, UniqueConstraint, select

from chengshu.cleanroom import store
from chengshu.cleanroom.conditions.cells import Region, regions_of, within
from chengshu.cleanroom.engines.crossings import crossings_sql
from chengshu.cleanroom.engines.engine import Engine, Spill, Stopped, never
from chengshu.cleanroom.engines.proof import unnumbered
from chengshu.cleanroom.engines.rendering import differences_sql
from chengshu.cleanroom.model import Column as DataColumn
from chengshu.cleanroom.model import Job, SqlQuestion
from chengshu.cleanroom.relation.implied import imply
from chengshu.cleanroom.relation.model import (
    ROW_NUMBER,
    AllOf,
    AnyOf,
    Body,
    Comparison,
    Condition,
    Crossed,
    Crossings,
    Differences,
    Finish,
    Input,
    Missing,
    Not,
    Operand,
    Ref,
    Scalar,
    Summary,
    VettedQuery,
    Within,
    products,
)
from chengshu.cleanroom.relation.model import Compare as Comparing
from chengshu.cleanroom.relation.model import Table as DataTable
from chengshu.cleanroom.relation.normal import meanings, normal, normal_body, operands, said_by
from chengshu.cleanroom.unions.separating import separated
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.database import Database, add_if_absent, metadata
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

AT_ONCE = 16
"""Earlier questions that are compared in one statement."""

asked_questions = Table(
    "asked_questions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("job", String(64), nullable=False),
    Column("consumer", String(256), nullable=False),
    Column("sources", String(80), nullable=False),
    Column("about", String(80), nullable=False),
    UniqueConstraint("job", "sources"),
    Index("ix_asked_questions_consumer_sources", "consumer", "sources"),
)
"""What each consumer asked about which rows, in order: ``sources`` is the digest of FROM and JOIN, ``about`` of condition and groups.

A question over a UNION ALL is kept once for each part, as what it says about the rows of that part's product.
"""


_SHARE = 64
_LARGE_FROM = 200_000
"""From so many rows on, one unit in so many is looked at first."""
_Run = Callable[[VettedQuery], pa.Table]
_NOTHING_AFTER = Finish((), None, (), None, 0)


@dataclass(frozen=True, slots=True)
class About:
    """Which rows a question is about: sources without a condition, the condition, the groups, and the units that must be protected.

    ``conditions`` must all hold, in normal form: what ``where`` says.
    """

    sources: Body
    where: Condition | None
    conditions: frozenset[Condition]
    groups: tuple[Scalar, ...]
    units: tuple[Ref | None, ...]
    minimums: tuple[int, ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and an earlier one that differ; ``is_within`` says that the forms show one to be about no other rows than the other."""

    earlier: About
    is_grouped: bool
    is_within_earlier: bool
    is_earlier_within: bool


def about(query: VettedQuery, *, own: frozenset[str]) -> tuple[About, ...]:
    """Return which rows a question is about: all that it reads, those that a condition inside an aggregate holds of, or both.

    Of a UNION ALL that is said of the rows of each part's product. ``own`` are products of the asker, which need no protection from it.
    """
    regions = tuple(dict.fromkeys(region for measure in query.summary.measures for region in regions_of(measure))) or (None,)
    return tuple(found for body in separated(query.summary.body) for found in _about(query, body, regions, own=own))


def _about(query: VettedQuery, whole: Body, regions: tuple[Region, ...], *, own: frozenset[str]) -> Iterator[About]:
    """What a question asks about the products of ``whole``, for each of ``regions``."""
    read = frozenset(products(whole))
    counts = [one for one in query.summary.counts if one.present is None and one.cell is None and one.product in read - own]
    refs = [one.of for one in counts if one.of is not None]
    under = [scalar for region in regions if region is not None for scalar in operands(region)]
    body, meant = meanings(whole, (*query.summary.groups, *refs, *under))
    units = tuple(None if one.of is None else meant[one.of] for one in counts)
    if not body.joins and isinstance(body.source, DataTable):  # in a union records are numbered that need not be told apart alone
        body = unnumbered(body)
        units = tuple(None if isinstance(one, Ref) and one.column == ROW_NUMBER else one for one in units)
    refs_only = tuple(one if isinstance(one, Ref) else None for one in units)
    inputs = tuple(one for one in query.inputs if one.product in read)
    same = (tuple(meant[one] for one in query.summary.groups), refs_only, tuple(one.minimum for one in counts), inputs)
    for region in regions:
        where = within(body.where, None if region is None else said_by(region, meant))
        yield About(Body(body.source, body.joins, None), where, _conditions(where), *same)


def _conditions(where: Condition | None) -> frozenset[Condition]:
    if where is None:
        return frozenset()
    found = normal(where)
    return frozenset(found.conditions) if isinstance(found, AllOf) else frozenset({found})


def pair(question: About, earlier: About) -> Pair | None:
    """Return how two questions over the same sources differ; None where their forms show that they are about the same rows.

    Where both have the same groups, a condition on what is grouped by takes whole groups away and no part of one: it makes no difference.
    """
    same = set(question.groups) == set(earlier.groups)
    groups: frozenset[Operand] = frozenset(question.groups) if same else frozenset()
    ours, theirs = (frozenset(one for one in each.conditions if not _of(one) <= groups) for each in (question, earlier))
    return None if ours == theirs else Pair(earlier, same, imply(ours, theirs), imply(theirs, ours))


class Guard:
    """Keeps what each consumer asked at this node, in its room or of its products, and holds each new question against it."""

    def __init__(self, database: Database, *, engine: Engine, digests: Digests) -> None:
        self._database = database
        self._engine = engine
        self._digests = digests

    def held(
        self,
        job: Job,
        query: VettedQuery,
        result: pa.Table,
        *,
        tables: Mapping[str, pa.Table],
        spill: Spill | None = None,
        stopped: Stopped = never,
    ) -> pa.Table | Refused:
        """Return the groups of ``result`` that no earlier answer can be subtracted from, or the refusal ``differencing`` where none is.

        The question is kept first, so that of two that run at once the later is held against the earlier.
        """
        if result.num_rows == 0:
            return result
        own = _own(job)
        is_large = sum(table.num_rows for table in tables.values()) >= _LARGE_FROM

        def run(one: VettedQuery) -> pa.Table:
            return self._engine.run(one, tables, spill=spill, stopped=stopped)

        for sources, questions in _by_sources(query, own=own).items():
            held = self._held(job, sources, questions, result, own=own, run=run, is_large=is_large)
            if isinstance(held, Refused):
                return held
            result = held
        return result

    def _held(
        self,
        job: Job,
        sources: Body,
        questions: Sequence[About],
        result: pa.Table,
        *,
        own: frozenset[str],
        run: _Run,
        is_large: bool,
    ) -> pa.Table | Refused:
        if not questions[0].units:
            return result
        earlier = self._earlier(job, sources, questions, own=own)
        compared = [(question, found) for question in questions for one in earlier if (found := pair(question, one)) is not None]
        for question, chunk in _chunks(compared):
            groups = question.groups if chunk[0].is_grouped else ()
            counted = run(_counting(question, chunk, groups))
            result = _kept(result, _failing(counted, chunk, question), has_groups=bool(groups))
        for near in crossings_of(questions, earlier):
            if not (is_large and _are_apart(result, near, run)):
                result = _without(result, run(near))
        return result if result.num_rows or not earlier else _refused(max(questions[0].minimums))

    def _earlier(self, job: Job, sources: Body, questions: Sequence[About], *, own: frozenset[str]) -> list[About]:
        with self._database.write() as tx:
            read, mine = _note(tx, job, sources, questions, digests=self._digests)
            jobs = _before(tx, job, sources=read, mine=mine)
        found: list[About] = []
        for earlier in jobs:
            assert isinstance(earlier.question, SqlQuestion)  # noqa: S101  # only these are kept here
            verdict = vet(earlier.question.sql, earlier.terms({}))
            if isinstance(verdict, VettedQuery):
                found += [one for one in about(verdict, own=own) if normal_body(one.sources) == sources]
        return found


def note(tx: Connection, job: Job, query: VettedQuery, *, digests: Digests) -> None:
    """Keep what a job asks, in the caller's transaction, for :class:`Guard` to hold later questions against; a repeat changes nothing."""
    for sources, questions in _by_sources(query, own=_own(job)).items():
        if questions[0].units:
            _note(tx, job, sources, questions, digests=digests)


def _note(tx: Connection, job: Job, sources: Body, questions: Sequence[About], *, digests: Digests) -> tuple[str, str]:
    """Keep it, and return the digests of its sources and of what it is about."""
    read = digests.of(repr(sources))
    said = [repr((sorted(map(repr, one.conditions)), sorted(map(repr, one.groups)))) for one in questions]
    mine = digests.of(said[0] if len(said) == 1 else repr(sorted(said)))
    add_if_absent(tx, asked_questions, {"job": job.id, "consumer": job.consumer, "sources": read, "about": mine})
    return read, mine


def _own(job: Job) -> frozenset[str]:
    return frozenset(one.alias for one in job.inputs if one.provider == job.consumer)


def _by_sources(query: VettedQuery, *, own: frozenset[str]) -> dict[Body, list[About]]:
    found: dict[Body, list[About]] = {}
    for question in about(query, own=own):
        found.setdefault(normal_body(question.sources), []).append(question)
    return found


def _chunks(compared: Sequence[tuple[About, Pair]]) -> Iterator[tuple[About, list[Pair]]]:
    """Yield what is compared in one statement: one question with earlier ones, all of them grouped as it is, or none."""
    for question in dict.fromkeys(question for question, _ in compared):
        for is_grouped in (True, False):
            some = [one for each, one in compared if each == question and one.is_grouped == is_grouped]
            yield from ((question, some[start : start + AT_ONCE]) for start in range(0, len(some), AT_ONCE))


def _before(tx: Connection, job: Job, *, sources: str, mine: str) -> list[Job]:
    """The jobs that asked about other rows of the same sources before, one of each; what ended without an answer told nothing."""
    itself = (asked_questions.c.job == job.id, asked_questions.c.sources == sources)
    place = select(asked_questions.c.seq).where(*itself).scalar_subquery()
    same = (asked_questions.c.consumer == job.consumer, asked_questions.c.sources == sources, asked_questions.c.about != mine)
    rows = tx.execute(select(asked_questions.c.job, asked_questions.c.about).where(*same, asked_questions.c.seq < place))
    found: dict[str, Job] = {}
    for row in rows.mappings():
        kept = None if row["about"] in found else store.find_told(tx, row["job"])
        if kept is not None:
            found[row["about"]] = Job.parse(kept)
    return list(found.values())


def _counting(question: About, pairs: Sequence[Pair], groups: tuple[Scalar, ...]) -> VettedQuery:
    differences = Differences(question.sources, groups, question.units, question.where, tuple(one.earlier.where for one in pairs))
    inputs = _inputs_of((question, *(pair.earlier for pair in pairs)))
    nothing = Summary((), (), (), (), (), question.sources)
    return VettedQuery(differences_sql(differences), nothing, _NOTHING_AFTER, (), inputs, instead=differences)


def _inputs_of(questions: Iterable[About]) -> tuple[Input, ...]:
    """Every column that one of some questions needs."""
    columns: dict[str, dict[str, DataColumn]] = {}
    for needed in (one for each in questions for one in each.inputs):
        columns.setdefault(needed.product, {}).update({column.name: column for column in needed.columns})
    return tuple(Input(product, tuple(each.values())) for product, each in columns.items())


def crossings_of(questions: Sequence[About], earlier: Sequence[About]) -> Iterator[VettedQuery]:
    """Yield what finds groups that are about nearly the rows of one group of an earlier question, which groups otherwise.

    Answers for such groups could be subtracted as answers to whole questions could: a road's vehicles, and those on it before nine.
    """
    for question in dict.fromkeys(questions):
        apart: dict[frozenset[Scalar], list[tuple[About, Crossed]]] = {}
        for one in earlier:
            crossed = _crossed(question, one) if set(one.groups) != set(question.groups) else None
            if crossed is not None:
                apart.setdefault(frozenset(one.groups), []).append((one, crossed))
        for some in apart.values():
            for start in range(0, len(some), AT_ONCE):
                chunk = some[start : start + AT_ONCE]
                yield from (_crossing(question, chunk, unit, least) for unit, least in zip(question.units, question.minimums, strict=True))


def _are_apart(result: pa.Table, near: VettedQuery, run: _Run) -> bool:
    """Whether some of the units prove that no group of a result is nearly one of an earlier question; only then are not all looked at."""
    crossings = near.instead
    if not isinstance(crossings, Crossings) or crossings.unit is None:
        return False
    left: int = _without(result, run(sample_of(near, crossings, share=_SHARE))).num_rows
    return left == 0


def sample_of(near: VettedQuery, crossings: Crossings, *, share: int) -> VettedQuery:
    """Return what finds, by one unit in so many, groups that surely are not what ``near`` finds."""
    some = replace(crossings, share=share)
    return replace(near, sql=crossings_sql(some), instead=some)


def _crossed(question: About, earlier: About) -> Crossed | None:
    """An earlier question that groups otherwise; None where forms show that groups that share rows are about the same.

    Groups that share rows have the values in common that both are named by, so what is said of these alone says nothing of a part.
    """
    is_within, holds = _lies_within(question, earlier), _lies_within(earlier, question)
    return None if is_within and holds else Crossed(earlier.where, is_within, holds)


def _lies_within(one: About, other: About) -> bool:
    """Whether forms show that a group of ``one`` lies in one group of ``other``, where they share rows."""
    named = frozenset[Operand](one.groups)
    asked = frozenset(each for each in other.conditions if not _of(each) <= named)
    return imply(one.conditions, asked) and all(each in named or _is_fixed(each, one.conditions) for each in other.groups)


def _is_fixed(scalar: Scalar, conditions: Iterable[Condition]) -> bool:
    """Whether conditions leave a scalar one value."""
    return any(isinstance(one, Comparing) and one.operator is Comparison.EQ and one.left == scalar for one in conditions)


def _crossing(question: About, chunk: Sequence[tuple[About, Crossed]], unit: Ref | None, least: int) -> VettedQuery:
    others, crossed = chunk[0][0].groups, tuple(one for _, one in chunk)
    crossings = Crossings(question.sources, question.groups, others, unit, least, question.where, crossed)
    nothing = Summary((), (), (), (), (), question.sources)
    inputs = _inputs_of((question, *(one for one, _ in chunk)))
    return VettedQuery(crossings_sql(crossings), nothing, _NOTHING_AFTER, (), inputs, instead=crossings)


def _without(result: pa.Table, near: pa.Table) -> pa.Table:
    """The groups of a result that are not among these, blanks included; none where nothing is grouped by and there is one."""
    names = [name for name in near.column_names if name.startswith("g")]
    left_out = {_key(row, names) for row in near.to_pylist()}
    keys = [_key(row, names) for row in result.select(names).to_pylist()] if names else [()] * result.num_rows
    return result.filter(pa.array([key not in left_out for key in keys], pa.bool_()))


def _key(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    """What a group is named by; what is no number equals nothing, itself included, but is one name."""
    return tuple("NaN" if isinstance(row[name], float) and math.isnan(row[name]) else row[name] for name in names)


def _failing(counted: pa.Table, pairs: Sequence[Pair], question: About) -> dict[tuple[Any, ...], bool]:
    """Of each group, whether it fails: an earlier answer was about it, and the rows of one alone may be of too few units."""
    groups = [name for name in counted.column_names if name.startswith("g")]
    return {
        tuple(row[name] for name in groups): any(
            row[f"w{place}_{unit}"] >= least
            and (
                (not one.is_within_earlier and row[f"n{place}_{unit}"] < least)
                or (not one.is_earlier_within and row[f"o{place}_{unit}"] < least)
            )
            for place, one in enumerate(pairs)
            for unit, least in enumerate(question.minimums)
        )
        for row in counted.to_pylist()
    }


def _kept(result: pa.Table, failing: Mapping[tuple[Any, ...], bool], *, has_groups: bool) -> pa.Table:
    names = [name for name in result.column_names if name.startswith("g")] if has_groups else []
    keys = [tuple(row[name] for name in names) for row in result.select(names).to_pylist()] if names else [()] * result.num_rows
    return result.filter(pa.array([not failing.get(key, True) for key in keys], pa.bool_()))


def _of(condition: Condition) -> frozenset[Operand]:
    """What a condition is about."""
    match condition:
        case AllOf(conditions=conditions) | AnyOf(conditions=conditions):
            return frozenset().union(*(_of(one) for one in conditions))
        case Not(of=of):
            return _of(of)
        case Comparing(left=left) | Within(left=left) | Missing(left=left):
            return frozenset({left})


def _refused(least: int) -> Refused:
    return Refused(
        "differencing",
        f"expected a question that differs from your earlier ones by at least {least} protected units, got one that may differ by fewer",
        Text(
            "The condition of the earlier question, or one that differs from it by a larger part of the data.",
            "与先前问题相同的条件，或差异涉及更多数据的条件。",
        ),
        {"minimum_group": least},
    )
