"""The closed lists of the policy language, as data: actions, left operands with their kinds of value, and the operators of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chengshu.kernel.text import Text

CS = "https://w3id.org/chengshu/policy/"
ODRL = "http://www.w3.org/ns/odrl/2/"
XSD = "http://www.w3.org/2001/XMLSchema#"
GEO = "http://www.opengis.net/ont/geosparql#"


class Action(StrEnum):
    """What is done with a product. A node sees and stops the first three; the others happen, if they do, outside every node."""

    USE = "use"
    READ = "read"
    DERIVE = "derive"
    REPRODUCE = "reproduce"
    DISTRIBUTE = "distribute"
    MODIFY = "modify"
    WRITE = "write"
    TRANSFER = "transfer"
    SELL = "sell"

    def covers(self, other: "Action") -> bool:
        """Whether a rule about this action is about ``other`` too (ODRL 2.2, ``includedIn``)."""
        return other is self or (other in _INCLUDED_IN and self.covers(_INCLUDED_IN[other]))

    @property
    def seen(self) -> bool:
        """Whether a node takes part in it, so that a rule about it is kept by the node rather than promised by the party."""
        return self in {Action.USE, Action.READ, Action.DERIVE}


_INCLUDED_IN: Mapping[Action, Action] = {
    Action.READ: Action.USE,
    Action.DERIVE: Action.USE,
    Action.REPRODUCE: Action.USE,
    Action.DISTRIBUTE: Action.USE,
    Action.MODIFY: Action.USE,
    Action.WRITE: Action.MODIFY,
    Action.SELL: Action.TRANSFER,
}


class Operator(StrEnum):
    """How a constraint compares: the twelve of the protocol's ODRL profile that compare values."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTEQ = "gteq"
    LT = "lt"
    LTEQ = "lteq"
    IS_A = "isA"
    IS_PART_OF = "isPartOf"
    HAS_PART = "hasPart"
    IS_ANY_OF = "isAnyOf"
    IS_ALL_OF = "isAllOf"
    IS_NONE_OF = "isNoneOf"

    @property
    def listed(self) -> bool:
        """Whether the right operand is a list."""
        return self in {Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF}


class Joint(StrEnum):
    """How a logical constraint joins others."""

    AND = "and"
    OR = "or"
    XONE = "xone"
    AND_SEQUENCE = "andSequence"


class Kind(StrEnum):
    """What kind of value an operand has."""

    MOMENT = "moment"
    DURATION = "duration"
    COUNT = "count"
    CODE = "code"
    EVENT = "event"
    PARTY = "party"
    CHOICE = "choice"
    PLACE = "place"
    LOSS = "loss"
    BOUND = "bound"
    PERIOD = "period"
    COLUMN = "column"
    CONDITION = "condition"
    PARAMETER = "parameter"


_SAME = frozenset({Operator.EQ, Operator.NEQ, Operator.IS_ANY_OF, Operator.IS_NONE_OF})
_ORDER = frozenset({Operator.GT, Operator.GTEQ, Operator.LT, Operator.LTEQ})
_WITHIN = frozenset({Operator.IS_PART_OF, Operator.HAS_PART})
_SORTED = _SAME | _WITHIN | {Operator.IS_A}

OPERATORS: Mapping[Kind, frozenset[Operator]] = {
    Kind.MOMENT: _SAME | _ORDER,
    Kind.DURATION: _SAME | _ORDER,
    Kind.COUNT: _SAME | _ORDER,
    Kind.CODE: _SORTED,
    Kind.EVENT: _SORTED | {Operator.IS_ALL_OF},
    Kind.PARTY: _SAME,
    Kind.CHOICE: _SAME,
    Kind.PLACE: _SAME | _WITHIN | {Operator.IS_ALL_OF},
    Kind.LOSS: frozenset({Operator.LTEQ}),
    Kind.BOUND: frozenset({Operator.LTEQ}),
    Kind.PERIOD: frozenset({Operator.EQ}),
    Kind.COLUMN: frozenset({Operator.IS_ANY_OF}),
    Kind.CONDITION: frozenset({Operator.EQ}),
    Kind.PARAMETER: frozenset({Operator.IS_ALL_OF, Operator.IS_ANY_OF, Operator.IS_NONE_OF}),
}
"""Which operators make sense for which kind of value; any other pair is refused by name when a policy is read."""


class Operand(StrEnum):
    """What a constraint is about, by the name that reports and refusals give it, in the order of evaluation."""

    TIME = "time-window"
    RECIPIENT = "recipient"
    PURPOSE = "purpose"
    ENVIRONMENT = "environment"
    METHOD = "methods"
    PARAMETERS = "parameters"
    QUERY = "queries"
    OUTPUT = "output-form"
    GROUP = "minimum-group"
    COUNT = "count-limit"
    PLACE = "place"
    ELAPSED = "elapsed-time"
    SINCE_FIRST_USE = "since-first-use"
    EVENT = "event"
    PRIVACY_BUDGET = "privacy-budget"
    PRIVACY_LOSS = "privacy-loss"
    CONTRIBUTION = "contribution"
    PRIVACY_WINDOW = "privacy-window"
    COLUMN = "columns"
    SHOWN = "shown-columns"
    ROWS = "row-filter"

    @property
    def iri(self) -> str:
        """The full name that documents carry."""
        return OPERANDS[self].iri

    @property
    def kind(self) -> Kind:
        """The kind of its value."""
        return OPERANDS[self].kind

    @property
    def operators(self) -> frozenset[Operator]:
        """The operators that make sense for it."""
        return OPERATORS[self.kind]

    @property
    def choices(self) -> tuple[str, ...]:
        """The closed list of its values; empty where it has none."""
        return OPERANDS[self].choices

    @property
    def is_of_answers(self) -> bool:
        """Whether it says what becomes of every answer, not whether a use is allowed: it stands in a permission, within nothing else."""
        return self in _OF_ANSWERS

    @property
    def words(self) -> Text:
        """What it is, in words."""
        return OPERANDS[self].words


