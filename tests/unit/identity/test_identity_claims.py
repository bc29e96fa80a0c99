"""The Decentralized Claims Protocol against a wallet on a real socket: what is believed, and one code for each fault."""

import base64
import gc
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws as other_jws
from joserfc.jwk import ECKey
from wallet import MEMBER, NOW, Key, Wallet, encode, entry, served_wallet

from chengshu.evidence.service import Evidence
from chengshu.identity.claims.fetching import Fetching
from chengshu.identity.claims.holder import Holder
from chengshu.identity.claims.self_issued import SelfIssued
from chengshu.identity.claims.verifier import Trust, Verifier
from chengshu.identity.credentials.chosen import ChosenCredentials
from chengshu.identity.credentials.dcp import DcpCredentials
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.model import Scheme
from chengshu.identity.service import Identity
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.ids import new_id
from databases import database_at

REQUEST = SignedRequest("POST", "/2025-1/catalog/request", b"{}")
VERIFIER = "did:web:node.example"
YESTERDAY, TOMORROW = (NOW - timedelta(days=1)).isoformat(), (NOW + timedelta(days=1)).isoformat()
LATER = int(NOW.timestamp()) + 3600
Bend = Callable[[Wallet], str | None]


@dataclass(frozen=True, slots=True)
class Side:
    wallet: Wallet
    identity: Identity
    tokens: SelfIssued
    fetching: Fetching
    credentials: DcpCredentials

    def verify(self, token: str | None = None) -> str:
        return self.credentials.verify(f"Bearer {token or self.wallet.token()}", REQUEST)

    def fault(self, token: str | None = None) -> str:
        with pytest.raises(Unidentified) as caught:
            self.verify(token)
        return caught.value.code.removeprefix("identity.dcp-")


@pytest.fixture
def wallet() -> Iterator[Wallet]:
    with served_wallet(VERIFIER) as wallet:
        yield wallet


@pytest.fixture
def here(tmp_path: Path, wallet: Wallet) -> Side:
    return side(tmp_path, wallet)


