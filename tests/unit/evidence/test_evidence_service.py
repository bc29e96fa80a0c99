"""Appending, publishing and proving."""

import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chengshu.evidence.model import KINDS, MAX_ENTRY_BYTES, parse_entry
from chengshu.evidence.storage.files import FileTiles
from chengshu.evidence.verify import verify_log
from chengshu.kernel.errors import Invalid, NotFound, Tampered, Unavailable


def test_an_entry_is_canonical_json_with_five_fields(log: Any) -> None:
    log.append(("product.published", {"product": "p", "digest": "sha256:00"}))
    (entry,) = log.evidence.entries(0, 10)
    expected = (
        b'{"at":"2026-03-01T08:00:00.000Z","body":{"digest":"sha256:00","product":"p"},'
        b'"kind":"product.published","subject":"urn:about:product.published","v":1}'
    )
    assert entry.data == expected
    assert (entry.index, entry.title.zh) == (0, "数据产品发布")


def test_entries_are_numbered_from_zero_and_listed_by_half_open_ranges(log: Any) -> None:
    log.fill(5)
    assert [entry.index for entry in log.evidence.entries(1, 4)] == [1, 2, 3]
    assert log.evidence.size() == 5


def test_an_act_that_is_rolled_back_leaves_no_entry_and_no_gap(log: Any) -> None:
    def failing_act() -> None:
        with log.database.write() as tx:
            assert log.evidence.append(tx, "node.started", "s", {}) == 1
            raise RuntimeError("the act failed")

    log.fill(1)
    with pytest.raises(RuntimeError):
        failing_act()
    log.fill(1)
    assert [entry.kind for entry in log.evidence.entries(0, 9)] == ["token.issued", "token.issued"]


def test_a_kind_that_the_registry_does_not_know_is_invalid(log: Any) -> None:
    with pytest.raises(Invalid) as caught, log.database.write() as tx:
        log.evidence.append(tx, "product.guessed", "s", {})
    assert caught.value.code == "evidence.kind"


def test_an_entry_without_a_subject_is_invalid(log: Any) -> None:
    with pytest.raises(Invalid) as caught, log.database.write() as tx:
        log.evidence.append(tx, "node.started", "", {})
    assert caught.value.code == "evidence.subject"


def test_the_largest_entry_fits_and_one_byte_more_is_invalid(log: Any) -> None:
    log.append(("node.started", {"x": ""}))
    room = MAX_ENTRY_BYTES - len(log.evidence.entries(0, 1)[0].data)
    log.append(("node.started", {"x": "a" * room}))
    assert log.evidence.publish().size == 2
    assert verify_log(log.folder, log.evidence.vkey).checkpoint.size == 2
    with pytest.raises(Invalid) as caught, log.database.write() as tx:
        log.evidence.append(tx, "node.started", "urn:about:node.started", {"x": "a" * (room + 1)})
    assert caught.value.code == "evidence.entry-size"


