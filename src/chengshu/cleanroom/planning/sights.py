"""What each party of a job comes to know, whatever the placement: the words that placements put their plans together from."""

from collections.abc import Iterable

from chengshu.cleanroom.model import Job, JobInput
from chengshu.cleanroom.planning.lineage import group_keys
from chengshu.cleanroom.planning.model import Leak, Part, Reading, What
from chengshu.cleanroom.relation.model import VettedQuery


def read_by(vetted: VettedQuery) -> tuple[Reading, ...]:
    """Return what is read of each product to compute a question."""
    return tuple(Reading(one.product, tuple(sorted(column.name for column in one.columns))) for one in vetted.inputs)


def of_asker(job: Job, vetted: VettedQuery) -> tuple[Leak, ...]:
    """Return what the asker learns: what is released, the end, and of others' products the rows that its use receipts count."""
    who = (Part.ASKER, job.consumer)
    others = [one for one in job.by_name if one.provider != job.consumer]
    return (
        *(Leak(*who, What.SCHEMAS, one.alias) for one in others),
        *(Leak(*who, What.GROUP_KEYS, product, columns) for product, columns in group_keys(vetted)),
        Leak(*who, What.RELEASED),
        Leak(*who, What.REFUSAL),
        Leak(*who, What.TIMES),
        *(Leak(*who, what, one.alias) for one in others for what in (What.ROW_COUNT, What.DATA_DIGEST)),
    )


def of_holder(job: Job, holder: str) -> tuple[Leak, ...]:
    """Return what a holder learns of a job over one of its products: the whole signed job, and how it ended."""
    who = (Part.HOLDER, holder)
    others = (one for one in job.by_name if one.provider != holder)
    return (
        Leak(*who, What.QUESTION),
        Leak(*who, What.PURPOSE),
        *(Leak(*who, What.SCHEMAS, one.alias) for one in others),
        Leak(*who, What.TIMES),
        Leak(*who, What.END),
    )


def of_room(vetted: VettedQuery, room: str) -> tuple[Leak, ...]:
    """Return what the node that computes learns by computing: everything about the groups, those that do not leave too."""
    who = (Part.ROOM, room)
    return (
        Leak(*who, What.QUESTION),
        Leak(*who, What.PURPOSE),
        *(Leak(*who, What.GROUP_KEYS, product, columns) for product, columns in group_keys(vetted)),
        Leak(*who, What.UNRELEASED),
        Leak(*who, What.RELEASED),
    )


def of_receiver(room: str, part: JobInput) -> tuple[Leak, ...]:
    """Return what a room learns by taking a product in: the rows as they were published, of every column that a question can need."""
    who = (Part.ROOM, room)
    return (
        Leak(*who, What.SCHEMAS, part.alias),
        Leak(*who, What.ROWS, part.alias, tuple(sorted(part.schema.askable))),
        Leak(*who, What.ROW_COUNT, part.alias),
        Leak(*who, What.SIZES, part.alias),
    )


def of_coordinator(node: str) -> tuple[Leak, ...]:
    """Return what the node learns that asks one party after the other: who answers, when and what for."""
    who = (Part.COORDINATOR, node)
    return (Leak(*who, What.PURPOSE), Leak(*who, What.ADDRESSES), Leak(*who, What.TIMES), Leak(*who, What.END))


def of_network(moved: Iterable[JobInput]) -> tuple[Leak, ...]:
    """Return what somebody learns who watches the lines: who speaks to whom, when, and about how large each product is that moves."""
    who = (Part.NETWORK, None)
    return (
        Leak(*who, What.ADDRESSES),
        Leak(*who, What.TIMES),
        Leak(*who, What.SIZES),
        *(Leak(*who, What.SIZES, one.alias) for one in moved),
    )
