"""The Dataspace Protocol TCK, unchanged, against a node: every test that it enables passes."""

import sys
import time
from pathlib import Path

import pytest
from tests.conformance.dsp_profile import Profile
from tests.conformance.dsp_scripts import AS_CONSUMER, AS_PROVIDER, PROVIDES, RECEIVES
from tests.conformance.kits import DSP, Outcome, read

DISABLED = frozenset({"TP:02-04", "TP_C:02-04"})
"""The kit's own choice: its authors switched these off."""

EXPECTED = frozenset(
    {"MET:01-01", "CAT:01-01", "CAT:01-02", "CAT:01-03"}
    | {
        f"{area}:{name[-4:-2]}-{name[-2:]}"
        for area, names in {"CN": AS_PROVIDER, "CN_C": AS_CONSUMER, "TP": PROVIDES, "TP_C": RECEIVES}.items()
        for name in names
    }
)


def test_the_scripts_are_for_the_65_tests_that_the_kit_enables() -> None:
    assert len(EXPECTED) == 65


def test_every_enabled_test_of_the_kit_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DSP.require()
    begun = time.monotonic()
    log = DSP.build / "kit.log"
    with Profile(tmp_path) as profile:
        outcome = DSP.run(profile.settings(), log=log)
        given_up = profile.given_up()
    with capsys.disabled():
        took = f"{time.monotonic() - begun:.0f} s; log: {log}"
        sys.stderr.write(f"\nDataspace Protocol TCK {DSP.version}: {outcome}, {took}\n")
    assert outcome.failed == {}
    assert outcome.passed == EXPECTED
    assert outcome.skipped == DISABLED
    assert (profile.troubles, given_up) == ([], [])


def test_an_empty_or_broken_run_is_no_success() -> None:
    printed = "RESULT\tPASSED\tCN:01-01: Verify this\t\nRESULT\tFAILED\tCN:01-02: Verify that\texpected a, got b\n"
    outcome = read(printed + "RESULT\tSKIPPED\tTP:02-04: Verify more\tDisabled\nRESULT\tPASSED\tCN:01-0")
    assert outcome == Outcome(frozenset({"CN:01-01"}), {"CN:01-02": "expected a, got b"}, frozenset({"TP:02-04"}))
    assert read("") == Outcome(frozenset(), {}, frozenset())
