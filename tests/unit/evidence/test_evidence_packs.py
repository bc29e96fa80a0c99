"""Evidence that is handed over: which entries belong to a case, what a pack holds and proves, and the proof of one use."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
import scitt_cose
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from handed_over import ACTS, OF_JOB, POLICY, SIGNER, USE, Handed, hand_over, unzip

from chengshu.evidence.__main__ import main
from chengshu.evidence.examine import examine
from chengshu.evidence.packs.case import CaseKind, select_case
from chengshu.evidence.packs.cbor import decode
from chengshu.evidence.packs.pack_verdict import PackVerdict
from chengshu.evidence.packs.use_proof import UseProofVerdict
from chengshu.evidence.use import Finding
from chengshu.evidence.verify import KeySource
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Conflict, Invalid, NotFound

PUBLIC_PEM = Ed25519PublicKey.from_public_bytes(SIGNER.public_key.raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    return hand_over(tmp_path_factory.mktemp("handed"))


@pytest.mark.parametrize(
    ("case", "kind", "indexes"),
    [
        ("job-1", CaseKind.JOB, OF_JOB),
        ("job-2", CaseKind.JOB, [1, 3, 4, 5, 9, 16]),
        ("st-1", CaseKind.STATEMENT, OF_JOB),
        ("agr-1", CaseKind.AGREEMENT, [1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 16]),
        ("neg-1", CaseKind.NEGOTIATION, [1, 3, 4, 5, 16]),
        ("trips", CaseKind.PRODUCT, [2, 6, 16]),
        ("counts", CaseKind.PRODUCT, [1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 16]),
        ("permit-1", CaseKind.PERMIT, [15, 17]),
        ("anchor-1", CaseKind.OTHER, [16]),
    ],
)
def test_a_case_holds_the_entries_that_name_it_and_those_they_rest_on(
    handed: Handed, case: str, kind: CaseKind, indexes: list[int]
) -> None:
    entries = handed.evidence.entries(0, 100)
    found = select_case(lambda: entries, case)
    assert (found.kind, list(found.indexes)) == (kind, indexes)


def test_a_case_that_is_not_in_the_log_is_not_found_and_the_hint_says_where_to_look(handed: Handed, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        handed.exports.pack("job-9", tmp_path / "case.zip")
    assert caught.value.code == "evidence.no-such-case"
    assert "chengshu evidence list" in caught.value.hint.en
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", ["", "a\nb"])
def test_a_case_that_no_note_can_carry_is_invalid(handed: Handed, tmp_path: Path, case: str) -> None:
    with pytest.raises(Invalid):
        handed.exports.pack(case, tmp_path / "case.zip")


def test_a_pack_of_a_job_proves_its_use_and_says_what_it_does_not_prove(handed: Handed, tmp_path: Path) -> None:
    exported = handed.exports.pack("job-1", tmp_path / "case.zip")
    assert (exported.entries, exported.documents, exported.absent) == (12, 2, 0)
    verdict = examine(tmp_path / "case.zip", handed.vkey)
    assert isinstance(verdict, PackVerdict)
    assert (verdict.holds, verdict.key_source, verdict.whole_log) == (True, KeySource.TRUSTED, None)
    assert {claim.name: claim.finding for claim in verdict.uses[0].claims} == dict.fromkeys(
        ["agreement-before-use", "job-vetted", "data-released", "metered-once"], Finding.PROVED
    )
    words = " ".join(verdict.words("en"))
    assert "each of the 12 entries about job-1" in words
    assert "Not proved: that the pack holds every entry about the case" in words
    assert "公钥" in " ".join(verdict.words("zh"))


def test_a_pack_with_the_whole_log_proves_that_nothing_was_left_out(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("job-1", tmp_path / "case.zip", whole_log=True)
    verdict = examine(tmp_path / "case.zip")
    assert isinstance(verdict, PackVerdict)
    assert verdict.whole_log is not None
    assert (verdict.holds, verdict.whole_log.checkpoint.size, verdict.key_source) == (True, len(ACTS), KeySource.WITH_LOG)
    words = " ".join(verdict.words("en"))
    assert "these are all the entries about the case" in words
    assert "every entry about the case, so not" not in words


def test_one_use_can_be_asked_of_a_pack(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("counts", tmp_path / "case.zip")
    assert examine(tmp_path / "case.zip", product="counts", job="job-1").holds
    assert not examine(tmp_path / "case.zip", product="counts", job="job-2").holds
    with pytest.raises(NotFound):
        examine(tmp_path / "case.zip", product="counts", job="job-3")


def test_the_same_log_gives_the_same_bytes_and_a_name_that_is_taken_is_not_written_over(handed: Handed, tmp_path: Path) -> None:
    one = handed.exports.pack("job-1", tmp_path / "one.zip", whole_log=True)
    other = handed.exports.pack("job-1", tmp_path / "other.zip", whole_log=True)
    assert one.digest == other.digest
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
    with pytest.raises(Conflict):
        handed.exports.pack("job-2", tmp_path / "one.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.zip", "other.zip"]


def test_a_pack_has_the_files_that_it_says_and_another_tool_finds_their_digests_right(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("permit-1", tmp_path / "case.zip")
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        names = archive.namelist()
    entries = [f"entries/{index:09d}.{ending}" for index in (15, 17) for ending in ("cose", "json", "tlog-proof")]
    assert names == sorted(["README.txt", "checkpoint", "files.txt", "log.vkey", "pack", "summary.html", "verify.pyz", *entries])
    folder = unzip(tmp_path / "case.zip", tmp_path / "case")
    assert subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "files.txt"], cwd=folder, check=False).returncode == 0


def test_the_documents_in_a_pack_are_the_ones_that_its_entries_name(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("job-1", tmp_path / "case.zip")
    folder = unzip(tmp_path / "case.zip", tmp_path / "case")
    documents = [json.loads(path.read_bytes()) for path in sorted((folder / "documents").iterdir())]
    assert POLICY in documents
    assert len(documents) == 2
    assert all(canonical(json.loads(path.read_bytes())) == path.read_bytes() for path in (folder / "documents").iterdir())


def test_the_summary_is_one_page_in_both_languages_that_loads_nothing(handed: Handed, tmp_path: Path) -> None:
    handed.exports.pack("job-1", tmp_path / "case.zip")
    page = (unzip(tmp_path / "case.zip", tmp_path / "case") / "summary.html").read_text()
    assert "Use metered" in page
    assert "使用计量" in page
    assert all(word not in page for word in ("http://", "https://", "src=", "url(", "<script", "@import"))
    assert handed.vkey in page.replace("&#43;", "+")


def test_a_proof_of_use_is_one_file_that_an_independent_library_reads_whole(handed: Handed, tmp_path: Path) -> None:
    exported = handed.exports.use_proof("counts", "job-1", tmp_path / "use.cose")
    data = (tmp_path / "use.cose").read_bytes()
    statement = scitt_cose.parse_signed_statement(data, public_key_pem=PUBLIC_PEM)
    assert (statement["signature_verified"], statement["issuer"], statement["subject"]) == (True, "node.example/log", "job-1")
    pairs = decode(statement["payload"])["entries"]
    results = [scitt_cose.verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=PUBLIC_PEM) for entry, receipt in pairs]
    assert [result.ok for result in results] == [True] * exported.entries
    assert [result.leaf_index for result in results] == [5, 7, 8, 10, 11, 12, 13, 14]


def test_a_proof_of_use_says_what_it_proves_and_what_only_the_whole_log_does(handed: Handed, tmp_path: Path) -> None:
    handed.exports.use_proof("counts", "job-1", tmp_path / "use.cose")
    verdict = examine(tmp_path / "use.cose", handed.vkey)
    assert isinstance(verdict, UseProofVerdict)
    assert (verdict.holds, verdict.product, verdict.job, verdict.checkpoint.size) == (True, "counts", "job-1", len(ACTS))
    assert any("not that it was metered only once" in words for words in verdict.words("en"))
    assert examine(tmp_path / "use.cose", product="counts", job="job-1").holds
    with pytest.raises(NotFound):
        examine(tmp_path / "use.cose", product="counts", job="job-2")
    with pytest.raises(NotFound):
        handed.exports.use_proof("counts", "job-9", tmp_path / "none.cose")
    assert not (tmp_path / "none.cose").exists()


def test_a_use_that_was_metered_twice_is_contradicted_in_the_pack_too(tmp_path: Path) -> None:
    handed = hand_over(tmp_path / "node")
    handed.append(("use.metered", "job-1", {**USE, "uses": 1}))
    handed.evidence.publish()
    handed.exports.pack("job-1", tmp_path / "case.zip")
    verdict = examine(tmp_path / "case.zip")
    assert isinstance(verdict, PackVerdict)
    assert not verdict.holds
    assert main(["verify", str(tmp_path / "case.zip")]) == 1


def test_a_pack_made_while_the_log_grows_is_of_one_checkpoint(tmp_path: Path) -> None:
    handed = hand_over(tmp_path / "node", fill=300)
    handed.exports.pack("job-1", tmp_path / "early.zip", whole_log=True)
    handed.append(*(("token.issued", f"u{number}", {"token": f"u{number}"}) for number in range(250)))
    handed.evidence.publish()
    handed.exports.pack("job-1", tmp_path / "late.zip", whole_log=True)
    assert [examine(tmp_path / name).checkpoint.size for name in ("early.zip", "late.zip")] == [318, 568]  # type: ignore[union-attr]  # both packs have one


def test_what_is_not_evidence_at_all_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"hello")
    for path in (tmp_path / "note.txt", tmp_path / "absent", tmp_path):
        assert main(["verify", str(path)]) == 1
