"""Protected answers that the room keeps, sealed, so that the same question is answered by the same numbers and costs nothing again."""

import base64
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Column, Connection, LargeBinary, String, Table, select

from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.streams import as_stream, from_stream
from chengshu.kernel.database import add_or_save, metadata

protected_answers = Table(
    "protected_answers",
    metadata,
    Column("question", String(80), primary_key=True),
    Column("job", String(64), nullable=False),
    Column("released", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class ProtectedAnswer:
    """The released numbers of one question, and the job they were first released for."""

    question: str
    job: str
    released: pa.Table


def save(tx: Connection, answer: ProtectedAnswer, *, seal: Seal) -> None:
    """Keep an answer, in place of one to the same question over data that have changed since."""
    packed = {"question": answer.question, "released": base64.b64encode(as_stream(answer.released)).decode()}
    values = {"question": answer.question, "job": answer.job, "released": seal.close(packed, job=answer.job)}
    add_or_save(tx, protected_answers, values, key=["question"])


def find(tx: Connection, question: str, *, seal: Seal) -> ProtectedAnswer | None:
    """Return the answer that is kept for a question, or None."""
    row = tx.execute(select(protected_answers).where(protected_answers.c.question == question)).mappings().first()
    if row is None:
        return None
    packed = seal.open(row["released"], job=row["job"])
    return ProtectedAnswer(question, row["job"], from_stream(base64.b64decode(packed["released"])))