def side(folder: Path, wallet: Wallet) -> Side:
    database = database_at(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", folder / "log", lambda: NOW)
    identity = Identity(database, signer=signer, address="http://127.0.0.1:1/2025-1", evidence=evidence, clock=lambda: NOW)
    identity.add(wallet.did("holder"), name_en="Holder", name_zh="持有方", address="http://127.0.0.1:2/2025-1", scheme=Scheme.DCP)
    fetching, key = Fetching(identity.outgoing), DcpKey(folder / "keys", did=VERIFIER)
    trust = Trust({wallet.did("issuer"): frozenset({MEMBER})}, frozenset({MEMBER}), (f"org.eclipse.dspace.dcp.vc.type:{MEMBER}:read",))
    verifier = Verifier(fetching, own=VERIFIER, trust=trust, clock=lambda: NOW)
    tokens = SelfIssued(identity, key=key, fetching=fetching, clock=lambda: NOW, new_id=new_id)
    return Side(wallet, identity, tokens, fetching, DcpCredentials(tokens, holder=Holder(folder, tokens), verifier=verifier))


def test_a_holder_whose_credential_a_trusted_issuer_vouches_for_is_known(here: Side, wallet: Wallet) -> None:
    assert here.verify() == wallet.did("holder")
    ((_, asked),) = [one for one in wallet.came if one[0] == "/cs/presentations/query"]
    assert asked["body"]["type"] == "PresentationQueryMessage"
    assert asked["body"]["scope"] == [f"org.eclipse.dspace.dcp.vc.type:{MEMBER}:read"]
    ours = str(asked["authorization"]).removeprefix("Bearer ")
    checked = other_jws.deserialize_compact(
        ours, ECKey.import_key(dict(here.tokens.key.public_jwk())), algorithms=["ES256"]
    )  # not our own code
    claims = json.loads(checked.payload)
    assert (claims["iss"], claims["sub"], claims["aud"], claims["token"]) == (VERIFIER, VERIFIER, wallet.did("holder"), "access")
    assert checked.headers()["kid"] == f"{VERIFIER}#dcp"


@pytest.mark.parametrize("holder", ["ES256", "ES384", "EdDSA", "Ed25519"])
@pytest.mark.parametrize("issuer", ["ES256", "ES384", "EdDSA"])
def test_each_algorithm_of_the_list_is_believed(here: Side, wallet: Wallet, holder: str, issuer: str) -> None:
    wallet.holder_key, wallet.issuer_key = Key(holder), Key(issuer)
    Wallet.__post_init__(wallet)
    assert here.verify() == wallet.did("holder")


def test_a_token_of_another_library_is_believed(here: Side, wallet: Wallet) -> None:
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False)
    wallet.pages["/holder/did.json"]["verificationMethod"][0]["publicKeyJwk"] = public
    claims = json.loads(_decoded(wallet.token().split(".")[1]))
    token = other_jws.serialize_compact(
        {"alg": "ES256", "kid": f"{wallet.did('holder')}#key-1"}, json.dumps(claims), key, algorithms=["ES256"]
    )
    assert here.fault(token) == "signature"  # the presentation is still signed with the key of before: the token itself was believed
    assert [path for path, _ in wallet.came].count("/cs/presentations/query") == 1


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_both_data_models_and_both_enclosures_are_understood(here: Side, wallet: Wallet) -> None:
    enveloped = {"type": "EnvelopedVerifiableCredential", "id": f"data:application/vc+jwt,{wallet.credential_2()}"}
    claims = {"type": ["VerifiablePresentation"], "holder": wallet.did("holder"), "verifiableCredential": [enveloped]}
    presentation = wallet.holder_key.sign({"iss": wallet.did("holder"), "aud": [VERIFIER], **claims}, kid="#key-1")
    for shown in (presentation, wallet.presentation(wallet.credential_2())):
        wallet.show(shown)
        assert here.verify() == wallet.did("holder")


def test_a_credential_of_another_type_by_a_trusted_issuer_counts_for_nothing_and_does_no_harm(here: Side, wallet: Wallet) -> None:
    other = wallet.credential(type=["VerifiableCredential", "SensitiveDataCredential"])
    wallet.show(wallet.presentation(wallet.credential(), other))
    assert here.verify() == wallet.did("holder")
    wallet.show(wallet.presentation(other))
    assert here.fault() == "required"


def test_a_key_without_a_name_is_taken_where_there_is_but_one(here: Side, wallet: Wallet) -> None:
    assert here.verify(wallet.holder_key.sign(json.loads(_decoded(wallet.token().split(".")[1])))) == wallet.did("holder")
    wallet.pages["/holder/did.json"]["verificationMethod"].append({"id": "#key-2", "publicKeyJwk": Key().jwk()})
    here.fetching._kept.clear()
    assert here.fault(wallet.holder_key.sign(json.loads(_decoded(wallet.token().split(".")[1])))) == "key"


def test_a_document_is_kept_and_asked_for_again_where_it_lacks_a_key(here: Side, wallet: Wallet) -> None:
    here.verify()
    here.verify()
    assert [path for path, _ in wallet.came].count("/holder/did.json") == 1
    fresh = Key()
    wallet.pages["/holder/did.json"]["verificationMethod"].append({"id": "#key-2", "publicKeyJwk": fresh.jwk()})
    for purpose in ("authentication", "capabilityInvocation"):
        wallet.pages["/holder/did.json"][purpose].append("#key-2")
    assert here.verify(wallet.token(key=fresh, header={"kid": "#key-2"})) == wallet.did("holder")


