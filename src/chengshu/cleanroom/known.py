"""What a node knows by itself of a job that it asked for or let its data into: the measure for what others say about that job."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.model import Job
from chengshu.cleanroom.outcome import Outcome
from chengshu.cleanroom.sealing import Seal


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as its asker signed it; how it ended, or None as long as this node has no receipt; its tables, or None for a holder.

    A holder is shown no table: it knows from the room's receipt that the job ended and how, not with which counts.
    """

    job: Job
    state: str | None
    tables: Mapping[str, pa.Table] | None


def known_job(tx: Connection, job: str, *, seal: Seal) -> KnownJob | None:
    """Return what this node knows of a job, first as its asker and else as a holder; None for a job it has no part in."""
    asked = store.find_asked(tx, job)
    if asked is not None:
        own = Job.parse(asked["document"])
        if asked["outcome"] is None:
            return KnownJob(own, None, None)
        outcome = Outcome.parse(seal.open(asked["outcome"], job=job)["outcome"])
        return KnownJob(own, outcome.state, outcome.tables)
    for row in store.approvals_of(tx, job):
        if row["document"]:
            return KnownJob(Job.parse(row["document"]), row["state"], None)
    return None
