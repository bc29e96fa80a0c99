"""Charts as markup: small pure functions from numbers to SVG, in units that read on a telephone as well as on paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.kernel.text import Text
from chengshu.scenario.report.markup import NOTHING, Content, Markup, element, joined, points

MOST_DOTS = 600
_WIDTH = 360.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its name, its points (x, share from 0 to 1) and whether it is the one to look at."""

    name: Text
    values: tuple[tuple[float, float], ...]
    main: bool


def drawing(label_id: str, width: float, height: float, *marks: Markup, css: str = "chart") -> Markup:
    """Return an SVG image that is described by the element with id ``label_id`` (its caption)."""
    attributes = {
        "class": css,
        "viewBox": f"0 0 {points(width)} {points(height)}",
        "role": "img",
        "aria-labelledby": label_id,
        "xmlns": "http://www.w3.org/2000/svg",
    }
    return element("svg", attributes, *marks)


def bar(*, share: float | None, main: bool = False) -> Markup:
    """Return a bar for a share from 0 to 1, on its track; decoration beside a written value, hence hidden from screen readers."""
    return stacked((share or 0.0, "main" if main else "plain"))


def stacked(*shares: tuple[float, str]) -> Markup:
    """Return one bar made of several (share, css class) parts, from the left."""
    marks = [element("rect", {"class": "track", "width": 100, "height": 8})]
    left = 0.0
    for share, css in shares:
        width = 100 * min(max(share, 0.0), 1.0)
        if width > 0:
            marks.append(element("rect", {"class": css, "x": f"{left:.2f}", "width": f"{width:.2f}", "height": 8}))
        left += width
    attributes = {"class": "bar", "viewBox": "0 0 100 8", "preserveAspectRatio": "none", "aria-hidden": "true"}
    return element("svg", attributes, *marks)


def dots(groups: Sequence[tuple[int, str]], *, label_id: str) -> tuple[Markup, int]:
    """Return one dot a case, group after group (count, css class), and how many cases a dot stands for."""
    total = sum(count for count, _ in groups)
    each = max(1, math.ceil(total / MOST_DOTS))
    drawn = [css for count, css in groups for _ in range(round(count / each))]
    step = 12.0 if len(drawn) <= 240 else 9.0
    across = int(_WIDTH // step)
    height = step * max(1, math.ceil(len(drawn) / across))
    radius = points(step * 0.36)
    marks = [
        element("circle", {"class": css, "cx": points(step * (i % across + 0.5)), "cy": points(step * (i // across + 0.5)), "r": radius})
        for i, css in enumerate(drawn)
    ]
    return drawing(label_id, across * step, height, *marks, css="chart dots"), each


def whisker(*, value: float | None, low: float | None, high: float | None, label_id: str) -> Markup:
    """Return a ratio with its interval on a logarithmic axis, against the line at 1 (no gain); an open end has an arrow."""
    known = [number for number in (value, low, high) if number is not None and number > 0]
    if not known:
        return NOTHING
    first, last = min(0.8, 0.8 * min(known)), max(2.5, 1.3 * max(known))
    if high is None:
        last *= 1.5

    def across(number: float) -> float:
        return 8 + (_WIDTH - 16) * math.log(number / first) / math.log(last / first)

    begin = across(low) if low is not None and low > 0 else 8.0
    end = across(high) if high is not None else _WIDTH - 10
    marks = [_tick(across(tick), tick) for tick in _ticks(first, last)]
    marks.append(element("line", {"class": "span", "x1": points(begin), "x2": points(end), "y1": 22, "y2": 22}))
    if high is None:
        marks.append(element("path", {"class": "tip", "d": f"M{points(end + 8)} 22l-10 -5.5v11z"}))
    if value is not None and value > 0:
        marks.append(element("circle", {"class": "main", "cx": points(across(value)), "cy": 22, "r": 6}))
    return drawing(label_id, _WIDTH, 64, *marks)


def lines(series: Sequence[Line], *, label_id: str) -> Markup:
    """Return shares against lead time in seconds, from 0 to 100 %, each line named at its right end."""
    leads = sorted({x for line in series for x, _ in line.values})
    if not leads:
        return NOTHING
    first, last = leads[0], leads[-1] if leads[-1] > leads[0] else leads[0] + 1

    def place(x: float, share: float) -> tuple[float, float]:
        return 44 + 180 * (x - first) / (last - first), 14 + 176 * (1 - share)

    marks = [_level(place(first, level / 100)[1], level) for level in (0, 25, 50, 75, 100)]
    marks += [_under(place(lead, 0)[0], lead) for lead in leads]
    ordered = sorted((line for line in series if line.values), key=lambda line: (line.main, -line.values[-1][1]))
    heights = spread([place(*line.values[-1])[1] for line in ordered], gap=14.5, low=14, high=196)
    for line, height in zip(ordered, heights, strict=True):
        css = "main" if line.main else "plain"
        spots = [place(*value) for value in line.values]
        marks.append(element("path", {"class": f"line {css}", "d": "M" + "L".join(f"{points(x)} {points(y)}" for x, y in spots)}))
        marks += [element("circle", {"class": css, "cx": points(x), "cy": points(y), "r": 3.2}) for x, y in spots]
        marks.append(element("text", {"class": f"name {css}", "x": points(spots[-1][0] + 9), "y": points(height + 4)}, line.name))
    return drawing(label_id, _WIDTH, 232, *marks)


def spread(heights: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return the heights moved until neighbours are ``gap`` apart, within low and high; their order from top to bottom stays."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    edge = low
    for index in order:
        placed[index] = max(heights[index], edge)
        edge = placed[index] + gap
    edge = high
    for index in reversed(order):
        placed[index] = min(placed[index], edge)
        edge = placed[index] - gap
    return placed


def key(*entries: tuple[str, Content]) -> Markup:
    """Return a legend: (css class of the mark, words)."""
    mark = {"class": "swatch", "viewBox": "0 0 12 12", "aria-hidden": "true"}
    items = [
        element("li", {}, element("svg", mark, element("circle", {"class": css, "cx": 6, "cy": 6, "r": 5})), words)
        for css, words in entries
    ]
    return element("ul", {"class": "key"}, joined(items))


def _ticks(first: float, last: float) -> list[float]:
    steps = [base * 10.0**power for power in range(-2, 5) for base in (1, 2, 5)]
    return [step for step in steps if first <= step <= last]


def _tick(x: float, value: float) -> Markup:
    one = math.isclose(value, 1.0)
    line = element("line", {"class": "zero" if one else "grid", "x1": points(x), "x2": points(x), "y1": 6, "y2": 38})
    words = element("text", {"class": "axis", "x": points(x), "y": 54, "text-anchor": "middle"}, f"{value:g}×")
    return joined([line, words])


def _level(y: float, level: int) -> Markup:
    line = element("line", {"class": "grid", "x1": 44, "x2": 224, "y1": points(y), "y2": points(y)})
    return joined([line, element("text", {"class": "axis", "x": 38, "y": points(y + 4), "text-anchor": "end"}, f"{level} %")])


def _under(x: float, lead: float) -> Markup:
    return element("text", {"class": "axis", "x": points(x), "y": 212, "text-anchor": "middle"}, f"{lead:g} s")
