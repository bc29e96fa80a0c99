"""The multiplier as a person reads it: the number, what it rests on, what it says and what it does not."""

from dataclasses import dataclass

from chengshu.kernel.text import Text
from chengshu.scenario.report.markup import Content
from chengshu.scenario.report.reading import Cast, Row, absence, counted, fixed, percent, real, rows, whole

JOB = "hazards"


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
    facts = (*_facts(row, cast, counted_seen(play, cast)), *_left_out(play, cast))
    if status == "measured" and value is not None:
        return Headline(
            True, _same(times(value)), _interval(low, high, value), _means(row, play, cast), _established(low), facts, value, low, high
        )
    if status in {"lower-bound", "undefined"} and (value is not None or low is not None):
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


def quarantined(play: Row) -> list[Row]:
    """Return the parties that the job left out for their clocks, with the offset in ms that was found."""
    return [row for row in rows(play, JOB, "alignment") if row.get("state") == "quarantined"]


def times(value: float) -> str:
    """Return a ratio with its sign: two digits below 2, where they matter, one above."""
    return f"{value:.2f}×" if value < 2 else f"{value:.1f}×"


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


def _left_out(play: Row, cast: Cast) -> list[tuple[Text, Content]]:
    return [(Text("Measured without, for its clock", "因时钟偏差未纳入"), cast.chip(row.get("source"))) for row in quarantined(play)]


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


def _same(words: str) -> Text:
    return Text(words, words)
