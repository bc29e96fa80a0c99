"""What fusing was worth, in a form to be shown: the multiplier, misses, lead times, detection and arrival times."""

from dataclasses import dataclass

from chengshu.kernel.text import Text
from chengshu.scenario.report.charts import Line, bar
from chengshu.scenario.report.markup import Content, Markup, element
from chengshu.scenario.report.reading import (
    Cast,
    Row,
    Table,
    absence,
    counted,
    fixed,
    percent,
    real,
    rows,
    term,
    whole,
)

JOB = "hazards"
TOGETHER = Text("All together", "多方融合")
NO_LIFT = 1.05
"""A ratio of arrival-time errors below this is called no lift: it lies within what another recording would change."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How many of ``n`` encounters were seen in time by the best single party, and by all together."""

    best_role: str
    best: int
    fused: int
    n: int
    parties: int


@dataclass(frozen=True, slots=True)
class Headline:
    """The multiplier as a person reads it: the number, what it rests on, what it says; ``low``/``high``/``value`` for drawing."""

    measured: bool
    number: Text
    interval: Text | None
    means: Text
    established: Text | None
    facts: tuple[tuple[Text, Content], ...]
    value: float | None
    low: float | None
    high: float | None


def headline(play: Row, cast: Cast) -> Headline:
    """Return the multiplier in words; where it is not measured, the reason takes the number's place."""
    found = rows(play, JOB, "multiplier")
    row: Row = found[0] if found else {}
    status = str(row.get("status") or "not-measured").replace(" ", "-")
    value, low, high = (real(row.get(name)) for name in ("value", "low", "high"))
    facts = _facts(row, cast, counted_seen(play, cast))
    if status == "measured" and value is not None:
        return Headline(
            True, _same(times(value)), _interval(low, high, value), _means(row, play, cast), _established(low), facts, value, low, high
        )
    if status == "lower-bound" and (value is not None or low is not None):
        least = value if value is not None else low
        number = _same(f"≥ {times(least or 0.0)}")
        words = Text(
            "All together missed nothing, so there is no ratio; this is the lower bound at 95 % confidence.",
            "融合后没有漏报，因此不存在比值；此为 95 % 置信度下的下界。",
        )
        return Headline(True, number, words, _means(row, play, cast), None, facts, None, least, None)
    if status == "undefined":
        number = Text("not defined", "无定义")
        words = Text(
            "Nothing was missed with all data together and there is no baseline to compare with: a ratio would divide by zero.",
            "融合后没有漏报，且无可比基线：该比值的分母为零。",
        )
        return Headline(False, number, None, words, None, facts, None, None, None)
    why = absence(play, JOB, table="multiplier") or Text(
        "There was no baseline or no dangerous encounter to compare on, so no number is given.",
        "没有可比基线或没有险情，因此不给出数字。",
    )
    return Headline(False, Text("not measured", "未测得"), None, why, None, facts, None, None, None)


def counted_seen(play: Row, cast: Cast) -> Seen | None:
    """Return the counts behind the multiplier from the coalitions that were released; None where they were held back."""
    seen = {cast.members(row.get("coalition")): (whole(row.get("seen")), whole(row.get("n"))) for row in rows(play, JOB, "coalitions")}
    everyone = frozenset[str]().union(*seen)
    singles = {next(iter(members)): count for members, count in seen.items() if len(members) == 1}
    if not singles or everyone not in seen or not seen[everyone][1]:
        return None
    best = min(singles, key=lambda role: (-singles[role][0], role))
    return Seen(best, singles[best][0], *seen[everyone], parties=len(everyone))


def misses(play: Row, cast: Cast) -> Table | None:
    """Return each single party's misses beside those of all together, most first; None where no counts were released."""
    seen = {cast.members(row.get("coalition")): (whole(row.get("seen")), whole(row.get("n"))) for row in rows(play, JOB, "coalitions")}
    everyone = frozenset[str]().union(*seen)
    shown = [(members, count) for members, count in seen.items() if (len(members) == 1 or members == everyone) and members and count[1]]
    if not shown:
        return None
    shown.sort(key=lambda one: (one[0] == everyone, one[1][0], sorted(one[0])))
    cells = tuple(_miss_row(cast, members, count, main=members == everyone) for members, count in shown)
    caption = Text("Dangerous encounters not seen in time", "未能及时发现的险情")
    return Table(caption, (Text("Whose data", "使用谁的数据"), Text("Share missed", "漏报占比"), Text("Missed", "漏报")), cells, frozenset({2}))


