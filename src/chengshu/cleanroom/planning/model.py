"""Plans as data: which node does what with which products, who sees what comes of it, and what it costs.

A plan is built from a signed job alone (:mod:`chengshu.cleanroom.planning.placements`), so that asker, room and every holder build the
same one, each with its own terms in the place of what the job says about its own products.
"""

from dataclasses import dataclass
from enum import StrEnum

from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text


class Part(StrEnum):
    """In which part somebody takes part in a job; one party may have several."""

    ASKER = "asker"
    HOLDER = "holder"
    ROOM = "room"
    """The node that computes."""
    COORDINATOR = "coordinator"
    """The node that says who does what next, and hands the answers on."""
    NETWORK = "network"
    """Whoever watches the lines between the nodes and can read no encrypted connection."""


class What(StrEnum):
    """The kinds of things that somebody can come to know by a job."""

    QUESTION = "question"
    PURPOSE = "purpose"
    SCHEMAS = "schemas"
    """Names, types and roles of a product's columns, its privacy unit and smallest group: public."""
    ROWS = "rows"
    """A product's rows as they are, of the columns that are named."""
    ROW_COUNT = "row-count"
    DATA_DIGEST = "data-digest"
    GROUP_KEYS = "group-keys"
    """The values that groups are named by: for the room those of every group, for the asker those of the released ones."""
    UNRELEASED = "unreleased-values"
    """What was computed for groups that do not leave."""
    TOTALS = "exact-totals"
    """What is computed for groups that leave, before it is rounded; of no holder alone."""
    RELEASED = "released-values"
    REFUSAL = "refusal"
    """That no group was large enough, or by which rule else the answer was kept back."""
    END = "end"
    """How the job ended, and the digest of its outcome."""
    SIZES = "sizes"
    """How many bytes went over the line, and so about how many rows."""
    TIMES = "times"
    ADDRESSES = "addresses"
    """Which node speaks to which."""


class Step(StrEnum):
    """What a node does in a plan."""

    SEND = "approve-and-send"
    READ = "read-in-place"
    SUM = "add-up-and-mask"
    COMPUTE = "compute"
    RELEASE = "release"


class Gap(StrEnum):
    """What a plan does not protect against."""

    DIFFERENCING = "differencing"
    INFERENCE = "inference"
    ROOM_OPERATOR = "room-operator"
    COLLUSION = "collusion"
    HOLDERS_TOGETHER = "holders-together"
    UNENCRYPTED_LINES = "unencrypted-lines"
    DURATION = "duration"

    @property
    def words(self) -> Text:
        """What that means."""
        return _GAPS[self]


_GAPS = {
    Gap.DIFFERENCING: Text(
        "Two released answers whose groups differ by a few people can be subtracted from one another.",
        "两个发布结果所涉人群若仅相差数人，可以相减推断。",
    ),
    Gap.INFERENCE: Text(
        "What holds for a whole group holds for its members: who knows that somebody is in it learns that.",
        "对整组成立的结论对组内成员同样成立：知道某人在组内者即可得知。",
    ),
    Gap.ROOM_OPERATOR: Text(
        "Who runs the room's machine can read the rows while the job runs.",
        "净室机器的运营者在作业运行期间可以读取数据行。",
    ),
    Gap.COLLUSION: Text(
        "The room, or another holder, may tell the asker what it knows.",
        "净室或其他持有方可能把所知内容告诉使用方。",
    ),
    Gap.HOLDERS_TOGETHER: Text(
        "All other holders together know a holder's sums from the total; so does a third of them that helps a lying room.",
        "其余全部持有方联合即可由总和得知某一持有方的合计；三分之一的持有方与作伪的净室串通亦然。",
    ),
    Gap.UNENCRYPTED_LINES: Text(
        "Where nodes speak without TLS, whoever watches the line reads all that is sent.",
        "节点之间未使用 TLS 时，线路上的观察者可以读取全部传输内容。",
    ),
    Gap.DURATION: Text(
        "How long the answer takes depends on the data.",
        "得到结果所需的时间与数据有关。",
    ),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that somebody comes to know: who, in which part, what, of which product (None: of the job as a whole), which columns."""

    part: Part
    party: str | None
    what: What
    product: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """Columns of one product that a step reads."""

    product: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan: where it runs, what it reads, who is given what comes of it, and what anybody learns by it."""

    node: str
    step: Step
    reads: tuple[Reading, ...]
    seen_by: tuple[str, ...]
    leaks: tuple[Leak, ...]


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """What a plan costs, in the order in which it is compared: products that go over the network whole, then messages between nodes."""

    products_moved: int
    messages: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How one job is done: the kind of placement, the node where it is computed, the steps in order, the cost, and what stays open."""

    placement: str
    place: str
    actions: tuple[Action, ...]
    cost: Cost
    gaps: tuple[Gap, ...]

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """Everything that anybody comes to know, each once, in the order of the steps."""
        return tuple(dict.fromkeys(leak for action in self.actions for leak in action.leaks))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A plan that an owner does not allow: where it would have run, whose rule is against it, about which product, and the refusal.

    ``against`` is how many of the owner's rules are: the fewer, the nearer it was.
    """

    placement: str
    place: str
    owner: str
    product: str
    refusal: Refused
    against: int
