"""Attacks on what is handed over: flipped bytes, forged, removed and reordered entries, moved receipts, other documents, hostile zips."""

import shutil
import stat
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "unit/evidence"))
from handed_over import Handed, hand_over, sign_again, unzip

from chengshu.evidence.examine import examine
from chengshu.evidence.packs.pack import verify_pack
from chengshu.evidence.packs.unpack import unpacked
from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import ChengshuError, Invalid, Tampered


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    return hand_over(tmp_path_factory.mktemp("handed"))


@pytest.fixture(scope="module")
def made(handed: Handed) -> Path:
    handed.exports.pack("job-1", handed.folder.parent / "case.zip", whole_log=True)
    handed.exports.use_proof("counts", "job-1", handed.folder.parent / "use.cose")
    return handed.folder.parent


@pytest.fixture
def pack(made: Path, tmp_path: Path) -> Path:
    return unzip(made / "case.zip", tmp_path / "case")


@pytest.mark.parametrize("with_key", ["trusted key", "key from the pack"])
def test_every_flipped_byte_of_every_evidence_file_of_a_pack_is_found_and_the_file_named(handed: Handed, pack: Path, with_key: str) -> None:
    vkey = handed.vkey if with_key == "trusted key" else None
    names = ["checkpoint", "log.vkey", "pack", "files.txt"]
    names += [path.relative_to(pack).as_posix() for path in sorted(pack.glob("entries/*12*")) + sorted(pack.glob("documents/*"))]
    for name in names:
        good = (pack / name).read_bytes()
        for place in range(0, len(good), 3):
            (pack / name).write_bytes(good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :])
            with pytest.raises(Tampered) as caught:
                verify_pack(pack, vkey)
            assert caught.value.facts["file"] == name
        (pack / name).write_bytes(good)
    assert verify_pack(pack, vkey).holds


def test_a_flipped_byte_of_any_file_at_all_is_found(handed: Handed, pack: Path) -> None:
    for path in sorted(path for path in pack.rglob("*") if path.is_file()):
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 0x40]))
        with pytest.raises(Tampered) as caught:
            verify_pack(pack, handed.vkey)
        assert caught.value.facts["file"] == path.relative_to(pack).as_posix()
        path.write_bytes(good)


def test_every_flipped_byte_of_a_proof_of_use_is_found(handed: Handed, made: Path, tmp_path: Path) -> None:
    good = (made / "use.cose").read_bytes()
    target = tmp_path / "use.cose"
    for place in range(0, len(good), 2):
        target.write_bytes(good[:place] + bytes([good[place] ^ 0x21]) + good[place + 1 :])
        with pytest.raises(ChengshuError) as caught:
            examine(target, handed.vkey)
        assert "use.cose" in str(caught.value.facts.get("file", "use.cose"))
    place = good.index(b'"kind":"use.metered"')
    target.write_bytes(good[:place] + good[place:].replace(b"use.metered", b"use.meterex", 1))
    with pytest.raises(Tampered) as caught:
        examine(target, handed.vkey)
    assert caught.value.facts == {"file": "use.cose, entry 6 of 8"}


def forged(pack: Path) -> str:
    entry = pack / "entries/000000012.json"
    entry.write_bytes(entry.read_bytes().replace(b'"uses":1', b'"uses":9'))
    return "entries/000000012.tlog-proof"


def reordered(pack: Path) -> str:
    one, other = pack / "entries/000000007.json", pack / "entries/000000012.json"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    return "entries/000000007.tlog-proof"


def removed(pack: Path) -> str:
    for path in pack.glob("entries/000000012.*"):
        path.unlink()
    return "entries/000000012.json"


def moved_whole(pack: Path) -> str:
    for ending in ("json", "cose", "tlog-proof"):
        shutil.copy(pack / f"entries/000000012.{ending}", pack / f"entries/000000009.{ending}")
    return "entries/000000009.tlog-proof"


def moved_receipt(pack: Path) -> str:
    shutil.copy(pack / "entries/000000012.cose", pack / "entries/000000007.cose")
    return "entries/000000007.cose"


def receipt_without_entry(pack: Path) -> str:
    shutil.copy(pack / "entries/000000012.cose", pack / "entries/000000002.cose")
    return "entries/000000002.cose"


def other_policy(pack: Path) -> str:
    data = canonical({"@type": "Agreement", "permission": [{"action": "use", "more": "than was agreed"}]})
    name = f"documents/{sha256(data).hexdigest()}.json"
    (pack / name).write_bytes(data)
    return name


def swapped_policy(pack: Path) -> str:
    one, other = sorted(pack.glob("documents/*"))
    one.write_bytes(other.read_bytes())
    return one.relative_to(pack).as_posix()


