"""The Decentralized Claims Protocol TCK as a process: its tests of a verifier, fetched by Maven, run against one trigger endpoint.

Nothing here is part of a node. The jars come from Maven Central by ``tests/conformance/dcp/pom.xml`` and stay in ``build/dcp-kit``.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.dsp_kit import Outcome, read

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "dcp"
BUILD = ROOT / "build" / "dcp-kit"
LIB = BUILD / "lib"
CLASSES = BUILD / "classes"
LIMIT_S = 300


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
    """Fetch the kit's jars where they are not here, and compile what starts them."""
    if not is_fetched():
        shutil.rmtree(LIB, ignore_errors=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={LIB}"]
        subprocess.run(["mvn", "-B", "-q", "-f", str(SOURCE / "pom.xml"), *goal], check=True)
        shutil.copyfile(SOURCE / "pom.xml", BUILD / "pom.xml")
    subprocess.run(["javac", "-cp", f"{LIB}/*", "-d", str(CLASSES), str(SOURCE / "VerifierKit.java")], check=True)


def run(settings: Mapping[str, str], *, log: Path) -> Outcome:
    """Run the kit's tests of a verifier and keep what it prints in ``log``; its exit code says nothing."""
    properties = log.with_suffix(".properties")
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
    with log.open("wb") as written:
        command = ["java", "-cp", f"{CLASSES}:{LIB}/*", "VerifierKit", str(properties)]
        subprocess.run(command, stdout=written, stderr=subprocess.STDOUT, check=True, timeout=LIMIT_S)
    return read(log.read_text(encoding="utf-8", errors="replace"))
