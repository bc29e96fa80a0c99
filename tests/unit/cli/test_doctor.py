"""What the doctor finds in a node that somebody has touched, and that looking changes nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from chengshu.cli import verbs
from chengshu.cli.doctor import Complaint, examine
from chengshu.evidence.store import evidence_entries
from chengshu.node import KEYS, LOG, Node, open_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node that is not served, with a published log of a few entries."""
    verbs.init(tmp_path / "node", verbs.Birth("road", "Road", "道路", port=1))
    opened = open_node(tmp_path / "node")
    with opened.database.write() as tx:
        for number in range(5):
            opened.evidence.append(tx, "token.issued", f"t{number}", {"token": f"t{number}"})
    opened.evidence.publish()
    yield opened
    opened.peers.close()
    opened.asker._nodes._client.close()  # type: ignore[attr-defined]  # the port has no close; the adapter's client has
    opened.database.engine.dispose()


def about(part: str, node: Node) -> Complaint:
    return next(one for one in examine(node.folder) if one.about.en == part)


def test_a_sound_log_is_called_sound(node: Node) -> None:
    found = about("log", node)
    assert (found.bad, found.found.en) == (False, "7 entries, all verified and equal to the database")


def test_one_bit_changed_in_the_database_is_found_before_anything_is_appended(node: Node) -> None:
    with node.database.write() as tx:
        third = evidence_entries.c.index == 3
        data = tx.execute(select(evidence_entries.c.data).where(third)).scalar_one()
        tx.execute(update(evidence_entries).where(third).values(data=bytes([data[0] ^ 1, *data[1:]])))
    found = about("log", node)
    assert found.bad
    assert found.found.en == "expected entry 3 as it was published, got another one in the database"


def test_a_log_that_was_removed_is_missed_and_not_made_again(node: Node) -> None:
    shutil.rmtree(node.folder / LOG)
    found = about("log", node)
    assert found.bad
    assert "compare with the checkpoints that others hold" in found.remedy.en
    assert not (node.folder / LOG).exists()


def test_what_is_committed_and_not_published_is_counted_and_left_so(node: Node) -> None:
    with node.database.write() as tx:
        node.evidence.append(tx, "token.issued", "t9", {"token": "t9"})
    assert about("log", node).found.en == "7 entries, all verified and equal to the database; 1 more to be published"
    assert node.evidence.checkpoint().size == 7


def test_a_key_that_is_gone_is_to_be_restored_and_not_made_again(node: Node) -> None:
    (node.folder / KEYS / "node.key").unlink()
    (found,) = examine(node.folder)
    assert (found.bad, found.about.en) == (True, "node")
    assert found.remedy.en.startswith("Restore node.key from your backup")
    assert "node init" not in found.remedy.en
