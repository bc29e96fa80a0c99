"""Patient attackers against a product whose answers carry noise; each attack also runs on an unprotected control, where it succeeds.

Linear-programming reconstruction: Dinur & Nissim, "Revealing information while preserving privacy" (PODS 2003), as used against Diffix by
Cohen & Nissim (2018). Averaging: Gadotti et al. (USENIX Security 2019).
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from statistics import fmean

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linprog

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, Privacy, ProductTerms, Role, Schema
from chengshu.cleanroom.noise.protected import loss, noised
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.clock import from_iso
from chengshu.privacy.model import Allowance, Spent, loss_of, refusal

PEOPLE, QUESTIONS, VICTIMS = 240, 240, 8
TOTAL = Decimal("0.1")
"""The budget that the reference suggests to begin with; the attacker spends all of it on as many questions as it likes."""
NOW = from_iso("2026-01-01T00:00:00Z")
SCHEMA = Schema(
    "town.people",
    (
        Column("person", ColumnType.TEXT, Role.KEY),
        Column("code", ColumnType.INTEGER, Role.FILTER),
        Column("ill", ColumnType.BOOLEAN, Role.FILTER),
    ),
    "person",
    5,
)
ENGINE = DuckDBEngine("256MB", 1, 60.0)
Bits = NDArray[np.int64]


def people(secret: Bits) -> pa.Table:
    """One record for each person: a number that the attacker knows, and a secret."""
    codes = list(range(PEOPLE))
    return pa.table({"person": [f"p{code}" for code in codes], "code": pa.array(codes, pa.int64()), "ill": [bool(bit) for bit in secret]})


def subsets(seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((QUESTIONS, PEOPLE)) < 0.5


def question(subset: Sequence[int], privacy: Privacy | None) -> VettedQuery:
    listed = ", ".join(map(str, subset))
    sql = f"SELECT COUNT(DISTINCT person) AS n FROM town.people WHERE ill AND code IN ({listed})"  # noqa: S608  # of this file
    found = vet(sql, {"town.people": ProductTerms(SCHEMA, privacy=privacy)})
    assert isinstance(found, VettedQuery)
    return found


def reconstruct(chosen: NDArray[np.bool_], answers: NDArray[np.float64]) -> Bits:
    """The secrets that fit the answers best: the sum of what they are wrong by is least."""
    count, size = chosen.shape
    matrix = chosen.astype(np.float64)
    costs = np.concatenate([np.zeros(size), np.ones(count)])
    slack = np.eye(count)
    upper = np.block([[matrix, -slack], [-matrix, -slack]])
    bounds = [(0, 1)] * size + [(0, None)] * count
    found = linprog(costs, A_ub=upper, b_ub=np.concatenate([answers, -answers]), bounds=bounds, method="highs")
    assert found.success
    guessed: Bits = (found.x[:size] > 0.5).astype(np.int64)
    return guessed


def test_linear_programming_reconstructs_without_a_budget_and_guesses_within_one() -> None:
    secret = np.array([place % 2 for place in range(PEOPLE)], dtype=np.int64)
    np.random.default_rng(3).shuffle(secret)
    chosen, data = subsets(7), {"town.people": people(secret)}
    baseline = max(secret.mean(), 1 - secret.mean())

    exact = []
    for subset in chosen:
        query = question(list(np.flatnonzero(subset)), None)
        verdict = release(ENGINE.run(query, data), query=query)
        assert isinstance(verdict, Released)
        exact.append(float(verdict.table.column("n")[0].as_py()))
    assert (reconstruct(chosen, np.array(exact)) == secret).mean() >= 0.99  # the control: groups of five and more, and no noise

    share = Privacy((TOTAL / QUESTIONS).quantize(Decimal("1e-9")))
    queries = [question(list(np.flatnonzero(subset)), share) for subset in chosen]
    results = [ENGINE.run(query, data) for query in queries]
    accuracies = []
    for _ in range(VICTIMS):  # as many attackers, each with a budget of its own: the mean of what they guess right does not flake
        answers = []
        for query, result in zip(queries, results, strict=True):
            assert query.protection is not None
            answers.append(float(noised(result, query.protection).column("a0")[0].as_py()))
        accuracies.append(float((reconstruct(chosen, np.array(answers)) == secret).mean()))
    assert fmean(accuracies) <= baseline + 0.12


def test_the_budget_ends_the_attack_whatever_each_answer_costs() -> None:
    allowance = Allowance(loss_of(TOTAL, delta=10**9), None)
    for rho in (Decimal("0.05"), Decimal("0.0004")):
        query = question([1, 2, 3], Privacy(rho))
        assert query.protection is not None
        each, spent = loss(query.protection), list[Spent]()
        while refusal(each, spent, allowance, at=NOW) is None:
            spent.append(Spent(each, NOW))
        assert len(spent) == TOTAL / rho


def test_averaging_works_on_fresh_noise_and_not_on_answers_that_are_kept() -> None:
    secret = np.ones(PEOPLE, dtype=np.int64)
    query = question(list(range(PEOPLE)), Privacy(Decimal("0.001")))
    assert query.protection is not None
    result = ENGINE.run(query, {"town.people": people(secret)})
    fresh = [int(noised(result, query.protection).column("a0")[0].as_py()) for _ in range(4000)]
    assert abs(fmean(fresh) - PEOPLE) < 4  # the control: nobody counts, so that the mean tells the truth; six standard errors
    spellings = {
        question(list(order), Privacy(Decimal("0.001"))).asked for order in (range(PEOPLE), reversed(range(PEOPLE)), [*range(PEOPLE), 3])
    }
    assert len(spellings) == 1  # one question, one answer: there is nothing to average
    assert len(set(fresh)) > 50
    assert Fraction(query.protection.privacy.rho) == Fraction(1, 1000)
