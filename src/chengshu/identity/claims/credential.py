"""Verifiable credentials as JWT, of the data model 1.1 (claim ``vc``) and 2.0: what one says, and whether it holds now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.jws import Signed

SKEW = timedelta(seconds=30)
MAX_TYPES = 50
_STARTS = ("issuanceDate", "validFrom")
_ENDS = ("expirationDate", "validUntil")


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as its token says; ``document`` is the credential itself, without the token's claims around it."""

    token: Signed
    issuer: str
    types: frozenset[str]
    document: Mapping[str, Any]

    def subjects(self) -> list[Mapping[str, Any]]:
        """Return everything that it is about; a fault for another form."""
        return _objects(self.document.get("credentialSubject"), what="malformed", name="credentialSubject")

    def references(self, name: str, *, what: str) -> list[Mapping[str, Any]]:
        """Return what stands under ``credentialStatus`` or ``credentialSchema``, nothing where neither is there."""
        return _objects(self.document[name], what=what, name=name) if name in self.document else []


def parsed_credential(token: Signed) -> Credential:
    """Return what a token says as a credential; a fault where it is none, or where token and credential contradict each other."""
    said_so = token.claims.get("vc", token.claims)
    if not isinstance(said_so, dict):
        raise fault("malformed", "expected a credential in the claim vc, got another kind")
    inner = {name: value for name, value in said_so.items() if value is not None}  # null is how some issuers leave a member out
    types = inner.get("type")
    names = [types] if isinstance(types, str) else types
    if not isinstance(names, list) or not 0 < len(names) <= MAX_TYPES or not all(isinstance(one, str) for one in names):
        raise fault("malformed", "expected a credential with its types, got another form")
    said = inner.get("issuer", token.claims.get("iss"))
    issuer = said.get("id") if isinstance(said, dict) else said
    if not isinstance(issuer, str) or token.claims.get("iss", issuer) != issuer:
        raise fault("malformed", "expected one issuer of a credential, got none or two")
    return Credential(token, issuer, frozenset(names), inner)


def check_subject(credential: Credential, holder: str) -> None:
    """Return where a credential is about ``holder`` alone; a fault otherwise."""
    about = [subject.get("id") for subject in credential.subjects()]
    said = credential.token.claims.get("sub", holder)
    # some issuers write the credential's own id where its subject belongs (VC data model 1.1, section 6.3.1): that names nobody else
    if not about or any(one != holder for one in about) or said not in {holder, credential.document.get("id", holder)}:
        raise fault("subject", "expected a credential about its holder, got one about somebody else or nobody")


def check_time(credential: Credential, now: datetime) -> None:
    """Return where a credential holds now by everything that it and its token say; a fault otherwise."""
    starts = [_moment(credential.document[name], name) for name in _STARTS if name in credential.document]
    ends = [_moment(credential.document[name], name) for name in _ENDS if name in credential.document]
    starts += _claimed(credential.token, "nbf")
    ends += _claimed(credential.token, "exp")
    if any(start > now + SKEW for start in starts):
        raise fault("credential-not-yet-valid", "expected a credential that holds already, got one that will")
    if any(end < now for end in ends):
        raise fault("credential-expired", "expected a credential that still holds, got one that has expired")


def _claimed(token: Signed, claim: str) -> list[datetime]:
    moment = token.moment(claim)
    return [] if moment is None else [datetime.fromtimestamp(moment, UTC)]


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise fault("malformed", f"expected a moment in {name}, got something else") from error
    if moment.tzinfo is None:
        raise fault("malformed", f"expected a time zone in {name}, got none")
    return moment


def _objects(value: Any, *, what: str, name: str) -> list[Mapping[str, Any]]:
    def every() -> Iterator[Mapping[str, Any]]:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise fault(what, f"expected objects in {name}, got another kind")
            yield one

    return list(every())
