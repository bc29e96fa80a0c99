"""The leakage statement: who comes to know what by a job, for a program to read; asker, room and holders each compute it for themselves.

Its digest stands in the signed job. A holder computes it with the terms that it signed itself in the place of what the job says about its
products, so that a statement that promises more protection, or less, than the holder's own agreement is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from chengshu.cleanroom.gate.release import DIGITS
from chengshu.cleanroom.model import Job, JobInput, MethodQuestion, ProductTerms
from chengshu.cleanroom.planning.lineage import clipped, group_keys, origins, outputs
from chengshu.cleanroom.planning.model import Leak, Part, Plan, What
from chengshu.cleanroom.planning.placements import plan_of
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

FORMAT = "chengshu-leakage-2"
FIRST = "chengshu-leakage-1"
"""The format before: it says that a room is handed every column, which is more than it is. Jobs that were signed with it are still done."""
RULE = "leakage-statement"
Document = dict[str, Any]


def statement_of(job: Job, vetted: VettedQuery, terms: Mapping[str, ProductTerms]) -> Document:
    """Return the statement of a job, ready for canonical bytes: the same for everybody who holds the same terms.

    ``terms`` are by product name. What is listed is sorted wherever order says nothing, so that no engine's order shows.
    """
    return statement_by(plan_of(job, vetted), job, vetted, terms)


def statement_by(plan: Plan, job: Job, vetted: VettedQuery, terms: Mapping[str, ProductTerms]) -> Document:
    """Return the statement of a job whose plan is known already; otherwise as :func:`statement_of`."""
    return {
        "format": FORMAT,
        "placement": plan.placement,
        "purpose": job.purpose,
        "question": job.question.as_document(),
        "products": [_product(one, vetted, terms[one.alias]) for one in job.by_name],
        "released": [_output(name, shown) for name, shown in outputs(vetted)],
        "protection": _protection(vetted, terms),
        "parties": _parties(plan),
        "not_protected": [gap.value for gap in plan.gaps],
    }


def signed(job: Job, terms: Mapping[str, ProductTerms], *, digests: Digests) -> Document | None:
    """Return the statement whose digest is in a job that was kept, in the format in which it was signed; None where the job has none."""
    if job.leakage is None:
        return None
    found = stated(job, terms)
    return None if found is None else _as_signed(found, job.leakage, digests=digests) or found


def _as_signed(statement: Document, leakage: str, *, digests: Digests) -> Document | None:
    """The statement in the format of which this is the digest, None where it is of neither."""
    return next((one for one in (statement, _first(statement)) if digests.agree(digests.of(one), leakage)), None)


def _first(statement: Document) -> Document:
    """The statement as the first format has it."""
    parties = [{**one, "learns": [_first_leak(leak) for leak in one["learns"]]} for one in statement["parties"]]
    return {**statement, "format": FIRST, "parties": parties}


def _first_leak(leak: Document) -> Document:
    return {**leak, "columns": ["*"]} if leak["what"] == What.ROWS else leak


def stated(job: Job, terms: Mapping[str, ProductTerms]) -> Document | None:
    """Return the statement of a job that was kept: None for a sealed method, and for a question that no vetting lets pass."""
    if isinstance(job.question, MethodQuestion):
        return None
    verdict = vet(job.question.sql, terms)
    return None if isinstance(verdict, Refused) else statement_of(job, verdict, terms)


def refuse_statement(job: Job, vetted: VettedQuery | None, terms: Mapping[str, ProductTerms], *, digests: Digests) -> Refused | None:
    """Refuse a job whose statement is not the one that follows from ``terms``; a job without one is judged without it.

    Raises Conflict for a digest of another profile of cryptography.
    """
    if job.leakage is None:
        return None
    if vetted is not None and _as_signed(statement_of(job, vetted, terms), job.leakage, digests=digests) is not None:
        return None
    return Refused(
        RULE,
        "job.leakage: expected the digest of the statement that this node computes for the job under its own terms, got another",
        Text(
            "Plan the question again: 'chengshu query … --explain' shows the statement as the agreements have it now.",
            "请重新规划：chengshu query … --explain 显示按当前合约计算的泄露声明。",
        ),
    )


def _product(one: JobInput, vetted: VettedQuery, terms: ProductTerms) -> Document:
    read = next((each for each in vetted.inputs if each.product == one.alias), None)
    return {
        "product": one.alias,
        "id": one.product,
        "holder": one.provider,
        "agreement": one.agreement,
        "reads": [] if read is None else sorted(column.name for column in read.columns),
        "group_keys": list(dict(group_keys(vetted)).get(one.alias, ())),
        "privacy_unit": terms.schema.privacy_unit,
        "minimum_group": terms.smallest_group,
        **({"rows": [one.as_document() for one in terms.schema.rows]} if terms.schema.rows else {}),
    }


def _output(name: str, shown: Iterable[tuple[str, str | None]]) -> Document:
    return {"column": name, "shows": [{"as": kind, "of": of} for kind, of in shown]}


def _protection(vetted: VettedQuery, terms: Mapping[str, ProductTerms]) -> Document:
    """What stands between the rows and what is released; ``noise`` is nothing where no agreement asks for it.

    With noise, the least number of units is held against a noisy count, and nothing against records.
    """
    bounds = []
    for name in clipped(vetted):
        product, _, column = name.rpartition(".")
        found = terms[product].schema.column(column)
        assert found is not None  # noqa: S101  # the vetted question has it from this very schema
        bounds.append({"column": name} | {key: value for key, value in found.as_document().items() if key in {"lower", "upper"}})
    body = vetted.summary.body
    mixed = {
        (".".join(found), one.percent) for one in vetted.summary.dominances for found in origins(one.of, body) if found[0] == one.product
    }
    noise = vetted.protection
    stated = None if noise is None else {"product": noise.product, **noise.privacy.as_document(), "delta": str(noise.delta)}
    return {
        "records": vetted.minimum_group,
        "units": vetted.minimum_group if noise is None else noise.minimum_group,
        "significant_digits": DIGITS,
        "clipped": bounds,
        "dominance": [{"column": column, "percent": percent} for column, percent in sorted(mixed)],
        "noise": stated,
    }


def _parties(plan: Plan) -> list[Document]:
    """Everybody with what they come to know, by part and id: a party in two parts is named in both."""
    found: dict[tuple[Part, str | None], list[Leak]] = {}
    for leak in plan.leaks:
        found.setdefault((leak.part, leak.party), []).append(leak)
    order = list(Part)
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1] or ""))
    return [{"part": part.value, "party": party, "learns": [_leak(one) for one in _in_order(found[part, party])]} for part, party in keys]


def _in_order(leaks: list[Leak]) -> list[Leak]:
    return sorted(leaks, key=lambda one: (one.what.value, one.product or "", one.columns))


def _leak(leak: Leak) -> Document:
    found: Document = {"what": leak.what.value}
    if leak.product is not None:
        found["of"] = leak.product
    if leak.columns:
        found["columns"] = list(leak.columns)
    return found
