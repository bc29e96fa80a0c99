"""The release of an answer with noise: numbers get theirs, groups are shown by a noisy count, all else is done on released numbers."""

from fractions import Fraction
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.gate.finishing import finished
from chengshu.cleanroom.gate.release import DIGITS, MOST_ROWS, Released, too_many, too_small
from chengshu.cleanroom.model import Job
from chengshu.cleanroom.noise.protection import Mean, Plain, Protection
from chengshu.cleanroom.outcome import Outcome
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.kernel.canonical import Digests
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.privacy import noise
from chengshu.privacy.model import DELTA_UNIT, Loss, delta_text, loss_of, rho_text

TOLD_AT = Fraction(1, 10**6)
"""At which delta a receipt tells an epsilon."""


def loss(protection: Protection) -> Loss:
    """Return what the whole answer costs."""
    return loss_of(protection.privacy.rho, delta=int(protection.delta * DELTA_UNIT))


def missing_library() -> Refused | None:
    """Return why this room cannot add noise, or None where it can."""
    if noise.is_installed():
        return None
    return Refused(
        "privacy-library",
        "expected the library that adds noise, got a room without it",
        Text(
            "A room whose operator has installed the extra: pip install 'chengshu[dp]'.",
            "由运营方安装扩展组件后的净室：pip install 'chengshu[dp]'。",
        ),
    )


def noised(result: pa.Table, protection: Protection) -> pa.Table:
    """Return the engine's ``result`` with noise: columns ``g0…`` of the groups that may be seen, ``a0…`` of the parts; spends the loss.

    Nothing else about ``result`` may leave. The first part decides which groups are seen (a stable histogram), without groups none is left
    out.
    """
    rho, parts = protection.rho_of_part, protection.parts
    exact = [[int(value or 0) for value in result.column(f"a{place}").to_pylist()] for place, _ in enumerate(parts)]
    if protection.groups:
        units = noise.noisy_keys(
            exact[0], most_keys=parts[0].sensitivity_squared, rho=rho, delta=protection.delta, least=protection.minimum_group
        )
    else:
        units = dict(enumerate(noise.noisy(exact[0], sensitivity_squared=parts[0].sensitivity_squared, rho=rho)))
    seen = sorted(units)
    columns = {name: result.column(name).take(pa.array(seen, pa.int64())) for name in result.column_names if name.startswith("g")}
    columns["a0"] = pa.array([units[place] for place in seen], pa.int64())
    for place, part in enumerate(parts[1:], start=1):
        values = [exact[place][row] for row in seen]
        columns[f"a{place}"] = pa.array(noise.noisy(values, sensitivity_squared=part.sensitivity_squared, rho=rho), pa.int64())
    return pa.table(columns)


def answer(released: pa.Table, query: VettedQuery) -> Released | Refused:
    """Return the answer that :func:`noised` numbers give, or the refusal where no group has enough units by its noisy count.

    Only released numbers are read, so that asking again, in another order or under other names, tells nothing new.
    """
    protection = _of(query)
    kept = released.filter(pa.array([value >= protection.minimum_group for value in released.column("a0").to_pylist()], pa.bool_()))
    if kept.num_rows == 0:
        return too_small(protection.minimum_group)
    columns = {f"g{place}": kept.column(f"g{at}") for place, at in enumerate(protection.groups)}
    columns |= {f"a{place}": _measure(kept, how, protection) for place, how in enumerate(protection.measures)}
    table = finished(pa.table(columns), query.finish)
    return too_many(MOST_ROWS) if table.num_rows > MOST_ROWS else Released(table)


def outcome(released: pa.Table, query: VettedQuery, **more: str) -> Outcome:
    """Return how a job ends whose numbers were released, now or before; ``more`` is stated beside the noise."""
    verdict, stated = answer(released, query), {**statement(query), **more}
    if isinstance(verdict, Refused):
        return Outcome("REFUSED", {}, (), verdict, stated)
    return Outcome("RELEASED", {"answer": verdict.table}, (), None, stated)


def statement(query: VettedQuery) -> dict[str, Any]:
    """Return what a receipt says about the noise of an answer: mechanism, what it cost, and how large it is. Amounts are texts."""
    protection = _of(query)
    spent, rho = loss(protection), protection.rho_of_part
    told = noise.epsilon(Fraction(protection.privacy.rho), at_delta=TOLD_AT)
    return {
        "mechanism": "discrete-gaussian",
        "library": noise.library(),
        "product": protection.product,
        "unit": protection.unit,
        "contributions": protection.privacy.contributions,
        "rho": rho_text(spent),
        "delta": delta_text(spent),
        "epsilon": f"{told:.4g} at delta {float(TOLD_AT + protection.delta):.3g}",
        "parts": [
            {"of": part.title.partition(" ")[0], "deviation": f"{noise.deviation(part.sensitivity_squared, rho) / part.steps:.4g}"}
            for part in protection.parts
        ],
    }


def question_key(job: Job, query: VettedQuery, *, digests: Digests) -> str:
    """Return the digest by which the same question of the same consumer over the same products under the same terms is known again.

    It is of what is computed before the noise: order, limits, arithmetic and names are done on released numbers and are no other question.
    """
    named = ("schema", "provider", "product", "minimum_group", "privacy")
    documents = [one.as_document() for one in job.by_name]
    inputs = [{name: one[name] for name in named if name in one} for one in documents]
    return digests.of({"consumer": job.consumer, "room": job.room, "inputs": inputs, "asked": query.asked})


def _measure(released: pa.Table, how: Plain | Mean, protection: Protection) -> pa.Array:
    if isinstance(how, Plain):
        values = released.column(f"a{how.part}").to_pylist()
        if how.is_whole:
            return pa.array(values, pa.int64())
        return pa.array([_rounded(Fraction(value, protection.parts[how.part].steps)) for value in values], pa.float64())
    totals, counts = (released.column(f"a{place}").to_pylist() for place in (how.total, how.count))
    steps = protection.parts[how.total].steps
    means = [_mean(Fraction(total, steps), count, how) for total, count in zip(totals, counts, strict=True)]
    return pa.array(means, pa.float64())


def _mean(total: Fraction, count: int, how: Mean) -> float | None:
    if count <= 0:
        return None
    return _rounded(min(max(total / count, Fraction(how.lower)), Fraction(how.upper)))


def _rounded(value: Fraction) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def _of(query: VettedQuery) -> Protection:
    assert query.protection is not None  # noqa: S101  # only protected questions come here
    return query.protection