def foreign_entry(pack: Path) -> str:
    (pack / "entries/readme.txt").write_bytes(b"believe me")
    return "entries/readme.txt"


@pytest.mark.parametrize(
    "attack",
    [forged, reordered, removed, moved_whole, moved_receipt, receipt_without_entry, other_policy, swapped_policy, foreign_entry],
)
@pytest.mark.parametrize("signed", ["as it was signed", "signed again with the log's own key"])
def test_an_attack_on_a_pack_is_found_and_the_file_named(handed: Handed, pack: Path, attack: Callable[[Path], str], signed: str) -> None:
    name = attack(pack)
    if signed != "as it was signed":
        sign_again(pack)
    with pytest.raises(Tampered) as caught:
        verify_pack(pack, handed.vkey)
    if signed != "as it was signed":
        assert caught.value.facts["file"] == name


def test_an_entry_of_another_case_does_not_belong_in_the_pack(handed: Handed, pack: Path, tmp_path: Path) -> None:
    handed.exports.pack("permit-1", tmp_path / "other.zip")
    other = unzip(tmp_path / "other.zip", tmp_path / "other")
    for path in other.glob("entries/000000015.*"):
        shutil.copy(path, pack / "entries" / path.name)
    sign_again(pack)
    with pytest.raises(Tampered) as caught:
        verify_pack(pack, handed.vkey)
    assert caught.value.facts == {"file": "entries/000000015.json"}


def test_without_the_whole_log_a_removed_entry_shows_only_in_what_is_not_proved(handed: Handed, pack: Path) -> None:
    removed(pack)
    shutil.rmtree(pack / "log")
    sign_again(pack)
    words = " ".join(verify_pack(pack, handed.vkey).words("en"))
    assert "Not proved: that the pack holds every entry about the case" in words


def test_history_rewritten_under_a_new_key_does_not_pass_where_the_old_key_is_known(handed: Handed, tmp_path: Path) -> None:
    other = hand_over(tmp_path / "other", signer=MemorySigner.generate())
    other.exports.pack("job-1", tmp_path / "case.zip", whole_log=True)
    other.exports.use_proof("counts", "job-1", tmp_path / "use.cose")
    for name in ("case.zip", "use.cose"):
        assert examine(tmp_path / name).holds
        with pytest.raises(Tampered):
            examine(tmp_path / name, handed.vkey)


def test_a_file_beside_the_pack_is_not_judged_and_said_so(handed: Handed, pack: Path) -> None:
    (pack / "judgement.pdf").write_bytes(b"%PDF")
    verdict = verify_pack(pack, handed.vkey)
    assert verdict.unlisted == ("judgement.pdf",)
    assert any("Not judged: 1 file(s) that the pack does not list" in words for words in verdict.words("en"))


def hostile(path: Path, name: str, data: bytes = b"x", *, mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, data, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/outside", "entries/../../outside", "C:\\outside", "a//b", ".hidden", "entries/\u202etxt", "a" * 300, "con:1"],
)
def test_a_name_that_could_lead_out_of_the_folder_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        examine(hostile(tmp_path / "case.zip", name))
    assert caught.value.code == "evidence.zip"
    assert str(caught.value.facts["file"]) == ascii(name)[:120]
    assert not (tmp_path.parent / "outside").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        examine(hostile(tmp_path / "case.zip", "checkpoint", b"/etc/passwd", mode=stat.S_IFLNK | 0o777))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        archive.writestr("checkpoint", b"one")
        archive.writestr("Checkpoint", b"two")
    with pytest.raises(Invalid):
        examine(tmp_path / "case.zip")


def test_a_zip_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    bomb = hostile(tmp_path / "case.zip", "checkpoint", bytes(8 << 20))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(Invalid) as caught, unpacked(bomb, limit=1 << 20):
        pass
    assert caught.value.facts == {"file": "'checkpoint'"}


def test_a_zip_cut_short_is_refused(made: Path, tmp_path: Path) -> None:
    good = (made / "case.zip").read_bytes()
    for length in (4, len(good) // 2, len(good) - 1):
        (tmp_path / "case.zip").write_bytes(good[:length])
        with pytest.raises(ChengshuError):
            examine(tmp_path / "case.zip")


def test_a_pack_that_fails_its_own_check_is_never_written(tmp_path: Path) -> None:
    other = hand_over(tmp_path / "node")
    tile = other.folder / "tile/0/000.p/18"
    data = tile.read_bytes()
    tile.write_bytes(data[:-32] + bytes(32))
    with pytest.raises(Tampered):
        other.exports.pack("job-1", tmp_path / "case.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]
