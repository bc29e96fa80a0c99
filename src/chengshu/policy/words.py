"""A rule in words, for whoever signs it."""

from typing import assert_never

from chengshu.kernel.clock import iso
from chengshu.kernel.text import Text
from chengshu.policy.model import (
    CountLimit,
    Environment,
    Form,
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
        case Purpose(values) | Recipient(values) | Methods(values):
            en, zh = _LISTS[type(rule)]
            listed = ", ".join(sorted(values))
            return Text(f"{en} {listed}", f"{zh}：{listed}")
        case MinimumGroup() | CountLimit():
            return _bounded(rule)
        case Environment(room):
            return Text(f"Only inside the clean room of {room}", f"仅可在 {room} 的净室内使用")
        case TimeWindow(start, end):
            first, last = (iso(start) if start else "…"), (iso(end) if end else "…")
            return Text(f"Only from {first} to {last}", f"仅限 {first} 至 {last}")
        case OutputForm(form):
            return _FORMS[form]
        case Queries():
            return Text("Questions in vetted SQL", "可用经审核的 SQL 提问")
        case _:
            assert_never(rule)


_LISTS: dict[type[Rule], tuple[str, str]] = {
    Purpose: ("Only for", "仅限用途"),
    Recipient: ("Only for", "仅限接收方"),
    Methods: ("Only by the sealed methods", "仅限封装方法"),
}
_FORMS = {
    Form.AGGREGATE: Text("Only aggregate results leave", "仅允许聚合结果离开"),
    Form.ROWS: Text("Single rows may leave", "允许逐行结果离开"),
}


def _bounded(rule: MinimumGroup | CountLimit) -> Text:
    if isinstance(rule, MinimumGroup):
        return Text(f"No answer about fewer than {rule.k}", f"不输出少于 {rule.k} 个主体的结果")
    return Text(f"At most {rule.uses} uses", f"最多使用 {rule.uses} 次")
