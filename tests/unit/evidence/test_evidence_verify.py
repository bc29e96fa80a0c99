"""What a log's files prove, in words, and the offline checker."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chengshu.evidence.__main__ import main
from chengshu.evidence.use import Finding
from chengshu.evidence.verify import KeySource, UseVerdict, verify_log, verify_use
from chengshu.kernel.errors import Invalid, NotFound

Act = tuple[str, dict[str, object]]
SIGNED: Act = (
    "agreement.signed",
    {"agreement": "a1", "product": "p1", "policy_digest": "sha256:00", "provider": "road", "consumer": "maker"},
)
SUBMITTED: Act = ("job.submitted", {"job": "j1"})
VETTED: Act = ("job.vetted", {"job": "j1"})
REFUSED: Act = ("job.refused", {"job": "j1"})
RUN: Act = ("job.run", {"job": "j1", "product": "p1", "agreement": "a1"})
RELEASED: Act = ("job.released", {"job": "j1"})
METERED: Act = ("use.metered", {"job": "j1", "product": "p1", "agreement": "a1", "rows": 12})
WHOLE = [SIGNED, SUBMITTED, VETTED, RUN, RELEASED, METERED]
OTHERS: list[Act] = [
    ("agreement.signed", {"agreement": "a2", "product": "p2", "policy_digest": "sha256:00", "provider": "road", "consumer": "maker"}),
    ("use.metered", {"job": "j2", "product": "p1", "agreement": "a1"}),
    ("use.metered", {"job": "j1", "product": "p2", "agreement": "a2"}),
]


def verdict_of(log: Any, acts: list[Act]) -> UseVerdict:
    log.append(*acts)
    log.evidence.publish()
    return verify_use(log.folder, product="p1", job="j1", vkey=log.evidence.vkey)


def findings(verdict: UseVerdict) -> dict[str, Finding]:
    return {claim.name: claim.finding for claim in verdict.claims}


def test_one_whole_use_among_others_is_proved_with_an_inclusion_proof_for_each_entry(log: Any) -> None:
    log.fill(300)
    verdict = verdict_of(log, [*OTHERS, *WHOLE, *OTHERS])
    assert verdict.holds
    assert set(findings(verdict).values()) == {Finding.PROVED}
    assert [entry.kind for entry in verdict.entries] == [kind for kind, _ in WHOLE]
    assert [proof.index for proof in verdict.proofs] == [303, 304, 305, 306, 307, 308]
    assert all(proof.holds and len(proof.path) > 0 for proof in verdict.proofs)


def test_a_transfer_without_a_job_in_the_clean_room_is_a_use_too(log: Any) -> None:
    use = {"job": "j1", "product": "p1", "agreement": "a1"}
    verdict = verdict_of(log, [SIGNED, ("transfer.started", use), ("transfer.completed", use), METERED])
    assert verdict.holds
    assert findings(verdict)["job-vetted"] is Finding.NOT_SHOWN


@pytest.mark.parametrize(
    ("acts", "claim", "finding"),
    [
        ([SUBMITTED, VETTED, RUN, SIGNED, RELEASED, METERED], "agreement-before-use", Finding.CONTRADICTED),
        ([SUBMITTED, VETTED, RUN, RELEASED, METERED], "agreement-before-use", Finding.NOT_SHOWN),
        ([SIGNED, SUBMITTED, RUN, VETTED, RELEASED, METERED], "job-vetted", Finding.CONTRADICTED),
        ([SIGNED, SUBMITTED, VETTED, REFUSED, RUN, RELEASED, METERED], "job-vetted", Finding.CONTRADICTED),
        ([*WHOLE, METERED], "metered-once", Finding.CONTRADICTED),
        ([SIGNED, SUBMITTED, VETTED, RUN, RELEASED], "metered-once", Finding.NOT_SHOWN),
    ],
)
def test_a_use_with_a_flaw_is_not_proved_and_the_claim_says_why(log: Any, acts: list[Act], claim: str, finding: Finding) -> None:
    verdict = verdict_of(log, acts)
    assert findings(verdict)[claim] is finding
    assert not verdict.holds


def test_a_use_that_the_log_does_not_know_is_not_found(log: Any) -> None:
    log.append(*OTHERS, SUBMITTED)
    log.evidence.publish()
    with pytest.raises(NotFound) as caught:
        verify_use(log.folder, product="p1", job="j1", vkey=log.evidence.vkey)
    assert caught.value.code == "evidence.no-such-use"


def test_bodies_of_unexpected_shape_do_no_harm(log: Any) -> None:
    odd: list[Act] = [
        ("agreement.signed", {"agreement": ["a1"], "product": "p1"}),
        ("job.run", {"job": "j1", "product": "p1", "agreement": {}}),
    ]
    assert not verdict_of(log, odd).holds


def test_a_key_that_came_with_the_log_is_not_taken_for_trust(log: Any) -> None:
    log.fill(2)
    log.evidence.publish()
    verdict = verify_log(log.folder)
    assert verdict.key_source is KeySource.WITH_LOG
    assert any("the key came with the log: this proves consistency, not who wrote it" in words.lower() for words in verdict.words())
    assert any("不证明由谁写入" in words for words in verdict.words("zh"))
    assert verify_log(log.folder, log.evidence.vkey).key_source is KeySource.TRUSTED


def test_a_folder_without_a_log_and_a_key_that_is_none_are_told_apart(log: Any, tmp_path: Path) -> None:
    log.fill(1)
    log.evidence.publish()
    with pytest.raises(NotFound):
        verify_log(tmp_path / "nowhere", log.evidence.vkey)
    with pytest.raises(Invalid):
        verify_log(log.folder, "not a key")
    (log.folder / "log.vkey").unlink()
    with pytest.raises(NotFound):
        verify_log(log.folder)
    assert verify_log(log.folder, log.evidence.vkey).checkpoint.size == 1


def test_the_checker_says_what_is_proved_and_what_is_not(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verdict_of(log, WHOLE)
    assert main(["verify", str(log.folder), "--vkey", log.evidence.vkey, "--product", "p1", "--job", "j1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Proved",
        "Proved",
        "Checked with the key's cryptography, international (SHA-256, Ed25519, AES-256-GCM)",
        *["Proved"] * 4,
        *["Not proved"] * 2,
    ]


def test_the_checker_speaks_chinese(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verdict_of(log, WHOLE)
    assert main(["verify", str(log.folder), "--lang", "zh"]) == 0
    assert "未证明：不存在另一份日志" in capsys.readouterr().out


def test_the_checkers_json_carries_the_proofs(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of(log, WHOLE)
    assert main(["verify", str(log.folder), "--product", "p1", "--job", "j1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["key_source"], said["size"]) == (True, "with-log", 6)
    assert said["entries"][0]["inclusion"] == [step.hex() for step in verdict.proofs[0].path]


def test_the_checker_exits_with_one_for_an_unproved_use_and_for_a_tampered_log(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verdict_of(log, WHOLE[:-1])
    assert main(["verify", str(log.folder), "--product", "p1", "--job", "j1"]) == 1
    (log.folder / "tile/0/000.p/5").write_bytes(bytes(160))
    capsys.readouterr()
    assert main(["verify", str(log.folder)]) == 1
    assert capsys.readouterr().out.startswith("Tampered: tile/0/000.p/5: expected")
    assert main(["verify", str(log.folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["facts"] == {"file": "tile/0/000.p/5"}


def test_a_product_without_a_job_is_a_wrong_command_line(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(log.folder), "--product", "p1"])
    assert caught.value.code == 2
    assert "go together" in capsys.readouterr().err


def test_the_checker_runs_with_nothing_but_the_standard_library_and_cryptography(log: Any, tmp_path: Path) -> None:
    verdict_of(log, WHOLE)
    copied = tmp_path / "copied"
    shutil.copytree(log.folder, copied)
    program = (
        "import runpy, sys\n"
        "allowed = {'chengshu', 'cryptography', '_openssl', '_cffi_backend', 'cffi', '__main__'} | set(sys.stdlib_module_names)\n"
        "before = set(sys.modules)\n"
        f"sys.argv = ['evidence', 'verify', {str(copied)!r}, '--product', 'p1', '--job', 'j1']\n"
        "try:\n"
        "    runpy.run_module('chengshu.evidence', run_name='__main__')\n"
        "except SystemExit as left:\n"
        "    foreign = {name.partition('.')[0] for name in set(sys.modules) - before} - allowed\n"
        "    sys.exit(f'foreign: {sorted(foreign)}' if foreign else left.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Proved: the log node.example/log holds 6 entries")
