"""Each party by the scheme that it is listed with: signed tokens, shared secrets, and what a plug-in brings."""

import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.chosen import ChosenCredentials, scheme_of
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.credentials.static import StaticCredentials
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.keys.shared import Shared, SharedSecrets, read_secret
from chengshu.identity.model import Scheme, did_key, signs
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner, Sm2MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Unidentified
from chengshu.kernel.ids import new_id
from chengshu.kernel.secret_files import put_secret
from databases import database_at

REQUEST = SignedRequest("POST", "/2025-1/catalog/request", b"{}")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SECRET, OTHER = "0123456789abcdef", "fedcba9876543210"


@dataclass(frozen=True, slots=True)
class Side:
    identity: Identity
    secrets: SharedSecrets
    credentials: ChosenCredentials

    def knows(self, party: str, scheme: Scheme, shared: Shared | None = None, *, name: str = "Party") -> None:
        self.identity.add(party, name_en=name, name_zh=name, address="http://127.0.0.1:2/2025-1", scheme=scheme)
        if shared is not None:
            self.secrets.put(party, shared)

    def fault(self, header: str | None) -> str:
        with pytest.raises(Unidentified) as caught:
            self.credentials.verify(header, REQUEST)
        return caught.value.code


def side(folder: Path) -> Side:
    database = database_at(folder.with_suffix(".db"))
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", folder / "log", lambda: NOW)
    identity = Identity(database, signer=signer, address="http://127.0.0.1:1/2025-1", evidence=evidence, clock=lambda: NOW)
    secrets = SharedSecrets(folder / "keys")
    tokens = TokenCredentials(identity, digests=Digests(INTERNATIONAL), clock=lambda: NOW, new_id=new_id)
    schemes = {Scheme.TOKEN: tokens, Scheme.STATIC: StaticCredentials(identity, secrets=secrets)}
    return Side(identity, secrets, ChosenCredentials(identity, schemes=schemes))


@pytest.fixture
def here(tmp_path: Path) -> Side:
    return side(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Side:
    return side(tmp_path / "there")


def test_each_party_gets_the_header_of_its_scheme_and_is_known_by_it(here: Side, there: Side) -> None:
    here.knows(there.identity.did, Scheme.TOKEN)
    there.knows(here.identity.did, Scheme.TOKEN)
    here.knows("connector", Scheme.STATIC, Shared(SECRET, OTHER), name="Connector")
    assert here.credentials.issue("connector", REQUEST) == f"Bearer {SECRET}"
    assert here.credentials.verify(f"Bearer {OTHER}", REQUEST) == "connector"
    assert here.credentials.verify(OTHER, REQUEST) == "connector"
    signed = here.credentials.issue(there.identity.did, REQUEST)
    assert there.credentials.verify(signed, REQUEST) == here.identity.did


def test_two_nodes_may_use_a_secret_of_one_direction_each(here: Side, there: Side) -> None:
    here.knows(there.identity.did, Scheme.STATIC, Shared(SECRET, OTHER))
    there.knows(here.identity.did, Scheme.STATIC, Shared(OTHER, SECRET))
    assert there.credentials.verify(here.credentials.issue(there.identity.did, REQUEST), REQUEST) == here.identity.did
    assert here.credentials.verify(there.credentials.issue(here.identity.did, REQUEST), REQUEST) == there.identity.did


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "identity.token-missing"),
        ("", "identity.secret-unknown"),
        (f"Bearer {SECRET}", "identity.secret-unknown"),  # what we send is not what we expect
        (f"bearer {OTHER}", "identity.secret-unknown"),
        (f"Bearer  {OTHER}", "identity.secret-unknown"),
        (f"{OTHER}x", "identity.secret-unknown"),
        (OTHER[:-1], "identity.secret-unknown"),
        ("Ö" * 40, "identity.secret-unknown"),
        ("Bearer a.b.c", "identity.token-malformed"),
        ("Bearer e30.e30.e30", "identity.scheme"),  # the form of a claims protocol that this node does not have
    ],
)
def test_every_fault_has_its_code(here: Side, header: str | None, code: str) -> None:
    here.knows("connector", Scheme.STATIC, Shared(SECRET, OTHER))
    assert here.fault(header) == code


def test_a_party_is_not_believed_by_another_scheme_than_the_one_it_is_listed_with(here: Side, there: Side) -> None:
    here.knows(there.identity.did, Scheme.STATIC, Shared(SECRET, OTHER))
    there.knows(here.identity.did, Scheme.TOKEN)
    signed = there.credentials.issue(here.identity.did, REQUEST)
    assert here.fault(signed) == "identity.scheme"


def test_the_secret_of_a_party_that_is_not_on_the_list_opens_nothing(here: Side) -> None:
    here.secrets.put("nobody", Shared(SECRET, OTHER))
    assert here.fault(f"Bearer {OTHER}") == "identity.secret-unknown"


def test_a_party_of_a_scheme_that_is_switched_off_cannot_be_called(here: Side) -> None:
    here.knows("did:web:wallet.example", Scheme.DCP)
    with pytest.raises(Conflict) as caught:
        here.credentials.issue("did:web:wallet.example", REQUEST)
    assert caught.value.code == "identity.scheme-off"