def by_lead(play: Row, cast: Cast) -> tuple[list[Line], Table | None]:
    """Return the share seen by lead time, as lines and as a table."""
    found = rows(play, JOB, "leads")
    everyone = frozenset[str]().union(*(cast.members(row.get("coalition")) for row in found))
    chosen: dict[frozenset[str], list[Row]] = {}
    for row in found:
        members = cast.members(row.get("coalition"))
        if members and (len(members) == 1 or members == everyone) and whole(row.get("n")):
            chosen.setdefault(members, []).append(row)
    series, cells = [], []
    for members, group in sorted(chosen.items(), key=lambda one: (len(one[0]), sorted(one[0]))):
        group.sort(key=lambda row: real(row.get("lead_s")) or 0.0)
        name = _name(cast, members, main=members == everyone)
        values = tuple((real(row.get("lead_s")) or 0.0, whole(row.get("seen")) / whole(row.get("n"))) for row in group)
        series.append(Line(name, values, main=members == everyone))
        cells += [(name, f"{lead:g} s", _of(row.get("seen"), row.get("n"))) for (lead, _), row in zip(values, group, strict=True)]
    if not series:
        return [], None
    columns = (Text("Whose data", "使用谁的数据"), Text("Lead", "提前量"), Text("Seen", "发现"))
    return series, Table(Text("Seen by lead time", "按提前量统计的发现数"), columns, tuple(cells), frozenset({1, 2}))


def by_encounter(play: Row, cast: Cast) -> Table | None:
    """Return for each kind of encounter what the best single party missed and what all together missed."""
    groups: dict[str, dict[frozenset[str], tuple[int, int]]] = {}
    for row in rows(play, JOB, "encounters"):
        members = cast.members(row.get("coalition"))
        if members and whole(row.get("n")):
            groups.setdefault(str(row.get("encounter")), {})[members] = (whole(row.get("seen")), whole(row.get("n")))
    cells: list[tuple[Content, ...]] = []
    for encounter, seen in sorted(groups.items()):
        everyone = frozenset[str]().union(*seen)
        singles = sorted((members for members in seen if len(members) == 1), key=lambda one: (-seen[one][0], sorted(one)))
        for members in dict.fromkeys([*singles[:1], everyone]):
            if members in seen:
                cells.append((term(encounter), *_miss_row(cast, members, seen[members], main=members == everyone)))
    if not cells:
        return None
    columns = (Text("Encounter", "类型"), Text("Whose data", "使用谁的数据"), Text("Share missed", "漏报占比"), Text("Missed", "漏报"))
    caption = Text("By kind of encounter: the best single party beside all together", "按险情类型：最佳单一方与多方融合对比")
    return Table(caption, columns, tuple(cells), frozenset({3}))


def accuracy(play: Row, cast: Cast) -> Table | None:
    """Return how well the detector did against the simulator's own record; None where nothing was graded."""
    cells = tuple(
        (
            cast.title(row.get("picture")),
            term(row.get("encounter")),
            term(str(row.get("measure")).lower()),
            counted(row.get("n")),
            counted(row.get("found")),
            counted(row.get("matched")),
            _graded(row.get("recall")),
            _graded(row.get("precision")),
        )
        for row in rows(play, JOB, "accuracy")
    )
    if not cells:
        return None
    columns = (
        Text("Picture", "所用数据"),
        Text("Encounter", "类型"),
        Text("Measure", "指标"),
        Text("True", "真实"),
        Text("Reported", "报出"),
        Text("Correct", "正确"),
        Text("Recall", "召回率"),
        Text("Precision", "精确率"),
    )
    return Table(Text("The detector against the simulator's record", "检测器与仿真真值对照"), columns, cells, frozenset({3, 4, 5, 6, 7}))


def arrival(play: Row, cast: Cast) -> tuple[Table | None, Text]:
    """Return the errors of estimated arrival times, and a sentence that says whether fusing helped."""
    found = [row for row in rows(play, JOB, "eta") if real(row.get("mae_s")) is not None]
    if not found:
        return None, absence(play, JOB, table="eta") or Text("Not measured: no trip could be compared.", "未测得：没有可比较的行程。")
    errors = {str(row.get("source")): real(row.get("mae_s")) or 0.0 for row in found}
    worst = max(errors.values()) or 1.0
    cells = tuple(
        (
            cast.title(row.get("source")),
            bar(share=(real(row.get("mae_s")) or 0.0) / worst, main=row.get("source") == "fused"),
            fixed(row.get("mae_s")) + " s",
            counted(row.get("n")),
        )
        for row in found
    )
    columns = (Text("Source", "数据来源"), Text("Mean error", "平均误差"), Text("Seconds", "秒"), Text("Trips", "行程数"))
    table = Table(Text("Error of the estimated time of arrival", "预计到达时间的误差"), columns, cells, frozenset({2, 3}))
    return table, _lift(errors, cast)


def times(value: float) -> str:
    """Return a ratio with its sign: two digits below 2, where they matter, one above."""
    return f"{value:.2f}×" if value < 2 else f"{value:.1f}×"


