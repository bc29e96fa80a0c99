"""Everything that is wrong with a log's files is listed, with its byte and its entry, and what is still proved is said."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handed_over import ACTS, hand_over

from chengshu.evidence.__main__ import main
from chengshu.evidence.inspecting.inspection import MAX_PROBLEMS, inspect
from chengshu.evidence.tiles import decode_bundle, encode_bundle
from chengshu.evidence.tree import TreeHash
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import NotFound


@pytest.fixture
def small(log: Any) -> tuple[Path, str]:
    """A log of five entries with the tiles of an earlier checkpoint of three."""
    for count in (3, 2):
        log.fill(count)
        log.evidence.publish()
    return log.folder, log.evidence.vkey


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    handed = hand_over(tmp_path_factory.mktemp("big"), fill=800 - len(ACTS))
    return handed.folder, handed.vkey


@pytest.fixture
def copied(big: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(big[0], tmp_path / "copy")
    return tmp_path / "copy", big[1]


def flip(path: Path, place: int, mask: int = 0x20) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :])


def test_a_sound_log_has_no_problem_and_every_entry_is_proved(copied: tuple[Path, str]) -> None:
    seen: list[tuple[int, int]] = []
    found = inspect(copied[0], copied[1], progress=lambda done, total: seen.append((done, total)))
    assert (found.holds, found.proved, found.size, found.unproved, found.unsigned_files) == (True, 800, 800, (), ())
    assert seen == [(256, 800), (512, 800), (768, 800), (800, 800)]


@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_every_flipped_byte_of_every_file_is_named_with_its_file_and_byte(small: tuple[Path, str], mask: int) -> None:
    folder, vkey = small
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    assert len(files) == 6
    for path in files:
        good = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for place in range(0, len(good), 7 if name.startswith("tile") else 61):  # every byte is looked for in the same way
            flip(path, place, mask)
            found = inspect(folder, vkey)
            assert [(one.file, one.offset, one.exact) for one in found.problems] == [(name, place, True)]
            path.write_bytes(good)
    assert inspect(folder, vkey).holds


def test_a_flipped_byte_of_an_entry_costs_that_entry_and_no_other(small: tuple[Path, str]) -> None:
    folder, vkey = small
    bundle = folder / "tile/entries/000.p/5"
    good = bundle.read_bytes()
    entries, _ = decode_bundle(good)
    start = 0
    for index, entry in enumerate(entries):
        for inside in range(0, 2 + len(entry), 9):
            place = start + inside
            flip(bundle, place, 0x04)
            found = inspect(folder, vkey)
            assert [(one.index, one.offset) for one in found.problems] == [(index, place)]
            assert found.unproved == (() if inside < 2 else ((index, index),))
            bundle.write_bytes(good)
        start += 2 + len(entry)


def test_many_things_that_are_wrong_are_all_listed(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    flip(folder / "tile/entries/000", 100)
    flip(folder / "tile/entries/002", 5000)
    flip(folder / "tile/0/001", 3 * 32 + 7)
    flip(folder / "tile/0/003.p/32", 40)
    (folder / "tile/0/notes.txt").write_bytes(b"")
    (folder / "tile/entries/001").unlink()
    found = inspect(folder, vkey)
    assert [(one.file, one.offset, one.index) for one in found.problems] == [
        ("tile/entries/000", 100, 0),
        ("tile/0/001", None, 256),  # its entries are gone as well, so which of its hashes is bad cannot be told
        ("tile/entries/002", 5000, found.problems[2].index),
        ("tile/0/003.p/32", 40, 769),
        ("tile/0/notes.txt", 0, None),
    ]
    assert found.unproved == ((0, 0), (256, 511), (found.problems[2].index, found.problems[2].index))
    assert found.proved == 800 - 258


def test_a_bad_tile_is_told_from_the_entries_below_it(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    for name, place, entry in (("tile/0/001", 3 * 32 + 7, 259), ("tile/1/000.p/3", 2 * 32, 512), ("tile/0/003.p/32", 40, 769)):
        good = (folder / name).read_bytes()
        flip(folder / name, place)
        found = inspect(folder, vkey)
        assert [(one.file, one.offset, one.index, one.exact) for one in found.problems] == [(name, place, entry, True)]
        assert (found.holds, found.proved) == (False, 800)
        (folder / name).write_bytes(good)


def removed(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], *entries[45:]]


def reordered(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], entries[45], entries[44], *entries[46:]]


def forged(entries: list[bytes]) -> list[bytes]:
    return [*entries[:44], entries[44].replace(b"token.issued", b"token.refused"), *entries[45:]]


@pytest.mark.parametrize(("attack", "unproved"), [(removed, ((300, 300),)), (reordered, ((300, 300),)), (forged, ((300, 300),))])
def test_an_attack_on_the_entries_costs_only_the_entries_attacked(
    copied: tuple[Path, str], attack: Callable[[list[bytes]], list[bytes]], unproved: tuple[tuple[int, int], ...]
) -> None:
    folder, vkey = copied
    bundle = folder / "tile/entries/001"
    bundle.write_bytes(encode_bundle(attack(decode_bundle(bundle.read_bytes())[0])))
    found = inspect(folder, vkey)
    assert not found.holds
    assert found.problems[0].index == 300
    assert found.unproved == unproved


def test_history_rewritten_in_entries_and_tile_together_costs_that_bundle(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    bundle, tile = folder / "tile/entries/001", folder / "tile/0/001"
    entries = forged(decode_bundle(bundle.read_bytes())[0])
    bundle.write_bytes(encode_bundle(entries))
    tile.write_bytes(b"".join(TreeHash(INTERNATIONAL.new_hash).leaf(entry) for entry in entries))
    found = inspect(folder, vkey)
    assert [(one.file, one.index) for one in found.problems] == [("tile/0/001", 256)]
    assert found.unproved == ((256, 511),)


def test_a_file_cut_short_or_gone_is_named(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != "log" and path.name not in {"checkpoint", "log.vkey"} and not path.name.startswith("."):
            good = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            path.write_bytes(good[:-1])
            assert name in {one.file for one in inspect(folder, vkey).problems}
            path.unlink()
            assert (name, 0) in {(one.file, one.offset) for one in inspect(folder, vkey).problems}
            path.write_bytes(good)


def test_another_logs_checkpoint_proves_nothing(copied: tuple[Path, str], new_log: Any, tmp_path: Path) -> None:
    folder, vkey = copied
    other = new_log(tmp_path)
    other.append(("alert.raised", {"alert": "a"}))
    other.evidence.publish()
    shutil.copy(other.folder / "checkpoint", folder / "checkpoint")
    found = inspect(folder, vkey)
    assert (found.holds, found.proved) == (False, 0)
    shutil.rmtree(folder)
    with pytest.raises(NotFound):
        inspect(folder, vkey)


def test_the_list_is_bounded_and_says_how_many_more(copied: tuple[Path, str]) -> None:
    folder, vkey = copied
    for number in range(MAX_PROBLEMS + 7):
        (folder / f"tile/0/note{number}.txt").write_bytes(b"")
    found = inspect(folder, vkey)
    assert (len(found.problems), found.more) == (MAX_PROBLEMS, 7)


def test_the_command_lists_and_leaves_with_one(copied: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = copied
    assert main(["fsck", str(folder)]) == 0
    flip(folder / "tile/entries/000", 100)
    assert main(["fsck", str(folder), "--lang", "zh"]) == 1
    assert "第 100 字节" in capsys.readouterr().out
