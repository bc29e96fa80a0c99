"""The public conformance kits as processes: fetched by Maven, run against one node, their results read from what they print.

Nothing here is part of a node. A kit's jars come from Maven Central by the ``pom.xml`` in its folder and stay in ``build/``.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULT = re.compile(r"^RESULT\t(PASSED|FAILED|SKIPPED)\t([^\t]*)\t(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How each test of a kit ended, by the name that the kit gives it (``CN:01-01``)."""

    passed: frozenset[str]
    failed: Mapping[str, str]
    skipped: frozenset[str]

    def __str__(self) -> str:
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} disabled by the kit"


@dataclass(frozen=True, slots=True)
class Kit:
    """One kit: the folder with its pom and the class of ours that starts its tests, and how long they may take."""

    folder: str
    main: str
    limit_s: float

    @property
    def pom(self) -> Path:
        """What pins the kit."""
        return HERE / self.folder / "pom.xml"

    @property
    def build(self) -> Path:
        """Where its jars, its classes and its log are."""
        return ROOT / "build" / f"{self.folder}-kit"

    @property
    def version(self) -> str:
        """The kit's version as the pom pins it."""
        (found,) = re.findall(r"<tck\.version>([^<]+)</tck\.version>", self.pom.read_text(encoding="utf-8"))
        return str(found)

    def require(self) -> None:
        """Fetch and compile the kit; where this machine cannot, skip the test and say why, or fail where it is CI."""
        reason = self._lacking()
        if reason is not None and "CI" in os.environ:
            pytest.fail(reason)
        if reason is not None:
            pytest.skip(reason)
        self._fetch()

    def run(self, settings: Mapping[str, str], *, log: Path, only: str = "") -> Outcome:
        """Run the kit against the node that ``settings`` name and keep what it prints in ``log``; its exit code says nothing."""
        properties = log.with_suffix(".properties")
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
        command = ["java", "-cp", f"{self.build / 'classes'}:{self.build / 'lib'}/*", self.main, str(properties), only]
        with log.open("wb") as written:
            subprocess.run(command, stdout=written, stderr=subprocess.STDOUT, check=True, timeout=self.limit_s)
        return read(log.read_text(encoding="utf-8", errors="replace"))

    def _lacking(self) -> str | None:
        if shutil.which("javac") is None:
            return "no JDK on this machine (apt-get install default-jdk-headless maven)"
        if not self._is_fetched() and shutil.which("mvn") is None:
            return "no Maven on this machine to fetch the kit with (apt-get install maven)"
        return None

    def _is_fetched(self) -> bool:
        """Whether the jars are here for the pom as it is now."""
        done = self.build / "pom.xml"
        return done.exists() and done.read_bytes() == self.pom.read_bytes()

    def _fetch(self) -> None:
        lib = self.build / "lib"
        if not self._is_fetched():
            shutil.rmtree(lib, ignore_errors=True)
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
            subprocess.run(["mvn", "-B", "-q", "-f", str(self.pom), *goal], check=True)
            shutil.copyfile(self.pom, self.build / "pom.xml")
        source = self.pom.parent / f"{self.main}.java"
        subprocess.run(["javac", "-cp", f"{lib}/*", "-d", str(self.build / "classes"), str(source)], check=True)


DSP = Kit("dsp", "Kit", limit_s=900)
"""The Dataspace Protocol TCK, all of it."""

DCP = Kit("dcp", "VerifierKit", limit_s=300)
"""The Decentralized Claims Protocol TCK, its tests of a verifier."""


def read(printed: str) -> Outcome:
    """Return the outcome that a kit printed."""
    found = [(how, name.split(": ")[0].removesuffix("()"), why) for how, name, why in RESULT.findall(printed)]
    return Outcome(
        passed=frozenset(name for how, name, _ in found if how == "PASSED"),
        failed={name: why for how, name, why in found if how == "FAILED"},
        skipped=frozenset(name for how, name, _ in found if how == "SKIPPED"),
    )