def _lift(errors: dict[str, float], cast: Cast) -> Text:
    singles = {source: error for source, error in errors.items() if source not in {"fused", "free_flow"}}
    if not singles or not errors.get("fused"):
        return Text("No ratio: a single party or the fused estimate is missing.", "无法给出比值：缺少单一方或融合后的估计。")
    best = min(singles, key=lambda source: (singles[source], source))
    ratio = singles[best] / errors["fused"]
    name = cast.title(best)
    if ratio < NO_LIFT:
        return Text(
            f"No lift. The best single party ({name.en}) is as good as all together (ratio {ratio:.2f}): signal waiting times, "
            "not missing probes, make up most of the error.",
            f"没有提升。最佳单一方（{name.zh}）与多方融合相当（比值 {ratio:.2f}）：误差主要来自信号灯等待，而非缺少浮动车数据。",
        )
    return Text(
        f"The best single party ({name.en}) errs {ratio:.2f} times as much as all together. No interval is given: read it with care.",
        f"最佳单一方（{name.zh}）的误差是多方融合的 {ratio:.2f} 倍。未给出区间，请谨慎解读。",
    )


def _facts(row: Row, cast: Cast, seen: Seen | None) -> tuple[tuple[Text, Content], ...]:
    n = row.get("n") if real(row.get("n")) is not None else (seen.n if seen else None)
    best = row.get("best_single") or (seen.best_role if seen else None)
    lead = real(row.get("lead_s"))
    return (
        (Text("Dangerous encounters", "险情数 n"), counted(n)),
        (Text("Seen ahead by at least", "至少提前"), "—" if lead is None else f"{lead:g} s"),
        (Text("Junctions with roadside sensors", "路侧设备覆盖路口"), percent(real(row.get("roadside_share")), digits=0)),
        (Text("Best single party", "最佳单一方"), cast.chip(best) if best else "—"),
    )


def _interval(low: float | None, high: float | None, value: float) -> Text:
    digits = 2 if value < 2 else 1
    left = "—" if low is None else f"{low:.{digits}f}"
    if high is None:
        return Text(f"95 % interval: from {left}, no upper limit", f"95 % 区间：自 {left} 起，无上限")
    return Text(f"95 % interval: {left} to {high:.{digits}f}", f"95 % 区间：{left} 至 {high:.{digits}f}")


def _established(low: float | None) -> Text:
    if low is None or low <= 1:
        return Text(
            "The interval reaches down to 1 (no gain): this sample alone does not establish that fusing helped.",
            "该区间包含 1（无增益）：仅凭本样本不能确认融合有效。",
        )
    return Text("The whole interval lies above 1 (no gain).", "整个区间都高于 1（无增益）。")


def _means(row: Row, play: Row, cast: Cast) -> Text:
    lead = fixed(row.get("lead_s"), digits=0)
    seen = counted_seen(play, cast)
    if seen is not None:
        name = cast.title(seen.best_role)
        best, fused = seen.n - seen.best, seen.n - seen.fused
        return Text(
            f"Of {seen.n:,} dangerous encounters, {best:,} could not be seen {lead} seconds ahead with the best single party's data "
            f"({name.en}). With the data of all {seen.parties} parties, {fused:,} could not.",
            f"在 {seen.n:,} 起险情中，仅用最佳单一方（{name.zh}）的数据，有 {best:,} 起无法提前 {lead} 秒发现；"
            f"融合全部 {seen.parties} 方数据后，为 {fused:,} 起。",
        )
    name = cast.title(row.get("best_single"))
    best_share, fused_share = (_rate(row.get(side), row.get("n")) for side in ("miss_best", "miss_fused"))
    return Text(
        f"With the best single party's data ({name.en}), {best_share} of dangerous encounters could not be seen {lead} seconds ahead; "
        f"with all data together, {fused_share}.",
        f"仅用最佳单一方（{name.zh}）的数据，{best_share} 的险情无法提前 {lead} 秒发现；融合后为 {fused_share}。",
    )


def _rate(missed: object, n: object) -> str:
    number, cases = real(missed), real(n)
    if number is not None and isinstance(missed, int) and cases:
        return percent(number / cases)
    return percent(number)


def _miss_row(cast: Cast, members: frozenset[str], count: tuple[int, int], *, main: bool) -> tuple[Content, ...]:
    seen, n = count
    return _name_chip(cast, members, main=main), bar(share=(n - seen) / n, main=main), _of(n - seen, n)


def _name(cast: Cast, members: frozenset[str], *, main: bool) -> Text:
    return TOGETHER if main else cast.title(next(iter(members)))


def _name_chip(cast: Cast, members: frozenset[str], *, main: bool) -> Markup:
    return element("strong", {}, TOGETHER) if main else cast.chip(next(iter(members)))


def _of(part: object, n: object) -> Markup:
    share = whole(part) / whole(n) if whole(n) else None
    words = Text(f"{whole(part):,} of {whole(n):,}", f"{whole(part):,} / {whole(n):,}")
    return element("span", {"class": "of"}, element("b", {}, percent(share)), " ", words)


def _graded(value: object) -> Markup:
    number = real(value)
    return element("span", {"class": "graded"}, bar(share=number), f"{number:.3f}" if number is not None else "—")


def _same(words: str) -> Text:
    return Text(words, words)
