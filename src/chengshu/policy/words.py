"""A policy in words, in both languages, for whoever signs it; parties stand there by id."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from chengshu.kernel.clock import iso
from chengshu.kernel.text import Text
from chengshu.policy.constraint import Condition, Constraint, Logical, Value
from chengshu.policy.duties import Duty, DutyAction, DutyState
from chengshu.policy.literals import amount
from chengshu.policy.model import Permission, Policy, Prohibition
from chengshu.policy.rules import (
    Columns,
    CountLimit,
    Environment,
    Form,
    Methods,
    MinimumGroup,
    NamedRule,
    OutputForm,
    Privacy,
    Purpose,
    Queries,
    Recipient,
    RowFilter,
    Rule,
    Shown,
    TimeWindow,
)
from chengshu.policy.terms import Action, Joint, Operator
from chengshu.policy.values import Place


def policy_words(policy: Policy) -> list[tuple[str, Text]]:
    """Return a whole policy, sentence by sentence, each with the name of the rule that it is of."""
    lines: list[tuple[str, Text]] = []
    for number, prohibition in enumerate(policy.prohibitions, 1):
        lines.append((f"prohibition-{number}", prohibition_words(prohibition)))
    for number, permission in enumerate(policy.permissions, 1):
        lines += _permission_lines(f"permission-{number}", permission)
    for number, duty in enumerate(policy.obligations, 1):
        lines += _duty_lines(f"obligation-{number}", duty)
    return lines


def rule_words(rule: Rule) -> Text:
    """Return one rule as a short sentence in both languages."""
    match rule:
        case Constraint() | Logical():
            words = condition_words(rule)
            return Text(f"Only where {words.en}", f"仅当{words.zh}")
        case Purpose(values) | Recipient(values) | Methods(values) | Columns(values) | Shown(values):
            en, zh = _LISTS[type(rule)]
            listed = ", ".join(sorted(values))
            return Text(f"{en} {listed}", f"{zh}：{listed}")
        case RowFilter(condition):
            return Text(f"Only rows of which holds: {condition}", f"仅限满足以下条件的数据行：{condition}")
        case _:
            return _usual_words(rule)


def condition_words(condition: Condition) -> Text:
    """Return one comparison, or several joined, as part of a sentence."""
    if isinstance(condition, Constraint):
        en, zh = _OPERATORS[condition.operator]
        title, listed = condition.operand.words, ", ".join(sorted(map(shown, condition.values)))
        return Text(f"{title.en} {en} {listed}", f"{title.zh}{zh} {listed}")
    en, zh = _JOINTS[condition.joint]
    parts = [condition_words(part) for part in condition.parts]
    return Text(f"{en}({'; '.join(part.en for part in parts)})", f"{zh}（{'；'.join(part.zh for part in parts)}）")


def prohibition_words(prohibition: Prohibition) -> Text:
    """Return a prohibition as a sentence, which says where no node can see it kept."""
    parts = [condition_words(one) for one in prohibition.conditions]
    en = " where " + " and ".join(part.en for part in parts) if parts else ""
    zh = "当" + "且".join(part.zh for part in parts) + "时，" if parts else ""
    if not prohibition.action.seen:
        return Text(f"No {prohibition.action}{en} (promised: no node sees it)", f"{zh}禁止 {prohibition.action}（承诺事项：节点无法察知）")
    return Text(f"No {prohibition.action}{en}", f"{zh}禁止 {prohibition.action}")


def duty_words(action: DutyAction) -> Text:
    """Return what is owed, in words."""
    return _DUTIES[action]


def shown(value: Value) -> str:
    """Return a value as text."""
    match value:
        case datetime():
            return iso(value)
        case Place(text):
            return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
        case Decimal():
            return amount(value)
        case _:
            return str(value)


MAX_SHOWN = 120
"""Characters of a place that words show; the document has the rest."""

STATES: Mapping[DutyState, Text] = {
    DutyState.PENDING: Text("pending", "待履行"),
    DutyState.FULFILLED: Text("fulfilled", "已履行"),
    DutyState.OVERDUE: Text("overdue", "已逾期"),
}
_LISTS: Mapping[type[NamedRule], tuple[str, str]] = {
    Purpose: ("Only for", "仅限用途"),
    Recipient: ("Only for", "仅限接收方"),
    Methods: ("Only by the sealed methods", "仅限封装方法"),
    Columns: ("Of its columns only", "仅使用以下列"),
    Shown: ("Values shown only of the columns", "仅展示以下列的取值"),
}
_FORMS = {
    Form.AGGREGATE: Text("Only aggregate results leave", "仅允许聚合结果离开"),
    Form.ROWS: Text("Single rows may leave", "允许逐行结果离开"),
}
_OPERATORS: Mapping[Operator, tuple[str, str]] = {
    Operator.EQ: ("is", "为"),
    Operator.NEQ: ("is not", "不为"),
    Operator.GT: ("is beyond", "大于"),
    Operator.GTEQ: ("is at least", "不小于"),
    Operator.LT: ("is below", "小于"),
    Operator.LTEQ: ("is at most", "不大于"),
    Operator.IS_A: ("is a kind of", "属于类别"),
    Operator.IS_PART_OF: ("is part of", "包含于"),
    Operator.HAS_PART: ("contains", "包含"),
    Operator.IS_ANY_OF: ("is one of", "属于其一："),
    Operator.IS_ALL_OF: ("is all of", "同时属于："),
    Operator.IS_NONE_OF: ("is none of", "不属于："),
}
_JOINTS: Mapping[Joint, tuple[str, str]] = {
    Joint.AND: ("all of ", "全部满足"),
    Joint.OR: ("at least one of ", "至少满足其一"),
    Joint.XONE: ("exactly one of ", "恰好满足其一"),
    Joint.AND_SEQUENCE: ("all of, in this order ", "依次全部满足"),
}
_DUTIES: Mapping[DutyAction, Text] = {
    DutyAction.COMPENSATE: Text("Pay for results by contribution", "按贡献度支付报酬"),
    DutyAction.DELETE: Text("Erase what was received", "删除所接收的数据"),
    DutyAction.INFORM: Text("Report each use to the provider", "向提供方报告每次使用"),
    DutyAction.ATTRIBUTE: Text("Name the provider as the source", "注明数据来源方"),
}


def _usual_words(rule: NamedRule) -> Text:
    match rule:
        case MinimumGroup(number):
            return Text(f"No answer about fewer than {number}", f"不输出少于 {number} 个主体的结果")
        case CountLimit(number):
            return Text(f"At most {number} uses", f"最多使用 {number} 次")
        case Environment(room):
            return Text(f"Only inside the clean room of {room}", f"仅可在 {room} 的净室内使用")
        case TimeWindow(start, end):
            first, last = (iso(start) if start else "…"), (iso(end) if end else "…")
            return Text(f"Only from {first} to {last}", f"仅限 {first} 至 {last}")
        case OutputForm(form):
            return _FORMS[form]
        case Queries():
            return Text("Questions in vetted SQL", "可用经审核的 SQL 提问")
        case Privacy():
            return _privacy_words(rule)
        case _:
            return rule_words(rule)


def _privacy_words(rule: Privacy) -> Text:
    loss, budget = ("…" if one is None else shown(one) for one in (rule.loss, rule.budget))
    time = None if rule.window is None else shown(rule.window)
    en = f"Every answer carries noise: a privacy loss of at most rho {loss} each and {budget} "
    en += f"within any {time}" if time else "for all answers that there ever are"
    zh = f"每次回答均加噪：单次隐私损失不超过 rho {loss}，"
    zh += f"任意 {time} 内累计不超过 {budget}" if time else f"全部回答累计不超过 {budget}"
    records = rule.most_records
    return Text(f"{en}, of at most {records} records of one unit", f"{zh}，每个受保护主体最多计入 {records} 条记录")


def _permission_lines(name: str, permission: Permission) -> list[tuple[str, Text]]:
    action = _ACTIONS.get(permission.action, Text(f"May {permission.action}", f"可以 {permission.action}"))
    lines = [(name, action), *((name, rule_words(rule)) for rule in permission.rules)]
    for number, duty in enumerate(permission.duties, 1):
        lines += _duty_lines(f"{name}/duty-{number}", duty)
    return lines


_ACTIONS = {
    Action.USE: Text("May be used", "可以使用"),
    Action.READ: Text("May be delivered", "可以交付"),
    Action.DERIVE: Text("May be computed on", "可以参与计算"),
}


def _duty_lines(name: str, duty: Duty) -> list[tuple[str, Text]]:
    words = duty_words(duty.action)
    until = "" if duty.deadline is None else shown(next(iter(duty.deadline.values)))
    line = Text(f"{words.en}, within {until}", f"{words.zh}，期限 {until}") if until else words
    return [(name, line), *(part for at, one in enumerate(duty.consequences, 1) for part in _duty_lines(f"{name}/consequence-{at}", one))]
