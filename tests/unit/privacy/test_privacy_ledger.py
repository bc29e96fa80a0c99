"""The ledger of privacy losses: exact, never below nought, never given back, and decided one job after another."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import privacy_desk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from privacy_desk import ACCOUNT, MONTH, START, Desk

from chengshu.kernel.errors import Conflict, Invalid
from chengshu.kernel.refusal import Refused
from chengshu.policy.values import Duration
from chengshu.privacy.model import Account, Allowance, Loss, Spent, delta_text, loss_of, refusal, rho_text, standing

EVER = Allowance(Loss(100), None)
MONTHLY = Allowance(Loss(100), MONTH)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


# --- amounts


@given(st.integers(0, 10**12))
def test_an_amount_goes_through_its_text_and_back_to_the_unit(units: int) -> None:
    assert loss_of(Decimal(rho_text(Loss(units)))) == Loss(units)


def test_amounts_are_written_without_an_exponent_or_idle_zeros() -> None:
    assert [rho_text(Loss(units)) for units in (0, 1, 10**9, 150_000_000)] == ["0", "0.000000001", "1", "0.15"]
    assert delta_text(Loss(0, 10**6)) == "0.000000001"


@pytest.mark.parametrize("rho", [Decimal("1e-10"), Decimal(-1), Decimal("NaN"), Decimal("Infinity"), Decimal("0.1000000001")])
def test_an_amount_that_is_no_whole_number_of_units_is_refused(rho: Decimal) -> None:
    with pytest.raises(Invalid):
        loss_of(rho)


@pytest.mark.parametrize(("rho", "delta"), [(-1, 0), (0, -1), (1.5, 0), (True, 0), (2**63, 0)])
def test_a_loss_is_two_whole_numbers_not_below_nought(rho: int, delta: int) -> None:
    with pytest.raises(Invalid):
        Loss(rho, delta)


# --- decisions


moments = st.integers(0, 120 * 24).map(lambda hours: START + timedelta(hours=hours))
losses = st.builds(Loss, st.integers(0, 60), st.integers(0, 60))
histories = st.lists(st.builds(Spent, losses, moments), max_size=8)
allowances = st.builds(Allowance, losses, st.sampled_from([None, MONTH, Duration(0, 86_400_000)]))


@given(losses, histories, allowances, moments)
def test_a_loss_is_covered_exactly_where_it_fits_beside_what_counts(
    loss: Loss, spent: list[Spent], allowance: Allowance, at: datetime
) -> None:
    counting = [one.loss for one in spent if allowance.window is None or allowance.window.after(one.at) > at]
    fits = all(
        sum(getattr(one, part) for one in counting) + getattr(loss, part) <= getattr(allowance.total, part) for part in ("rho", "delta")
    )
    verdict = refusal(loss, spent, allowance, at=at)
    assert (verdict is None) == fits
    now = standing(spent, allowance, at=at)
    assert min(now.left.rho, now.left.delta) >= 0


@given(losses, histories, allowances, moments)
def test_a_renewal_that_is_told_is_the_first_moment_that_it_would_pass(
    loss: Loss, spent: list[Spent], allowance: Allowance, at: datetime
) -> None:
    verdict = refusal(loss, spent, allowance, at=at)
    if verdict is None or "renews_at" not in verdict.facts:
        return
    moment = datetime.fromisoformat(str(verdict.facts["renews_at"]))
    assert moment > at
    assert refusal(loss, spent, allowance, at=moment) is None
    assert refusal(loss, spent, allowance, at=moment - timedelta(milliseconds=1)) is not None


def test_what_does_not_renew_says_so() -> None:
    verdict = refusal(Loss(101), [], MONTHLY, at=START)
    assert verdict is not None
    assert "renews_at" not in verdict.facts
    assert "does not renew" in verdict.message
    short = refusal(Loss(1, 5), [], Allowance(Loss(100, 4), None), at=START)
    assert short is not None
    assert "delta" in short.message


# --- the book


def test_a_charge_is_reserved_then_committed_and_each_is_an_entry(desk: Desk) -> None:
    assert desk.reserve("one", 40, EVER) is None
    assert desk.reserve("one", 40, EVER) is None
    desk.commit("one")
    desk.commit("one")
    desk.commit("unknown")
    assert desk.entries() == [("budget.reserved", "one"), ("budget.committed", "one")]
    assert (desk.standing(EVER).spent, desk.standing(EVER).left) == (Loss(40), Loss(60))


def test_a_job_is_not_charged_something_else_under_its_id(desk: Desk) -> None:
    assert desk.reserve("one", 40, EVER) is None
    for change in ({"rho": 41}, {"question": "other"}):
        with pytest.raises(Conflict):
            desk.reserve("one", **{"rho": 40, "allowance": EVER, **change})  # type: ignore[arg-type]  # one argument at a time
    assert desk.standing(EVER).spent == Loss(40)


def test_a_refused_charge_leaves_nothing(desk: Desk) -> None:
    assert desk.reserve("one", 70, EVER) is None
    verdict = desk.reserve("two", 31, EVER)
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.facts["left"], verdict.facts["needed"]) == ("privacy-budget", "0.00000003", "0.000000031")
    assert desk.entries() == [("budget.reserved", "one")]


def test_a_window_renews_when_it_is_over_and_not_before(desk: Desk) -> None:
    assert desk.reserve("one", 100, MONTHLY) is None
    verdict = desk.reserve("two", 1, MONTHLY)
    assert verdict is not None
    assert verdict.facts["renews_at"] == "2026-02-01T00:00:00.000Z"
    desk.now = START + timedelta(days=31, milliseconds=-1)
    assert desk.reserve("two", 1, MONTHLY) is not None
    desk.now = START + timedelta(days=31)
    assert desk.reserve("two", 1, MONTHLY) is None
    assert desk.standing(EVER).left == Loss(0)


def test_another_agreement_on_the_same_product_opens_no_new_account(desk: Desk) -> None:
    with desk.database.write() as tx:
        assert desk.ledger.reserve(tx, replace(privacy_desk.charge("one", 80), agreement="urn:other"), EVER) is None
    assert desk.reserve("two", 30, EVER) is not None
    assert desk.reserve("two", 30, EVER, account=Account("did:firm", "other")) is None
    assert desk.reserve("three", 30, EVER, account=Account("did:rival", "counts")) is None


class Books(RuleBasedStateMachine):
    """Any sequence of acts against a model that only adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.desk = Desk(Path(self.folder.name))
        self.model: dict[str, tuple[int, datetime]] = {}
        self.allowance = MONTHLY

    def counted(self) -> int:
        return sum(rho for rho, at in self.model.values() if MONTH.after(at) > self.desk.now)

    @rule(job=st.integers(0, 30), rho=st.integers(0, 60))
    def reserve(self, job: int, rho: int) -> None:
        name = f"job-{job}"
        if name in self.model and self.model[name][0] != rho:
            with pytest.raises(Conflict):
                self.desk.reserve(name, rho, self.allowance)
            return
        fits = name in self.model or self.counted() + rho <= 100
        assert (self.desk.reserve(name, rho, self.allowance) is None) == fits
        if fits:
            self.model.setdefault(name, (rho, self.desk.now))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), outcome=st.sampled_from(["RELEASED", "REFUSED", "FAILED"]))
    def commit(self, data: st.DataObject, outcome: str) -> None:
        self.desk.commit(data.draw(st.sampled_from(sorted(self.model))), outcome=outcome)

    @rule(hours=st.integers(1, 24 * 40))
    def wait(self, hours: int) -> None:
        self.desk.now += timedelta(hours=hours)

    @rule(rho=st.integers(1, 60))
    def undone(self, rho: int) -> None:
        with pytest.raises(KeyError), self.desk.database.write() as tx:
            self.desk.ledger.reserve(tx, privacy_desk.charge("undone", rho), self.allowance)
            raise KeyError

    @invariant()
    def nothing_is_lost_or_below_nought(self) -> None:
        now = self.desk.standing(self.allowance)
        assert (now.spent.rho, now.left.rho) == (self.counted(), 100 - self.counted())
        assert len(self.desk.spent()) == len(self.model)
        assert [kind for kind, _ in self.desk.entries()].count("budget.reserved") == len(self.model)

    def teardown(self) -> None:
        self.desk.database.close()
        self.folder.cleanup()


