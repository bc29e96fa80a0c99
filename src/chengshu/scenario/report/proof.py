"""What stays behind to be checked, in a form to be shown: payments, evidence, and the data themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from chengshu.kernel.money import Fen, yuan
from chengshu.kernel.text import Text
from chengshu.scenario.report.charts import bar
from chengshu.scenario.report.markup import Content, Markup, element, joined
from chengshu.scenario.report.reading import (
    Cast,
    Row,
    Table,
    counted,
    fixed,
    folded,
    part,
    parts,
    percent,
    reasons,
    rows,
    sentences,
    short,
    term,
    text_of,
    whole,
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A statement as a person reads it; ``adds_up`` is the sum of the payments held against the price."""

    payments: Table
    counts: Table
    payer: Markup
    rule: Text
    adds_up: Text
    exact: bool
    checks: tuple[tuple[Markup, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one use of one product: whether it holds, the words and the claims."""

    holds: bool
    verdict: Text
    about: tuple[tuple[Text, Content], ...]
    words: tuple[Text, ...]
    claims: tuple[tuple[str, Text, Text], ...]


def settlement(play: Row, cast: Cast) -> Settlement | None:
    """Return the statement with its shares, payments and sum; None where nothing was settled."""
    statement = part(play, "statement")
    document = part(statement, "document")
    if not document:
        return None
    shares = {str(party): _fraction(share) for party, share in part(document, "shares").items()}
    payments = {str(party): whole(fen) for party, fen in part(document, "payments_fen").items()}
    price, paid = whole(document.get("price_fen")), sum(payments.values())
    differences = part(statement, "differences")
    return Settlement(
        payments=_payments(cast, shares, payments, paid),
        counts=_counts(cast, document),
        payer=cast.chip(document.get("payer")),
        rule=text_of(document.get("rule")),
        adds_up=_adds_up(price, paid),
        exact=paid == price,
        checks=tuple((cast.chip(role), tuple(str(one) for one in found or [])) for role, found in differences.items()),
    )


def logs(play: Row, cast: Cast) -> Table | None:
    """Return each node's log: how long it is, its root and what verifying it from its files alone said."""
    cells = tuple(
        (
            cast.chip(log.get("role")),
            counted(log.get("size")),
            folded(log.get("root")),
            _verdict(log),
        )
        for log in parts(part(play, "evidence"), "logs")
    )
    columns = (Text("Node", "节点"), Text("Entries", "条目"), Text("Root", "根哈希"), Text("Checked from the files alone", "仅凭文件核验"))
    return Table(Text("Every node's log (RFC 6962)", "各节点日志（RFC 6962）"), columns, cells, frozenset({1})) if cells else None


def one_use(play: Row, cast: Cast) -> Proof | None:
    """Return the proof of one use; None where none was made."""
    use = part(part(play, "evidence"), "use")
    if not use:
        return None
    holds = bool(use.get("holds"))
    verdict = Text("The use is proved.", "该次使用已被证明。") if holds else Text("The use is not proved.", "该次使用未被证明。")
    about: tuple[tuple[Text, Content], ...] = (
        (Text("Held by", "持有方"), cast.chip(use.get("holder"))),
        (Text("Product", "产品"), element("code", {}, str(use.get("product") or "—"))),
        (Text("Job", "作业"), folded(use.get("job"))),
    )
    claims = tuple((str(one.get("finding")), term(one.get("finding")), text_of(one.get("text"))) for one in parts(use, "claims"))
    return Proof(holds, verdict, about, tuple(sentences(use.get("words"))), claims)


def products(play: Row, cast: Cast) -> Table | None:
    """Return the data products: whose, how many rows, from where, and what checking them found."""
    cells = tuple(
        (
            element("code", {}, str(product.get("id") or "—")),
            cast.chip(product.get("owner")),
            term(product.get("origin")),
            counted(product.get("rows")),
            element("span", {"class": "state" if product.get("state") == "published" else "state alarm"}, term(product.get("state"))),
            _findings(product),
            folded(product.get("data_digest")),
        )
        for product in parts(play, "products")
    )
    columns = (
        Text("Product", "产品"),
        Text("Owner", "所有方"),
        Text("From", "来源"),
        Text("Rows", "行数"),
        Text("State", "状态"),
        Text("Findings", "检查发现"),
        Text("Digest", "摘要"),
    )
    return Table(Text("The data products", "数据产品"), columns, cells, frozenset({3})) if cells else None


def set_aside(play: Row) -> Table | None:
    """Return what the hazard job left out, and why."""
    cells = tuple(
        (element("code", {}, str(row.get("source") or "—")), term(row.get("rule")), _kept(row), counted(row.get("n")))
        for row in rows(play, "hazards", "set_aside")
    )
    columns = (Text("Source", "来源"), Text("Why", "原因"), Text("Then", "处理"), Text("Rows", "行数"))
    return Table(Text("Set aside inside the clean room", "净室内搁置的数据"), columns, cells, frozenset({3})) if cells else None


def clocks(play: Row) -> Table | None:
    """Return how far each source's clock was found to be off."""
    cells = tuple(
        (
            element("code", {}, str(row.get("source") or "—")),
            fixed(row.get("offset_ms"), digits=0),
            term(row.get("state")),
            counted(row.get("n")),
        )
        for row in rows(play, "hazards", "alignment")
    )
    columns = (Text("Source", "来源"), Text("Offset, ms", "偏差（毫秒）"), Text("State", "状态"), Text("Compared", "比较样本数"))
    return Table(Text("Clocks compared", "时钟比对"), columns, cells, frozenset({1, 3})) if cells else None


def _kept(row: Row) -> Text:
    return Text("used, marked", "仍使用，已标记") if row.get("kept") is True else Text("left out", "未使用")


def _payments(cast: Cast, shares: Mapping[str, Fraction], payments: Mapping[str, int], paid: int) -> Table:
    whole_value = sum(shares.values(), Fraction(0))
    order = sorted(shares.keys() | payments.keys(), key=lambda party: (-payments.get(party, 0), -shares.get(party, Fraction(0)), party))
    cells: list[tuple[Content, ...]] = []
    for party in order:
        share = shares.get(party)
        of_all = float(share / whole_value) if share is not None and whole_value else None
        fen = payments.get(party, 0)
        cells.append((cast.chip(party), bar(share=of_all), percent(of_all), _ratio(share), counted(fen), yuan(Fen(fen))))
    total = (Text("Sum", "合计"), None, percent(1.0) if whole_value else "—", _ratio(whole_value), counted(paid), yuan(Fen(paid)))
    columns = (
        Text("Party", "参与方"),
        Text("Contribution", "贡献"),
        Text("Part of the whole", "占比"),
        Text("Shapley value, exact", "沙普利值（精确）"),
        Text("Fen", "分"),
        Text("Payment", "支付"),
    )
    caption = Text("Contributions and payments", "贡献与支付")
    return Table(caption, columns, tuple(cells), frozenset({2, 3, 4, 5}), total)


def _counts(cast: Cast, document: Row) -> Table:
    cells = []
    for row in parts(document, "coalitions"):
        members = [cast.title(member) for member in row.get("members") or []]
        words = Text(" + ".join(one.en for one in members), " + ".join(one.zh for one in members)) if members else Text("nobody", "无")
        cells.append((words, counted(row.get("seen")), counted(row.get("n"))))
    columns = (Text("Whose data together", "联盟"), Text("Seen", "发现"), Text("Of", "总数"))
    return Table(Text("The counts everything follows from", "一切计算所依据的计数"), columns, tuple(cells), frozenset({1, 2}))


def _adds_up(price: int, paid: int) -> Text:
    if paid == price:
        return Text(
            f"The payments sum to {paid:,} fen ({yuan(Fen(paid))}): exactly the price.",
            f"各项支付合计 {paid:,} 分（{yuan(Fen(paid))}），与价款完全相等。",
        )
    if paid == 0:
        return Text(
            f"Nothing was achieved, so nothing is paid: the payer keeps the price of {price:,} fen ({yuan(Fen(price))}).",
            f"没有产生价值，因此不支付：付款方保留价款 {price:,} 分（{yuan(Fen(price))}）。",
        )
    return Text(
        f"The payments sum to {paid:,} fen and the price is {price:,} fen: this statement is wrong and must not be paid.",
        f"各项支付合计 {paid:,} 分，而价款为 {price:,} 分：该结算单有误，不得支付。",
    )


def _fraction(value: object) -> Fraction:
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return Fraction(0)


def _ratio(share: Fraction | None) -> Markup:
    return element("span", {"class": "fraction"}, "—" if share is None else str(share))


def _verdict(log: Row) -> Markup:
    good = bool(log.get("verified"))
    state = element(
        "span", {"class": "state" if good else "state alarm"}, Text("intact", "完好") if good else Text("not verified", "未通过")
    )
    words = sentences(log.get("words"))
    if not words:
        return state
    summary = element("summary", {}, state)
    return element("details", {}, summary, element("ul", {}, joined([element("li", {}, one) for one in words])))


def _findings(product: Row) -> Markup:
    found = parts(product, "findings")
    why = joined([element("p", {"class": "quiet"}, one) for one in reasons(product.get("reason"))])
    if not found and why.text:
        return why
    if not found:
        nothing = Text("nothing to check", "无可检查") if product.get("state") == "absent" else Text("none", "无")
        return element("span", {"class": "quiet"}, nothing)
    summary = element("summary", {}, Text(f"{len(found)} findings" if len(found) > 1 else "1 finding", f"{len(found)} 项"))
    return element("details", {}, summary, element("ul", {}, joined([element("li", {}, _finding(one)) for one in found])), why)


def _finding(finding: Row) -> Markup:
    column = str(finding.get("column") or "")
    where = joined([Markup(" · "), element("code", {}, column)]) if column else Markup("")
    first = ", ".join(str(row) for row in finding.get("rows") or [])
    count = Text(f"{whole(finding.get('count')):,} rows", f"{whole(finding.get('count')):,} 行")
    begin = element("span", {}, Text(f" (first: {first})", f"（首行：{first}）")) if first else Markup("")
    hints = joined([element("p", {"class": "quiet"}, hint) for hint in sentences(finding.get("hint"))])
    rule = element("code", {}, short(finding.get("rule"), most=40))
    return joined(
        [
            rule,
            where,
            Markup(" · "),
            element("span", {}, count),
            begin,
            Markup(" · "),
            element("span", {}, term(finding.get("severity"))),
            hints,
        ]
    )