@dataclass(frozen=True, slots=True)
class OperandTerm:
    """One row of the table of operands; ``choices`` is the closed list of values where there is one."""

    iri: str
    kind: Kind
    words: Text
    choices: tuple[str, ...] = ()


OPERANDS: Mapping[Operand, OperandTerm] = {
    Operand.TIME: OperandTerm(ODRL + "dateTime", Kind.MOMENT, Text("the time of use", "使用时间")),
    Operand.RECIPIENT: OperandTerm(ODRL + "recipient", Kind.PARTY, Text("the recipient", "接收方")),
    Operand.PURPOSE: OperandTerm(ODRL + "purpose", Kind.CODE, Text("the purpose", "用途")),
    Operand.ENVIRONMENT: OperandTerm(CS + "environment", Kind.PARTY, Text("the party whose environment it is used in", "使用环境的运营方")),
    Operand.METHOD: OperandTerm(CS + "method", Kind.CODE, Text("the sealed method", "封装方法")),
    Operand.PARAMETERS: OperandTerm(CS + "parameter", Kind.PARAMETER, Text("what the method's parameters meet", "方法参数所满足的条件")),
    Operand.QUERY: OperandTerm(CS + "query", Kind.CHOICE, Text("the form of question", "提问形式"), ("vetted-sql",)),
    Operand.OUTPUT: OperandTerm(CS + "outputForm", Kind.CHOICE, Text("the form of the result", "输出形式"), ("aggregate", "rows")),
    Operand.GROUP: OperandTerm(CS + "minimumGroup", Kind.COUNT, Text("the smallest group reported about", "最小分组")),
    Operand.COUNT: OperandTerm(ODRL + "count", Kind.COUNT, Text("the number of this use", "本次使用的序号")),
    Operand.PLACE: OperandTerm(ODRL + "spatial", Kind.PLACE, Text("the place of use", "使用地点")),
    Operand.ELAPSED: OperandTerm(ODRL + "elapsedTime", Kind.DURATION, Text("the time since the agreement", "合约签署后经过的时间")),
    Operand.SINCE_FIRST_USE: OperandTerm(CS + "sinceFirstUse", Kind.DURATION, Text("the time since the first use", "首次使用后经过的时间")),
    Operand.EVENT: OperandTerm(ODRL + "event", Kind.EVENT, Text("what is going on", "正在发生的事件")),
    Operand.PRIVACY_BUDGET: OperandTerm(CS + "privacyBudget", Kind.LOSS, Text("the privacy loss of all answers", "全部回答的隐私损失")),
    Operand.PRIVACY_LOSS: OperandTerm(CS + "privacyLoss", Kind.LOSS, Text("the privacy loss of one answer", "单次回答的隐私损失")),
    Operand.CONTRIBUTION: OperandTerm(
        CS + "contribution", Kind.BOUND, Text("the records of one protected unit in an answer", "单个受保护主体在一次回答中的记录数")
    ),
    Operand.PRIVACY_WINDOW: OperandTerm(
        CS + "privacyWindow", Kind.PERIOD, Text("the time over which the loss of all answers is counted", "隐私损失的累计时长")
    ),
    Operand.COLUMN: OperandTerm(CS + "column", Kind.COLUMN, Text("the columns that are used", "使用的列")),
    Operand.SHOWN: OperandTerm(CS + "shownColumn", Kind.COLUMN, Text("the columns whose values are shown", "展示其取值的列")),
    Operand.ROWS: OperandTerm(CS + "rowFilter", Kind.CONDITION, Text("what holds of each row that is used", "所用数据行须满足的条件")),
}
"""Every left operand there is: ODRL's own IRI where ODRL has the very notion, else one below :data:`CS`."""

_OF_ANSWERS = frozenset(
    {
        Operand.PRIVACY_BUDGET,
        Operand.PRIVACY_LOSS,
        Operand.CONTRIBUTION,
        Operand.PRIVACY_WINDOW,
        Operand.COLUMN,
        Operand.SHOWN,
        Operand.ROWS,
    }
)

BROADER: Mapping[str, tuple[str, ...]] = {
    "traffic-study": ("research",),
    "academic-research": ("research",),
    "commercial-research": ("research", "commercial"),
    "product-development": ("commercial",),
    "advertising": ("commercial",),
    "insurance-pricing": ("commercial",),
    "road-safety": ("public-interest",),
    "traffic-management": ("public-interest",),
    "emergency-response": ("public-interest",),
    "official-statistics": ("public-interest", "research"),
    "flood": ("disaster",),
    "earthquake": ("disaster",),
    "snowstorm": ("disaster",),
    "disaster": ("emergency",),
    "epidemic": ("emergency",),
}
"""Codes of purposes and events and what each is a part of; a code that is not here is a part of nothing but itself."""


def broader(code: str) -> frozenset[str]:
    """Return a code and everything that it is a part of; a dotted name (of a method) is a part of each of its leading parts."""
    found = {code}
    waiting = [code]
    while waiting:
        one = waiting.pop()
        head = one.rpartition(".")[0]
        above = BROADER.get(one, (head,) if head else ())
        waiting.extend(set(above) - found)
        found.update(above)
    return frozenset(found)