def test_whatever_happens_the_book_is_the_sum_of_what_was_reserved() -> None:
    run_state_machine_as_test(Books, settings=settings(max_examples=15, stateful_step_count=20, deadline=None))


# --- races and crashes


def test_of_two_jobs_that_reach_for_the_last_of_a_budget_exactly_one_gets_it(desk: Desk) -> None:
    assert desk.reserve("before", 90, EVER) is None
    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda place: desk.reserve(f"job-{place}", 10, EVER), range(16)))
    assert sum(verdict is None for verdict in verdicts) == 1
    assert desk.standing(EVER).left == Loss(0)


def run(folder: Path, how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, str(Path(privacy_desk.__file__)), str(folder), how], stdout=subprocess.PIPE, text=True)


def test_processes_that_race_and_are_killed_spend_what_they_were_told_and_no_more(desk: Desk, tmp_path: Path) -> None:
    processes = [run(tmp_path, "80") for _ in range(2)]
    told = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [-9, -9]
    assert told.count("True") == 100
    assert told.count("False") == 60
    assert desk.standing(Allowance(Loss(1000), None)).left == Loss(0)


def test_a_process_that_is_killed_in_the_middle_of_reserving_has_reserved_nothing(desk: Desk, tmp_path: Path) -> None:
    process = run(tmp_path, "dying")
    process.communicate()
    assert process.returncode == -9
    assert desk.spent() == []


def test_a_process_that_is_killed_between_reserving_and_committing_gives_nothing_back(desk: Desk, tmp_path: Path) -> None:
    process = run(tmp_path, "3")
    process.communicate()
    assert process.returncode == -9
    assert [one.loss for one in desk.spent()] == [Loss(10)] * 3
    assert desk.standing(EVER, account=ACCOUNT).left == Loss(70)
    assert desk.reserve("next", 71, EVER) is not None
    assert [row["state"] for row in _rows(desk)] == ["RESERVED"] * 3


def _rows(desk: Desk) -> list[dict[str, object]]:
    with desk.database.read() as tx:
        return desk.ledger.charges(tx, ACCOUNT)