def test_every_kind_of_the_registry_can_be_appended_and_read_back(log: Any) -> None:
    log.append(*((kind, {}) for kind in KINDS))
    assert [entry.kind for entry in log.evidence.entries(0, 100)] == list(KINDS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b'{"v":2,"kind":"a","subject":"s","at":"2026-03-01T08:00:00.000Z","body":{}}',
        b'{"v":1,"kind":"a","subject":"s","at":"yesterday","body":{}}',
        b'{"v":1,"kind":"a","subject":"s","at":"2026-03-01T08:00:00.000","body":{}}',
        b'{"v":1,"kind":"a","subject":"s","at":"2026-03-01T08:00:00.000Z","body":[]}',
        b'{"v":1,"kind":"a","kind":"b","subject":"s","at":"2026-03-01T08:00:00.000Z","body":{}}',
    ],
)
def test_bytes_that_are_no_entry_are_invalid(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        parse_entry(3, data)
    assert caught.value.facts == {"index": 3}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def without_dots(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if not path.startswith(".")}


def test_the_published_files_are_those_of_the_standard(log: Any) -> None:
    log.fill(258)
    log.evidence.publish()
    expected = {
        ".publish.lock",
        "checkpoint",
        "log.vkey",
        "tile/0/000",
        "tile/0/001.p/2",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/2",
    }
    assert set(files_of(log.folder)) == expected


def test_publishing_twice_changes_nothing(log: Any) -> None:
    log.fill(3)
    first = log.evidence.publish()
    before = files_of(log.folder)
    assert log.evidence.publish() == first
    assert files_of(log.folder) == before


def test_an_empty_log_publishes_the_empty_root(log: Any) -> None:
    assert log.evidence.publish().size == 0
    assert verify_log(log.folder, log.evidence.vkey).kinds == {}


def test_partial_tiles_of_earlier_checkpoints_stay_until_the_full_one_is_there(log: Any) -> None:
    for _ in range(2):
        log.fill(100)
        log.evidence.publish()
    assert {"tile/0/000.p/100", "tile/0/000.p/200", "tile/entries/000.p/100"} <= set(files_of(log.folder))
    log.fill(100)
    log.evidence.publish()
    assert not [path for path in files_of(log.folder) if path.startswith(("tile/0/000.p", "tile/entries/000.p"))]
    assert verify_log(log.folder, log.evidence.vkey).checkpoint.size == 300


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from([0, 1, 2, 17, 255, 256, 257]), min_size=1, max_size=5), data=st.data())
def test_a_log_published_in_any_steps_verifies_and_proves_itself(
    tmp_path_factory: pytest.TempPathFactory, new_log: Callable[[Path], Any], steps: list[int], data: st.DataObject
) -> None:
    log = new_log(tmp_path_factory.mktemp("steps"))
    sizes = []
    for step in steps:
        log.fill(step)
        sizes.append(log.evidence.publish().size)
    checkpoint = log.evidence.checkpoint()
    assert verify_log(log.folder, log.evidence.vkey).checkpoint == checkpoint
    for old in sizes:
        proof = log.evidence.consistency(old, checkpoint.size)
        assert proof.holds
        assert proof.new_root == checkpoint.root
    if checkpoint.size:
        index = data.draw(st.integers(0, checkpoint.size - 1))
        inclusion = log.evidence.inclusion(index)
        assert inclusion.holds
        assert inclusion.leaf == log.evidence.entries(index, index + 1)[0].leaf(inclusion.checkpoint.hashing)


def test_what_is_not_published_yet_has_no_proof(log: Any) -> None:
    with pytest.raises(NotFound):
        log.evidence.inclusion(0)
    log.fill(2)
    log.evidence.publish()
    log.fill(1)
    for ask in (lambda: log.evidence.inclusion(2), lambda: log.evidence.inclusion(-1), lambda: log.evidence.consistency(1, 3)):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(Invalid):
        log.evidence.consistency(2, 1)


