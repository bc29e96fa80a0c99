"""Attacks on a log: flipped bytes, torn files, removed, reordered and forged entries, killed and competing writers."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, update

from chengshu.evidence import store
from chengshu.evidence.service import Evidence
from chengshu.evidence.tiles import Frontier, decode_bundle, encode_bundle
from chengshu.evidence.tree import TreeHash
from chengshu.evidence.verify import verify_log
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import ChengshuError, Tampered
from databases import database_at

KEY_SEED = bytes(range(32))
SHA256 = TreeHash(INTERNATIONAL.new_hash)
SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(KEY_SEED))
ORIGIN = "node.example/log"


def open_log(root: Path) -> tuple[Database, Evidence]:
    database = database_at(root / "node.sqlite")
    metadata.create_all(database.engine)
    return database, Evidence(database, SIGNER, ORIGIN, root / "log", lambda: datetime(2026, 3, 1, tzinfo=UTC))


def fill(database: Database, evidence: Evidence, count: int) -> None:
    with database.write() as tx:
        for number in range(count):
            evidence.append(tx, "token.issued", f"t{number}", {"n": number})


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, str]:
    """A log of five entries with the tiles of an earlier checkpoint of three, and its key."""
    database, evidence = open_log(tmp_path)
    for count in (3, 2):
        fill(database, evidence, count)
        evidence.publish()
    return tmp_path / "log", evidence.vkey


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A log of 600 entries, three bundles and two levels of tiles, and its key."""
    root = tmp_path_factory.mktemp("large")
    database, evidence = open_log(root)
    fill(database, evidence, 600)
    evidence.publish()
    return root / "log", evidence.vkey


@pytest.fixture
def copied(large: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(large[0], tmp_path / "log")
    return tmp_path / "log", large[1]


def log_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
@pytest.mark.parametrize("with_key", ["trusted key", "key from the folder"])
def test_every_flipped_byte_of_every_file_is_found_and_the_file_is_named(small: tuple[Path, str], mask: int, with_key: str) -> None:
    folder, vkey = small
    given = vkey if with_key == "trusted key" else None
    assert len(log_files(folder)) == 6
    for path in log_files(folder):
        good = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for place in range(len(good)):
            path.write_bytes(good[:place] + bytes([good[place] ^ mask]) + good[place + 1 :])
            with pytest.raises(Tampered) as caught:
                verify_log(folder, given)
            assert caught.value.facts["file"] == name
        path.write_bytes(good)
    assert verify_log(folder, given).checkpoint.size == 5


def test_a_flipped_byte_in_an_entry_names_that_entry(small: tuple[Path, str]) -> None:
    folder, vkey = small
    bundle = folder / "tile/entries/000.p/5"
    good = bundle.read_bytes()
    entries, _ = decode_bundle(good)
    place = 0
    for index, entry in enumerate(entries):
        for _ in range(2 + len(entry)):
            bundle.write_bytes(good[:place] + bytes([good[place] ^ 0x04]) + good[place + 1 :])
            with pytest.raises(Tampered) as caught:
                verify_log(folder, vkey)
            assert caught.value.facts == {"file": "tile/entries/000.p/5", "index": index}
            place += 1


def test_a_file_cut_short_anywhere_is_found(small: tuple[Path, str]) -> None:
    folder, vkey = small
    for path in log_files(folder):
        good = path.read_bytes()
        for length in range(len(good)):
            path.write_bytes(good[:length])
            with pytest.raises(Tampered) as caught:
                verify_log(folder, vkey)
            assert caught.value.facts["file"] == path.relative_to(folder).as_posix()
        path.write_bytes(good + b"\n")
        with pytest.raises(Tampered):
            verify_log(folder, vkey)
        path.write_bytes(good)


def test_a_file_taken_away_is_missed(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    for path in log_files(folder):
        good = path.read_bytes()
        path.unlink()
        if path.name == "log.vkey":  # only a convenience: the trusted key was given
            assert verify_log(folder, vkey).checkpoint.size == 600
        else:
            with pytest.raises(ChengshuError) as caught:
                verify_log(folder, vkey)
            assert caught.value.facts["file"] == path.relative_to(folder).as_posix()
        path.write_bytes(good)


def test_a_file_that_does_not_belong_is_named(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    (folder / "tile/0/notes.txt").write_bytes(b"")
    with pytest.raises(Tampered) as caught:
        verify_log(folder, vkey)
    assert caught.value.facts == {"file": "tile/0/notes.txt"}


def removed(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], *entries[45:]]


def reordered(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], entries[45], entries[44], *entries[46:]]


def forged(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], entries[44].replace(b"token.issued", b"token.refused"), *entries[45:]]


