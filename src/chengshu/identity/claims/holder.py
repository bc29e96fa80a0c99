"""The node as a holder: the credentials that issuers gave its operator, presented to those it called."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chengshu.identity.claims.credential import parsed_credential
from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.jws import check_signature, read
from chengshu.identity.claims.self_issued import SelfIssued
from chengshu.identity.claims.verifier import CONTEXT, TYPE_SCOPE
from chengshu.kernel.errors import Invalid, Unidentified
from chengshu.kernel.text import Text

FOLDER = "credentials"
MAX_SCOPES = 50
_USE = "presentations"


class Holder:
    """Answers whoever holds an access token that this node issued to it, with the credentials of the types that are asked for.

    Credentials are files ``*.jwt`` in the folder ``credentials`` of the node, each one VC-JWT as the issuer handed it over.
    """

    def __init__(self, folder: Path, tokens: SelfIssued) -> None:
        self._folder = folder / FOLDER
        self._tokens = tokens

    def access_for(self, audience: str) -> str:
        """Return an access token with which ``audience``, and nobody else, may ask for presentations for five minutes."""
        return self._tokens.issue(self._tokens.key.did, {"use": _USE, "for": audience})

    def present(self, header: str | None, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the PresentationResponseMessage to a PresentationQueryMessage.

        Raises Unidentified as :class:`SelfIssued` does, and ``identity.dcp-access`` where the access token is not one of ours for the
        sender; Invalid for a message of another form, or one that asks otherwise than by scopes of types.
        """
        sender, token = self._tokens.sender(header)
        self._check_access(token.text("token"), sender)
        scopes = message.get("scope")
        if message.get("type") != "PresentationQueryMessage" or not isinstance(scopes, list) or not 0 < len(scopes) <= MAX_SCOPES:
            raise _no_query()
        types = {_type_of(scope) for scope in scopes}
        shown = [credential for credential in self._credentials() if parsed_credential(read(credential)).types & types]
        presentation = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": shown,
        }
        signed = self._tokens.issue(sender, {"vp": presentation})
        return {"@context": [CONTEXT], "type": "PresentationResponseMessage", "presentation": [signed]}

    def _check_access(self, access: str | None, sender: str) -> None:
        if access is None:
            raise fault("access", "expected an access token in the claim token, got none")
        token = read(access)
        try:
            check_signature(token, self._tokens.key.public_jwk())
        except Unidentified as error:
            raise fault("access", "expected an access token that this node signed, got another") from error
        self._tokens.check_claims(token)
        if (token.claims.get("iss"), token.claims.get("use"), token.claims.get("for")) != (self._tokens.key.did, _USE, sender):
            raise fault("access", "expected an access token for the one who asks, got one for another use or party")

    def _credentials(self) -> list[str]:
        return [path.read_text(encoding="utf-8").strip() for path in sorted(self._folder.glob("*.jwt"))]


def _type_of(scope: Any) -> str:
    """The type that a scope names: ``org.eclipse.dspace.dcp.vc.type:Member``, with or without an end such as ``:read``."""
    parts = scope.split(":") if isinstance(scope, str) else []
    if len(parts) not in {2, 3} or parts[0] != TYPE_SCOPE:
        raise _no_query()
    return str(parts[1])


def _no_query() -> Invalid:
    return Invalid(
        "identity.dcp-message",
        f"expected a PresentationQueryMessage with scopes such as {TYPE_SCOPE}:Member, got another message",
        hint=Text("Ask by scopes of credential types.", "请按凭证类型的 scope 查询。"),
    )
