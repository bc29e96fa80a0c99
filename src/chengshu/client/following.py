"""Waiting for a job to end, and saying meanwhile for whom it waits."""

import time
from collections.abc import Callable

from chengshu.cleanroom.asker import Standing
from chengshu.kernel.errors import Unavailable
from chengshu.kernel.text import Text

POLL_S = 0.1

Told = Callable[[Standing], None]
"""Is told how a job stands, each time that it was asked."""


def follow(standing: Callable[[], Standing], *, timeout_s: float, told: Told = lambda _standing: None) -> Standing:
    """Ask how a job stands until it has ended; raise Unavailable, naming for whom it waits, after ``timeout_s`` seconds.

    A room that is silent for a moment is asked again: what was asked of it goes on.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            now = standing()
        except Unavailable:
            if time.monotonic() >= until:
                raise
            time.sleep(POLL_S)
            continue
        if now.outcome is not None:
            return now
        told(now)
        if time.monotonic() >= until:
            raise Unavailable(
                "job.waiting",
                f"expected the job to end within {timeout_s:g} s, got state {now.state}, waiting for {now.waits_for}",
                hint=Text(f"Look again with 'chengshu job show {now.job}'.", f"稍后用 chengshu job show {now.job} 查看。"),
                facts={"job": now.job},
            )
        time.sleep(POLL_S)