def inserted(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], entries[3], *entries[44:]]


ATTACKS = [removed, reordered, forged, inserted]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_the_entries_names_the_first_bad_one(copied: tuple[Path, str], attack: Callable[[list[bytes]], list[bytes]]) -> None:
    folder, vkey = copied
    bundle = folder / "tile/entries/001"
    bundle.write_bytes(encode_bundle(attack(decode_bundle(bundle.read_bytes())[0])))
    with pytest.raises(Tampered) as caught:
        verify_log(folder, vkey)
    assert caught.value.facts == {"file": "tile/entries/001", "index": 300}


@pytest.mark.parametrize("attack", [reordered, forged])
def test_an_attack_on_entries_and_their_tile_together_is_found(
    copied: tuple[Path, str], attack: Callable[[list[bytes]], list[bytes]]
) -> None:
    folder, vkey = copied
    bundle, tile = folder / "tile/entries/001", folder / "tile/0/001"
    entries = attack(decode_bundle(bundle.read_bytes())[0])
    bundle.write_bytes(encode_bundle(entries))
    tile.write_bytes(b"".join(SHA256.leaf(entry) for entry in entries))
    with pytest.raises(Tampered) as caught:
        verify_log(folder, vkey)
    assert caught.value.facts == {"file": "checkpoint"}
    assert "tile/1/000.p/2" in caught.value.message


