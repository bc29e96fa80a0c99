"""What a play came to, in a few lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from chengshu.kernel.money import Fen, yuan
from chengshu.kernel.text import Language, Text
from chengshu.scenario.model import Pack
from chengshu.scenario.report.headline import JOB, headline, quarantined
from chengshu.scenario.report.reading import Cast, Row, cast_of, part, parts, percent, real, rows, whole
from chengshu.scenario.report.worth import TOGETHER

MOST_LINES = 26
MOST_PARTIES = 7
MOST_ASIDE = 6


def summarise(play: Mapping[str, Any], pack: Pack, language: Language) -> list[str]:
    """Return at most 26 short lines with the main figures of a play; a part that is missing is said to be."""
    cast = cast_of(play, pack)
    texts = [
        Text(f"{pack.title.en} ({pack.label.en})", f"{pack.title.zh}（{pack.label.zh}）"),
        *_set_aside(play, cast),
        *_multiplier(play, cast),
        *_seen(play, cast),
        _compliance(play),
        _contracts(play),
        _questions(play),
        *_payments(play, cast),
        _evidence(play),
    ]
    return [text.of(language) for text in texts[:MOST_LINES]]


def _multiplier(play: Row, cast: Cast) -> list[Text]:
    head = headline(play, cast)
    if head.interval is None:
        return [Text(f"Multiplier: {head.number.en}. {head.means.en}", f"乘数：{head.number.zh}。{head.means.zh}")]
    found = rows(play, JOB, "multiplier")[0]
    lead, share = real(found.get("lead_s")), percent(real(found.get("roadside_share")), digits=0)
    ahead = "—" if lead is None else f"{lead:g}"
    return [
        Text(f"Multiplier: {head.number.en} ({head.interval.en})", f"乘数：{head.number.zh}（{head.interval.zh}）"),
        Text(
            f"  over {whole(found.get('n')):,} dangerous encounters, seen at least {ahead} s ahead, {share} of junctions equipped",
            f"  险情 {whole(found.get('n')):,} 起，至少提前 {ahead} 秒，路口设备覆盖 {share}",
        ),
    ]


def _seen(play: Row, cast: Cast) -> list[Text]:
    counts = {cast.members(row.get("coalition")): (whole(row.get("seen")), whole(row.get("n"))) for row in rows(play, JOB, "coalitions")}
    everyone = frozenset[str]().union(*counts)
    singles = sorted(
        (one for one in counts.items() if len(one[0]) == 1 and one[0] != everyone), key=lambda one: (-one[1][0], sorted(one[0]))
    )
    lines = []
    for members, (seen, n) in singles[:MOST_PARTIES] + [one for one in counts.items() if one[0] == everyone and everyone]:
        name = TOGETHER if members == everyone else cast.title(next(iter(members)))
        share = percent(seen / n if n else None)
        lines.append(Text(f"  {name.en} saw {seen:,} of {n:,} ({share})", f"  {name.zh}：发现 {seen:,} / {n:,}（{share}）"))
    return lines


def _set_aside(play: Row, cast: Cast) -> list[Text]:
    """One line a source that the run went on without, first thing after the title, so that nobody takes the figures for whole."""
    lines = []
    for row in parts(play, "products"):
        if row.get("state") == "set-aside":
            reasons = row.get("reason") or {}
            en, zh = (reasons.get(language, {}).get("message", "") for language in ("en", "zh"))
            lines.append(Text(f"Set aside: {row.get('id')} {en}".rstrip(), f"已搁置：{row.get('id')} {zh}".rstrip()))
    for row in quarantined(play):
        name, off = cast.title(row.get("source")), -(real(row.get("offset_ms")) or 0.0) / 1000
        lines.append(
            Text(
                f"Left out: {name.en}, whose clock is {off:+,.1f} s off; it has no part in what follows",
                f"未纳入：{name.zh}，其时钟偏差 {off:+,.1f} 秒；以下结果不含该方",
            )
        )
    absent = [str(row.get("id")) for row in parts(play, "products") if row.get("state") == "absent"]
    if absent:
        lines.append(Text(f"Left out: {', '.join(absent)}", f"未提供：{'、'.join(absent)}"))
    return lines[:MOST_ASIDE]


def _compliance(play: Row) -> Text:
    found = rows(play, "compliance", "rules")
    if not found:
        return Text("Permit: not checked", "许可：未核验")
    good, bad, unknown = (sum(whole(row.get(name)) for row in found) for name in ("compliant", "violation", "unknown"))
    return Text(
        f"Permit: {len(found)} rules; {good:,} compliant, {bad:,} violations, {unknown:,} unknown",
        f"许可：{len(found)} 条规则；合规 {good:,}，违规 {bad:,}，未知 {unknown:,}",
    )


def _contracts(play: Row) -> Text:
    found = parts(play, "contracts")
    agreed = sum(1 for row in found if row.get("agreement"))
    return Text(f"Contracts: {agreed} of {len(found)} agreed", f"合约：达成 {agreed} / {len(found)}")


def _questions(play: Row) -> Text:
    found = parts(play, "queries")
    states = [row.get("state") for row in found]
    answered, refused = states.count("RELEASED"), states.count("REFUSED")
    rest = len(found) - answered - refused
    more_en, more_zh = (f", {rest} not asked or failed", f"，未提出或失败 {rest}") if rest else ("", "")
    odd = sum(1 for row in found if not row.get("as_expected", True))
    return Text(
        f"Questions: {answered} answered, {refused} refused{more_en}; {odd} otherwise than expected",
        f"查询：回答 {answered}，拒绝 {refused}{more_zh}；与预期不符 {odd}",
    )


def _payments(play: Row, cast: Cast) -> list[Text]:
    document = part(part(play, "statement"), "document")
    if not document:
        return [Text("Payments: nothing was settled", "支付：未结算")]
    payments = {str(party): whole(fen) for party, fen in part(document, "payments_fen").items()}
    order = sorted(payments, key=lambda party: (-payments[party], party))
    listed = [(cast.title(party), yuan(Fen(payments[party]))) for party in order]
    total, price = yuan(Fen(sum(payments.values()))), yuan(Fen(whole(document.get("price_fen"))))
    en, zh = (joint.join(f"{getattr(name, side)} {paid}" for name, paid in listed) for side, joint in (("en", ", "), ("zh", "，")))
    return [Text(f"Payments: {en}", f"支付：{zh}"), Text(f"  sum {total} of a price of {price}", f"  合计 {total}，价款 {price}")]


def _evidence(play: Row) -> Text:
    evidence = part(play, "evidence")
    logs, use = parts(evidence, "logs"), part(evidence, "use")
    if not logs and not use:
        return Text("Evidence: nothing was checked", "存证：未核验")
    intact = sum(1 for log in logs if log.get("verified"))
    proved = Text("one use proved", "一次使用已证明") if use.get("holds") else Text("no use proved", "没有使用被证明")
    return Text(f"Evidence: {intact} of {len(logs)} logs intact, {proved.en}", f"存证：{intact} / {len(logs)} 份日志完好，{proved.zh}")
