"""Rules about one thing's rows in a row: message numbers that run on, and places that one thing can have been at."""

from collections.abc import Iterator

import numpy as np

from chengshu.catalog.model import Semantic, Severity
from chengshu.catalog.rules.sheet import NO_ROWS, Floats, Hit, Ints, Sheet
from chengshu.kernel.text import Text

WRAPS = (128, 256, 65_536)
"""Where message counters start again at 0: SAE J2735 counts 0 to 127; one and two bytes are usual elsewhere."""

FASTEST_MPS = 100.0
SIGMAS = 6.0
LEAST_ERROR_M = 5.0
MANY_JUMPS = 3

_NUMBERS = Text(
    "Number the messages of each track in the order of their times, or leave the column out.",
    "请按时间顺序为每个对象的消息编号，或去除该列。",
)
_TWO_THINGS = Text(
    "Two things share one name: give each its own pseudonym. The rows under that name are set aside until then.",
    "两个对象使用了同一名称：请为每个对象分配各自的化名。在此之前，该名称下的行被搁置。",
)


def order_of_numbers(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield rows whose message number goes back although their time goes on; a counter that starts again at 0 does not go back."""
    numbers, times, tracks = sheet.about(Semantic.SEQUENCE), sheet.about(Semantic.TIME), sheet.tracks
    if numbers is None or times is None or tracks is None:
        return None
    return _judge_numbers(sheet, numbers, np.lexsort((times, tracks)), tracks)


def _judge_numbers(sheet: Sheet, numbers: Floats, order: Ints, tracks: Ints) -> Iterator[Hit]:
    wrap = next((one for one in WRAPS if np.nanmax(numbers, initial=0.0) < one), 2**32)
    step = np.diff(numbers[order]) % wrap
    same = np.diff(tracks[order]) == 0
    # Half the counter's range: a step of more is a step back, as in serial number arithmetic (RFC 1982).
    rows = order[1:][same & (step > wrap / 2)]
    if len(rows):
        column = sheet.contract.about(Semantic.SEQUENCE)[0]
        yield Hit("sequence-disorder", column, Severity.WARNING, rows, "numbers that run on with the times", "one that goes back", _NUMBERS)


def jumps(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield all rows of a track that is again and again where it cannot have got to since its last row; they are set aside.

    Faster than 100 m/s beyond six standard errors, more than three times: no vehicle does that, two under one pseudonym do.
    """
    motion = sheet.motion
    if motion is None:
        return None
    same = np.diff(motion.track) == 0
    moved = np.hypot(np.diff(motion.x_m), np.diff(motion.y_m))
    sigma = np.zeros(len(motion.t_s)) if motion.sigma is None else np.nan_to_num(motion.sigma)
    reach = FASTEST_MPS * np.diff(motion.t_s) + np.maximum(SIGMAS * (sigma[1:] + sigma[:-1]), LEAST_ERROR_M)
    jumped = motion.track[1:][same & (moved > reach)]
    names, times = np.unique(jumped, return_counts=True)
    return _judge_jumps(sheet, names[times > MANY_JUMPS])


def _judge_jumps(sheet: Sheet, doubled: Ints) -> Iterator[Hit]:
    tracks = sheet.tracks
    rows = NO_ROWS if tracks is None else np.flatnonzero(np.isin(tracks, doubled))
    if len(rows):
        column = "+".join(sheet.contract.about(Semantic.TRACK))
        yield Hit("shared-name", column, Severity.ROWS, rows, "one thing under each name", "one that is in two places at once", _TWO_THINGS)