def test_history_rewritten_in_every_file_does_not_fit_the_signed_root(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    frontier = Frontier(0, [], SHA256)
    for name in ("000", "001", "002.p/88"):
        bundle = folder / "tile/entries" / name
        entries = forged(decode_bundle(bundle.read_bytes())[0])
        bundle.write_bytes(encode_bundle(entries))
        for entry in entries:
            for tile in frontier.push(SHA256.leaf(entry)):
                (folder / tile.name.path).write_bytes(tile.data)
    for tile in frontier.partials():
        (folder / tile.name.path).write_bytes(tile.data)
    with pytest.raises(Tampered) as caught:
        verify_log(folder, vkey)
    assert caught.value.facts == {"file": "checkpoint"}


def test_history_rewritten_with_a_new_key_does_not_pass_for_the_old_log(copied: tuple[Path, str], tmp_path: Path) -> None:
    folder, vkey = copied
    database = database_at(tmp_path / "other.sqlite")
    metadata.create_all(database.engine)
    other = Evidence(database, MemorySigner.generate(), ORIGIN, tmp_path / "other", lambda: datetime(2026, 3, 1, tzinfo=UTC))
    fill(database, other, 5)
    other.publish()
    assert verify_log(tmp_path / "other").checkpoint.size == 5
    with pytest.raises(Tampered):
        verify_log(tmp_path / "other", vkey)
    shutil.copy(tmp_path / "other/checkpoint", folder / "checkpoint")
    with pytest.raises(Tampered) as caught:
        verify_log(folder, vkey)
    assert caught.value.facts == {"file": "checkpoint"}


def test_a_publisher_does_not_sign_over_another_keys_checkpoint(tmp_path: Path) -> None:
    database, evidence = open_log(tmp_path)
    fill(database, evidence, 2)
    evidence.publish()
    usurper = Evidence(database, MemorySigner.generate(), ORIGIN, tmp_path / "log", lambda: datetime(2026, 3, 1, tzinfo=UTC))
    with pytest.raises(Tampered):
        usurper.publish()
    assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == 2


@pytest.mark.parametrize("place", [1, 3])
def test_a_database_changed_after_it_was_signed_is_not_signed_again(tmp_path: Path, place: int) -> None:
    database, evidence = open_log(tmp_path)
    fill(database, evidence, 4)
    evidence.publish()
    table = store.evidence_entries
    with database.write() as tx:
        tx.execute(update(table).where(table.c.index == place).values(data=b"{}"))
        evidence.append(tx, "token.issued", "one more", {})
    with pytest.raises(Tampered) as caught:
        evidence.publish()
    assert caught.value.facts == {"index": place}
    assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == 4


@pytest.mark.parametrize(("lost", "index"), [(2, 2), (3, 3)])
def test_a_database_that_lost_an_entry_is_not_signed_again(tmp_path: Path, lost: int, index: int) -> None:
    database, evidence = open_log(tmp_path)
    fill(database, evidence, 4)
    evidence.publish()
    table = store.evidence_entries
    with database.write() as tx:
        tx.execute(delete(table).where(table.c.index == lost))
    if lost < 3:
        fill(database, evidence, 1)
    with pytest.raises(Tampered) as caught:
        evidence.publish()
    assert caught.value.facts == {"index": index}


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from databases import database_at

root, name, count, publish_every = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
signer = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
database = database_at(root / "node.sqlite")
evidence = Evidence(database, signer, "node.example/log", root / "log", lambda: datetime.now(UTC))
for number in range(count):
    with database.write() as tx:
        index = evidence.append(tx, "token.issued", f"{name}-{number}", {"n": number})
    print(index, f"{name}-{number}", flush=True)
    if number % publish_every == 0:
        evidence.publish()
"""


def writer(root: Path, name: str, *, count: int, publish_every: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(root), name, str(count), str(publish_every)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(lines: list[str]) -> dict[int, str]:
    return {int(index): subject for index, subject in (line.split() for line in lines if line.endswith("\n"))}


def test_a_writer_killed_again_and_again_loses_no_acknowledged_entry(tmp_path: Path) -> None:
    _, evidence = open_log(tmp_path)
    seen: dict[int, str] = {}
    for life, acts in enumerate([1, 7, 40, 90]):
        with writer(tmp_path, f"life{life}", count=100_000, publish_every=3) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(acts)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        assert process.returncode == -signal.SIGKILL
        seen |= acknowledged(lines)
        kept = {entry.index: entry.subject for entry in evidence.entries(0, 100_000)}
        assert sorted(kept) == list(range(len(kept)))
        assert seen.items() <= kept.items()
        if (tmp_path / "log/checkpoint").exists():  # as the dead left it
            verify_log(tmp_path / "log", evidence.vkey)
        assert evidence.publish().size == len(kept)
        assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == len(kept)
    assert len(seen) >= 138


def test_two_processes_that_append_and_publish_at_once_give_one_log_without_a_gap(tmp_path: Path) -> None:
    _, evidence = open_log(tmp_path)
    with writer(tmp_path, "left", count=60, publish_every=7) as left, writer(tmp_path, "right", count=60, publish_every=5) as right:
        outputs = [process.communicate()[0].splitlines(keepends=True) for process in (left, right)]
    assert (left.returncode, right.returncode) == (0, 0)
    one, other = (acknowledged(lines) for lines in outputs)
    assert sorted([*one, *other]) == list(range(120))
    assert {entry.index: entry.subject for entry in evidence.entries(0, 200)} == one | other
    evidence.publish()
    assert verify_log(tmp_path / "log", evidence.vkey).kinds == {"token.issued": 120}


def test_the_fixture_log_is_what_the_attacks_think_it_is(large: tuple[Path, str]) -> None:
    folder, vkey = large
    names = [path.relative_to(folder).as_posix() for path in log_files(folder)]
    tiles = ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    assert names == ["checkpoint", "log.vkey", *tiles, "tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"]
    assert verify_log(folder, vkey).kinds == {"token.issued": 600}
