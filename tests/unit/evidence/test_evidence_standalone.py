"""The verifier as one file: it runs in an environment that has cryptography and nothing of this package."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import cffi
import cryptography
import pytest
from handed_over import Handed, hand_over, unzip

from chengshu.evidence.packs.standalone import ALLOWED_OUTSIDE, modules, outside, verifier_bytes


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own whose only packages are cryptography and what that needs; returns its Python."""
    root = tmp_path_factory.mktemp("stranger")
    venv.create(root / "venv", with_pip=False, symlinks=True)
    packages = root / "venv/lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for module in (cryptography, cffi):
        source = Path(str(module.__file__)).parent
        (packages / source.name).symlink_to(source)
    for library in Path(str(cffi.__file__)).parent.parent.glob("_cffi_backend*"):
        (packages / library.name).symlink_to(library)
    return root / "venv/bin/python"


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    root = tmp_path_factory.mktemp("handed")
    handed = hand_over(root)
    handed.exports.pack("job-1", root / "case.zip", whole_log=True)
    handed.exports.use_proof("counts", "job-1", root / "use.cose")
    return handed


def run(python: Path, verifier: Path, *words: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(python), "-I", str(verifier), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_verifier_takes_in_nothing_but_itself_and_cryptography() -> None:
    assert outside() <= ALLOWED_OUTSIDE
    names = set(modules())
    assert {
        "chengshu.evidence.__main__",
        "chengshu.evidence.examine",
        "chengshu.evidence.inspecting.inspection",
        "chengshu.kernel.errors",
    } <= names
    rooms = {".".join(name.split(".")[:2]) for name in names}
    assert rooms == {"chengshu", "chengshu.evidence", "chengshu.kernel"}
    assert not names & {
        "chengshu.evidence.service",
        "chengshu.evidence.store",
        "chengshu.evidence.packs.export",
        "chengshu.kernel.database",
    }


def test_the_same_sources_give_the_same_bytes_and_every_pack_holds_them(handed: Handed, tmp_path: Path) -> None:
    assert verifier_bytes() == verifier_bytes()
    assert (unzip(handed.folder.parent / "case.zip", tmp_path) / "verify.pyz").read_bytes() == verifier_bytes()


def test_there_is_nothing_of_this_package_where_the_stranger_works(stranger: Path, tmp_path: Path) -> None:
    ran = subprocess.run([str(stranger), "-I", "-c", "import chengshu"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "No module named 'chengshu'" in ran.stderr


def test_a_stranger_verifies_everything_that_was_handed_over(stranger: Path, handed: Handed, tmp_path: Path) -> None:
    pack = unzip(handed.folder.parent / "case.zip", tmp_path / "case")
    verifier = pack / "verify.pyz"
    (tmp_path / "elsewhere").mkdir()
    for words in (
        ["verify", handed.folder],
        ["verify", handed.folder, "--product", "counts", "--job", "job-1", "--vkey", handed.vkey],
        ["verify", handed.folder.parent / "case.zip"],
        ["verify", pack, "--vkey", handed.vkey],
        ["verify", handed.folder.parent / "use.cose"],
        ["fsck", handed.folder],
    ):
        ran = run(stranger, verifier, *words, "--json", folder=tmp_path / "elsewhere")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert json.loads(ran.stdout)["ok"] is True
    chinese = run(stranger, verifier, "verify", ".", "--lang", "zh", folder=pack)
    assert chinese.returncode == 0
    assert "已证明" in chinese.stdout


def test_a_stranger_finds_what_was_tampered_with(stranger: Path, handed: Handed, tmp_path: Path) -> None:
    pack = unzip(handed.folder.parent / "case.zip", tmp_path / "case")
    (tmp_path / "verify.pyz").write_bytes(verifier_bytes())
    entry = pack / "entries/000000012.json"
    entry.write_bytes(entry.read_bytes().replace(b'"uses":1', b'"uses":2'))
    ran = run(stranger, tmp_path / "verify.pyz", "verify", pack, "--json", folder=tmp_path)
    assert (ran.returncode, json.loads(ran.stdout)["facts"]) == (1, {"file": "entries/000000012.json"})
    other = handed.vkey.replace("node.example", "other.example")
    assert run(stranger, tmp_path / "verify.pyz", "verify", pack, "--vkey", other, folder=tmp_path).returncode == 1
    assert run(stranger, tmp_path / "verify.pyz", "verify", folder=tmp_path).returncode == 2