def test_publication_interrupted_after_any_file_leaves_a_log_that_verifies_and_goes_on(log: Any) -> None:
    log.fill(250)
    log.evidence.publish()
    before = files_of(log.folder)
    log.fill(270)
    finished = log.evidence.publish()
    after = files_of(log.folder)
    fresh = sorted(set(after) - set(before), key=lambda path: (log.folder / path).stat().st_mtime_ns)
    assert len(fresh) == 7
    for count in range(len(fresh) + 1):
        shutil.rmtree(log.folder)
        torn = {".partly-written": b"half of a fi"}
        for path, data in (before | {path: after[path] for path in fresh[:count]} | torn).items():
            (log.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (log.folder / path).write_bytes(data)
        interrupted = verify_log(log.folder, log.evidence.vkey)
        assert interrupted.checkpoint.size == 250
        assert len(interrupted.unsigned_files) == count
        assert log.evidence.publish() == finished
        assert without_dots(files_of(log.folder)) == without_dots(after)
        assert verify_log(log.folder, log.evidence.vkey).unsigned_files == ()


def test_a_disk_that_takes_no_more_leaves_the_last_checkpoint_good(log: Any) -> None:
    log.fill(3)
    first = log.evidence.publish()
    log.append(*(("node.started", {"x": "a" * 1000}) for _ in range(100)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(Unavailable) as caught:
            log.evidence.publish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.facts == {"file": "tile/entries/000.p/103"}
    assert verify_log(log.folder, log.evidence.vkey).checkpoint == first
    assert log.evidence.publish().size == 103


def test_a_tampered_edge_is_never_signed_over(log: Any) -> None:
    log.fill(3)
    log.evidence.publish()
    tile = log.folder / "tile/0/000.p/3"
    tile.write_bytes(bytes(96))
    log.fill(1)
    before = (log.folder / "checkpoint").read_bytes()
    with pytest.raises(Tampered):
        log.evidence.publish()
    with pytest.raises(Tampered):
        log.evidence.inclusion(0)
    assert (log.folder / "checkpoint").read_bytes() == before
    tile.write_bytes(b"")
    with pytest.raises(Tampered) as caught:
        log.evidence.publish()
    assert caught.value.facts == {"file": "tile/0/000.p/3"}


def test_a_clock_that_goes_backwards_does_not_disturb_the_order(log: Any, new_log: Callable[[Path], Any]) -> None:
    log.fill(2)
    again = new_log(log.folder.parent)  # its clock starts anew, before the last entry
    again.fill(1)
    times = [entry.at for entry in log.evidence.entries(0, 3)]
    assert times[2] < times[1]
    assert again.evidence.publish().size == 3
    assert verify_log(log.folder, log.evidence.vkey).checkpoint.size == 3


def test_many_entries_at_once_are_numbered_in_their_order_and_after_those_before(log: Any) -> None:
    log.fill(3)
    with log.database.write() as tx:
        indices = log.evidence.append_many(tx, (("use.metered", f"s{n}", {"n": n}) for n in range(2500)))
        assert log.evidence.append(tx, "node.started", "last", {}) == 2503
    assert indices == range(3, 2503)
    entries = log.evidence.entries(0, 3000)
    assert [entry.subject for entry in entries[3:]] == [*(f"s{n}" for n in range(2500)), "last"]
    assert len({entry.at for entry in entries[3:-1]}) == 1
    assert log.evidence.publish().size == 2504
    assert verify_log(log.folder, log.evidence.vkey).kinds == {"token.issued": 3, "use.metered": 2500, "node.started": 1}


def test_one_bad_entry_among_many_leaves_none_of_them(log: Any) -> None:
    log.fill(1)
    with pytest.raises(Invalid) as caught, log.database.write() as tx:
        log.evidence.append_many(tx, ((kind, "s", {}) for kind in ["node.started"] * 1500 + ["node.guessed"]))
    assert caught.value.code == "evidence.kind"
    assert log.evidence.size() == 1


def test_nothing_at_once_is_nothing(log: Any) -> None:
    with log.database.write() as tx:
        assert log.evidence.append_many(tx, ()) == range(0)
    assert log.evidence.size() == 0


def test_a_key_line_that_was_lost_comes_back_though_nothing_was_appended(log: Any) -> None:
    log.fill(1)
    log.evidence.publish()
    (log.folder / "log.vkey").unlink()
    log.evidence.publish()
    assert (log.folder / "log.vkey").read_text(encoding="utf-8") == f"{log.evidence.vkey}\n"


def test_files_are_in_place_when_publishing_has_been_left_well_and_the_last_of_one_name_wins(tmp_path: Path) -> None:
    files = FileTiles(tmp_path)
    with files.publishing():
        for data in (b"one", b"two"):
            files.write("a/b", data)
    assert files.read("a/b") == b"two"


def test_files_that_an_exception_left_unflushed_are_not_put_in_place(tmp_path: Path) -> None:
    files = FileTiles(tmp_path)
    with pytest.raises(KeyError), files.publishing():
        files.write("kept", b"1")
        files.flush()
        files.write("lost", b"2")
        raise KeyError("leaving")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".publish.lock", "kept"]
