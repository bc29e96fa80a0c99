"""What an analyst may choose when asking for conflicts."""

from dataclasses import dataclass
from typing import Literal

Lookahead = Literal["driven", "predicted"]


@dataclass(frozen=True, slots=True)
class ConflictParameters:
    """Thresholds of a conflict; the defaults are those of SUMO's SSM device, so that results can be compared with it.

    ``lookahead`` says which lanes a vehicle is believed to take. ``driven`` reads them from the rest of its own track: offline, with
    hindsight; SUMO's device knows the route too. ``predicted`` expects at each junction the way that vehicles took most often before out of
    that lane (straight on if none were seen): what a live detector knows. With ``past_only`` the measured positions are treated as in a
    live run too: smoothed and matched to lanes by the past alone, and a conflict begins when it is confirmed, at its ``min_ticks``-th tick.
    Raises ValueError for a threshold that is not positive.
    """

    ttc_s: float = 3.0
    drac_mps2: float = 3.0
    pet_s: float = 2.0
    range_m: float = 50.0
    extra_time_s: float = 5.0
    """Hits of one pair that are closer in time than this belong to one conflict."""
    min_ticks: int = 1
    """A time-to-collision or deceleration conflict must show in this many ticks: 1 for exact tracks, 3 to 5 for measured ones."""
    smooth_s: float = 0.0
    """Width of the mean over positions and speeds, centred, or trailing with ``past_only``; 0 for exact tracks, about 1 for noisy."""
    max_gap_s: float = 1.0
    """A track that is silent for longer than this starts anew."""
    lookahead: Lookahead = "driven"
    past_only: bool = False

    def __post_init__(self) -> None:
        for name in ("ttc_s", "drac_mps2", "pet_s", "range_m", "extra_time_s", "min_ticks", "max_gap_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"expected {name} above 0")
        if self.smooth_s < 0:
            raise ValueError("expected smooth_s of 0 or more")
        if self.lookahead not in ("driven", "predicted"):
            raise ValueError("expected lookahead 'driven' or 'predicted'")


DEFAULTS = ConflictParameters()
