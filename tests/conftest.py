"""What holds for every test: a slow machine is no defect, so no example of a property has a deadline; and which database is under it.

Every file runs on SQLite. On PostgreSQL those run that can tell the two apart: documents are for readers, who begin on SQLite, the files
of ``DATABASE_FREE`` open none, which is made sure of, those of ``OWN_SERVERS`` bring PostgreSQL along in either run, and those of
``ABOUT_OTHER_THINGS`` have a database beside them, as every node does, but are about files, processes, questions or signatures; what they
keep is kept by the same code in files that do run on both.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from chengshu.config import DATABASE_URL
from chengshu.kernel.database import Database
from databases import CHOICE, cluster, log_out_the_forgotten, on_postgresql

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
TESTS = Path(__file__).parent
DOCUMENTS = "docs/*"
ABOUT_OTHER_THINGS = (
    "attacks/test_corpus.py",
    "attacks/test_evidence_*.py",
    "attacks/test_pack_attacks.py",
    "attacks/test_sealed_methods.py",
    "packs/test_bad_inputs.py",
    "unit/catalog/test_source_*.py",
    "unit/cleanroom/test_generated_pairs.py",
    "unit/evidence/test_evidence_packs*.py",
    "unit/identity/test_identity_claims.py",
)
OWN_SERVERS = ("nodes/test_database_away.py", "unit/kernel/test_postgresql*.py")
DATABASE_FREE = (
    "attacks/test_masked_sums_attacks.py",
    "attacks/test_privacy_attacks.py",
    "packs/test_plan.py",
    "test_architecture.py",
    "unit/catalog/test_catalog_files.py",
    "unit/catalog/test_catalog_odcs.py",
    "unit/catalog/test_catalog_quality.py",
    "unit/catalog/test_places_memory.py",
    "unit/cleanroom/test_cell.py",
    "unit/cleanroom/test_cleanroom_*.py",
    "unit/cleanroom/test_clipping.py",
    "unit/cleanroom/test_conditional_aggregates.py",
    "unit/cleanroom/test_extents.py",
    "unit/cleanroom/test_generated_questions.py",
    "unit/cleanroom/test_leakage_statements.py",
    "unit/cleanroom/test_masked_sums.py",
    "unit/cleanroom/test_parser_compiled.py",
    "unit/cleanroom/test_planning.py",
    "unit/cleanroom/test_sampling.py",
    "unit/cleanroom/test_use_receipt.py",
    "unit/cli/test_bad_words.py",
    "unit/cli/test_output.py",
    "unit/contract/test_contract_model.py",
    "unit/dsp/test_dsp_[mt]*.py",
    "unit/dsp/test_filters.py",
    "unit/dsp/test_pages.py",
    "unit/evidence/test_evidence_cbor.py",
    "unit/evidence/test_evidence_checkpoint.py",
    "unit/evidence/test_evidence_cosignature.py",
    "unit/evidence/test_evidence_quorum.py",
    "unit/evidence/test_evidence_t*.py",
    "unit/kernel/test_canonical.py",
    "unit/kernel/test_crypto.py",
    "unit/kernel/test_cycles.py",
    "unit/kernel/test_straight.py",
    "unit/methods/*",
    "unit/policy/*",
    "unit/privacy/test_noise_audit.py",
    "unit/privacy/test_protected_answers.py",
    "unit/scenario/test_pack_manifest.py",
    "unit/scenario/test_summary.py",
    "unit/transfer/test_*_model.py",
    "unit/transfer/test_ahead.py",
    "unit/transfer/test_arrivals.py",
    "unit/transfer/test_encodings.py",
    "unit/transfer/test_packing.py",
    "unit/transfer/test_streams.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-negotiations", type=int, default=20, help="negotiations during which nodes are killed (make crashes: 1,000)")
    parser.addoption("--crash-seed", type=int, default=None, help="the seed of the moments at which nodes are killed; none: a new one")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out of PostgreSQL's run what would be the same on it."""
    if os.environ.get(CHOICE) != "postgresql" or not collection_path.name.startswith("test_"):
        return None
    return True if _is_among(collection_path, (DOCUMENTS, *DATABASE_FREE, *OWN_SERVERS, *ABOUT_OTHER_THINGS)) else None


def _is_among(path: Path, patterns: Sequence[str]) -> bool:
    return any(path.match(str(TESTS / one)) for one in patterns)


@pytest.fixture(scope="session", autouse=True)
def database_server() -> Iterator[None]:
    """Where the run is PostgreSQL's, a server of this process's own, which every node and every database of tests is kept by.

    Programs that tests start find this folder's modules too.
    """
    chosen = os.environ.get(CHOICE, "sqlite")
    assert chosen in {"sqlite", "postgresql"}, f"{CHOICE}: expected sqlite or postgresql, got {chosen}"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        if chosen == "postgresql":
            patch.setenv(DATABASE_URL, stack.enter_context(cluster()).url)
        yield


@pytest.fixture(autouse=True)
def _kept_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that is SQLite's own says why with ``@pytest.mark.on_sqlite("…")`` and runs on SQLite in both runs."""
    if request.node.get_closest_marker("on_sqlite"):
        monkeypatch.delenv(DATABASE_URL, raising=False)


@pytest.fixture(autouse=True)
def _opens_none(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is said to open no database fails where it opens one: it would be missing from PostgreSQL's run."""
    if _is_among(request.path, DATABASE_FREE):

        def opened(_database: Database, _backend: object) -> None:
            raise AssertionError(f"{request.path.name} opens a database: take it out of DATABASE_FREE in tests/conftest.py")

        monkeypatch.setattr(Database, "__init__", opened)


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    """What a file of tests has forgotten is logged out at its end: a server of PostgreSQL lets in so many and no more."""
    yield
    if on_postgresql():
        log_out_the_forgotten(os.environ[DATABASE_URL])
