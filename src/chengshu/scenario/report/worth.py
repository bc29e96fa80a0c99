"""Who could have seen what, in a form to be shown: misses, lead times, detection and arrival times."""

from chengshu.kernel.text import Text
from chengshu.scenario.report.charts import Line, bar
from chengshu.scenario.report.headline import JOB
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

TOGETHER = Text("All together", "多方融合")
NO_LIFT = 1.05
"""A ratio of arrival-time errors below this is called no lift: it lies within what another recording would change."""


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
    return Table(
        caption, (Text("Whose data", "使用谁的数据"), Text("Share missed", "漏报占比"), Text("Missed", "漏报")), cells, frozenset({2})
    )


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
        shown = [members for members in dict.fromkeys([*singles[:1], everyone]) if members in seen]
        cells += [(term(encounter), *_miss_row(cast, members, seen[members], main=members == everyone)) for members in shown]
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


def warnings(play: Row, cast: Cast) -> Table | None:
    """Return what a warning system would have said in an offline replay, false alarms included; None where that was not measured."""
    cells = tuple(
        (
            TOGETHER if row.get("view") == "all" else cast.title(row.get("view")),
            counted(row.get("n")),
            counted(row.get("warned")),
            counted(row.get("in_time")),
            counted(row.get("warnings")),
            counted(row.get("true_warnings")),
            _graded(row.get("recall")),
            _graded(row.get("precision")),
        )
        for row in rows(play, JOB, "warnings")
    )
    if not cells:
        return None
    columns = (
        Text("From the data of", "所用数据"),
        Text("Hazards", "险情"),
        Text("Warned", "已预警"),
        Text("1 s ahead", "提前 1 秒"),
        Text("Warnings", "预警数"),
        Text("True", "属实"),
        Text("Recall", "召回率"),
        Text("Precision", "精确率"),
    )
    return Table(
        Text("Warnings by the detector, offline replay", "检测器在离线回放中发出的预警"),
        columns,
        cells,
        frozenset(range(1, 8)),
    )


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


def _lift(errors: dict[str, float], cast: Cast) -> Text:
    singles = {source: error for source, error in errors.items() if source not in {"fused", "free_flow"}}
    if not singles or not errors.get("fused"):
        return Text("No ratio: a single party or the fused estimate is missing.", "无法给出比值：缺少单一方或融合后的估计。")
    best = min(singles, key=lambda source: (singles[source], source))
    ratio = singles[best] / errors["fused"]
    name = cast.title(best)
    if ratio < 1 / NO_LIFT:
        return Text(
            f"No lift, on the contrary: all together err more than the best single party ({name.en}; ratio {ratio:.2f}).",
            f"没有提升，反而更差：多方融合的误差大于最佳单一方（{name.zh}；比值 {ratio:.2f}）。",
        )
    if ratio < NO_LIFT:
        return Text(
            f"No lift. The best single party ({name.en}) is as good as all together (ratio {ratio:.2f}). "
            "Waiting at signals, which probes do not foretell, is the likely reason.",
            f"没有提升。最佳单一方（{name.zh}）与多方融合相当（比值 {ratio:.2f}）。可能的原因是信号灯等待，浮动车数据无法预示。",
        )
    return Text(
        f"The best single party ({name.en}) errs {ratio:.2f} times as much as all together. No interval is given: read it with care.",
        f"最佳单一方（{name.zh}）的误差是多方融合的 {ratio:.2f} 倍。未给出区间，请谨慎解读。",
    )


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
