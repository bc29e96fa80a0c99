from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import Acceptance, ProductState
from chengshu.catalog.odcs import document_of, read_document
from chengshu.catalog.service import Catalog
from chengshu.catalog.sources.local import file_digest
from chengshu.catalog.sources.opening import PlacesOfRows
from chengshu.evidence.service import Evidence
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from databases import database_at

DIGESTS = Digests(INTERNATIONAL)
NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
POLICY = {"permission": [{"action": "use"}]}


class Room:
    """A catalog on a real database with a real log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.evidence = Evidence(self.database, MemorySigner.generate(), "node.example/log", folder / "log", lambda: NOW)
        ids = iter(f"urn:offer:{number}" for number in range(1000))
        self.catalog = Catalog(self.database, evidence=self.evidence, digests=DIGESTS, clock=lambda: NOW, new_id=lambda: next(ids))

    def entries(self):
        return [(entry.kind, entry.subject) for entry in self.evidence.entries(0, self.evidence.size())]


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


@pytest.fixture
def document(traffic):
    return read_document(traffic.contracts / "av_state.yaml")


@pytest.fixture
def source(tmp_path, traffic):
    path = tmp_path / "av_state.parquet"
    pq.write_table(traffic.table, path)
    return path


def bad_source(tmp_path, traffic):
    path = tmp_path / "bad.parquet"
    pq.write_table(traffic.with_column("speed_mps", lambda values: values * 3.6), path)
    return path


def test_a_published_product_is_in_the_catalog_and_in_the_evidence(room, document, source, traffic):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    assert room.catalog.get(product.id) == product
    assert room.catalog.products() == [product]
    assert product.document == document
    assert product.policy == {"@id": "urn:offer:0", "@type": "Offer", **POLICY}
    assert room.entries() == [("product.published", "av_state"), ("offer.made", "av_state")]
    published, offered = (entry.body for entry in room.evidence.entries(0, 2))
    assert offered == {"product": "av_state", "version": "1.0.0", "offer": "urn:offer:0", "policy_digest": DIGESTS.of(product.policy)}
    body = published
    assert {name: body[name] for name in ("product", "version", "contract_digest", "data_digest", "policy_digest", "rows")} == {
        "product": product.id,
        "version": "1.0.0",
        "contract_digest": DIGESTS.of(document),
        "data_digest": file_digest(source, DIGESTS),
        "policy_digest": DIGESTS.of(product.policy),
        "rows": traffic.table.num_rows,
    }
    assert body["quality"]["findings"] == []


def test_an_opened_product_holds_the_rows_as_published(room, document, source, traffic):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    assert room.catalog.open(product.id).equals(traffic.table)


def test_a_changed_file_is_a_conflict_that_says_to_publish_a_new_version(room, document, source, traffic):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    pq.write_table(traffic.table.slice(0, 100), source)
    with pytest.raises(Conflict, match="another digest") as caught:
        room.catalog.open(product.id)
    assert "new version" in caught.value.hint.en


def test_a_file_that_is_gone_is_named(room, document, source):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    source.unlink()
    with pytest.raises(Invalid, match=r"av_state.parquet"):
        room.catalog.open(product.id)


def test_a_file_with_errors_is_refused_with_its_findings_and_the_refusal_is_recorded(room, document, tmp_path, traffic):
    refused = room.catalog.publish(document, source=bad_source(tmp_path, traffic), policy=POLICY)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.facts["errors"]) == ("quality-findings", 1)
    assert "wrong-unit in column speed_mps" in refused.message
    assert room.catalog.products() == []
    assert room.entries() == [("source.quarantined", "av_state")]


def test_a_file_with_errors_is_published_with_its_flags_when_they_are_accepted(room, document, tmp_path, traffic):
    product = room.catalog.publish(document, source=bad_source(tmp_path, traffic), policy=POLICY, acceptance=Acceptance.FLAGGED)
    assert [finding["rule"] for finding in product.quality["findings"]] == ["wrong-unit"]
    assert room.catalog.open(product.id).num_rows == traffic.table.num_rows


def test_rows_that_were_set_aside_do_not_come_out(room, document, tmp_path, traffic):
    path = tmp_path / "doubled.parquet"
    pq.write_table(pa.concat_tables([traffic.table, traffic.table.slice(0, 5)]), path)
    product = room.catalog.publish(document, source=path, policy=POLICY)
    assert product.rows == traffic.table.num_rows + 5
    assert room.catalog.open(product.id).equals(traffic.table)


def test_a_new_version_supersedes_the_old_and_a_version_is_published_once(room, document, source):
    room.catalog.publish(document, source=source, policy=POLICY)
    with pytest.raises(Conflict, match="expected a new version"):
        room.catalog.publish(document, source=source, policy=POLICY)
    room.catalog.publish({**document, "version": "1.1.0"}, source=source, policy=POLICY)
    assert [product.version for product in room.catalog.products()] == ["1.1.0"]
    with room.database.read() as tx:
        assert room.catalog.ids(tx) == ["av_state"]


def test_a_withdrawn_product_is_no_longer_found_and_may_not_come_back_under_its_version(room, document, source):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    assert room.catalog.withdraw(product.id).state is ProductState.WITHDRAWN
    assert room.entries()[-1] == ("product.withdrawn", product.id)
    for ask in (room.catalog.get, room.catalog.open, room.catalog.withdraw):
        with pytest.raises(NotFound):
            ask(product.id)
    with pytest.raises(Conflict):
        room.catalog.publish(document, source=source, policy=POLICY)


def test_nothing_is_kept_when_a_contract_or_policy_is_invalid(room, document, source):
    with pytest.raises(Invalid, match="without a target"):
        room.catalog.publish(document, source=source, policy={**POLICY, "target": "urn:x"})
    with pytest.raises(Invalid, match="another type"):
        room.catalog.publish(document, source=source, policy={**POLICY, "@type": "Set"})
    with pytest.raises(Invalid, match="data contract at id"):
        room.catalog.publish({**document, "id": ""}, source=source, policy=POLICY)
    assert (room.catalog.products(), room.entries()) == ([], [])


def test_a_policy_is_read_in_the_callers_transaction(room, document, source):
    product = room.catalog.publish(document, source=source, policy=POLICY)
    with room.database.read() as tx:
        assert room.catalog.policy_of(tx, product.id) == product.policy
        assert room.catalog.policy_of(tx, "urn:none") is None


@pytest.mark.parametrize(("words", "found"), [("自动驾驶", 1), ("VEHICLES state", 1), ("sw_version", 1), ("vehicles weather", 0), ("", 1)])
def test_products_are_found_by_every_word(room, document, source, words, found):
    room.catalog.publish(document, source=source, policy=POLICY)
    assert len(room.catalog.search(words)) == found


def test_a_bare_file_can_be_published_alone(room, tmp_path):
    path = tmp_path / "My counts.csv"
    path.write_text("place,count\na,1\nb,2\n", encoding="utf-8")
    product = room.catalog.publish(document_of(infer_contract(path, owner="me")), source=path, policy=POLICY)
    assert room.catalog.open(product.id).to_pydict() == {"place": ["a", "b"], "count": [1, 2]}


def test_a_document_can_be_published(room, tmp_path, traffic):
    path = tmp_path / "permit.json"
    path.write_text('{"zone": 1}', encoding="utf-8")
    product = room.catalog.publish(read_document(traffic.contracts / "permit.yaml"), source=path, policy=POLICY)
    assert room.catalog.open(product.id).to_pydict() == {"document": ['{"zone": 1}']}


def test_a_file_outside_the_nodes_folder_is_refused(room, document, source, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    sources = PlacesOfRows(DIGESTS, within=folder)
    closed = Catalog(room.database, evidence=room.evidence, digests=DIGESTS, clock=lambda: NOW, new_id=lambda: "urn:offer", sources=sources)
    with pytest.raises(Invalid, match="leads outside"):
        closed.publish(document, source=source, policy=POLICY)
