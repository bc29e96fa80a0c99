"""What a grade is worth: important data stand under no offer to everybody, core data under none; every change has a reason and an entry."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import Grade, Product
from chengshu.catalog.odcs import document_of
from chengshu.catalog.service import MAX_REASON, Catalog
from chengshu.evidence.model import Entry
from chengshu.evidence.service import Evidence
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.policy.model import Policy, Purpose, Recipient
from chengshu.policy.odrl import to_odrl
from databases import database_at

DIGESTS = Digests(INTERNATIONAL)
NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
STUDY = Purpose(frozenset({"study"}))
OPEN = to_odrl(Policy((STUDY,)))
NAMED = to_odrl(Policy((STUDY, Recipient(frozenset({"did:key:z6Mkfirm"})))))


class Shelf:
    """A catalog that can be told to publish the same small table again under another version and offer."""

    def __init__(self, folder: Path) -> None:
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.evidence = Evidence(self.database, MemorySigner.generate(), "node.example/log", folder / "log", lambda: NOW)
        ids = (f"urn:offer:{number}" for number in count())
        self.catalog = Catalog(self.database, evidence=self.evidence, digests=DIGESTS, clock=lambda: NOW, new_id=lambda: next(ids))
        self.file = folder / "counts.parquet"
        pq.write_table(pa.table({"n": [1, 2, 3]}), self.file)

    def publish(self, policy: dict[str, object], *, version: str = "1.0.0") -> Product | Refused:
        contract = replace(infer_contract(self.file, owner="road"), version=version)
        return self.catalog.publish(document_of(contract), source=self.file, policy=policy)

    def entries(self) -> list[Entry]:
        return list(self.evidence.entries(0, self.evidence.size()))

    def grade(self) -> Grade:
        with self.database.read() as tx:
            return self.catalog.grade_of(tx, "counts")

    def policy(self) -> object:
        with self.database.read() as tx:
            return self.catalog.policy_of(tx, "counts")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_product_is_general_until_its_owner_says_otherwise(shelf: Shelf) -> None:
    shelf.publish(OPEN)
    assert (shelf.grade(), shelf.catalog.grades()) == (Grade.GENERAL, {})


@pytest.mark.parametrize(("grade", "policy"), [(Grade.GENERAL, OPEN), (Grade.IMPORTANT, NAMED), (Grade.CORE, NAMED), (Grade.CORE, OPEN)])
def test_a_grade_is_kept_and_leaves_an_entry_with_the_digest_of_its_reason(shelf: Shelf, grade: Grade, policy: dict[str, object]) -> None:
    shelf.publish(policy)
    assert shelf.catalog.grade("counts", grade, reason="  positions of vehicles ") is grade
    assert shelf.catalog.grades() == {"counts": grade}
    last = shelf.entries()[-1]
    assert (last.kind, last.subject, dict(last.body)) == (
        "grade.set",
        "counts",
        {"product": "counts", "before": "general", "grade": grade.value, "reason_digest": DIGESTS.of_bytes(b"positions of vehicles")},
    )


def test_a_second_grade_says_what_was_before(shelf: Shelf) -> None:
    shelf.publish(NAMED)
    shelf.catalog.grade("counts", Grade.IMPORTANT, reason="positions")
    shelf.catalog.grade("counts", Grade.CORE, reason="positions of guarded convoys")
    assert [(one.body["before"], one.body["grade"]) for one in shelf.entries() if one.kind == "grade.set"] == [
        ("general", "important"),
        ("important", "core"),
    ]


def test_important_data_under_an_offer_to_everybody_are_refused_that_grade(shelf: Shelf) -> None:
    shelf.publish(OPEN)
    refused = shelf.catalog.grade("counts", Grade.IMPORTANT, reason="positions")
    assert isinstance(refused, Refused)
    assert (refused.rule, shelf.grade()) == ("grade-important", Grade.GENERAL)
    assert "--to" in refused.would_pass.en
    assert "--to" in refused.would_pass.zh
    assert "grade.set" not in [one.kind for one in shelf.entries()]


@pytest.mark.parametrize(("grade", "policy", "rule"), [(Grade.IMPORTANT, OPEN, "grade-important"), (Grade.CORE, NAMED, "grade-core")])
def test_a_new_version_under_an_offer_that_the_grade_forbids_is_not_published(
    shelf: Shelf, grade: Grade, policy: dict[str, object], rule: str
) -> None:
    shelf.publish(NAMED)
    shelf.catalog.grade("counts", grade, reason="positions")
    before = len(shelf.entries())
    refused = shelf.publish(policy, version="2.0.0")
    assert isinstance(refused, Refused)
    assert (refused.rule, shelf.catalog.get("counts").version, len(shelf.entries())) == (rule, "1.0.0", before)


def test_a_new_version_of_important_data_for_named_recipients_keeps_the_grade(shelf: Shelf) -> None:
    shelf.publish(NAMED)
    shelf.catalog.grade("counts", Grade.IMPORTANT, reason="positions")
    published = shelf.publish(NAMED, version="2.0.0")
    assert isinstance(published, Product)
    assert (published.version, shelf.grade()) == ("2.0.0", Grade.IMPORTANT)


def test_core_data_are_under_no_offer(shelf: Shelf) -> None:
    published = shelf.publish(NAMED)
    assert isinstance(published, Product)
    assert shelf.policy() == dict(published.policy)
    shelf.catalog.grade("counts", Grade.CORE, reason="positions of guarded convoys")
    assert shelf.policy() is None


@pytest.mark.parametrize("reason", ["", "   ", "x" * (MAX_REASON + 1)])
def test_a_grade_without_a_fair_reason_is_not_set(shelf: Shelf, reason: str) -> None:
    shelf.publish(NAMED)
    with pytest.raises(Invalid) as caught:
        shelf.catalog.grade("counts", Grade.CORE, reason=reason)
    assert (caught.value.code, shelf.grade()) == ("product.grade-reason", Grade.GENERAL)


def test_a_product_that_is_not_published_has_no_grade_to_set(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        shelf.catalog.grade("counts", Grade.CORE, reason="positions")
