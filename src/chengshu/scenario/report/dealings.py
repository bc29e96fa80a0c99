"""What was allowed and what was not, in a form to be shown: the permit, the contracts, the questions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.kernel.text import Text
from chengshu.scenario.report.charts import stacked
from chengshu.scenario.report.markup import Content, Markup, element, joined
from chengshu.scenario.report.reading import (
    Cast,
    Row,
    Table,
    counted,
    folded,
    part,
    parts,
    real,
    reasons,
    rows,
    sentences,
    short,
    term,
    whole,
)

MOST_ANSWERS = 12


@dataclass(frozen=True, slots=True)
class Question:
    """One question that was put to the clean room, and what came of it."""

    name: str
    asker: Markup
    sql: str
    answer: Table | None
    left_out: int
    rule: str | None
    message: Text | None
    would_pass: Text | None
    as_expected: bool
    state: Text


def compliance(play: Row) -> tuple[Table | None, Text]:
    """Return the permit's rules with their counts, and a sentence that adds them up."""
    found = rows(play, "compliance", "rules")
    if not found:
        return None, Text("The permit was not held against the vehicles in this run.", "本次运行未以许可核验车辆。")
    cells = tuple(_rule(row) for row in found)
    sums = [sum(whole(row.get(name)) for row in found) for name in ("compliant", "violation", "unknown")]
    words = Text(
        f"{sums[0]:,} results compliant, {sums[1]:,} violations, {sums[2]:,} unknown, over {len(found)} rules.",
        f"{len(found)} 条规则合计：合规 {sums[0]:,}，违规 {sums[1]:,}，未知 {sums[2]:,}。",
    )
    columns = (
        Text("Rule", "规则"),
        Text("What it asks", "内容"),
        Text("Vehicles", "车辆"),
        Text("Share", "构成"),
        Text("Compliant", "合规"),
        Text("Violation", "违规"),
        Text("Unknown", "未知"),
    )
    return Table(Text("The permit, rule by rule", "逐条核验许可"), columns, cells, frozenset({2, 4, 5, 6})), words


def standing(play: Row) -> Text | None:
    """Return where the permit itself stands, or None where none was put in force."""
    permit = part(play, "permit")
    if not permit:
        return None
    state, why = term(permit.get("state")), reasons(permit.get("reason"))
    name, digest = str(permit.get("permit") or "—"), short(permit.get("digest"))
    en, zh = (" ".join(getattr(one, side) for one in why) for side in ("en", "zh"))
    return Text(f"Permit {name} ({digest}): {state.en}. {en}".strip(), f"许可 {name}（{digest}）：{state.zh}。{zh}".strip())


def contracts(play: Row, cast: Cast) -> Table | None:
    """Return the contracts: who got what from whom, under which rules, and how it ended."""
    cells = tuple(
        (
            cast.chip(row.get("asker")),
            cast.chip(row.get("holder")),
            element("code", {}, str(row.get("product") or "—")),
            _terms(row),
            _ending(row),
        )
        for row in parts(play, "contracts")
    )
    columns = (Text("Who asked", "请求方"), Text("Who holds", "持有方"), Text("What", "产品"), Text("Rules", "规则"), Text("State", "状态"))
    return Table(Text("Contracts agreed over the wire", "在线达成的合约"), columns, cells) if cells else None


def questions(play: Row, cast: Cast) -> tuple[list[Question], list[Question]]:
    """Return the questions that were answered, and those that were refused."""
    asked = [_question(row, cast) for row in parts(play, "queries")]
    return [one for one in asked if one.rule is None], [one for one in asked if one.rule is not None]


def answer_table(found: Sequence[Row]) -> Table:
    """Return an answer's first rows as they were released."""
    names = list(dict.fromkeys(str(name) for row in found for name in row))
    numeric = frozenset(i for i, name in enumerate(names) if all(real(row.get(name)) is not None for row in found))
    cells = tuple(tuple(_cell(row.get(name)) for name in names) for row in found[:MOST_ANSWERS])
    return Table(Text("Answer", "答案"), tuple(Text(name, name) for name in names), cells, numeric)


def _rule(row: Row) -> tuple[Content, ...]:
    good, bad, unknown = (whole(row.get(name)) for name in ("compliant", "violation", "unknown"))
    total = good + bad + unknown
    title = Text(str(row.get("title_en") or row.get("rule") or "—"), str(row.get("title_zh") or row.get("rule") or "—"))
    shares = stacked((bad / total, "main"), (unknown / total, "open"), (good / total, "plain")) if total else stacked()
    violation: Content = element("strong", {"class": "alarm"}, counted(bad)) if bad else counted(row.get("violation"))
    return (
        element("code", {}, str(row.get("rule") or "—")),
        title,
        counted(row.get("n")),
        shares,
        counted(row.get("compliant")),
        violation,
        counted(row.get("unknown")),
    )


def _terms(row: Row) -> Markup:
    terms = [text for rule in row.get("rules") or [] for text in sentences(rule)]
    if not terms:
        return element("span", {"class": "quiet"}, Text("not told", "未列出"))
    summary = element("summary", {}, Text(f"{len(terms)} rules" if len(terms) > 1 else "1 rule", f"{len(terms)} 条规则"))
    digest = element("p", {"class": "quiet"}, Text("Policy digest", "策略摘要"), " ", element("code", {}, short(row.get("policy_digest"))))
    listed = element("ul", {}, joined([element("li", {}, text) for text in terms]))
    return element("details", {}, summary, listed, digest if row.get("policy_digest") else Markup(""))


def _ending(row: Row) -> Markup:
    state = element("span", {"class": "state"}, term(row.get("state")))
    extra = folded(row.get("agreement")) if row.get("agreement") else Markup("")
    reason = joined([element("p", {"class": "quiet"}, text) for text in reasons(row.get("reason"))])
    return joined([state, extra, reason])


def _question(row: Row, cast: Cast) -> Question:
    refusal = part(row, "refusal")
    en, zh = part(refusal, "en"), part(refusal, "zh")
    found = parts(part(row, "tables"), "answer")
    return Question(
        name=str(row.get("part") or "—"),
        asker=cast.chip(row.get("asked_by")),
        sql=str(row.get("sql") or ""),
        answer=answer_table(found) if found else None,
        left_out=max(0, len(found) - MOST_ANSWERS),
        rule=str(en.get("rule") or zh.get("rule") or "?") if refusal else None,
        message=_side_by_side(en, zh, "message"),
        would_pass=_side_by_side(en, zh, "would_pass"),
        as_expected=bool(row.get("as_expected", True)),
        state=term(row.get("state")),
    )


def _side_by_side(en: Row, zh: Row, name: str) -> Text | None:
    left, right = en.get(name) or zh.get(name), zh.get(name) or en.get(name)
    return Text(str(left), str(right)) if left and right else None


def _cell(value: Any) -> Content:
    match value:
        case bool() | None:
            return {True: "true", False: "false", None: None}[value]
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)
