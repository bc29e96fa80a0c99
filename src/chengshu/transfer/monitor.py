"""The policy monitor: whatever runs is held against its agreement and policy again, and stopped within a second of ceasing to be allowed.

Every act that can end a right is an entry of this node's log: a termination, a replacement, a use that is counted, a grade, a withdrawal.
So while the log does not grow and no agreement runs out, one look at its size is all that there is to do. While something runs,
everything is judged again twice a second as well: a rule may rest on what no entry tells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chengshu.kernel.clock import Clock
from chengshu.transfer.process.ports import Ends
from chengshu.transfer.process.service import TransferProcesses
from chengshu.transfer.service import Transfers

LOOK_S = 0.2
"""So often the log's size is looked at."""

JUDGE_EVERY = timedelta(seconds=0.4)
"""So often everything that runs is judged again, whatever the log says."""

_NO_WAIT_S = 0.005


class Agreements(Ends, Protocol):
    """What the monitor needs of the contract room."""

    def expire(self) -> list[str]:
        """Record which agreements have run out since this was last asked, and return their ids."""
        ...

    def next_expiry(self) -> datetime | None:
        """Return when the next agreement runs out, None where none does."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last judgement knew: how long the log was, when it was, what runs out next, and whether anything ran."""

    size: int
    at: datetime
    next_expiry: datetime | None
    runs: bool


class Monitor:
    """Judges again whatever runs, when something happened that may end a right to run."""

    def __init__(
        self,
        *,
        transfers: Transfers,
        processes: TransferProcesses,
        agreements: Agreements,
        log_size: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._transfers = transfers
        self._processes = processes
        self._agreements = agreements
        self._log_size = log_size
        self._clock = clock
        self._seen: _Seen | None = None

    def step(self) -> float:
        """Judge again what runs if there is any reason to; return how many seconds to wait before the next step."""
        size, now = self._log_size(), self._clock()
        if self._seen is None or self._has_cause(self._seen, size, now):
            self._seen = self._judge(size, now)
        return self._wait_s(self._seen, now)

    def _has_cause(self, seen: _Seen, size: int, now: datetime) -> bool:
        is_out = seen.next_expiry is not None and now > seen.next_expiry
        is_due = (seen.runs or self._transfers.is_sending()) and (now - seen.at >= JUDGE_EVERY or now < seen.at)
        return size != seen.size or is_out or is_due

    def _judge(self, size: int, now: datetime) -> _Seen:
        self._agreements.expire()
        self._transfers.reconsider()
        self._processes.reconsider(self._agreements)
        return _Seen(size, now, self._agreements.next_expiry(), self._transfers.is_sending() or self._processes.any_open())

    def _wait_s(self, seen: _Seen, now: datetime) -> float:
        if seen.next_expiry is None:
            return LOOK_S
        return min(LOOK_S, max((seen.next_expiry - now).total_seconds() + _NO_WAIT_S, _NO_WAIT_S))
