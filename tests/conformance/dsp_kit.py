"""The Dataspace Protocol TCK as a process: fetched by Maven, run against one connector, its results read from what it prints.

Nothing here is part of a node. The jars come from Maven Central by ``tests/conformance/dsp/pom.xml`` and stay in ``build/dsp-kit``.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "dsp"
BUILD = ROOT / "build" / "dsp-kit"
LIB = BUILD / "lib"
CLASSES = BUILD / "classes"
LIMIT_S = 900

RESULT = re.compile(r"^RESULT\t(PASSED|FAILED|SKIPPED)\t([^\t]*)\t(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How each test of the kit ended, by the name that the kit gives it (``CN:01-01``)."""

    passed: frozenset[str]
    failed: Mapping[str, str]
    skipped: frozenset[str]


def lacking() -> str | None:
    """Return what keeps the kit from running on this machine, None where nothing does."""
    if shutil.which("javac") is None:
        return "no JDK on this machine (apt-get install default-jdk-headless maven)"
    if not is_fetched() and shutil.which("mvn") is None:
        return "no Maven on this machine to fetch the kit with (apt-get install maven)"
    return None


def version() -> str:
    """Return the kit's version as the pom pins it."""
    (found,) = re.findall(r"<tck\.version>([^<]+)</tck\.version>", (SOURCE / "pom.xml").read_text(encoding="utf-8"))
    return str(found)


def is_fetched() -> bool:
    """Say whether the jars are here for the pom as it is now."""
    done = BUILD / "pom.xml"
    return done.exists() and done.read_bytes() == (SOURCE / "pom.xml").read_bytes()


def fetch() -> None:
    """Fetch the kit's jars from Maven Central where they are not here, and compile what starts them."""
    if not is_fetched():
        shutil.rmtree(LIB, ignore_errors=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={LIB}"]
        subprocess.run(["mvn", "-B", "-q", "-f", str(SOURCE / "pom.xml"), *goal], check=True)
        shutil.copyfile(SOURCE / "pom.xml", BUILD / "pom.xml")
    subprocess.run(["javac", "-cp", f"{LIB}/*", "-d", str(CLASSES), str(SOURCE / "Kit.java")], check=True)


def run(settings: Mapping[str, str], *, log: Path, only: str = "") -> Outcome:
    """Run the kit against the connector that ``settings`` name and keep what it prints in ``log``; its exit code says nothing."""
    properties = log.with_suffix(".properties")
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
    command = ["java", "-cp", f"{CLASSES}:{LIB}/*", "Kit", str(properties), only]
    with log.open("wb") as written:
        subprocess.run(command, stdout=written, stderr=subprocess.STDOUT, check=True, timeout=LIMIT_S)
    return read(log.read_text(encoding="utf-8", errors="replace"))


def read(printed: str) -> Outcome:
    """Return the outcome that the kit printed."""
    found = [(how, name.split(": ")[0].removesuffix("()"), why) for how, name, why in RESULT.findall(printed)]
    return Outcome(
        passed=frozenset(name for how, name, _ in found if how == "PASSED"),
        failed={name: why for how, name, why in found if how == "FAILED"},
        skipped=frozenset(name for how, name, _ in found if how == "SKIPPED"),
    )