@given(header=st.one_of(st.text(max_size=60), st.from_regex(r"Bearer [A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True)))
@settings(max_examples=200, deadline=None)
def test_any_header_has_the_form_of_one_scheme(header: str) -> None:
    assert scheme_of(header) in Scheme


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Side:
    made = side(tmp_path_factory.mktemp("still") / "here")
    made.knows("connector", Scheme.STATIC, Shared(SECRET, OTHER))
    return made


@given(header=st.one_of(st.none(), st.text(max_size=80), st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_at_worst_unidentified(still: Side, header: str | None) -> None:
    with pytest.raises(Unidentified):
        still.credentials.verify(header, REQUEST)


# --- ids ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("party", ["connector", "urn:connector:a/b=c d", "did:web:firm.example", "连接器", "x" * 512])
def test_a_party_with_a_shared_secret_may_have_any_id(here: Side, party: str) -> None:
    here.knows(party, Scheme.STATIC, Shared(SECRET, OTHER))
    assert here.credentials.verify(OTHER, REQUEST) == party
    assert here.identity.find(party).scheme is Scheme.STATIC


@pytest.mark.parametrize(
    ("party", "scheme", "code"),
    [
        ("connector", Scheme.TOKEN, "identity.did"),
        ("did:web:firm.example", Scheme.TOKEN, "identity.did"),
        ("", Scheme.STATIC, "identity.id"),
        ("x" * 513, Scheme.STATIC, "identity.id"),
        ("a\nb", Scheme.STATIC, "identity.id"),
        ("a\ud800", Scheme.STATIC, "identity.id"),
        ("connector", Scheme.DCP, "identity.did-method"),
        ("did:ion:abc", Scheme.DCP, "identity.did-method"),
        ("did:web:" + "x" * 512, Scheme.DCP, "identity.did-method"),
    ],
)
def test_an_id_that_is_not_of_its_schemes_kind_is_refused(here: Side, party: str, scheme: Scheme, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        here.knows(party, scheme)
    assert caught.value.code == code


def test_no_party_has_another_ones_name_as_its_id_nor_the_other_way_round(here: Side) -> None:
    here.knows("connector", Scheme.STATIC, name="Road")
    with pytest.raises(Conflict):
        here.knows("Road", Scheme.STATIC, name="Other")
    with pytest.raises(Conflict):
        here.knows("other", Scheme.STATIC, name="connector")


def test_a_party_of_the_other_profile_is_refused_whatever_its_scheme(here: Side) -> None:
    with pytest.raises(Conflict):
        here.knows(did_key(Sm2MemorySigner.generate().public_key), Scheme.STATIC)


@pytest.mark.parametrize(("party", "expected"), [("connector", False), ("did:web:a.example", False), ("did:key:z6Mk", False)])
def test_only_a_key_signs(party: str, expected: bool) -> None:
    assert signs(party) is expected
    assert signs(did_key(MemorySigner.generate().public_key))


# --- where secrets are kept ---------------------------------------------------------------------------------------------------------


def test_secrets_are_kept_for_the_owner_only_and_replaced_whole(tmp_path: Path) -> None:
    secrets = SharedSecrets(tmp_path)
    assert secrets.put("a/b", Shared(SECRET, SECRET))
    assert not secrets.put("a/b", Shared(SECRET, SECRET))
    assert secrets.put("a/b", Shared(SECRET, OTHER))
    assert secrets.get("a/b") == Shared(SECRET, OTHER)
    (path,) = secrets.folder.iterdir()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(secrets.folder.stat().st_mode)) == (0o600, 0o700)
    assert SECRET not in repr(secrets.get("a/b"))


def test_two_parties_cannot_prove_themselves_by_one_secret(tmp_path: Path) -> None:
    secrets = SharedSecrets(tmp_path)
    secrets.put("one", Shared(SECRET, OTHER))
    with pytest.raises(Conflict):
        secrets.put("two", Shared(SECRET, OTHER))
    assert secrets.put("two", Shared(OTHER, SECRET))


def test_a_secret_that_others_can_read_or_that_is_broken_or_absent_is_said(tmp_path: Path) -> None:
    secrets = SharedSecrets(tmp_path)
    with pytest.raises(NotFound):
        secrets.get("one")
    secrets.put("one", Shared(SECRET, OTHER))
    (path,) = secrets.folder.iterdir()
    path.chmod(0o640)
    with pytest.raises(Invalid) as caught:
        secrets.get("one")
    assert caught.value.code == "identity.key-readable"
    path.chmod(0o600)
    path.write_text("[]")
    with pytest.raises(Invalid) as caught:
        secrets.every()
    assert caught.value.code == "identity.secret-broken"


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 1025, "with a space inside", "Schlüssel-Schlüssel", "a.b.cdefghijklmnopq", "eyJh.eyJp.c2ln-abc"]
)
def test_a_text_that_is_no_fit_secret_is_refused(tmp_path: Path, text: str) -> None:
    put_secret(tmp_path / "secret", text.encode())
    with pytest.raises(Invalid) as caught:
        read_secret(tmp_path / "secret")
    assert caught.value.code == "identity.secret-form"


def test_an_operators_secret_is_read_without_its_line_end_and_only_from_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    put_secret(path, f"{SECRET}\n".encode())
    assert read_secret(path) == SECRET
    path.chmod(0o644)
    with pytest.raises(Invalid):
        read_secret(path)