TOKENS: dict[str, tuple[Bend, str]] = {
    "no token at all": (lambda _: "x", "malformed"),
    "two parts": (lambda w: ".".join(w.token().split(".")[:2]), "malformed"),
    "four parts": (lambda w: w.token() + ".x", "malformed"),
    "too long": (lambda w: w.token(more="x" * 70_000), "malformed"),
    "claims that are no object": (lambda _: ".".join([encode(b"{}"), encode(b"[]"), "x"]), "malformed"),
    "a name twice": (lambda _: ".".join([encode(b"{}"), encode(b'{"iss":1,"iss":2}'), "x"]), "malformed"),
    "critical extensions": (lambda w: w.token(header={"crit": ["b64"], "b64": False}), "malformed"),
    "an unencoded payload": (lambda w: w.token(header={"b64": False}), "malformed"),
    "alg none": (lambda w: w.token(header={"alg": "none"}), "algorithm"),
    "alg HS256": (lambda w: w.token(header={"alg": "HS256"}), "algorithm"),
    "alg RS256": (lambda w: w.token(header={"alg": "RS256"}), "algorithm"),
    "alg ES256K": (lambda w: w.token(header={"alg": "ES256K"}), "algorithm"),
    "no alg": (lambda w: w.token(header={"alg": None}), "algorithm"),
    "a list as alg": (lambda w: w.token(header={"alg": ["ES256"]}), "algorithm"),
    "no iss": (lambda w: w.token(iss=None), "claims"),
    "a sender that no database keeps": (lambda w: w.token(iss="a\ud800", sub="a\ud800"), "claims"),
    "a jti that no database keeps": (lambda w: w.token(jti="a\x00"), "claims"),
    "another sub": (lambda w: w.token(sub=w.did("issuer")), "claims"),
    "no sub": (lambda w: w.token(sub=None), "claims"),
    "another iss": (lambda w: w.token(iss=w.did("other"), sub=w.did("other")), "unknown-party"),
    "another aud": (lambda w: w.token(aud="did:web:other.example"), "audience"),
    "no aud": (lambda w: w.token(aud=None), "audience"),
    "no jti": (lambda w: w.token(jti=None), "claims"),
    "a long jti": (lambda w: w.token(jti="x" * 201), "claims"),
    "a number as jti": (lambda w: w.token(jti=5), "claims"),
    "no iat": (lambda w: w.token(iat=None), "claims"),
    "no exp": (lambda w: w.token(exp=None), "claims"),
    "a text as exp": (lambda w: w.token(exp="soon"), "malformed"),
    "an exp beyond all time": (lambda w: w.token(exp=10**30), "malformed"),
    "a negative iat": (lambda w: w.token(iat=-1), "malformed"),
    "expired": (lambda w: w.token(iat=LATER - 7200, exp=LATER - 7000), "expired"),
    "issued tomorrow": (lambda w: w.token(iat=LATER, exp=LATER + 60), "not-yet-valid"),
    "nbf tomorrow": (lambda w: w.token(nbf=LATER), "not-yet-valid"),
    "a long life": (lambda w: w.token(exp=LATER), "claims"),
    "no access token": (lambda w: w.token(token=None), "claims"),
    "an object as access token": (lambda w: w.token(token={"a": 1}), "claims"),
    "an empty access token": (lambda w: w.token(token=""), "claims"),
    "a key that is not in the document": (lambda w: w.token(header={"kid": f"{w.did('holder')}#other"}), "key"),
    "another one's key": (lambda w: w.token(header={"kid": f"{w.did('issuer')}#key-1"}), "key"),
    "a number as kid": (lambda w: w.token(header={"kid": 5}), "key"),
    "another key's signature": (lambda w: w.token(key=Key()), "signature"),
    "a signature of another length": (lambda w: w.token()[:-4], "signature"),
    "the algorithm of another key": (lambda w: w.token(key=Key("ES384")), "signature"),
    "an Edwards signature for an EC key": (lambda w: w.token(key=Key("EdDSA")), "signature"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_every_fault_of_a_token_has_its_code_and_nothing_is_asked_for(here: Side, wallet: Wallet, name: str) -> None:
    make, code = TOKENS[name]
    assert here.fault(make(wallet)) == code
    assert "/cs/presentations/query" not in [path for path, _ in wallet.came]


def test_nothing_of_a_stranger_is_fetched(here: Side, wallet: Wallet) -> None:
    assert here.fault(wallet.token(iss=wallet.did("stranger"), sub=wallet.did("stranger"))) == "unknown-party"
    wallet.show(wallet.presentation(wallet.credential(issuer=wallet.did("stranger"), claims={"iss": wallet.did("stranger")})))
    assert here.fault() == "issuer"
    assert not [path for path, _ in wallet.came if "stranger" in path]


def test_a_token_is_good_once(here: Side, wallet: Wallet) -> None:
    token = wallet.token()
    here.verify(token)
    assert here.fault(token) == "replayed"
    assert here.fault(wallet.token(jti=json.loads(_decoded(token.split(".")[1]))["jti"])) == "replayed"


def page(path: str, **changes: Any) -> Bend:
    """Change members of a document that the wallet publishes; None takes one away."""

    def bend(wallet: Wallet) -> None:
        bent = {**wallet.pages[path], **changes}
        wallet.pages[path] = {name: value for name, value in bent.items() if value is not None}

    return bend


def instead(path: str, content: Any) -> Bend:
    def bend(wallet: Wallet) -> None:
        wallet.pages[path] = content

    return bend


def shown(make: Callable[[Wallet], str]) -> Bend:
    return lambda wallet: wallet.show(make(wallet))


def credential(**changes: Any) -> Bend:
    return shown(lambda wallet: wallet.presentation(wallet.credential(**changes)))


def listed(published: Callable[[Wallet], Any], **of_entry: Any) -> Bend:
    """A credential with a status, and what is published at the address of its list."""

    def bend(wallet: Wallet) -> None:
        status = {**entry(wallet, 94_567), **of_entry}
        wallet.show(wallet.presentation(wallet.credential(credentialStatus=status)))
        wallet.pages["/status"] = published(wallet)

    return bend


def schema(rules: Any, kind: str = "JsonSchema") -> Bend:
    def bend(wallet: Wallet) -> None:
        wallet.show(wallet.presentation(wallet.credential(credentialSchema={"id": wallet.url("/schema"), "type": kind})))
        wallet.pages["/schema"] = rules

    return bend


DOCUMENT, QUERY = "/holder/did.json", "/cs/presentations/query"
BENT: dict[str, tuple[Bend, str]] = {
    "no document": (instead(DOCUMENT, None), "document"),
    "a document that is no JSON": (instead(DOCUMENT, "<html>"), "document"),
    "a list as document": (instead(DOCUMENT, []), "document"),
    "a deep document": (instead(DOCUMENT, "[" * 100_000), "document"),
    "a huge document": (instead(DOCUMENT, " " * 1_100_000), "document"),
    "another one's document": (page(DOCUMENT, id="did:web:other.example"), "document"),
    "no keys": (page(DOCUMENT, verificationMethod=[]), "document"),
    "a key that somebody else controls": (page(DOCUMENT, verificationMethod=[{"id": "#key-1", "controller": "did:web:x"}]), "document"),
    "one key twice": (page(DOCUMENT, verificationMethod=[{"id": "#key-1"}, {"id": "#key-1"}]), "document"),
    "a key of no kind": (page(DOCUMENT, verificationMethod=[{"id": "#key-1"}]), "signature"),
    "a key for other purposes": (page(DOCUMENT, capabilityInvocation=None), "key"),
    "a key that may not invoke": (page(DOCUMENT, capabilityInvocation=["#other"]), "key"),
    "a key that may not present": (page(DOCUMENT, authentication=[]), "key"),
    "an issuer's key that may not assert": (page("/issuer/did.json", assertionMethod=[]), "key"),
    "no credential service": (page(DOCUMENT, service=None), "service"),
    "two credential services": (page(DOCUMENT, service=[{"type": "CredentialService", "serviceEndpoint": "http://x"}] * 2), "service"),
    "a credential service without an address": (page(DOCUMENT, service=[{"type": "CredentialService"}]), "service"),
    "a service at a link-local address": (
        page(DOCUMENT, service=[{"type": "CredentialService", "serviceEndpoint": "http://169.254.169.254"}]),
        "query",
    ),
    "a service in a file": (page(DOCUMENT, service=[{"type": "CredentialService", "serviceEndpoint": "file:///etc"}]), "query"),
    "no presentations": (instead(QUERY, None), "query"),
    "an answer that is no JSON": (instead(QUERY, "x"), "query"),
    "an answer of another type": (page(QUERY, type="Other"), "presentation"),
    "an empty list": (page(QUERY, presentation=[]), "presentation"),
    "no list": (page(QUERY, presentation="x"), "presentation"),
    "too many": (page(QUERY, presentation=["x"] * 11), "presentation"),
    "an object as presentation": (page(QUERY, presentation=[{"proof": {}}]), "presentation"),
    "a text as presentation": (page(QUERY, presentation=["x"]), "malformed"),
    "an unsigned presentation": (shown(lambda w: w.presentation(w.credential(), header={"alg": "none"})), "algorithm"),
    "somebody else's presentation": (shown(lambda w: w.presentation(w.credential(), claims={"iss": w.did("issuer")})), "holder"),
    "a presentation that another key signed": (shown(lambda w: w.presentation(w.credential(), key=Key())), "signature"),
    "a presentation for another": (shown(lambda w: w.presentation(w.credential(), claims={"aud": "did:web:x"})), "presentation"),
    "a presentation for everybody": (shown(lambda w: w.presentation(w.credential(), claims={"aud": None})), "presentation"),
    "an old presentation": (shown(lambda w: w.presentation(w.credential(), claims={"exp": LATER - 7200})), "presentation"),
    "a presentation of tomorrow": (shown(lambda w: w.presentation(w.credential(), claims={"nbf": LATER})), "presentation"),
    "another holder within": (shown(lambda w: w.presentation(w.credential(), holder="did:web:x")), "holder"),
    "no presentation within": (shown(lambda w: w.presentation(w.credential(), type="Other")), "presentation"),
    "a text within": (shown(lambda w: w.presentation(claims={"vp": "x"})), "presentation"),
    "no credential": (shown(lambda w: w.presentation()), "required"),
    "too many credentials": (shown(lambda w: w.presentation(*["x"] * 21)), "presentation"),
    "an object as credential": (shown(lambda w: w.presentation({"type": MEMBER, "proof": {}})), "presentation"),
    "an envelope of another kind": (
        shown(lambda w: w.presentation({"type": "EnvelopedVerifiableCredential", "id": "data:text/plain,x"})),
        "presentation",
    ),
    "an unsigned credential": (credential(header={"alg": "none"}), "algorithm"),
    "a credential that another key signed": (credential(key=Key()), "signature"),
    "a credential that the holder signed": (
        shown(lambda w: w.presentation(w.credential(key=w.holder_key, header={"kid": f"{w.did('holder')}#key-1"}))),
        "key",
    ),
    "another issuer within": (credential(issuer="did:web:x"), "malformed"),
    "an issuer that nobody trusts": (credential(issuer="did:web:x", claims={"iss": "did:web:x"}), "issuer"),
    "no type": (credential(type=None), "malformed"),
    "another type": (credential(type=["VerifiableCredential", "OtherCredential"]), "required"),
    "a text as credential within": (credential(claims={"vc": "x"}), "malformed"),
    "another subject": (credential(credentialSubject={"id": "did:web:x"}), "subject"),
    "another subject of the token": (credential(claims={"sub": "did:web:x"}), "subject"),
    "a subject without an id": (credential(credentialSubject={"foo": "bar"}), "subject"),
    "two subjects": (shown(lambda w: w.presentation(w.credential_2(credentialSubject=[{"id": w.did("holder")}, {"id": "x"}]))), "subject"),
    "no subject": (credential(credentialSubject=[]), "subject"),
    "a text as subject": (credential(credentialSubject="x"), "malformed"),
    "expired": (credential(expirationDate=YESTERDAY), "credential-expired"),
    "expired by its token": (credential(claims={"exp": LATER - 7200}), "credential-expired"),
    "expired, of the newer model": (shown(lambda w: w.presentation(w.credential_2(validUntil=YESTERDAY))), "credential-expired"),
    "issued tomorrow": (credential(issuanceDate=TOMORROW), "credential-not-yet-valid"),
    "of tomorrow by its token": (credential(claims={"nbf": LATER}), "credential-not-yet-valid"),
    "of tomorrow, of the newer model": (shown(lambda w: w.presentation(w.credential_2(validFrom=TOMORROW))), "credential-not-yet-valid"),
    "a date without a zone": (credential(expirationDate="2099-01-01T00:00:00"), "malformed"),
    "a date that is none": (credential(issuanceDate=5), "malformed"),
    "revoked": (listed(lambda w: w.status_list(94_567)), "revoked"),
    "suspended": (listed(lambda w: w.status_list(94_567, purpose="suspension"), statusPurpose="suspension"), "revoked"),
    "revoked, of the older kind": (listed(lambda w: w.status_list(94_567, prefix=""), type="StatusList2021Entry"), "revoked"),
    "no list there": (listed(lambda _: None), "status"),
    "a list that nobody signed": (listed(lambda _: {"credentialSubject": {"encodedList": "u"}}), "status"),
    "a list that another key signed": (listed(lambda w: w.status_list(key=Key())), "signature"),
    "another one's list": (listed(lambda w: w.status_list(issuer="did:web:x", claims={"iss": "did:web:x"})), "status"),
    "a list that has expired": (listed(lambda w: w.status_list(expirationDate=YESTERDAY)), "credential-expired"),
    "a list for another purpose": (listed(lambda w: w.status_list(purpose="suspension")), "status"),
    "a place beyond the list": (listed(lambda w: w.status_list(), statusListIndex="131072"), "status"),
    "a place that is no number": (listed(lambda w: w.status_list(), statusListIndex="-1"), "status"),
    "a list that is a bomb": (listed(lambda w: w.status_list(bits=8 * 9_000_000)), "status"),
    "a list that is no gzip": (
        listed(lambda w: w.credential(credentialSubject={"statusPurpose": "revocation", "encodedList": "uAAAA"})),
        "status",
    ),
    "a status of another kind": (listed(lambda w: w.status_list(), type="RevocationList2020Status"), "status"),
    "a list at a link-local address": (listed(lambda _: None, statusListCredential="http://169.254.169.254/"), "status"),
    "a text as status": (credential(credentialStatus="x"), "status"),
    "a schema that it does not fit": (schema({"type": "object", "required": ["nothing"]}), "schema"),
    "a subject that does not fit": (schema({"required": ["nothing"]}, "JsonSchemaValidator2018"), "schema"),
    "no schema there": (schema(None), "schema"),
    "a schema that is none": (schema({"type": "nothing"}), "schema"),
    "a schema that refers elsewhere": (schema({"$ref": "http://169.254.169.254/x"}), "schema"),
    "a schema of another kind": (schema({}, "ShaclShape"), "schema"),
}


@pytest.mark.parametrize("name", BENT)
def test_every_fault_behind_a_token_has_its_code(here: Side, wallet: Wallet, name: str) -> None:
    bend, code = BENT[name]
    bend(wallet)
    gc.collect()  # what earlier tests left must not be finalised in the depths of a document without end
    assert here.fault() == code


SOUND: dict[str, Bend] = {
    "a place that is not set": listed(lambda w: w.status_list(94_566, 94_568)),
    "an older list": listed(lambda w: w.status_list(94_566, prefix=""), type="StatusList2021Entry"),
    "a message, which ends nothing": listed(lambda _: None, statusPurpose="message"),
    "a place as a number": listed(lambda w: w.status_list(), statusListIndex=94_567),
    "a schema that it fits": schema({"type": "object", "required": ["credentialSubject"]}),
    "a subject that fits": schema({"type": "object", "required": ["id", "foo"]}, "JsonSchemaValidator2018"),
    "a document without purposes": page(DOCUMENT, authentication=None, assertionMethod=None, capabilityInvocation=None),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_believed(here: Side, wallet: Wallet, name: str) -> None:
    SOUND[name](wallet)
    assert here.verify() == wallet.did("holder")


def test_a_compressed_answer_is_refused(here: Side, wallet: Wallet) -> None:
    wallet.pages[DOCUMENT] = gzip.compress(b"{}")
    assert here.fault() == "document"


def test_a_refusal_of_the_wallet_refuses(here: Side, wallet: Wallet) -> None:
    wallet.status = 302
    assert here.fault() == "document"


def test_what_is_wrong_is_for_the_operators_log_alone(here: Side, wallet: Wallet, caplog: pytest.LogCaptureFixture) -> None:
    chosen = ChosenCredentials(here.identity, schemes={Scheme.DCP: here.credentials})
    with caplog.at_level(logging.WARNING), pytest.raises(Unidentified) as caught:
        chosen.verify(f"Bearer {wallet.token(aud='did:web:x')}", REQUEST)
    assert caught.value.code == "identity.unproved"
    assert "identity.dcp-audience" in caplog.text
    assert chosen.verify(f"Bearer {wallet.token()}", REQUEST) == wallet.did("holder")


# --- whatever comes --------------------------------------------------------------------------------------------------------------------


PARTS = st.one_of(st.text(max_size=20), st.integers(), st.none(), st.booleans(), st.lists(st.text(max_size=5), max_size=3), st.floats())
OBJECTS = st.dictionaries(st.sampled_from(["alg", "kid", "iss", "sub", "aud", "jti", "exp", "iat", "nbf", "token", "vc", "crit"]), PARTS)


@given(
    header=OBJECTS, claims=OBJECTS, signature=st.binary(max_size=100), keep=st.sets(st.sampled_from(["alg", "kid", "iss", "sub", "aud"]))
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_token_is_at_worst_unidentified(here: Side, header: Any, claims: Any, signature: bytes, keep: set[str]) -> None:
    sound: dict[str, Any] = {name: here.wallet.did("holder") for name in ("iss", "sub")} | {"aud": VERIFIER}
    head = {**header, **({"alg": "ES256"} if "alg" in keep else {}), **({"kid": "#key-1"} if "kid" in keep else {})}
    body = {**claims, **{name: sound[name] for name in keep & sound.keys()}}
    with pytest.raises(Unidentified):
        here.verify(f"{encode(json.dumps(head).encode())}.{encode(json.dumps(body).encode())}.{encode(signature)}")


@given(answer=st.recursive(PARTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_answer_of_a_wallet_is_at_worst_unidentified(here: Side, answer: Any) -> None:
    here.wallet.show(here.wallet.holder_key.sign({"iss": here.wallet.did("holder"), "aud": VERIFIER, "vp": answer}, kid="#key-1"))
    assert here.fault()
    here.wallet.show(here.wallet.presentation(here.wallet.issuer_key.sign({"vc": answer, "iss": here.wallet.did("issuer")}, kid="#key-1")))
    assert here.fault()
