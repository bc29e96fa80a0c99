"""What a counter-party's presentations are believed for: whether issuers that the operator trusts vouch for what is required."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chengshu.identity.claims.credential import Credential, check_subject, check_time, parsed_credential
from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.fetching import Fetching, Question
from chengshu.identity.claims.jws import Signed, check_signature, read
from chengshu.identity.claims.status import check_status, list_of
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import Unidentified

CONTEXT = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
TYPE_SCOPE = "org.eclipse.dspace.dcp.vc.type"
"""The alias of scopes that name a type of credential; the protocol makes every wallet know it."""

SKEW = timedelta(seconds=30)
MAX_PRESENTATIONS = 10
MAX_CREDENTIALS = 20
_ENVELOPE = "data:application/vc+jwt,"
_SUBJECT_SCHEMAS = frozenset({"JsonSchemaValidator2018"})
_SCHEMAS = frozenset({"JsonSchema", *_SUBJECT_SCHEMAS})


@dataclass(frozen=True, slots=True)
class Trust:
    """Which issuer is believed for which types of credential, the types that a counter-party must present, and what to ask for."""

    issuers: Mapping[str, frozenset[str]]
    required: frozenset[str]
    scopes: tuple[str, ...]


class Verifier:
    """Asks a holder's credential service for presentations and believes them, or says what is wrong."""

    def __init__(self, fetching: Fetching, *, own: str, trust: Trust, clock: Clock) -> None:
        self._fetching = fetching
        self._own = own
        self._trust = trust
        self._clock = clock

    def check_presented(self, holder: str, *, authorization: str) -> None:
        """Return where the credentials that ``holder`` presents cover everything that is required; a fault otherwise.

        Every credential that is presented must hold, even one that nobody required.
        """
        service = self._fetching.document(holder).service
        if service is None:
            raise fault("service", "expected exactly one CredentialService in the holder's document, got none or several")
        query = {"@context": [CONTEXT], "type": "PresentationQueryMessage", "scope": list(self._trust.scopes)}
        answer = self._fetching.json(Question("query", f"{service}/presentations/query", query, authorization))
        shown = answer.get("presentation")
        if answer.get("type") != "PresentationResponseMessage" or not isinstance(shown, list) or not 0 < len(shown) <= MAX_PRESENTATIONS:
            raise fault("presentation", f"expected a response of 1 to {MAX_PRESENTATIONS} presentations, got another")
        vouched: set[str] = set()
        for presentation in shown:
            for credential in self._presented(presentation, holder):
                self._check_credential(credential, holder)
                vouched |= credential.types & self._trust.issuers[credential.issuer]
        if not self._trust.required <= vouched:
            raise fault("required", "expected the required credentials of issuers that are trusted for them, got too few")

    def _presented(self, presentation: Any, holder: str) -> Iterator[Credential]:
        if not isinstance(presentation, str):
            raise fault("presentation", "expected presentations as JWT, got another format")
        token = read(presentation)
        if token.claims.get("iss") != holder:
            raise fault("holder", "expected a presentation by the one who asks, got another's")
        check_signature(token, self._fetching.key(holder, token.header.get("kid"), purpose="authentication"))
        self._check_presentation(token)
        inner = token.claims.get("vp", token.claims)
        types = inner.get("type") if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or "VerifiablePresentation" not in (types if isinstance(types, list) else [types]):
            raise fault("presentation", "expected a VerifiablePresentation, got something else")
        said = inner.get("holder", holder)
        if (said.get("id") if isinstance(said, dict) else said) != holder:
            raise fault("holder", "expected a presentation that names its signer as the holder, got another")
        credentials = inner.get("verifiableCredential", [])
        enclosed = credentials if isinstance(credentials, list) else [credentials]
        if len(enclosed) > MAX_CREDENTIALS:
            raise fault("presentation", f"expected at most {MAX_CREDENTIALS} credentials, got more")
        for one in enclosed:
            yield parsed_credential(read(_token_of(one)))

    def _check_presentation(self, token: Signed) -> None:
        audience = token.claims.get("aud")
        if self._own not in (audience if isinstance(audience, list) else [audience]):
            raise fault("presentation", "expected a presentation for this node, got one for another or for everybody")
        now = self._clock()
        starts, ends = token.moment("nbf"), token.moment("exp")
        if starts is not None and starts > (now + SKEW).timestamp():
            raise fault("presentation", "expected a presentation that holds already, got one that will")
        if ends is not None and ends < (now - SKEW).timestamp():
            raise fault("presentation", "expected a presentation that still holds, got one that has expired")

    def _check_credential(self, credential: Credential, holder: str) -> None:
        if credential.issuer not in self._trust.issuers:  # before anything of a stranger's is fetched
            raise fault("issuer", "expected a credential of an issuer that is trusted here, got another's")
        self._check_issued(credential)
        check_subject(credential, holder)
        check_time(credential, self._clock())
        for entry in credential.references("credentialStatus", what="status"):
            where = list_of(entry)
            if where is not None:
                check_status(entry, self._list(where, credential.issuer))
        for schema in credential.references("credentialSchema", what="schema"):
            self._check_schema(schema, credential)

    def _check_issued(self, credential: Credential) -> None:
        kid = credential.token.header.get("kid")
        check_signature(credential.token, self._fetching.key(credential.issuer, kid, purpose="assertionMethod"))

    def _list(self, where: str, issuer: str) -> Credential:
        """A status list, signed by the issuer of the credential that it is about; an unsigned one would be anybody's."""
        text = self._fetching.text(Question("status", where)).strip()
        try:
            published = parsed_credential(read(text))
        except Unidentified as error:
            raise fault("status", "expected a status list as a credential in JWT, got something else") from error
        if published.issuer != issuer:
            raise fault("status", "expected a status list of the credential's own issuer, got another's")
        self._check_issued(published)
        check_time(published, self._clock())
        return published

    def _check_schema(self, schema: Mapping[str, Any], credential: Credential) -> None:
        where = schema.get("id")
        if schema.get("type") not in _SCHEMAS or not isinstance(where, str):
            raise fault("schema", "expected a schema of a kind that is known here, got another")
        rules = self._fetching.json(Question("schema", where))
        shown = credential.subjects() if schema["type"] in _SUBJECT_SCHEMAS else [credential.document]
        if not all(_fits(one, rules) for one in shown):
            raise fault("schema", "expected a credential that fits its schema, got one that does not")


