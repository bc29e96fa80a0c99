"""Whether a job that was approved may still have what it was granted: asked again at the pull, and while the product goes out."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.model import Job, JobInput, MethodQuestion, Privacy, SqlQuestion
from chengshu.contract.service import Contracts
from chengshu.kernel.clock import Clock
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import Form, Parameters, QueryForm, Use

OWN = "own"
"""In the place of an agreement: the asker is the holder itself."""


class JobLeave:
    """Holds an approved job against its agreement as that stands now; the use itself was counted when the job was approved."""

    def __init__(self, *, contracts: Contracts, clock: Clock) -> None:
        self._contracts = contracts
        self._clock = clock

    def refusal(self, tx: Connection, *, job: str, product: str) -> Refused | None:
        """Return why a job may not have a product now, or None where nothing is against it."""
        approved = next((row for row in store.approvals_of(tx, job) if row["product"] == product), None)
        if approved is None or not approved["document"] or approved["agreement"] == OWN:
            return None
        asked = Job.parse(approved["document"])
        part = next(one for one in asked.inputs if (one.product, one.agreement) == (product, approved["agreement"]))
        verdict = self._contracts.permit_use(tx, part.agreement, use_of(asked, part, at=self._clock()), counted=True)
        return verdict if isinstance(verdict, Refused) else None


def use_of(job: Job, part: JobInput, *, at: datetime) -> Use:
    """Return the use that a job makes of one of its inputs."""
    match job.question:
        case SqlQuestion():
            # the group of this very product: another input's, perhaps of a product that is not even read, guarantees nothing here
            noise = part.privacy
            return query_use(
                job.consumer, at, purpose=job.purpose, room=job.environment_of(part), smallest_group=part.smallest_group, noise=noise
            )
        case MethodQuestion(method=name, parameters=parameters):
            use = Use(job.consumer, at, job.purpose, job.room, name, None, Form.AGGREGATE, None)
            return replace(use, parameters=Parameters.of(parameters))


def query_use(consumer: str, at: datetime, *, purpose: str, room: str, smallest_group: int, noise: Privacy | None) -> Use:
    """Return the use that a question in SQL makes of a product, with the noise that its answer carries (None: none)."""
    use = Use(consumer, at, purpose, room, None, QueryForm.VETTED_SQL, Form.AGGREGATE, smallest_group)
    return use if noise is None else replace(use, privacy_loss=noise.rho, contributions=noise.contributions)
