"""A rule in words, for whoever signs it."""

from typing import assert_never

from chengshu.kernel.clock import iso
from chengshu.kernel.text import Text
from chengshu.policy.model import (
    CountLimit,
    Environment,
    Methods,
    MinimumGroup,
    OutputForm,
    Purpose,
    Queries,
    Recipient,
    Rule,
    TimeWindow,
)


def rule_words(rule: Rule) -> Text:
    """Return one rule as a short sentence in both languages; parties stand there by id."""
    match rule:
        case Purpose(codes):
            return _listed("Only for", "仅限用途", codes)
        case Recipient(dids):
            return _listed("Only for", "仅限接收方", dids)
        case Methods(names):
            return _listed("Only by the sealed methods", "仅限封装方法", names)
        case Environment(room):
            return Text(f"Only inside the clean room of {room}", f"仅可在 {room} 的净室内使用")
        case TimeWindow(start, end):
            first, last = (iso(start) if start else "…"), (iso(end) if end else "…")
            return Text(f"Only from {first} to {last}", f"仅限 {first} 至 {last}")
        case MinimumGroup(k):
            return Text(f"No answer about fewer than {k}", f"不输出少于 {k} 个主体的结果")
        case CountLimit(uses):
            return Text(f"At most {uses} uses", f"最多使用 {uses} 次")
        case OutputForm(form):
            return Text(f"Only {form.value} results leave", "仅允许聚合结果离开" if form.value == "aggregate" else "允许逐行结果离开")
        case Queries():
            return Text("Questions in vetted SQL", "可用经审核的 SQL 提问")
        case _:
            assert_never(rule)


def _listed(en: str, zh: str, values: frozenset[str]) -> Text:
    listed = ", ".join(sorted(values))
    return Text(f"{en} {listed}", f"{zh}：{listed}")