def _token_of(enclosed: Any) -> str:
    """A credential's token: bare (data model 1.1), or in an envelope (data model 2.0, section 4.13)."""
    if isinstance(enclosed, str):
        return enclosed
    types, address = (enclosed.get("type"), enclosed.get("id")) if isinstance(enclosed, dict) else (None, None)
    is_envelope = "EnvelopedVerifiableCredential" in (types if isinstance(types, list) else [types])
    if not (is_envelope and isinstance(address, str) and address.startswith(_ENVELOPE)):
        raise fault("presentation", "expected credentials as JWT, got another format")
    return address.removeprefix(_ENVELOPE)


def _fits(shown: Mapping[str, Any], rules: Mapping[str, Any]) -> bool:
    # a node that is never shown a schema is smaller without the library
    from jsonschema import exceptions, validators  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        kind = validators.validator_for(rules, default=validators.Draft202012Validator)
        kind.check_schema(dict(rules))
        nothing: Registry[Any] = Registry()  # a schema that refers to another one would make us fetch it
        return bool(kind(dict(rules), registry=nothing).is_valid(json.loads(json.dumps(shown))))
    except (exceptions.SchemaError, exceptions.UnknownType, Unresolvable, RecursionError, ValueError, TypeError) as error:
        raise fault("schema", "expected a JSON Schema that stands alone, got something else") from error
