"""Evidence of a log of the national profile: packs stand alone as well; COSE knows nothing of SM2 and SM3, and that is said."""

from pathlib import Path

import pytest
from handed_over import ACTS, Handed, hand_over, unzip

from chengshu.evidence.examine import examine
from chengshu.evidence.inspecting.inspection import inspect
from chengshu.evidence.packs.pack_verdict import PackVerdict
from chengshu.kernel.crypto import Sm2MemorySigner
from chengshu.kernel.errors import Invalid, Tampered


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    return hand_over(tmp_path_factory.mktemp("national"), signer=Sm2MemorySigner.generate())


def test_a_national_pack_proves_the_same_by_its_tlog_proofs(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("job-1", tmp_path / "case.zip", whole_log=True)
    verdict = examine(tmp_path / "case.zip", handed.vkey)
    assert isinstance(verdict, PackVerdict)
    assert (verdict.holds, verdict.receipts, len(verdict.case.entries)) == (True, 0, 12)
    folder = unzip(tmp_path / "case.zip", tmp_path / "case")
    assert list(folder.rglob("*.cose")) == []
    entry = folder / "entries/000000012.json"
    entry.write_bytes(entry.read_bytes().replace(b'"uses":1', b'"uses":2'))
    with pytest.raises(Tampered):
        examine(folder, handed.vkey)


def test_a_national_log_signs_no_cose_and_says_what_to_use_instead(handed: Handed, tmp_path: Path) -> None:
    for make in (lambda: handed.evidence.cose_receipt(3), lambda: handed.exports.use_proof("counts", "job-1", tmp_path / "use.cose")):
        with pytest.raises(Invalid) as caught:
            make()
        assert caught.value.code == "evidence.receipt-profile"
        assert "evidence pack" in caught.value.hint.en
    assert list(tmp_path.iterdir()) == []


def test_damage_to_a_national_log_is_named_by_its_byte(handed: Handed) -> None:
    bundle = handed.folder / f"tile/entries/000.p/{len(ACTS)}"
    good = bundle.read_bytes()
    bundle.write_bytes(good[:50] + bytes([good[50] ^ 1]) + good[51:])
    found = inspect(handed.folder, handed.vkey)
    assert [(one.offset, one.index, one.exact) for one in found.problems] == [(50, 0, True)]
    assert found.unproved == ((0, 0),)
    bundle.write_bytes(good)
    assert inspect(handed.folder, handed.vkey).holds
